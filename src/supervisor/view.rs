//! What observers may see of the supervisor. Pure.

use std::time::Duration;

use nix::unistd::Pid;

use super::Supervisor;
use super::event::{Next, Phase};
use super::exit::LastExit;
use super::generation::{Duty, Generation};
use super::reach::cannot_be_signalled;
use crate::generation_number::GenerationNumber;
use crate::time::{Moment, human};

/// The supervisor at one moment, as plain data.
#[derive(Clone, PartialEq, Debug)]
pub struct View {
    pub state: State,
    /// Whether traffic is welcome: `/readyz`.
    pub ready: bool,
    /// One phrase for people, while it is not.
    pub not_ready: Option<String>,
    /// All that run, in the order of their numbers.
    pub generations: Vec<GenerationView>,
    pub latest_generation: GenerationNumber,
    pub restarts_used: u32,
    pub restarts_allowed: u32,
    /// Zero: restarts are counted over the whole life.
    pub restart_window: Duration,
    /// The wait before the next restart, while there is one.
    pub next_restart_in: Option<Duration>,
    /// The latest first.
    pub last_exits: Vec<LastExit>,
    /// The pid of a command that restartinit may not signal.
    pub cannot_signal: Option<Pid>,
    /// Every reason of a restart with its count, those of zero too: a series that appears late hides its first rise.
    pub restarts_total: Vec<(&'static str, u64)>,
    pub spawn_failures: u64,
}

impl View {
    pub fn active(&self) -> Option<&GenerationView> {
        self.generations.iter().find(|generation| generation.role == GenerationRole::Active)
    }

    pub fn restarts_remaining(&self) -> u32 {
        self.restarts_allowed.saturating_sub(self.restarts_used)
    }

    pub fn why_not_ready(&self) -> Option<&str> {
        (!self.ready).then(|| self.not_ready.as_deref().unwrap_or("no reason is known"))
    }
}

/// What restartinit is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    Running,
    /// The command has ended; its restart waits for the backoff.
    Waiting,
    /// A planned restart is under way.
    Restarting,
    Draining,
    Stopping,
}

impl State {
    pub fn name(self) -> &'static str {
        match self {
            State::Running => "running",
            State::Waiting => "waiting",
            State::Restarting => "restarting",
            State::Draining => "draining",
            State::Stopping => "stopping",
        }
    }
}

/// What a generation is there for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum GenerationRole {
    /// It serves.
    Active,
    /// It is to take over from the active one as soon as it is ready.
    Successor,
    /// It waits for a crash of the active one.
    Standby,
    /// Its successor serves; it ends in peace.
    Retiring,
}

impl GenerationRole {
    pub fn name(self) -> &'static str {
        match self {
            GenerationRole::Active => "active",
            GenerationRole::Successor => "successor",
            GenerationRole::Standby => "standby",
            GenerationRole::Retiring => "retiring",
        }
    }
}

/// One running generation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct GenerationView {
    pub number: GenerationNumber,
    pub pid: Pid,
    pub role: GenerationRole,
    pub started: Moment,
    pub ready: bool,
}

impl Supervisor {
    /// What observers may see.
    pub fn view(&self, now: Moment) -> View {
        let not_ready = self.why_not_ready(now);
        let next_restart_in = match self.phase {
            Phase::Supervising(Next::Spawn { due }) => Some(due.since(now)),
            Phase::Supervising(_) | Phase::Draining { .. } | Phase::Stopping { .. } | Phase::Ended => None,
        };
        View {
            state: self.state(),
            ready: not_ready.is_none(),
            not_ready,
            generations: self.running().filter_map(|generation| self.generation_view(generation)).collect(),
            latest_generation: self.latest,
            restarts_used: self.restarts.clone().used(&self.config, now),
            restarts_allowed: self.config.max_restarts,
            restart_window: self.config.restart_window,
            next_restart_in,
            last_exits: self.last_exits.iter().copied().collect(),
            cannot_signal: self.running().find(|generation| generation.out_of_reach).map(|generation| generation.pid),
            restarts_total: self.tally.each().collect(),
            spawn_failures: self.spawning.total_failures,
        }
    }

    fn generation_view(&self, generation: &Generation) -> Option<GenerationView> {
        let role = match generation.duty {
            Duty::Active => GenerationRole::Active,
            Duty::Successor => GenerationRole::Successor,
            Duty::Standby => GenerationRole::Standby,
            Duty::Retiring { .. } => GenerationRole::Retiring,
            Duty::Dismissed { .. } => return None,
        };
        let Generation { number, pid, started, .. } = *generation;
        let ready = match role {
            GenerationRole::Standby => self.standby_waits(),
            GenerationRole::Successor => false,
            GenerationRole::Active | GenerationRole::Retiring => generation.is_ready(self.config.wait_ready),
        };
        Some(GenerationView { number, pid, role, started, ready })
    }

    fn state(&self) -> State {
        match self.phase {
            Phase::Supervising(_) if self.planned.is_some() => State::Restarting,
            Phase::Supervising(Next::Spawn { .. }) => State::Waiting,
            Phase::Supervising(Next::Undecided) => State::Running,
            Phase::Draining { .. } => State::Draining,
            Phase::Supervising(Next::HandOver(_)) | Phase::Stopping { .. } | Phase::Ended => State::Stopping,
        }
    }

    /// One phrase for people; `None`: traffic is welcome.
    fn why_not_ready(&self, now: Moment) -> Option<String> {
        match self.phase {
            Phase::Supervising(Next::Undecided) => match self.active() {
                Some(active) if active.out_of_reach && active.kill_reason.is_some() => Self::why_doomed(active),
                Some(active) if active.is_ready(self.config.wait_ready) => None,
                Some(active) => Some(format!("generation {} (pid {}) has not said that it is ready", active.number, active.pid)),
                None => Some("a planned restart is under way".to_owned()),
            },
            Phase::Supervising(Next::Spawn { due }) => {
                let ended = self.last_exits.front().map_or("the command has not been started yet".to_owned(), |last| last.run.to_string());
                Some(match due.since(now) {
                    Duration::ZERO => format!("{ended}: restart now"),
                    wait => format!("{ended}: restart in {}", human(wait)),
                })
            }
            Phase::Supervising(Next::HandOver(ending)) => Some(format!("handing over: {}", ending.outcome.name())),
            Phase::Draining { forward_at, .. } => Some(format!("draining: the stop is forwarded in {}", human(forward_at.since(now)))),
            Phase::Stopping { .. } => match self.running().find(|generation| generation.out_of_reach) {
                Some(generation) => Some(format!("stopping: {}", cannot_be_signalled(generation.number, generation.pid))),
                None => Some("stopping".to_owned()),
            },
            Phase::Ended => Some("ended".to_owned()),
        }
    }
}
