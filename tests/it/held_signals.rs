//! A signal whose default action would end the process kills nobody that has only just been started, nor the next one when it comes
//! between two generations: it is held until the generation catches or blocks it, for a limited time. The fixture sends most of them
//! itself, as its first act: nothing else is surely within a second of its spawn.

use crate::support;

use serde_json::Value;
use std::ffi::OsString;
use support::{Bench, Place, RTMAX, RTMIN, Running, Stream, children, fixture, name, status_field};

/// What ends a process that has not asked for it, without the stops, the faults, and ABRT.
fn deadly() -> Vec<String> {
    let names = ["HUP", "TRAP", "USR1", "USR2", "PIPE", "ALRM", "STKFLT", "XCPU", "XFSZ", "VTALRM", "PROF", "IO", "PWR", "SYS"];
    let real_time = [RTMIN, RTMIN + 5, RTMAX].map(name);
    names.iter().map(|name| format!("SIG{name}")).chain(real_time).collect()
}

/// What the log says of a signal up to now.
fn logged(init: &Running, signal: &str) -> Vec<String> {
    init.lines(Stream::Log).into_iter().filter(|line| line.contains(signal)).collect()
}

/// Sends each as the first act, catches them later, and tells which ones came.
fn held(options: &[&str], place: Place, signals: &[String]) {
    let sends: Vec<String> = signals.iter().map(|signal| format!("signal-parent {signal}")).collect();
    let sends = sends.iter().map(String::as_str);
    let statements: Vec<&str> = sends.chain(["up", "sleep 300", "catch all", "obey"]).collect();
    let mut init = Bench::new(options).place(place).run(&statements);
    init.until("all of them arrive", || init.signal_count() == signals.len());
    init.tell("exit 0");
    let end = init.end();
    assert_eq!(end.code, Some(0), "{end:?}");
    let mut told = end.signals();
    told.sort_unstable();
    let mut expected: Vec<&str> = signals.iter().map(String::as_str).collect();
    expected.sort_unstable();
    assert_eq!((end.generations(), told), (1, expected), "each once: {end:?}");
}

#[test]
fn it_kills_nobody_who_has_not_got_a_handler_yet() {
    for place in [Place::Pid1, Place::Hosted] {
        held(&[], place, &deadly());
    }
}

#[test]
fn what_is_no_stop_here_is_held_likewise() {
    held(&["--stop-signals", "RTMIN+3"], Place::Pid1, &["SIGINT", "SIGQUIT", "SIGTERM"].map(str::to_owned));
}

/// By what is forwarded, not by what came.
#[test]
fn what_is_rewritten_is_held_by_its_new_number() {
    let mut init = Bench::new(&["--rewrite", "HUP:USR2"]).run(&[
        "catch HUP",
        "signal-parent HUP",
        "up",
        "sleep 300",
        "catch USR2",
        "wait USR2",
        "exit 0",
    ]);
    let end = init.end();
    assert_eq!((end.code, end.generations(), end.signals()), (Some(0), 1, vec!["SIGUSR2"]), "{end:?}");
}

#[test]
fn a_slow_start_gets_it_all_the_same() {
    let mut init = Bench::new(&[]).run(&["signal-parent HUP", "up", "sleep 5000", "catch HUP", "wait HUP", "exit 0"]);
    let end = init.end();
    assert_eq!((end.code, end.generations(), end.signals()), (Some(0), 1, vec!["SIGHUP"]), "{end:?}");
}

#[test]
fn who_blocks_it_has_it_pending() {
    let mut init = Bench::new(&[]).run(&["signal-parent USR1", "up", "sleep 300", "block USR1", "await-pending USR1", "exit 0"]);
    let end = init.end();
    assert_eq!((end.code, end.generations()), (Some(0), 1), "{end:?}");
    assert!(end.said("pending SIGUSR1"), "{end:?}");
}

/// As tini does, and many a daemon: it blocks the signal and sleeps in sigwait(2).
#[test]
fn who_waits_for_it_without_a_handler_gets_it() {
    for before in ["sleep 300", "say at once"] {
        let mut init = Bench::new(&[]).run(&["signal-parent USR1", "up", before, "sigwait USR1", "exit 0"]);
        let end = init.end();
        assert_eq!((end.code, end.generations(), end.signals()), (Some(0), 1, vec!["SIGUSR1"]), "{end:?}");
    }
}

/// It sleeps by the time that the signal comes.
#[test]
fn who_waits_for_it_already_gets_it_at_once() {
    let mut init = Bench::new(&[]).run(&["up", "sigwait USR1", "exit 0"]);
    init.out("up 1");
    let command = children(init.init_pid())[0];
    init.until("it waits", || std::fs::read_to_string(format!("/proc/{command}/syscall")).is_ok_and(|call| is_sigwait(&call)));
    init.signal(libc::SIGUSR1);
    let end = init.end();
    assert_eq!((end.code, end.generations(), end.signals()), (Some(0), 1, vec!["SIGUSR1"]), "{end:?}");
}

