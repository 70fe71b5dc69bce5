//! `--standby`, `restartinit restart` and `--stop-by drain`: whoever takes over is there before it is needed, and whoever leaves finishes
//! what it has begun.

use crate::serving;
use crate::support;

use serde_json::Value;
use serving::{Node, app, commands, connect, free_port, get, hang_up, is_refused, kill, last_word, nodes, outside, send_request};
use std::net::{IpAddr, Ipv4Addr, TcpStream};
use support::{Bench, Running, Scratch};

const HOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

fn start(options: &[&str], node: &Node, arguments: &[&str]) -> Running {
    bench(options).command([node.binary.as_str(), &app("held_ports/app.js")].iter().chain(arguments))
}

fn bench(options: &[&str]) -> Bench {
    options.iter().fold(Bench::new(&["-v", "--backoff", "0"]), |bench, option| bench.option(*option))
}

/// The fixture as an app with one port, whose statements these are once it listens. It leaves when it is asked to.
fn fake(options: &[&str], port: u16, statements: &[&str]) -> Running {
    let listen = format!("wire listen {port}");
    bench(options).run(&[&["up", "show role", &listen], statements].concat())
}

fn waits(init: &Running, generation: u32) {
    init.log(&format!("generation {generation} (pid "));
    let line = init.log("waits as standby");
    assert!(line.contains(&format!("generation {generation} ")), "{line}");
}

/// Waits until the first generation, which was asked to go, accepts nobody any more: until then it may be the one that answers. Nobody is
/// refused. Whom it has accepted it answers, but for those that it cuts off by its own `server.close()`, as Node 26 does, and says so.
/// Gives back what the new one says.
fn new_answer(init: &Running, port: u16) -> String {
    loop {
        assert!(!init.late(), "the deadline passed: the old one has stopped accepting");
        match serving::ask(connect((HOST, port)).expect("nobody is refused"), "/") {
            Ok(text) if text != "1" => return text,
            Ok(_) => {}
            Err(error) => {
                println!("{error}");
                assert_eq!(init.out("cut off"), "cut off 1");
            }
        }
    }
}

fn answers(init: &Running, port: u16, generation: u32) {
    // The first one accepts beside it until it has come to its stop.
    (0..10).for_each(|_| assert_eq!(new_answer(init, port), generation.to_string()));
}

/// A request that the first generation has and does not answer yet.
fn in_flight(init: &Running, port: u16) -> TcpStream {
    let mut stream = connect((HOST, port)).expect("a connection");
    send_request(&mut stream, "/hold").expect("it is sent");
    init.out("holding 1");
    stream
}

/// The numbers of the generations that have this role.
fn with_role(status: &Value, role: &str) -> Vec<u64> {
    let generations = status["generations"].as_array().expect("a list");
    generations
        .iter()
        .filter(|generation| generation["role"] == role)
        .map(|generation| generation["generation"].as_u64().expect("a number"))
        .collect()
}

#[test]
fn a_standby_takes_over_with_all_the_sockets() {
    for node in nodes() {
        let [one, two] = [free_port(), free_port()];
        let mut init = start(&["--standby"], node, &["plain", &one.to_string(), &two.to_string()]);
        let mut up = init.out("up 1");
        init.out("role active");
        for generation in 2..=4 {
            let next = init.out(&format!("up {generation}"));
            init.out("role standby");
            waits(&init, generation);
            let before = (generation - 1).to_string();
            assert_eq!((get(HOST, one, "/"), get(HOST, two, "/")), (before.clone(), before), "{}", node.version);
            kill(&mut init, &up);
            let text = generation.to_string();
            // Nobody is refused; the one that is killed may have accepted the first in its last moment.
            let asked = || serving::ask(connect((HOST, one)).expect("nobody is refused"), "/");
            init.until("it answers", || asked().is_ok_and(|answer| answer == text));
            assert_eq!(get(HOST, two, "/"), text);
            let line = init.log("restart ");
            assert!(line.contains(&format!("generation {generation} takes over")), "{line}");
            up = next;
        }
        init.signal(libc::SIGTERM);
        assert_eq!(init.exit_code(), 0);
    }
}

#[test]
fn without_it_nobody_has_a_role() {
    let mut init = Bench::new(&["--hold-port"]).variable("RESTARTINIT_ROLE", "standby").run(&["show role"]);
    init.out("role: unset");
    assert_eq!(init.exit_code(), 0);
}

