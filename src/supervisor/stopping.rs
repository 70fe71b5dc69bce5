//! The way down, of all and of single generations: a stop is asked for, held back, forwarded, enforced, and summed up. Pure.

use std::time::Duration;

use nix::unistd::Pid;

use super::event::{Action, Actions, AppRequest, Next, Phase};
use super::exit::{Exit, Outcome};
use super::generation::{self, ChannelState, Duty, Generation, Port, StopSent};
use super::held_signals::HeldSignals;
use super::report::{Cause, Ending, Report};
use super::stop_request::StopRequest;
use super::{Supervisor, policy};
use crate::config::Config;
use crate::config::values::{Leftovers, StopBy};
use crate::generation_number::GenerationNumber;
use crate::signal::Signal;
use crate::time::Moment;

/// A stop signal that arrived, and what is forwarded in its place.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct StopAsked {
    pub arrived: Signal,
    pub forwarded: Signal,
}

impl Supervisor {
    /// A stop signal. Whether there is anything to drain shows in whether the command was ever ready.
    pub(super) fn stop(&mut self, now: Moment, stop: StopAsked, command_has_it: bool, actions: &mut Actions) {
        let drains = !self.config.drain_delay.is_zero() && !command_has_it && !self.was_ready();
        if drains
            && let Some(active) = self.active()
            && self.look_if_needed(active, actions)
        {
            self.stop_awaits_look = Some(stop);
        } else {
            self.begin_stop(now, stop, command_has_it, actions);
        }
    }

    /// Whether one of those that a stop is for was ever ready.
    fn was_ready(&self) -> bool {
        self.addressees().any(|generation| generation.readiness.was_ready)
    }

    /// Nothing is spawned from here on.
    pub(super) fn begin_stop(&mut self, now: Moment, stop: StopAsked, command_has_it: bool, actions: &mut Actions) {
        let StopAsked { arrived, forwarded } = stop;
        let runs = self.addressees().next().is_some();
        let drain = if self.was_ready() && !command_has_it { self.config.drain_delay } else { Duration::ZERO };
        // With nothing to forward it to, what arrived is what the end is put down to.
        let signal = if runs { forwarded } else { arrived };
        actions.push_back(Action::Report(Report::StopAsked { signal: arrived, forwarded: signal, drain }));
        // Nobody waits for them any more.
        self.held = HeldSignals::default();
        if self.planned.is_some() {
            self.plan_failed(&format!("a stop was asked for by {arrived}"), actions);
        }
        if self.config.standby {
            self.replace_standby(now, actions);
        }
        // Whoever is on the way out need not become ready any more.
        self.generations.iter_mut().for_each(Generation::need_not_be_ready);
        if !drain.is_zero() {
            self.phase = Phase::Draining { signal, forward_at: now + drain };
        } else if command_has_it {
            self.begin_stopping(now, signal);
            self.stop_sent(now, signal, true, actions);
        } else {
            self.forward_stop(now, signal, actions);
        }
    }

    pub(super) fn forward_stop(&mut self, now: Moment, signal: Signal, actions: &mut Actions) {
        self.begin_stopping(now, signal);
        self.stop_sent(now, signal, false, actions);
        let asked: Vec<GenerationNumber> = self.addressees().map(|generation| generation.number).collect();
        for number in asked {
            self.ask_to_stop(now, number, signal, actions);
        }
    }

    /// Notes that a stop signal goes to whom signals are for, or has gone: whom it finds in front of the app is a launcher.
    pub(super) fn stop_sent(&mut self, now: Moment, signal: Signal, by_terminal: bool, actions: &mut Actions) {
        let pids: Vec<Pid> = self.addressees().map(|generation| generation.pid).collect();
        let group_has_it = by_terminal || self.config.group;
        for generation in self.generations.iter_mut().filter(|generation| generation.is_running() && pids.contains(&generation.pid)) {
            Self::note_stop(generation, StopSent { at: now, signal, group_has_it }, &self.config, actions);
        }
    }

    pub(super) fn note_stop(generation: &mut Generation, stop: StopSent, config: &Config, actions: &mut Actions) {
        generation.stop = Some(stop);
        if config.holds_ports() {
            actions.push_back(Action::KeepSockets { generation: generation.number });
        }
        if config.leftovers == Leftovers::Kill {
            actions.push_back(Action::NoteFamily { generation: generation.number, pid: generation.pid });
        }
    }

    fn begin_stopping(&mut self, now: Moment, signal: Signal) {
        let grace = self.config.grace_period;
        let kill_at = (!grace.is_zero()).then(|| now + grace);
        self.phase = Phase::Stopping { signal, kill_at };
        for generation in &mut self.generations {
            generation.need_not_be_ready();
            if let Duty::Retiring { ask_at, .. } = &mut generation.duty {
                *ask_at = None;
            }
        }
    }

    /// Asks a generation to stop: by the signal, or by what the settings have in its place where the channel allows for it.
    pub(super) fn ask_to_stop(&mut self, now: Moment, number: GenerationNumber, signal: Signal, actions: &mut Actions) {
        let Some(generation) = generation::with_number(&mut self.generations, number) else { return };
        let answers = generation.channel == ChannelState::Answered;
        let request = match self.config.stop_by {
            StopBy::Message if answers => Some(AppRequest::Shutdown),
            StopBy::Drain if answers && generation.port >= Port::Listening => Some(AppRequest::Disconnect),
            StopBy::Signal | StopBy::Message | StopBy::Drain => None,
        };
        let pid = generation.pid;
        generation.rest.look_soon(now);
        let Some(request) = request else { return self.signal_to_stop(pid, signal, actions) };
        if request == AppRequest::Disconnect {
            generation.rest.end();
        }
        generation.stop_request = Some(StopRequest::new(now, request, signal));
        actions.push_back(Action::Request { pid, request });
    }

