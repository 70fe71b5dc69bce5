//! `--watchdog`: a loop that does not turn is a crash, and nothing else is. Time passes in some of these tests; none asks how much.

use super::{command_pid, killed_for, sample, settled};
use crate::support::web::{get, loopback};
use crate::support::{Bench, Running, Stream, newest_node, on_every_node, status_field};
use std::time::{Duration, Instant};

/// A signal to a process of a test, by its pid outside: it runs until the test says otherwise, so the pid is its own.
pub fn send(pid: i32, signal: i32) {
    // SAFETY: no pointer is passed.
    assert_eq!(unsafe { libc::kill(pid, signal) }, 0, "signal {signal} to {pid}");
}

/// Lets time pass that the program must not hold against anybody.
fn pass(init: &Running, time: Duration) {
    let begun = Instant::now();
    init.until("time passes", || begun.elapsed() >= time);
}

fn stopped(pid: i32) -> bool {
    status_field(pid, "State").is_some_and(|state| state.starts_with('T'))
}

/// It still runs, in its first generation, and nothing was said of it.
fn unharmed(init: &mut Running) {
    init.tell("still there?");
    init.out("told 1");
    assert!(init.lines(Stream::Log).is_empty(), "{:?}", init.lines(Stream::Log));
}

const ANSWERS: &str = "process.stdin.on('data', () => say('told', generation)); up();";

#[test]
fn a_loop_that_does_not_turn_is_a_crash() {
    on_every_node(|node| {
        let address = loopback();
        let options = ["--watchdog", "1500ms", "--max-restarts", "100", "--backoff", "0", "--http", &address];
        let script = "caught('SIGTERM'); up(); told(() => hang());";
        let mut init = Bench::new(&options).node(node, script);
        init.out("up 1");
        settled(&mut init);
        init.tell("hang");
        let line = init.log("event loop blocked for 1.5 s");
        assert!(line.contains("generation 1 ") && line.contains("SIGKILL") && line.contains("restart 1 of 100 now"), "{line}");
        init.out("up 2");
        assert!(killed_for(&address, "event loop blocked") >= 1.0);
        assert_eq!(killed_for(&address, "signal"), 0.0);
        let status = init.status();
        let exits = status["last_exits"].as_array().cloned().unwrap_or_default();
        assert!(exits.iter().any(|exit| exit["reason"] == "event loop blocked" && exit["generation"] == 1), "{status}");
    });
}

#[test]
fn hanging_again_and_again_uses_the_restarts_up() {
    on_every_node(|node| {
        let options = ["--watchdog", "400ms", "--max-restarts", "1", "--backoff", "0"];
        let end = Bench::new(&options).node(node, "setTimeout(hang, 200);").end();
        assert_eq!(end.code, Some(137), "{end:?}");
        assert_eq!(end.logged("event loop blocked for 400 ms").len(), 2, "{end:?}");
        assert_eq!(end.logged("restarts-exhausted").len(), 1, "{end:?}");
    });
}

#[test]
fn a_slow_boot_is_no_hang() {
    on_every_node(|node| {
        let script = format!("spin(2500); {ANSWERS}");
        let mut init = Bench::new(&["--watchdog", "1s"]).node(node, &script);
        init.out("up 1");
        unharmed(&mut init);
    });
}

#[test]
fn a_slow_boot_is_what_wait_ready_limits() {
    on_every_node(|node| {
        let options = ["--watchdog", "100ms", "--wait-ready", "600ms", "--max-restarts", "0"];
        let end = Bench::new(&options).node(node, "hang();").end();
        assert_eq!(end.code, Some(137), "{end:?}");
        assert_eq!(end.logged("not ready in time").len(), 1, "{end:?}");
    });
}

#[test]
fn a_loop_that_turns_in_time_is_left_alone() {
    on_every_node(|node| {
        let script =
            format!("{ANSWERS} let left = 8; const heavy = () => {{ spin(300); left-- ? setTimeout(heavy, 1) : say('done'); }}; heavy();");
        let mut init = Bench::new(&["--watchdog", "3s"]).node(node, &script);
        init.out("done");
        unharmed(&mut init);
    });
}

#[test]
fn a_stopped_app_is_not_shot_on_wake_up() {
    on_every_node(|node| {
        let mut init = Bench::new(&["--watchdog", "1s"]).node(node, ANSWERS);
        init.out("up 1");
        settled(&mut init);
        let app = command_pid(&mut init);
        for _ in 0..2 {
            send(app, libc::SIGSTOP);
            init.until("it is stopped", || stopped(app));
            pass(&init, Duration::from_millis(1800));
            send(app, libc::SIGCONT);
            unharmed(&mut init);
        }
    });
}

/// A debugger's hold, rather than job control's.
#[test]
fn a_traced_app_that_is_held_is_not_shot() {
    let mut init = Bench::new(&["--watchdog", "1s"]).node(newest_node(), ANSWERS);
    init.out("up 1");
    settled(&mut init);
    let app = nix::unistd::Pid::from_raw(command_pid(&mut init));
    nix::sys::ptrace::seize(app, nix::sys::ptrace::Options::empty()).expect("it may be traced");
    nix::sys::ptrace::interrupt(app).expect("it stops");
    nix::sys::wait::waitpid(app, Some(nix::sys::wait::WaitPidFlag::__WALL)).expect("it has stopped");
    pass(&init, Duration::from_millis(1800));
    nix::sys::ptrace::detach(app, None).expect("it goes on");
    unharmed(&mut init);
}

