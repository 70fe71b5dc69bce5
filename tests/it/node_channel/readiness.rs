//! `--wait-ready`: ready once the app says so, a crash when it does not say so in time, and what `health` and `/readyz` make of it.

use super::{killed_for, settled};
use crate::support::web::{get, loopback};
use crate::support::{Bench, Running, on_every_node};

fn health(init: &mut Running, address: &str) -> (Option<i32>, u16) {
    let health = init.verb(&["health"]).code;
    (health, get(address, "/readyz").status)
}

#[test]
fn ready_is_what_the_app_says() {
    on_every_node(|node| {
        for word in ["'ready'", "{ type: 'ready' }", "{ type: 'ready', more: [1] }"] {
            let address = loopback();
            let script = format!("up(); told(() => {{ process.send({word}); told(() => process.exit(1)); }});");
            let mut init = Bench::new(&["-v", "--wait-ready", "1h", "--http", &address]).node(node, &script);
            for generation in 1..=2 {
                init.out(&format!("up {generation}"));
                assert_eq!(health(&mut init, &address), (Some(1), 503), "{word}: it has not said so");
                assert_eq!(get(&address, "/livez").status, 200);
                init.tell("go");
                init.log(&format!("generation {generation} "));
                init.log(if generation == 1 { "is ready after" } else { "serves after" });
                assert_eq!(health(&mut init, &address), (Some(0), 200), "{word}");
                assert_eq!(init.status()["ready"], true, "{word}");
                init.tell("crash");
            }
        }
    });
}

#[test]
fn nothing_else_is_ready() {
    on_every_node(|node| {
        let address = loopback();
        let mut init = Bench::new(&["-v", "--wait-ready", "1h", "--http", &address]).node(
            node,
            "const all = ['READY', 'ready ', ' ready', ['ready'], { ready: true }, { type: 'READY' }, { type: ['ready'] },
                          { cmd: 'ready' }, { data: { type: 'ready' } }, 'rea', { type: 'readyx' }, '{\"type\":\"ready\"}'];
             all.forEach((message, at) => process.send(message, () => at + 1 == all.length && up()));
             told(() => process.send('ready')); stay();",
        );
        init.out("up 1");
        assert_eq!(health(&mut init, &address), (Some(1), 503));
        assert_eq!(init.status()["ready"], false);
        init.tell("go");
        init.log("is ready after");
        assert_eq!(health(&mut init, &address), (Some(0), 200));
        let lines = init.lines(crate::support::Stream::Log);
        assert_eq!(lines.iter().filter(|line| line.contains("is ready")).count(), 1, "{lines:?}");
    });
}

#[test]
fn without_the_option_a_command_is_ready_once_it_runs() {
    on_every_node(|node| {
        let address = loopback();
        let mut init = Bench::new(&["--ipc", "--watchdog", "1h", "--http", &address]).node(node, "up(); stay();");
        init.out("up 1");
        assert_eq!(health(&mut init, &address), (Some(0), 200));
    });
}

#[test]
fn not_ready_in_time_is_a_crash_with_that_reason() {
    on_every_node(|node| {
        let address = loopback();
        let options = ["-v", "--wait-ready", "2s", "--max-restarts", "100", "--backoff", "0", "--http", &address];
        let mut init = Bench::new(&options).node(node, "caught('SIGTERM'); stay(); if (generation > 1) process.send('ready');");
        let line = init.log("not ready in time");
        assert!(line.contains("SIGKILL") && line.contains("restart 1 of 100"), "{line}");
        init.log("serves after");
        assert_eq!(health(&mut init, &address), (Some(0), 200));
        assert!(killed_for(&address, "not ready in time") >= 1.0);
        assert_eq!(killed_for(&address, "signal"), 0.0);
        let status = init.status();
        let last = &status["last_exits"][0];
        assert!(last["reason"].as_str().is_some_and(|reason| reason.starts_with("not ready in time")), "{status}");
        assert!(status["restarts"]["used"].as_f64() >= Some(1.0), "{status}");
    });
}

#[test]
fn never_ready_uses_the_restarts_up() {
    on_every_node(|node| {
        let options = ["--wait-ready", "200ms", "--max-restarts", "2", "--backoff", "0"];
        let end = Bench::new(&options).node(node, "stay();").end();
        assert_eq!(end.code, Some(137), "{end:?}");
        assert_eq!(end.logged("not ready in time").len(), 3, "{end:?}");
        assert_eq!(end.logged("restarts-exhausted").len(), 1, "{end:?}");
    });
}

/// The limit is the boot's: later it is over.
#[test]
fn once_ready_the_limit_is_over() {
    on_every_node(|node| {
        let script = "process.send('ready'); up(); setTimeout(() => process.exit(0), 2500);";
        let mut init = Bench::new(&["-v", "--wait-ready", "2s", "--max-restarts", "0"]).node(node, script);
        let end = init.end();
        // On a machine where Node takes two seconds to boot, it is the limit that ends it, and says so.
        match end.logged("is ready after").len() {
            1 => assert_eq!(end.code, Some(0), "{end:?}"),
            _ => assert_eq!((end.code, end.logged("not ready in time").len()), (Some(137), 1), "{end:?}"),
        }
    });
}

#[test]
fn an_end_before_it_is_ready_is_what_it_is() {
    on_every_node(|node| {
        for (script, code) in [("process.exit(9);", 9), ("process.kill(process.pid, 'SIGKILL'); stay();", 137)] {
            let end = Bench::new(&["--wait-ready", "1h", "--max-restarts", "1", "--backoff", "0"]).node(node, script).end();
            assert_eq!(end.code, Some(code), "{end:?}");
            assert_eq!(end.logged("not ready").len(), 0, "{end:?}");
            assert_eq!(end.logged("restart 1 of 1 now").len(), 1, "{end:?}");
        }
    });
}

#[test]
fn an_app_that_disconnects_without_a_word_is_not_ready() {
    on_every_node(|node| {
        let options = ["--wait-ready", "1s", "--max-restarts", "0"];
        let end = Bench::new(&options).node(node, "process.disconnect(); stay();").end();
        assert_eq!(end.code, Some(137), "{end:?}");
        assert_eq!(end.logged("not ready in time").len(), 1, "{end:?}");
    });
}

#[test]
fn a_stop_before_it_is_ready_is_a_stop() {
    on_every_node(|node| {
        let mut init = Bench::new(&["--wait-ready", "1s"]).node(node, "up(); caught('SIGTERM'); told(() => process.exit(3)); stay();");
        init.out("up 1");
        settled(&mut init);
        init.signal(libc::SIGTERM);
        init.out("got SIGTERM");
        let begun = std::time::Instant::now();
        init.until("the limit of the boot passes", || begun.elapsed().as_millis() > 1500);
        init.tell("exit");
        let end = init.end();
        assert_eq!(end.code, Some(3), "{end:?}");
        assert_eq!(end.logged("not ready").len(), 0, "{end:?}");
    });
}
