//! What is known of memory: the cgroup's count of kills, what is used, and what `--max-memory` comes to here.

use std::io;

use nix::unistd::Pid;

use crate::config::size::Size;
use crate::procfs::cgroup::made_room;
use crate::supervisor::exit::Reason;
use crate::sys::cgroup::{MemoryCgroup, Usage};
use crate::sys::processes;

#[derive(Debug)]
pub(super) struct MemoryMonitor {
    /// `None`: not looked for yet, or not to be had.
    cgroup: Option<MemoryCgroup>,
    was_opened: bool,
    /// Kills for want of memory since a generation began that no death accounts for yet.
    unexplained_kills: u64,
    wanted: Option<Size>,
}

/// What `--max-memory` is about, in bytes; `None`: it cannot be told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Look {
    pub used: Option<u64>,
    pub limit: Option<u64>,
}

impl MemoryMonitor {
    /// Takes in `--max-memory`.
    pub(super) fn new(wanted: Option<Size>) -> MemoryMonitor {
        let mut memory = MemoryMonitor { cgroup: None, was_opened: false, unexplained_kills: 0, wanted };
        if let Some(Size::Percent(percent)) = wanted {
            let missing = memory.open().err().map(|error| error.to_string());
            if memory.usage().limit.is_none() {
                let why = missing.unwrap_or_else(|| "this cgroup has no memory limit".to_owned());
                log::warn!(
                    "--max-memory (RESTARTINIT_MAX_MEMORY) {percent}% is off until there is a limit: {why} (docker run --memory, \
                     resources.limits.memory; or give a size such as 512M)"
                );
            }
        }
        memory
    }

    fn open(&mut self) -> io::Result<()> {
        self.was_opened = true;
        self.cgroup = Some(MemoryCgroup::open()?);
        Ok(())
    }

    /// A generation was spawned. What was killed before is no reason of its end.
    pub(super) fn generation_began(&mut self) {
        if !self.was_opened
            && let Err(error) = self.open()
        {
            log::debug!("out of memory cannot be told apart from other ends by SIGKILL: {error}");
        }
        self.forget_kills();
    }

    /// What the kernel killed up to now was none of the commands.
    pub(super) fn forget_kills(&mut self) {
        if let Some(cgroup) = &mut self.cgroup {
            cgroup.new_kills();
        }
        self.unexplained_kills = 0;
    }

    /// Whether the kernel killed a command, which was just reaped, for want of memory. `peak`: its largest resident memory, in bytes.
    pub(super) fn reason_of_kill(&mut self, peak: u64) -> Option<Reason> {
        let cgroup = self.cgroup.as_mut()?;
        self.unexplained_kills = self.unexplained_kills.saturating_add(cgroup.new_kills());
        self.unexplained_kills.checked_sub(1)?;
        let usage = cgroup.usage();
        // Somebody was killed. Another process, some time ago, unless the memory that this one had is what was missing.
        let certain = match usage.limit.zip(usage.unreclaimable) {
            Some((limit, now)) if !made_room(limit, now, peak) => return None,
            Some(_) => true,
            None => false,
        };
        self.unexplained_kills -= 1;
        Some(Reason::OutOfMemory { certain })
    }

    pub(super) fn usage(&self) -> Usage {
        self.cgroup.as_ref().map(MemoryCgroup::usage).unwrap_or_default()
    }

    pub(super) fn wanted(&self) -> Option<Size> {
        self.wanted
    }

    /// What `--max-memory` allows, in bytes, given what the cgroup does.
    pub(super) fn limit(&self, usage: Usage) -> Option<u64> {
        match self.wanted? {
            Size::Bytes(bytes) => Some(bytes),
            Size::Percent(percent) => usage.limit.map(|limit| percent_of(limit, percent)),
        }
    }

    /// The command's resident memory, or all that is used under the cgroup's limit; and what is allowed.
    pub(super) fn look(&self, pid: Pid) -> Look {
        match self.wanted {
            Some(Size::Percent(_)) => {
                let usage = self.usage();
                Look { used: usage.working_set, limit: self.limit(usage) }
            }
            Some(Size::Bytes(bytes)) => Look { used: processes::resident(pid), limit: Some(bytes) },
            None => Look { used: None, limit: None },
        }
    }
}

/// Without an overflow, whatever the limit is.
fn percent_of(limit: u64, percent: u8) -> u64 {
    let (hundreds, rest) = (limit / 100, limit % 100);
    hundreds.saturating_mul(percent.into()).saturating_add(rest * u64::from(percent) / 100)
}
