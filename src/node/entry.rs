//! What an entry script starts, where that harms whoever has a channel. Pure.

use std::collections::VecDeque;
use std::path::Path;

use super::launcher::{self, Launcher};

const SHELLS: [&str; 4] = ["sh", "bash", "dash", "ash"];
/// So many scripts that others start are looked at, of so many words that may be one.
const MOST_SCRIPTS: usize = 8;
const MOST_TRIED: usize = 64;
/// What only says its words.
const SPEAKERS: [&str; 3] = ["echo", "printf", "log"];

/// `node --run` anywhere in a command that is a shell's script, in a shell with one, or in a script that such a one starts by its path. It leaves
/// the app the variables of its channel without the descriptor, and says nothing on it: all other launchers are known by the command line of
/// whoever speaks. `read` gives the text of a script, which begins with `#!`.
pub fn runs_without_channel(command: &[&str], read: &dyn Fn(&str) -> Option<String>) -> Option<Launcher> {
    let (program, rest) = command.split_first()?;
    let is_shell = Path::new(program).file_name().is_some_and(|name| SHELLS.iter().any(|shell| name == *shell));
    let (text, arguments) = match rest {
        // What follows it is `$0`.
        ["-c", text, rest @ ..] if is_shell => (text.to_string(), rest.get(1..).unwrap_or_default()),
        [script, rest @ ..] if is_shell => (read(script)?, rest),
        rest => (read(program)?, rest),
    };
    let mut texts = VecDeque::from([text, arguments.join(" ")]);
    let (mut tried, mut scripts) = (vec![(*program).to_owned()], 0);
    while let Some(text) = texts.pop_front() {
        for command in simple_commands(&text) {
            let words: Vec<&str> = command.split_ascii_whitespace().collect();
            if let Some(launcher) = of_node(&words) {
                return Some(launcher);
            }
            for word in words.into_iter().filter(|word| word.contains('/') || word.ends_with(".sh")) {
                if scripts == MOST_SCRIPTS || tried.len() == MOST_TRIED || tried.iter().any(|tried| tried == word) {
                    continue;
                }
                tried.push(word.to_owned());
                let script = read(word);
                scripts += usize::from(script.is_some());
                texts.extend(script);
            }
        }
    }
    None
}

/// Variables, `exec`, a shell's own words and what takes on another user may stand before it.
fn of_node(words: &[&str]) -> Option<Launcher> {
    let node = words.iter().position(|word| word.ends_with("node"))?;
    launcher::of_words(words.get(node..)?).filter(|launcher| launcher.name == launcher::NODE_RUN)
}

/// The simple commands of a shell's text, those in quotes as well (`su -c "..."`); nothing is expanded.
fn simple_commands(text: &str) -> impl Iterator<Item = &str> {
    let lines = text.lines().map(|line| line.split_once(" #").map_or(line, |(code, _)| code).trim());
    let commands = lines.filter(|line| !line.starts_with('#')).flat_map(|line| line.split([';', '&', '|', '(', ')', '`', '{', '}']));
    let speaks = |command: &str| command.split_ascii_whitespace().next().is_some_and(|first| SPEAKERS.contains(&first));
    commands.filter(move |command| !speaks(command)).flat_map(|command| command.split(['"', '\'']))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::launcher::Runs;

    const FILE: &str = "#!/bin/sh\nset -e\nif [ \"$1\" ]; then echo \"$1\"; fi\nexec \"$@\"\n";

    fn found(command: &[&str], file: &str) -> Option<Runs> {
        let read = |name: &str| match name {
            "/entry.sh" => Some(file.to_owned()),
            "./scripts/start" => Some("#!/bin/sh\nexec node --run start\n".to_owned()),
            "circle.sh" => Some("#!/bin/sh\n./circle.sh\ncircle.sh\n".to_owned()),
            _ => None,
        };
        runs_without_channel(command, &read).map(|launcher| launcher.runs)
    }

    #[test]
    fn wherever_a_script_starts_it() {
        let start = Some(Runs::Script("start".to_owned()));
        for (command, file) in [
            (&["sh", "-c", "exec node --run start"][..], ""),
            (&["/bin/bash", "-c", "npm run migrate && NODE_ENV=production exec gosu app node --run=start;"], ""),
            (&["sh", "-c", "exec \"$@\"", "sh", "node", "--run", "start"], ""),
            (&["sh", "-c", "node --run start; exec node server.js"], ""),
            (&["sh", "-c", "su app -c 'exec node --run start'"], ""),
            (&["/entry.sh"], "#!/bin/sh\nnpm ci\nexec node --run start\n# the end\n\n"),
            (&["/entry.sh"], "#!/bin/sh\nif [ \"$1\" ]; then\n  node --run start # the app\nfi\nexit $?\n"),
            (&["/entry.sh"], "#!/bin/sh\nserve() { node --run start; }\nserve\n"),
            (&["/entry.sh"], "#!/bin/sh\ncircle.sh\nexec ./scripts/start \"$@\"\n"),
            (&["sh", "-c", "cd /app; exec ./scripts/start"], ""),
            (&["sh", "/entry.sh", "-v"], "#!/bin/sh\nnode --run start"),
            (&["/entry.sh", "node", "--run", "start"], FILE),
            (&["/entry.sh", "./scripts/start"], FILE),
        ] {
            assert_eq!(found(command, file), start, "{command:?}");
        }
    }

    /// No entry script keeps a start waiting for long.
    #[test]
    fn so_many_scripts_are_looked_at() {
        let ladder = |top: usize| {
            let read = move |name: &str| {
                let step: usize = name.strip_prefix('/')?.parse().ok()?;
                Some(if step == top { "node --run start".to_owned() } else { format!("/{}", step + 1) })
            };
            runs_without_channel(&["sh", "-c", "/1"], &read).is_some()
        };
        assert_eq!((ladder(MOST_SCRIPTS), ladder(MOST_SCRIPTS + 1)), (true, false));
        let words = |others: usize| {
            let line: String = (0..others).map(|number| format!("no/{number} ")).collect();
            found(&["sh", "-c", &(line + "./scripts/start")], "").is_some()
        };
        // The shell is one of them, and the script another.
        assert_eq!((words(MOST_TRIED - 2), words(MOST_TRIED - 1)), (true, false));
    }

    #[test]
    fn what_keeps_the_channel_is_left_alone() {
        for (command, file) in [
            (&["sh", "-c", "exec npm start"][..], ""),
            (&["sh", "-c", "exec pnpm --run start"], ""),
            (&["sh", "-c", ""], ""),
            (&["sh", "-c"], ""),
            (&["sh"], ""),
            (&["/entry.sh", "node", "server.js"], FILE),
            (&["/entry.sh"], FILE),
            (&["/entry.sh"], "#!/bin/sh\n# node --run start\necho \"in place of node --run start\"\nexec node server.js\n"),
            (&["/entry.sh"], "#!/bin/sh\nexec circle.sh\n"),
            (&["node", "server.js", "--run"], ""),
            (&["python3", "-c", "node --run start"], ""),
            (&[], ""),
        ] {
            assert_eq!(found(command, file), None, "{command:?}");
        }
    }
}
