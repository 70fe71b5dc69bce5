//! The supervisor: what has happened goes in as events, what is to be done comes out as actions. Pure: it makes no system call and
//! reads no clock, so that every state can be reached in a test without a process.

pub mod cgroup;
pub mod event;
pub mod exit;
pub mod family;
pub mod generation;
pub mod policy;
pub mod report;
mod stopping;
pub mod time;

#[cfg(test)]
mod exploration;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::time::Duration;

use crate::config::Config;
use crate::config::values::Leftovers;
use crate::signal::{Signal, SignalSet};
use event::{Action, Actions, Event, Next, Phase};
use exit::{Exit, Outcome, Reason, SpawnFailure};
use generation::{Ask, Due, Generation, Life, Sweep};
use policy::{Restarts, Verdict};
use report::{Cause, Ending, Report, Run};
use time::Moment;

/// The state machine.
#[derive(Clone, Debug)]
pub struct Supervisor {
    config: Config,
    /// The command's name, for messages.
    command: String,
    /// Whether a command that is stopped at the terminal stops restartinit as well.
    job_control: bool,
    phase: Phase,
    generations: Vec<Generation>,
    /// The number of the latest generation.
    latest: u32,
    restarts: Restarts,
    /// Arrived while nothing ran; the next generation gets them.
    held: SignalSet,
    last_exits: VecDeque<Run>,
    /// Failed spawns since the last that was made.
    spawn_failures: u32,
}

impl Supervisor {
    /// How many of the last runs are remembered.
    pub const LAST_EXITS: usize = 8;
    const SPAWN_RETRY: Duration = Duration::from_millis(100);
    const SPAWN_RETRY_MAX: Duration = Duration::from_secs(5);

    pub fn new(config: Config, command: String, job_control: bool) -> Supervisor {
        Supervisor {
            config,
            command,
            job_control,
            phase: Phase::Supervising(Next::Spawn { due: Moment::ZERO }),
            generations: Vec::new(),
            latest: 0,
            restarts: Restarts::default(),
            held: SignalSet::default(),
            last_exits: VecDeque::new(),
            spawn_failures: 0,
        }
    }

    /// The generations whose command runs: their pids may be signalled.
    pub fn running(&self) -> impl Iterator<Item = &Generation> {
        self.generations.iter().filter(|generation| generation.is_running())
    }

    /// The last runs of the command, the latest first.
    pub fn last_exits(&self) -> impl Iterator<Item = &Run> {
        self.last_exits.iter()
    }

    /// The moment at which [`Event::Tick`] is due, unless something happens before.
    pub fn next_deadline(&self) -> Option<Moment> {
        let phase = match self.phase {
            Phase::Supervising(Next::Spawn { due }) if self.generations.is_empty() => Some(due),
            Phase::Supervising(_) | Phase::Ended => None,
            Phase::Draining { forward_at, .. } => Some(forward_at),
            Phase::Stopping { kill_at, .. } => kill_at,
        };
        let sweeps = self.generations.iter().filter_map(Generation::deadline);
        sweeps.chain(phase).min()
    }

