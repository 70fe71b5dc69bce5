//! How it all ends, and what came of what. Pure data.

use std::sync::Arc;
use std::time::Duration;

use nix::unistd::Pid;

use crate::generation_number::GenerationNumber;
use crate::signal::Signal;
use crate::supervisor::exit::{LastExit, Outcome, Reason, Run};
use crate::supervisor::hang::Hang;
use crate::supervisor::spawn_failure::SpawnFailure;

/// The end of it all: why, with which code, and what came last.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ending {
    pub outcome: Outcome,
    /// restartinit's own exit code.
    pub code: u8,
    pub cause: Cause,
}

impl Ending {
    /// The command's last run, if that is what it came of.
    pub fn run(&self) -> Option<&Run> {
        match &self.cause {
            Cause::Run(run) | Cause::Exhausted { run, .. } => Some(run),
            Cause::NeverSpawned { .. } | Cause::Spawn(_) | Cause::OutOfReach { .. } => None,
        }
    }

    /// Where the event loop of that run was, if that is why it was killed.
    pub fn hang<'a>(&self, mut last_exits: impl Iterator<Item = &'a LastExit>) -> Option<&'a Arc<Hang>> {
        let run = self.run()?;
        last_exits.find(|last| last.run.generation == run.generation)?.hang.as_ref()
    }
}

/// What an [`Ending`] came of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cause {
    /// The command's last run.
    Run(Run),
    /// The same, with the restart budget all used.
    Exhausted { run: Run, used: u32, window: Duration },
    /// A stop while no run had ended yet: the command was never spawned.
    NeverSpawned { signal: Signal },
    /// The command cannot be executed.
    Spawn(SpawnFailure),
    /// A command that may not be signalled is due to be killed; without a reason, for its grace period.
    OutOfReach { generation: GenerationNumber, pid: Pid, reason: Option<Reason> },
}
