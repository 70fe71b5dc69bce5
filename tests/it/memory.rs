//! `--max-memory`: a command that has grown too large is restarted gracefully, before the kernel kills it. It is no crash.

use crate::support;

use serde_json::json;
use std::time::Duration;
use support::settings::refused;
use support::web::{get, loopback};
use support::{Bench, Running};

fn milliseconds(line: &str) -> i64 {
    line.rsplit(' ').next().and_then(|number| number.parse().ok()).expect("a clock")
}

fn limited(address: &str, options: &[&str], statements: &[&str]) -> Running {
    Bench::new(&[&["--max-memory", "64M", "--http", address], options].concat()).run(statements)
}

/// As with `restart`, the command is asked to stop, and nothing is spent: it might do this every hour for a year.
#[test]
fn above_the_limit_it_is_restarted_and_nothing_is_spent() {
    let address = loopback();
    let options = ["--max-restarts", "1", "--termination-log", "/dev/null"];
    let mut init = limited(&address, &options, &["on TERM exit 0", "up", "at 1 allocate 100", "obey"]);
    init.out("allocated 100");
    let line = init.log("memory limit");
    assert!(line.contains("MiB") && line.contains("generation 1"), "it says what and how much: {line}");
    init.out("up 2");
    let status = init.status_with("it has been restarted", |status| status["generation"] == 2);
    assert_eq!((&status["restarts"]["used"], &status["restarts"]["remaining"]), (&json!(0), &json!(1)), "{status}");
    assert_eq!(status["restarts"]["total"]["memory limit"], 1, "{status}");
    assert_eq!(status["last_exits"][0]["reason"], "memory limit", "{status}");
    assert_eq!(status["memory"]["limit_bytes"], 64 << 20, "{status}");
    let page = get(&address, "/metrics");
    assert_eq!(page.sample("restartinit_restarts_total{reason=\"memory limit\"}"), 1.0);
    assert!(page.sample("restartinit_child_resident_memory_bytes") < 64e6, "{}", page.body);
    let text = init.verb(&["status"]).out;
    assert!(text.contains("memory limit") && text.contains("64"), "{text}");
    init.tell("exit 0");
    let end = init.end();
    assert_eq!(end.code, Some(0));
    assert_eq!(end.signals(), ["SIGTERM"]);
}

/// One that is too large from its start would be restarted for ever, and serve nobody.
#[test]
fn the_next_one_has_its_time() {
    let address = loopback();
    let mut init = limited(&address, &[], &["on TERM exit 0", "up", "show clock", "until 2 allocate 100", "obey"]);
    init.allow(Duration::from_secs(60));
    init.out("clock:");
    init.out("up 2");
    let second = milliseconds(&init.out("clock:"));
    init.out("allocated 100");
    init.out("up 3");
    let third = milliseconds(&init.out("clock:"));
    // The rest lies between the two decisions. Between the starts that follow them lies as much, but for how long a start takes.
    assert!(third - second > 29_000, "{}", third - second);
    let status = init.status();
    assert_eq!((&status["restarts"]["used"], &status["restarts"]["total"]["memory limit"]), (&json!(0), &json!(2)), "{status}");
    init.tell("exit 0");
    let end = init.end();
    assert_eq!(end.code, Some(0));
    assert_eq!((end.generations(), end.signals().len()), (3, 2), "{end:?}");
}

#[test]
fn below_the_limit_nothing_happens() {
    let address = loopback();
    let mut init = limited(&address, &[], &["catch TERM", "up", "allocate 16", "obey"]);
    init.out("allocated 16");
    // It is looked at every few seconds: in this time more than once.
    init.tell("sleep 11000");
    init.tell("say rested");
    init.out("rested");
    init.tell("exit 0");
    let end = init.end();
    assert_eq!((end.code, end.generations(), end.signals().len()), (Some(0), 1, 0), "{end:?}");
    assert_eq!((end.log.len(), end.logged("restarts by --max-memory have a gap here").len()), (1, 1), "said at the start: {end:?}");
}

/// A command that does not react is not left to the kernel's killer.
#[test]
fn one_that_ignores_the_stop_is_killed_after_the_grace_period() {
    let address = loopback();
    let options = ["--grace-period", "100ms", "--max-restarts", "1"];
    let mut init = limited(&address, &options, &["ignore TERM", "up", "at 1 allocate 100", "obey"]);
    init.out("up 2");
    let status = init.status_with("it has been restarted", |status| status["generation"] == 2);
    assert_eq!(status["restarts"]["used"], 0, "{status}");
    assert_eq!(
        (&status["last_exits"][0]["reason"], &status["last_exits"][0]["signal"]),
        (&json!("memory limit"), &json!("SIGKILL")),
        "{status}"
    );
    init.tell("exit 0");
    assert_eq!(init.exit_code(), 0);
}

/// A stop wins over this as over every restart.
#[test]
fn a_stop_meanwhile_wins() {
    let address = loopback();
    let mut init = limited(&address, &["--grace-period", "1h"], &["catch TERM INT", "up", "at 1 allocate 100", "obey"]);
    init.out("got SIGTERM 1");
    init.signal(libc::SIGINT);
    init.out("got SIGINT 1");
    init.tell("exit 6");
    let end = init.end();
    assert_eq!((end.code, end.generations()), (Some(6), 1), "{end:?}");
}

/// A crash while it is being replaced would have been its end anyway.
#[test]
fn how_it_ends_does_not_matter() {
    for ending in ["exit 3", "die SEGV"] {
        let address = loopback();
        let reaction = format!("on TERM {ending}");
        let mut init = limited(&address, &["--max-restarts", "0"], &[&reaction, "up", "at 1 allocate 100", "obey"]);
        init.out("up 2");
        let status = init.status_with("it has been restarted", |status| status["generation"] == 2);
        assert_eq!(status["restarts"]["total"]["memory limit"], 1, "{ending}: {status}");
        init.tell("exit 0");
        assert_eq!(init.exit_code(), 0);
    }
}

#[test]
fn sizes_are_read_as_people_write_them() {
    for size in ["536870912", "512M", "1G", "4096K"] {
        let end = Bench::new(&["--max-memory", size]).run(&["up", "exit 0"]).end();
        assert_eq!((end.code, end.generations()), (Some(0), 1), "{size}: {end:?}");
    }
    for bad in ["", "x", "M", "-1M", "0%", "101%", "%", "10Q", "99999999999999999999G", "1 G B"] {
        let end = Bench::new(&["--max-memory", bad]).run(&["up", "exit 0"]).end();
        refused(&end, &["--max-memory", bad]);
    }
}
