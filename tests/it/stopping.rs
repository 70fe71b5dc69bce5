//! Stopping: a stop signal ends supervision, wherever it meets it, and no generation begins after it.
//! Grace period and drain delay are in stop_timing.rs.

use crate::support;

use support::{Bench, Place, RTMIN, name};

/// What tini, dumb-init and catatonit promise too.
mod common {
    use super::*;
    use support::plain;

    const STOPS: [i32; 3] = [libc::SIGTERM, libc::SIGINT, libc::SIGQUIT];

    #[test]
    fn a_command_that_dies_of_the_stop() {
        for signal in STOPS {
            let mut init = plain().run(&["up", "pause"]);
            init.out("up");
            init.signal(signal);
            assert_eq!(init.exit_code(), 128 + signal);
        }
    }

    #[test]
    fn a_command_that_handles_the_stop() {
        for (signal, code) in STOPS.into_iter().zip([0, 1, 42]) {
            let exit = format!("on {} exit {code}", name(signal));
            let mut init = plain().run(&[&exit, "up", "pause"]);
            init.out("up");
            init.signal(signal);
            assert_eq!(init.exit_code(), code);
        }
    }

    #[test]
    fn a_second_stop_is_forwarded_too() {
        let mut init = plain().run(&["catch TERM INT", "up", "wait INT", "exit 3"]);
        init.out("up");
        init.signal(libc::SIGTERM);
        init.out("got SIGTERM 1");
        init.signal(libc::SIGTERM);
        init.out("got SIGTERM 2");
        init.signal(libc::SIGINT);
        init.out("got SIGINT 1");
        assert_eq!(init.exit_code(), 3);
    }
}

#[test]
fn no_generation_follows_a_stop_whatever_the_policy_and_the_code() {
    for policy in ["on-failure", "always", "never"] {
        for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGQUIT] {
            for (ending, code) in [("exit 0", 0), ("exit 1", 1), ("die KILL", 137), ("die SEGV", 139)] {
                let mut init = Bench::new(&["--restart", policy]).run(&[&format!("on {} {ending}", name(signal)), "up", "pause"]);
                init.out("up 1");
                init.signal(signal);
                let end = init.end();
                assert_eq!(end.code, Some(code), "{policy} {ending}");
                assert_eq!(end.generations(), 1, "{policy} {ending}");
            }
        }
    }
}

#[test]
fn a_stop_ends_a_later_generation_likewise() {
    let mut init = Bench::new(&["--restart", "always"]).run(&["catch TERM", "up", "until 3 exit 1", "wait TERM", "exit 5"]);
    init.out("up 4");
    init.signal(libc::SIGTERM);
    let end = init.end();
    assert_eq!(end.code, Some(5));
    assert_eq!(end.generations(), 4);
}

#[test]
fn other_signals_are_forwarded_after_the_stop_too() {
    let mut init = Bench::new(&[]).run(&["catch TERM USR1", "up", "wait USR1", "exit 3"]);
    init.out("up 1");
    init.signal(libc::SIGTERM);
    init.out("got SIGTERM 1");
    init.signal(libc::SIGUSR1);
    assert_eq!(init.exit_code(), 3);
}

#[test]
fn a_stop_before_the_handler_is_a_stop() {
    for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGQUIT] {
        let mut init = Bench::new(&["-v", "--restart", "always"]).run(&["up", "pause"]);
        init.out("up 1");
        init.signal(signal);
        let end = init.end();
        assert_eq!(end.code, Some(128 + signal));
        assert_eq!(end.logged("stopped: ").len(), 1, "{:?}", end.log);
        assert_eq!(end.generations(), 1);
    }
}

/// A stop that is there before restartinit has done anything: it waits in the mask that was inherited, and must not be lost.
#[test]
fn a_stop_from_before_the_start_is_obeyed() {
    for signal in [libc::SIGTERM, libc::SIGINT] {
        let sender = format!("child plain signal-parent {}", name(signal));
        let mut init = Bench::new(&["--restart", "always"]).scene(&["block TERM INT", &sender]).run(&["up", "pause"]);
        let end = init.end();
        assert_eq!(end.code, Some(128 + signal));
        assert!(end.generations() <= 1, "{end:?}");
    }
}

#[test]
fn a_stop_in_the_backoff_exits_at_once_with_the_last_code() {
    for (ending, code) in [("exit 3", 3), ("die KILL", 137)] {
        for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGQUIT] {
            let mut init = Bench::new(&["-v", "--backoff", "1h", "--backoff-max", "1h"]).run(&["up", ending]);
            init.log("restart 2 of 5 in");
            init.signal(signal);
            let end = init.end();
            assert_eq!(end.code, Some(code));
            assert_eq!(end.generations(), 2);
            assert_eq!(end.logged("stopped: ").len(), 1, "{:?}", end.log);
        }
    }
}

/// Between two generations restartinit may be waiting for leftovers. The stop counts there as well.
#[test]
fn a_stop_while_leftovers_are_ended_is_not_followed_by_a_restart() {
    let mut init = Bench::new(&["-v", "--leftover-timeout", "3s"]).run(&["child session catch TERM / pause", "up", "exit 3"]);
    init.out("got SIGTERM 1");
    init.signal(libc::SIGTERM);
    let end = init.end();
    assert_eq!(end.code, Some(3));
    assert_eq!(end.generations(), 1);
    assert_eq!(end.logged("stopped: ").len(), 1, "{:?}", end.log);
}

#[test]
fn a_stop_ends_leftovers_before_the_exit() {
    let mut init = Bench::new(&[]).place(Place::Hosted).run(&[
        "child session on TERM exit 0 / pause",
        "child daemon ignore TERM / pause",
        "on TERM exit 3",
        "up",
        "pause",
    ]);
    init.out("up 1");
    init.signal(libc::SIGTERM);
    init.out("got SIGTERM");
    assert_eq!(init.out("left behind:"), "left behind: none");
    assert_eq!(init.exit_code(), 3);
}

#[test]
fn stop_signals_can_be_chosen() {
    let options = ["--stop-signals", "RTMIN+3,HUP", "--restart", "always"];
    for signal in [RTMIN + 3, libc::SIGHUP] {
        let mut init = Bench::new(&options).run(&["up", "pause"]);
        init.out("up 1");
        init.signal(signal);
        let end = init.end();
        assert_eq!(end.code, Some(128 + signal));
        assert_eq!(end.generations(), 1);
    }
    for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGQUIT] {
        // In its first second the command is spared what is no stop.
        let mut init = Bench::new(&options).run(&["at 1 sleep 1200", "up", "show last-exit", "from 2 obey", "pause"]);
        init.out("up 1");
        init.signal(signal);
        init.out("up 2");
        assert_eq!(init.out("last-exit:"), format!("last-exit: {}", name(signal)));
    }
}

/// Docker's STOPSIGNAL may be anything: as a stop it needs no default action that kills.
#[test]
fn a_stop_signal_that_kills_nothing_by_default_is_one_all_the_same() {
    let mut init = Bench::new(&["--stop-signals", "WINCH"]).run(&["on WINCH exit 1", "up", "pause"]);
    init.out("up 1");
    init.signal(libc::SIGWINCH);
    let end = init.end();
    assert_eq!(end.code, Some(1));
    assert_eq!(end.generations(), 1);
}

#[test]
fn an_ordinary_process_stops_likewise() {
    let mut init = Bench::new(&["--restart", "always"]).place(Place::Hosted).run(&["up", "pause"]);
    init.out("up 1");
    init.signal(libc::SIGTERM);
    init.out("init exited with 143");
    assert_eq!(init.out("left behind:"), "left behind: none");
}
