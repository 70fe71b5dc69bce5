//! `--stop-by message`: pm2's word in place of the signal, and the signal where nobody would hear the word.

use super::{command_pid, settled};
use crate::support::{Bench, Stream, newest_node, on_every_node, status_field};
use std::time::{Duration, Instant};

/// Tells of both ways in which it can be asked to stop.
const TELLS: &str = "
    const message = (action) => process.on('message', (word) => { say('message', typeof word, word); action(); });
    caught('SIGTERM', 3); caught('SIGINT', 3); caught('SIGUSR2');";

fn no_signal(lines: &[String]) {
    assert!(!lines.iter().any(|line| line.starts_with("got SIGTERM") || line.starts_with("got SIGINT")), "{lines:?}");
}

#[test]
fn shutdown_arrives_in_place_of_the_signal() {
    on_every_node(|node| {
        for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGQUIT] {
            let script = format!("{TELLS} message(() => process.exit(5)); up();");
            let mut init = Bench::new(&["--stop-by", "message"]).node(node, &script);
            init.out("up 1");
            settled(&mut init);
            init.signal(signal);
            init.out("message string shutdown");
            let end = init.end();
            assert_eq!(end.code, Some(5), "{end:?}");
            no_signal(&end.out);
            assert_eq!(end.logged("stopped: ").len(), 1, "{end:?}");
            assert_eq!(end.logged("restart ").len(), 0, "{end:?}");
        }
    });
}

/// It has said that it is ready: Node is there, whatever else it has answered.
#[test]
fn an_app_that_is_ready_gets_the_message() {
    on_every_node(|node| {
        let script = format!("{TELLS} message(() => process.exit(5)); process.send('ready');");
        let mut init = Bench::new(&["-v", "--stop-by", "message", "--wait-ready", "1h"]).node(node, &script);
        init.log("is ready after");
        init.signal(libc::SIGTERM);
        init.out("message string shutdown");
        let end = init.end();
        assert_eq!(end.code, Some(5), "{end:?}");
        no_signal(&end.out);
    });
}

#[test]
fn other_signals_stay_signals() {
    on_every_node(|node| {
        let script = format!("{TELLS} caught('SIGHUP'); message(() => process.exit(5)); up();");
        let mut init = Bench::new(&["--stop-by", "message"]).node(node, &script);
        init.out("up 1");
        settled(&mut init);
        init.signal(libc::SIGUSR2);
        init.out("got SIGUSR2");
        init.signal(libc::SIGHUP);
        init.out("got SIGHUP");
        let lines = init.lines(Stream::Out);
        assert!(!lines.iter().any(|line| line.starts_with("message")), "{lines:?}");
        init.signal(libc::SIGTERM);
        assert_eq!(init.exit_code(), 5);
    });
}

#[test]
fn a_planned_restart_asks_the_same_way() {
    on_every_node(|node| {
        let script = format!("{TELLS} message(() => process.exit(0)); up();");
        let mut init = Bench::new(&["--stop-by", "message"]).node(node, &script);
        init.out("up 1");
        settled(&mut init);
        let said = init.verb(&["restart"]);
        assert_eq!(said.code, Some(0), "{said:?}");
        init.out("message string shutdown");
        init.out("up 2");
        assert_eq!(init.status()["restarts"]["used"], 0);
        settled(&mut init);
        init.signal(libc::SIGTERM);
        init.out("message string shutdown");
        let end = init.end();
        assert_eq!(end.code, Some(0), "{end:?}");
        no_signal(&end.out);
    });
}

#[test]
fn an_app_that_has_disconnected_gets_the_signal() {
    on_every_node(|node| {
        let script = format!("{TELLS} process.disconnect(); stay(); up();");
        let mut init = Bench::new(&["--stop-by", "message"]).node(node, &script);
        init.out("up 1");
        settled(&mut init);
        init.signal(libc::SIGTERM);
        init.out("got SIGTERM");
        assert_eq!(init.exit_code(), 3);
    });
}

/// The word was heard: closing the channel is a part of going down, and no reason to signal.
#[test]
fn an_app_that_disconnects_on_the_message_gets_no_signal() {
    on_every_node(|node| {
        let script = format!("{TELLS} message(() => {{ process.disconnect(); setTimeout(() => process.exit(6), 300); }}); up();");
        let mut init = Bench::new(&["--stop-by", "message"]).node(node, &script);
        init.out("up 1");
        settled(&mut init);
        init.signal(libc::SIGTERM);
        init.out("message string shutdown");
        let end = init.end();
        assert_eq!(end.code, Some(6), "{end:?}");
        no_signal(&end.out);
    });
}

/// It cannot answer: it is still booting, or it is no Node at all.
#[test]
fn a_command_that_has_never_answered_gets_the_signal() {
    on_every_node(|node| {
        let mut init = Bench::new(&["--stop-by", "message"]).node(node, "say('booting'); hang();");
        init.out("booting");
        init.signal(libc::SIGTERM);
        assert_eq!(init.exit_code(), 143);
    });
    let mut init = Bench::new(&["--stop-by", "message"]).run(&["catch TERM", "up", "wait TERM", "exit 7"]);
    init.out("up 1");
    settled(&mut init);
    init.signal(libc::SIGTERM);
    init.out("got SIGTERM 1");
    assert_eq!(init.exit_code(), 7);
}

