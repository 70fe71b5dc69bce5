//! The two waits of a stop: the drain delay before the signal is forwarded, the grace period after it.
//! Times are only ever checked from below: a wait must not be shorter than asked for.

use crate::support;

use std::time::{Duration, Instant};
use support::{Bench, Place, Running, Stream};

/// Sends the stop, and measures from before it.
fn stop(init: &mut Running) -> Instant {
    let sent = Instant::now();
    init.signal(libc::SIGTERM);
    sent
}

#[test]
fn the_stop_is_forwarded_after_the_drain_delay() {
    let mut init = Bench::new(&["--drain-delay", "400ms"]).run(&["catch TERM", "up", "wait TERM", "exit 3"]);
    init.out("up 1");
    let sent = stop(&mut init);
    init.out("got SIGTERM 1");
    assert!(sent.elapsed() >= Duration::from_millis(400));
    let end = init.end();
    assert_eq!(end.code, Some(3));
    assert_eq!(end.generations(), 1);
}

#[test]
fn a_second_stop_cuts_the_drain_delay_short() {
    for (second, both) in [(libc::SIGINT, true), (libc::SIGTERM, false)] {
        let mut init = Bench::new(&["-v", "--drain-delay", "1h"]).run(&["catch TERM INT", "up", "obey"]);
        init.out("up 1");
        init.signal(libc::SIGTERM);
        init.log("stop asked by SIGTERM");
        assert!(!init.lines(Stream::Out).iter().any(|line| line.starts_with("got")), "held back");
        init.signal(second);
        // The one that was held back, and the second one, in whatever order.
        let got = |name: &str| init.lines(Stream::Out).iter().any(|line| line.starts_with(&format!("got {name} ")));
        init.until("TERM arrives", || got("SIGTERM"));
        init.until("INT arrives", || !both || got("SIGINT"));
        init.tell("exit 3");
        assert_eq!(init.exit_code(), 3);
    }
}

#[test]
fn other_signals_are_forwarded_during_the_drain_delay() {
    let mut init = Bench::new(&["-v", "--drain-delay", "1h"]).run(&["catch TERM USR1", "up", "wait USR1", "exit 3"]);
    init.out("up 1");
    init.signal(libc::SIGTERM);
    init.log("stop asked by SIGTERM");
    init.signal(libc::SIGUSR1);
    let end = init.end();
    assert_eq!(end.code, Some(3));
    assert!(!end.said("got SIGTERM"), "{end:?}");
}

#[test]
fn a_crash_during_the_drain_delay_is_not_restarted() {
    for ending in ["exit 3", "die KILL"] {
        let mut init = Bench::new(&["-v", "--restart", "always", "--drain-delay", "1h"]).run(&["catch TERM", "up", "obey"]);
        init.out("up 1");
        init.signal(libc::SIGTERM);
        init.log("stop asked by SIGTERM");
        init.tell(ending);
        let end = init.end();
        assert_eq!(end.code, Some(if ending == "exit 3" { 3 } else { 137 }));
        assert_eq!(end.generations(), 1);
        assert!(!end.said("got SIGTERM"), "{end:?}");
        assert_eq!(end.logged("stopped: ").len(), 1, "{:?}", end.log);
    }
}

/// Every descendant, wherever it fled to; and at once: the leftovers' own time-out is far away.
#[test]
fn the_grace_period_ends_with_the_death_of_everything() {
    for leftovers in ["kill", "keep"] {
        let options = ["--grace-period", "300ms", "--leftover-timeout", "1h", "--leftovers", leftovers];
        let mut init = Bench::new(&options).place(Place::Hosted).run(&[
            "child plain ignore TERM / pause",
            "child group ignore TERM / pause",
            "child session ignore TERM / child plain pause / pause",
            "child daemon ignore TERM / pause",
            "child thread ignore TERM / pause",
            "ignore TERM",
            "up",
            "pause",
        ]);
        init.out("up 1");
        let sent = stop(&mut init);
        init.out("init exited with 137");
        assert!(sent.elapsed() >= Duration::from_millis(300));
        // What shall be kept otherwise is killed as well, but not waited for.
        let left = init.out("left behind:");
        assert!(leftovers == "keep" || left == "left behind: none", "{left}");
        init.out("alone");
        let end = init.end();
        assert_eq!(end.code, Some(137));
        assert_eq!(end.logged("did not end within the grace period of 300 ms: killed").len(), 1, "{:?}", end.log);
    }
}

#[test]
fn the_grace_period_bounds_the_leftovers_of_a_stop_too() {
    // The command itself must end within it, on a busy machine too.
    let options = ["--grace-period", "3s", "--leftover-timeout", "1h"];
    let mut init = Bench::new(&options).place(Place::Hosted).run(&["child session ignore TERM / pause", "on TERM exit 3", "up", "pause"]);
    init.out("up 1");
    init.signal(libc::SIGTERM);
    init.out("init exited with 3");
    assert_eq!(init.out("left behind:"), "left behind: none");
}

#[test]
fn the_grace_period_counts_from_the_forwarding() {
    // Long enough for the command to tell of the signal, on a busy machine too.
    let options = ["--drain-delay", "1s", "--grace-period", "2s"];
    let mut init = Bench::new(&options).run(&["catch TERM", "up", "pause"]);
    init.out("up 1");
    let sent = stop(&mut init);
    init.out("got SIGTERM 1");
    assert_eq!(init.exit_code(), 137);
    assert!(sent.elapsed() >= Duration::from_secs(3));
}

#[test]
fn a_command_that_ends_within_the_grace_period_is_not_killed() {
    let mut init = Bench::new(&["--grace-period", "1h"]).run(&["on TERM exit 3", "up", "pause"]);
    init.out("up 1");
    init.signal(libc::SIGTERM);
    let end = init.end();
    assert_eq!(end.code, Some(3));
    assert_eq!(end.logged("grace").len(), 0, "{:?}", end.log);
}

/// Only a stop starts it.
#[test]
fn the_grace_period_is_no_limit_for_a_run() {
    let mut init = Bench::new(&["--grace-period", "50ms"]).run(&["catch USR1", "up", "wait USR1", "sleep 300", "exit 0"]);
    init.out("up 1");
    init.signal(libc::SIGUSR1);
    assert_eq!(init.exit_code(), 0);
}

/// Off by default: whoever asked for the stop has a limit of its own.
#[test]
fn without_a_grace_period_the_command_has_all_the_time_it_takes() {
    let mut init = Bench::new(&[]).run(&["catch TERM", "up", "wait TERM", "sleep 500", "exit 3"]);
    init.out("up 1");
    init.signal(libc::SIGTERM);
    assert_eq!(init.exit_code(), 3);
}
