//! What can be told of an app by its script before it runs: whether it makes a cluster of its own, which it cannot as a worker of ours. Pure.

use std::ffi::OsString;
use std::path::Path;

/// The script among a command's arguments, as far as its name tells.
pub fn of_command(command: &[OsString]) -> Option<&Path> {
    let is_script =
        |path: &&Path| path.extension().is_some_and(|kind| ["js", "cjs", "mjs", "ts", "cts", "mts"].iter().any(|known| kind == *known));
    command.iter().skip(1).map(Path::new).find(is_script)
}

/// Whether a script loads Node's cluster and forks workers.
pub fn forks_a_cluster(script: &str) -> bool {
    let loads = ["'cluster'", "\"cluster\"", "'node:cluster'", "\"node:cluster\""].iter().any(|name| script.contains(name));
    loads && script.contains(".fork(")
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
        assert_eq!(script(&["node", "server.mjs"]).as_deref(), Some("server.mjs"));
        assert_eq!(script(&["node", "--env-file", "settings.env", "server.ts"]).as_deref(), Some("server.ts"));
        assert_eq!(script(&["server.js"]), None);
        assert_eq!(script(&["npm", "start"]), None);
    }

    #[test]
    fn a_cluster_is_told_from_a_server() {
        assert!(forks_a_cluster("const cluster = require('cluster')\nfor (;;) cluster.fork()"));
        assert!(forks_a_cluster("import cluster from \"node:cluster\"; cluster.fork();"));
        assert!(!forks_a_cluster("const redis = new Redis.Cluster([]); child.fork('cluster')".replace("'cluster'", "x").as_str()));
        assert!(!forks_a_cluster("const cluster = require('cluster'); console.log(cluster.isWorker)"));
    }
}
