//! Signals: everything that can be caught is forwarded, once, as it came or rewritten; nothing is invented. What comes
//! between two generations or right after a spawn is in held_signals.rs.

use crate::support;

use support::{Bench, Place, RTMAX, RTMIN, Running, name, plain};

const FAULTS: [i32; 4] = [libc::SIGILL, libc::SIGFPE, libc::SIGSEGV, libc::SIGBUS];

/// What a process can catch and restartinit forwards. 32 and 33 are the C library's own.
fn forwarded() -> Vec<i32> {
    let not = [libc::SIGKILL, libc::SIGSTOP, libc::SIGCHLD, 32, 33];
    (1..=RTMAX).filter(|signal| !not.contains(signal) && !FAULTS.contains(signal)).collect()
}

/// Sends each signal, and waits for it at the other end before the next one.
fn send_each(init: &mut Running, signals: &[i32]) {
    for signal in signals {
        init.signal(*signal);
        init.out(&format!("got {} 1", name(*signal)));
    }
}

/// What tini, dumb-init and catatonit promise too.
mod common {
    use super::*;

    #[test]
    fn the_usual_signals_are_forwarded_once() {
        let signals = [
            libc::SIGHUP,
            libc::SIGINT,
            libc::SIGQUIT,
            libc::SIGUSR1,
            libc::SIGUSR2,
            libc::SIGPIPE,
            libc::SIGALRM,
            libc::SIGTERM,
            libc::SIGURG,
            libc::SIGWINCH,
            libc::SIGIO,
        ];
        let mut init = plain().run(&["catch all", "up", "obey"]);
        init.out("up");
        send_each(&mut init, &signals);
        init.tell("exit 3");
        let end = init.end();
        assert_eq!(end.code, Some(3));
        assert_eq!(end.signals(), signals.map(name), "each once, and no other");
    }

    #[test]
    fn a_storm_of_signals_does_no_harm() {
        let mut init = plain().run(&["catch USR1 USR2", "up", "obey"]);
        init.out("up");
        for _ in 0..2000 {
            init.signal(libc::SIGUSR1);
        }
        init.out("got SIGUSR1 1");
        init.signal(libc::SIGUSR2);
        init.out("got SIGUSR2 1");
        init.tell("exit 3");
        assert_eq!(init.exit_code(), 3);
    }

    #[test]
    fn every_signal_that_can_be_caught_is_forwarded_once() {
        let mut init = plain().run(&["catch all", "up", "obey"]);
        init.out("up");
        send_each(&mut init, &forwarded());
        init.tell("exit 3");
        let end = init.end();
        let expected: Vec<String> = forwarded().into_iter().map(name).collect();
        assert_eq!((end.code, end.signals()), (Some(3), expected.iter().map(String::as_str).collect()), "each once, and no other");
    }

    #[test]
    fn real_time_signals_that_come_together_all_arrive() {
        let mut init = plain().run(&["catch all", "up", "obey"]);
        init.out("up");
        (RTMIN..=RTMAX).for_each(|signal| init.signal(signal));
        let count = usize::try_from(RTMAX - RTMIN + 1).unwrap();
        init.until("all of them arrived", || init.signal_count() == count);
        init.tell("exit 3");
        let end = init.end();
        let mut names = end.signals();
        names.sort_unstable();
        let mut expected: Vec<String> = (RTMIN..=RTMAX).map(name).collect();
        expected.sort_unstable();
        assert_eq!((end.code, names), (Some(3), expected.iter().map(String::as_str).collect()));
    }

    #[test]
    fn a_signal_from_before_the_start_reaches_the_command() {
        let mut init = plain().scene(&["block USR1", "child plain signal-parent USR1"]).run(&["catch USR1", "up", "wait USR1", "exit 3"]);
        // One that comes before the command has a handler may end it, too: nothing is lost either way.
        assert!([3, 128 + libc::SIGUSR1].contains(&init.exit_code()));
    }
}

/// TSTP, TTIN and TTOU are left out: what they do to an ordinary process is job control's affair (terminal.rs).
#[test]
fn an_ordinary_process_forwards_every_signal_too() {
    let job_control = [libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU];
    let signals: Vec<i32> = forwarded().into_iter().filter(|signal| !job_control.contains(signal)).collect();
    let mut init = Bench::new(&[]).place(Place::Hosted).run(&["catch all", "up", "obey"]);
    init.out("up 1");
    send_each(&mut init, &signals);
    init.tell("exit 3");
    let end = init.end();
    assert_eq!(end.code, Some(3));
    let expected: Vec<String> = signals.into_iter().map(name).collect();
    assert_eq!(end.signals(), expected, "each once, and no other");
}

#[test]
fn chld_and_the_faults_are_not_forwarded() {
    let mut init = Bench::new(&[]).run(&["catch all", "up", "obey"]);
    init.out("up 1");
    for signal in FAULTS.into_iter().chain([libc::SIGCHLD]) {
        init.signal(signal);
    }
    init.signal(libc::SIGUSR1);
    init.out("got SIGUSR1 1");
    // The second one passes through the init after all of them.
    init.signal(libc::SIGUSR2);
    init.out("got SIGUSR2 1");
    init.tell("exit 0");
    assert_eq!(init.end().signals(), ["SIGUSR1", "SIGUSR2"]);
}

#[test]
fn a_healthy_run_gets_no_signal_at_all() {
    let mut init = Bench::new(&[]).run(&["catch all", "up", "orphans 3", "await-alone", "exit 0"]);
    let end = init.end();
    assert_eq!(end.code, Some(0));
    assert_eq!(end.signals(), Vec::<&str>::new());
}
