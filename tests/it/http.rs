//! `--http`: what each address answers, what is refused and how, and what happens before the first spawn when the port cannot be had.
//! Many clients at once, and hostile ones, are in hostile_clients.rs; the metrics themselves in metrics.rs.

use crate::support;

use std::io::Write;
use std::net::{Shutdown, TcpListener, TcpStream};
use support::settings::refused;
use support::web::{answer, connect, free_port, get, is_open, loopback, read_to_close, request, send};
use support::{Bench, Running};

fn serving(options: &[&str], address: &str) -> Running {
    let init = Bench::new(&[&["--http", address], options].concat()).run(&["catch TERM", "up", "obey"]);
    init.out("up 1");
    init
}

fn leave(mut init: Running) {
    init.tell("exit 0");
    let end = init.end();
    assert_eq!(end.code, Some(0));
    assert_eq!(end.log, [""; 0], "what only looks makes no noise");
}

const PATHS: [(&str, &str); 4] =
    [("/livez", "text/plain"), ("/readyz", "text/plain"), ("/metrics", "text/plain; version=0.0.4"), ("/status", "application/json")];

#[test]
fn each_address_answers() {
    let address = loopback();
    let init = serving(&[], &address);
    for (path, kind) in PATHS {
        for path in [path.to_owned(), format!("{path}?verbose=1")] {
            let answer = get(&address, &path);
            assert_eq!(answer.status, 200, "{path}: {answer:?}");
            assert!(answer.field("content-type").starts_with(kind), "{path}: {answer:?}");
            assert_eq!(answer.field("content-length"), answer.body.len().to_string(), "{path}: {answer:?}");
            assert_eq!(answer.field("connection"), "close", "{path}: {answer:?}");
            assert!(answer.body.ends_with('\n'), "{path}: {answer:?}");
        }
    }
    let status: serde_json::Value = serde_json::from_str(&get(&address, "/status").body).expect("JSON");
    assert_eq!(status["generation"], 1);
    leave(init);
}

#[test]
fn head_answers_without_a_body() {
    let address = loopback();
    let init = serving(&[], &address);
    for (path, kind) in PATHS {
        let answer = request(&address, "HEAD", path);
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        assert_eq!(answer.body, "", "{path}");
        assert!(answer.field("content-type").starts_with(kind), "{path}: {answer:?}");
        assert!(answer.field("content-length").parse::<usize>().is_ok_and(|length| length > 0), "{path}: {answer:?}");
    }
    let missing = request(&address, "HEAD", "/nope");
    assert_eq!((missing.status, missing.body.as_str()), (404, ""));
    leave(init);
}

#[test]
fn what_is_not_there_and_what_is_not_allowed() {
    let address = loopback();
    let init = serving(&[], &address);
    for path in ["/", "/nope", "/livez/", "/LIVEZ", "/status.json", "//livez", "/../livez", "/livez%00", "*", "/%72estart"] {
        assert_eq!(get(&address, path).status, 404, "{path}");
    }
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "get", "BREW"] {
        for (path, _) in PATHS {
            let answer = request(&address, method, path);
            assert_eq!(answer.status, 405, "{method} {path}: {answer:?}");
            assert_eq!(answer.field("allow"), "GET, HEAD", "{method} {path}: {answer:?}");
        }
    }
    leave(init);
}