#[test]
fn the_grace_period_is_the_messages_limit_too() {
    on_every_node(|node| {
        let script = "caught('SIGTERM'); process.on('message', () => say('message')); stay(); up();";
        let mut init = Bench::new(&["--stop-by", "message", "--grace-period", "1s"]).node(node, script);
        init.out("up 1");
        settled(&mut init);
        let sent = Instant::now();
        init.signal(libc::SIGTERM);
        init.out("message");
        // The signal follows shortly before the end.
        init.out("got SIGTERM");
        assert!(sent.elapsed() >= Duration::from_millis(250));
        let end = init.end();
        assert!(sent.elapsed() >= Duration::from_secs(1));
        assert_eq!(end.code, Some(137), "{end:?}");
        assert_eq!(end.logged("did not end within the grace period").len(), 1, "{end:?}");
    });
}

/// A loop that hangs reads no message; a stop has no limit of its own, so that of the grace period is the one that ends it.
#[test]
fn a_hanging_app_is_ended_by_the_grace_period() {
    on_every_node(|node| {
        let script = format!("{TELLS} message(() => process.exit(5)); up(); told(() => {{ say('hanging'); hang(); }});");
        let mut init = Bench::new(&["--stop-by", "message", "--grace-period", "1s"]).node(node, &script);
        init.out("up 1");
        settled(&mut init);
        init.tell("hang");
        init.out("hanging");
        init.signal(libc::SIGTERM);
        let end = init.end();
        assert_eq!(end.code, Some(137), "{end:?}");
        assert!(!end.said("message"), "{end:?}");
    });
}

/// Another stop signal while the app is busy going down must not make it die of a SIGTERM that it does not expect.
#[test]
fn the_drain_delay_holds_the_message_back_too() {
    on_every_node(|node| {
        let script = format!("{TELLS} message(() => process.exit(5)); up();");
        let mut init = Bench::new(&["-v", "--stop-by", "message", "--drain-delay", "400ms"]).node(node, &script);
        init.out("up 1");
        settled(&mut init);
        let sent = Instant::now();
        init.signal(libc::SIGTERM);
        init.out("message string shutdown");
        assert!(sent.elapsed() >= Duration::from_millis(400));
        let end = init.end();
        assert_eq!(end.code, Some(5), "{end:?}");
        no_signal(&end.out);
    });
}

/// pm2's word waits in the pipe for a listener that comes later.
#[test]
fn an_app_that_listens_late_gets_it_all_the_same() {
    on_every_node(|node| {
        let script = format!("{TELLS} up(); stay(); told(() => message(() => process.exit(5)));");
        let mut init = Bench::new(&["--stop-by", "message"]).node(node, &script);
        init.out("up 1");
        settled(&mut init);
        init.signal(libc::SIGTERM);
        settled(&mut init);
        init.tell("listen");
        init.out("message string shutdown");
        let end = init.end();
        assert_eq!(end.code, Some(5), "{end:?}");
        no_signal(&end.out);
    });
}

/// Without the option the channel is no reason to say anything on it.
#[test]
fn by_default_a_stop_is_the_signal() {
    let script = format!("{TELLS} message(() => process.exit(5)); up();");
    let mut init = Bench::new(&["--ipc", "--watchdog", "1h"]).node(newest_node(), &script);
    init.out("up 1");
    settled(&mut init);
    init.signal(libc::SIGTERM);
    init.out("got SIGTERM");
    assert_eq!(init.exit_code(), 3);
}

/// A command that is stopped cannot read; the message waits for it.
#[test]
fn a_stopped_app_gets_the_message_when_it_goes_on() {
    let script = format!("{TELLS} message(() => process.exit(5)); up();");
    let mut init = Bench::new(&["--stop-by", "message"]).node(newest_node(), &script);
    init.out("up 1");
    settled(&mut init);
    let app = command_pid(&mut init);
    super::watching::send(app, libc::SIGSTOP);
    init.signal(libc::SIGTERM);
    settled(&mut init);
    super::watching::send(app, libc::SIGCONT);
    init.out("message string shutdown");
    assert_eq!(init.exit_code(), 5);
}

/// A throttled restartinit may find the app's first answer and the stop in one turn: the app is asked in the way that it has answered to.
#[test]
fn a_stop_is_decided_on_what_the_app_has_said_before_it() {
    on_every_node(|node| {
        let script = "say('here'); require('fs').readSync(0, Buffer.alloc(9));
            process.on('message', (message) => { say('message', message); process.exit(0); }); caught('SIGTERM', 7); up();";
        let mut init = Bench::new(&["--stop-by", "message"]).node(node, script);
        init.out("here");
        let pid = init.init_pid();
        // SAFETY: no pointer is passed.
        unsafe { libc::kill(pid, libc::SIGSTOP) };
        init.until("the init is stopped", || status_field(pid, "State").is_some_and(|state| state.starts_with('T')));
        init.tell("go on");
        init.out("up 1");
        init.signal(libc::SIGTERM);
        // SAFETY: as above.
        unsafe { libc::kill(pid, libc::SIGCONT) };
        let end = init.end();
        assert_eq!((end.code, end.out.as_slice()), (Some(0), &["here", "up 1", "message shutdown"].map(str::to_owned)[..]), "{end:?}");
    });
}
