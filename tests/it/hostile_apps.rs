//! An app that sends its cluster primary what no Node sends: malformed, reordered, endless, or asking for what it may not have. Supervision
//! goes on, memory stays bounded, and nothing is bound that the app could not bind itself.

use crate::serving;
use crate::support;

use serving::{free_port, get, is_refused};
use std::net::{IpAddr, Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::time::Duration;
use support::{Bench, Running, Scratch, descriptors, fixture, is_long, kilobytes};

const HOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const OPTIONS: [&str; 5] = ["--hold-port", "--max-restarts", "1000", "--backoff", "0"];

/// A million with `RESTARTINIT_LONG=1`: the table of ports is full long before either.
fn many() -> u32 {
    if is_long() { 1_000_000 } else { 20_000 }
}

fn start(statements: &[&str]) -> Running {
    let mut init = Bench::new(&OPTIONS).run(&[&["on USR1 say forwarded", "up"], statements, &["obey"]].concat());
    init.allow(Duration::from_secs(if many() > 100_000 { 600 } else { 30 }));
    init
}

/// It answers, forwards and restarts.
fn commands_are_kept_running(init: &mut Running, generation: u32) {
    assert_eq!(init.status()["generation"], generation);
    init.signal(libc::SIGUSR1);
    init.out("forwarded");
    init.tell("exit 1");
    init.out(&format!("up {}", generation + 1));
}

/// And gives an app that behaves its port.
fn supervision_goes_on(init: &mut Running, generation: u32) {
    commands_are_kept_running(init, generation);
    let port = free_port();
    init.tell(&format!("wire listen {port}"));
    init.out(&format!("listening {port}"));
    init.tell("wire serve");
    assert_eq!(get(HOST, port, "/"), (generation + 1).to_string());
}

/// What the app does costs no more than this, in KiB of data and in descriptors.
fn bounded(init: &mut Running, deed: &str) {
    let data = kilobytes(init.init_pid(), "VmData");
    let open = descriptors(init.init_pid());
    init.tell(deed);
    init.tell("say done");
    // Meanwhile others are heard.
    let mut heard = 0;
    while !init.lines(support::Stream::Out).contains(&"done".to_owned()) {
        assert!(!init.late(), "it does not come to an end");
        init.status();
        heard += 1;
    }
    let after = kilobytes(init.init_pid(), "VmData");
    println!(
        "{deed:.60}: {data} KiB before, {after} KiB after; {} descriptors; {heard} times asked meanwhile",
        descriptors(init.init_pid())
    );
    assert!(after <= data + 1024, "{data} KiB before, {after} KiB after");
    assert!(descriptors(init.init_pid()) <= open + 140, "{}", descriptors(init.init_pid()));
}

const QUERY: &str =
    r#"{"cmd":"NODE_CLUSTER","act":"queryServer","index":#,"data":null,"address":"127.0.0.1","port":0,"addressType":4,"seq":#}"#;

/// An app that does this, and an init that holds out.
fn endured(deed: &str) {
    let mut init = start(&[]);
    init.out("up 1");
    bounded(&mut init, deed);
    commands_are_kept_running(&mut init, 1);
}

#[test]
fn queries_without_an_end() {
    endured(&format!("wire flood {} {QUERY}", many()));
}

#[test]
fn queries_whose_answers_nobody_reads() {
    endured(&format!("wire pour {} {QUERY}", many()));
}

/// Closed as soon as they are asked for: what is held does not pile up for a while.
#[test]
fn ports_that_come_and_go() {
    let close = r#"{"cmd":"NODE_CLUSTER","act":"close","key":"127.0.0.1:0:4:undefined:#","seq":#}"#;
    endured(&format!("wire flood {} {QUERY}~{close}", many()));
}

#[test]
fn megabytes_of_keys_and_data() {
    let mut init = start(&[]);
    init.out("up 1");
    let long = "x".repeat(60_000);
    for query in [
        format!(
            r#"{{"cmd":"NODE_CLUSTER","act":"queryServer","index":"{long}#","data":null,"address":null,"port":0,"addressType":4,"seq":#}}"#
        ),
        format!(
            r#"{{"cmd":"NODE_CLUSTER","act":"queryServer","index":#,"data":"{long}","address":"::","port":0,"addressType":6,"seq":#}}"#
        ),
        format!(
            r#"{{"cmd":"NODE_CLUSTER","act":"queryServer","index":#,"data":null,"address":"/{long}","port":-1,"addressType":-1,"seq":#}}"#
        ),
    ] {
        // Read back as a statement: a pipe has room for it.
        init.tell(&format!("wire flood 300 {query}"));
    }
    init.tell("say done");
    init.out("done");
    let data = kilobytes(init.init_pid(), "VmData");
    println!("{data} KiB");
    assert!(data < 4096 + 2048, "{data} KiB");
    commands_are_kept_running(&mut init, 1);
}

#[test]
fn a_standby_that_asks_without_an_end() {
    let port = free_port();
    let listen = format!("at 1 wire listen {port}");
    let flood = format!("at 2 wire pour {} {QUERY}", many());
    let options: Vec<&str> = OPTIONS.iter().copied().chain(["--standby", "-v"]).collect();
    let mut init = Bench::new(&options).run(&["up", &listen, &flood, "at 2 say poured", "at 1 wire serve", "at 1 wire serve", "pause"]);
    init.allow(Duration::from_secs(if many() > 100_000 { 600 } else { 30 }));
    init.log("waits as standby");
    let data = kilobytes(init.init_pid(), "VmData");
    assert_eq!(get(HOST, port, "/"), "1", "the service does not feel it");
    init.out("poured");
    let after = kilobytes(init.init_pid(), "VmData");
    assert!(after <= data + 1024, "{data} KiB before, {after} KiB after");
    assert_eq!(get(HOST, port, "/"), "1");
    assert_eq!(init.status()["generation"], 1);
    init.signal(libc::SIGTERM);
    assert_eq!(init.exit_code(), 143);
}

#[test]
fn a_line_without_an_end() {
    let mut init = start(&[]);
    init.out("up 1");
    bounded(&mut init, "wire bulk 100");
    init.tell("wire bytes \\x0a");
    supervision_goes_on(&mut init, 1);
}

/// Nothing of this means anything. Some of it is no JSON, some of it comes before what it answers.
#[test]
fn nonsense_is_dropped() {
    let deep = format!("{}{}", "[".repeat(30_000), "]".repeat(30_000));
    let lines: Vec<String> = [
        "",
        "{",
        "null",
        "[]",
        "\"\"",
        "-",
        "{\"cmd\":\"NODE_CLUSTER\"}",
        "{\"cmd\":\"NODE_CLUSTER\",\"act\":5}",
        "{\"cmd\":\"NODE_CLUSTER\",\"act\":\"close\"}",
        "{\"cmd\":\"NODE_CLUSTER\",\"act\":\"close\",\"key\":\"nobody's\"}",
        "{\"cmd\":\"NODE_CLUSTER\",\"act\":\"close\",\"key\":null}",
        "{\"cmd\":\"NODE_CLUSTER\",\"act\":\"listening\",\"port\":99999}",
        "{\"cmd\":\"NODE_CLUSTER\",\"act\":\"listening\",\"address\":{\"a\":[]}}",
        "{\"cmd\":\"NODE_CLUSTER\",\"act\":\"queryServer\"}",
        "{\"cmd\":\"NODE_CLUSTER\",\"act\":\"queryServer\",\"seq\":-1}",
        "{\"cmd\":\"NODE_CLUSTER\",\"act\":\"queryServer\",\"seq\":1e300,\"port\":1e300}",
        "{\"cmd\":\"NODE_CLUSTER\",\"act\":\"queryServer\",\"seq\":\"1\",\"port\":\"1\"}",
        "{\"cmd\":\"NODE_CLUSTER\",\"act\":\"queryServer\",\"seq\":1,\"seq\":2,\"port\":0,\"port\":-5}",
        "{\"cmd\":\"NODE_CLUSTER\",\"act\":\"exitedAfterDisconnect\"}",
        "{\"cmd\":\"NODE_CLUSTER\",\"act\":\"exitedAfterDisconnect\",\"seq\":18446744073709551616}",
        "{\"cmd\":\"NODE_CLUSTER\",\"act\":\"disconnect\"}",
        "{\"cmd\":\"NODE_CLUSTER\",\"ack\":1,\"errno\":0}",
        "{\"cmd\":\"NODE_HANDLE_ACK\"}",
        "{\"cmd\":\"NODE_HANDLE_ACK\"}",
        "{\"cmd\":\"NODE_HANDLE_NACK\"}",
        "{\"cmd\":\"NODE_HANDLE\",\"type\":\"net.Native\",\"msg\":{\"cmd\":\"NODE_CLUSTER\",\"act\":\"queryServer\"}}",
        "{\"cmd\":\"NODE_HANDLE\"}",
        "{\"cmd\":\"NODE_\"}",
        "{\"cmd\":{\"cmd\":\"NODE_CLUSTER\"}}",
        "{\"type\":\"ready\",\"type\":5}",
        "\u{2028}",
    ]
    .map(str::to_owned)
    .into_iter()
    .chain([deep])
    .collect();
    let mut init = start(&[]);
    init.out("up 1");
    for line in &lines {
        init.tell(&format!("wire say {line}"));
    }
    for bytes in
        ["\\xff\\xfe\\x0a", "\\x00\\x0a", "\"\\xed\\xa0\\x80\"\\x0a", "\\x0d\\x0a", "{\"cmd\":\"NODE_CLUSTER\",\"act\":\"\\xff\"}\\x0a"]
    {
        init.tell(&format!("wire bytes {bytes}"));
    }
    supervision_goes_on(&mut init, 1);
    let end = {
        init.signal(libc::SIGTERM);
        init.end()
    };
    assert!(end.logged("no JSON").len() <= 2, "one line a generation, however much there is: {end:?}");
}

/// An answer to nothing, a second one, a query before the first one is acknowledged: the port comes all the same.
#[test]
fn what_comes_out_of_order_does_not_stand_in_the_way() {
    let [one, two] = [free_port(), free_port()];
    let query = |port: u16, seq: u32| {
        format!(
            r#"wire say {{"cmd":"NODE_CLUSTER","act":"queryServer","index":0,"data":null,"address":"127.0.0.1","port":{port},"addressType":4,"seq":{seq}}}"#
        )
    };
    let close = format!(r#"wire say {{"cmd":"NODE_CLUSTER","act":"close","key":"127.0.0.1:{one}:4:undefined:0","seq":9}}"#);
    let ack = r#"wire say {"cmd":"NODE_HANDLE_ACK"}"#;
    let nack = r#"wire say {"cmd":"NODE_HANDLE_NACK"}"#;
    let (query_one, again, other) = (query(one, 101), query(one, 102), query(two, 103));
    let lines = [ack, nack, &close, &query_one, &again, &other, nack, nack, ack, ack, &close, ack, ack];
    let first_only: Vec<String> = lines.iter().map(|line| format!("at 1 {line}")).collect();
    let mut init = start(&first_only.iter().map(String::as_str).collect::<Vec<_>>());
    init.out("up 1");
    supervision_goes_on(&mut init, 1);
    init.tell("exit 1");
    init.out("up 3");
    for port in [one, two] {
        init.tell(&format!("wire listen {port}"));
        init.out(&format!("listening {port}"));
    }
}

/// A descriptor is handed out only where `--listen` has put one.
#[test]
fn no_descriptor_of_restartinits_own_is_handed_out() {
    let port = free_port();
    let listen = format!("127.0.0.1:{port}");
    let options: Vec<&str> = OPTIONS.iter().copied().chain(["--listen", &listen]).collect();
    let mut init = Bench::new(&options).run(&["up", "obey"]);
    init.out("up 1");
    for descriptor in [-1, 0, 1, 2].into_iter().chain(4..40).chain([1 << 20, i64::from(i32::MAX), 1 << 40]) {
        init.tell(&format!(r#"wire ask "address":null,"port":null,"addressType":null,"fd":{descriptor}"#));
        let told = init.out("asked:");
        // -1 is none at all: any free port.
        assert_eq!(told == "asked: granted", descriptor == -1, "{descriptor}: {told}");
    }
    init.tell(r#"wire ask "address":null,"port":null,"addressType":"udp4","fd":3"#);
    assert_eq!(init.out("asked:"), format!("asked: errno {}", libc::EINVAL), "it is no datagram socket");
    init.tell(r#"wire ask "address":null,"port":null,"addressType":null,"fd":3"#);
    assert_eq!(init.out("asked:"), "asked: granted");
}

/// The app became another user: what only root may bind is not bound for it.
#[test]
fn no_right_is_lent() {
    // SAFETY: no precondition.
    assert_eq!(unsafe { libc::geteuid() }, 0, "this needs root: nobody else can become another user");
    let scratch = Scratch::new();
    let private = scratch.path("private");
    std::fs::create_dir(&private).expect("a folder");
    std::fs::set_permissions(&private, std::os::unix::fs::PermissionsExt::from_mode(0o700)).expect("its permissions");
    let file = scratch.path("file");
    std::fs::write(&file, "precious").expect("a file");
    let command = scratch.copy(&fixture(), "fixture");
    let mut init = Bench::new(&OPTIONS).command([&command, "user 54321", "up", "obey"]);
    init.out("up 1");
    let denied = format!("asked: errno {}", libc::EACCES);
    for port in [1, 80, 1023] {
        for kind in ["4", "\"udp4\""] {
            init.tell(&format!(r#"wire ask "address":"127.0.0.1","port":{port},"addressType":{kind}"#));
            assert_eq!(init.out("asked:"), denied, "{port}");
        }
        assert!(TcpStream::connect((HOST, port)).is_err());
    }
    for path in [format!("{private}/app.sock"), file.clone()] {
        init.tell(&format!(r#"wire ask "address":"{path}","port":-1,"addressType":-1"#));
        assert_ne!(init.out("asked:"), "asked: granted", "{path}");
        init.tell(&format!(r#"wire say {{"cmd":"NODE_CLUSTER","act":"close","key":"{path}:-1:-1:undefined:0","seq":5}}"#));
    }
    let high = free_port();
    init.tell(&format!("wire listen {high}"));
    init.out(&format!("listening {high}"));
    assert!(!Path::new(&private).join("app.sock").exists());
    assert_eq!(scratch.read("file"), "precious");
    assert!(!is_refused(high));
}

/// With the rights that restartinit has as well: a file that is there is not taken for a socket, nor removed.
#[test]
fn a_file_is_not_taken_away() {
    let scratch = Scratch::new();
    let file = scratch.path("file");
    std::fs::write(&file, "precious").expect("a file");
    let mut init = start(&[]);
    init.out("up 1");
    for _ in 0..3 {
        init.tell(&format!(r#"wire ask "address":"{file}","port":-1,"addressType":-1"#));
        assert_eq!(init.out("asked:"), format!("asked: errno {}", libc::EADDRINUSE));
        init.tell(&format!(r#"wire say {{"cmd":"NODE_CLUSTER","act":"close","key":"{file}:-1:-1:undefined:0","seq":5}}"#));
    }
    supervision_goes_on(&mut init, 1);
    init.signal(libc::SIGTERM);
    init.end();
    assert_eq!(scratch.read("file"), "precious");
}

/// Somebody else's port is not to be had by asking for it often.
#[test]
fn a_port_of_somebody_else_stays_theirs() {
    let holder = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = holder.local_addr().expect("its address").port();
    let mut init = start(&[]);
    init.out("up 1");
    for _ in 0..5 {
        init.tell(&format!("wire listen {port}"));
        init.out(&format!("not listening: errno {}", libc::EADDRINUSE));
    }
    supervision_goes_on(&mut init, 1);
}

/// What generations that are gone have left may fill the table: the one that runs gets its port all the same.
#[test]
fn ports_of_the_dead_keep_nobody_out() {
    let mut init = start(&[]);
    init.out("up 1");
    init.tell(&format!("wire flood 1000 {QUERY}"));
    supervision_goes_on(&mut init, 1);
}
