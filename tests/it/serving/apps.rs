//! Where the apps that serve and their packages are.

use crate::support::lines_of;
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
