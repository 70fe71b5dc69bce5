//! What an entry script executes in the end, where that harms an app that has a channel. Pure.

use std::path::Path;

use super::launcher::{self, Launcher};

const SHELLS: [&str; 4] = ["sh", "bash", "dash", "ash"];

/// `node --run` at the end of a command that is a shell's script, or a shell with one. It leaves the app the variables of its channel without the
/// descriptor, and says nothing on it: all other launchers are known by the command line of whoever speaks. `read` gives the text of a script,
/// which begins with `#!`.
pub fn runs_without_channel(command: &[&str], read: &dyn Fn(&str) -> Option<String>) -> Option<Launcher> {
    let (program, rest) = command.split_first()?;
    let is_shell = Path::new(program).file_name().is_some_and(|name| SHELLS.iter().any(|shell| name == *shell));
    let (text, arguments) = match rest {
        // What follows it is `$0`.
        ["-c", text, rest @ ..] if is_shell => (text.to_string(), rest.get(1..).unwrap_or_default()),
        [script, rest @ ..] if is_shell => (read(script)?, rest),
        rest => (read(program)?, rest),
    };
    let line = text.lines().map(str::trim).rfind(|line| !line.is_empty() && !line.starts_with('#'))?;
    let last = line.rsplit([';', '&', '|']).map(str::trim).find(|part| !part.is_empty())?;
    let words: Vec<&str> = last.split(' ').collect();
    let words = if words.last() == Some(&"\"$@\"") { arguments } else { &words };
    // Variables, `exec` and what takes on another user may stand before it.
    let node = words.iter().position(|word| word.ends_with("node"))?;
    launcher::of_words(words.get(node..)?).filter(|launcher| launcher.name == launcher::NODE_RUN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::launcher::Runs;

    const FILE: &str = "#!/bin/sh\nset -e\nif [ \"$1\" ]; then echo \"$1\"; fi\nexec \"$@\"\n";

    fn found(command: &[&str], file: &str) -> Option<Runs> {
        runs_without_channel(command, &|name| (name == "/entry.sh").then(|| file.to_owned())).map(|launcher| launcher.runs)
    }

    #[test]
    fn the_last_command_of_a_script_counts() {
        let start = Some(Runs::Script("start".to_owned()));
        for (command, file) in [
            (&["sh", "-c", "exec node --run start"][..], ""),
            (&["/bin/bash", "-c", "npm run migrate && NODE_ENV=production exec gosu app node --run=start;"], ""),
            (&["sh", "-c", "exec \"$@\"", "sh", "node", "--run", "start"], ""),
            (&["/entry.sh"], "#!/bin/sh\nnpm ci\nexec node --run start\n# the end\n\n"),
            (&["sh", "/entry.sh", "-v"], "#!/bin/sh\nnode --run start"),
            (&["/entry.sh", "node", "--run", "start"], FILE),
        ] {
            assert_eq!(found(command, file), start, "{command:?}");
        }
    }

    #[test]
    fn what_keeps_the_channel_is_left_alone() {
        for (command, file) in [
            (&["sh", "-c", "node --run migrate; exec node server.js"][..], ""),
            (&["sh", "-c", "exec npm start"], ""),
            (&["sh", "-c", "exec pnpm --run start"], ""),
            (&["sh", "-c", ""], ""),
            (&["sh", "-c"], ""),
            (&["sh"], ""),
            (&["/entry.sh", "node", "server.js"], FILE),
            (&["/entry.sh"], FILE),
            (&["/entry.sh"], "#!/bin/sh\n# node --run start\n"),
            (&["node", "server.js", "--run"], ""),
            (&[], ""),
        ] {
            assert_eq!(found(command, file), None, "{command:?}");
        }
    }
}
