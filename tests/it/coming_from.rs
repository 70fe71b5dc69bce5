//! The pages for those who come from another init or from pm2-runtime name each of its options, by its own help.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::support::programs::programs;

/// The flags and variables that a help names: the words at the beginning of a line, before what tells of them.
fn told(mut program: Command) -> BTreeSet<String> {
    let output = program.output().unwrap_or_else(|error| panic!("{program:?}: {error} (tests/packages installs it)"));
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    let is_name = |word: &&str| word.starts_with('-') || word.starts_with("TINI_");
    let names = |line: &str| -> Vec<String> {
        let words = line.split_whitespace().map(|word| word.trim_end_matches([',', ':']));
        words.take_while(|word| is_name(word)).map(str::to_owned).collect()
    };
    text.lines().flat_map(names).collect()
}

/// What stands in the first cells of the table below a heading.
fn written(page: &str, heading: &str) -> BTreeSet<String> {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(page)).expect("the page");
    let section = page.split("\n## ").find(|section| section.starts_with(heading)).expect("the heading");
    let cells = section.lines().filter_map(|line| line.strip_prefix("| `")?.split(" | ").next());
    let names = cells.flat_map(|cell| cell.split('`').step_by(2).map(str::to_owned).collect::<Vec<_>>());
    names.filter(|name| !name.is_empty()).collect()
}

#[test]
fn each_option_of_the_others_has_its_row() {
    let others = "coming-from-other-inits.md";
    for (program, help, page, heading) in [
        ("tini", "-h", others, "From tini"),
        ("dumb-init", "--help", others, "From dumb-init"),
        ("catatonit", "-h", others, "From catatonit"),
        ("pm2-runtime", "--help", "coming-from-pm2.md", "Options"),
    ] {
        let mut command = match program {
            "pm2-runtime" => {
                let mut node = Command::new("node");
                node.arg(programs().join("pm2/bin/pm2-runtime")).env("PM2_HOME", env!("CARGO_TARGET_TMPDIR"));
                node
            }
            other => Command::new(other),
        };
        command.arg(help);
        let told = told(command);
        assert!(told.contains(help), "{program} {help} has not told its options: {told:?}");
        assert_eq!(written(page, heading), told, "docs/{page}, {program}");
    }
}
