//! What is mounted where, and which mount is seen: `/proc/self/mountinfo`. Pure.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

use super::number;

/// A line of mountinfo, see proc(5).
pub struct Mount<'a> {
    id: u32,
    parent: u32,
    /// The folder of the file system that is mounted.
    pub root: PathBuf,
    /// Where it is mounted.
    pub point: PathBuf,
    /// The kind of the file system.
    pub kind: &'a [u8],
    /// The file system's own options.
    pub options: &'a [u8],
}

impl Mount<'_> {
    pub fn parse(line: &[u8]) -> Option<Mount<'_>> {
        const SEPARATOR: &[u8] = b" - ";
        let at = line.windows(SEPARATOR.len()).position(|window| window == SEPARATOR)?;
        let (mount, device) = line.split_at_checked(at)?;
        let mut mount = mount.split(|byte| *byte == b' ');
        let (id, parent) = (number(mount.next()?)?, number(mount.next()?)?);
        let (root, point) = (path_of(mount.nth(1)?), path_of(mount.next()?));
        let mut device = device.get(SEPARATOR.len()..)?.split(|byte| *byte == b' ');
        Some(Mount { id, parent, root, point, kind: device.next()?, options: device.nth(1).unwrap_or_default() })
    }
}

/// Whether no other mount hides it: what counts is what a path leads to.
pub fn is_seen(mounts: &[Mount<'_>], mount: &Mount<'_>) -> bool {
    mount_at(mounts, &mount.point).is_none_or(|seen| seen.id == mount.id)
}

/// The mount that a path leads to; `None`: the way there cannot be seen.
fn mount_at<'a, 'b>(mounts: &'b [Mount<'a>], path: &Path) -> Option<&'b Mount<'a>> {
    let is_top =
        |mount: &&Mount<'_>| mount.point == Path::new("/") && mounts.iter().all(|other| other.id != mount.parent || other.id == mount.id);
    let mut at = mounts.iter().find(is_top)?;
    // Each step goes one mount deeper: more than there are would be a loop.
    for _ in 0..mounts.len() {
        let on_the_way = |mount: &&Mount<'_>| mount.parent == at.id && mount.id != at.id && path.starts_with(&mount.point);
        let Some(next) = mounts.iter().filter(on_the_way).min_by_key(|mount| mount.point.components().count()) else { break };
        at = next;
    }
    Some(at)
}

/// A path as /proc writes it: a space, tab, newline and backslash as `\040` and so on.
pub fn path_of(text: &[u8]) -> PathBuf {
    let (mut path, mut left) = (Vec::with_capacity(text.len()), text);
    while let Some((first, rest)) = left.split_first() {
        let (byte, rest) = match (first, rest) {
            (b'\\', [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', rest @ ..]) => {
                ((a - b'0') * 64 + (b - b'0') * 8 + (c - b'0'), rest)
            }
            _ => (*first, rest),
        };
        path.push(byte);
        left = rest;
    }
    OsString::from_vec(path).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_read_as_the_kernel_wrote_it() {
        for (text, path) in [
            ("/a\\040b", "/a b"),
            ("/a\\134b", "/a\\b"),
            ("/\\012\\011", "/\n\t"),
            ("/\\303\\244", "/\u{e4}"),
            ("/\\04", "/\\04"),
            ("/\\400", "/\\400"),
            ("/\\", "/\\"),
        ] {
            assert_eq!(path_of(text.as_bytes()), Path::new(path), "{text}");
        }
    }

    #[test]
    fn what_is_mounted_over_hides_what_is_under() {
        // The root is its own parent where nothing is above it.
        let lines = [
            "1 1 0:1 / / rw - rootfs rootfs rw",
            "2 1 0:2 / /a rw - tmpfs tmpfs rw",
            "3 2 0:3 / /a rw - tmpfs tmpfs rw",
            "4 1 0:4 / /b/c rw - tmpfs tmpfs rw",
            "5 1 0:5 / /b rw - tmpfs tmpfs rw",
            "6 3 0:6 / /a/d rw - tmpfs tmpfs rw",
        ];
        assert_eq!(seen(&lines), [1, 3, 5, 6]);
    }

    #[test]
    fn the_way_begins_at_the_root_that_is_below_all() {
        let root = "1 9 0:1 / / rw - ext4 /dev/sda rw";
        let over_it = "2 1 0:2 / / rw - overlay overlay rw";
        let on_top = "3 2 0:3 / /a rw - tmpfs tmpfs rw";
        let from_elsewhere = "4 8 0:4 / /a rw - tmpfs tmpfs rw";
        assert_eq!(seen(&[over_it, on_top, root]), [2, 3]);
        assert_eq!(seen(&[from_elsewhere, root, over_it, on_top]), [2, 3]);
    }

    /// Those of these lines' mounts that are seen.
    fn seen(lines: &[&str]) -> Vec<u32> {
        let mounts: Vec<Mount<'_>> = lines.iter().filter_map(|line| Mount::parse(line.as_bytes())).collect();
        mounts.iter().filter(|mount| is_seen(&mounts, mount)).map(|mount| mount.id).collect()
    }
}
