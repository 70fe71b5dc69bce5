//! Leftovers: descendants that outlive the command are ended before the next generation or the exit, wherever they fled to.
//! What is left alone is in left_alone.rs.

use crate::support;

use support::{Bench, KINDS, Place, Running, children, status_field};

/// The command crashes once; the second generation tells what other processes there are.
fn crash(options: &[&str], child: &str) -> Running {
    Bench::new(options).run(&[&format!("at 1 child {child}"), "up", "at 1 obey", "show processes", "exit 0"])
}

#[test]
fn they_are_asked_to_end_before_the_next_generation() {
    for kind in KINDS {
        let mut init = crash(&["--leftover-timeout", "1h"], &format!("{kind} on TERM exit 0 / pause"));
        init.out("up 1");
        init.tell("exit 3");
        init.out("got SIGTERM 1 from pid 1");
        init.out("up 2");
        assert_eq!(init.out("processes:"), "processes: none", "{kind}");
        assert_eq!(init.exit_code(), 0);
    }
}

#[test]
fn they_are_killed_when_they_do_not_end() {
    for kind in KINDS {
        let options = ["--leftover-timeout", "100ms"];
        let mut init = crash(&options, &format!("{kind} on TERM say no / pause"));
        init.out("up 1");
        init.tell("die KILL");
        init.out("no");
        init.out("up 2");
        assert_eq!(init.out("processes:"), "processes: none", "{kind}");
        let end = init.end();
        assert_eq!(end.code, Some(0));
        let killed = end.logged("of generation 1: SIGKILL sent");
        assert_eq!(killed.len(), 1, "{:?}", end.log);
    }
}

/// Nobody is there: a wait of an hour would be noticed.
#[test]
fn none_are_not_waited_for() {
    let mut init = Bench::new(&["--leftover-timeout", "1h"]).run(&["up", "at 1 exit 3", "exit 0"]);
    assert_eq!(init.exit_code(), 0);
}

/// By default they have two seconds; one of them is enough here.
#[test]
fn they_have_time_by_default() {
    let mut init = crash(&[], "session catch TERM / wait TERM / sleep 1000 / say in time");
    init.out("up 1");
    init.tell("exit 3");
    init.out("in time");
    init.out("up 2");
    assert_eq!(init.exit_code(), 0);
}

/// A stopped process keeps TERM pending: with CONT it can end by it in time.
#[test]
fn a_stopped_one_can_end_by_it() {
    let mut init = crash(&["--leftover-timeout", "1h"], "session on TERM exit 0 / say ready / pause");
    init.out("up 1");
    stop_the_child(&mut init);
    init.tell("exit 3");
    init.out("got SIGTERM 1 from pid 1");
    init.out("up 2");
    assert_eq!(init.out("processes:"), "processes: none");
    assert_eq!(init.exit_code(), 0);
}

#[test]
fn a_stopped_one_that_does_not_end_is_killed() {
    let mut init = crash(&["--leftover-timeout", "100ms"], "session ignore TERM / pause");
    init.out("up 1");
    stop_the_child(&mut init);
    init.tell("exit 3");
    init.out("up 2");
    assert_eq!(init.out("processes:"), "processes: none");
    assert_eq!(init.exit_code(), 0);
}

/// The command's only child.
fn stop_the_child(init: &mut Running) {
    let command = children(init.init_pid())[0];
    let child = children(command)[0];
    // SAFETY: no precondition; the pid is a child that its parent has not collected.
    let result = unsafe { libc::kill(child, libc::SIGSTOP) };
    assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
    init.until("the child stops", || status_field(child, "State").is_some_and(|state| state.starts_with('T')));
}

/// /proc calls it a zombie, but it runs and holds what it has open.
#[test]
fn one_whose_main_thread_has_ended_is_ended_too() {
    for (child, timeout) in [("session lose-main-thread", "1h"), ("daemon ignore TERM / lose-main-thread", "100ms")] {
        let mut init = crash(&["--leftover-timeout", timeout], child);
        init.out("up 1");
        init.tell("exit 3");
        init.out("up 2");
        assert_eq!(init.out("processes:"), "processes: none", "{child}");
        assert_eq!(init.exit_code(), 0);
    }
}

