//! What restartinit says, as text and as JSON, at which level. Where nobody listens: stderr.rs.

use crate::support;

use serde_json::Value;
use support::{Bench, End};

#[test]
fn a_healthy_run_is_quiet() {
    assert_eq!(Bench::new(&[]).run(&["up", "orphans 2", "exit 0"]).end().log, [""; 0]);
    for (ending, code) in [("exit 0", 0), ("die TERM", 143)] {
        let mut init = Bench::new(&[]).run(&[&format!("on TERM {ending}"), "up", "pause"]);
        init.out("up 1");
        init.signal(libc::SIGTERM);
        let end = init.end();
        assert_eq!(end.code, Some(code));
        assert_eq!(end.log, [""; 0]);
    }
}

#[test]
fn every_crash_and_the_end_are_a_line_each() {
    let end =
        Bench::new(&["--max-restarts", "2", "--backoff", "20ms", "--backoff-jitter", "0"]).run(&["up", "at 2 die KILL", "exit 3"]).end();
    let pids: Vec<&str> = end.out.iter().filter_map(|line| line.rsplit(' ').next()).collect();
    let expected = [
        (format!("restartinit: generation 1 (pid {}) exited with code 3 after ", pids[0]), ": restart 1 of 2 now"),
        (format!("restartinit: generation 2 (pid {}) was killed by SIGKILL after ", pids[1]), ": restart 2 of 2 in 20 ms"),
        (
            format!("restartinit: restarts-exhausted: generation 3 (pid {}) exited with code 3 after ", pids[2]),
            "; 2 of 2 restarts used within 60 s; exiting with code 3",
        ),
    ];
    assert_eq!(end.log.len(), expected.len(), "{:?}", end.log);
    for (line, (begin, finish)) in end.log.iter().zip(&expected) {
        assert!(line.starts_with(begin) && line.ends_with(finish), "{line:?} is not {begin:?} ... {finish:?}");
    }
}

#[test]
fn a_stop_with_a_code_of_its_own_is_told() {
    let mut init = Bench::new(&[]).run(&["on TERM exit 3", "up", "pause"]);
    init.out("up 1");
    init.signal(libc::SIGTERM);
    let end = init.end();
    assert_eq!(end.log.len(), 1, "{:?}", end.log);
    assert!(end.log[0].starts_with("restartinit: stopped: "), "{:?}", end.log);
}

fn levels(bench: Bench) -> End {
    let mut init = bench.run(&["up", "at 1 exit 3", "pause"]);
    init.out("up 2");
    init.signal(libc::SIGTERM);
    init.end()
}

#[test]
fn the_level_decides() {
    assert_eq!(levels(Bench::new(&["-q"])).log, [""; 0]);
    assert_eq!(levels(Bench::new(&[]).variable("RESTARTINIT_LOG", "error")).log, [""; 0]);
    assert_eq!(levels(Bench::new(&[])).log.len(), 1);
    assert_eq!(levels(Bench::new(&[]).variable("RESTARTINIT_LOG", "warn")).log.len(), 1);
    assert_eq!(levels(Bench::new(&["-q"]).variable("RESTARTINIT_LOG", "debug")).log, [""; 0], "the flag wins");
    for bench in [Bench::new(&["-v"]), Bench::new(&[]).variable("RESTARTINIT_LOG", "info")] {
        let end = levels(bench);
        for line in ["generation 1 (pid ", "generation 2 (pid ", "stop asked by SIGTERM", "stopped: "] {
            assert!(!end.logged(line).is_empty(), "{line}: {:?}", end.log);
        }
        assert_eq!(end.logged(") started").len(), 2, "{:?}", end.log);
        assert!(end.log.last().is_some_and(|line| line.ends_with("; exiting with code 143")), "{:?}", end.log);
    }
    for bench in [Bench::new(&["-vv"]), Bench::new(&["-v", "-v"]), Bench::new(&[]).variable("RESTARTINIT_LOG", "debug")] {
        assert_eq!(levels(bench).logged(") started").len(), 2);
    }
}

fn parse(end: &End) -> Vec<Value> {
    let parse = |line: &String| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    end.log.iter().map(parse).collect()
}

fn of<'a>(lines: &'a [Value], event: &str) -> Vec<&'a Value> {
    lines.iter().filter(|line| line["event"] == event).collect()
}

