//! What can be told of an app before it runs, by its command, its script and its package.json: whether it can be a worker of ours. Pure.

use std::ffi::OsString;
use std::path::Path;

use super::entry;
use super::launcher::{self, Launcher};

/// Libraries whose apps fork workers of their own.
const CLUSTER_LIBRARIES: [&str; 8] =
    ["throng", "recluster", "cluster-service", "strong-cluster-control", "sticky-session", "sticky-cluster", "egg", "egg-cluster"];
/// Options by which Node takes its script from the command line; those that take no script at all among them.
const EVALUATES: [&str; 6] = ["-e", "--eval", "-p", "-pe", "--print", "-"];

/// Why an app cannot be a worker of ours.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Unfit {
    /// It forks workers of its own; with the library by which it does.
    ForksACluster { library: Option<&'static str> },
    /// A worker needs a file as its script.
    HasNoFile,
    /// It would be that one which speaks with us.
    HasLauncher(Launcher),
    /// Another runtime, whose cluster speaks otherwise.
    OtherRuntime { name: &'static str, answers_pings: bool },
}

/// The script among a command's arguments, as far as its name tells.
pub fn of_command(command: &[OsString]) -> Option<&Path> {
    let is_script =
        |path: &&Path| path.extension().is_some_and(|kind| ["js", "cjs", "mjs", "ts", "cts", "mts"].iter().any(|known| kind == *known));
    let words = command.iter().skip(1);
    // What an option loads is not the script: `--import ./setup.mjs server.js`.
    let is_loaded = |(before, _): &(&OsString, &OsString)| launcher::TAKES_A_WORD.iter().any(|option| *before == option);
    let candidates = command.iter().zip(words).filter(|pair| !is_loaded(pair));
    candidates.map(|(_, word)| Path::new(word)).find(is_script)
}

/// Whether the options for Node work for an app, given the text of its script and of the package.json that is nearest to it, where there are such.
/// `read_entry`: as of [`entry::runs_without_channel`].
pub fn unfit(
    command: &[OsString],
    script: Option<&str>,
    package: Option<&str>,
    read_entry: &dyn Fn(&str) -> Option<String>,
) -> Option<Unfit> {
    let words: Vec<_> = command.iter().map(|word| word.to_string_lossy()).collect();
    let words: Vec<&str> = words.iter().map(AsRef::as_ref).collect();
    if let Some(launcher) = launcher::of_words(&words).or_else(|| entry::runs_without_channel(&words, read_entry)) {
        return Some(Unfit::HasLauncher(launcher));
    }
    let is = |program: &str| command.first().is_some_and(|file| Path::new(file).file_name().is_some_and(|name| name == program));
    for (name, answers_pings) in [("bun", true), ("deno", false)] {
        if is(name) {
            return Some(Unfit::OtherRuntime { name, answers_pings });
        }
    }
    if is("node") && of_command(command).is_none() && command.iter().skip(1).any(|word| EVALUATES.iter().any(|option| word == *option)) {
        return Some(Unfit::HasNoFile);
    }
    if script.is_some_and(forks_a_cluster) {
        return Some(Unfit::ForksACluster { library: None });
    }
    let library = package.and_then(cluster_library)?;
    // One package may hold several apps: a script that listens by itself leaves forking to others.
    let is_of_it = script.is_none_or(|script| script.contains(library) || !script.contains(".listen("));
    is_of_it.then_some(Unfit::ForksACluster { library: Some(library) })
}

/// A runtime whose HTTP servers ignore a socket that they are given: Bun's bind one of their own, and only `node:net` takes it.
pub fn takes_sockets_in_part(command: &[OsString]) -> bool {
    command.first().is_some_and(|file| Path::new(file).file_name().is_some_and(|name| name == "bun"))
}

/// Whether a script loads Node's cluster and forks workers.
fn forks_a_cluster(script: &str) -> bool {
    let loads = ["'cluster'", "\"cluster\"", "'node:cluster'", "\"node:cluster\""].iter().any(|name| script.contains(name));
    loads && script.contains(".fork(")
}

/// The library among a package's dependencies by which it forks workers.
fn cluster_library(package: &str) -> Option<&'static str> {
    let (_, dependencies) = package.split_once("\"dependencies\"")?;
    let (dependencies, _) = dependencies.split_once('}')?;
    // A name stands between quotes, before a colon.
    let names: Vec<&str> = dependencies.split(',').filter_map(|entry| entry.split('"').nth(1)).collect();
    CLUSTER_LIBRARIES.into_iter().find(|library| names.contains(library))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_is_found_among_the_arguments() {
        let script = |command: &[&str]| {
            let command: Vec<OsString> = command.iter().map(OsString::from).collect();
            of_command(&command).map(|path| path.display().to_string())
        };
        assert_eq!(script(&["node", "--inspect", "-r", "dotenv/config", "dist/main.js", "other.js"]).as_deref(), Some("dist/main.js"));
        assert_eq!(script(&["node", "--import", "./setup.mjs", "server.js"]).as_deref(), Some("server.js"));
        assert_eq!(script(&["node", "-r", "./setup.js"]), None);
        assert_eq!(script(&["node", "server.mjs"]).as_deref(), Some("server.mjs"));
        assert_eq!(script(&["node", "--env-file", "settings.env", "server.ts"]).as_deref(), Some("server.ts"));
        assert_eq!(script(&["server.js"]), None);
        assert_eq!(script(&["npm", "start"]), None);
    }

    fn words(command: &[&str]) -> Vec<OsString> {
        command.iter().map(OsString::from).collect()
    }

    #[test]
    fn a_cluster_is_told_from_a_server() {
        let forks = |script: &str| {
            unfit(&words(&["node", "app.js"]), Some(script), None, &|_| None) == Some(Unfit::ForksACluster { library: None })
        };
        assert!(forks("const cluster = require('cluster')\nfor (;;) cluster.fork()"));
        assert!(forks("import cluster from \"node:cluster\"; cluster.fork();"));
        assert!(!forks("const redis = new Redis.Cluster([]); child.fork(cluster)"));
        assert!(!forks("const cluster = require('cluster'); console.log(cluster.isWorker)"));
    }

    #[test]
    fn a_library_that_forks_is_found_among_the_dependencies() {
        let library = |package: &str| match unfit(&words(&["node", "app.js"]), None, Some(package), &|_| None) {
            Some(Unfit::ForksACluster { library }) => library,
            _ => None,
        };
        assert_eq!(library(r#"{ "name": "app", "dependencies": { "ws": "8", "throng" : "^5.0.0" } }"#), Some("throng"));
        assert_eq!(library(r#"{"dependencies":{"egg":"3"},"devDependencies":{}}"#), Some("egg"));
        for other in [
            r#"{ "name": "throng" }"#,
            r#"{ "dependencies": { "ws": "8" }, "devDependencies": { "throng": "5" } }"#,
            r#"{ "dependencies": { "throng-like": "5" } }"#,
            r#"{ "dependencies": {} }"#,
            "",
        ] {
            assert_eq!(library(other), None, "{other}");
        }
    }

    #[test]
    fn a_script_beside_one_that_forks_is_a_server() {
        let package = r#"{ "dependencies": { "throng": "5" } }"#;
        for (script, forks) in [
            ("http.createServer(app).listen(3000)", false),
            ("require('./server')", true),
            ("import throng from 'throng'; throng({ worker: () => app.listen(80) })", true),
        ] {
            assert_eq!(unfit(&words(&["node", "app.js"]), Some(script), Some(package), &|_| None).is_some(), forks, "{script}");
        }
    }

    #[test]
    fn buns_http_servers_take_no_socket() {
        assert!(takes_sockets_in_part(&words(&["/usr/local/bin/bun", "server.ts"])));
        assert!(!takes_sockets_in_part(&words(&["deno", "run", "server.ts"])) && !takes_sockets_in_part(&[]));
    }

    #[test]
    fn a_worker_needs_a_file() {
        for command in [&["node", "-e", "listen()"][..], &["/usr/bin/node", "--eval", "x"], &["node", "-"], &["node", "-r", "x", "-p", "1"]]
        {
            assert_eq!(unfit(&words(command), None, None, &|_| None), Some(Unfit::HasNoFile), "{command:?}");
        }
        for command in [&["node", "app.js", "-e"][..], &["node", "server"], &["sh", "-e", "x"], &["node"], &[]] {
            assert_eq!(unfit(&words(command), None, None, &|_| None), None, "{command:?}");
        }
    }
}
