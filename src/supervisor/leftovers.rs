//! Leftovers, the descendants that outlive a generation: what is done to them when (`sweep`), for all generations; and the clock of all
//! generations. Pure.

use super::Supervisor;
use super::event::{Action, Actions, Phase};
use super::generation::{self, Generation};
use super::report::Report;
use super::sweep::{Due, Found, Told};
use crate::generation_number::GenerationNumber;
use crate::signal::Signal;
use crate::time::Moment;

impl Supervisor {
    pub(super) fn reaped(&mut self, now: Moment, children: bool, actions: &mut Actions) {
        // Once the grace period is over, nobody is asked politely any more.
        let killed = matches!(self.phase, Phase::Stopping { kill_at: None, .. }) && !self.config.grace_period.is_zero();
        let first = if killed { Signal::KILL } else { Signal::TERM };
        for generation in &mut self.generations {
            let number = generation.number;
            if let Some(order) = generation.sweep().and_then(|sweep| sweep.reaped(now, children, first)) {
                actions.push_back(Action::EndLeftovers { generation: number, order });
            }
        }
    }

    pub(super) fn leftovers(&mut self, now: Moment, number: GenerationNumber, found: Option<Found>, actions: &mut Actions) {
        let timeout = self.config.leftover_timeout;
        let generation = generation::with_number(&mut self.generations, number);
        let Some(sweep) = generation.and_then(Generation::sweep) else { return };
        let told = sweep.found(now, found, timeout);
        if let Some(refused) = found.and_then(|found| found.refused) {
            actions.push_back(Action::Report(Report::LeftoversRefused { generation: number, refused }));
        }
        actions.extend(match told {
            Told::Nothing => None,
            Told::Signalled { signal, count } => Some(Action::Report(Report::Leftovers { generation: number, count, signal })),
            Told::Launched { signal, count } => Some(Action::Report(Report::Launched { generation: number, count, signal })),
            Told::Ask(order) => Some(Action::EndLeftovers { generation: number, order }),
        });
    }

    /// The app behind a launcher that has ended gets what the command would have got.
    pub(super) fn forward_to_launched(&mut self, signal: Signal, actions: &mut Actions) {
        for generation in &mut self.generations {
            let number = generation.number;
            if generation.sweep().is_some_and(|sweep| sweep.is_awaiting()) {
                actions.push_back(Action::ForwardToLaunched { generation: number, signal });
            }
        }
    }

    /// Time has passed for the generations: leftovers, those that retire, those that should be ready.
    pub(super) fn tick_generations(&mut self, now: Moment, actions: &mut Actions) {
        for generation in &mut self.generations {
            let number = generation.number;
            actions.extend(match generation.sweep().map_or(Due::Nothing, |sweep| sweep.tick(now)) {
                Due::Nothing => None,
                Due::Ask(order) => Some(Action::EndLeftovers { generation: number, order }),
                Due::GivenUp { count } => Some(Action::Report(Report::LeftoversRemain { generation: number, count })),
            });
        }
        self.tick_retiring(now, actions);
        self.tick_readiness(now, actions);
    }
}
