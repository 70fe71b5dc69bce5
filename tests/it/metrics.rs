//! `/metrics`: Prometheus' own tool accepts every page, and the numbers move as things happen.

use crate::support;

use std::io::Write;
use std::process::{Command, Stdio};
use support::web::{Answer, get, loopback};
use support::{Bench, Running};

fn scrape(address: &str) -> Answer {
    let page = get(address, "/metrics");
    assert_eq!(page.status, 200);
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool (Debian: prometheus; tests/packages installs it)");
    promtool.stdin.take().expect("piped").write_all(page.body.as_bytes()).expect("it reads");
    let output = promtool.wait_with_output().expect("its end");
    let complaints = [output.stdout, output.stderr].concat();
    assert!(output.status.success() && complaints.is_empty(), "{}\n{}", String::from_utf8_lossy(&complaints), page.body);
    page
}

fn restarts(page: &Answer, reason: &str) -> f64 {
    page.sample(&format!("restartinit_restarts_total{{reason=\"{reason}\"}}"))
}

fn start(options: &[&str], address: &str, statements: &[&str]) -> Running {
    Bench::new(&[&["--http", address], options].concat()).run(statements)
}

/// Once the page satisfies this: what a line on standard output tells and what the page tells need not be there at once.
fn page_with(init: &Running, address: &str, what: &str, fits: impl Fn(&Answer) -> bool) -> Answer {
    loop {
        let page = scrape(address);
        if fits(&page) {
            return page;
        }
        assert!(!init.late(), "the deadline passed: {what}\n{}", page.body);
    }
}

/// The names are the contract's: dashboards are built on them. Those of options that are off need not be there.
#[test]
fn the_promised_names_are_there_with_help_and_type() {
    let address = loopback();
    let init = start(&[], &address, &["up", "obey"]);
    init.out("up 1");
    let page = scrape(&address);
    for (name, kind) in [
        ("restartinit_restarts_total", "counter"),
        ("restartinit_generation", "gauge"),
        ("restartinit_child_up", "gauge"),
        ("restartinit_child_ready", "gauge"),
        ("restartinit_child_start_time_seconds", "gauge"),
        ("restartinit_restarts_remaining", "gauge"),
        ("restartinit_child_resident_memory_bytes", "gauge"),
        ("restartinit_orphans_reaped_total", "counter"),
    ] {
        assert!(page.body.contains(&format!("# TYPE {name} {kind}\n")), "{name}:\n{}", page.body);
        assert!(page.body.contains(&format!("# HELP {name} ")), "{name}:\n{}", page.body);
    }
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs_f64();
    let started = page.sample("restartinit_child_start_time_seconds");
    assert!((now - 60.0..=now + 1.0).contains(&started), "{started} {now}");
    let resident = page.sample("restartinit_child_resident_memory_bytes");
    assert!((100e3..100e6).contains(&resident), "{resident}");
}

/// A counter that appears only with its first count is invisible to `increase()`.
#[test]
fn every_reason_begins_at_0() {
    let address = loopback();
    let init = start(&[], &address, &["up", "obey"]);
    init.out("up 1");
    let page = scrape(&address);
    for reason in ["exit code", "signal", "out of memory", "memory limit", "asked"] {
        assert_eq!(restarts(&page, reason), 0.0, "{reason}");
    }
    assert_eq!(page.sample("restartinit_restarts_remaining"), 5.0);
    assert_eq!(page.sample("restartinit_generation"), 1.0);
    assert_eq!(page.sample("restartinit_orphans_reaped_total"), 0.0);
}

