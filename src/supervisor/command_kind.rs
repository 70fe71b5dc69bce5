//! What is known of the command, whichever generation of it runs: a server, or a worker that never listens. Pure.

use std::time::Duration;

use nix::unistd::Pid;

use super::Supervisor;
use super::event::{Action, Actions};
use super::report::Report;
use crate::config::values::ReadyWhen;
use crate::generation_number::GenerationNumber;
use crate::time::Moment;

/// See the module.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub(super) struct CommandKind {
    /// When it was spawned first.
    pub first_spawn: Option<Moment>,
    /// A generation has listened.
    pub has_listened: bool,
    /// It has not listened for so long that it is taken for a worker: ready as soon as it runs.
    pub is_worker: bool,
    /// It was told that its listeners cannot be seen.
    pub unknowable_told: bool,
}

impl CommandKind {
    pub(super) fn spawned(&mut self, now: Moment) {
        self.first_spawn.get_or_insert(now);
    }
}

#[cfg(test)]
impl CommandKind {
    /// What has been told or found out of it, once and for all.
    pub(super) fn told(self) -> (bool, bool, bool) {
        (self.has_listened, self.is_worker, self.unknowable_told)
    }

    /// From when on it may be taken for a worker.
    pub(super) fn worker_at(self) -> Option<Moment> {
        self.first_spawn.filter(|_| !self.has_listened && !self.is_worker).map(|first| first + Supervisor::WORKER_AFTER)
    }
}

impl Supervisor {
    /// A command that has not listened for so long after its first spawn is taken for a worker.
    pub const WORKER_AFTER: Duration = Duration::from_secs(45);

    /// Whether the command is a worker, which never listens, as far as its silence tells.
    pub(super) fn guess_worker(&mut self, now: Moment, number: GenerationNumber, pid: Pid, actions: &mut Actions) {
        let may_be = self.config.wait_ready.is_none() && self.config.ready_when() == &ReadyWhen::Listening(Vec::new());
        let listens = self.running().any(|generation| generation.listening.is_anywhere());
        let is_late = self.kind.first_spawn.is_some_and(|first| now.since(first) >= Self::WORKER_AFTER);
        if may_be && is_late && !listens && !self.kind.has_listened && !self.kind.is_worker {
            self.kind.is_worker = true;
            actions.push_back(Action::Report(Report::TakenForWorker { generation: number, pid }));
        }
    }
}
