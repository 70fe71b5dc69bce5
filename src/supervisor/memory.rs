//! `--max-memory`: when to look, and what to make of it. Above the limit comes a planned restart, before the kernel's killer. Pure.

use std::time::Duration;

use super::Supervisor;
use super::event::{Action, Actions, Next};
use super::exit::Reason;
use super::planned_restart::Because;
use crate::time::Moment;

/// When the limit is next seen to. It comes with each look, since it may be changed meanwhile.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct MemoryWatch {
    look_at: Moment,
    /// No restart before this.
    not_before: Moment,
    /// The last look was above the limit: a peak of a moment is no leak.
    was_above: bool,
}

impl MemoryWatch {
    /// Between two looks.
    const EVERY: Duration = Duration::from_secs(2);
    /// Between two restarts: a limit that is too low must not become a loop.
    const APART: Duration = Duration::from_secs(30);

    pub(super) fn new() -> MemoryWatch {
        MemoryWatch { look_at: Moment::START + Self::EVERY, not_before: Moment::START, was_above: false }
    }
}

#[cfg(test)]
impl MemoryWatch {
    /// When it is next looked at, and from when on there may be a restart.
    pub(super) fn moments(self) -> [Moment; 2] {
        [self.look_at, self.not_before]
    }

    pub(super) fn was_above(self) -> bool {
        self.was_above
    }
}

impl Supervisor {
    pub(super) fn memory_due(&self) -> Option<Moment> {
        let watch = self.memory.as_ref()?;
        self.undisturbed().map(|_| watch.look_at)
    }

    pub(super) fn look_at_memory(&mut self, now: Moment, actions: &mut Actions) {
        if let Some(watch) = &mut self.memory {
            watch.look_at = now + MemoryWatch::EVERY;
        }
        actions.extend(self.active().map(|active| Action::LookAtMemory { pid: active.pid }));
    }

    /// `used` and `limit` in bytes.
    pub(super) fn memory_seen(&mut self, now: Moment, next: Next, used: Option<u64>, limit: Option<u64>, actions: &mut Actions) {
        let is_busy = self.undisturbed().is_none() || self.wanted.is_some();
        let Some(watch) = &mut self.memory else { return };
        let (used, limit) = used.zip(limit).unwrap_or((0, u64::MAX));
        let was_above = std::mem::replace(&mut watch.was_above, used > limit);
        if next == Next::Undecided && !is_busy && was_above && used > limit && watch.not_before <= now {
            watch.was_above = false;
            watch.not_before = now + MemoryWatch::APART;
            self.plan(Reason::MemoryLimit, Because::Memory { used, limit }, actions);
        }
    }
}
