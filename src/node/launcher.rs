//! Programs that stand between us and the app: they take the channel and its messages for themselves, and pass next to nothing on. Pure.

use std::path::Path;

use crate::json_scan::{Scanner, Sink, Wanted};

/// A launcher, and what it runs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Launcher {
    /// As it is called: `npm`, `node --watch`.
    pub name: String,
    pub runs: Runs,
}

/// What a launcher runs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Runs {
    /// The script of that name in package.json.
    Script(String),
    /// The same as this command.
    Command(String),
    Unknown,
}

/// A script of a package.json, where its path leads to one.
struct Script {
    path: String,
    text: Vec<u8>,
}

impl Sink for Script {
    fn wanted(&mut self, path: &str) -> Wanted {
        if path != self.path {
            return Wanted::Values;
        }
        // The last one counts, as in JavaScript. Only a string is told in letters.
        self.text.clear();
        Wanted::Letters
    }

    fn value(&mut self, _: &str, _: &[u8]) {}

    fn piece(&mut self, letters: &[u8]) {
        self.text.extend_from_slice(letters);
    }
}

pub const NODE_RUN: &str = "node --run";
/// Those that run a script of package.json.
const PACKAGE_MANAGERS: [&str; 4] = ["npm", "yarn", "pnpm", "bun"];
/// Those that run whatever they are given, in a process of its own.
const OTHERS: [&str; 13] = [
    "npx",
    "pnpx",
    "bunx",
    "corepack",
    "ts-node-dev",
    "tsnd",
    "pm2",
    "pm2-runtime",
    "forever",
    "concurrently",
    "cross-env",
    "env-cmd",
    "dotenv",
];
/// Options of Node that take the next word.
pub const TAKES_A_WORD: [&str; 8] =
    ["-r", "--require", "--import", "--loader", "--experimental-loader", "-C", "--conditions", "--env-file"];

/// The launcher that this command line starts; `None`: it is the app, as far as its words tell.
pub fn of_words(words: &[&str]) -> Option<Launcher> {
    let (first, rest) = words.split_first()?;
    // npm writes its title over its arguments: `npm start`, as one word.
    let titled: Vec<&str> = first.split(' ').chain(rest.iter().copied()).filter(|word| !word.is_empty()).collect();
    let (program, arguments) = titled.split_first()?;
    match name_of(program) {
        "node" | "nodejs" => of_node(arguments),
        name => of_program(name, arguments),
    }
}

/// What a program is called, without its folder and the ending of its script.
fn name_of(program: &str) -> &str {
    let name = Path::new(program).file_name().and_then(|name| name.to_str()).unwrap_or(program);
    let name = [".js", ".cjs", ".mjs"].iter().find_map(|ending| name.strip_suffix(ending)).unwrap_or(name);
    match name.strip_suffix("-cli").unwrap_or(name) {
        "yarnpkg" => "yarn",
        name => name,
    }
}

fn launcher(name: &str, runs: Runs) -> Option<Launcher> {
    Some(Launcher { name: name.to_owned(), runs })
}

fn of_node(arguments: &[&str]) -> Option<Launcher> {
    let mut words = arguments.iter().copied().enumerate();
    while let Some((at, word)) = words.next() {
        let after = || arguments.get(at + 1..).unwrap_or_default();
        match word {
            "--watch" => return launcher("node --watch", runs("node", after())),
            "--run" => return launcher(NODE_RUN, Runs::Script(after().first()?.to_string())),
            _ if word.starts_with("--watch-path") => return launcher("node --watch", Runs::Unknown),
            _ if word.starts_with("--run=") => return launcher(NODE_RUN, Runs::Script(word.trim_start_matches("--run=").to_owned())),
            _ if TAKES_A_WORD.contains(&word) => drop(words.next()),
            _ if word.starts_with('-') => {}
            // tsx and ts-node have scripts of quite general names.
            script if script.contains("/tsx/dist/cli") => return of_program("tsx", after()),
            script if script.contains("/ts-node/dist/bin") => return of_program("ts-node", after()),
            script if script.contains("/releases/yarn-") => return of_program("yarn", after()),
            // An app may have a script of any name; those of launchers lie where packages are installed.
            script if script.contains("node_modules/") || script.starts_with("/usr/") => return of_program(name_of(script), after()),
            _ => return None,
        }
    }
    None
}

