//! The rules that a compiler does not know: which module may import which, where `unsafe` lives, that the core has no clock.

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
const TESTS: [&str; 11] = [
    "addressees.rs",
    "bench.rs",
    "exploration.rs",
    "launchers.rs",
    "out_of_reach.rs",
    "pictures.rs",
    "promises.rs",
    "scenarios.rs",
    "state_key.rs",
    "tests.rs",
    "world.rs",
];

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

/// Each module may import those before it. So there is no circle, and the core knows neither `sys` nor the event loop.
const ORDER: [&str; 18] = [
    "errno",
    "random",
    "signal",
    "time",
    "json",
    "json_scan",
    "generation_number",
    "config",
    "procfs",
    "inspector",
    "node",
    "supervisor",
    "observe",
    "sys",
    "logger",
    "control",
    "event_loop",
    "cli",
];
/// The pure core.
const CORE: [&str; 6] = ["src/supervisor", "src/config", "src/inspector", "src/node", "src/observe", "src/procfs"];

/// The top-level module that a file belongs to.
fn module(path: &Path) -> String {
    let below = path.strip_prefix(Path::new(env!("CARGO_MANIFEST_DIR")).join("src")).expect("a source");
    below.components().next().expect("a name").as_os_str().to_string_lossy().trim_end_matches(".rs").to_owned()
}

#[test]
fn imports_point_down_and_make_no_circle() {
    for (path, text) in sources("src") {
        let own = module(&path);
        if ["main", "lib"].contains(&own.as_str()) {
            continue;
        }
        let rank = |name: &str| ORDER.iter().position(|known| *known == name).unwrap_or_else(|| panic!("{name} has no place in the order"));
        for line in text.lines().filter(|line| !line.trim_start().starts_with("//")) {
            for imported in line.split("crate::").skip(1) {
                let imported: String = imported.chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect();
                let grouped = imported.is_empty();
                assert!(grouped || rank(&imported) <= rank(&own), "{} imports {imported}: {line}", path.display());
            }
        }
    }
}

/// Which files of the supervisor import which others, by their names; the state machine itself, which all of them extend, apart.
#[test]
fn the_files_of_the_supervisor_make_no_circle() {
    let mut arrows: Vec<(String, String)> = Vec::new();
    for (path, text) in sources("src/supervisor") {
        if TESTS.iter().any(|name| path.ends_with(name)) || path.ends_with("supervisor/mod.rs") {
            continue;
        }
        let below = path.to_string_lossy().rsplit_once("/supervisor/").expect("below the supervisor").1.to_owned();
        let own = below.split(['/', '.']).next().expect("a name").to_owned();
        for line in code(&text).lines().filter_map(|line| line.strip_prefix("use ")) {
            let from = line.strip_prefix("super::").or(line.strip_prefix("crate::supervisor::"));
            let name: String = from.unwrap_or_default().chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect();
            if !name.is_empty() && name != own && name != "super" {
                arrows.push((own.clone(), name));
            }
        }
    }
    assert!(arrows.len() > 20, "{arrows:?}");
    // Whoever imports nothing that is left is no part of a circle.
    loop {
        let before = arrows.len();
        let importers: Vec<String> = arrows.iter().map(|(own, _)| own.clone()).collect();
        arrows.retain(|(_, imported)| importers.contains(imported));
        if arrows.len() == before {
            break;
        }
    }
    assert!(arrows.is_empty(), "{arrows:?}");
}

#[test]
fn the_core_knows_no_clock_and_no_environment() {
    let world = ["std::fs", "std::process", "std::env", "Instant", "SystemTime", "unsafe"];
    CORE.iter().for_each(|folder| assert_free_of(folder, &TESTS, &world));
}

#[test]
fn the_files_of_sys_do_not_know_one_another() {
    // Parts of one subject apart.
    assert_free_of("src/sys", &["processes/left_to_do.rs", "stderr/way.rs"], &["crate::sys", "super::"]);
}