#[test]
fn one_that_dies_waiting_is_replaced_and_never_touches_the_service() {
    let port = free_port();
    let mut init = fake(&["--standby", "--max-restarts", "1"], port, &["wire serve", "wire serve", "exit 3"]);
    init.out("up 1");
    for generation in 2..=8 {
        let up = init.out(&format!("up {generation}"));
        waits(&init, generation);
        kill(&mut init, &up);
        let line = init.log("standby generation");
        assert!(line.contains("SIGKILL") && line.contains("the next one in"), "{line}");
    }
    waits(&init, 9);
    let status = init.status();
    assert_eq!((&status["restarts"]["used"], &status["generation"], &status["ready"]), (&0.into(), &1.into(), &true.into()), "{status}");
    assert_eq!(get(HOST, port, "/"), "1");
    assert_eq!(get(HOST, port, "/"), "1");
    let line = init.log("restart 1 of 1");
    assert!(line.contains("generation 9 takes over"), "{line}");
    assert_eq!(get(HOST, port, "/"), "9");
}

/// With a wait that grows, however often.
#[test]
fn one_that_cannot_boot_never_touches_the_service() {
    let port = free_port();
    let listen = format!("at 1 wire listen {port}");
    let options = ["--standby", "--max-restarts", "1", "--backoff", "4ms", "--backoff-max", "20ms"];
    let mut init = bench(&options).run(&["up", &listen, "from 2 exit 1", "wire serve", "pause"]);
    init.out("up 6");
    let line = init.log("no standby beside generation 1 any more");
    assert!(line.ends_with("5 in a row have ended before they were needed"), "{line}");
    let status = init.status();
    assert_eq!((&status["restarts"]["used"], &status["generation"]), (&0.into(), &1.into()), "{status}");
    assert_eq!(get(HOST, port, "/"), "1");
}

#[test]
fn one_that_still_boots_is_awaited() {
    for node in nodes() {
        let scratch = Scratch::new();
        let folder = scratch.path("");
        let port = free_port();
        let bench = bench(&["--standby"]).variable("GATE", folder.trim_end_matches('/'));
        let mut init = bench.command([&node.binary, &app("held_ports/app.js"), "plain", &port.to_string()]);
        let up = init.out("up 1");
        init.out("up 2");
        kill(&mut init, &up);
        let line = init.log("restart 1 of 5");
        assert!(line.contains("generation 2 takes over"), "{line}");
        let stream = connect((HOST, port)).expect("held");
        assert_eq!(commands(&mut init).len(), 1, "nobody else is started");
        std::fs::write(scratch.path("boot-2"), "").expect("a file");
        assert_eq!(serving::ask(stream, "/").expect("an answer"), "2");
        init.out("up 3");
        init.out("role standby");
    }
}

#[test]
fn the_status_shows_it() {
    let port = free_port();
    let mut init = fake(&["--standby"], port, &["wire serve", "exit 1"]);
    init.out("up 1");
    // It serves before anybody else boots.
    init.out("listening");
    init.out("up 2");
    waits(&init, 2);
    let status = init.status();
    assert_eq!((with_role(&status, "active"), with_role(&status, "standby")), (vec![1], vec![2]), "{status}");
    assert_eq!(status["state"], "running", "{status}");
    let said = init.verb(&["status"]);
    assert!(said.out.contains("generation 2 (pid ") && said.out.contains("standby"), "{said:?}");
    assert_eq!(get(HOST, port, "/"), "1");
    let status = init.status_with("it has taken over", |status| with_role(status, "standby") == [3]);
    assert_eq!(with_role(&status, "active"), [2], "{status}");
    assert_eq!(status["restarts"]["used"], 1, "{status}");
}

#[test]
fn a_stop_ends_all_and_the_code_is_the_active_ones() {
    for (signal, ending, code) in
        [(libc::SIGTERM, "on TERM exit 7", 7), (libc::SIGINT, "on INT exit 0", 0), (libc::SIGTERM, "default TERM", 143)]
    {
        let port = free_port();
        let mut init = bench(&["--standby"]).run(&["up", &format!("wire listen {port}"), ending, "obey"]);
        init.out("up 2");
        waits(&init, 2);
        init.signal(signal);
        let end = init.end();
        assert_eq!((end.code, end.generations()), (Some(code), 2), "{end:?}");
        assert_eq!(end.logged("stopped: ").len(), 1, "{end:?}");
        assert!(end.logged("leftover").is_empty() && is_refused(port), "{end:?}");
    }
}

