//! Where the apps that serve and their packages are.

use crate::support::{Node, Scratch, lines_of};
use std::path::Path;
use std::sync::OnceLock;

/// The folder with Express and the like, for `NODE_PATH`.
pub fn frameworks() -> &'static str {
    static FOLDER: OnceLock<String> = OnceLock::new();
    FOLDER.get_or_init(|| lines_of("tests/node/servers/install").trim().to_owned())
}

/// The folder with what the apps of tests/node/apps need, for `NODE_PATH`.
pub fn node_apps() -> &'static str {
    static FOLDER: OnceLock<String> = OnceLock::new();
    FOLDER.get_or_init(|| lines_of("tests/node-apps").trim().to_owned())
}

/// The path of an app of the tests.
pub fn app(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(name).display().to_string()
}

/// The file of docs/frameworks.md with which a server that closes serves whoever it has accepted: its path.
pub fn last_answers(scratch: &Scratch) -> String {
    let page = include_str!("../../../docs/frameworks.md");
    let (_, rest) = page.split_once("```js\n// last-answers.mjs\n").expect("the file in the page");
    let file = scratch.path("last-answers.mjs");
    std::fs::write(&file, rest.split("```").next().expect("its end")).expect("the file");
    file
}

/// From 26 on, Node's `server.close()` ends whoever has connected and was not heard yet, under any parent.
pub fn ends_the_unheard(node: &Node) -> bool {
    !["v18.", "v20.", "v22.", "v24."].iter().any(|major| node.version.starts_with(major))
}
