//! `--listen`: sockets that are bound before the command runs, handed to every generation as systemd hands them over.

use crate::serving;
use crate::support;

use serving::{app, ask, commands, connect, free_port, get, get_unix, nodes};
use std::net::{Ipv4Addr, Ipv6Addr, TcpListener};
use std::os::unix::net::UnixListener;
use support::settings::refused;
use support::{Bench, Running, Scratch, Stream};

/// Four sockets of every kind, with what `show sockets` says of them.
fn four(scratch: &Scratch) -> (Vec<String>, String) {
    let [any, four, six] = [free_port(), free_port(), free_port()];
    let path = scratch.path("app.sock");
    let addresses = vec![any.to_string(), format!("127.0.0.1:{four}"), format!("[::1]:{six}"), format!("unix:{path}")];
    let shown = format!("sockets: 3 tcp [::]:{any} | 4 tcp 127.0.0.1:{four} | 5 tcp [::1]:{six} | 6 unix {path}");
    (addresses, shown)
}

fn listening(addresses: &[String]) -> Bench {
    addresses.iter().fold(Bench::new(&[]), |bench, address| bench.option("--listen").option(address))
}

/// The value of a variable in the last environment that was shown.
fn variable(init: &Running, name: &str) -> Option<String> {
    let lines = init.lines(Stream::Out);
    let from = lines.iter().rposition(|line| line.starts_with("up ")).expect("a generation");
    let start = format!("variable: {name}=");
    lines[from..].iter().find_map(|line| line.strip_prefix(&start).map(str::to_owned))
}

/// Which socket a descriptor of a process is.
fn identity(pid: i32, descriptor: i32) -> String {
    std::fs::read_link(format!("/proc/{pid}/fd/{descriptor}")).expect("a descriptor").display().to_string()
}

#[test]
fn sockets_come_in_order_and_are_the_same_in_every_generation() {
    let scratch = Scratch::new();
    let (addresses, shown) = four(&scratch);
    let mut init = listening(&addresses).run(&["up", "show descriptors sockets pid environment", "obey"]);
    let mut sockets = Vec::new();
    for generation in 1..=4 {
        init.out(&format!("up {generation}"));
        assert_eq!(init.out("descriptors:"), "descriptors: 0 1 2 3 4 5 6", "these and nothing else");
        assert_eq!(init.out("sockets:"), shown);
        let pid = init.out("pid:").replace("pid: ", "");
        init.out("variables: end");
        assert_eq!(variable(&init, "LISTEN_FDS").as_deref(), Some("4"));
        assert_eq!(variable(&init, "LISTEN_PID"), Some(pid), "the command's own");
        let names = variable(&init, "LISTEN_FDNAMES").expect("names");
        assert_eq!(names.split(':').filter(|name| !name.is_empty()).count(), 4, "{names}");
        let command = commands(&mut init)[0];
        sockets.push([3, 4, 5, 6].map(|descriptor| identity(command, descriptor)));
        init.tell("exit 1");
    }
    assert!(sockets.iter().all(|each| *each == sockets[0]), "{sockets:?}");
}

#[test]
fn a_child_of_the_command_is_not_its_addressee() {
    let port = free_port().to_string();
    let mut init =
        Bench::new(&["--listen", &port]).command(["sh", "-c", "echo \"$LISTEN_PID $$\"; sh -c 'echo \"$LISTEN_PID $$\"'; exit 0"]);
    let end = init.end();
    let pairs: Vec<Vec<&str>> = end.out.iter().map(|line| line.split(' ').collect()).collect();
    assert_eq!(pairs[0][0], pairs[0][1], "{end:?}");
    assert_ne!(pairs[1][0], pairs[1][1], "{end:?}");
}

#[test]
fn without_it_the_variables_are_left_alone() {
    let mut init = Bench::new(&[]).variable("LISTEN_FDS", "7").variable("LISTEN_PID", "1").run(&["up", "show environment descriptors"]);
    assert_eq!(init.exit_code(), 0);
    assert_eq!(variable(&init, "LISTEN_FDS").as_deref(), Some("7"));
    assert!(init.lines(Stream::Out).contains(&"descriptors: 0 1 2".to_owned()));
}

/// Descriptors that restartinit was started with may have the numbers that the command needs; and an outer manager's variables are not
/// the command's.
#[test]
fn what_restartinit_was_given_is_not_in_the_way() {
    let scratch = Scratch::new();
    let (addresses, shown) = four(&scratch);
    let bench = listening(&addresses).scene(&["open 3", "open 5", "open 9"]).variable("LISTEN_FDS", "1").variable("LISTEN_PID", "1");
    let mut init = bench.run(&["up", "show sockets environment", "obey"]);
    for _ in 0..2 {
        assert_eq!(init.out("sockets:"), shown);
        init.out("variables: end");
        assert_eq!(variable(&init, "LISTEN_FDS").as_deref(), Some("4"));
        init.tell("exit 1");
    }
}

#[test]
fn it_is_repeatable_and_its_twin_is_a_list() {
    let [one, two, three] = [free_port(), free_port(), free_port()];
    let list = format!("{one},127.0.0.1:{two}");
    let shown = format!("sockets: 3 tcp [::]:{one} | 4 tcp 127.0.0.1:{two}");
    for bench in [Bench::new(&[]).variable("RESTARTINIT_LISTEN", &list), Bench::new(&["--listen", &list])] {
        let end = bench.run(&["show sockets"]).end();
        assert_eq!(end.out.join("\n"), shown, "{end:?}");
    }
    let flag = three.to_string();
    let end = Bench::new(&["--listen", &flag]).variable("RESTARTINIT_LISTEN", &list).run(&["show sockets"]).end();
    assert_eq!(end.out, [format!("sockets: 3 tcp [::]:{three}")], "the flag wins");
}