#[test]
fn what_was_stopped_and_then_hangs_is_still_noticed() {
    on_every_node(|node| {
        let options = ["--watchdog", "700ms", "--max-restarts", "0"];
        let mut init = Bench::new(&options).node(node, "up(); told(() => { say('hanging'); hang(); });");
        init.out("up 1");
        settled(&mut init);
        let app = command_pid(&mut init);
        init.tell("hang");
        init.out("hanging");
        send(app, libc::SIGSTOP);
        init.until("it is stopped", || stopped(app));
        pass(&init, Duration::from_millis(1500));
        assert!(init.lines(Stream::Log).is_empty(), "{:?}", init.lines(Stream::Log));
        send(app, libc::SIGCONT);
        let end = init.end();
        assert_eq!(end.logged("event loop blocked for 700 ms").len(), 1, "{end:?}");
    });
}

/// A paused container, a suspended laptop: what restartinit slept through is nobody's fault.
#[test]
fn time_that_restartinit_did_not_run_does_not_count() {
    on_every_node(|node| {
        let mut init = Bench::new(&["--watchdog", "1s"]).node(node, ANSWERS);
        init.out("up 1");
        settled(&mut init);
        let (pid, app) = (init.init_pid(), command_pid(&mut init));
        // Alone; and with the app, which goes on after it.
        for both in [false, true, true] {
            send(pid, libc::SIGSTOP);
            if both {
                send(app, libc::SIGSTOP);
            }
            init.until("it is stopped", || stopped(pid) && (!both || stopped(app)));
            pass(&init, Duration::from_millis(1800));
            send(pid, libc::SIGCONT);
            if both {
                settled(&mut init);
                send(app, libc::SIGCONT);
            }
            unharmed(&mut init);
        }
    });
}

#[test]
fn nobody_is_shot_on_the_way_out() {
    on_every_node(|node| {
        let script = "process.on('SIGTERM', () => { spin(2000); say('finished'); process.exit(4); }); up(); stay();";
        let mut init = Bench::new(&["--watchdog", "500ms"]).node(node, script);
        init.out("up 1");
        settled(&mut init);
        init.signal(libc::SIGTERM);
        let end = init.end();
        assert!(end.said("finished"), "{end:?}");
        assert_eq!(end.code, Some(4), "{end:?}");
    });
}

#[test]
fn the_lag_is_in_status_and_metrics() {
    on_every_node(|node| {
        let address = loopback();
        let script = "process.stdin.on('data', () => { spin(3000); say('spun'); }); up();";
        let mut init = Bench::new(&["--watchdog", "6s", "--http", &address]).node(node, script);
        init.out("up 1");
        let series = |name: &str| get(&address, "/metrics").body.lines().any(|line| line.starts_with(name));
        init.until("it was measured", || series("restartinit_event_loop_lag_seconds "));
        assert!(sample(&address, "restartinit_event_loop_lag_seconds") >= 0.0);
        init.tell("spin");
        init.out("spun");
        // A ping every 1.5 s: one waited for 1.5 s or more, but for what a busy machine takes off.
        init.until("the largest lag tells of it", || sample(&address, "restartinit_event_loop_lag_max_seconds") >= 1.0);
        init.until("it is the largest since the last scrape", || sample(&address, "restartinit_event_loop_lag_max_seconds") < 1.0);
        let status = init.status();
        assert!(status["event_loop"]["lag_seconds"].is_number(), "{status}");
        assert!(status["event_loop"]["lag_max_seconds"].is_number(), "{status}");
        let text = init.verb(&["status"]);
        assert!(text.out.lines().any(|line| line.starts_with("event loop ")), "{text:?}");
        assert!(init.lines(Stream::Log).is_empty(), "{:?}", init.lines(Stream::Log));
    });
}

#[test]
fn without_a_watchdog_there_is_no_lag() {
    let address = loopback();
    let mut init = Bench::new(&["--ipc", "--http", &address]).node(newest_node(), "up(); stay();");
    init.out("up 1");
    settled(&mut init);
    assert!(!get(&address, "/metrics").body.contains("event_loop_lag"));
    assert!(init.status()["event_loop"].is_null());
}

/// A listener for messages sees none of it, and none of it is counted as the app's.
#[test]
fn the_pings_are_invisible_to_the_app() {
    on_every_node(|node| {
        let address = loopback();
        let script = "process.on('message', (message) => say('message', JSON.stringify(message))); up();";
        let mut init = Bench::new(&["--watchdog", "2s", "--http", &address]).node(node, script);
        init.out("up 1");
        // Two a second.
        pass(&init, Duration::from_millis(1600));
        init.until("some were answered", || get(&address, "/metrics").body.contains("\nrestartinit_event_loop_lag_seconds "));
        assert_eq!(sample(&address, "restartinit_channel_messages_dropped_total"), 0.0);
        init.signal(libc::SIGTERM);
        let end = init.end();
        assert!(!end.said("message"), "{end:?}");
        assert_eq!((end.code, end.log.len()), (Some(143), 0), "{end:?}");
    });
}
