//! Who is answered on the control socket, whom a verb believes, and that nothing which may be a secret is ever told.

use crate::support;

use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use support::web::{get, loopback, read_to_close};
use support::{Bench, Scratch, fixture, init};

const STRANGER: u32 = 54321;

/// The abstract name of a running one, without the numbers of its namespaces.
fn known_prefix() -> String {
    let mut init = Bench::new(&[]).run(&["up", "obey"]);
    init.out("up 1");
    let namespaces = init.namespaces();
    init.await_door().strip_suffix(&namespaces).expect("they come last").to_owned()
}

#[test]
fn there_is_no_file_and_one_socket() {
    let scratch = Scratch::new();
    let mut init = Bench::new(&[]).scene(&[&format!("chdir {}", scratch.path(""))]).run(&["up", "obey"]);
    init.out("up 1");
    let name = init.await_door();
    assert!(name.contains("restartinit"), "{name}");
    assert_eq!(std::fs::read_dir(scratch.path("")).expect("the folder").count(), 0);
}

#[test]
fn another_user_is_refused_and_told_so() {
    let scratch = Scratch::new();
    let program = scratch.copy(&init(), "restartinit");
    let mut init = Bench::new(&[]).run(&["catch TERM", "up", "obey"]);
    init.out("up 1");
    init.await_door();
    for verb in [&["restart"][..], &["status"], &["status", "--json"]] {
        let said = init.enter_as(STRANGER, &[&[program.as_str()], verb].concat());
        let line = said.complaint(1);
        assert!(line.contains("root") || line.contains("user"), "{said:?}");
    }
    assert_eq!(init.enter_as(STRANGER, &[&program, "health"]).code, Some(1));
    assert_eq!(init.verb(&["health"]).code, Some(0), "root is answered");
    init.tell("exit 0");
    let end = init.end();
    assert_eq!((end.generations(), end.signals().len()), (1, 0), "{end:?}");
}