#[test]
fn every_line_is_an_object_in_json() {
    let options = ["-v", "--log-format", "json", "--max-restarts", "2", "--backoff", "20ms", "--backoff-jitter", "0"];
    let end = Bench::new(&options).variable("RESTARTINIT_NO_SUCH", "x").run(&["up", "at 2 die ABRT", "exit 3"]).end();
    let lines = parse(&end);
    for line in &lines {
        let time = line["time"].as_str().expect("a time");
        assert!(time.len() == "2026-11-24T00:17:30.232Z".len() && time.ends_with('Z'), "{time}");
        assert!(["warn", "info", "error", "debug"].contains(&line["level"].as_str().expect("a level")), "{line}");
        assert!(line["message"].as_str().is_some_and(|message| !message.is_empty()), "{line}");
    }
    assert_eq!(of(&lines, "log").len(), 1, "the variable that it does not know");
    assert_eq!(of(&lines, "start").len(), 3);
    let restarts = of(&lines, "restart");
    assert_eq!(restarts.len(), 2);
    assert_eq!(restarts[0]["level"], "warn");
    assert_eq!(restarts[0]["generation"], 1);
    assert_eq!(restarts[0]["code"], 3);
    assert_eq!(restarts[0]["restarts_used"], 1);
    assert_eq!(restarts[0]["restarts_allowed"], 2);
    assert_eq!(restarts[0]["wait_seconds"], 0.0);
    assert!(restarts[0]["pid"].is_u64() && restarts[0]["uptime_seconds"].is_number());
    assert_eq!(restarts[1]["signal"], "SIGABRT");
    assert_eq!(restarts[1]["code"], Value::Null);
    assert_eq!(restarts[1]["wait_seconds"], 0.02);
    let ends = of(&lines, "end");
    assert_eq!(ends.len(), 1);
    assert_eq!(ends[0]["outcome"], "restarts-exhausted");
    assert_eq!(ends[0]["exit_code"], 3);
    assert_eq!(lines.last(), Some(ends[0]));
}

#[test]
fn the_other_events_in_json() {
    let options = ["-v", "--log-format", "json", "--grace-period", "100ms", "--leftover-timeout", "50ms"];
    let mut init = Bench::new(&options).run(&["at 1 child daemon ignore TERM / pause", "ignore TERM", "up", "at 1 exit 3", "pause"]);
    init.out("up 2");
    init.signal(libc::SIGTERM);
    let lines = parse(&init.end());
    for event in ["start", "leftovers", "restart", "stop", "grace-expired", "end"] {
        assert!(!of(&lines, event).is_empty(), "{event}: {lines:?}");
    }
}

/// Whatever a name holds, a line stays a line.
#[test]
fn a_strange_name_does_not_break_a_line() {
    use std::os::unix::ffi::OsStrExt;
    let strange = std::ffi::OsStr::from_bytes(b"/no/such\n\"command\"\xff");
    let end = Bench::new(&["--log-format", "json"]).command([strange]).end();
    assert_eq!(end.code, Some(127));
    assert_eq!(parse(&end).len(), 1);
    let end = Bench::new(&[]).command([strange]).end();
    assert_eq!(end.log.len(), 1, "{:?}", end.log);
}

/// Whatever is in a message, a line is one line and whole: also where each character takes three bytes.
#[test]
fn a_long_line_is_cut_and_stays_json() {
    let name = format!("RESTARTINIT_{}", "\u{20ac}".repeat(2000));
    let end = Bench::new(&["--log-format", "json"]).variable(name, "1").run(&["exit 3"]).end();
    assert!(end.log.len() > 1, "{:?}", end.log);
    for line in &end.log {
        assert!(line.len() < 4096 && serde_json::from_str::<serde_json::Value>(line).is_ok(), "{line:?}");
    }
}

/// A warning that holds for every generation is said once, not with each.
fn told_once(bench: Bench, statements: &[&str], warning: &str) -> String {
    let end = bench.run(&[statements, &["up", "until 3 exit 3", "exit 0"]].concat()).end();
    assert_eq!((end.code, end.generations()), (Some(0), 4), "{end:?}");
    let told = end.logged(warning);
    assert_eq!(told.len(), 1, "{end:?}");
    told[0].to_owned()
}

const FOUR_TIMES: [&str; 2] = ["--backoff", "0"];

/// And names the cause.
#[test]
fn without_proc_each_warning_is_said_once() {
    for warning in ["leftovers", "are not answered"] {
        let told = told_once(Bench::new(&FOUR_TIMES).scene(&["empty /proc"]), &["child session pause"], warning);
        assert!(told.contains("/proc is not mounted"), "{told}");
    }
}

/// A guess that is none of the reasons sends people the wrong way.
#[test]
fn where_proc_is_mounted_nothing_else_is_said() {
    let told = told_once(Bench::new(&FOUR_TIMES).scene(&["deny socket EPERM"]), &[], "are not answered");
    assert!(!told.contains("mounted") && !told.contains('?'), "{told}");
}

#[test]
fn a_malformed_line_on_the_channel_is_told_of_once() {
    told_once(Bench::new(&FOUR_TIMES).option("--ipc"), &["wire say {", "sleep 100"], "no JSON");
}
