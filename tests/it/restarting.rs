//! Restarting: what is restarted, how often, and what the next generation knows of the last one. Waits and the window are in
//! restart_timing.rs.

use crate::support;

use support::{Bench, Place};

#[test]
fn a_crash_is_restarted_and_the_next_generation_knows_why() {
    let mut init = Bench::new(&[]).run(&["up", "show last-exit", "at 1 exit 7", "at 2 die KILL", "at 3 die SEGV", "exit 0"]);
    for (up, last) in [("up 1", "unset"), ("up 2", "7"), ("up 3", "SIGKILL"), ("up 4", "SIGSEGV")] {
        init.out(up);
        assert_eq!(init.out("last-exit:"), format!("last-exit: {last}"));
    }
    let end = init.end();
    assert_eq!(end.code, Some(0));
    assert_eq!(end.generations(), 4);
}

/// Under another restartinit the variables are there already, and are that one's.
#[test]
fn the_first_generation_knows_nothing_of_another_ones_exits() {
    let mut init = Bench::new(&[]).variable("RESTARTINIT_GENERATION", "7").variable("RESTARTINIT_LAST_EXIT", "SIGKILL").run(&[
        "up",
        "show last-exit",
        "at 1 exit 3",
        "exit 0",
    ]);
    init.out("up 1");
    assert_eq!(init.out("last-exit:"), "last-exit: unset");
    init.out("up 2");
    assert_eq!(init.out("last-exit:"), "last-exit: 3");
    let end = init.end();
    assert_eq!(end.code, Some(0));
    assert_eq!(end.logged("RESTARTINIT_").len(), 0, "names of its own are no mistake: {:?}", end.log);
}

/// The policy, how the command ends, whether it is restarted.
#[test]
fn the_policy_decides() {
    let cases = [
        (&["--restart", "on-failure"][..], "exit 0", false),
        (&["--restart", "on-failure"], "exit 1", true),
        (&["--restart", "on-failure"], "exit 143", true),
        (&["--restart", "on-failure"], "die KILL", true),
        (&["--restart", "on-failure"], "die TERM", true),
        (&["--restart", "always"], "exit 0", true),
        (&["--restart", "always"], "exit 1", true),
        (&["--restart", "always"], "die HUP", true),
        (&["--restart", "never"], "exit 0", false),
        (&["--restart", "never"], "exit 1", false),
        (&["--restart", "never"], "die KILL", false),
        (&["--max-restarts", "0"], "exit 1", false),
        (&["--max-restarts", "0", "--restart", "always"], "exit 2", false),
        (&[], "exit 0", false),
        (&[], "exit 1", true),
    ];
    for (options, ending, restarted) in cases {
        let mut init = Bench::new(options).run(&["up", &format!("at 1 {ending}"), "pause"]);
        init.out("up 1");
        if restarted {
            init.out("up 2");
        } else {
            let end = init.end();
            assert_eq!(end.generations(), 1, "{options:?} {ending}");
            let code = match ending.split_once(' ') {
                Some(("exit", code)) => code.parse().expect("a code"),
                _ => 137,
            };
            assert_eq!(end.code, Some(code), "{options:?} {ending}");
        }
    }
}

#[test]
fn the_limit_is_the_number_of_restarts() {
    for limit in [1usize, 2, 7] {
        let options = ["--max-restarts", &limit.to_string(), "--backoff", "0"];
        let end = Bench::new(&options).run(&["up", "exit 9"]).end();
        assert_eq!(end.code, Some(9));
        assert_eq!(end.generations(), limit + 1);
    }
}

#[test]
fn five_restarts_are_allowed_by_default() {
    let end = Bench::new(&["--backoff", "1ms"]).run(&["up", "exit 1"]).end();
    assert_eq!(end.code, Some(1));
    assert_eq!(end.generations(), 6);
}

#[test]
fn restarts_by_always_are_counted_too_and_never_end_as_success() {
    let options = ["--restart", "always", "--max-restarts", "2"];
    let end = Bench::new(&options).run(&["up", "exit 0"]).end();
    assert_eq!(end.code, Some(1));
    assert_eq!(end.generations(), 3);
}

#[test]
fn codes_that_hand_over_at_once() {
    let options = ["--no-restart-on", "78,100-102", "--restart", "always"];
    for code in [78, 100, 101, 102] {
        let end = Bench::new(&options).run(&["up", &format!("exit {code}")]).end();
        assert_eq!(end.code, Some(code));
        assert_eq!(end.generations(), 1);
    }
    for code in [77, 79, 99, 103] {
        let init = Bench::new(&options).run(&["up", &format!("at 1 exit {code}"), "pause"]);
        init.out("up 2");
    }
    // In a later generation as well.
    let end = Bench::new(&options).run(&["up", "until 2 exit 1", "exit 78"]).end();
    assert_eq!(end.code, Some(78));
    assert_eq!(end.generations(), 3);
}

#[test]
fn codes_that_count_as_success() {
    let options = ["--exit-zero-on", "3,143"];
    for ending in ["exit 3", "exit 143", "die TERM"] {
        let end = Bench::new(&options).run(&["up", ending]).end();
        assert_eq!(end.code, Some(0), "{ending}");
        assert_eq!(end.generations(), 1, "{ending}: success is no failure");
    }
    let mut init = Bench::new(&options).run(&["up", "at 1 exit 4", "pause"]);
    init.out("up 2");
    init.signal(libc::SIGTERM);
    assert_eq!(init.exit_code(), 0, "143 after a stop");
}

/// Standard input is one stream over all generations: what one has not read is for the next.
#[test]
fn standard_input_goes_on() {
    let mut init = Bench::new(&[]).run(&["up", "obey"]);
    init.tell("exit 1\nsay from the second\nexit 1\nsay from the third\nexit 0");
    for line in ["up 1", "up 2", "from the second", "up 3", "from the third"] {
        init.out(line);
    }
    assert_eq!(init.exit_code(), 0);
}

#[test]
fn an_ordinary_process_restarts_likewise() {
    let mut init = Bench::new(&["--max-restarts", "2"]).place(Place::Hosted).run(&["up", "exit 9"]);
    init.out("up 3");
    init.out("init exited with 9");
    assert_eq!(init.out("left behind:"), "left behind: none");
    assert_eq!(init.exit_code(), 9);
}