/// restartinit as an ordinary user: that user and root are answered, nobody else.
#[test]
fn its_own_user_and_root_are_answered() {
    let scratch = Scratch::new();
    let program = scratch.copy(&init(), "restartinit");
    let command = scratch.copy(&fixture(), "fixture");
    let scene = format!("user {STRANGER}");
    let mut init =
        Bench::new(&[]).program(&program).scene(&[&scene]).command([command.as_str(), "on TERM exit 0", "up", "show uid", "obey"]);
    init.out(&format!("uid: {STRANGER}"));
    init.await_door();
    let said = init.enter_as(STRANGER, &[&program, "restart"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    init.out("up 2");
    let said = init.verb(&["restart"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    init.out("up 3");
    let said = init.enter_as(STRANGER + 1, &[&program, "restart"]);
    said.complaint(1);
    init.tell("exit 0");
    assert_eq!(init.end().generations(), 3);
}

/// This test itself is such a process: root, in the same network namespace, but in the PID namespace outside.
#[test]
fn another_pid_namespace_is_refused() {
    let mut init = Bench::new(&[]).run(&["catch TERM", "up", "obey"]);
    init.out("up 1");
    let name = SocketAddr::from_abstract_name(init.await_door()).expect("a name");
    for (method, path) in [("POST", "/restart"), ("GET", "/status"), ("GET", "/livez"), ("GET", "/metrics")] {
        let mut stream = UnixStream::connect_addr(&name).expect("it listens");
        stream.set_read_timeout(Some(std::time::Duration::from_secs(30))).expect("a limit");
        // It may have closed by then.
        let _ = stream.write_all(format!("{method} {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes());
        let told = String::from_utf8_lossy(&read_to_close(stream)).into_owned();
        assert!(told.is_empty() || told.starts_with("HTTP/1.1 403 "), "{told}");
        assert!(!told.contains("generation"), "{told}");
    }
    assert_eq!(init.status()["generation"], 1);
    init.tell("exit 0");
    let end = init.end();
    assert_eq!((end.generations(), end.signals().len()), (1, 0), "{end:?}");
}

/// Another user was there first and says that all is well. Nobody believes it, and restartinit is asked all the same.
#[test]
fn a_squatter_in_the_container_is_not_believed() {
    let squat = format!("child daemon user {STRANGER} / squat {} / pause", known_prefix());
    let mut init = Bench::new(&[]).scene(&[&squat]).run(&["up", "at 1 exit 3", "obey"]);
    init.out("squatting");
    init.out("up 2");
    // restartinit has taken another name, by which it is found.
    for (verb, told) in [(&["health"][..], ""), (&["status"], "generation 2"), (&["health", "--pid", "1"], "")] {
        let said = init.verb(verb);
        assert!(said.code == Some(0) && said.out.contains(told) && !said.out.contains("squatter"), "{said:?}");
    }
    init.tell("exit 0");
    let end = init.end();
    assert_eq!((end.code, end.generations()), (Some(0), 2), "{end:?}");
}

/// The same from another container of the pod, whose root is root here too.
#[test]
fn a_squatter_outside_is_not_believed() {
    let prefix = known_prefix();
    let mut init = Bench::new(&[]).scene(&["show namespace", "await-line"]).run(&["up", "at 1 exit 3", "obey"]);
    let told = init.out("namespace:");
    let numbers: Vec<&str> = told.split(|letter: char| !letter.is_ascii_digit()).filter(|number| !number.is_empty()).collect();
    let name = SocketAddr::from_abstract_name(format!("{prefix}{}", numbers.join("/"))).expect("a name");
    let squatter = UnixListener::bind_addr(&name).expect("nobody is there yet");
    let nobody_any_more = squatter.try_clone().expect("a duplicate");
    let answering = std::thread::spawn(move || {
        for mut client in squatter.incoming().map_while(Result::ok) {
            let _ = client.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nConnection: close\r\n\r\nsquatter\n");
        }
    });
    init.tell("taken");
    init.out("up 2");
    // restartinit has taken another name, by which it is found.
    for (verb, told) in [(&["health"][..], ""), (&["status"], "generation 2"), (&["health", "--pid", "1"], "")] {
        let said = init.verb(verb);
        assert!(said.code == Some(0) && said.out.contains(told) && !said.out.contains("squatter"), "{said:?}");
    }
    init.tell("exit 0");
    let end = init.end();
    assert_eq!((end.code, end.generations()), (Some(0), 2), "{end:?}");
    // The name is given back: the number is another namespace's soon.
    // SAFETY: it only looks at the descriptor.
    unsafe { libc::shutdown(nobody_any_more.as_raw_fd(), libc::SHUT_RDWR) };
    drop(nobody_any_more);
    answering.join().expect("it ends");
}

/// A value of the environment, an argument, and what a mistaken variable of restartinit's own holds.
#[test]
fn no_secret_is_told() {
    let secrets = ["in-the-environment-7c1d", "in-an-argument-9f3b", "in-a-twin-55e0"];
    for format in ["text", "json"] {
        let scratch = Scratch::new();
        let (address, log) = (loopback(), scratch.path("termination"));
        let options = ["-vv", "--log-format", format, "--http", &address, "--termination-log", &log, "--max-memory", "10G"];
        let argument = format!("at 99 {}", secrets[1]);
        let mut init = Bench::new(&options).variable("DATABASE_PASSWORD", secrets[0]).variable("RESTARTINIT_TOKEN", secrets[2]).run(&[
            "on TERM exit 0",
            "up",
            "orphans 1",
            &argument,
            "at 1 exit 3",
            "at 2 die ABRT",
            "obey",
        ]);
        init.out("up 3");
        let mut told = String::new();
        for verb in [&["status"][..], &["status", "--json"], &["health"], &["restart"]] {
            let said = init.verb(verb);
            assert_eq!(said.code, Some(0), "{said:?}");
            told += &(said.out + &said.err);
        }
        init.out("up 4");
        for path in ["/livez", "/readyz", "/status", "/metrics", "/", "/nope"] {
            told += &format!("{:?}", get(&address, path));
        }
        init.tell("exit 0");
        let end = init.end();
        assert_eq!(end.code, Some(0));
        told += &(end.log.join("\n") + &scratch.read("termination"));
        assert!(told.contains("generation") && told.len() > 5000, "all of it was searched: {told}");
        for secret in secrets {
            assert!(!told.contains(secret), "{secret}: {told}");
        }
    }
}

/// Also where the command cannot be run, which is a person's moment to print all that there is.
#[test]
fn no_secret_is_told_of_a_command_that_cannot_be_run() {
    let scratch = Scratch::new();
    let end = Bench::new(&["-vv", "--termination-log", &scratch.path("log")]).command(["/no/such/command", "secret-4f2a"]).end();
    assert_eq!(end.code, Some(127));
    let told = end.log.join("\n") + &scratch.read("log");
    assert!(told.contains("/no/such/command") && !told.contains("secret-4f2a"), "{told}");
}
