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
                ((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'), rest)
            }
            _ => (*first, rest),
        };
        path.push(byte);
        left = rest;
    }
    OsString::from_vec(path).into()
}
