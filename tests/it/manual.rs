//! The man page and the completions, as `make manual` writes them: all that the program and its help know, and nothing else; each shell completes by them.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use restartinit::config::options::{OPTIONS, help};

use crate::support::{Scratch, manual};

const SWITCHES: [&str; 8] = ["--print-config", "-v", "-vv", "-q", "-h", "--help", "-V", "--version"];

fn output(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error} (tests/packages installs it)"));
    let [out, err] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    assert!(output.status.success() && err.is_empty(), "{command:?}: {}: {err}{out}", output.status);
    out
}

/// The folder that they are written to, and their paths in it.
fn written(name: &str) -> String {
    static FOLDER: OnceLock<Scratch> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let folder = Scratch::new();
        output(Command::new(manual()).arg(folder.path("")));
        folder
    });
    folder.path(name)
}

fn set<'a>(names: impl IntoIterator<Item = &'a str>) -> BTreeSet<String> {
    names.into_iter().map(str::to_owned).collect()
}

fn options() -> BTreeSet<String> {
    OPTIONS.iter().map(|option| format!("--{}", option.name)).collect()
}

fn verbs() -> BTreeSet<String> {
    let help = help();
    let names = help.lines().filter_map(|line| line.strip_prefix("  restartinit ")?.split(' ').next());
    let verbs = set(names);
    assert!(verbs.contains("status"), "{verbs:?}");
    verbs
}

#[test]
fn the_man_page_has_all_that_the_help_has() {
    let page = output(Command::new("groff").args(["-man", "-Tascii", "-ww", "-P-c", "-rLL=200n"]).arg(written("restartinit.1")));
    // Bold is written as a letter over itself.
    let mut plain: Vec<char> = Vec::new();
    for letter in page.chars() {
        if letter == '\u{8}' { plain.truncate(plain.len().saturating_sub(1)) } else { plain.push(letter) }
    }
    let plain: String = plain.into_iter().collect();
    let entry = |line: &'_ str| line.strip_prefix("       ").filter(|line| !line.starts_with(' ')).map(str::to_owned);
    let entries: Vec<String> = plain.lines().filter_map(entry).collect();
    for option in OPTIONS {
        let spelled = option.value.map_or(format!("--{}", option.name), |value| format!("--{} {value}", option.name));
        // What is short has its text beside it.
        let is_it = |line: &String| line.strip_prefix(&spelled).is_some_and(|rest| rest.is_empty() || rest.starts_with("  "));
        assert!(entries.iter().any(is_it), "{spelled} is missing:\n{plain}");
        assert!(entries.contains(&option.twin()), "{} is missing", option.twin());
    }
    let named = entries.iter().filter_map(|line| line.split(' ').next()).filter(|name| name.starts_with("--"));
    let expected = &options() | &set(["--print-config"]);
    assert_eq!(set(named), expected);
    for verb in verbs() {
        assert!(entries.iter().any(|line| line.starts_with(&format!("restartinit {verb}"))), "{verb} is not in the synopsis");
        assert!(entries.iter().any(|line| line.split(' ').next() == Some(&verb)), "{verb} is not told");
    }
    for code in ["125", "126", "127"] {
        assert!(help().contains(code) && entries.iter().any(|line| line.starts_with(code)), "{code} is missing");
    }
}

/// What a shell offers for the last word of a line.
type Shell = fn(line: &str) -> BTreeSet<String>;

fn bash(line: &str) -> BTreeSet<String> {
    let words: Vec<&str> = line.split(' ').collect();
    let script = format!(
        "source '{}'; COMP_WORDS=({}); COMP_CWORD={}; _restartinit; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
        written("restartinit.bash"),
        words.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(" "),
        words.len() - 1
    );
    set(output(Command::new("bash").args(["--norc", "-c", &script])).lines())
}

fn fish(line: &str) -> BTreeSet<String> {
    let script = format!("source '{}'; complete -C '{line}'", written("restartinit.fish"));
    let home = written("");
    let told = output(Command::new("fish").args(["--no-config", "-c", &script]).env("HOME", home).env_remove("XDG_CONFIG_HOME"));
    set(told.lines().filter_map(|line| line.split('\t').next()))
}

#[test]
fn bash_and_fish_complete() {
    for (name, shell) in [("bash", bash as Shell), ("fish", fish)] {
        let offered = shell("restartinit --restart ");
        assert_eq!(offered, set(["on-failure", "always", "never"]), "{name}");
        assert_eq!(shell("restartinit --hold-port --log-format "), set(["text", "json"]), "{name}");
        assert!(shell("restartinit --max-re").is_superset(&set(["--max-restarts"])), "{name}");
        let all = shell("restartinit --");
        let long = SWITCHES.into_iter().filter(|switch| switch.starts_with("--"));
        assert!(all.is_superset(&(&options() | &set(long))), "{name}: {all:?}");
        assert!(shell("restartinit ").is_superset(&verbs()), "{name}");
        // Whatever comes after the command is the command's.
        assert!(!shell("restartinit --backoff 1s cat --").contains("--max-restarts"), "{name}");
    }
}

/// The text of a completion names these options, and no other.
#[test]
fn each_completion_has_each_option_and_no_other() {
    let file = |name: &str| std::fs::read_to_string(Path::new(&written(name))).expect("it was written");
    let all = &options() | &set(SWITCHES);
    let zsh = file("_restartinit");
    let named = zsh.lines().filter_map(|line| line.trim_start_matches([' ', '\'', '*']).split_once('[')).map(|(name, _)| name);
    assert_eq!(set(named.filter(|name| name.starts_with('-'))), all, "zsh");
    let fish = file("restartinit.fish");
    let spelled = |line: &str| {
        let mut words = line.strip_prefix("complete -c restartinit -n __restartinit_before_command ")?.split(' ');
        match words.next()? {
            "-l" => Some(format!("--{}", words.next()?)),
            "-s" | "-o" => Some(format!("-{}", words.next()?)),
            _ => None,
        }
    };
    assert_eq!(fish.lines().filter_map(spelled).collect::<BTreeSet<_>>(), all, "fish");
    assert_eq!(&bash("restartinit -") & &all, all, "bash");
    // zsh reads it without a complaint.
    output(Command::new("zsh").args(["-f", "-n", &written("_restartinit")]));
}
