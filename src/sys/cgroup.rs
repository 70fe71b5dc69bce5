//! The memory cgroup: its limit, what is used of it, how often the kernel has killed in it for want of memory.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use crate::supervisor::cgroup::{Place, Version, limit, oom_kills};

/// Our own memory cgroup. Its files are kept open: when memory has run out, opening files is no good idea.
#[derive(Debug)]
pub struct MemoryCgroup {
    version: Version,
    oom: File,
    kills_seen: u64,
    limited: Option<Limited>,
}

/// The cgroup, our own or one above it, that has the lowest limit.
#[derive(Debug)]
struct Limited {
    bytes: u64,
    usage: File,
    stat: File,
}

impl MemoryCgroup {
    /// Opens the files of our own cgroup.
    ///
    /// # Errors
    /// There is none to be found, or it cannot be read.
    pub fn open() -> io::Result<MemoryCgroup> {
        let cgroup = std::fs::read_to_string("/proc/self/cgroup")?;
        let mountinfo = std::fs::read_to_string("/proc/self/mountinfo")?;
        let place = Place::find(&cgroup, &mountinfo).ok_or(io::ErrorKind::NotFound)?;
        let version = place.version;
        let read_limit = |folder| std::fs::read_to_string(folder).ok().and_then(|text| limit(&text));
        let limits = place.lineage().filter_map(|folder| Some((read_limit(folder.join(version.limit_file()))?, folder)));
        let limited = limits.min_by_key(|(bytes, _)| *bytes).and_then(|(bytes, folder)| {
            let open = |name| File::open(folder.join(name)).ok();
            Some(Limited { bytes, usage: open(version.usage_file())?, stat: open("memory.stat")? })
        });
        let mut opened = MemoryCgroup { version, oom: File::open(place.folder.join(version.oom_file()))?, kills_seen: 0, limited };
        opened.kills_seen = opened.kills()?;
        Ok(opened)
    }

    fn kills(&self) -> io::Result<u64> {
        read(&self.oom, &mut [0; 512]).and_then(oom_kills).ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    /// Whether the kernel has killed for want of memory since the last call.
    pub fn has_killed(&mut self) -> bool {
        let now = self.kills().unwrap_or(self.kills_seen);
        std::mem::replace(&mut self.kills_seen, now) < now
    }

    /// In bytes; `None`: there is no limit that can be seen.
    pub fn limit(&self) -> Option<u64> {
        self.limited.as_ref().map(|limited| limited.bytes)
    }

    /// What is used under that limit, in bytes, but for the page cache that the kernel would give up first.
    pub fn working_set(&self) -> Option<u64> {
        let limited = self.limited.as_ref()?;
        let (mut usage, mut stat) = ([0; 64], [0; 4096]);
        self.version.working_set(read(&limited.usage, &mut usage)?, read(&limited.stat, &mut stat)?)
    }
}

fn read<'a>(file: &File, buffer: &'a mut [u8]) -> Option<&'a str> {
    let length = file.read_at(buffer, 0).ok()?;
    std::str::from_utf8(buffer.get(..length)?).ok()
}
