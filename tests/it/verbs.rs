//! `status` and `health`: what they tell, from the command's first run to its end, and where there is nobody to ask.
//! `restart` is in planned_restarts.rs, who is answered in who_may_ask.rs.

use crate::support;

use serde_json::{Value, json};
use support::settings::refused;
use support::{Bench, Place, Running, init};

/// Alive and waiting: the third generation is an hour away.
fn in_backoff() -> Running {
    let mut init = Bench::new(&["--backoff", "1h", "--backoff-max", "1h"]).run(&["up", "at 1 exit 3", "die ABRT"]);
    init.log("restart 2 of 5 in");
    init.status_with("it waits", |status| status["state"] == "waiting");
    init
}

fn strings<'a>(list: &'a Value, field: &str) -> Vec<&'a Value> {
    list.as_array().expect("a list").iter().map(|entry| &entry[field]).collect()
}

#[test]
fn the_first_run_is_told() {
    let mut init = Bench::new(&["--max-restarts", "7", "--restart-window", "90s"]).run(&["up", "obey"]);
    let pid: i32 = init.out("up 1").rsplit(' ').next().and_then(|pid| pid.parse().ok()).expect("a pid");
    let status = init.status();
    assert_eq!(status["pid"], pid);
    assert_eq!(status["generation"], 1);
    assert_eq!(status["state"], "running");
    assert_eq!(status["ready"], true);
    assert_eq!(status["not_ready"], Value::Null);
    assert_eq!(status["last_exits"], json!([]));
    assert_eq!(strings(&status["generations"], "pid"), [pid]);
    let restarts = &status["restarts"];
    assert_eq!((&restarts["allowed"], &restarts["used"], &restarts["remaining"]), (&json!(7), &json!(0), &json!(7)));
    assert_eq!(restarts["window_seconds"], 90.0);
    assert!(restarts["total"].as_object().expect("counts").values().all(|count| count == 0), "{status}");
    assert!(status["memory"]["resident_bytes"].as_u64().is_some_and(|bytes| bytes > 100_000), "{status}");
    assert_eq!(status["init"]["pid"], 1);
    assert_eq!(status["init"]["version"], env!("CARGO_PKG_VERSION"));
    init.tell("exit 0");
    assert_eq!(init.exit_code(), 0);
}

#[test]
fn crashes_are_told_with_what_is_left_of_the_budget() {
    let mut init = Bench::new(&["--backoff", "1ms"]).run(&["up", "at 1 exit 3", "at 2 die SEGV", "obey"]);
    init.out("up 3");
    let status = init.status();
    assert_eq!(status["generation"], 3);
    assert_eq!(status["state"], "running");
    let restarts = &status["restarts"];
    assert_eq!((&restarts["used"], &restarts["remaining"]), (&json!(2), &json!(3)));
    assert_eq!((&restarts["total"]["exit code"], &restarts["total"]["signal"]), (&json!(1), &json!(1)));
    let exits = status["last_exits"].as_array().expect("a list");
    assert_eq!(exits.len(), 2, "{status}");
    assert_eq!((&exits[0]["generation"], &exits[0]["signal"]), (&json!(2), &json!("SIGSEGV")), "the latest first: {status}");
    assert_eq!((&exits[1]["generation"], &exits[1]["code"]), (&json!(1), &json!(3)));
    init.tell("exit 0");
    assert_eq!(init.exit_code(), 0);
}

#[test]
fn the_wait_before_a_restart_is_told() {
    let mut init = in_backoff();
    let status = init.status();
    assert_eq!(status["ready"], false);
    assert!(status["not_ready"].as_str().is_some_and(|why| !why.is_empty()), "{status}");
    assert_eq!(status["pid"], Value::Null);
    assert_eq!(status["generations"], json!([]));
    let wait = status["restarts"]["wait_seconds"].as_f64().expect("the wait");
    // An hour, and up to a quarter more.
    assert!(wait > 3000.0 && wait <= 4500.0, "{wait}");
    let why = init.verb(&["health"]).complaint(1).to_owned();
    assert!(why.contains("restart"), "{why}");
    let text = init.verb(&["status"]).out;
    assert!(text.contains("not running") && text.contains("SIGABRT") && text.contains("code 3"), "{text}");
    init.signal(libc::SIGTERM);
    assert_eq!(init.exit_code(), 134);
}

