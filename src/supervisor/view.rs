//! What observers may see of the supervisor. Pure.

use std::time::Duration;

use super::Supervisor;
use super::event::{Next, Phase};
use super::generation::{Duty, Generation};
use super::reach::cannot_be_signalled;
use crate::observe::snapshot::{Counters, GenerationRole, GenerationView, MemoryView, Snapshot, State};
use crate::time::{Moment, human};

impl Supervisor {
    /// The supervisor's part of a snapshot; what takes system calls to see is left empty.
    pub fn view(&self, now: Moment) -> Snapshot {
        let not_ready = self.why_not_ready(now);
        let next_restart_in = match self.phase {
            Phase::Supervising(Next::Spawn { due }) => Some(due.saturating_sub(now)),
            Phase::Supervising(_) | Phase::Draining { .. } | Phase::Stopping { .. } | Phase::Ended => None,
        };
        Snapshot {
            version: "",
            command: String::new(),
            pid: 0,
            now,
            started_unix_seconds: 0.0,
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
            leftovers_left: 0,
            restarts_total: self.tally.each().collect(),
            counters: Counters { spawn_failures: self.spawning.total_failures, ..Counters::default() },
            memory: MemoryView::default(),
            event_loop: None,
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
                Some(match due.saturating_sub(now) {
                    Duration::ZERO => format!("{ended}: restart now"),
                    wait => format!("{ended}: restart in {}", human(wait)),
                })
            }
            Phase::Supervising(Next::HandOver(ending)) => Some(format!("handing over: {}", ending.outcome.name())),
            Phase::Draining { forward_at, .. } => {
                Some(format!("draining: the stop is forwarded in {}", human(forward_at.saturating_sub(now))))
            }
            Phase::Stopping { .. } => match self.running().find(|generation| generation.out_of_reach) {
                Some(generation) => Some(format!("stopping: {}", cannot_be_signalled(generation.number, generation.pid))),
                None => Some("stopping".to_owned()),
            },
            Phase::Ended => Some("ended".to_owned()),
        }
    }
}