    /// Takes in what happened at `now`; what is to be done is added to `actions`, to be done in that order.
    pub fn handle(&mut self, now: Moment, event: Event, actions: &mut Actions) {
        match (self.phase, event) {
            (Phase::Ended, _) => return,

            (_, Event::Exited { pid, exit, reason }) => self.exited(now, pid, exit, reason, actions),
            (_, Event::Reaped { children }) => self.reaped(children, actions),
            (_, Event::Leftovers { generation, count }) => self.leftovers(now, generation, count, actions),
            (_, Event::ChildStopped { pid, signal }) => {
                if self.job_control && signal.stops_a_job() && self.running().any(|generation| generation.pid == pid) {
                    actions.push_back(Action::Suspend);
                }
            }

            (Phase::Supervising(_), Event::Signal { signal, command_has_it }) => {
                let Some(forwarded) = self.rewrite(signal, command_has_it) else { return };
                if self.config.stop_signals.contains(signal) {
                    self.stop(now, (signal, forwarded), command_has_it, actions);
                } else if self.running().next().is_none() {
                    self.held.insert(forwarded);
                } else if !command_has_it {
                    self.forward(forwarded, actions);
                }
            }
            (Phase::Draining { signal: first, .. }, Event::Signal { signal, command_has_it }) => {
                let Some(forwarded) = self.rewrite(signal, command_has_it) else { return };
                if self.config.stop_signals.contains(signal) {
                    self.forward_stop(now, first, actions);
                }
                if !command_has_it {
                    self.forward(forwarded, actions);
                }
            }
            (Phase::Stopping { .. }, Event::Signal { signal, command_has_it }) => {
                if let Some(forwarded) = self.rewrite(signal, command_has_it)
                    && !command_has_it
                {
                    self.forward(forwarded, actions);
                }
            }

            (Phase::Supervising(_), Event::Spawned { pid }) => {
                self.spawned(now, pid, actions);
                self.phase = Phase::Supervising(Next::Undecided);
                for signal in self.held.take().iter() {
                    self.forward(signal, actions);
                }
            }
            (Phase::Draining { .. }, Event::Spawned { pid }) => self.spawned(now, pid, actions),
            (Phase::Stopping { signal, .. }, Event::Spawned { pid }) => {
                self.spawned(now, pid, actions);
                self.forward_stop(now, signal, actions);
            }

            (Phase::Supervising(_), Event::SpawnFailed(failure)) => self.spawn_failed(now, failure, actions),
            (Phase::Draining { .. } | Phase::Stopping { .. }, Event::SpawnFailed(_)) => {}

            (Phase::Supervising(next), Event::Tick) => {
                self.tick_sweeps(now, actions);
                if let Next::Spawn { due } = next
                    && due <= now
                    && self.generations.is_empty()
                {
                    self.phase = Phase::Supervising(Next::Spawning);
                    let last_exit = self.last_exits.front().map(|run| run.exit);
                    actions.push_back(Action::Spawn { generation: self.latest.saturating_add(1), last_exit });
                }
            }
            (Phase::Draining { signal, forward_at }, Event::Tick) => {
                self.tick_sweeps(now, actions);
                if forward_at <= now {
                    self.forward_stop(now, signal, actions);
                }
            }
            (Phase::Stopping { signal, kill_at }, Event::Tick) => {
                if kill_at.is_some_and(|kill_at| kill_at <= now) {
                    self.phase = Phase::Stopping { signal, kill_at: None };
                    self.grace_expired(now, actions);
                }
                self.tick_sweeps(now, actions);
            }
        }
        self.settle(actions);
    }

    /// What to forward. A signal that the terminal sent has reached the command as it is: there is nothing left to rewrite.
    fn rewrite(&self, signal: Signal, command_has_it: bool) -> Option<Signal> {
        if command_has_it { Some(signal) } else { self.config.rewrite.apply(signal) }
    }

    fn forward(&self, signal: Signal, actions: &mut Actions) {
        let group = self.config.group;
        actions.extend(self.running().map(|generation| Action::Forward { pid: generation.pid, signal, group }));
    }

    fn spawned(&mut self, now: Moment, pid: i32, actions: &mut Actions) {
        self.latest = self.latest.saturating_add(1);
        self.spawn_failures = 0;
        self.generations.push(Generation { number: self.latest, pid, started: now, life: Life::Running });
        actions.push_back(Action::Report(Report::Started { generation: self.latest, pid }));
    }

    fn spawn_failed(&mut self, now: Moment, failure: SpawnFailure, actions: &mut Actions) {
        if let Some(code) = failure.final_code() {
            let ending = Ending { outcome: Outcome::CannotExecute, code, cause: Cause::Spawn(failure) };
            self.phase = Phase::Supervising(Next::HandOver(ending));
            return;
        }
        let doublings = self.spawn_failures.min(16);
        self.spawn_failures = self.spawn_failures.saturating_add(1);
        let wait = Self::SPAWN_RETRY.saturating_mul(1 << doublings).min(Self::SPAWN_RETRY_MAX);
        self.phase = Phase::Supervising(Next::Spawn { due: now.saturating_add(wait) });
        actions.push_back(Action::Report(Report::SpawnFailed { generation: self.latest.saturating_add(1), failure, wait }));
    }

