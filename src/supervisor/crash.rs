//! From the end of a generation to the spawn of the next one: what an exit leads to, when a spawn is due, and what becomes of it. Pure.

use std::sync::Arc;
use std::time::Duration;

use nix::unistd::Pid;

use super::Supervisor;
use super::event::{Action, Actions, Next, Phase, StartRole};
use super::exit::{Exit, LastExit, Outcome, Reason, Run};
use super::generation::{self, ChannelState, Duty, Generation, Knowledge, Life, Port, Readiness, Said};
use super::hang::Hang;
use super::leftovers::launched;
use super::listening::Listening;
use super::policy::{self, Verdict, doubled};
use super::report::{Cause, Ending, Report};
use super::rest::Rest;
use super::spawn_failure::SpawnFailure;
use super::sweep::Sweep;
use crate::config::values::{Leftovers, ReadyWhen};
use crate::generation_number::GenerationNumber;
use crate::time::Moment;

/// The spawn that was asked for, and those that failed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub(super) struct Spawning {
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
    pub(super) fn exited(&mut self, now: Moment, pid: Pid, exit: Exit, reason: Option<Reason>, actions: &mut Actions) {
        let Some(generation) = generation::with_pid(&mut self.generations, pid) else { return };
        let uptime = now.since(generation.started);
        // What the kernel did counts before what we were about to do.
        let run = Run { generation: generation.number, pid, exit, reason: reason.or(generation.kill_reason), uptime };
        let (duty, stop, past) = (generation.duty, generation.stop, generation.clone());
        let sweep = match self.config.leftovers {
            Leftovers::Kill => Sweep::Unknown { launched: stop.and_then(|stop| launched(now, self.phase, &past, stop, exit)) },
            Leftovers::Keep => Sweep::Done,
        };
        generation.life = Life::Ended { run, sweep };
        self.tell_cut_off(&past, exit, actions);
        match (self.phase, duty) {
            (Phase::Supervising(Next::HandOver(_)) | Phase::Draining { .. } | Phase::Stopping { .. } | Phase::Ended, Duty::Active) => {
                self.remember(now, run, past.hang);
            }
            (Phase::Supervising(_), Duty::Active) => self.active_exited(now, &past, run, actions),
            (_, Duty::Successor) => self.successor_failed(now, run.to_string(), actions),
            (Phase::Supervising(_), Duty::Standby) => self.standby_exited(now, run, actions),
            (_, Duty::Standby | Duty::Dismissed { .. }) => {}
            (phase, Duty::Retiring { reason, .. }) => self.retired(now, phase, Run { reason: run.reason.or(Some(reason)), ..run }, actions),
        }
        if matches!(self.phase, Phase::Stopping { .. }) {
            self.kill_dismissed(actions);
        }
    }

    fn remember(&mut self, ended: Moment, run: Run, hang: Option<Arc<Hang>>) {
        self.last_exits.truncate(Self::LAST_EXITS - 1);
        self.last_exits.push_front(LastExit { run, hang, ended });
    }

    /// The one that served is gone: whoever waits takes over, or a new one is spawned, or the orchestrator's turn has come.
    fn active_exited(&mut self, now: Moment, past: &Generation, run: Run, actions: &mut Actions) {
        self.remember(now, run, past.hang.clone());
        if self.has_worked(now, past, Some(run.exit)) {
            self.restarts.forgive();
        }
        if self.planned.is_some() {
            self.plan_failed_unless_booting(&run, actions);
        }
        let next = match self.restarts.decide(&self.config, now, &run) {
            Verdict::Restart { wait, used, allowed } => {
                let wait = self.spread(wait);
                self.tally.count(run.exit, run.reason);
                let successor = self.take_over(now, actions);
                actions.push_back(Action::Report(Report::Restarting { run, hang: past.hang.clone(), used, allowed, wait, successor }));
                if successor.is_some() {
                    // The wait is for the process that is to be spawned: the next standby.
                    self.standby.wait_until(now + wait);
                    Next::Undecided
                } else {
                    Next::Spawn { due: now + wait }
                }
            }
            Verdict::HandOver(outcome) => {
                let cause = match outcome {
                    Outcome::RestartsExhausted => {
                        Cause::Exhausted { run, used: self.config.max_restarts, window: self.config.restart_window }
                    }
                    Outcome::Completed | Outcome::Stopped | Outcome::NoRestartCode | Outcome::CannotExecute | Outcome::CannotSignal => {
                        Cause::Run(run)
                    }
                };
                Next::HandOver(Ending { outcome, code: policy::exit_code(&self.config, outcome, run.exit, run.reason), cause })
            }
        };
        self.phase = Phase::Supervising(next);
        if self.planned.is_some() {
            self.advance_planned_restart(now, actions);
        }
    }

    /// A wait, longer by chance: what fell together must not come back together.
    pub(super) fn spread(&mut self, wait: Duration) -> Duration {
        wait.saturating_add(self.random.share(wait, self.config.backoff_jitter))
    }

    /// A successor that boots, or else a standby, becomes the active one; gives back its number.
    fn take_over(&mut self, now: Moment, actions: &mut Actions) -> Option<GenerationNumber> {
        let duty = if self.with_duty(Duty::Successor).is_some() { Duty::Successor } else { Duty::Standby };
        let (ready_limit, whole_by) = (self.config.ready_limit(), Some(now + self.whole_limit()));
        let generation = self.with_duty(duty)?;
        generation.duty = Duty::Active;
        // A successor's own limit was for the sake of the one that served: it serves alone now.
        generation.ready_by = generation.ready_by.filter(|_| ready_limit.is_some());
        if duty == Duty::Standby {
            generation.ready_by = ready_limit.map(|limit| now + limit);
            generation.readiness = Readiness::beginning(now, whole_by);
            actions.push_back(Action::Promote { pid: generation.pid });
        }
        let number = generation.number;
        self.update_readiness(now, number, Knowledge::Exact, actions);
        self.standby.promoted(now);
        if !self.held.is_empty() {
            self.held.generation_began(now);
        }
        self.plan_goes_on_with(now, number);
        Some(number)
    }

    /// One that was asked to stop, for the next one, has done so.
    fn retired(&mut self, now: Moment, phase: Phase, run: Run, actions: &mut Actions) {
        self.remember(now, run, None);
        actions.push_back(Action::Report(Report::Retired { run }));
        if phase == Phase::Supervising(Next::Undecided) && self.active().is_none() {
            self.tally.count(run.exit, run.reason);
            self.phase = Phase::Supervising(Next::Spawn { due: now });
        }
    }

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
        self.kind.spawned(now);
        let ready_limit = self.config.ready_limit();
        let limit = match duty {
            Duty::Successor => Some(ready_limit.unwrap_or(Self::SUCCESSOR_LIMIT)),
            Duty::Active | Duty::Standby | Duty::Retiring { .. } | Duty::Dismissed { .. } => ready_limit,
        };
        let replaces = matches!(duty, Duty::Active | Duty::Successor) && self.latest != GenerationNumber::FIRST;
        let by_listening = matches!(self.config.ready_when(), ReadyWhen::Listening(_));
        let whole_by = (replaces && (by_listening || self.config.holds_ports())).then(|| now + self.whole_limit());
        let generation = Generation {
            number: self.latest,
            pid,
            started: now,
            duty,
            port: Port::None,
            channel: if self.config.has_channel() { ChannelState::Open } else { ChannelState::None },
            has_launcher: false,
            said: Said::Nothing,
            listening: Listening::default(),
            readiness: Readiness::beginning(now, whole_by),
            ready_by: limit.map(|limit| now + limit),
            kill_reason: None,
            hang: None,
            stack_by: None,
            kill_at: None,
            stop: None,
            open_requests: 0,
            stop_request: None,
            rest: Rest::beginning(now),
            out_of_reach: false,
            life: Life::Running,
        };
        self.generations.push(generation);
        actions.push_back(Action::Report(Report::Started { generation: self.latest, pid, duty }));
        self.update_readiness(now, self.latest, Knowledge::Exact, actions);
        match self.phase {
            Phase::Supervising(_) if duty == Duty::Active => {
                self.phase = Phase::Supervising(Next::Undecided);
                if !self.held.is_empty() {
                    self.held.generation_began(now);
                }
                if self.planned.is_some() {
                    self.plan_has_spawned(now);
                    self.advance_planned_restart(now, actions);
                }
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
            Duty::Successor => self.successor_failed(
                now,
                format!("generation {generation} could not be started: {}", failure.advice(&self.command)),
                actions,
            ),
            Duty::Standby if failure.final_code().is_some() => {
                let because = format!("it cannot be executed: {}", failure.advice(&self.command));
                self.give_standby_up(because, actions);
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
