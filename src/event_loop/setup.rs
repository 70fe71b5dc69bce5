//! What is found out about the command before the first spawn, while it may still take its time.

use std::ffi::OsString;

use crate::config::{Config, GENERATION, LAST_EXIT, ROLE};
use crate::node::{CHANNEL_FD, SERIALIZATION_MODE, UNIQUE_ID, script};
use crate::sys::spawn;

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
    spawn::beginning(path, LONGEST_SCRIPT).is_ok_and(|text| script::forks_a_cluster(&String::from_utf8_lossy(&text)))
}
