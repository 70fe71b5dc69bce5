//! Generations that make room for another: asked to stop, and killed if they take too long. Pure.

use std::time::Duration;

use super::Supervisor;
use super::event::{Action, Actions};
use super::exit::Reason;
use super::generation::{self, Duty, StopSent};
use crate::generation_number::GenerationNumber;
use crate::signal::Signal;
use crate::time::Moment;

impl Supervisor {
    /// The signal that asks a command to stop where no signal arrived.
    pub(super) fn planned_signal(&self) -> Signal {
        let stops = self.config.stop_signals;
        let signal = if stops.contains(Signal::TERM) { Signal::TERM } else { stops.iter().next().unwrap_or(Signal::TERM) };
        self.config.rewrite.apply(signal).unwrap_or(signal)
    }

    /// How long a generation that makes room has to stop: where no grace period is set, no orchestrator watches over it.
    pub(super) fn planned_grace(&self) -> Duration {
        self.config.grace_or(Self::PLANNED_GRACE)
    }

    /// A generation is to make room for another: asked to stop after `delay`, killed if it takes too long.
    pub(super) fn retire(&mut self, now: Moment, number: GenerationNumber, reason: Reason, delay: Duration, actions: &mut Actions) {
        if let Some(generation) = generation::with_number(&mut self.generations, number) {
            if generation.is_ready() {
                self.restarts.forgive();
            }
            generation.need_not_be_ready();
            generation.duty = Duty::Retiring { reason, ask_at: Some(now + delay), kill_at: None };
        }
        self.tick_retiring(now, actions);
    }

    /// Those that retire are asked to, and later killed, when that is due.
    pub(super) fn tick_retiring(&mut self, now: Moment, actions: &mut Actions) {
        let (grace, signal) = (self.planned_grace(), self.planned_signal());
        let group_has_it = self.config.group;
        let mut asked = Vec::new();
        for generation in self.generations.iter_mut().filter(|generation| generation.is_running()) {
            let pid = generation.pid;
            match &mut generation.duty {
                Duty::Retiring { ask_at: ask_at @ Some(_), kill_at, .. } => {
                    if ask_at.is_some_and(|at| at <= now) {
                        *ask_at = None;
                        *kill_at = Some(now + grace);
                        asked.push(generation.number);
                        Self::note_stop(generation, StopSent { at: now, signal, group_has_it }, &self.config, actions);
                    }
                }
                Duty::Retiring { ask_at: None, kill_at, .. } | Duty::Dismissed { kill_at } if kill_at.is_some_and(|at| at <= now) => {
                    *kill_at = None;
                    actions.push_back(Action::Kill { pid });
                }
                Duty::Active | Duty::Successor | Duty::Standby | Duty::Retiring { .. } | Duty::Dismissed { .. } => {}
            }
        }
        for number in asked {
            self.ask_to_stop(now, number, signal, actions);
        }
    }
}
