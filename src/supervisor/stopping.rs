//! The way down: a stop is asked for, held back, forwarded, enforced, and summed up. Pure.

use std::time::Duration;

use super::event::{Action, Actions, Phase};
use super::exit::{Exit, Outcome};
use super::generation::Generation;
use super::report::{Cause, Ending, Report};
use super::time::Moment;
use super::{Supervisor, policy};
use crate::signal::Signal;

impl Supervisor {
    /// A stop signal, and what is forwarded in its place: nothing is spawned from here on.
    pub(super) fn stop(&mut self, now: Moment, (arrived, forwarded): (Signal, Signal), command_has_it: bool, actions: &mut Actions) {
        let runs = self.running().next().is_some();
        let drain = if runs && !command_has_it { self.config.drain_delay } else { Duration::ZERO };
        // With nothing to forward it to, what arrived is what the end is put down to.
        let signal = if runs { forwarded } else { arrived };
        actions.push_back(Action::Report(Report::StopAsked { signal: arrived, forwarded: signal, drain }));
        if !drain.is_zero() {
            self.phase = Phase::Draining { signal, forward_at: now.saturating_add(drain) };
        } else if command_has_it {
            self.begin_stopping(now, signal);
        } else {
            self.forward_stop(now, signal, actions);
        }
    }

    pub(super) fn forward_stop(&mut self, now: Moment, signal: Signal, actions: &mut Actions) {
        self.begin_stopping(now, signal);
        self.forward(signal, actions);
    }

    fn begin_stopping(&mut self, now: Moment, signal: Signal) {
        let grace = self.config.grace_period;
        let kill_at = (!grace.is_zero()).then(|| now.saturating_add(grace));
        self.phase = Phase::Stopping { signal, kill_at };
    }

    pub(super) fn grace_expired(&mut self, now: Moment, actions: &mut Actions) {
        let grace = self.config.grace_period;
        for generation in &mut self.generations {
            generation.hurry(now);
            let Generation { number, pid, .. } = *generation;
            if generation.is_running() {
                actions.push_back(Action::Report(Report::GraceExpired { generation: number, pid, grace }));
            }
        }
        actions.push_back(Action::KillAll);
    }

    /// The end after a stop; and whether the command left as one that was asked to.
    pub(super) fn stopped(&self, signal: Signal) -> (Ending, bool) {
        let by_the_signal = Exit::Signal { signal, core_dumped: false };
        let (exit, cause) = match self.last_exits.front() {
            Some(run) => (run.exit, Cause::Run(*run)),
            None => (by_the_signal, Cause::NeverSpawned { signal }),
        };
        let code = policy::exit_code(&self.config, Outcome::Stopped, exit);
        (Ending { outcome: Outcome::Stopped, code, cause }, code == 0 || code == by_the_signal.code())
    }
}
