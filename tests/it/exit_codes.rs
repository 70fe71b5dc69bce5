//! The exit codes: every row of the table, and every outcome's name in the log and in the termination log.

use crate::support;

use serde_json::Value;
use support::{Bench, End, Running, Scratch, fixture};

/// What tini, dumb-init and catatonit promise too.
mod common {
    use super::*;
    use support::plain;

    #[test]
    fn the_commands_code_is_the_inits() {
        for code in [0, 1, 2, 42, 99, 124, 125, 126, 127, 128, 129, 143, 254, 255] {
            assert_eq!(plain().run(&["up", &format!("exit {code}")]).exit_code(), code);
        }
    }

    #[test]
    fn a_death_by_signal_is_128_and_the_signal() {
        for (name, code) in [("HUP", 129), ("ABRT", 134), ("KILL", 137), ("SEGV", 139), ("PIPE", 141), ("TERM", 143)] {
            assert_eq!(plain().run(&["up", &format!("die {name}")]).exit_code(), code);
        }
    }

    #[test]
    fn a_command_that_is_not_there_is_127() {
        for missing in ["/no/such/command", "no-such-command"] {
            assert_eq!(plain().variable("PATH", "/usr/bin:/bin").command([missing]).exit_code(), 127);
        }
    }

    #[test]
    fn a_command_that_is_no_program_is_126() {
        let scratch = Scratch::new();
        std::fs::write(scratch.path("locked"), "no program").expect("a file");
        assert_eq!(plain().command([scratch.path("locked")]).exit_code(), 126);
    }
}

/// A run with a termination log; gives what it said, and that log.
struct Story {
    scratch: Scratch,
    options: Vec<String>,
}

impl Story {
    fn new(options: &[&str]) -> Self {
        let scratch = Scratch::new();
        std::fs::write(scratch.path("termination"), "old\n").expect("the file that Kubernetes makes");
        let mut options: Vec<String> = options.iter().map(|option| (*option).to_owned()).collect();
        options.extend(["--termination-log".to_owned(), scratch.path("termination")]);
        Self { scratch, options }
    }

    fn bench(&self) -> Bench {
        let options: Vec<&str> = self.options.iter().map(String::as_str).collect();
        Bench::new(&options)
    }

    fn run(&self, statements: &[&str]) -> Running {
        self.bench().run(statements)
    }

    /// Checks the code, the last line of the log, and the termination log's one line against each other.
    fn check(&self, end: &End, outcome: &str, code: i32) -> Value {
        assert_eq!(end.code, Some(code), "{end:?}");
        let last = end.log.last().expect("a last line");
        assert!(last.starts_with(&format!("restartinit: {outcome}: ")), "{last}");
        assert!(last.ends_with(&format!("; exiting with code {code}")), "{last}");
        let written = self.scratch.read("termination");
        assert_eq!(written.lines().count(), 1, "{written:?}");
        let reason: Value = serde_json::from_str(&written).unwrap_or_else(|error| panic!("{error}: {written:?}"));
        assert_eq!(reason["outcome"], outcome);
        assert_eq!(reason["exit_code"], code);
        assert!(reason["message"].as_str().is_some_and(|message| !message.is_empty()), "{written}");
        reason
    }
}

#[test]
fn completed() {
    let story = Story::new(&["-v"]);
    let reason = story.check(&story.run(&["exit 0"]).end(), "completed", 0);
    assert_eq!(reason["last_exits"][0]["code"], 0);
    for (ending, code) in [("exit 3", 3), ("exit 255", 255), ("die KILL", 137), ("die SEGV", 139)] {
        for options in [["-v", "--restart", "never"], ["-v", "--max-restarts", "0"]] {
            let story = Story::new(&options);
            story.check(&story.run(&[ending]).end(), "completed", code);
        }
    }
}

#[test]
fn stopped() {
    for (ending, code) in [("exit 0", 0), ("exit 5", 5), ("die TERM", 143), ("die KILL", 137)] {
        let story = Story::new(&["-v"]);
        let mut init = story.run(&[&format!("on TERM {ending}"), "up", "pause"]);
        init.out("up 1");
        init.signal(libc::SIGTERM);
        story.check(&init.end(), "stopped", code);
    }
}

#[test]
fn restarts_exhausted() {
    let story = Story::new(&["--max-restarts", "2", "--backoff", "0"]);
    let reason = story.check(&story.run(&["at 1 exit 3", "at 2 die ABRT", "exit 5"]).end(), "restarts-exhausted", 5);
    let exits = reason["last_exits"].as_array().expect("the last exits");
    let find = |generation: u64| exits.iter().find(|exit| exit["generation"] == generation).expect("that generation");
    assert_eq!(exits.len(), 3);
    assert_eq!(find(1)["code"], 3);
    assert_eq!(find(2)["signal"], "SIGABRT");
    assert_eq!(find(3)["code"], 5);
    assert!(exits.iter().all(|exit| exit["pid"].is_u64() && exit["uptime_seconds"].is_number()), "{exits:?}");
}

#[test]
fn restarts_exhausted_by_a_signal() {
    let story = Story::new(&["--max-restarts", "1"]);
    story.check(&story.run(&["die KILL"]).end(), "restarts-exhausted", 137);
}