#[test]
fn unsafe_lives_in_thirteen_files() {
    let unsafe_files = [
        "main.rs",
        "sys/allocator.rs",
        "sys/credentials.rs",
        "sys/environment.rs",
        "sys/poll.rs",
        "sys/processes.rs",
        "sys/signals.rs",
        "sys/spawn.rs",
        "sys/stderr.rs",
        "sys/stderr/way.rs",
        "sys/stdio.rs",
        "sys/wait.rs",
        "sys/worker.rs",
    ];
    for (path, text) in sources("src") {
        let allowed = unsafe_files.iter().any(|file| path.ends_with(file));
        assert_eq!(text.contains("expect(unsafe_code"), allowed, "{}", path.display());
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

/// The modules that a pattern of the layout names, below the crate: `restartinit3sys9listening*` is `sys`, `listening`.
fn named_modules(pattern: &str) -> Vec<&str> {
    let Some((_, mut rest)) = pattern.split_once("restartinit") else { return Vec::new() };
    let mut modules = Vec::new();
    while let Some(digits) = rest.find(|character: char| !character.is_ascii_digit()).filter(|digits| *digits > 0) {
        let length: usize = rest[..digits].parse().expect("a length");
        modules.push(rest.get(digits..digits + length).unwrap_or_else(|| panic!("{pattern}: a name is shorter than it says")));
        rest = &rest[digits + length..];
    }
    modules
}

#[test]
fn the_layout_names_modules_that_are_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let layout = fs::read_to_string(root.join("packaging/layout.ld")).expect("the layout");
    let sections = layout.split("SECTIONS").nth(1).expect("its sections");
    let patterns: Vec<&str> = sections.split_whitespace().filter(|word| word.contains("restartinit")).collect();
    assert!(patterns.len() > 30, "{patterns:?}");
    for pattern in patterns {
        let modules = named_modules(pattern);
        let path = root.join("src").join(modules.join("/"));
        assert!(!modules.is_empty() && (path.with_extension("rs").exists() || path.is_dir()), "{pattern}: no module of src/");
    }
}

/// The words in backticks of the first column of the table below a heading.
fn listed(document: &str, heading: &str) -> Vec<String> {
    let section = document.split(heading).nth(1).expect("the heading");
    let rows = section.lines().skip_while(|line| !line.starts_with("|---")).skip(1).take_while(|line| line.starts_with('|'));
    let cells = rows.filter_map(|row| row.split('|').nth(1));
    cells.flat_map(|cell| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>()).collect()
}

/// The words that a `match` of the fixture has before its arrows, at that depth.
fn words(text: &str, depth: usize) -> Vec<String> {
    let indent = " ".repeat(depth) + "\"";
    let arms = text.lines().filter(|line| line.starts_with(&indent)).filter_map(|line| line.split_once(" =>"));
    arms.flat_map(|(arm, _)| arm.split('"').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>())
        .filter(|word| !word.is_empty())
        .collect()
}

#[test]
fn every_statement_of_the_fixture_is_listed() {
    let read = |name: &str| fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).expect("a file");
    let statements = read("tests/fixture/main.rs");
    let statements = statements.split("pub fn statement").nth(1).and_then(|text| text.split("fn step").next()).expect("the statements");
    let mut understood = words(statements, 12);
    understood.extend(words(&read("tests/fixture/scene.rs"), 12));
    understood.extend(words(&read("tests/fixture/confines.rs"), 8));
    let mut listed: Vec<String> = listed(&read("CONTRIBUTING.md"), "### What the fixture understands");
    understood.sort_unstable();
    listed.sort_unstable();
    assert!(understood.len() > 40, "{understood:?}");
    assert_eq!(listed, understood, "CONTRIBUTING.md, and tests/fixture");
}

#[test]
fn every_helper_says_what_calls_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders: Vec<PathBuf> = [".ci", "bench", "fuzz", "tests"].map(|folder| root.join(folder)).into();
    let mut helpers = 0;
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if path.is_dir() {
                // What is installed, built or found there is nobody's helper.
                let is_own = !["node_modules", "corpus", "artifacts", "target", "__pycache__"].contains(&name.as_ref());
                folders.extend(is_own.then(|| path.clone()));
                continue;
            }
            let Ok(text) = fs::read_to_string(&path) else { continue };
            if !text.starts_with("#!") && ![".py", ".c", ".S"].iter().any(|ending| name.ends_with(ending)) {
                continue;
            }
            helpers += 1;
            let says = text.lines().take(2).any(|line| line.contains("Called by: "));
            assert!(says, "{} does not say in its first lines what calls it", path.display());
        }
    }
    assert!(helpers > 30, "{helpers}");
}
