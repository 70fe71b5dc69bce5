//! Where a forwarded signal goes and as what: `--rewrite` and `--group`.

use crate::support;

use support::{Bench, RTMIN, Running, children, status_field};

#[test]
fn a_stop_signal_can_be_rewritten_and_is_still_a_stop() {
    let mut init = Bench::new(&["-v", "--rewrite", "TERM:QUIT"]).run(&["catch TERM QUIT", "up", "wait QUIT", "exit 3"]);
    init.out("up 1");
    init.signal(libc::SIGTERM);
    let end = init.end();
    assert_eq!(end.logged("stop asked by SIGTERM, forwarded as SIGQUIT").len(), 1, "{:?}", end.log);
    assert_eq!(end.code, Some(3));
    assert_eq!(end.signals(), ["SIGQUIT"]);
    assert_eq!(end.generations(), 1);
}

/// In its first second it would be held, as it is no stop.
#[test]
fn a_signal_rewritten_to_a_stop_signal_is_no_stop() {
    let mut init = Bench::new(&["--rewrite", "USR1:TERM"]).run(&["sleep 1200", "up", "show last-exit", "from 2 exit 0", "pause"]);
    init.out("up 1");
    init.signal(libc::SIGUSR1);
    init.out("up 2");
    assert_eq!(init.out("last-exit:"), "last-exit: SIGTERM");
    assert_eq!(init.exit_code(), 0);
}

#[test]
fn rewrites_repeat_and_do_not_chain() {
    let rewrites = ["--rewrite", "USR1:USR2", "--rewrite=SIGUSR2:10", "--rewrite", "RTMIN+3:HUP"];
    let mut init = Bench::new(&rewrites).run(&["catch all", "up", "obey"]);
    check_rewrites(&mut init);
    let mut init = Bench::new(&[]).variable("RESTARTINIT_REWRITE", "USR1:USR2,SIGUSR2:10,RTMIN+3:HUP").run(&["catch all", "up", "obey"]);
    check_rewrites(&mut init);
}

fn check_rewrites(init: &mut Running) {
    init.out("up 1");
    init.signal(libc::SIGUSR1);
    init.out("got SIGUSR2 1");
    init.signal(libc::SIGUSR2);
    init.out("got SIGUSR1 1");
    init.signal(RTMIN + 3);
    init.out("got SIGHUP 1");
    init.tell("exit 0");
    assert_eq!(init.end().signals(), ["SIGUSR2", "SIGUSR1", "SIGHUP"]);
}

#[test]
fn a_signal_rewritten_to_a_real_time_one_arrives_as_that() {
    let mut init = Bench::new(&["--rewrite", "HUP:RTMIN+0", "--rewrite", "USR1:64"]).run(&["catch all", "up", "obey"]);
    init.out("up 1");
    init.signal(libc::SIGHUP);
    init.out("got RTMIN+0 1");
    init.signal(libc::SIGUSR1);
    init.out("got RTMIN+30 1");
    init.tell("exit 0");
    assert_eq!(init.exit_code(), 0);
}

#[test]
fn a_signal_rewritten_to_nothing_is_dropped() {
    let mut init = Bench::new(&["--rewrite", "USR1:0", "--rewrite", "TERM:0"]).run(&["catch all", "up", "obey"]);
    init.out("up 1");
    init.signal(libc::SIGUSR1);
    init.signal(libc::SIGTERM);
    init.signal(libc::SIGUSR2);
    init.out("got SIGUSR2 1");
    init.signal(libc::SIGHUP);
    init.out("got SIGHUP 1");
    // A dropped stop signal is no stop: a crash after it is restarted.
    init.tell("exit 1");
    init.out("up 2");
    init.tell("exit 0");
    let end = init.end();
    assert_eq!(end.code, Some(0));
    assert_eq!(end.signals(), ["SIGUSR2", "SIGHUP"]);
}

/// Whether a USR1 for the command came to its child too, which is of that kind and keeps it pending for the test to see.
fn reaches_the_child(bench: Bench, kind: &str) -> bool {
    let child = format!("child {kind} block USR1 USR2 / pause");
    let mut init = bench.run(&["catch USR1 USR2", &child, "up", "pause"]);
    init.out("up 1");
    init.signal(libc::SIGUSR1);
    init.out("got SIGUSR1 1");
    // When the second one arrives, the call that forwarded the first one is over for every receiver.
    init.signal(libc::SIGUSR2);
    init.out("got SIGUSR2 1");
    let command = children(init.init_pid())[0];
    let pending = status_field(children(command)[0], "ShdPnd").expect("the child lives");
    let pending = u64::from_str_radix(&pending, 16).expect("a set of signals");
    pending & 1 << (libc::SIGUSR1 - 1) != 0
}

#[test]
fn signals_are_the_commands_alone_by_default() {
    assert!(!reaches_the_child(Bench::new(&[]), "plain"));
}

#[test]
fn with_group_they_are_its_whole_groups() {
    assert!(reaches_the_child(Bench::new(&["--group"]), "plain"));
    assert!(!reaches_the_child(Bench::new(&["--group"]), "group"), "a group of its own");
}

#[test]
fn the_variable_means_the_same() {
    for (value, expected) in [("1", true), ("yes", true), ("0", false), ("no", false)] {
        let bench = Bench::new(&[]).variable("RESTARTINIT_GROUP", value);
        assert_eq!(reaches_the_child(bench, "plain"), expected, "{value}");
    }
}

#[test]
fn a_stop_goes_to_the_whole_group_too() {
    let mut init =
        Bench::new(&["--group"]).run(&["child plain on TERM say the child / pause", "catch TERM", "up", "wait TERM", "sleep 60000"]);
    init.out("up 1");
    init.signal(libc::SIGTERM);
    init.out("the child");
}
