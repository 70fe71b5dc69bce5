//! Node, every major that is tested, and where the apps and their packages are.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

pub struct Node {
    pub version: String,
    pub binary: String,
}

/// Every major that `tests/node-versions` installs; `NODE_MAJORS=20,24` for some of them. Says which it are.
pub fn nodes() -> &'static [Node] {
    static NODES: OnceLock<Vec<Node>> = OnceLock::new();
    let nodes = NODES.get_or_init(|| {
        let all = output("tests/node-versions");
        let all = all.lines().filter_map(|line| line.split_once(' '));
        let chosen = std::env::var("NODE_MAJORS").ok();
        let is_chosen = |version: &str| {
            let major = version.trim_start_matches('v').split('.').next();
            chosen.as_ref().is_none_or(|chosen| chosen.split(',').any(|wanted| Some(wanted) == major))
        };
        let nodes =
            all.filter(|(version, _)| is_chosen(version)).map(|(version, binary)| Node { version: version.into(), binary: binary.into() });
        nodes.collect()
    });
    assert!(chosen_is_whole(nodes), "tests/node-versions gave too few: {:?}", nodes.iter().map(|node| &node.version).collect::<Vec<_>>());
    println!("Node {}", nodes.iter().map(|node| node.version.as_str()).collect::<Vec<_>>().join(", "));
    nodes
}

fn chosen_is_whole(nodes: &[Node]) -> bool {
    nodes.len() >= std::env::var("NODE_MAJORS").map_or(5, |chosen| chosen.split(',').count())
}

/// The folder with Express and the like, for `NODE_PATH`.
pub fn frameworks() -> &'static str {
    static FOLDER: OnceLock<String> = OnceLock::new();
    FOLDER.get_or_init(|| output("tests/node/servers/install").trim().to_owned())
}

/// The path of an app of the tests.
pub fn app(name: &str) -> String {
    root().join("tests").join(name).display().to_string()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn output(script: &str) -> String {
    let output = Command::new(root().join(script)).stderr(Stdio::inherit()).output();
    let output = output.unwrap_or_else(|error| panic!("{script}: {error}"));
    assert!(output.status.success(), "{script} failed: it says why on stderr");
    String::from_utf8(output.stdout).expect("its lines")
}
