//! What is told in which words, to people and to programs, and how loud.

use nix::errno::Errno;

use super::*;
use crate::inspector::stack::Frame;
use crate::json::Value;
use crate::supervisor::bench;
use crate::supervisor::exit::{Awaited, Exit, LastExit, Outcome};
use crate::supervisor::spawn_failure::{Problem, SpawnStep};
use crate::time::Moment;

const MS: fn(u64) -> Duration = Duration::from_millis;

fn run(generation: u32, exit: Exit, reason: Option<Reason>) -> Run {
    Run { generation: bench::generation(generation), pid: bench::pid(7), exit, reason, uptime: MS(3200) }
}

fn crash() -> Run {
    run(2, Exit::Code(1), None)
}

fn killed(signal: Signal, core_dumped: bool) -> Exit {
    Exit::Signal { signal, core_dumped }
}

/// A report as its line, its level and its JSON.
fn told(report: &Report) -> (String, Level, String) {
    (report.message(), report.level(), Value::Object(report.fields()).to_string())
}

#[test]
fn lines_for_people_and_fields_for_programs() {
    let failure = SpawnFailure { step: SpawnStep::Exec, errno: Errno::EACCES, problem: Problem::NoExecuteBit };
    let (generation, pid, reason) = (bench::generation(2), bench::pid(7), Reason::MemoryLimit);
    for (report, message, level, fields) in [
        (
            Report::Started { generation, pid, duty: Duty::Standby },
            "generation 2 (pid 7) started as standby",
            Level::Info,
            r#"{"generation":2,"pid":7,"role":"standby"}"#,
        ),
        (
            Report::Started { generation, pid, duty: Duty::Active },
            "generation 2 (pid 7) started",
            Level::Info,
            r#"{"generation":2,"pid":7}"#,
        ),
        (
            Report::Started { generation, pid, duty: Duty::Successor },
            "generation 2 (pid 7) started as successor",
            Level::Info,
            r#"{"generation":2,"pid":7,"role":"successor"}"#,
        ),
        (
            Report::Restarting { run: crash(), hang: None, used: 1, allowed: 5, wait: Duration::ZERO, successor: None },
            "generation 2 (pid 7) exited with code 1 after 3.2 s: restart 1 of 5 now",
            Level::Warn,
            r#"{"generation":2,"pid":7,"code":1,"uptime_seconds":3.2,"restarts_used":1,"restarts_allowed":5,"wait_seconds":0.0}"#,
        ),
        (
            Report::Restarting {
                run: run(2, killed(Signal::KILL, false), Some(Reason::NotReady { limit: MS(300), awaited: Awaited::Message })),
                hang: None,
                used: 2,
                allowed: 5,
                wait: MS(100),
                successor: None,
            },
            "generation 2 (pid 7) was killed by SIGKILL (not ready in time: the app did not send process.send('ready') within 300 ms) after 3.2 s: restart 2 of 5 in 100 ms",
            Level::Warn,
            r#"{"generation":2,"pid":7,"signal":"SIGKILL","uptime_seconds":3.2,"reason":"not ready in time","restarts_used":2,"restarts_allowed":5,"wait_seconds":0.1}"#,
        ),
        (
            Report::Restarting {
                run: run(2, killed(Signal::QUIT, true), None),
                hang: None,
                used: 2,
                allowed: 5,
                wait: MS(100),
                successor: Some(bench::generation(3)),
            },
            "generation 2 (pid 7) was killed by SIGQUIT (core dumped) after 3.2 s: restart 2 of 5 (generation 3 takes over)",
            Level::Warn,
            r#"{"generation":2,"pid":7,"signal":"SIGQUIT","uptime_seconds":3.2,"restarts_used":2,"restarts_allowed":5,"wait_seconds":0.1,"taken_over_by":3}"#,
        ),
        (
            Report::Planned {
                generation: Some((bench::generation(2), bench::pid(7))),
                reason,
                memory: Some((600 << 20, 512 << 20)),
                path: None,
            },
            "planned restart, memory limit (600 of 512 MiB used): generation 2 (pid 7) is to be replaced",
            Level::Warn,
            r#"{"generation":2,"pid":7,"reason":"memory limit","memory_bytes":629145600,"memory_limit_bytes":536870912}"#,
        ),
        (
            Report::PlanFailed { reason: Reason::Asked, why: "x".to_owned(), goes_on: Some(bench::generation(2)) },
            "the planned restart (asked) failed: x; generation 2 goes on",
            Level::Warn,
            r#"{"reason":"asked","why":"x","goes_on":2}"#,
        ),
        (
            Report::StopAsked { signal: Signal::TERM, forwarded: Signal::QUIT, drain: MS(500) },
            "stop asked by SIGTERM, forwarded as SIGQUIT, in 500 ms",
            Level::Info,
            r#"{"signal":"SIGTERM","forwarded":"SIGQUIT","wait_seconds":0.5}"#,
        ),
        (
            Report::StopAsked { signal: Signal::TERM, forwarded: Signal::TERM, drain: Duration::ZERO },
            "stop asked by SIGTERM",
            Level::Info,
            r#"{"signal":"SIGTERM","forwarded":"SIGTERM","wait_seconds":0.0}"#,
        ),
        (
            Report::Leftovers { generation, count: 1, signal: Signal::TERM },
            "1 leftover of generation 2: SIGTERM sent",
            Level::Info,
            r#"{"generation":2,"count":1,"signal":"SIGTERM"}"#,
        ),
        (
            Report::Leftovers { generation, count: 2, signal: Signal::KILL },
            "2 leftovers of generation 2: SIGKILL sent",
            Level::Warn,
            r#"{"generation":2,"count":2,"signal":"SIGKILL"}"#,
        ),
        (
            Report::LeftoversRefused { generation, refused: Refused { count: 1, pid: bench::pid(9) } },
            "1 leftover of generation 2 (pid 9) may not be signalled: another user's, and restartinit lacks CAP_KILL: left alone",
            Level::Warn,
            r#"{"generation":2,"count":1,"pid":9}"#,
        ),
        (
            Report::LeftoversRefused { generation, refused: Refused { count: 2, pid: bench::pid(9) } },
            "2 leftovers of generation 2 (pid 9 and others) may not be signalled: another user's, and restartinit lacks CAP_KILL: left alone",
            Level::Warn,
            r#"{"generation":2,"count":2,"pid":9}"#,
        ),
        (
            Report::Launched { generation, count: 1, signal: Signal::TERM },
            "the command of generation 2 died of SIGTERM: waiting for 1 process that it started",
            Level::Info,
            r#"{"generation":2,"count":1,"signal":"SIGTERM"}"#,
        ),
        (
            Report::SpawnFailed { generation, failure, wait: MS(100) },
            "generation 2 could not be started: exec: permission denied: the file has no execute bit (chmod +x): trying again in 100 ms",
            Level::Warn,
            r#"{"generation":2,"errno":13,"wait_seconds":0.1}"#,
        ),
    ] {
        assert_eq!(told(&report), (message.to_owned(), level, fields.to_owned()));
    }
}