    fn exited(&mut self, now: Moment, pid: i32, exit: Exit, reason: Option<Reason>, actions: &mut Actions) {
        let Some(generation) = self.generations.iter_mut().find(|generation| generation.is_running() && generation.pid == pid) else {
            return;
        };
        let run = Run { generation: generation.number, pid, exit, reason, uptime: now.saturating_sub(generation.started) };
        let sweep = match self.config.leftovers {
            Leftovers::Kill => Sweep::Unknown,
            Leftovers::Keep => Sweep::Done,
        };
        generation.life = Life::Ended { run, sweep };
        self.last_exits.truncate(Self::LAST_EXITS - 1);
        self.last_exits.push_front(run);
        if let Phase::Supervising(_) = self.phase {
            let next = match self.restarts.decide(&self.config, now, exit, run.uptime) {
                Verdict::Restart { wait, used, allowed } => {
                    actions.push_back(Action::Report(Report::Restarting { run, used, allowed, wait }));
                    Next::Spawn { due: now.saturating_add(wait) }
                }
                Verdict::HandOver(outcome) => {
                    let cause = match outcome {
                        Outcome::RestartsExhausted => {
                            Cause::Exhausted { run, used: self.config.max_restarts, window: self.config.restart_window }
                        }
                        Outcome::Completed | Outcome::Stopped | Outcome::NoRestartCode | Outcome::CannotExecute => Cause::Run(run),
                    };
                    Next::HandOver(Ending { outcome, code: policy::exit_code(&self.config, outcome, exit), cause })
                }
            };
            self.phase = Phase::Supervising(next);
        }
    }

    fn reaped(&mut self, children: bool, actions: &mut Actions) {
        // Once the grace period is over, nobody is asked politely any more.
        let killed = matches!(self.phase, Phase::Stopping { kill_at: None, .. }) && !self.config.grace_period.is_zero();
        let first = if killed { Signal::KILL } else { Signal::TERM };
        for generation in &mut self.generations {
            if let Some(Ask { signal }) = generation.reaped(children, first) {
                actions.push_back(Action::EndLeftovers { generation: generation.number, signal });
            }
        }
    }

    fn leftovers(&mut self, now: Moment, number: u32, count: Option<usize>, actions: &mut Actions) {
        let timeout = self.config.leftover_timeout;
        let generation = self.generations.iter_mut().find(|generation| generation.number == number);
        if let Some(signal) = generation.and_then(|generation| generation.leftovers(now, count, timeout))
            && let Some(count) = count
        {
            actions.push_back(Action::Report(Report::Leftovers { generation: number, count, signal }));
        }
    }

    fn tick_sweeps(&mut self, now: Moment, actions: &mut Actions) {
        for generation in &mut self.generations {
            let number = generation.number;
            actions.extend(match generation.tick(now) {
                Due::Nothing => None,
                Due::Kill => Some(Action::EndLeftovers { generation: number, signal: Some(Signal::KILL) }),
                Due::GivenUp { count } => Some(Action::Report(Report::LeftoversRemain { generation: number, count })),
            });
        }
    }

    /// Once no generation is left, the end comes if it was decided on.
    fn settle(&mut self, actions: &mut Actions) {
        self.generations.retain(|generation| !generation.is_gone());
        if !self.generations.is_empty() {
            return;
        }
        let (ending, healthy) = match self.phase {
            Phase::Supervising(Next::HandOver(ending)) => (ending, ending.outcome == Outcome::Completed && ending.code == 0),
            Phase::Supervising(_) | Phase::Ended => return,
            Phase::Draining { signal, .. } | Phase::Stopping { signal, .. } => self.stopped(signal),
        };
        self.phase = Phase::Ended;
        let command = self.command.clone();
        actions.push_back(Action::Report(Report::Ended { ending, command, healthy }));
        actions.push_back(Action::Finish(ending));
    }
}