/// One that ignores what asks it to go does not hold up the end for ever.
#[test]
fn a_standby_that_stays_is_killed() {
    let port = free_port();
    let listen = format!("wire listen {port}");
    let mut init =
        bench(&["--standby", "--leftover-timeout", "200ms"]).run(&["from 2 ignore TERM", "up", &listen, "on TERM exit 7", "obey"]);
    init.out("up 2");
    waits(&init, 2);
    init.signal(libc::SIGTERM);
    assert_eq!(init.exit_code(), 7);
}

#[test]
fn restarts_that_are_used_up_end_all() {
    let port = free_port();
    let mut init = fake(&["--standby", "--max-restarts", "2"], port, &["obey"]);
    for generation in 2..=4 {
        init.out(&format!("up {generation}"));
        waits(&init, generation);
        init.tell("exit 9");
    }
    let end = init.end();
    assert_eq!((end.code, end.generations()), (Some(9), 4), "{end:?}");
    assert_eq!(end.logged("restarts-exhausted: ").len(), 1, "{end:?}");
    assert!(is_refused(port));
}

#[test]
fn a_completed_command_ends_all() {
    let port = free_port();
    let mut init = fake(&["--standby"], port, &["obey"]);
    init.out("up 2");
    waits(&init, 2);
    init.tell("exit 0");
    let end = init.end();
    assert_eq!((end.code, end.generations(), end.logged("completed: ").len()), (Some(0), 2, 1), "{end:?}");
}

/// What the app reads as it starts may be what was changed: the one that waits has read the old.
#[test]
fn a_planned_restart_starts_a_fresh_process() {
    for node in nodes() {
        let port = free_port();
        let mut init = start(&["--standby"], node, &["plain", &port.to_string()]);
        init.out("up 2");
        waits(&init, 2);
        let said = init.verb(&["restart"]);
        assert_eq!((said.code, said.out.contains("generation 3 ")), (Some(0), true), "{said:?}");
        answers(&init, port, 3);
        init.out("up 4");
        waits(&init, 4);
        let status = init.status_with("the others are gone", |status| status["generations"].as_array().is_some_and(|all| all.len() == 2));
        assert_eq!((with_role(&status, "active"), with_role(&status, "standby")), (vec![3], vec![4]), "{status}");
        assert_eq!(status["restarts"]["used"], 0, "{status}");
        let end = {
            init.signal(libc::SIGTERM);
            init.end()
        };
        assert_eq!((end.code, end.said("serving 2")), (Some(0), false), "{end:?}");
    }
}

#[test]
fn where_the_new_one_fails_the_old_one_stays() {
    for node in nodes() {
        for standby in [&[][..], &["--standby"]] {
            let scratch = Scratch::new();
            let (port, broken) = (free_port(), scratch.path("broken"));
            let mut init =
                start(&[&["--hold-port", "--max-restarts", "1"], standby].concat(), node, &["breakable", &port.to_string(), &broken]);
            init.out("serving 1");
            if !standby.is_empty() {
                init.log("waits as standby");
            }
            std::fs::write(&broken, "").expect("a file");
            let said = init.verb(&["restart"]);
            assert!(said.complaint(1).contains("exited with code 1"), "{said:?}");
            let line = init.log("the planned restart");
            assert!(line.contains("failed") && line.contains("generation 1 goes on"), "{line}");
            assert_eq!(get(HOST, port, "/"), "1", "{}", node.version);
            let status = init.status();
            assert_eq!(
                (&status["restarts"]["used"], &status["ready"], &status["generation"]),
                (&0.into(), &true.into(), &1.into()),
                "{status}"
            );
            std::fs::remove_file(&broken).expect("it was there");
            let said = init.verb(&["restart"]);
            assert_eq!(said.code, Some(0), "{said:?}");
            let generation = new_answer(&init, port);
            assert!(said.out.contains(&format!("generation {generation} ")), "{said:?}");
        }
    }
}

#[test]
fn where_the_new_one_is_never_ready_the_old_one_stays() {
    for node in nodes() {
        let port = free_port();
        let mut init = start(&["--hold-port", "--wait-ready", "2s"], node, &["ready-once", &port.to_string()]);
        init.log("is ready after");
        let said = init.verb(&["restart"]);
        assert!(said.complaint(1).contains("not ready"), "{said:?}");
        assert_eq!(get(HOST, port, "/"), "1");
        let status = init.status();
        assert_eq!((&status["restarts"]["used"], &status["ready"]), (&0.into(), &true.into()), "{status}");
    }
}

