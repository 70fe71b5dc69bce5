//! The house rules that a compiler does not know: which room may import which, where `unsafe` lives, that thought has no clock.

use std::fs;
use std::path::{Path, PathBuf};

fn sources(folder: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of sources") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).expect("a source");
                found.push((path, text));
            }
        }
    }
    assert!(!found.is_empty());
    found
}

/// Files that are tests from the first line to the last.
const TESTS: [&str; 6] = ["tests.rs", "exploration.rs", "launchers.rs", "promises.rs", "scenarios.rs", "world.rs"];

/// The program's own part of a file, without its tests.
fn code(text: &str) -> &str {
    text.split("#[cfg(test)]\nmod tests {").next().unwrap_or(text)
}

fn assert_free_of(folder: &str, skipped: &[&str], forbidden: &[&str]) {
    for (path, text) in sources(folder) {
        if skipped.iter().any(|name| path.ends_with(name)) {
            continue;
        }
        for word in forbidden {
            assert!(!code(&text).contains(word), "{} must not know {word}", path.display());
        }
    }
}

#[test]
fn thought_knows_no_hands_no_clock_and_no_environment() {
    let hands = ["crate::sys", "crate::run", "crate::verbs", "crate::logger"];
    let world = ["std::fs", "std::process", "std::env", "Instant", "SystemTime", "unsafe"];
    for room in ["src/supervisor", "src/config", "src/node", "src/observe", "src/procfs"] {
        assert_free_of(room, &[], &hands);
        assert_free_of(room, &TESTS, &world);
    }
}

#[test]
fn hands_do_not_know_one_another_nor_the_hall() {
    // The child's side of a spawn is of the same subject.
    assert_free_of("src/sys", &["spawn/child.rs"], &["crate::sys", "super::", "crate::run", "crate::verbs", "crate::logger"]);
}

#[test]
fn unsafe_lives_in_eleven_files_and_says_why() {
    let unsafe_rooms = [
        "main.rs",
        "sys/allocator.rs",
        "sys/environment.rs",
        "sys/poll.rs",
        "sys/processes.rs",
        "sys/signals.rs",
        "sys/spawn.rs",
        "sys/spawn/child.rs",
        "sys/stderr.rs",
        "sys/stdio.rs",
        "sys/wait.rs",
    ];
    for (path, text) in sources("src") {
        let allowed = unsafe_rooms.iter().any(|room| path.ends_with(room));
        assert_eq!(text.contains("allow(unsafe_code)"), allowed, "{}", path.display());
        let lines: Vec<&str> = text.lines().collect();
        for (number, line) in lines.iter().enumerate().filter(|(_, line)| line.contains("unsafe {")) {
            let above = &lines[number.saturating_sub(6)..=number];
            assert!(above.iter().any(|line| line.contains("SAFETY:")), "{}:{}: {line}", path.display(), number + 1);
        }
    }
}

#[test]
fn a_file_is_one_subject() {
    for (path, text) in sources("src") {
        assert!(text.starts_with("//! ") || path.ends_with("tests.rs"), "{} does not say what it owns", path.display());
        let lines = code(&text).lines().count();
        assert!(
            lines <= 300 || TESTS.iter().any(|name| path.ends_with(name)),
            "{} has {lines} lines: is it still one subject?",
            path.display()
        );
    }
}