    /// A generation could not be told to stop over its channel, or has had its time: the signal takes over.
    pub(super) fn signal_follows(&mut self, pid: Pid, actions: &mut Actions) {
        let request = generation::with_pid(&mut self.generations, pid).and_then(|generation| generation.stop_request.take());
        if let Some(request) = request {
            self.signal_to_stop(pid, request.signal(), actions);
        }
    }

    fn signal_to_stop(&self, pid: Pid, signal: Signal, actions: &mut Actions) {
        // Of one that drains, or should have, there is nothing to advise.
        if !self.settled_cut_off && self.config.stop_by != StopBy::Drain {
            actions.push_back(Action::LookForRequests { pid });
        }
        actions.push_back(self.forward_to(pid, signal));
    }

    pub(super) fn requests_seen(&mut self, pid: Pid, open: usize) {
        if let Some(generation) = generation::with_pid(&mut self.generations, pid) {
            generation.open_requests = open;
        }
    }

    /// An app that does not handle the stop signal dies of it, whatever it had begun: told once, with what to do.
    pub(super) fn tell_cut_off(&mut self, past: &Generation, exit: Exit, actions: &mut Actions) {
        let Some(StopSent { signal, .. }) = past.stop else { return };
        let dies_of_it = matches!(exit, Exit::Signal { signal: of, .. } if of == signal);
        // One that handles it once does so always.
        self.settled_cut_off |= matches!(exit, Exit::Code(_));
        if past.open_requests > 0 && dies_of_it && !self.settled_cut_off {
            self.settled_cut_off = true;
            let report = Report::CutOff { generation: past.number, pid: past.pid, signal, requests: past.open_requests };
            actions.push_back(Action::Report(report));
        }
    }

    /// When the signal follows the request that a generation was sent.
    pub(super) fn signal_due(&self, generation: &Generation) -> Option<Moment> {
        let kill_at = match (self.phase, generation.duty) {
            (_, Duty::Retiring { kill_at: Some(kill_at), .. }) => Some(kill_at),
            (Phase::Stopping { kill_at, .. }, _) => kill_at,
            _ => generation.kill_at,
        };
        generation.stop_request?.signal_at(self.config.watchdog, kill_at)
    }

    pub(super) fn signals_after_requests_due(&self) -> Option<Moment> {
        self.running().filter_map(|generation| self.signal_due(generation)).min()
    }

    pub(super) fn tick_stop_requests(&mut self, now: Moment, actions: &mut Actions) {
        let is_due = |generation: &&Generation| self.signal_due(generation).is_some_and(|at| at <= now);
        let due: Vec<Pid> = self.running().filter(is_due).map(|generation| generation.pid).collect();
        for pid in due {
            self.signal_follows(pid, actions);
        }
    }

    pub(super) fn grace_expired(&mut self, now: Moment, actions: &mut Actions) {
        for generation in &mut self.generations {
            if let Some(sweep) = generation.sweep() {
                sweep.hurry(now);
            } else {
                actions.push_back(Action::Kill { pid: generation.pid });
            }
        }
        actions.push_back(Action::KillAll);
    }

    /// The end after a stop; and whether the command left as one that was asked to.
    pub(super) fn stopped(&self, signal: Signal) -> (Ending, bool) {
        let by_the_signal = Exit::Signal { signal, core_dumped: false };
        // Where several generations ended, the youngest is the one that served.
        let (exit, cause) = match self.last_exits().map(|last| &last.run).max_by_key(|run| run.generation) {
            Some(run) => (run.exit, Cause::Run(*run)),
            None => (by_the_signal, Cause::NeverSpawned { signal }),
        };
        let code = policy::exit_code(&self.config, Outcome::Stopped, exit, None);
        (Ending { outcome: Outcome::Stopped, code, cause }, code == 0 || code == by_the_signal.code())
    }

    /// Once no generation is left, the end comes if it was decided on.
    pub(super) fn settle(&mut self, now: Moment, actions: &mut Actions) {
        self.generations.retain(|generation| !generation.is_gone());
        if matches!(self.phase, Phase::Supervising(Next::HandOver(_))) {
            self.dismiss_all(now, actions);
        }
        if !self.generations.iter().all(Self::is_left_behind) {
            return;
        }
        let (ending, healthy) = match self.phase {
            Phase::Supervising(Next::HandOver(ending)) => (ending, ending.outcome == Outcome::Completed && ending.code == 0),
            Phase::Supervising(_) | Phase::Ended => return,
            Phase::Draining { signal, .. } | Phase::Stopping { signal, .. } => self.stopped(signal),
        };
        self.end(ending, healthy, actions);
    }

    pub(super) fn end(&mut self, ending: Ending, healthy: bool, actions: &mut Actions) {
        self.phase = Phase::Ended;
        let command = self.command.clone();
        let hang = ending.hang(self.last_exits()).cloned();
        self.plan_failed("restartinit is about to end", actions);
        actions.push_back(Action::Report(Report::Ended { ending, hang, command, healthy }));
        actions.push_back(Action::Finish(ending));
    }
}

#[cfg(test)]
mod tests;
