//! Spawning generations: when one is due, what becomes of one that was spawned, and of a spawn that failed. Pure.

use std::time::Duration;

use nix::unistd::Pid;

use super::Supervisor;
use super::event::{Action, Actions, Next, Phase, StartRole};
use super::exit::Outcome;
use super::generation::{ChannelState, Duty, Generation, Life, Port};
use super::policy::doubled;
use super::report::{Cause, Ending, Report};
use super::spawn_failure::SpawnFailure;
use crate::time::Moment;

/// The spawn that was asked for, and those that failed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Spawning {
    /// What is being spawned is for.
    asked: Option<Duty>,
    /// What is due waits for a turn: signals that arrived before it are told first.
    delayed: bool,
    /// Failed spawns since the last that was made.
    failures: u32,
    /// All of them.
    pub total_failures: u64,
}

impl Spawning {
    const RETRY: Duration = Duration::from_millis(100);
    const RETRY_MAX: Duration = Duration::from_secs(5);

    fn failed(&mut self) -> Duration {
        self.failures = self.failures.saturating_add(1);
        self.total_failures = self.total_failures.saturating_add(1);
        doubled(Self::RETRY, self.failures, Self::RETRY_MAX)
    }
}

impl Supervisor {
    /// When the next active generation is due. Never while leftovers of one that has ended are left, or while one makes room.
    pub(super) fn spawn_due(&self, next: Next) -> Option<Moment> {
        let Next::Spawn { due } = next else { return None };
        let is_free = self.spawning.asked.is_none() && self.generations.iter().all(Generation::is_running);
        is_free.then_some(due)
    }

    /// Spawns what is due. A Ctrl-C from before a spawn has not reached what is spawned: where signals are pending, they are told first. A turn
    /// is enough for that, and there may be some for ever.
    pub(super) fn tick_spawning(&mut self, now: Moment, next: Next, signals_pending: bool, actions: &mut Actions) {
        let is_due = |at: Option<Moment>| at.is_some_and(|at| at <= now);
        let duty = if is_due(self.spawn_due(next)) {
            Duty::Active
        } else if is_due(self.standby_due()) {
            Duty::Standby
        } else {
            return;
        };
        if signals_pending && !self.spawning.delayed {
            self.spawning.delayed = true;
        } else {
            self.spawning.delayed = false;
            self.spawn(duty, actions);
        }
    }

    pub(super) fn spawn(&mut self, duty: Duty, actions: &mut Actions) {
        self.spawning.asked = Some(duty);
        let role = if duty == Duty::Standby { StartRole::Standby } else { StartRole::Active };
        let last_exit = self.last_exits.front().map(|last| last.run.exit);
        actions.push_back(Action::Spawn { generation: self.latest.next(), role, last_exit });
    }

    pub(super) fn is_spawning(&self) -> bool {
        self.spawning.asked.is_some()
    }

    pub(super) fn spawned(&mut self, now: Moment, pid: Pid, actions: &mut Actions) {
        let duty = self.spawning.asked.take().unwrap_or(Duty::Active);
        self.latest = self.latest.next();
        self.spawning.failures = 0;
        let limit = match duty {
            Duty::Successor => Some(self.config.wait_ready.unwrap_or(Self::SUCCESSOR_LIMIT)),
            Duty::Active | Duty::Standby | Duty::Retiring { .. } | Duty::Dismissed { .. } => self.config.wait_ready,
        };
        let generation = Generation {
            number: self.latest,
            pid,
            started: now,
            duty,
            port: Port::None,
            channel: if self.config.has_channel() { ChannelState::Open } else { ChannelState::None },
            said_ready: false,
            ready_by: limit.map(|limit| now + limit),
            kill_reason: None,
            stop: None,
            out_of_reach: false,
            life: Life::Running,
        };
        self.generations.push(generation);
        actions.push_back(Action::Report(Report::Started { generation: self.latest, pid, duty }));
        match self.phase {
            Phase::Supervising(_) if duty == Duty::Active => {
                self.phase = Phase::Supervising(Next::Undecided);
                self.held.generation_began(now);
                self.advance_planned_restart(now, actions);
            }
            Phase::Supervising(_) | Phase::Draining { .. } | Phase::Ended => {}
            Phase::Stopping { signal, .. } => self.forward_stop(now, signal, actions),
        }
    }

    pub(super) fn spawn_failed(&mut self, now: Moment, failure: SpawnFailure, actions: &mut Actions) {
        let duty = self.spawning.asked.take().unwrap_or(Duty::Active);
        let wait = self.spawning.failed();
        let generation = self.latest.next();
        match duty {
            // The one that serves goes on.
            Duty::Successor => {
                self.plan_failed(&format!("generation {generation} could not be started: {}", failure.advice(&self.command)), actions)
            }
            Duty::Standby => {
                self.standby.wait_until(now + wait);
                actions.push_back(Action::Report(Report::SpawnFailed { generation, failure, wait }));
            }
            Duty::Active | Duty::Retiring { .. } | Duty::Dismissed { .. } => {
                let next = match failure.final_code() {
                    Some(code) => Next::HandOver(Ending { outcome: Outcome::CannotExecute, code, cause: Cause::Spawn(failure) }),
                    None => {
                        actions.push_back(Action::Report(Report::SpawnFailed { generation, failure, wait }));
                        Next::Spawn { due: now + wait }
                    }
                };
                self.phase = Phase::Supervising(next);
            }
        }
    }
}

#[cfg(test)]
impl Spawning {
    pub(super) fn is_delayed(self) -> bool {
        self.delayed
    }
}
