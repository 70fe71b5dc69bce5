//! Reaping: no zombie stays, whoever its parent was, and the death of an orphan is not the command's.

use crate::support;

use support::{Bench, Place, children, plain};

/// What tini, dumb-init and catatonit promise too.
mod common {
    use super::*;

    #[test]
    fn an_orphan_is_reaped() {
        let mut init = plain().run(&["up", "orphans 1", "await-alone", "exit 4"]);
        init.out("alone");
        assert_eq!(init.exit_code(), 4, "the orphan's code was 7");
    }

    /// SIGCHLD coalesces: one signal may stand for many deaths.
    #[test]
    fn many_orphans_at_once_are_reaped() {
        let mut init = plain().run(&["up", "orphans 500", "await-alone", "exit 4"]);
        init.out("alone");
        assert_eq!(init.exit_code(), 4);
    }

    #[test]
    fn an_orphan_that_a_signal_kills_is_reaped() {
        let mut init = plain().run(&["up", "child orphan die KILL", "await-alone", "exit 4"]);
        init.out("alone");
        assert_eq!(init.exit_code(), 4);
    }

    #[test]
    fn a_command_that_dies_at_once_is_noticed() {
        for code in 1..=30 {
            assert_eq!(plain().run(&[&format!("exit {code}")]).exit_code(), code);
        }
    }

    #[test]
    fn an_inherited_ignore_of_chld_changes_nothing() {
        let mut init = plain().scene(&["ignore CHLD"]).run(&["up", "orphans 3", "await-alone", "exit 4"]);
        init.out("alone");
        assert_eq!(init.exit_code(), 4);
    }

    #[test]
    fn an_inherited_block_of_every_signal_changes_nothing() {
        let mut init = plain().scene(&["block all"]).run(&["up", "orphans 3", "await-alone", "exit 4"]);
        init.out("alone");
        assert_eq!(init.exit_code(), 4);
    }
}

/// A parent may leave CHLD ignored: the kernel then reaps by itself and tells nobody.
#[test]
fn an_inherited_ignore_of_chld_changes_nothing() {
    let mut init = Bench::new(&[]).scene(&["ignore CHLD"]).run(&["up", "orphans 3", "await-alone", "at 1 exit 3", "exit 0"]);
    init.out("up 1");
    init.out("alone");
    init.out("up 2");
    init.out("alone");
    assert_eq!(init.exit_code(), 0);
}

#[test]
fn an_inherited_block_of_every_signal_changes_nothing() {
    let mut init = Bench::new(&[]).scene(&["block all"]).run(&["up", "orphans 3", "await-alone", "at 1 exit 3", "exit 0"]);
    init.out("up 2");
    init.out("alone");
    assert_eq!(init.exit_code(), 0);
}

/// A child that restartinit had before it was restartinit (`sh -c 'x & exec restartinit ...'`) is nobody else's to reap.
#[test]
fn a_child_from_before_is_reaped() {
    let mut init = Bench::new(&[]).scene(&["child plain wait USR1 / exit 7"]).run(&["up", "obey"]);
    init.out("up 1");
    let pid = init.init_pid();
    assert_eq!(children(pid).len(), 2, "the child from before, and the command");
    init.tell("raise KILL");
    init.out("up 2");
    for child in children(pid) {
        if support::status_field(child, "NSpid").is_some_and(|pids| pids.ends_with("\t2")) {
            nix::sys::signal::kill(nix::unistd::Pid::from_raw(child), nix::sys::signal::Signal::SIGUSR1).unwrap();
        }
    }
    init.until("the child from before is gone", || children(pid).len() == 1);
    init.tell("exit 0");
    assert_eq!(init.exit_code(), 0);
}

#[test]
fn an_orphan_is_reaped_while_a_restart_waits() {
    let mut init = Bench::new(&["--backoff", "1h", "--backoff-max", "1h", "--leftovers", "keep"]).run(&[
        "up",
        "at 2 child orphan wait USR1",
        "exit 1",
    ]);
    init.log("restart 2 of 5 in");
    let pid = init.init_pid();
    let orphans = children(pid);
    assert_eq!(orphans.len(), 1, "the kept orphan only");
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(orphans[0]), nix::sys::signal::Signal::SIGUSR1).unwrap();
    init.until("the orphan is reaped", || children(pid).is_empty());
    init.signal(libc::SIGTERM);
    assert_eq!(init.exit_code(), 1);
}

#[test]
fn no_zombie_stays_over_many_restarts() {
    let options = ["--max-restarts", "40", "--backoff", "0"];
    let mut init = Bench::new(&options).run(&["up", "until 40 orphans 3", "until 40 exit 1", "await-alone", "exit 0"]);
    init.out("up 41");
    init.out("alone");
    assert_eq!(init.exit_code(), 0);
}

/// Elsewhere than PID 1 it is a child subreaper: orphans come to it, not to the host's init.
#[test]
fn an_ordinary_process_reaps_too() {
    let mut init =
        Bench::new(&[]).place(Place::Hosted).run(&["up", "orphans 20", "child daemon show ppid / wait USR1", "show ppid", "obey"]);
    let of_the_daemon = init.out("ppid:");
    assert_eq!(init.out("ppid:"), of_the_daemon, "the same parent: restartinit");
    assert_ne!(of_the_daemon, "ppid: 1");
    let pid = init.init_pid();
    init.until("only the command and the daemon are left", || children(pid).len() == 2);
    init.tell("exit 0");
    assert_eq!(init.exit_code(), 0);
}