#[test]
fn counters_move_as_things_happen() {
    let address = loopback();
    let mut init = start(&["--backoff", "1ms"], &address, &["on TERM exit 0", "up", "obey"]);
    init.out("up 1");
    init.tell("exit 3");
    init.out("up 2");
    let page = page_with(&init, &address, "a crash by a code", |page| restarts(page, "exit code") == 1.0);
    assert_eq!((page.sample("restartinit_generation"), page.sample("restartinit_restarts_remaining")), (2.0, 4.0));
    init.tell("die SEGV");
    init.out("up 3");
    let page = page_with(&init, &address, "a crash by a signal", |page| restarts(page, "signal") == 1.0);
    assert_eq!((page.sample("restartinit_generation"), page.sample("restartinit_restarts_remaining")), (3.0, 3.0));
    assert_eq!(init.verb(&["restart"]).code, Some(0));
    init.out("up 4");
    let page = scrape(&address);
    assert_eq!((restarts(&page, "asked"), restarts(&page, "exit code"), restarts(&page, "signal")), (1.0, 1.0, 1.0));
    assert_eq!((page.sample("restartinit_generation"), page.sample("restartinit_restarts_remaining")), (4.0, 3.0));
    for orphans in [3.0, 10.0] {
        init.tell(&format!("orphans {}", if orphans == 3.0 { 3 } else { 7 }));
        let page = page_with(&init, &address, "orphans are counted", |page| page.sample("restartinit_orphans_reaped_total") >= orphans);
        assert_eq!(page.sample("restartinit_orphans_reaped_total"), orphans);
    }
    init.tell("exit 0");
    assert_eq!(init.exit_code(), 0);
}

/// The command's own children that it reaps itself, and its own end, are no orphans.
#[test]
fn the_command_is_no_orphan() {
    let address = loopback();
    let mut init = start(&["--backoff", "1ms", "--max-restarts", "20"], &address, &["up", "until 5 exit 3", "obey"]);
    init.out("up 6");
    let page = page_with(&init, &address, "five crashes", |page| restarts(page, "exit code") == 5.0);
    assert_eq!(page.sample("restartinit_orphans_reaped_total"), 0.0);
    init.tell("exit 0");
    assert_eq!(init.exit_code(), 0);
}

#[test]
fn a_wait_is_told_by_the_gauges() {
    let address = loopback();
    let options = ["--backoff", "1h", "--backoff-max", "1h"];
    let mut init = start(&options, &address, &["up", "at 1 exit 3", "obey"]);
    init.out("up 2");
    let page = page_with(&init, &address, "it is up", |page| page.sample("restartinit_generation") == 2.0);
    assert_eq!((page.sample("restartinit_child_up"), page.sample("restartinit_child_ready")), (1.0, 1.0));
    init.tell("exit 4");
    init.log("restart 2 of 5 in");
    let page = page_with(&init, &address, "it is down", |page| page.sample("restartinit_child_up") == 0.0);
    assert_eq!(page.sample("restartinit_child_ready"), 0.0);
    assert_eq!(page.sample("restartinit_restarts_remaining"), 3.0);
    assert!(!page.body.contains("\nrestartinit_child_resident_memory_bytes "), "nothing is there to be measured:\n{}", page.body);
    init.signal(libc::SIGTERM);
    assert_eq!(init.exit_code(), 4);
}

#[test]
fn a_command_that_is_stopping_is_still_up() {
    let address = loopback();
    let mut init = start(&[], &address, &["catch TERM", "up", "obey"]);
    init.out("up 1");
    init.signal(libc::SIGTERM);
    init.out("got SIGTERM 1");
    let page = scrape(&address);
    assert_eq!(page.sample("restartinit_child_up"), 1.0);
    assert_eq!(get(&address, "/readyz").status, 503);
    init.tell("exit 0");
    assert_eq!(init.exit_code(), 0);
}

/// Memory that the command takes is seen in the next scrape.
#[test]
fn resident_memory_is_measured_when_asked() {
    let address = loopback();
    let mut init = start(&[], &address, &["up", "obey"]);
    init.out("up 1");
    let before = scrape(&address).sample("restartinit_child_resident_memory_bytes");
    init.tell("allocate 32");
    init.out("allocated 32");
    let after = scrape(&address).sample("restartinit_child_resident_memory_bytes");
    assert!((after - before - f64::from(32 << 20)).abs() < f64::from(2 << 20), "{before} {after}");
    init.tell("exit 0");
    assert_eq!(init.exit_code(), 0);
}