fn is_sigwait(call: &str) -> bool {
    call.split(' ').next().is_some_and(|number| number == libc::SYS_rt_sigtimedwait.to_string())
}

/// In the mask that restartinit inherited, before it has done anything.
#[test]
fn one_from_before_the_start_is_held_for_the_first_generation() {
    let mut init = Bench::new(&[]).scene(&["block USR1", "child plain signal-parent USR1"]).run(&[
        "up",
        "sleep 300",
        "catch USR1",
        "wait USR1",
        "exit 0",
    ]);
    let end = init.end();
    assert_eq!((end.code, end.generations(), end.signals()), (Some(0), 1, vec!["SIGUSR1"]), "{end:?}");
}

#[test]
fn one_between_two_generations_is_held_for_the_next() {
    for signal in [libc::SIGUSR1, libc::SIGHUP, RTMIN + 2] {
        let name = name(signal);
        let [catch, wait] = ["catch", "wait"].map(|verb| format!("{verb} {name}"));
        let mut init = Bench::new(&["--backoff", "600ms", "--backoff-jitter", "0"]).run(&[
            "up",
            "until 2 exit 1",
            "sleep 300",
            &catch,
            &wait,
            "exit 0",
        ]);
        init.log("restart 2 of 5 in 600 ms");
        init.signal(signal);
        let end = init.end();
        assert_eq!((end.code, end.generations(), end.signals()), (Some(0), 3, vec![name.as_str()]), "{end:?}");
    }
}

/// The command is gone, and what it left behind is being ended.
#[test]
fn one_while_leftovers_are_ended_is_held_for_the_next() {
    let mut init = Bench::new(&["--leftover-timeout", "600ms"]).run(&[
        "at 1 child session catch TERM / pause",
        "up",
        "at 1 exit 1",
        "sleep 300",
        "catch USR1",
        "wait USR1",
        "exit 0",
    ]);
    init.out("got SIGTERM 1");
    init.signal(libc::SIGUSR1);
    let end = init.end();
    assert_eq!((end.code, end.generations(), end.signals()), (Some(0), 2, vec!["SIGTERM", "SIGUSR1"]), "{end:?}");
}

/// The one that it was held for has ended before it caught it: the next one gets it, or a line says that nobody did.
#[test]
fn one_whose_generation_crashes_is_not_lost() {
    let mut init =
        Bench::new(&["-v"]).run(&["up", "at 1 signal-parent USR1", "at 1 exit 3", "sleep 300", "catch USR1", "sleep 1000", "exit 0"]);
    let end = init.end();
    assert_eq!((end.code, end.generations()), (Some(0), 2), "{end:?}");
    assert_eq!(end.logged("exited with code 3").len(), 1, "it killed nobody: {end:?}");
    let told = end.signals().len();
    assert!(told == 1 || told == 0 && end.logged("SIGUSR1").len() == 1, "{end:?}");
}

/// After ten seconds. Nobody who catches it later is surprised by it then.
#[test]
fn what_nobody_ever_catches_is_dropped_with_a_line() {
    let mut init = Bench::new(&["-v", "--log-format", "json"]).run(&["signal-parent USR1", "up", "obey"]);
    init.out("up 1");
    let line: Value = serde_json::from_str(&init.log("SIGUSR1")).expect("JSON");
    assert_eq!(line["level"], "info", "{line}");
    init.tell("catch USR1 USR2");
    init.tell("signal-parent USR2");
    init.out("got SIGUSR2 1");
    init.tell("exit 0");
    let end = init.end();
    assert_eq!((end.code, end.generations(), end.signals()), (Some(0), 1, vec!["SIGUSR2"]), "{end:?}");
    assert_eq!(end.logged("SIGUSR1").len(), 1, "{end:?}");
}

/// A generation that has said that it is ready has its handlers, if it will ever have any. Three seconds are far from ten.
#[test]
fn what_is_not_caught_when_the_generation_is_ready_is_dropped_then() {
    let mut init = Bench::new(&["-v", "--wait-ready", "1h"]).run(&[
        "signal-parent USR1",
        "up",
        "sleep 300",
        "wire say \"ready\"",
        "sleep 3000",
        "say later",
        "catch USR1 USR2",
        "obey",
    ]);
    init.out("later");
    assert_eq!(logged(&init, "SIGUSR1").len(), 1, "{:?}", init.lines(Stream::Log));
    init.tell("signal-parent USR2");
    init.out("got SIGUSR2 1");
    init.tell("exit 0");
    let end = init.end();
    assert_eq!((end.code, end.generations(), end.signals()), (Some(0), 1, vec!["SIGUSR2"]), "{end:?}");
}