/// The new one listens before the old one is asked to go, and that one finishes what it has begun.
#[test]
fn a_planned_restart_overlaps() {
    for node in nodes() {
        let port = free_port();
        let mut init = start(&["--hold-port"], node, &["plain", &port.to_string()]);
        let up = init.out("up 1");
        init.out("serving 1");
        let stream = in_flight(&init, port);
        assert_eq!(init.verb(&["restart"]).code, Some(0));
        answers(&init, port, 2);
        let status = init.status();
        assert_eq!((with_role(&status, "active"), with_role(&status, "retiring")), (vec![2], vec![1]), "{status}");
        // Only one at a time is on its way out.
        assert!(init.verb(&["restart"]).complaint(1).contains("has not ended yet"));
        let old = outside(&mut init, last_word(&up));
        // SAFETY: no pointer is passed.
        unsafe { libc::kill(old, libc::SIGUSR2) };
        assert_eq!(hang_up(stream).expect("an answer"), "1");
        let line = init.log("retired");
        assert!(line.contains("generation 1 ") && line.contains("code 0"), "{}: {line}", node.version);
        assert_eq!(commands(&mut init).len(), 1);
    }
}

#[test]
fn without_a_held_port_a_planned_restart_is_one_after_the_other() {
    let node = &nodes()[0];
    let port = free_port();
    let mut init = start(&[], node, &["plain", &port.to_string()]);
    init.out("serving 1");
    assert_eq!(init.verb(&["restart"]).code, Some(0));
    init.out("serving 2");
    assert_eq!(get(HOST, port, "/"), "2");
}

/// No line of shutdown code, and a request in flight.
#[test]
fn a_drain_at_a_stop_answers_what_is_in_flight() {
    for node in nodes() {
        let [one, two] = [free_port(), free_port()];
        let mut init = start(&["--stop-by", "drain"], node, &["careless", &one.to_string(), &two.to_string()]);
        init.out("serving 1");
        let stream = in_flight(&init, one);
        init.signal(libc::SIGTERM);
        init.until("it accepts nobody", || is_refused(one) && is_refused(two));
        init.signal(libc::SIGUSR2);
        assert_eq!(hang_up(stream).expect("an answer"), "1", "{}", node.version);
        let end = init.end();
        assert_eq!((end.code, end.logged("stopped: ").len()), (Some(0), 1), "{}: {end:?}", node.version);
    }
}

#[test]
fn a_drain_at_a_planned_restart_answers_what_is_in_flight() {
    for node in nodes() {
        let port = free_port();
        let mut init = start(&["--stop-by", "drain"], node, &["careless", &port.to_string()]);
        let up = init.out("up 1");
        init.out("serving 1");
        let stream = in_flight(&init, port);
        assert_eq!(init.verb(&["restart"]).code, Some(0));
        answers(&init, port, 2);
        let old = outside(&mut init, last_word(&up));
        // SAFETY: no pointer is passed.
        unsafe { libc::kill(old, libc::SIGUSR2) };
        assert_eq!(hang_up(stream).expect("an answer"), "1", "{}", node.version);
        let line = init.log("retired");
        assert!(line.contains("generation 1 ") && line.contains("code 0"), "{}: {line}", node.version);
    }
}

/// A request that never ends: the signal that follows shortly before the end of the grace period does.
#[test]
fn a_drain_has_a_grace_period() {
    let node = &nodes()[0];
    let port = free_port();
    let mut init = start(&["--stop-by", "drain", "--grace-period", "1500ms"], node, &["careless", &port.to_string()]);
    init.out("serving 1");
    let _stream = in_flight(&init, port);
    init.signal(libc::SIGTERM);
    let end = init.end();
    assert_eq!((end.code, end.logged("grace period").len()), (Some(143), 0), "{end:?}");
}

/// One that holds no port has nothing to drain: the signal does it.
#[test]
fn what_cannot_drain_is_stopped_by_the_signal() {
    let mut init = bench(&["--stop-by", "drain"]).run(&["on TERM exit 4", "up", "obey"]);
    init.out("up 1");
    init.signal(libc::SIGTERM);
    assert_eq!(init.exit_code(), 4);
}
