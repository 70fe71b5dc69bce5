//! The documents keep up with the program and with one another: every option with its value and default, every exit code and
//! outcome, every link.

use restartinit::config::Config;
use restartinit::config::options::{OPTIONS, help};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Component, Path, PathBuf};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

pub fn document(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The cells of a row. A `\|` is no border.
fn cells(row: &str) -> Vec<String> {
    row.trim_matches('|').replace("\\|", "\0").split('|').map(|cell| cell.trim().replace('\0', "|")).collect()
}

/// The rows of the table under such a head, cell by cell.
fn table(text: &str, head: &str) -> Vec<Vec<String>> {
    let rows = text.lines().skip_while(move |line| !line.starts_with(head)).skip(2).take_while(|line| line.starts_with('|'));
    let rows: Vec<Vec<String>> = rows.map(cells).collect();
    assert!(!rows.is_empty(), "no table {head}");
    rows
}

#[test]
fn the_option_table_has_every_option_with_its_value_and_default() {
    let page = document("docs/options.md");
    let rows = table(&page, "| option | default | meaning |");
    let defaults = Config::default();
    for option in OPTIONS {
        let spelled = option.value.map_or(format!("`--{}`", option.name), |value| format!("`--{} {value}`", option.name));
        let row = rows.iter().find(|row| row[0] == spelled).unwrap_or_else(|| panic!("docs/options.md has no row for {spelled}"));
        let default = match (option.get)(&defaults) {
            default if default.is_empty() => "-".to_owned(),
            default => format!("`{default}`"),
        };
        assert_eq!(row[1], default, "the default of {spelled}");
    }
    let help = help();
    for spelled in rows.iter().flat_map(|row| row[0].split('`').skip(1).step_by(2)) {
        assert!(help.contains(spelled), "docs/options.md has a row for {spelled}, which --help does not know");
    }
}

#[test]
fn the_settings_of_the_readme_are_taken() {
    for row in table(&document("README.md"), "| setting |") {
        let words = row[0].trim_matches('`').split(' ').chain(["--", "true"]).map(Into::into);
        let parsed = restartinit::config::read(words, std::iter::empty::<(&str, &str)>());
        assert!(parsed.is_ok(), "{}: {parsed:?}", row[0]);
    }
}

/// What the README tells of a crash is what was measured last.
#[test]
fn the_costs_of_the_readme_are_those_of_the_measurement() {
    let (readme, page) = (document("README.md"), document("docs/engine-comparison.md"));
    let (gaps, refused) = (table(&page, "| boot | engine | in place |"), table(&page, "| boot | new clients a second |"));
    let without_spread = |cell: &String| cell.split(" (").next().unwrap_or_default().to_owned();
    for row in table(&readme, "| boot | engine's restart |") {
        let of = |rows: &[Vec<String>]| rows.iter().find(|other| other[0] == row[0]).cloned().unwrap_or_else(|| panic!("{}", row[0]));
        let measured: Vec<String> = of(&gaps)[1..5].iter().map(without_spread).chain(of(&refused)[2..5].to_vec()).collect();
        assert_eq!(row[1..], measured, "{}", row[0]);
    }
}

#[test]
fn every_outcome_and_exit_code_is_told() {
    let outcomes = ["completed", "stopped", "restarts-exhausted", "no-restart-code", "cannot-execute", "cannot-signal"];
    for (path, words) in [
        ("README.md", &["`125`", "`126`", "`127`"][..]),
        ("docs/restarts.md", &["`125`", "`126`", "`127`"]),
        ("docs/the-command.md", &["RESTARTINIT_GENERATION", "RESTARTINIT_LAST_EXIT", "RESTARTINIT_ROLE"]),
    ] {
        let text = document(path);
        words.iter().for_each(|word| assert!(text.contains(word), "{path} does not mention {word}"));
        if path != "docs/the-command.md" {
            outcomes.iter().for_each(|outcome| assert!(text.contains(&format!("`{outcome}`")), "{path} does not mention {outcome}"));
        }
    }
}

/// Every Markdown file of the repository, by its path from the top.
/// Whoever filters JSON lines finds each name in the list, and no other.
#[test]
fn every_event_is_listed() {
    let source = document("src/supervisor/report/mod.rs");
    let (_, names) = source.split_once("pub fn event(&self)").expect("where events are named");
    let named = names.lines().take_while(|line| *line != "    }").filter_map(|line| line.split('"').nth(1));
    let page = document("docs/logs.md");
    let (_, listed) = page.split_once("\nEvents: ").expect("the list of events");
    let (listed, _) = listed.split_once("; a line").expect("its end");
    let listed: BTreeSet<&str> = listed.split('`').skip(1).step_by(2).collect();
    assert_eq!(named.collect::<BTreeSet<_>>(), listed);
}

pub fn documents() -> Vec<PathBuf> {
    let (mut found, mut folders) = (Vec::new(), vec![root()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder") {
            let entry = entry.expect("an entry");
            let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
            if entry.file_type().expect("a type").is_dir() {
                if !name.starts_with('.') && name != "target" && name != "node_modules" {
                    folders.push(path);
                }
            } else if name.ends_with(".md") {
                found.push(path.strip_prefix(root()).expect("below the top").to_owned());
            }
        }
    }
    found.sort();
    found
}

/// The lines that are no code, without the code that stands in them.
fn prose(text: &str) -> Vec<String> {
    let mut fenced = false;
    let mut lines = Vec::new();
    for line in text.lines() {
        if line.starts_with("```") {
            fenced = !fenced;
        } else if !fenced && !line.starts_with("    ") {
            lines.push(line.split('`').step_by(2).collect());
        }
    }
    lines
}

/// What a heading of these documents is called in a link, as GitHub does it.
fn anchors(text: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut fenced = false;
    for line in text.lines() {
        fenced ^= line.starts_with("```");
        let heading = line.trim_start_matches('#');
        if fenced || heading.len() == line.len() || !heading.starts_with(' ') {
            continue;
        }
        let kept = heading.trim().chars().filter(|letter| letter.is_alphanumeric() || " -_".contains(*letter));
        let anchor = kept.collect::<String>().to_lowercase().replace(' ', "-");
        let same = found.iter().filter(|other| **other == anchor).count();
        found.push(if same == 0 { anchor } else { format!("{anchor}-{same}") });
    }
    found
}

/// `docs/../README.md` is `README.md`.
fn simplified(path: &Path) -> PathBuf {
    let mut simple = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => assert!(simple.pop(), "{} leads out of the repository", path.display()),
            part => simple.push(part),
        }
    }
    simple
}