#[test]
fn an_end_says_what_came_last_and_with_which_code() {
    let end = |outcome, code, cause| Ending { outcome, code, cause };
    let spawn = SpawnFailure { step: SpawnStep::Exec, errno: Errno::ENOENT, problem: Problem::NotFound };
    for (ending, message, fields) in [
        (
            end(Outcome::RestartsExhausted, 1, Cause::Exhausted { run: crash(), used: 5, window: Duration::from_secs(60) }),
            "restarts-exhausted: generation 2 (pid 7) exited with code 1 after 3.2 s; 5 of 5 restarts used within 60 s; exiting with code 1",
            r#"{"outcome":"restarts-exhausted","exit_code":1,"generation":2,"pid":7,"code":1,"uptime_seconds":3.2,"restarts_used":5,"restarts_allowed":5}"#,
        ),
        (
            end(Outcome::RestartsExhausted, 1, Cause::Exhausted { run: crash(), used: 5, window: Duration::ZERO }),
            "restarts-exhausted: generation 2 (pid 7) exited with code 1 after 3.2 s; 5 of 5 restarts used; exiting with code 1",
            r#"{"outcome":"restarts-exhausted","exit_code":1,"generation":2,"pid":7,"code":1,"uptime_seconds":3.2,"restarts_used":5,"restarts_allowed":5}"#,
        ),
        (
            end(Outcome::CannotExecute, 127, Cause::Spawn(spawn)),
            "cannot-execute: cannot execute \"x\": not found in any folder of PATH (is it in the image?); exiting with code 127",
            r#"{"outcome":"cannot-execute","exit_code":127,"errno":2}"#,
        ),
        (
            end(Outcome::Stopped, 143, Cause::NeverSpawned { signal: Signal::TERM }),
            "stopped: SIGTERM arrived before the command could be started; exiting with code 143",
            r#"{"outcome":"stopped","exit_code":143,"signal":"SIGTERM"}"#,
        ),
    ] {
        for healthy in [true, false] {
            let report = Report::Ended { ending, hang: None, command: "x".to_owned(), healthy };
            let level = if healthy { Level::Info } else { Level::Warn };
            assert_eq!(told(&report), (message.to_owned(), level, fields.to_owned()));
        }
    }
}

