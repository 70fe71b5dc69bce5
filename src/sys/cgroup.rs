//! The memory cgroup: its limit, what is used of it, how often the kernel has killed in it for want of memory.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use crate::procfs::cgroup::{Missing, Place, Version, limit, oom_kills};

/// Our own memory cgroup and those above it. Their files are kept open: when memory has run out, opening files is no good idea.
#[derive(Debug)]
pub struct MemoryCgroup {
    version: Version,
    oom: File,
    kills_seen: u64,
    levels: Vec<Level>,
}

/// A cgroup whose limit holds for us.
#[derive(Debug)]
struct Level {
    limit: File,
    usage: File,
    stat: File,
}

/// What is used of the memory that is allowed, in bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    /// `None`: there is no limit that can be seen.
    pub limit: Option<u64>,
    /// But for the page cache that the kernel would give up first.
    pub working_set: Option<u64>,
    /// But for all page cache of files.
    pub unreclaimable: Option<u64>,
}

impl MemoryCgroup {
    /// Opens the files of our own cgroup; where it has none, those of the nearest above it.
    ///
    /// # Errors
    /// It cannot be seen, or its count of kills cannot be read: with words of its own.
    pub fn open() -> io::Result<MemoryCgroup> {
        let (cgroup, mountinfo) = (std::fs::read("/proc/self/cgroup")?, std::fs::read("/proc/self/mountinfo")?);
        let place = Place::find(&cgroup, &mountinfo).map_err(|why| io::Error::other(why.text()))?;
        let version = place.version;
        let none = || io::Error::other(Missing::NoMount.text());
        let oom = place.lineage().find_map(|folder| File::open(folder.join(version.oom_file())).ok()).ok_or_else(none)?;
        let levels = place.lineage().filter_map(|folder| {
            let open = |name| File::open(folder.join(name)).ok();
            Some(Level { limit: open(version.limit_file())?, usage: open(version.usage_file())?, stat: open("memory.stat")? })
        });
        let mut opened = MemoryCgroup { version, oom, kills_seen: 0, levels: levels.collect() };
        opened.kills_seen = opened.kills().ok_or(io::ErrorKind::InvalidData)?;
        Ok(opened)
    }

    fn kills(&self) -> Option<u64> {
        read(&self.oom, &mut [0; 512]).and_then(oom_kills)
    }

    /// How many processes the kernel has killed for want of memory since the last call.
    pub fn new_kills(&mut self) -> u64 {
        let now = self.kills().unwrap_or(self.kills_seen);
        now.saturating_sub(std::mem::replace(&mut self.kills_seen, now))
    }

    /// The lowest of the limits that hold for us, as it is now, and what is used of it.
    pub fn usage(&self) -> Usage {
        let limits = self.levels.iter().filter_map(|level| Some((limit(read(&level.limit, &mut [0; 64])?)?, level)));
        let Some((bytes, level)) = limits.min_by_key(|(bytes, _)| *bytes) else { return Usage::default() };
        let (mut usage, mut stat) = ([0; 64], [0; 8192]);
        let read = read(&level.usage, &mut usage).zip(read(&level.stat, &mut stat));
        Usage {
            limit: Some(bytes),
            working_set: read.and_then(|(usage, stat)| self.version.working_set(usage, stat)),
            unreclaimable: read.and_then(|(usage, stat)| self.version.unreclaimable(usage, stat)),
        }
    }
}

/// What a file of the kernel's says now, as much of it as the buffer holds.
fn read<'a>(file: &File, buffer: &'a mut [u8]) -> Option<&'a [u8]> {
    let length = file.read_at(buffer, 0).ok()?;
    buffer.get(..length)
}