/// The places that a document links to inside the repository: a path from its top, and an anchor or nothing.
fn links(path: &Path, text: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for line in prose(text) {
        for target in line.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if target.contains("://") {
                continue;
            }
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let file = if file.is_empty() { path.to_owned() } else { simplified(&path.parent().expect("a folder").join(file)) };
            found.push((file, anchor.to_owned()));
        }
    }
    found
}

/// What is wrong with a document's links.
fn broken(path: &Path, text: &str) -> Vec<String> {
    let leads_nowhere = |(file, anchor): &(PathBuf, String)| {
        let place = root().join(file);
        !place.exists() || !anchor.is_empty() && !anchors(&fs::read_to_string(&place).unwrap_or_default()).contains(anchor)
    };
    links(path, text).iter().filter(|link| leads_nowhere(link)).map(|(file, anchor)| format!("{}#{anchor}", file.display())).collect()
}

#[test]
fn every_link_leads_somewhere() {
    for path in documents() {
        let text = document(path.to_str().expect("a name"));
        assert_eq!(broken(&path, &text), [""; 0], "in {}", path.display());
    }
}

#[test]
fn a_link_that_leads_nowhere_is_seen() {
    let text = "[a](options.md#values) [b](no-such-page.md)\n`[c](code.md)`\n    [d](code.md)\n[e](../README.md#no-such-heading)\n\
        [f](#values) [g](https://example.com/no/such/page)";
    let wrong = ["docs/no-such-page.md#", "README.md#no-such-heading"];
    assert_eq!(broken(Path::new("docs/options.md"), text), wrong);
}

#[test]
fn every_page_begins_with_its_task_and_is_found_from_the_index_and_the_readme() {
    let linked = |from: &str| links(Path::new(from), &document(from)).into_iter().map(|(file, _)| file).collect::<Vec<_>>();
    let (index, readme) = (linked("docs/README.md"), linked("README.md"));
    let pages: Vec<PathBuf> = documents().into_iter().filter(|path| path.starts_with("docs")).collect();
    assert!(pages.len() > 10, "{pages:?}");
    for page in pages {
        let text = document(page.to_str().expect("a name"));
        let lines: Vec<&str> = text.lines().take(3).collect();
        let begins = lines[0].starts_with("# ") && lines[1].is_empty() && lines[2].starts_with('*') && !lines[2].starts_with("**");
        assert!(begins, "{} does not begin with a title and the task that leads to it", page.display());
        assert!(page.ends_with("README.md") || index.contains(&page), "docs/README.md does not lead to {}", page.display());
        assert!(readme.contains(&page), "README.md does not lead to {}", page.display());
    }
}

#[test]
fn the_documents_are_ascii() {
    for path in documents() {
        let text = document(path.to_str().expect("a name"));
        let line = text.lines().position(|line| !line.is_ascii());
        assert_eq!(line, None, "{}, counted from 0", path.display());
    }
}

/// A page that is longer is two pages.
#[test]
fn no_page_is_longer_than_it_is_read() {
    for path in documents().iter().filter(|path| path.starts_with("docs") || path.as_os_str() == "README.md") {
        let lines = document(&path.display().to_string()).lines().count();
        assert!(lines <= 250, "{} has {lines} lines", path.display());
    }
}
