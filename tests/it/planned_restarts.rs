//! `restartinit restart`: the command stops gracefully and starts anew, no crash is spent, and whoever asked is told how it went.

use crate::support;

use serde_json::json;
use support::{Bench, Running, Scratch, fixture};

/// The budget is whole and no crash is told of.
fn nothing_spent(init: &mut Running) {
    let status = init.status();
    assert_eq!(status["restarts"]["used"], 0, "{status}");
    assert_eq!(status["restarts"]["remaining"], status["restarts"]["allowed"], "{status}");
    assert_eq!((&status["restarts"]["total"]["exit code"], &status["restarts"]["total"]["signal"]), (&json!(0), &json!(0)), "{status}");
}

fn restart(init: &mut Running) -> String {
    let said = init.verb(&["restart"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_eq!(said.err, "");
    said.out
}

/// Whatever it ends with when it was asked to, and whatever the policy: it was no crash and no completion.
#[test]
fn it_is_not_counted() {
    for policy in ["on-failure", "always", "never"] {
        for ending in ["exit 0", "exit 3", "die TERM", "die SEGV"] {
            let options = ["--restart", policy, "--max-restarts", "1", "--no-restart-on", "3"];
            let mut init = Bench::new(&options).run(&[&format!("on TERM {ending}"), "up", "obey"]);
            init.out("up 1");
            for generation in 2..=4 {
                let told = restart(&mut init);
                init.out(&format!("up {generation}"));
                assert!(told.contains(&format!("generation {generation}")), "{told}");
            }
            nothing_spent(&mut init);
            let status = init.status();
            assert_eq!(status["restarts"]["total"]["asked"], 3, "{policy} {ending}: {status}");
            assert_eq!(status["last_exits"][0]["reason"], "asked", "{policy} {ending}: {status}");
            init.tell("exit 0");
            if policy == "always" {
                init.out("up 5");
                init.signal(libc::SIGTERM);
            }
            init.end();
        }
    }
}

/// The stop signal that the app knows is the one that `docker stop` sends; a rewritten one is rewritten here too.
#[test]
fn the_command_is_asked_as_a_stop_asks_it() {
    let mut init = Bench::new(&["--rewrite", "TERM:QUIT"]).run(&["catch TERM QUIT", "up", "wait QUIT", "exit 0"]);
    init.out("up 1");
    restart(&mut init);
    init.out("up 2");
    init.signal(libc::SIGTERM);
    let end = init.end();
    assert_eq!(end.code, Some(0));
    assert_eq!(end.signals(), ["SIGQUIT", "SIGQUIT"]);
}

#[test]
fn it_returns_when_the_next_generation_is_ready() {
    let mut init = Bench::new(&[]).run(&["on TERM exit 0", "up", "obey"]);
    init.out("up 1");
    for generation in 2..=6 {
        restart(&mut init);
        let status = init.status();
        assert_eq!(
            (&status["generation"], &status["ready"], &status["state"]),
            (&json!(generation), &json!(true), &json!("running")),
            "{status}"
        );
        assert_eq!(init.verb(&["health"]).code, Some(0));
    }
    init.out("up 6");
    init.tell("exit 0");
    assert_eq!(init.exit_code(), 0);
}

/// The wait before a crash restart ends with it: somebody has repaired what was broken, and will not wait for an hour.
#[test]
fn it_cuts_the_backoff_short() {
    let mut init = Bench::new(&["--backoff", "1h", "--backoff-max", "1h"]).run(&["up", "until 2 exit 3", "obey"]);
    init.log("restart 2 of 5 in");
    restart(&mut init);
    init.out("up 3");
    let status = init.status();
    assert_eq!(status["state"], "running");
    assert!(status["restarts"]["used"].as_u64().is_some_and(|used| used <= 2), "{status}");
    init.tell("exit 0");
    assert_eq!(init.exit_code(), 0);
}

#[test]
fn it_is_refused_while_stopping() {
    let mut init = Bench::new(&[]).run(&["catch TERM", "up", "obey"]);
    init.out("up 1");
    init.signal(libc::SIGTERM);
    init.out("got SIGTERM 1");
    let said = init.verb(&["restart"]);
    assert!(said.complaint(1).contains("stop"), "{said:?}");
    init.tell("exit 5");
    let end = init.end();
    assert_eq!(end.code, Some(5));
    assert_eq!((end.generations(), end.signals().len()), (1, 1), "{end:?}");
}

#[test]
fn it_is_refused_while_draining() {
    let mut init = Bench::new(&["--drain-delay", "1h"]).run(&["on TERM exit 5", "up", "obey"]);
    init.out("up 1");
    init.signal(libc::SIGTERM);
    init.status_with("it drains", |status| status["state"] == "draining");
    init.verb(&["restart"]).complaint(1);
    init.signal(libc::SIGTERM);
    let end = init.end();
    assert_eq!(end.code, Some(5));
    assert_eq!(end.generations(), 1);
}

#[test]
fn it_is_refused_while_another_one_is_under_way() {
    let mut init = Bench::new(&["--grace-period", "1h"]).run(&["catch TERM", "up", "obey"]);
    init.out("up 1");
    let first = init.ask(&["restart"]);
    init.out("got SIGTERM 1");
    let status = init.status();
    assert_eq!((&status["state"], &status["ready"]), (&json!("restarting"), &json!(false)), "{status}");
    init.verb(&["health"]).complaint(1);
    let said = init.verb(&["restart"]);
    assert!(said.complaint(1).contains("under way"), "{said:?}");
    init.tell("exit 0");
    init.out("up 2");
    nothing_spent(&mut init);
    init.tell("exit 0");
    let end = init.end();
    assert_eq!(end.code, Some(0));
    assert_eq!(end.signals().len(), 1, "the second one sent nothing: {end:?}");
    drop(first);
}

#[test]
fn a_stop_meanwhile_wins() {
    let mut init = Bench::new(&["--grace-period", "1h", "--restart", "always"]).run(&["catch TERM INT", "up", "obey"]);
    init.out("up 1");
    let asked = init.ask(&["restart"]);
    init.out("got SIGTERM 1");
    init.signal(libc::SIGINT);
    init.out("got SIGINT 1");
    init.tell("exit 6");
    let end = init.end();
    assert_eq!(end.code, Some(6));
    assert_eq!(end.generations(), 1);
    // PID 1's end takes its namespace along, and this process with it: it is told before, or it is killed.
    let said = asked.0.wait_with_output().expect("its end");
    assert_ne!(said.status.code(), Some(0), "{said:?}");
    let told = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(told.lines().count() <= 1, "{told}");
}

/// Whoever asked is told that the stop has won, also when nothing has ended yet.
#[test]
fn a_stop_meanwhile_is_told_to_whoever_asked() {
    let mut init = Bench::new(&["--grace-period", "1h"]).run(&["catch TERM INT", "up", "obey"]);
    init.out("up 1");
    let asked = init.ask(&["restart"]);
    init.out("got SIGTERM 1");
    init.signal(libc::SIGINT);
    init.out("got SIGINT 1");
    let said = asked.end();
    assert!(said.complaint(1).contains("stop"), "{said:?}");
    init.tell("exit 6");
    assert_eq!(init.exit_code(), 6);
}

#[test]
fn a_stop_in_its_drain_delay_wins() {
    let mut init = Bench::new(&["--drain-delay", "1h"]).run(&["on TERM exit 6", "up", "obey"]);
    init.out("up 1");
    let asked = init.ask(&["restart"]);
    init.status_with("it is being replaced", |status| status["state"] != "running");
    init.verb(&["health"]).complaint(1);
    assert_eq!(init.signal_count(), 0, "the load balancer has its time");
    init.signal(libc::SIGTERM);
    init.status_with("it drains for the stop", |status| status["state"] == "draining");
    let said = asked.end();
    assert!(said.complaint(1).contains("stop"), "{said:?}");
    init.signal(libc::SIGTERM);
    let end = init.end();
    assert_eq!(end.code, Some(6));
    assert_eq!(end.generations(), 1);
}

#[test]
fn the_drain_delay_comes_first() {
    let mut init = Bench::new(&["--drain-delay", "100ms"]).run(&["on TERM exit 0", "up", "obey"]);
    init.out("up 1");
    restart(&mut init);
    init.out("up 2");
    nothing_spent(&mut init);
    init.tell("exit 0");
    let end = init.end();
    assert_eq!(end.code, Some(0));
    assert_eq!(end.signals(), ["SIGTERM"]);
}

#[test]
fn a_command_that_ignores_it_is_killed_after_the_grace_period() {
    let mut init = Bench::new(&["--grace-period", "500ms", "--max-restarts", "1"]).run(&["catch TERM", "up", "obey"]);
    init.out("up 1");
    for generation in 2..=4 {
        restart(&mut init);
        init.out(&format!("up {generation}"));
    }
    nothing_spent(&mut init);
    assert_eq!(init.status()["last_exits"][0]["signal"], "SIGKILL");
    init.tell("exit 0");
    let end = init.end();
    assert_eq!(end.code, Some(0));
    assert_eq!(end.signals(), ["SIGTERM"; 3]);
}

#[test]
fn leftovers_are_ended_before_the_next_generation() {
    let mut init = Bench::new(&["--leftover-timeout", "50ms"]).run(&[
        "at 1 child daemon ignore TERM / pause",
        "at 1 child session ignore TERM / pause",
        "on TERM exit 0",
        "up",
        "show processes",
        "obey",
    ]);
    init.out("up 1");
    let told = init.verb(&["restart"]);
    assert_eq!(told.code, Some(0), "{told:?}");
    init.out("up 2");
    assert_eq!(processes(&init.out("processes:")), "", "{told:?}");
    nothing_spent(&mut init);
    init.tell("exit 0");
    assert_eq!(init.exit_code(), 0);
}

/// Without the verb itself, which is still there as it waits: it sleeps, and has come from outside.
fn processes(line: &str) -> String {
    let list = line.trim_start_matches("processes: ");
    let strangers = list.split(' ').filter(|process| *process != "none");
    let strangers: Vec<&str> = strangers.collect();
    if strangers.len() <= 1 { String::new() } else { strangers.join(" ") }
}

/// Everything that a new generation of a crash gets, it gets after a planned restart too.
#[test]
fn the_next_generation_knows_its_number_and_the_last_exit() {
    let mut init = Bench::new(&[]).run(&["on TERM exit 9", "up", "show last-exit", "obey"]);
    init.out("last-exit: unset");
    restart(&mut init);
    init.out("up 2");
    init.out("last-exit: 9");
    init.tell("exit 0");
    assert_eq!(init.exit_code(), 0);
}

/// The new version of the command cannot be run: whoever asked is told, and so is the orchestrator.
#[test]
fn a_command_that_cannot_be_run_any_more_is_told() {
    let scratch = Scratch::new();
    let command = scratch.copy(&fixture(), "command");
    let spoil = format!("spoil {command}");
    let mut init = Bench::new(&[]).command([command.as_str(), "on TERM exit 0", "up", "obey"]);
    init.out("up 1");
    init.tell(&spoil);
    init.tell("say spoiled");
    init.out("spoiled");
    let said = init.ask(&["restart"]).0.wait_with_output().expect("its end");
    assert_ne!(said.status.code(), Some(0), "{said:?}");
    let end = init.end();
    assert_eq!(end.code, Some(126), "{end:?}");
    assert_eq!(end.logged("cannot-execute: ").len(), 1, "{end:?}");
}

/// It is told at the usual level, as every restart is, by both formats.
#[test]
fn it_is_one_of_the_restarts_that_are_told() {
    let mut init = Bench::new(&[]).run(&["on TERM exit 0", "up", "obey"]);
    init.out("up 1");
    restart(&mut init);
    init.out("up 2");
    init.tell("exit 0");
    let end = init.end();
    assert!(!end.logged("asked").is_empty(), "every restart prints one line: {end:?}");
    assert!(end.log.len() <= 2, "{end:?}");
}

/// A crash budget that is used up is the crashes' affair.
#[test]
fn it_works_with_no_restarts_left() {
    let mut init = Bench::new(&["--max-restarts", "1"]).run(&["on TERM exit 0", "up", "at 1 exit 3", "obey"]);
    init.out("up 2");
    restart(&mut init);
    init.out("up 3");
    let status = init.status();
    assert_eq!((&status["restarts"]["used"], &status["restarts"]["remaining"]), (&json!(1), &json!(0)), "{status}");
    init.tell("exit 4");
    let end = init.end();
    assert_eq!(end.code, Some(4));
    assert_eq!(end.logged("restarts-exhausted: ").len(), 1, "{end:?}");
}

/// The refusal is for the one who came second. Whoever was first is told how the restart went.
#[test]
fn a_refusal_is_for_the_one_who_came_second() {
    let mut init = Bench::new(&["--grace-period", "1h"]).run(&["catch TERM", "up", "obey"]);
    init.out("up 1");
    let first = init.ask(&["restart"]);
    init.out("got SIGTERM 1");
    init.verb(&["restart"]).complaint(1);
    init.tell("exit 0");
    init.out("up 2");
    let said = first.end();
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.out.contains("generation 2"), "{said:?}");
    init.tell("exit 0");
    assert_eq!(init.exit_code(), 0);
}
