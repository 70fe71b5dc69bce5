//! What restartinit tells people and programs: one vocabulary for text (`text`), JSON and the termination log (`fields`). Pure.

mod fields;
mod text;

use std::time::Duration;

use log::Level;

pub use fields::{Fields, json_object, run_fields, seconds};
pub use text::at_most;

use super::exit::{Outcome, Reason, Run};
use super::generation::Duty;
use super::spawn_failure::SpawnFailure;
use super::sweep::Refused;
use crate::signal::Signal;

/// The end of it all: why, with which code, and what came last.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Ending {
    pub outcome: Outcome,
    /// restartinit's own exit code.
    pub code: u8,
    pub cause: Cause,
}

/// What an [`Ending`] came of.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
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
    OutOfReach { generation: u32, pid: i32, reason: Option<Reason> },
}

/// One event that is told.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Report {
    Started {
        generation: u32,
        pid: i32,
        duty: Duty,
    },
    /// The app said so.
    Ready {
        generation: u32,
        pid: i32,
        after: Duration,
    },
    /// `successor`: the generation that is there already and takes over.
    Restarting {
        run: Run,
        used: u32,
        allowed: u32,
        wait: Duration,
        successor: Option<u32>,
    },
    /// A planned restart begins. `generation`: number and pid of the one to be replaced. `memory`: used and allowed, in bytes, where
    /// that is why.
    Planned {
        generation: Option<(u32, i32)>,
        reason: Reason,
        memory: Option<(u64, u64)>,
    },
    /// A successor serves; the old generation is asked to stop.
    TakenOver {
        generation: u32,
        pid: i32,
        old: u32,
        reason: Reason,
    },
    /// A planned restart has come to nothing.
    PlanFailed {
        reason: Reason,
        why: String,
        goes_on: Option<u32>,
    },
    /// A generation that was asked to make room has ended.
    Retired {
        run: Run,
    },
    StandbyWaits {
        generation: u32,
        pid: i32,
    },
    /// A standby died before it was needed.
    StandbyEnded {
        run: Run,
        wait: Duration,
    },
    /// The command should have answered on the Node channel, and has not.
    Silent {
        generation: u32,
        pid: i32,
    },
    /// `forwarded` is what the command gets in place of `signal`.
    StopAsked {
        signal: Signal,
        forwarded: Signal,
        drain: Duration,
    },
    GraceExpired {
        generation: u32,
        pid: i32,
        grace: Duration,
    },
    Leftovers {
        generation: u32,
        count: usize,
        signal: Signal,
    },
    LeftoversRemain {
        generation: u32,
        count: usize,
    },
    /// Leftovers that may not be signalled, and are left alone.
    LeftoversRefused {
        generation: u32,
        refused: Refused,
    },
    /// A command died of the stop: what it started has been sent the signal, and has its time.
    Launched {
        generation: u32,
        count: usize,
        signal: Signal,
    },
    /// A command may not be signalled.
    OutOfReach {
        generation: u32,
        pid: i32,
    },
    /// One that may not be signalled is due to be killed, and lives on.
    CannotKill {
        generation: u32,
        pid: i32,
        reason: Option<Reason>,
    },
    /// A signal came to nobody: it would have ended a command that is not prepared for it, or there was none.
    SignalDropped {
        signal: Signal,
    },
    SpawnFailed {
        generation: u32,
        failure: SpawnFailure,
        wait: Duration,
    },
    Ended {
        ending: Ending,
        command: String,
        healthy: bool,
    },
}

impl Report {
    /// A healthy run says nothing at `warn`; every crash, restart and hand-over does.
    pub fn level(&self) -> Level {
        match self {
            Report::Started { .. }
            | Report::Ready { .. }
            | Report::Retired { .. }
            | Report::TakenOver { .. }
            | Report::StandbyWaits { .. }
            | Report::StopAsked { .. }
            | Report::Launched { .. }
            | Report::SignalDropped { .. }
            | Report::Ended { healthy: true, .. } => Level::Info,
            Report::Leftovers { signal, .. } if *signal == Signal::TERM => Level::Info,
            Report::Restarting { .. }
            | Report::Planned { .. }
            | Report::PlanFailed { .. }
            | Report::StandbyEnded { .. }
            | Report::Silent { .. }
            | Report::GraceExpired { .. }
            | Report::Leftovers { .. }
            | Report::LeftoversRemain { .. }
            | Report::LeftoversRefused { .. }
            | Report::OutOfReach { .. }
            | Report::CannotKill { .. }
            | Report::SpawnFailed { .. }
            | Report::Ended { .. } => Level::Warn,
        }
    }

    /// The name of the event in JSON.
    pub fn event(&self) -> &'static str {
        match self {
            Report::Started { .. } => "start",
            Report::Ready { .. } => "ready",
            Report::Restarting { .. } => "restart",
            Report::Planned { .. } => "planned-restart",
            Report::TakenOver { .. } => "take-over",
            Report::PlanFailed { .. } => "planned-restart-failed",
            Report::Retired { .. } => "retired",
            Report::StandbyWaits { .. } => "standby",
            Report::StandbyEnded { .. } => "standby-ended",
            Report::Silent { .. } => "channel-silent",
            Report::StopAsked { .. } => "stop",
            Report::GraceExpired { .. } => "grace-expired",
            Report::Leftovers { .. } | Report::LeftoversRemain { .. } | Report::LeftoversRefused { .. } => "leftovers",
            Report::Launched { .. } => "launched",
            Report::OutOfReach { .. } | Report::CannotKill { .. } => "cannot-signal",
            Report::SignalDropped { .. } => "signal-dropped",
            Report::SpawnFailed { .. } => "spawn-failed",
            Report::Ended { .. } => "end",
        }
    }
}

#[cfg(test)]
mod tests;
