//! The file that is executed: where execvp(3) looks for it, and what is wrong with it where that failed.

use std::ffi::{CStr, CString, OsStr};
use std::fs::OpenOptions;
use std::io::{self, Read as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use nix::errno::Errno;
use nix::sys::statvfs::{FsFlags, statvfs};

use crate::supervisor::spawn_failure::{FileFacts, Problem};

/// Where a command without a slash is looked for when PATH is not set.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// As much of a file as the kernel looks at, in bytes.
const BEGINNING: u64 = 256;

/// The files that execvp(3) would try for a command with this environment.
pub fn candidates(file: &OsStr, environment: &[&CStr]) -> Vec<Vec<u8>> {
    let path = environment.iter().find_map(|entry| entry.to_bytes().strip_prefix(b"PATH="));
    candidates_in(file, path.map_or(OsStr::new(DEFAULT_PATH), OsStr::from_bytes))
}

fn candidates_in(file: &OsStr, path: &OsStr) -> Vec<Vec<u8>> {
    let file = file.as_bytes();
    if file.is_empty() || file.contains(&b'/') {
        return vec![file.to_vec()];
    }
    let folders = path.as_bytes().split(|byte| *byte == b':');
    folders.map(|folder| if folder.is_empty() { file.to_vec() } else { [folder, b"/", file].concat() }).collect()
}

/// What is wrong with the file, as far as it shows: the one of the candidates that is there.
pub(super) fn problem(candidates: &[CString], errno: Errno) -> Problem {
    let mut paths = candidates.iter().map(|path| Path::new(OsStr::from_bytes(path.as_bytes())));
    let Some((path, metadata)) = paths.find_map(|path| path.metadata().ok().map(|metadata| (path, metadata))) else {
        return if matches!(errno, Errno::ENOENT | Errno::ENOTDIR) { Problem::NotFound } else { Problem::Unknown };
    };
    let beginning = beginning(path, BEGINNING);
    Problem::of(
        errno,
        FileFacts {
            is_directory: metadata.is_dir(),
            has_execute_bit: metadata.permissions().mode() & 0o111 != 0,
            mounted_noexec: statvfs(path).is_ok_and(|mount| mount.flags().contains(FsFlags::ST_NOEXEC)),
            beginning: beginning.as_deref().ok(),
        },
    )
}

/// The beginning of a file that is to be executed, of at most so many bytes.
///
/// # Errors
/// That of opening or reading it.
#[inline(never)]
pub fn beginning(path: &Path, bytes: u64) -> io::Result<Vec<u8>> {
    let mut beginning = Vec::new();
    // A pipe in its place must not hold us up.
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    file.take(bytes).read_to_end(&mut beginning)?;
    Ok(beginning)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_looked_for_as_execvp_does() {
        let tried = |file: &str, path: &str| {
            let files = candidates_in(OsStr::new(file), OsStr::new(path));
            files.into_iter().map(|file| String::from_utf8(file).unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(tried("node", "/a:/b"), ["/a/node", "/b/node"]);
        assert_eq!(tried("node", "/a::"), ["/a/node", "node", "node"]);
        assert_eq!(tried("./node", "/a"), ["./node"]);
        assert_eq!(tried("", "/a"), [""]);
    }
}
