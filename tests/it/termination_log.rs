//! The termination log: one JSON line of at most 4096 bytes that says why restartinit has given up, whole or not at all.

use crate::support;

use serde_json::Value;
use support::{Bench, End, Scratch};

/// Kubernetes shows no more of it.
const LIMIT: usize = 4096;

fn read(scratch: &Scratch) -> Value {
    let text = scratch.read("log");
    assert!(text.len() <= LIMIT, "{} bytes", text.len());
    assert!(text.ends_with('\n') && text.lines().count() == 1, "{text:?}");
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text:?}"))
}

fn bench(scratch: &Scratch, options: &[&str]) -> Bench {
    Bench::new(&[&["--termination-log", &scratch.path("log")], options].concat())
}

fn outcome(scratch: &Scratch, end: &End, outcome: &str) -> Value {
    let told = read(scratch);
    assert_eq!(told["outcome"], outcome, "{told}");
    assert_eq!(told["exit_code"].as_i64(), end.code.map(i64::from), "{told}");
    told
}

#[test]
fn every_outcome_is_told() {
    let scratch = Scratch::new();
    let end = bench(&scratch, &[]).run(&["exit 0"]).end();
    outcome(&scratch, &end, "completed");
    let end = bench(&scratch, &["--max-restarts", "1"]).run(&["exit 3"]).end();
    let told = outcome(&scratch, &end, "restarts-exhausted");
    let exits = told["last_exits"].as_array().expect("a list");
    assert_eq!(exits.len(), 2, "{told}");
    assert!(exits.iter().all(|exit| exit["code"] == 3), "{told}");
    let end = bench(&scratch, &["--no-restart-on", "78"]).run(&["exit 78"]).end();
    outcome(&scratch, &end, "no-restart-code");
    let end = bench(&scratch, &[]).command(["/no/such/command"]).end();
    outcome(&scratch, &end, "cannot-execute");
    let mut init = bench(&scratch, &[]).run(&["up", "pause"]);
    init.out("up 1");
    init.signal(libc::SIGTERM);
    let end = init.end();
    outcome(&scratch, &end, "stopped");
}

#[test]
fn planned_restarts_are_told_with_their_reason() {
    let scratch = Scratch::new();
    let mut init = bench(&scratch, &["--max-restarts", "0"]).run(&["on TERM exit 0", "up", "obey"]);
    init.out("up 1");
    for generation in 2..=3 {
        assert_eq!(init.verb(&["restart"]).code, Some(0));
        init.out(&format!("up {generation}"));
    }
    init.tell("exit 4");
    let end = init.end();
    assert_eq!(end.code, Some(4));
    let told = read(&scratch);
    assert_eq!(told["exit_code"], 4, "{told}");
    let exits = told["last_exits"].as_array().expect("a list");
    assert_eq!(exits.iter().filter(|exit| exit["reason"] == "asked").count(), 2, "{told}");
    assert!(exits.iter().any(|exit| exit["code"] == 4), "{told}");
}

/// A hundred exits, each with what can be told of it, and a name that is long once it is JSON.
#[test]
fn it_fits_whatever_happened() {
    let scratch = Scratch::new();
    let options = ["--max-restarts", "100", "--backoff", "0"];
    let end = bench(&scratch, &options).run(&["up", "die KILL"]).end();
    assert_eq!(end.generations(), 101);
    let told = outcome(&scratch, &end, "restarts-exhausted");
    assert!(!told["last_exits"].as_array().expect("a list").is_empty(), "{told}");
    let long = format!("/no/such/{}", "\u{1}\u{20ac}\"\\".repeat(600));
    let end = bench(&scratch, &[]).command([&long]).end();
    assert_eq!(end.code, Some(127));
    outcome(&scratch, &end, "cannot-execute");
}

/// What was there before is gone, however long it was: kubelet reads the file, not the last write.
#[test]
fn it_is_rewritten_whole() {
    let scratch = Scratch::new();
    std::fs::write(scratch.path("log"), "x".repeat(100_000)).expect("an old log");
    let end = bench(&scratch, &[]).run(&["exit 0"]).end();
    outcome(&scratch, &end, "completed");
}

/// The file is a mount in Kubernetes: it cannot be replaced by another file, only written.
#[test]
fn it_stays_the_same_file() {
    let scratch = Scratch::new();
    let inode = |path: &str| std::os::unix::fs::MetadataExt::ino(&std::fs::metadata(path).expect("the file"));
    std::fs::write(scratch.path("log"), "").expect("a file");
    let before = inode(&scratch.path("log"));
    let end = bench(&scratch, &[]).run(&["exit 0"]).end();
    outcome(&scratch, &end, "completed");
    assert_eq!(inode(&scratch.path("log")), before);
    let others = std::fs::read_dir(scratch.path("")).expect("the folder").count();
    assert_eq!(others, 1, "nothing beside it");
}

#[test]
fn the_default_is_used_where_it_exists() {
    let mut init = Bench::new(&[]).scene(&["private-dev"]).run(&["catch TERM", "up", "obey"]);
    init.out("up 1");
    // A second init in the same place writes the file, and the first one's command reads it.
    let program = support::init().display().to_string();
    let said = init.enter(&["sh", "-c", &format!("'{program}' --max-restarts 1 sh -c 'exit 3'; cat /dev/termination-log")]).end();
    let told: Value = serde_json::from_str(said.out.trim_end()).unwrap_or_else(|error| panic!("{error}: {said:?}"));
    assert_eq!((&told["outcome"], &told["exit_code"]), (&"restarts-exhausted".into(), &3.into()), "{said:?}");
    init.tell("exit 0");
    assert_eq!(init.exit_code(), 0);
}

/// A folder, a place that is not there, a full disk, a file of somebody else: nothing but a debug line.
#[test]
fn where_it_cannot_be_written_nothing_else_changes() {
    let scratch = Scratch::new();
    for path in [scratch.path(""), scratch.path("no/such/place"), "/dev/full".to_owned(), "/proc/1/nothing".to_owned()] {
        for (statement, code) in [("exit 0", 0), ("exit 3", 3)] {
            let quiet = Bench::new(&["--max-restarts", "0", "--termination-log", &path]).run(&[statement]).end();
            assert_eq!(quiet.code, Some(code), "{path}: {quiet:?}");
            assert!(!quiet.log.iter().any(|line| line.contains("termination")), "{path}: {quiet:?}");
            let loud = Bench::new(&["-vv", "--max-restarts", "0", "--termination-log", &path]).run(&[statement]).end();
            assert_eq!(loud.code, Some(code), "{path}: {loud:?}");
            assert_eq!(loud.log.iter().filter(|line| line.contains(&path)).count(), 1, "{path}: {loud:?}");
        }
    }
}

/// A pipe that nobody reads would hold up the end for ever.
#[test]
fn a_pipe_in_its_place_holds_nothing_up() {
    let scratch = Scratch::new();
    let path = std::ffi::CString::new(scratch.path("log")).expect("a path");
    // SAFETY: the path is NUL-terminated.
    assert_eq!(unsafe { libc::mkfifo(path.as_ptr(), 0o666) }, 0);
    let end = bench(&scratch, &["--max-restarts", "0"]).run(&["exit 3"]).end();
    assert_eq!(end.code, Some(3));
}
