//! What the hall knows of memory: the cgroup's count of kills, what is used, and what `--max-memory` comes to here.

use std::io;

use crate::config::size::Size;
use crate::supervisor::cgroup::resident;
use crate::sys::cgroup::MemoryCgroup;
use crate::sys::processes;

#[derive(Debug)]
pub struct Memory {
    /// `None`: not looked for yet, or not to be had.
    cgroup: Option<MemoryCgroup>,
    was_opened: bool,
    wanted: Option<Size>,
}

impl Memory {
    /// Takes in `--max-memory`.
    ///
    /// # Errors
    /// A percentage of a limit that does not exist.
    pub fn new(wanted: Option<Size>) -> io::Result<Memory> {
        let mut memory = Memory { cgroup: None, was_opened: false, wanted };
        if let Some(Size::Percent(percent)) = wanted {
            memory.open();
            if memory.cgroup_limit().is_none() {
                return Err(io::Error::other(format!(
                    "--max-memory (RESTARTINIT_MAX_MEMORY) {percent}%: this cgroup has no memory limit: set one (docker run --memory, resources.limits.memory), or give a \
                     size such as 512M"
                )));
            }
        }
        Ok(memory)
    }

    fn open(&mut self) {
        self.was_opened = true;
        let none = |error: &io::Error| log::debug!("no memory cgroup, so out of memory cannot be told apart: {error}");
        self.cgroup = MemoryCgroup::open().inspect_err(none).ok();
    }

    /// A generation was spawned. What was killed before is no reason of its end.
    pub fn generation_began(&mut self) {
        if self.was_opened {
            self.has_killed();
        } else {
            self.open();
        }
    }

    /// Whether the kernel has killed for want of memory since the last call.
    pub fn has_killed(&mut self) -> bool {
        self.cgroup.as_mut().is_some_and(MemoryCgroup::has_killed)
    }

    pub fn cgroup_limit(&self) -> Option<u64> {
        self.cgroup.as_ref().and_then(MemoryCgroup::limit)
    }

    pub fn working_set(&self) -> Option<u64> {
        self.cgroup.as_ref().and_then(MemoryCgroup::working_set)
    }

    pub fn wanted(&self) -> Option<Size> {
        self.wanted
    }

    /// What `--max-memory` allows, in bytes.
    pub fn limit(&self) -> Option<u64> {
        match self.wanted? {
            Size::Bytes(bytes) => Some(bytes),
            Size::Percent(percent) => self.cgroup_limit().map(|limit| (u128::from(limit) * u128::from(percent) / 100) as u64),
        }
    }

    /// What `--max-memory` is about, in bytes: the command's resident memory, or all that is used under the cgroup's limit.
    pub fn used(&self, pid: i32) -> Option<u64> {
        match self.wanted? {
            Size::Bytes(_) => resident_of(pid),
            Size::Percent(_) => self.working_set(),
        }
    }
}

/// The resident memory of one process, in bytes.
pub fn resident_of(pid: i32) -> Option<u64> {
    processes::status(pid, &mut [0; 2048]).and_then(resident)
}