#[test]
fn restarts_exhausted_is_never_success() {
    let story = Story::new(&["--max-restarts", "1", "--restart", "always"]);
    story.check(&story.run(&["exit 0"]).end(), "restarts-exhausted", 1);
    let story = Story::new(&["--max-restarts", "1", "--restart", "always", "--exit-zero-on", "3"]);
    story.check(&story.run(&["exit 3"]).end(), "restarts-exhausted", 1);
}

/// For orchestrators whose rules read the code: it says that restartinit gave up, whatever the command ended with.
#[test]
fn restarts_exhausted_with_a_code_of_its_own() {
    for (options, statement) in [(&["--exhausted-code", "75"][..], "exit 5"), (&["--exhausted-code=75"], "die KILL")] {
        let story = Story::new(&[options, &["--max-restarts", "1"]].concat());
        let reason = story.check(&story.run(&[statement]).end(), "restarts-exhausted", 75);
        assert_eq!(reason["exit_code"], 75, "{reason}");
    }
    let story = Story::new(&["--exhausted-code", "75", "--max-restarts", "1", "--restart", "always"]);
    story.check(&story.run(&["exit 0"]).end(), "restarts-exhausted", 75);
    // Nothing was used up where there was nothing to use, or where something else ended it.
    for (options, code, outcome) in [
        (["--restart", "never"], 5, "completed"),
        (["--max-restarts", "0"], 5, "completed"),
        (["--no-restart-on", "5"], 5, "no-restart-code"),
    ] {
        let story = Story::new(&[&["--exhausted-code", "75"], &options[..]].concat());
        story.check(&story.run(&["exit 5"]).end(), outcome, code);
    }
}

#[test]
fn no_restart_code() {
    let story = Story::new(&["--no-restart-on", "78"]);
    story.check(&story.run(&["exit 78"]).end(), "no-restart-code", 78);
}

#[test]
fn reported_as_zero() {
    let story = Story::new(&["-v", "--exit-zero-on", "143"]);
    let mut init = story.run(&["up", "pause"]);
    init.out("up 1");
    init.signal(libc::SIGTERM);
    story.check(&init.end(), "stopped", 0);
    let story = Story::new(&["-v", "--exit-zero-on", "3"]);
    story.check(&story.run(&["exit 3"]).end(), "completed", 0);
}

/// A command that is not there, one without the permission, a folder, one that is no program.
#[test]
fn cannot_execute() {
    let scratch = Scratch::new();
    std::fs::write(scratch.path("locked"), "no program").expect("a file");
    let cases = [
        (scratch.path("missing"), 127),
        ("restartinit-no-such-command".to_owned(), 127),
        (scratch.path("locked"), 126),
        (scratch.path(""), 126),
        (scratch.executable("garbage", b"no program"), 126),
    ];
    for (command, code) in cases {
        let story = Story::new(&[]);
        let end = story.bench().variable("PATH", "/usr/bin:/bin").command([&command]).end();
        story.check(&end, "cannot-execute", code);
        assert!(end.log.last().is_some_and(|line| line.contains(&command)), "it names the command: {:?}", end.log);
        assert_eq!(end.log.len(), 1, "no restarts are spent on it: {:?}", end.log);
    }
}

#[test]
fn a_command_is_looked_for_in_the_path() {
    let scratch = Scratch::new();
    scratch.copy(&fixture(), "the-command");
    let path = format!("/nowhere:{}:/usr/bin:/bin", scratch.path(""));
    let bench = Bench::new(&["--restart", "never"]).variable("PATH", path);
    assert_eq!(bench.command(["the-command", "exit 9"]).exit_code(), 9);
}

/// In a later generation it is the same, at once: neither a crash nor a restart.
#[test]
fn cannot_execute_any_more() {
    for (spoil, code) in [("remove", 127), ("lock", 126), ("spoil", 126)] {
        let scratch = Scratch::new();
        let command = scratch.copy(&fixture(), "command");
        let story = Story::new(&["--restart", "always"]);
        let spoil = format!("at 2 {spoil} {command}");
        let end = story.bench().command([command.as_str(), "up", &spoil, "exit 3"]).end();
        story.check(&end, "cannot-execute", code);
        assert_eq!(end.generations(), 2);
        assert_eq!(end.logged(": restart ").len(), 2, "{:?}", end.log);
    }
}

/// Where Kubernetes has put the file, it is used without being asked for; where nobody has, none is made.
#[test]
fn the_termination_log_is_where_kubernetes_has_it() {
    let mut init = Bench::new(&[]).scene(&["private-dev"]).run(&["on TERM exit 3", "up", "pause"]);
    init.out("up 1");
    let seen = format!("/proc/{}/root/dev/termination-log", init.init_pid());
    let mut file = std::fs::File::open(seen).expect("the file in the namespace");
    init.signal(libc::SIGTERM);
    assert_eq!(init.exit_code(), 3);
    let mut written = String::new();
    std::io::Read::read_to_string(&mut file, &mut written).expect("its text");
    let reason: Value = serde_json::from_str(&written).expect("JSON");
    assert_eq!(reason["outcome"], "stopped");
    assert_eq!(reason["exit_code"], 3);
}

#[test]
fn a_termination_log_that_cannot_be_written_changes_nothing() {
    for path in ["/nowhere/at/all", "/dev/full", "/proc/1/status"] {
        let end = Bench::new(&["--max-restarts", "1", "--termination-log", path]).run(&["up", "exit 4"]).end();
        assert_eq!(end.code, Some(4));
        assert_eq!(end.generations(), 2);
    }
}
