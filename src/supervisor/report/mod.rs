//! What restartinit tells people and programs: one vocabulary for text (`text`), JSON and the termination log (`fields`). Pure.

mod ending;
mod fields;
mod text;

use std::sync::Arc;
use std::time::Duration;

use log::Level;
use nix::unistd::Pid;

use super::exit::{Reason, Run};
use super::fault::Fault;
use super::generation::{Duty, Knowledge};
use super::hang::Hang;
use super::spawn_failure::SpawnFailure;
use super::sweep::Refused;
use crate::generation_number::GenerationNumber;
use crate::signal::Signal;
pub use ending::{Cause, Ending};
pub use fields::{Fields, run_fields};
pub use text::{Told, at_most};

/// One event that is told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Report {
    Started {
        generation: GenerationNumber,
        pid: Pid,
        duty: Duty,
    },
    Ready {
        generation: GenerationNumber,
        pid: Pid,
        after: Duration,
        knowledge: Knowledge,
        /// After a crash, or a planned restart with a gap: the news that closes the story.
        serves_again: bool,
    },
    /// The app took its readiness back.
    Unready {
        generation: GenerationNumber,
        pid: Pid,
    },
    /// It has had its time to listen wherever its predecessor did, and does without these addresses.
    AddressesMissing {
        generation: GenerationNumber,
        pid: Pid,
        missing: Vec<String>,
    },
    /// It has not listened for so long that it is taken for a worker.
    TakenForWorker {
        generation: GenerationNumber,
        pid: Pid,
    },
    /// Where it listens cannot be seen here.
    ListenersUnknowable {
        generation: GenerationNumber,
        pid: Pid,
    },
    /// `successor`: the generation that is there already and takes over.
    Restarting {
        run: Run,
        hang: Option<Arc<Hang>>,
        used: u32,
        allowed: u32,
        wait: Duration,
        successor: Option<GenerationNumber>,
    },
    /// A planned restart begins. `generation`: number and pid of the one to be replaced. `memory`: used and allowed, in bytes, where
    /// that is why.
    Planned {
        generation: Option<(GenerationNumber, Pid)>,
        reason: Reason,
        memory: Option<(u64, u64)>,
        /// What has changed, where that is why.
        path: Option<String>,
    },
    /// Changes lead to no restart any more: so many times in a row one came within so long of a spawn.
    ChangesOff {
        path: String,
        times: u32,
        within: Duration,
    },
    /// A successor serves; the old generation is asked to stop.
    TakenOver {
        generation: GenerationNumber,
        pid: Pid,
        after: Duration,
        old: GenerationNumber,
        reason: Reason,
    },
    /// A successor has failed, and the old generation ends before the next one begins.
    WithoutOverlap {
        generation: GenerationNumber,
        pid: Pid,
        why: String,
        because: String,
    },
    /// A planned restart has come to nothing.
    PlanFailed {
        reason: Reason,
        why: String,
        goes_on: Option<GenerationNumber>,
    },
    /// A generation that was asked to make room has ended.
    Retired {
        run: Run,
    },
    StandbyWaits {
        generation: GenerationNumber,
        pid: Pid,
    },
    /// A standby died before it was needed.
    StandbyEnded {
        run: Run,
        wait: Duration,
    },
    /// The app listens there by itself, though ports are held for it.
    NotHeld {
        generation: GenerationNumber,
        pid: Pid,
        addresses: Vec<String>,
    },
    /// No standby is started any more beside this generation.
    StandbyGivenUp {
        generation: GenerationNumber,
        because: String,
    },
    /// Its event loop has not turned for as long as the watchdog allows, but for want of a processor.
    LoopLate {
        generation: GenerationNumber,
        pid: Pid,
        hang: Hang,
    },
    /// It did not pass so many checks in a row by now.
    CheckFailed {
        generation: GenerationNumber,
        pid: Pid,
        fault: Fault,
        failures: u32,
        allowed: u32,
    },
    /// The command should have answered on the Node channel, and has not.
    Silent {
        generation: GenerationNumber,
        pid: Pid,
    },
    /// A command died of the stop signal, which it does not handle, with so many requests open.
    CutOff {
        generation: GenerationNumber,
        pid: Pid,
        signal: Signal,
        requests: usize,
    },
    /// `forwarded` is what the command gets in place of `signal`.
    StopAsked {
        signal: Signal,
        forwarded: Signal,
        drain: Duration,
    },
    GraceExpired {
        generation: GenerationNumber,
        pid: Pid,
        grace: Duration,
    },
    Leftovers {
        generation: GenerationNumber,
        count: usize,
        signal: Signal,
    },
    LeftoversRemain {
        generation: GenerationNumber,
        count: usize,
    },
    /// Leftovers that may not be signalled, and are left alone.
    LeftoversRefused {
        generation: GenerationNumber,
        refused: Refused,
    },
    /// A command died of the stop: what it started has been sent the signal, and has its time.
    Launched {
        generation: GenerationNumber,
        count: usize,
        signal: Signal,
    },
    /// A command may not be signalled.
    OutOfReach {
        generation: GenerationNumber,
        pid: Pid,
    },
    /// One that may not be signalled is due to be killed, and lives on.
    CannotKill {
        generation: GenerationNumber,
        pid: Pid,
        reason: Option<Reason>,
    },
    /// A signal came to nobody: it would have ended a command that is not prepared for it, or there was none.
    SignalDropped {
        signal: Signal,
    },
    SpawnFailed {
        generation: GenerationNumber,
        failure: SpawnFailure,
        wait: Duration,
    },
    Ended {
        ending: Ending,
        hang: Option<Arc<Hang>>,
        command: String,
        healthy: bool,
    },
}