/// It is a network address: whoever reaches it may look and no more.
#[test]
fn a_restart_is_not_to_be_had_there() {
    let address = loopback();
    let init = serving(&[], &address);
    for method in ["POST", "PUT", "GET", "HEAD", "DELETE"] {
        for path in ["/restart", "/restart?", "/restart/", "//restart", "http://x/restart", "/status/../restart"] {
            for extra in ["", "Content-Length: 0\r\n", "X-Http-Method-Override: POST\r\n"] {
                let answer = send(&address, format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n{extra}\r\n").as_bytes());
                assert!([400, 404, 405].contains(&answer.status), "{method} {path}: {answer:?}");
            }
        }
    }
    assert!(get(&address, "/status").body.contains("\"generation\":1"));
    leave(init);
}

#[test]
fn what_is_no_request_is_refused() {
    let address = loopback();
    let init = serving(&[], &address);
    for bad in [
        &b"garbage\r\n\r\n"[..],
        b"GET\r\n\r\n",
        b"GET /livez\r\n\r\n",
        b"GET /livez HTTX/1.1\r\n\r\n",
        b"GET  /livez HTTP/1.1\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nA\x00B: c\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"\x00\x00\x00\x00\r\n\r\n",
        b"\xff\xfe\r\n\r\n",
    ] {
        let answer = send(&address, bad);
        assert_eq!(answer.status, 400, "{:?}: {answer:?}", bad.escape_ascii().to_string());
        assert_eq!(answer.field("connection"), "close");
    }
    leave(init);
}

#[test]
fn a_head_that_is_too_large_is_refused() {
    let address = loopback();
    let init = serving(&[], &address);
    // At the limit of 8 KiB and just below; the names and values are those of a browser with too many cookies.
    let fitting = format!("GET /livez HTTP/1.1\r\nCookie: {}\r\n\r\n", "x".repeat(8192 - 33));
    assert!(fitting.len() <= 8192 && fitting.len() > 8180, "{}", fitting.len());
    assert_eq!(send(&address, fitting.as_bytes()).status, 200);
    for large in [
        format!("GET /livez HTTP/1.1\r\nCookie: {}\r\n\r\n", "x".repeat(8192)),
        format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(9000)),
        format!("GET /livez HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(2000)),
        format!("GET /livez HTTP/1.1\r\nCookie: {}", "x".repeat(8192)),
    ] {
        assert_eq!(send(&address, large.as_bytes()).status, 431, "{} bytes", large.len());
    }
    leave(init);
}

/// Every cut of the head, and byte by byte.
#[test]
fn a_request_may_come_in_pieces() {
    let address = loopback();
    let init = serving(&[], &address);
    let whole = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n";
    for cut in 1..whole.len() {
        let mut stream = connect(&address);
        stream.set_nodelay(true).expect("no delay");
        stream.write_all(&whole[..cut]).expect("it reads");
        // The server is seen to have read this part: it answers somebody else meanwhile.
        assert_eq!(get(&address, "/livez").status, 200);
        stream.write_all(&whole[cut..]).expect("it reads");
        assert_eq!(answer(&read_to_close(stream)).status, 200, "cut at {cut}");
    }
    let mut stream = connect(&address);
    stream.set_nodelay(true).expect("no delay");
    for byte in whole {
        stream.write_all(&[*byte]).expect("it reads");
    }
    assert_eq!(answer(&read_to_close(stream)).status, 200);
    leave(init);
}

/// Nobody is promised a second answer, and so nobody waits for one.
#[test]
fn a_connection_is_for_one_request() {
    let address = loopback();
    let init = serving(&[], &address);
    for field in ["Connection: keep-alive\r\n", ""] {
        let one = format!("GET /livez HTTP/1.1\r\nHost: x\r\n{field}\r\n");
        let answer = send(&address, one.repeat(3).as_bytes());
        assert_eq!(answer.status, 200);
        assert_eq!(answer.field("connection"), "close");
        assert!(!answer.body.contains("HTTP/1.1"), "one answer: {answer:?}");
    }
    let old = send(&address, b"GET /livez HTTP/1.0\r\n\r\n");
    assert_eq!(old.status, 200);
    leave(init);
}

/// wget and the like may shut their side down once they have asked.
#[test]
fn a_client_that_has_said_all_is_answered() {
    let address = loopback();
    let init = serving(&[], &address);
    let mut stream = connect(&address);
    stream.write_all(b"GET /status HTTP/1.1\r\nHost: x\r\n\r\n").expect("it reads");
    stream.shutdown(Shutdown::Write).expect("half a close");
    assert_eq!(answer(&read_to_close(stream)).status, 200);
    leave(init);
}

#[test]
fn readiness_follows_the_command() {
    let address = loopback();
    let options = ["--http", &address, "--backoff", "1h", "--backoff-max", "1h"];
    let mut init = Bench::new(&options).run(&["up", "at 1 exit 3", "obey"]);
    init.out("up 2");
    assert_eq!(get(&address, "/readyz").status, 200);
    init.tell("exit 4");
    init.log("restart 2 of 5 in");
    let not_ready = get(&address, "/readyz");
    assert_eq!(not_ready.status, 503, "{not_ready:?}");
    assert!(not_ready.body.trim_end().len() > 5 && not_ready.body.lines().count() == 1, "one line that says why: {not_ready:?}");
    assert_eq!(get(&address, "/livez").status, 200, "supervision works: killing the container would cure nothing");
    init.signal(libc::SIGTERM);
    assert_eq!(init.exit_code(), 4);
}

#[test]
fn neither_a_drain_nor_a_stop_is_ready() {
    let address = loopback();
    let mut init = serving(&["--drain-delay", "1h"], &address);
    assert_eq!(get(&address, "/readyz").status, 200);
    init.signal(libc::SIGTERM);
    init.until("it drains", || get(&address, "/readyz").status == 503);
    let draining = get(&address, "/readyz");
    assert!(draining.body.contains("drain") || draining.body.contains("stop"), "{draining:?}");
    assert_eq!(get(&address, "/livez").status, 200);
    assert_eq!(init.signal_count(), 0, "not forwarded yet");
    init.signal(libc::SIGTERM);
    init.out("got SIGTERM 1");
    let stopping = get(&address, "/readyz");
    assert_eq!(stopping.status, 503);
    assert!(stopping.body.contains("stop"), "{stopping:?}");
    assert_eq!(get(&address, "/livez").status, 200);
    leave(init);
}

#[test]
fn ipv6_and_both_at_once() {
    let (port, other) = (free_port(), free_port());
    let init = serving(&[], &format!("[::1]:{port}"));
    assert_eq!(get(&format!("[::1]:{port}"), "/livez").status, 200);
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
    leave(init);
    // A bare port is every interface, of both families.
    let init = serving(&[], &other.to_string());
    for host in ["127.0.0.1", "[::1]"] {
        assert_eq!(get(&format!("{host}:{other}"), "/livez").status, 200, "{host}");
    }
    leave(init);
    let only = free_port();
    let init = serving(&[], &format!("0.0.0.0:{only}"));
    assert_eq!(get(&format!("127.0.0.1:{only}"), "/livez").status, 200);
    assert!(TcpStream::connect(("::1", only)).is_err());
    leave(init);
}

#[test]
fn its_twin_and_no_door_without_it() {
    let address = loopback();
    let init = Bench::new(&[]).variable("RESTARTINIT_HTTP", &address).run(&["up", "obey"]);
    init.out("up 1");
    assert_eq!(get(&address, "/livez").status, 200);
    leave(init);
    assert!(TcpStream::connect(&address).is_err(), "gone with the init");
}

/// It is open before the command runs: its first act may be to ask.
#[test]
fn it_is_open_before_the_first_generation() {
    let address = loopback();
    let init = serving(&[], &address);
    assert!(is_open(&address));
    leave(init);
}

#[test]
fn a_port_in_use_is_an_error_before_the_first_spawn() {
    for host in ["127.0.0.1", "[::1]"] {
        let address = format!("{host}:{}", free_port());
        let holder = TcpListener::bind(&address).expect("a free port");
        let end = Bench::new(&["--http", &address]).run(&["up", "exit 0"]).end();
        refused(&end, &[&address, "in use"]);
        assert!(end.log[0].to_lowercase().contains("--http"), "it names what to change: {end:?}");
        drop(holder);
    }
    // A bare port of which one family is taken.
    let port = free_port();
    let holder = TcpListener::bind(("0.0.0.0", port)).expect("a free port");
    let end = Bench::new(&["--http", &port.to_string()]).run(&["up", "exit 0"]).end();
    refused(&end, &[&port.to_string(), "in use"]);
    drop(holder);
}

#[test]
fn a_port_that_one_may_not_have_is_an_error_before_the_first_spawn() {
    let scratch = support::Scratch::new();
    let program = scratch.copy(&support::init(), "restartinit");
    let command = scratch.copy(&support::fixture(), "fixture");
    // Ports below this number are root's; a machine may have set it to 0.
    let setting = std::fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start").expect("the setting");
    let first: u16 = setting.trim().parse().expect("a number");
    // In the user namespace of an ordinary user, root is that user where ports are concerned.
    // SAFETY: no precondition.
    let scene: &[&str] = if unsafe { libc::geteuid() } == 0 { &["user 54321"] } else { &[] };
    let bench = Bench::new(&["--http", "127.0.0.1:81"]).program(program).scene(scene);
    let end = bench.command([command.as_str(), "up", "exit 0"]).end();
    if first > 81 {
        refused(&end, &["127.0.0.1:81", "ermission denied"]);
        assert!(end.log[0].contains("1024") || end.log[0].contains("port"), "it says what to do: {end:?}");
    } else {
        assert_eq!(end.code, Some(0), "{end:?}");
    }
}

#[test]
fn an_address_of_another_machine_is_an_error_before_the_first_spawn() {
    let address = format!("192.0.2.1:{}", free_port());
    refused(&Bench::new(&["--http", &address]).run(&["up", "exit 0"]).end(), &[&address]);
}

/// A container that is restarted at once finds connections of the last life in TIME_WAIT.
#[test]
fn the_port_is_free_again_at_once() {
    let address = loopback();
    for _ in 0..3 {
        let init = serving(&[], &address);
        assert_eq!(get(&address, "/livez").status, 200);
        leave(init);
    }
}

/// The command gets no descriptor of it, and may not inherit the port over a restart.
#[test]
fn the_command_has_no_part_in_it() {
    let address = loopback();
    let mut init = Bench::new(&["--http", &address]).run(&["up", "show descriptors", "obey"]);
    assert_eq!(init.out("descriptors:"), "descriptors: 0 1 2");
    let kept = connect(&address);
    assert_eq!(get(&address, "/livez").status, 200);
    init.tell("exit 3");
    init.out("up 2");
    assert_eq!(init.out("descriptors:"), "descriptors: 0 1 2");
    drop(kept);
    init.tell("exit 0");
    assert_eq!(init.exit_code(), 0);
}