#[test]
fn a_ready_command_is_healthy_and_nothing_is_said() {
    let mut init = Bench::new(&[]).run(&["up", "obey"]);
    init.out("up 1");
    let said = init.verb(&["health"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_eq!(said.err, "");
    init.tell("exit 0");
    assert_eq!(init.exit_code(), 0);
}

#[test]
fn a_drain_is_told_and_is_not_healthy() {
    let mut init = Bench::new(&["--drain-delay", "1h"]).run(&["catch TERM", "up", "wait TERM", "exit 0"]);
    init.out("up 1");
    init.signal(libc::SIGTERM);
    let status = init.status_with("it drains", |status| status["state"] != "running");
    assert_eq!(status["state"], "draining");
    assert_eq!(status["ready"], false);
    assert_eq!(status["generation"], 1);
    let why = init.verb(&["health"]).complaint(1).to_owned();
    assert!(why.contains("drain") || why.contains("stop"), "{why}");
    assert_eq!(init.signal_count(), 0, "not forwarded yet");
    init.signal(libc::SIGTERM);
    init.out("got SIGTERM 1");
    assert_eq!(init.exit_code(), 0);
}

#[test]
fn a_stop_is_told_and_is_not_healthy() {
    let mut init = Bench::new(&[]).run(&["catch TERM", "up", "obey"]);
    init.out("up 1");
    init.signal(libc::SIGTERM);
    init.out("got SIGTERM 1");
    let status = init.status();
    assert_eq!(status["state"], "stopping");
    assert_eq!(status["ready"], false);
    let why = init.verb(&["health"]).complaint(1).to_owned();
    assert!(why.contains("stop"), "{why}");
    init.tell("exit 4");
    assert_eq!(init.exit_code(), 4);
}

/// While leftovers are ended between two generations nothing is ready, and the verbs answer.
#[test]
fn the_end_of_leftovers_is_waited_for_aloud() {
    let mut init =
        Bench::new(&["--leftover-timeout", "1h"]).run(&["at 1 child session on TERM say deaf / pause", "up", "at 1 exit 3", "obey"]);
    init.out("deaf");
    assert_eq!(init.status()["pid"], Value::Null);
    init.verb(&["health"]).complaint(1);
    init.signal(libc::SIGTERM);
    init.verb(&["health"]).complaint(1);
}

#[test]
fn the_text_is_a_few_aligned_lines() {
    let mut init = Bench::new(&["--backoff", "1ms"]).run(&["up", "at 1 exit 3", "obey"]);
    init.out("up 2");
    let said = init.verb(&["status"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_eq!(said.err, "");
    let lines: Vec<&str> = said.out.lines().collect();
    assert!((4..=12).contains(&lines.len()), "{}", said.out);
    // The second column begins at the same place in every line.
    let column = |line: &str| {
        let gap = line.find("  ")?;
        Some(gap + line[gap..].find(|letter| letter != ' ')?)
    };
    let place = column(lines[1]).expect("two columns");
    for line in &lines {
        assert_eq!(line.as_bytes().get(place - 1), Some(&b' '), "{}", said.out);
        assert!(line.as_bytes().get(place).is_some_and(|letter| *letter != b' '), "{}", said.out);
        assert!(line.is_ascii() && line.len() <= 160, "{line}");
    }
    for word in ["fixture", "generation 2", "ready", "yes", "1 of 5", "generation 1", "code 3", "MiB"] {
        assert!(said.out.contains(word), "{word}: {}", said.out);
    }
    init.tell("exit 0");
    assert_eq!(init.exit_code(), 0);
}

#[test]
fn nobody_there_is_one_line_and_1() {
    for verb in [&["status"][..], &["status", "--json"], &["health"], &["restart"]] {
        let end = Bench::new(verb).start().end();
        assert_eq!(end.code, Some(1), "{verb:?}: {end:?}");
        assert!(end.out.is_empty(), "{verb:?}: {end:?}");
        assert_eq!(end.log.len(), 1, "{verb:?}: {end:?}");
        assert!(end.log[0].starts_with("restartinit: no restartinit"), "{verb:?}: {end:?}");
    }
}

/// Another init is PID 1: that one is not asked.
#[test]
fn another_pid_1_is_not_restartinit() {
    let mut other = Bench::new(&["-c", "echo here; read line; exit 0"]).program("/bin/sh").start();
    other.out("here");
    for verb in ["status", "health", "restart"] {
        let said = other.ask_anyway(&[verb]).end();
        assert!(said.complaint(1).contains("no restartinit"), "{said:?}");
    }
    other.close_input();
    other.end();
}

#[test]
fn an_ordinary_process_answers_likewise() {
    let mut init = Bench::new(&[]).place(Place::Hosted).run(&["up", "obey"]);
    init.out("up 1");
    assert_ne!(init.status()["init"]["pid"], 1);
    assert_eq!(init.verb(&["health"]).code, Some(0));
    assert_eq!(init.verb(&["restart"]).code, Some(0));
    init.out("up 2");
    init.tell("exit 0");
    init.out("init exited with 0");
}

#[test]
fn without_proc_it_works_and_a_verb_says_why_it_does_not() {
    let mut init = Bench::new(&[]).scene(&["empty /proc"]).run(&["up", "at 1 exit 3", "obey"]);
    init.out("up 2");
    for verb in ["status", "health", "restart"] {
        let said = init.ask_anyway(&[verb]).end();
        assert!(said.complaint(1).contains("/proc is not mounted"), "{said:?}");
    }
    init.tell("exit 0");
    let end = init.end();
    assert_eq!(end.code, Some(0));
    assert_eq!(end.generations(), 2);
}

#[test]
fn a_verb_takes_no_more_words() {
    for words in [&["status", "--yaml"][..], &["status", "now"], &["health", "--json"], &["restart", "now"]] {
        refused(&Bench::new(words).start().end(), &[words[0], "restartinit -- "]);
    }
}

/// Only as the first operand and without `--`; otherwise they are words like any other.
#[test]
fn a_verb_elsewhere_is_the_commands() {
    let end = Bench::new(&["echo", "status", "health", "restart"]).start().end();
    assert_eq!((end.code, end.out), (Some(0), vec!["status health restart".to_owned()]));
    for verb in ["status", "health", "restart"] {
        let end = Bench::new(&["--", verb]).variable("PATH", "/usr/bin:/bin").start().end();
        assert_eq!(end.code, Some(127), "{end:?}");
        let end = Bench::new(&[&format!("./{verb}")]).start().end();
        assert_eq!(end.code, Some(127), "{end:?}");
    }
}

/// A twin in the image's environment is a setting of the supervising one. It must not break the probe.
#[test]
fn the_environment_does_not_matter_to_a_verb() {
    let mut init = Bench::new(&[]).run(&["up", "obey"]);
    init.out("up 1");
    init.await_door();
    let program = support::init().display().to_string();
    for twin in ["RESTARTINIT_RESTART=sometimes", "RESTARTINIT_HTTP=127.0.0.1:1", "RESTARTINIT_NO_SUCH=1"] {
        let said = init.enter(&["env", twin, &program, "health"]).end();
        assert_eq!(said.code, Some(0), "{said:?}");
        assert_eq!(said.err, "");
    }
    init.tell("exit 0");
    assert_eq!(init.exit_code(), 0);
}

/// The command may ask as its first act, and nobody in the container can be there before restartinit.
#[test]
fn it_answers_before_the_command_runs() {
    let program = init().display().to_string();
    for _ in 0..50 {
        let end = Bench::new(&["--restart", "never"]).command([program.as_str(), "status"]).end();
        assert_eq!(end.code, Some(0), "{end:?}");
    }
}
