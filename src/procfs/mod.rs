//! What the files in /proc and the cgroup say. They are bytes: processes choose their names, containers their paths. Pure: `sys` reads them.

pub mod cgroup;
pub mod inspector;
pub mod listeners;
pub mod mountinfo;
pub mod node_loop;
pub mod process_tree;
pub mod sock_diag;
pub mod status;

use std::str::FromStr;

/// A number with white space around it.
pub fn number<T: FromStr>(bytes: &[u8]) -> Option<T> {
    std::str::from_utf8(bytes.trim_ascii()).ok()?.parse().ok()
}

/// The rest of the first line that begins like this.
pub fn field<'a>(text: &'a [u8], name: &str) -> Option<&'a [u8]> {
    text.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(name.as_bytes()))
}

/// The words of a line.
pub fn words(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty())
}
