//! Called by `make manual`: writes the man page and the completions for bash, zsh and fish into a folder, all of them read off the program's own
//! table of options and its help; the words of the man page are those of docs/options.md.

mod completions;
mod page;

use std::ffi::OsString;
use std::path::PathBuf;
use std::{env, fs, io};

use restartinit::config::Config;
use restartinit::config::options::{OPTIONS, OptionSpec, help};

/// A word that asks the restartinit of this container, with what follows it in the help.
struct Verb {
    name: String,
    operands: String,
    meaning: String,
}

/// Those that the help names.
fn verbs() -> Vec<Verb> {
    let verb = |line: &str| {
        let (synopsis, meaning) =
            line.strip_prefix("  restartinit ")?.split_once("  ").or_else(|| line.strip_prefix("  restartinit ")?.split_once("] "))?;
        let closed = if synopsis.contains('[') && !synopsis.contains(']') { "]" } else { "" };
        let (name, operands) = synopsis.split_once(' ').unwrap_or((synopsis, ""));
        Some(Verb { name: name.to_owned(), operands: format!("{operands}{closed}"), meaning: meaning.trim().to_owned() })
    };
    help().lines().filter_map(verb).collect()
}

/// The words that an option takes: those of its value, or of what it says when it is given another.
fn choices(option: &OptionSpec) -> Vec<&'static str> {
    let takes = |word: &&str| (option.set)(&mut Config::default(), word).is_ok();
    let listed: Vec<&str> = option.value.unwrap_or_default().split('|').filter(takes).collect();
    let Err(accepted) = (option.set)(&mut Config::default(), "\u{1}") else { return Vec::new() };
    let words = accepted.split(|letter: char| !letter.is_ascii_lowercase() && letter != '-');
    let mut found = Vec::new();
    for word in words.filter(|word| !word.is_empty()).filter(takes) {
        if !found.contains(&word) {
            found.push(word);
        }
    }
    if listed.is_empty() { found } else { listed }
}

/// What tells of an option in a completion: its help, or that it belongs to the one before it.
fn summary(option: &OptionSpec) -> String {
    let before = OPTIONS.iter().take_while(|other| other.name != option.name).filter(|other| !other.help.is_empty()).last();
    match before.filter(|_| option.help.is_empty()) {
        Some(main) => format!("with --{}", main.name),
        None => option.help.to_owned(),
    }
}

fn main() -> io::Result<()> {
    let folder = PathBuf::from(env::args_os().nth(1).unwrap_or_else(|| OsString::from("target/manual")));
    fs::create_dir_all(&folder)?;
    for (name, text) in [
        ("restartinit.1", page::roff()),
        ("restartinit.bash", completions::bash()),
        ("_restartinit", completions::zsh()),
        ("restartinit.fish", completions::fish()),
    ] {
        fs::write(folder.join(name), text)?;
    }
    Ok(())
}