fn of_program(name: &str, arguments: &[&str]) -> Option<Launcher> {
    if let Some(manager) = PACKAGE_MANAGERS.iter().find(|manager| **manager == name) {
        return of_package_manager(manager, arguments);
    }
    let runs = match name {
        "tsx" => runs("node --import tsx", arguments),
        "ts-node" | "ts-node-esm" => runs("node --require ts-node/register", arguments),
        "nodemon" => runs("node", arguments),
        _ if OTHERS.contains(&name) => Runs::Unknown,
        _ => return None,
    };
    launcher(name, runs)
}

fn of_package_manager(manager: &str, arguments: &[&str]) -> Option<Launcher> {
    let mut words = arguments.iter().copied().filter(|word| !word.starts_with('-'));
    let launcher = |runs| launcher(manager, runs);
    match (manager, words.next()) {
        // `bun run server.ts` runs it in the same process.
        ("bun", Some("run")) => {
            let script = words.next().filter(|word| !word.contains(['/', '.']))?;
            launcher(Runs::Script(script.to_owned()))
        }
        ("bun", _) => None,
        (_, Some("run" | "run-script" | "rum" | "urn")) => {
            launcher(words.next().map_or(Runs::Unknown, |script| Runs::Script(script.to_owned())))
        }
        (_, Some("start" | "restart")) => launcher(Runs::Script("start".to_owned())),
        ("yarn" | "pnpm", Some(word)) if !["exec", "dlx", "node"].contains(&word) => launcher(Runs::Script(word.to_owned())),
        (_, _) => launcher(Runs::Unknown),
    }
}

/// The same without the launcher and its options.
fn runs(program: &str, arguments: &[&str]) -> Runs {
    let app: Vec<&str> = arguments.iter().copied().skip_while(|word| word.starts_with('-')).collect();
    if app.first().is_some_and(|first| *first != "watch") { Runs::Command(format!("{program} {}", app.join(" "))) } else { Runs::Unknown }
}

impl Launcher {
    /// Whether it sends or relays anything. One that does not is held by the channel of a worker after the app has ended, if it waits for its
    /// own event loop to be empty, as yarn does.
    pub fn uses_its_channel(&self) -> bool {
        !["npm", "npx", "yarn"].contains(&self.name.as_str())
    }

