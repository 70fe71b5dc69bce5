//! What the files in /proc and the cgroup say. They are bytes: processes choose their names, containers their paths. Pure: `sys` reads them.

pub mod cgroup;
pub mod connections;
pub mod inspector;
pub mod listeners;
pub mod main_thread;
pub mod mountinfo;
pub mod node_loop;
pub mod process_tree;
pub mod sock_diag;
pub mod status;
pub mod verdict;

use std::str::FromStr;

/// A number with white space around it.
pub fn number<T: FromStr>(bytes: &[u8]) -> Option<T> {
    std::str::from_utf8(bytes.trim_ascii()).ok()?.parse().ok()
}

/// The rest of the first line that begins like this.
pub fn field<'a>(text: &'a [u8], name: &str) -> Option<&'a [u8]> {
    text.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(name.as_bytes()))
}

/// What a process chose itself, such as a name or a path, fit to be shown on a terminal: at most so many bytes, control characters as `?`.
pub fn shown(bytes: &[u8], longest: usize) -> String {
    let text = String::from_utf8_lossy(bytes);
    let end = text.floor_char_boundary(longest);
    let is_cut = end < text.len();
    let mut shown: String = text.get(..end).unwrap_or_default().chars().map(|c| if is_plain(c) { c } else { '?' }).collect();
    shown.push_str(if is_cut { "..." } else { "" });
    shown
}

/// Whether a terminal shows this as a letter: none of those that steer it, or turn the direction of what follows.
fn is_plain(c: char) -> bool {
    !c.is_control() && !matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// The words of a line.
pub fn words(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_steers_no_terminal_and_is_no_longer_than_that() {
        assert_eq!(shown(b"a\x1b[2J\n\xff\xc3\xa9", 20), "a?[2J?\u{fffd}\u{e9}");
        assert_eq!(shown("\u{202e}x\u{200b}".as_bytes(), 20), "?x?");
        assert_eq!(
            (shown(b"abcd", 4), shown(b"abcde", 4), shown("ab\u{e9}".as_bytes(), 3)),
            ("abcd".into(), "abcd...".into(), "ab...".into())
        );
    }
}
