//! What is found out about the command before the first spawn, while it may still take its time.

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::Read as _;
use std::os::unix::fs::OpenOptionsExt as _;

use crate::config::{Config, GENERATION, LAST_EXIT, ROLE};
use crate::node::{CHANNEL_FD, SERIALIZATION_MODE, UNIQUE_ID, script};

/// So much of a script is looked at, in bytes.
const LONGEST_SCRIPT: u64 = 256 * 1024;

/// The variables that are ours to set, or that would mean something else to the command.
pub fn not_passed_on(config: &Config) -> Vec<&'static str> {
    let mut names = vec![GENERATION, LAST_EXIT, ROLE, SERIALIZATION_MODE];
    if config.has_channel() {
        names.extend([CHANNEL_FD, UNIQUE_ID]);
    }
    if !config.listen.is_empty() {
        names.extend(["LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"]);
    }
    names
}

/// Whether the command is a script that uses Node's cluster itself, as far as reading it tells.
pub fn forks_a_cluster(command: &[OsString]) -> bool {
    let Some(path) = script::of_command(command) else { return false };
    // It need not be UTF-8.
    let mut text = Vec::new();
    // A pipe in the place of a script must not hold us up.
    let opened = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path);
    opened.and_then(|file| file.take(LONGEST_SCRIPT).read_to_end(&mut text)).is_ok()
        && script::forks_a_cluster(&String::from_utf8_lossy(&text))
}