/// All that Kubernetes keeps is 4096 bytes.
#[test]
fn the_termination_log_fits_and_tells_the_last_runs() {
    let ending = Ending {
        outcome: Outcome::CannotExecute,
        code: 127,
        cause: Cause::Spawn(SpawnFailure { step: SpawnStep::Exec, errno: Errno::ENOENT, problem: Problem::NotFound }),
    };
    // The longest that may be told of an app: each name is cut off somewhere.
    let long = "x".repeat(200);
    let frame = Frame { function: long.clone(), url: long.clone(), line: u32::MAX, column: u32::MAX };
    let hang = Hang { verdict: long, stack: vec![frame; 20], ..Hang::default() };
    let exits = [Reason::OutOfMemory { certain: false }, Reason::EventLoopBlocked { limit: Duration::from_secs(10) }].map(|reason| {
        let run = Run {
            generation: bench::generation(u32::MAX),
            pid: bench::pid(i32::MAX),
            exit: killed(Signal::KILL, true),
            reason: Some(reason),
            uptime: Duration::from_secs(u32::MAX.into()),
        };
        LastExit { run, hang: Some(Arc::new(hang.clone())), ended: Moment::START }
    });
    let exits: Vec<LastExit> = exits.into_iter().cycle().take(8).collect();
    let line = ending.termination_log(&"/\u{1}\u{e4}".repeat(9000), exits.iter());
    assert!(line.len() <= 4096 && line.ends_with("}\n"), "{} {line}", line.len());
    let value: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(
        (&value["outcome"], &value["exit_code"], &value["last_exits"][7]["signal"]),
        (&"cannot-execute".into(), &127.into(), &"SIGKILL".into())
    );
    assert!(value["message"].as_str().unwrap().starts_with("cannot-execute: cannot execute \"/"));
    assert_eq!((at_most("a\u{e4}b", 2), at_most("a\u{e4}b", 3), at_most("ab", 9)), ("a", "a\u{e4}", "ab"));
}

/// Programs filter by it: no two kinds of what is told share a name without meaning the same.
#[test]
fn events_are_named_for_programs() {
    let (generation, pid, run) = (bench::generation(2), bench::pid(7), crash());
    let named = [
        (Report::Started { generation, pid, duty: Duty::Active }, "start"),
        (Report::Ready { generation, pid, after: MS(1), knowledge: Knowledge::Exact, serves_again: false }, "ready"),
        (Report::Unready { generation, pid }, "unready"),
        (Report::AddressesMissing { generation, pid, missing: vec!["[::]:80".to_owned()] }, "addresses-missing"),
        (Report::TakenForWorker { generation, pid }, "taken-for-worker"),
        (Report::ListenersUnknowable { generation, pid }, "listeners-unknowable"),
        (Report::Restarting { run, hang: None, used: 1, allowed: 5, wait: MS(0), successor: None }, "restart"),
        (Report::Planned { generation: None, reason: Reason::Asked, memory: None, path: None }, "planned-restart"),
        (Report::TakenOver { generation, pid, after: MS(1), old: bench::generation(1), reason: Reason::Asked }, "take-over"),
        (Report::PlanFailed { reason: Reason::Asked, why: String::new(), goes_on: None }, "planned-restart-failed"),
        (Report::CutOff { generation, pid, signal: Signal::TERM, requests: 1 }, "requests-cut-off"),
        (Report::Retired { run }, "retired"),
        (Report::StandbyWaits { generation, pid }, "standby"),
        (Report::StandbyEnded { run, wait: MS(1) }, "standby-ended"),
        (Report::Silent { generation, pid }, "channel-silent"),
        (Report::StopAsked { signal: Signal::TERM, forwarded: Signal::TERM, drain: MS(0) }, "stop"),
        (Report::GraceExpired { generation, pid, grace: MS(1) }, "grace-expired"),
        (Report::LeftoversRemain { generation, count: 1 }, "leftovers"),
        (Report::Launched { generation, count: 2, signal: Signal::TERM }, "launched"),
        (Report::CannotKill { generation, pid, reason: None }, "cannot-signal"),
        (Report::SignalDropped { signal: Signal::TERM }, "signal-dropped"),
    ];
    for (report, name) in named {
        assert_eq!(report.event(), name);
        assert!(!report.message().is_empty() && !report.fields().is_empty(), "{name}");
    }
}