/// One that forks when it is asked to end, again and again, is ended in bounded time.
#[test]
fn those_that_put_another_in_their_place_are_ended() {
    for timeout in ["0", "100ms"] {
        let mut init = crash(&["--leftover-timeout", timeout], "daemon on TERM replace / pause");
        init.out("up 1");
        init.tell("exit 3");
        init.out("up 2");
        assert_eq!(init.out("processes:"), "processes: none");
        assert_eq!(init.exit_code(), 0);
    }
}

/// A leftover's own children are leftovers, also those that another thread than its first one has made.
#[test]
fn a_whole_family_is_asked() {
    let mut init = Bench::new(&["--leftover-timeout", "300ms"]).run(&[
        "at 1 child session catch TERM / child plain on TERM say grandchild // pause / pause",
        "at 1 child session catch TERM / child thread on TERM say of a thread // pause / pause",
        "up",
        "at 1 obey",
        "show processes",
        "exit 0",
    ]);
    init.out("up 1");
    init.tell("exit 3");
    init.out("up 2");
    assert_eq!(init.out("processes:"), "processes: none");
    let end = init.end();
    assert!(end.said("grandchild") && end.said("of a thread"), "{end:?}");
    assert_eq!(end.signals().len(), 4, "{end:?}");
}

#[test]
fn many_are_ended() {
    let mut init = Bench::new(&["--leftover-timeout", "200ms"]).run(&["up", "at 1 obey", "show processes", "exit 0"]);
    init.out("up 1");
    for _ in 0..20 {
        init.tell("child daemon ignore TERM / pause");
        init.tell("child plain pause");
    }
    init.tell("exit 3");
    init.out("up 2");
    assert_eq!(init.out("processes:"), "processes: none");
    assert_eq!(init.exit_code(), 0);
}

#[test]
fn each_generations_are_ended() {
    let mut init = Bench::new(&["--leftover-timeout", "100ms"]).run(&[
        "up",
        "show processes",
        "until 3 child daemon ignore TERM / pause",
        "until 3 exit 3",
        "exit 0",
    ]);
    for generation in 1..=4 {
        init.out(&format!("up {generation}"));
        assert_eq!(init.out("processes:"), "processes: none");
    }
    assert_eq!(init.exit_code(), 0);
}

#[test]
fn none_is_left_at_the_exit() {
    for kind in KINDS {
        for (ending, code) in [("exit 0", 0), ("exit 4", 4)] {
            let options = ["--restart", "never", "--leftover-timeout", "100ms"];
            let mut init = Bench::new(&options).place(Place::Hosted).run(&[&format!("child {kind} ignore TERM / pause"), "up", ending]);
            init.out("init exited with");
            assert_eq!(init.out("left behind:"), "left behind: none", "{kind}");
            assert_eq!(init.exit_code(), code);
        }
    }
}

/// Whoever is the parent then may never collect what it has not started itself.
#[test]
fn none_is_left_uncollected_at_the_exit() {
    let sleeping = ["child plain pause", "child session pause", "child daemon pause"];
    let deaf = ["child plain ignore TERM / pause", "child session ignore TERM / pause", "child daemon ignore TERM / pause"];
    for (tries, children) in [(20, sleeping), (5, deaf)] {
        for ending in ["exit 3", "pause"] {
            for _ in 0..tries {
                let options = ["--restart", "never", "--leftover-timeout", "50ms", "--grace-period", "200ms"];
                let mut init = Bench::new(&options).place(Place::Hosted).run(&[&children[..], &["up", ending]].concat());
                init.out("up 1");
                if ending == "pause" {
                    init.signal(libc::SIGTERM);
                }
                init.out("init exited with");
                assert_eq!(init.out("not collected:"), "not collected: none");
                assert_eq!(init.out("left behind:"), "left behind: none");
            }
        }
    }
}

/// As PID 1 the kernel would kill them: they have their time all the same.
#[test]
fn as_pid_1_they_have_their_time_before_the_exit() {
    let mut init =
        Bench::new(&["--leftover-timeout", "1h"]).run(&["child daemon catch TERM / wait TERM / sleep 300 / say cleaned up", "exit 0"]);
    let end = init.end();
    assert_eq!(end.code, Some(0));
    assert!(end.said("cleaned up"), "{end:?}");
}