/// By the fixture's clock, the best of five: a machine that is busy may always take longer, a signal that is held always does.
#[test]
fn who_catches_it_gets_it_at_once() {
    let clock = |init: &Running| -> u64 {
        let line = init.out("clock:");
        line.trim_start_matches("clock: ").parse().unwrap_or_else(|error| panic!("{error}: {line}"))
    };
    let statements = ["catch USR1", "show clock", "signal-parent USR1", "wait USR1", "show clock", "exit 0"];
    let best = (0..5).map(|_| {
        let mut init = Bench::new(&[]).run(&statements);
        let took = [clock(&init), clock(&init)];
        assert_eq!(init.exit_code(), 0);
        took[1] - took[0]
    });
    let best = best.min().expect("five tries");
    assert!(best < 100, "it took {best} ms");
}

#[test]
fn what_kills_nobody_is_not_held() {
    let mut statements: Vec<&str> = vec!["catch USR2", "signal-parent CONT", "signal-parent WINCH", "signal-parent URG"];
    // Two that pass through the init after them, one after the other: by then they have been passed on, and nothing has come of them.
    statements.extend(["signal-parent USR2", "wait USR2", "signal-parent USR2", "wait USR2"]);
    statements.extend(["catch CONT WINCH URG", "up", "signal-parent USR2", "wait USR2", "exit 0"]);
    let end = Bench::new(&[]).run(&statements).end();
    assert_eq!((end.code, end.signals()), (Some(0), vec!["SIGUSR2"; 3]), "{end:?}");
}

/// A test that asks for a core has one, whenever it asks.
#[test]
fn abrt_is_not_held() {
    let mut init = Bench::new(&[]).run(&["at 1 signal-parent ABRT", "at 1 pause", "show last-exit", "exit 0"]);
    assert_eq!(init.out("last-exit:"), "last-exit: SIGABRT");
    assert_eq!(init.exit_code(), 0);
}

#[test]
fn job_control_is_not_held() {
    for signal in ["TSTP", "TTIN", "TTOU"] {
        let mut init = Bench::new(&[]).run(&[&format!("signal-parent {signal}"), "up", "obey"]);
        let pid = init.init_pid();
        let stopped = || children(pid).iter().any(|pid| status_field(*pid, "State").is_some_and(|state| state.starts_with('T')));
        init.until("the command stops", stopped);
        init.signal(libc::SIGCONT);
        init.tell("say on");
        init.out("on");
        init.tell("exit 0");
        assert_eq!(init.exit_code(), 0);
    }
}

#[test]
fn a_stop_is_not_held() {
    for (options, signal) in [(&[][..], "TERM"), (&[], "INT"), (&[], "QUIT"), (&["--stop-signals", "HUP"], "HUP")] {
        let begun = std::time::Instant::now();
        let end = Bench::new(options).run(&[&format!("signal-parent {signal}"), "up", "pause"]).end();
        let number = [("HUP", 129), ("INT", 130), ("QUIT", 131), ("TERM", 143)].into_iter().find(|(name, _)| *name == signal);
        assert_eq!(end.code, number.map(|(_, code)| code), "{signal}: {end:?}");
        assert!(begun.elapsed().as_secs() < 10, "{signal}: not held for ten seconds");
    }
}

/// And what is held does not hold up a stop.
#[test]
fn a_stop_does_not_wait_for_what_is_held() {
    let begun = std::time::Instant::now();
    let end = Bench::new(&[]).run(&["signal-parent USR1", "up", "signal-parent TERM", "pause"]).end();
    assert_eq!((end.code, end.generations()), (Some(143), 1), "{end:?}");
    assert!(begun.elapsed().as_secs() < 10, "not held for ten seconds");
}

/// And is a crash, where it kills and is no stop.
#[test]
fn after_the_first_second_it_is_forwarded_as_ever() {
    for signal in [libc::SIGHUP, libc::SIGUSR1, RTMIN + 5] {
        let mut init = Bench::new(&[]).run(&["sleep 1200", "show last-exit", "up", "from 2 exit 0", "pause"]);
        init.out("last-exit: unset");
        init.out("up 1");
        init.signal(signal);
        let last = init.out("last-exit:");
        assert!(signal > RTMIN || last.ends_with(&name(signal)), "{last}");
        assert_eq!(init.exit_code(), 0);
    }
}

/// While it waits in sigtimedwait(2), the kernel shows it as one that neither handles nor blocks the signal. tini is such a one.
#[test]
fn who_waits_for_signals_gets_it_at_once() {
    let app = ["catch HUP", "up", "wait HUP", "exit 3"].map(OsString::from);
    let tini = ["tini", "-s", "--"].map(OsString::from).into_iter().chain([fixture().into_os_string()]).chain(app);
    let mut init = Bench::new(&["--restart", "never"]).command(tini);
    init.out("up 1");
    init.signal(libc::SIGHUP);
    init.out("got SIGHUP 1");
    assert_eq!(init.exit_code(), 3);
}
