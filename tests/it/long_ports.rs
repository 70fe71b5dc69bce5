//! Restarts of every kind, again and again, with a held port: nothing is gained. A hundred of each here, a thousand with
//! `RESTARTINIT_LONG=1`. The fixture speaks Node's wire, since Node itself would take minutes.

use crate::serving;
use crate::support;

use serving::{free_port, is_refused};
use std::time::Duration;
use support::{Bench, Running, children, descriptors, is_long, kilobytes};

const OPTIONS: [&str; 7] = ["-v", "--max-restarts", "100000", "--restart-window", "0", "--backoff", "0"];

/// By what an allocator grows at once, in KiB: once, however many restarts there are.
const STEP: u64 = 136;

fn count() -> u32 {
    if is_long() { 1000 } else { 100 }
}

fn start(option: &str, port: u16) -> Running {
    let options: Vec<&str> = OPTIONS.iter().copied().chain([option]).collect();
    let mut init = Bench::new(&options).run(&["on TERM exit 0", "up", &format!("wire listen {port}"), "obey"]);
    init.allow(Duration::from_secs(if is_long() { 600 } else { 1 }));
    init
}

/// What must not grow: descriptors, children, and the data segment in KiB.
fn measure(init: &mut Running) -> (usize, usize, u64) {
    let pid = init.init_pid();
    (descriptors(pid), children(pid).len(), kilobytes(pid, "VmData"))
}

/// Has this happen again and again, and sees that after the first tenth nothing is gained.
fn nothing_is_gained(what: &str, mut init: Running, port: u16, mut once: impl FnMut(&mut Running, u32)) {
    let mut tenths = Vec::new();
    for number in 1..=count() {
        once(&mut init, number);
        if number % (count() / 10) == 0 {
            tenths.push(measure(&mut init));
        }
    }
    println!("{} {what}: {tenths:?}", count());
    // What is there at one moment and not at another: connections of verbs that have their answers, the other end of a channel while its
    // command is being spawned.
    let least = |of: &[(usize, usize, u64)]| of.iter().copied().reduce(|a, b| (a.0.min(b.0), a.1.min(b.1), a.2.min(b.2))).expect("some");
    let (early, late) = tenths.split_at(5);
    let (before, after) = (least(early), least(late));
    let gained = after.0 > before.0 || after.1 > before.1 || after.2 > before.2 + STEP;
    assert!(!gained, "descriptors, children, KiB: {tenths:?}");
    assert!(tenths.iter().all(|(descriptors, ..)| *descriptors <= before.0 + 4), "{tenths:?}");
    assert_eq!(init.status()["restarts"]["remaining"].as_u64().map(|left| left > 90_000), Some(true));
    init.signal(libc::SIGTERM);
    assert_eq!(init.exit_code(), 0);
    assert!(is_refused(port));
}

#[test]
fn crashes() {
    let port = free_port();
    let init = start("--hold-port", port);
    init.out("listening");
    nothing_is_gained("crashes", init, port, |init, _| {
        init.tell("exit 1");
        init.out("listening");
    });
}

#[test]
fn promotions() {
    let port = free_port();
    let init = start("--standby", port);
    init.out("listening");
    init.log("waits as standby");
    nothing_is_gained("promotions", init, port, |init, _| {
        init.tell("exit 1");
        init.log("takes over");
        init.out("listening");
        init.log("waits as standby");
    });
}

#[test]
fn standbys_that_die_waiting() {
    let port = free_port();
    let init = start("--standby", port);
    init.out("listening");
    nothing_is_gained("deaths of a standby", init, port, |init, number| {
        let up = init.out(&format!("up {}", number + 1));
        init.log("waits as standby");
        serving::kill(init, &up);
        init.log("the next one in");
        // Measured with the next one there.
        let pid = init.init_pid();
        init.until("the next one", || children(pid).len() == 2);
    });
}

#[test]
fn planned_restarts() {
    let port = free_port();
    let init = start("--hold-port", port);
    init.out("listening");
    nothing_is_gained("planned restarts", init, port, |init, _| {
        let said = init.verb(&["restart"]);
        assert_eq!(said.code, Some(0), "{said:?}");
        init.log("retired");
    });
}

#[test]
fn planned_restarts_that_fail() {
    let port = free_port();
    let options: Vec<&str> = OPTIONS.iter().copied().chain(["--hold-port"]).collect();
    let mut init = Bench::new(&options).run(&["on TERM exit 0", "from 2 exit 1", "up", &format!("wire listen {port}"), "obey"]);
    init.allow(Duration::from_secs(if is_long() { 600 } else { 1 }));
    init.out("listening");
    nothing_is_gained("planned restarts that fail", init, port, |init, _| {
        assert_eq!(init.verb(&["restart"]).code, Some(1));
    });
}

/// Another port in each generation: the one before is let go in the end.
#[test]
fn ports_that_change() {
    let port = free_port();
    let mut init = Bench::new(&OPTIONS.iter().copied().chain(["--hold-port"]).collect::<Vec<_>>()).run(&["on TERM exit 0", "up", "obey"]);
    init.allow(Duration::from_secs(if is_long() { 600 } else { 100 }));
    init.out("up 1");
    let mut other = port;
    // More than are held at a time.
    for _ in 0..count() + 50 {
        other = free_port();
        init.tell(&format!("wire listen {other}"));
        init.out(&format!("listening {other}"));
        init.tell("exit 1");
        init.out("up");
    }
    let port = free_port();
    init.tell(&format!("wire listen {port}"));
    init.out(&format!("listening {port}"));
    let pid = init.init_pid();
    // The last one has a minute to ask for what the others had.
    init.until("only what is listened on is held", || is_refused(other) && descriptors(pid) < 20);
    assert!(!is_refused(port));
    init.signal(libc::SIGTERM);
    assert_eq!(init.exit_code(), 0);
}
