//! Where a command is looked for, as execvp(3) does. Pure.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

/// Where a command without a slash is looked for when PATH is not set.
pub(super) const DEFAULT: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The files that execvp(3) would try.
pub(super) fn candidates(file: &OsStr, path: &OsStr) -> Vec<Vec<u8>> {
    let file = file.as_bytes();
    if file.is_empty() || file.contains(&b'/') {
        return vec![file.to_vec()];
    }
    let folders = path.as_bytes().split(|byte| *byte == b':');
    folders.map(|folder| if folder.is_empty() { file.to_vec() } else { [folder, b"/", file].concat() }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_looked_for_as_execvp_does() {
        let tried = |file: &str, path: &str| {
            let files = candidates(OsStr::new(file), OsStr::new(path));
            files.into_iter().map(|file| String::from_utf8(file).unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(tried("node", "/a:/b"), ["/a/node", "/b/node"]);
        assert_eq!(tried("node", "/a::"), ["/a/node", "node", "node"]);
        assert_eq!(tried("./node", "/a"), ["./node"]);
        assert_eq!(tried("", "/a"), [""]);
    }
}
