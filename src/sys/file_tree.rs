//! Files and folders that are watched for changes: each with a number that stands for what is in it, and inotify's watches on all that a change
//! may come from. It may hang as long as a file system does: only a worker may call it.

use std::fs::{self, File, Metadata};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use nix::sys::inotify::{AddWatchFlags, Inotify};

/// Of larger files, and of what comes after so many bytes of one path, the size and the time of the last change must do.
const LARGEST: u64 = 1 << 20;
const MOST_BYTES: u64 = 16 << 20;
/// So many files and folders are looked at, and so deep.
const MOST_ENTRIES: u32 = 4096;
const DEEPEST: u32 = 16;
/// So many watches at most tell of any name.
pub const MOST_WATCHES: usize = 512;

/// What is known of some files and folders.
#[derive(Debug, Default)]
pub struct Seen {
    /// One for each path, in their order.
    pub digests: Vec<u64>,
    /// The watches whose events all count; those of the others count by the name they are about.
    pub watches: Vec<i32>,
}

/// Watches first and reads then, so that no change is lost in between.
pub fn look(paths: &[PathBuf], inotify: &Inotify) -> Seen {
    let mut walk = Walk { inotify, seen: Seen::default(), bytes: 0, entries: 0, above: Vec::new() };
    for path in paths {
        (walk.bytes, walk.entries) = (0, 0);
        walk.watch_ancestors(path);
        let mut digest = DefaultHasher::new();
        walk.add(path, DEEPEST, &mut digest);
        walk.seen.digests.push(digest.finish());
    }
    walk.seen
}

struct Walk<'a> {
    inotify: &'a Inotify,
    seen: Seen,
    /// Of this path, up to now.
    bytes: u64,
    entries: u32,
    /// The folders that led here: a link may lead back to one of them.
    above: Vec<(u64, u64)>,
}

impl Walk<'_> {
    fn changes() -> AddWatchFlags {
        AddWatchFlags::IN_CREATE
            | AddWatchFlags::IN_MOVE
            | AddWatchFlags::IN_DELETE
            | AddWatchFlags::IN_DELETE_SELF
            | AddWatchFlags::IN_MOVE_SELF
            | AddWatchFlags::IN_CLOSE_WRITE
            // Of a folder that is watched for its sake and for that of a file in it, both hold.
            | AddWatchFlags::from_bits_retain(libc::IN_MASK_ADD)
    }

    /// All that happens there matters.
    fn watch(&mut self, path: &Path) {
        // Who writes for long and never closes is heard here alone.
        let found = self.inotify.add_watch(path, Self::changes() | AddWatchFlags::IN_MODIFY);
        if let Ok(watch) = found
            && self.seen.watches.len() < MOST_WATCHES
        {
            self.seen.watches.push(watch.as_raw());
        }
    }

    /// Where a path may appear, vanish, or be swapped: the nearest folder above it that is there, and each that has a link on the way.
    fn watch_ancestors(&mut self, path: &Path) {
        let parent = |path: &Path| path.parent().map(|parent| if parent == Path::new("") { PathBuf::from(".") } else { parent.to_owned() });
        let mut nearest = parent(path);
        while let Some(folder) = nearest.take() {
            if self.inotify.add_watch(folder.as_path(), Self::changes()).is_err() {
                nearest = parent(&folder);
            }
        }
        for above in path.ancestors().skip(1) {
            let is_link = fs::symlink_metadata(above).is_ok_and(|found| found.file_type().is_symlink());
            if let Some(folder) = parent(above).filter(|_| is_link) {
                let _ = self.inotify.add_watch(folder.as_path(), Self::changes());
            }
        }
    }

    /// What a link leads to counts, not where that is: Kubernetes swaps links to the same again.
    fn add(&mut self, path: &Path, depth: u32, digest: &mut DefaultHasher) {
        self.entries += 1;
        if depth == 0 || self.entries > MOST_ENTRIES {
            return;
        }
        if let Ok(target) = fs::read_link(path) {
            let folder = path.parent().unwrap_or(Path::new("."));
            self.watch(if folder == Path::new("") { Path::new(".") } else { folder });
            let target = folder.join(target);
            self.watch_ancestors(&target);
            return self.add(&target, depth - 1, digest);
        }
        match fs::symlink_metadata(path) {
            Ok(found) if found.is_dir() => {
                let folder = (found.dev(), found.ino());
                if !self.above.contains(&folder) {
                    self.above.push(folder);
                    self.add_folder(path, depth, digest);
                    self.above.pop();
                }
            }
            Ok(found) if found.is_file() => self.add_file(path, &found, digest),
            Ok(_) => 2u8.hash(digest),
            Err(_) => 3u8.hash(digest),
        }
    }

    fn add_folder(&mut self, path: &Path, depth: u32, digest: &mut DefaultHasher) {
        self.watch(path);
        let mut names = Vec::new();
        if let Ok(mut entries) = fs::read_dir(path) {
            while let Some(Ok(entry)) = entries.next()
                && names.len() < MOST_ENTRIES as usize
            {
                let name = entry.file_name();
                // Those are Kubernetes' own: what they lead to is reached by the other names.
                if !name.as_bytes().starts_with(b"..") {
                    names.push(name);
                }
            }
        }
        names.sort_unstable();
        0u8.hash(digest);
        for name in names {
            name.hash(digest);
            self.add(&path.join(&name), depth - 1, digest);
        }
        4u8.hash(digest);
    }

    fn add_file(&mut self, path: &Path, found: &Metadata, digest: &mut DefaultHasher) {
        self.watch(path);
        1u8.hash(digest);
        let room = LARGEST.min(MOST_BYTES.saturating_sub(self.bytes));
        // A pipe that has taken its place meanwhile does not hang us.
        let file = File::options().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path);
        let mut text = Vec::new();
        match file.and_then(|file| file.take(room).read_to_end(&mut text)) {
            Ok(_) => digest.write(&text),
            // Not readable, as before, perhaps.
            Err(error) => error.raw_os_error().hash(digest),
        }
        self.bytes += text.len() as u64;
        if found.size() > room {
            (found.size(), found.mtime(), found.mtime_nsec(), found.ino()).hash(digest);
        }
    }
}
