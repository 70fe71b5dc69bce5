//! A stop at a random moment around a start, a crash, a restart: never lost, never followed by a new generation.

use crate::support;

use std::time::{Duration, Instant};
use support::{Bench, End, Place, Running, children, status_field};

const TRIES: u32 = 200;

/// Some microseconds, different in every try and in every run.
fn moment(most: u64) -> Duration {
    use std::hash::{BuildHasher, RandomState};
    Duration::from_micros(RandomState::new().hash_one(0) % most)
}

/// Spins, since a sleep is far too coarse for what is aimed at here.
fn pass(time: Duration) {
    let until = Instant::now() + time;
    while Instant::now() < until {
        std::hint::spin_loop();
    }
}

/// A signal to PID 1 that it neither catches nor blocks is dropped by the kernel: only from here on can it be kept.
fn wait_until_term_is_safe(init: &mut Running) {
    let pid = init.init_pid();
    let has_term = |field| {
        let set = status_field(pid, field).and_then(|set| u64::from_str_radix(&set, 16).ok());
        set.is_some_and(|set| set & 1 << (libc::SIGTERM - 1) != 0)
    };
    // An init that waits with sigwait shows neither while it waits; by then its command is there.
    let safe = || has_term("SigCgt") || has_term("SigBlk") || !children(pid).is_empty();
    let deadline = Instant::now() + Duration::from_secs(20);
    while !safe() {
        assert!(Instant::now() < deadline, "TERM is never caught nor blocked");
    }
}

/// The log shows what was decided in which order.
fn nothing_began_after_the_stop(end: &End) {
    let asked = end.log.iter().position(|line| line.contains("stop asked by SIGTERM")).expect("the stop was noticed");
    let after = &end.log[asked..];
    assert!(!after.iter().any(|line| line.contains(") started")), "{end:?}");
}

#[test]
fn around_the_start() {
    for _ in 0..TRIES {
        let time = moment(1500);
        let mut init = Bench::new(&["-v", "--restart", "always"]).run(&["up", "pause"]);
        wait_until_term_is_safe(&mut init);
        pass(time);
        init.signal(libc::SIGTERM);
        let end = init.end();
        assert_eq!(end.code, Some(143), "after {time:?}: {end:?}");
        nothing_began_after_the_stop(&end);
    }
}

/// As an ordinary process it may die of the signal, where that came first. Its command must not be left then.
#[test]
fn around_the_start_of_an_ordinary_process() {
    for _ in 0..TRIES {
        let time = moment(3000);
        let mut init = Bench::new(&["--restart", "always"]).place(Place::Hosted).run(&["up", "pause"]);
        init.init_pid();
        pass(time);
        init.signal(libc::SIGTERM);
        let end = init.end();
        assert_eq!(end.code, Some(143), "after {time:?}: {end:?}");
        assert!(end.said("alone"), "{end:?}");
    }
}

/// The command does nothing but crash, so the stop falls on a spawn, a crash, a restart.
#[test]
fn amid_restarts() {
    for _ in 0..TRIES {
        let time = moment(8000);
        let options = ["-v", "--restart", "always", "--max-restarts", "1000000", "--backoff", "0"];
        let mut init = Bench::new(&options).run(&["up", "exit 3"]);
        init.out("up 1");
        pass(time);
        init.signal(libc::SIGTERM);
        let end = init.end();
        assert!(matches!(end.code, Some(3 | 143)), "after {time:?}: {end:?}");
        nothing_began_after_the_stop(&end);
    }
}

#[test]
fn around_one_crash() {
    for _ in 0..TRIES {
        let time = moment(600);
        let mut init = Bench::new(&["-v"]).run(&["on USR1 exit 3", "up", "from 2 pause", "pause"]);
        init.out("up 1");
        init.signal(libc::SIGUSR1);
        pass(time);
        init.signal(libc::SIGTERM);
        let end = init.end();
        assert!(matches!(end.code, Some(3 | 143)), "after {time:?}: {end:?}");
        nothing_began_after_the_stop(&end);
    }
}

#[test]
fn around_the_end_of_a_backoff() {
    for _ in 0..TRIES {
        let time = moment(6000);
        let mut init = Bench::new(&["-v", "--backoff", "3ms", "--backoff-jitter", "0"]).run(&["up", "until 2 exit 3", "pause"]);
        init.log("restart 2 of 5 in 3 ms");
        pass(time);
        init.signal(libc::SIGTERM);
        let end = init.end();
        assert!(matches!(end.code, Some(3 | 143)), "after {time:?}: {end:?}");
        nothing_began_after_the_stop(&end);
    }
}

/// Between the death of a command and that of its leftovers.
#[test]
fn amid_leftovers() {
    for _ in 0..TRIES {
        let time = moment(4000);
        let options = ["-v", "--restart", "always", "--max-restarts", "1000000", "--backoff", "0"];
        let mut init = Bench::new(&options).run(&["child daemon pause", "up", "exit 3"]);
        init.out("up 1");
        pass(time);
        init.signal(libc::SIGTERM);
        let end = init.end();
        assert!(matches!(end.code, Some(3 | 143)), "after {time:?}: {end:?}");
        nothing_began_after_the_stop(&end);
    }
}
