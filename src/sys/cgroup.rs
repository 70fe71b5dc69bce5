//! The memory cgroup: how often the kernel has killed in it for want of memory.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use crate::supervisor::cgroup::{oom_file, oom_kills};

/// The counter of out-of-memory kills, kept open: when memory has run out, opening files is no good idea.
#[derive(Debug)]
pub struct OomCounter {
    file: File,
    seen: u64,
}

impl OomCounter {
    /// Opens the counter of our own cgroup.
    ///
    /// # Errors
    /// There is none to be found, or it cannot be read.
    pub fn open() -> io::Result<OomCounter> {
        let cgroup = std::fs::read_to_string("/proc/self/cgroup")?;
        let mountinfo = std::fs::read_to_string("/proc/self/mountinfo")?;
        let path = oom_file(&cgroup, &mountinfo).ok_or(io::ErrorKind::NotFound)?;
        let mut counter = OomCounter { file: File::open(path)?, seen: 0 };
        counter.seen = counter.read()?;
        Ok(counter)
    }

    fn read(&self) -> io::Result<u64> {
        let mut text = [0; 512];
        let length = self.file.read_at(&mut text, 0)?;
        let text = text.get(..length).and_then(|text| std::str::from_utf8(text).ok());
        text.and_then(oom_kills).ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    /// Whether the kernel has killed since the last call.
    pub fn has_risen(&mut self) -> bool {
        let now = self.read().unwrap_or(self.seen);
        std::mem::replace(&mut self.seen, now) < now
    }
}