#[test]
fn clients_are_queued_while_nobody_runs() {
    let scratch = Scratch::new();
    let (port, path) = (free_port(), scratch.path("app.sock"));
    let list = format!("{port},unix:{path}");
    let options = ["--backoff", "1h", "--backoff-max", "1h", "--listen", &list];
    let mut init = Bench::new(&options).run(&["up", "until 2 exit 3", "accept 3", "accept 3", "accept 4", "obey"]);
    init.log("restart 2 of 5 in");
    assert!(commands(&mut init).is_empty(), "nobody runs");
    let four = connect((Ipv4Addr::LOCALHOST, port)).expect("a queue");
    let six = connect((Ipv6Addr::LOCALHOST, port)).expect("a queue");
    let local = std::os::unix::net::UnixStream::connect(&path).expect("a queue");
    assert_eq!(init.verb(&["restart"]).code, Some(0), "it ends the wait");
    assert_eq!(ask(four, "/").expect("an answer"), "3");
    assert_eq!(ask(six, "/").expect("an answer"), "3");
    assert_eq!(ask(local, "/").expect("an answer"), "3");
}

#[test]
fn what_cannot_be_bound_is_told_before_anything_runs() {
    let scratch = Scratch::new();
    let holder = TcpListener::bind("127.0.0.1:0").expect("a port");
    let in_use = holder.local_addr().expect("its address");
    let path = scratch.path("app.sock");
    let _path_holder = UnixListener::bind(&path).expect("a path");
    let twice = free_port();
    for (address, told) in [
        (in_use.to_string(), "in use"),
        (in_use.port().to_string(), "in use"),
        (format!("unix:{path}"), "in use"),
        (format!("{twice},{twice}"), "in use"),
        ("192.0.2.1:3000".to_owned(), "not available"),
    ] {
        let end = Bench::new(&["--listen", &address]).run(&["up"]).end();
        let named = address.split(',').next().expect("an address");
        refused(&end, &[named, told]);
    }
}

#[test]
fn what_is_not_permitted_is_told_before_anything_runs() {
    // Without CAP_NET_BIND_SERVICE.
    let bench = Bench::new(&["--listen", "127.0.0.1:81"]).scene(&["without-capability 10"]);
    refused(&bench.run(&["up"]).end(), &["127.0.0.1:81", "permission denied"]);
}

#[test]
fn what_is_no_address_is_a_usage_error() {
    for value in ["x", "0", "65536", "-1", "localhost:3000", "127.0.0.1", "127.0.0.1:0", "[::1]", "::1:80", "unix:", "unix:relative", ""] {
        let end = Bench::new(&[&format!("--listen={value}")]).run(&["up"]).end();
        refused(&end, &["--listen", value]);
        let end = Bench::new(&[]).variable("RESTARTINIT_LISTEN", value).run(&["up"]).end();
        if !value.is_empty() {
            refused(&end, &["RESTARTINIT_LISTEN", value]);
        }
    }
}

#[test]
fn nothing_listens_once_it_has_ended() {
    let port = free_port();
    let mut init = Bench::new(&["--listen", &port.to_string()]).run(&["up", "pause"]);
    init.out("up 1");
    assert!(connect((Ipv4Addr::LOCALHOST, port)).is_ok());
    init.signal(libc::SIGTERM);
    assert_eq!(init.exit_code(), 143);
    assert!(serving::is_refused(port));
}

#[test]
fn node_listens_on_the_descriptor() {
    for node in nodes() {
        for options in [&[][..], &["--hold-port"], &["--ipc"]] {
            let port = free_port();
            let mut init = Bench::new(options).option(format!("--listen=127.0.0.1:{port}")).command([
                &node.binary,
                &app("held_ports/app.js"),
                "descriptor",
            ]);
            init.out("serving 1");
            assert_eq!(get(Ipv4Addr::LOCALHOST, port, "/"), "1");
            assert!(connect((Ipv4Addr::LOCALHOST, port)).and_then(|stream| ask(stream, "/exit/1")).is_err());
            // Whether or not the next one runs yet.
            assert_eq!(get(Ipv4Addr::LOCALHOST, port, "/"), "2", "{} {options:?}", node.version);
            init.signal(libc::SIGTERM);
            assert_eq!(init.exit_code(), 0, "{} {options:?}", node.version);
        }
    }
}

/// Stopped and started again in the same file system, as `docker restart` does it: the path is still there, and nobody listens.
#[test]
fn a_path_of_an_earlier_life_is_no_obstacle() {
    let scratch = Scratch::new();
    let path = scratch.path("app.sock");
    let address = format!("unix:{path}");
    for signal in [libc::SIGTERM, libc::SIGKILL, libc::SIGTERM] {
        let mut init = Bench::new(&["--listen", &address]).run(&["up", "accept 3", "pause"]);
        init.out("up 1");
        assert_eq!(get_unix(&path, "/"), "1");
        init.signal(signal);
        init.end();
    }
}

#[test]
fn a_folder_that_does_not_exist_is_told_as_such() {
    let scratch = Scratch::new();
    let address = format!("unix:{}", scratch.path("no/such/folder.sock"));
    let end = Bench::new(&["--listen", &address]).run(&["up"]).end();
    refused(&end, &[&address]);
    assert!(end.log[0].to_lowercase().contains("no such"), "it is not a matter of permission: {end:?}");
}