    /// What to write instead, given the package.json of the working directory where there is one.
    pub fn instead(&self, package: Option<&str>) -> String {
        let of_script = |name: &str| {
            let mut script = Script { path: format!("scripts.{name}"), text: Vec::new() };
            Scanner::default().feed(package?.as_bytes(), &mut script);
            let text = String::from_utf8(script.text).ok()?;
            let is_plain = !text.is_empty() && text.len() <= 200 && !text.chars().any(char::is_control);
            is_plain.then_some(text)
        };
        let command = match &self.runs {
            Runs::Command(command) => Some(command.clone()),
            Runs::Script(name) => of_script(name),
            Runs::Unknown => None,
        };
        match command {
            Some(command) => format!("write what it runs: {command}"),
            None => "write node and the app's script instead".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn told(line: &str) -> Option<(String, String)> {
        let words: Vec<&str> = line.split(' ').collect();
        let package = r#"{"scripts":{"start":"node server.js","dev":"tsx watch src/index.ts"}}"#;
        of_words(&words).map(|launcher| (launcher.name.clone(), launcher.instead(Some(package))))
    }

    #[test]
    fn launchers_are_known_by_their_words() {
        let script = "write what it runs: node server.js";
        let unknown = "write node and the app's script instead";
        for (line, name, instead) in [
            ("npm start", "npm", script),
            ("npm run start -- --port 80", "npm", script),
            ("npm --silent run dev", "npm", "write what it runs: tsx watch src/index.ts"),
            ("npm run build", "npm", unknown),
            ("/usr/local/bin/npm start", "npm", script),
            ("node /usr/local/lib/node_modules/npm/bin/npm-cli.js start", "npm", script),
            ("yarn", "yarn", unknown),
            ("yarn start", "yarn", script),
            ("node /app/.yarn/releases/yarn-4.1.0.cjs start", "yarn", script),
            ("pnpm start", "pnpm", script),
            ("pnpm dev", "pnpm", "write what it runs: tsx watch src/index.ts"),
            ("npx next start", "npx", unknown),
            ("nodemon --quiet server.js", "nodemon", "write what it runs: node server.js"),
            ("node node_modules/.bin/nodemon server.js", "nodemon", "write what it runs: node server.js"),
            ("tsx src/index.ts --port 1", "tsx", "write what it runs: node --import tsx src/index.ts --port 1"),
            ("tsx watch src/index.ts", "tsx", unknown),
            ("node /app/node_modules/tsx/dist/cli.mjs src/index.ts", "tsx", "write what it runs: node --import tsx src/index.ts"),
            ("ts-node -T src/index.ts", "ts-node", "write what it runs: node --require ts-node/register src/index.ts"),
            ("node --watch server.js", "node --watch", "write what it runs: node server.js"),
            ("node --watch-path=src server.js", "node --watch", unknown),
            ("node --run start", "node --run", script),
            ("node --run=start", "node --run", script),
            ("bun run start", "bun", script),
            ("pm2-runtime server.js", "pm2-runtime", unknown),
        ] {
            assert_eq!(told(line), Some((name.to_owned(), instead.to_owned())), "{line}");
        }
        let uses_its_channel = |line| of_words(&[line]).is_some_and(|launcher| launcher.uses_its_channel());
        assert!(uses_its_channel("tsx server.ts") && uses_its_channel("nodemon server.js") && !uses_its_channel("yarn start"));
        let title = of_words(&["npm start"]).unwrap();
        assert_eq!((title.name.as_str(), title.runs), ("npm", Runs::Script("start".to_owned())), "its title, as /proc shows it");
    }

    #[test]
    fn an_app_is_none() {
        for line in [
            "node server.js",
            "node --import tsx src/index.ts",
            "node -r ts-node/register src/index.ts",
            "node --require /app/node_modules/tsx/dist/preflight.cjs --import file:///app/node_modules/tsx/dist/loader.mjs src/index.ts",
            "node yarn.js",
            "node ./npm.js start",
            "node node_modules/.bin/next start",
            "node node_modules/next/dist/bin/next start",
            "node",
            "bun server.ts",
            "bun run ./server.ts",
            "deno run -A server.ts",
            "sh -c npm",
            "next start",
        ] {
            assert_eq!(told(line), None, "{line}");
        }
        assert_eq!((of_words(&[]), of_words(&[""])), (None, None));
    }

    #[test]
    fn no_package_is_too_odd() {
        let launcher = of_words(&["npm", "start"]).unwrap();
        for package in [None, Some(""), Some("[]"), Some(r#"{"scripts":{"start":3}}"#), Some("{\"scripts\":{\"start\":\"a\\u001b[2J\"}}")] {
            assert_eq!(launcher.instead(package), "write node and the app's script instead", "{package:?}");
        }
    }

    proptest! {
        #[test]
        fn nothing_is_too_odd(words in proptest::collection::vec("[ -~]{0,12}", 0..6)) {
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            let _ = of_words(&words).map(|launcher| launcher.instead(None));
        }
    }
}