impl Report {
    /// A healthy run says nothing at `warn`; every crash, restart and hand-over does.
    pub fn level(&self) -> Level {
        match self {
            Report::Started { .. }
            | Report::Ready { serves_again: false, .. }
            | Report::Unready { .. }
            | Report::Retired { .. }
            | Report::StandbyWaits { .. }
            | Report::StopAsked { .. }
            | Report::Launched { .. }
            | Report::SignalDropped { .. }
            | Report::Ended { healthy: true, .. } => Level::Info,
            Report::Leftovers { signal, .. } if *signal == Signal::TERM => Level::Info,
            Report::CheckFailed { failures, allowed, .. } if failures < allowed => Level::Info,
            Report::Restarting { .. }
            | Report::Ready { serves_again: true, .. }
            | Report::TakenOver { .. }
            | Report::AddressesMissing { .. }
            | Report::TakenForWorker { .. }
            | Report::ListenersUnknowable { .. }
            | Report::Planned { .. }
            | Report::PlanFailed { .. }
            | Report::ChangesOff { .. }
            | Report::WithoutOverlap { .. }
            | Report::StandbyGivenUp { .. }
            | Report::CutOff { .. }
            | Report::NotHeld { .. }
            | Report::StandbyEnded { .. }
            | Report::Silent { .. }
            | Report::LoopLate { .. }
            | Report::CheckFailed { .. }
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
            Report::Unready { .. } => "unready",
            Report::AddressesMissing { .. } => "addresses-missing",
            Report::TakenForWorker { .. } => "taken-for-worker",
            Report::ListenersUnknowable { .. } => "listeners-unknowable",
            Report::Restarting { .. } => "restart",
            Report::Planned { .. } => "planned-restart",
            Report::ChangesOff { .. } => "changes-off",
            Report::TakenOver { .. } => "take-over",
            Report::WithoutOverlap { .. } => "without-overlap",
            Report::NotHeld { .. } => "not-held",
            Report::StandbyGivenUp { .. } => "standby-given-up",
            Report::CutOff { .. } => "requests-cut-off",
            Report::PlanFailed { .. } => "planned-restart-failed",
            Report::Retired { .. } => "retired",
            Report::StandbyWaits { .. } => "standby",
            Report::StandbyEnded { .. } => "standby-ended",
            Report::Silent { .. } => "channel-silent",
            Report::LoopLate { .. } => "event-loop-late",
            Report::CheckFailed { .. } => "check-failed",
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
