//! Leftovers, the descendants that outlive a generation: what is done to them when, for all generations (of one: `sweep`). Pure.

use super::Supervisor;
use super::event::{Action, Actions, Phase, Running};
use super::exit::Exit;
use super::generation::{self, Duty, Generation, StopSent};
use super::report::Report;
use super::sweep::{Found, LAUNCHED_GRACE, LAUNCHER_DIES_WITHIN, Launched, Sweep, Told};
use crate::generation_number::GenerationNumber;
use crate::signal::Signal;
use crate::time::Moment;

impl Supervisor {
    /// All exits up to now have been told, and somebody's child is still ours: whoever has ended may have left it behind.
    pub(super) fn look_for_leftovers(&mut self, now: Moment, actions: &mut Actions) {
        // Once the grace period is over, nobody is asked politely any more.
        let killed = matches!(self.phase, Phase::Stopping { kill_at: None, .. }) && !self.config.grace_period.is_zero();
        let first = if killed { Signal::KILL } else { Signal::TERM };
        self.sweep_each(actions, |sweep| sweep.reaped(now, first).map_or(Told::Nothing, Told::Ask));
    }

    pub(super) fn leftovers(&mut self, now: Moment, number: GenerationNumber, found: Option<Found>, actions: &mut Actions) {
        let timeout = self.config.leftover_timeout;
        let generation = generation::with_number(&mut self.generations, number);
        let Some(sweep) = generation.and_then(Generation::sweep) else { return };
        let told = sweep.found(now, found, timeout);
        if let Some(refused) = found.and_then(|found| found.refused) {
            actions.push_back(Action::Report(Report::LeftoversRefused { generation: number, refused }));
        }
        actions.extend(self.of_sweep(number, told));
    }

    pub(super) fn tick_leftovers(&mut self, now: Moment, actions: &mut Actions) {
        self.sweep_each(actions, |sweep| sweep.tick(now));
    }

    fn sweep_each(&mut self, actions: &mut Actions, step: impl Fn(&mut Sweep) -> Told) {
        for index in 0..self.generations.len() {
            let Some(generation) = self.generations.get_mut(index) else { return };
            let number = generation.number;
            let told = generation.sweep().map_or(Told::Nothing, &step);
            actions.extend(self.of_sweep(number, told));
        }
    }

    fn of_sweep(&self, generation: GenerationNumber, told: Told) -> Option<Action> {
        match told {
            Told::Nothing => None,
            Told::Signalled { signal, count } => Some(Action::Report(Report::Leftovers { generation, count, signal })),
            Told::Launched { signal, count } => Some(Action::Report(Report::Launched { generation, count, signal })),
            Told::GivenUp { count } => Some(Action::Report(Report::LeftoversRemain { generation, count })),
            Told::Ask(order) => {
                let running = self.running().map(|generation| Running { generation: generation.number, pid: generation.pid });
                Some(Action::EndLeftovers { generation, order, running: running.collect() })
            }
        }
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
}

/// Whether a command that was asked to stop was a launcher in front of the app, which dies of the stop and leaves the app behind.
pub(super) fn launched(now: Moment, phase: Phase, past: &Generation, stop: StopSent, exit: Exit) -> Option<Launched> {
    let StopSent { at, signal, group_has_it } = stop;
    let died_of_it = exit.code() == Exit::Signal { signal, core_dumped: false }.code();
    let until = match (phase, past.duty) {
        (Phase::Supervising(_), Duty::Active) => past.kill_at?,
        (_, Duty::Retiring { kill_at: Some(kill_at), .. }) => kill_at,
        (Phase::Stopping { kill_at, .. }, Duty::Active | Duty::Retiring { .. }) => kill_at.unwrap_or(now + LAUNCHED_GRACE),
        _ => return None,
    };
    let admit_until = at + LAUNCHER_DIES_WITHIN;
    (died_of_it && now <= admit_until).then_some(Launched { signal, group_has_it, admit_until, until })
}
