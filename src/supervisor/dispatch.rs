//! What is told to the supervisor, to whom in it that goes: each event in each phase, and each tick to whatever waits for a moment; and whom
//! signals are for. Pure.

use nix::unistd::Pid;

use super::Supervisor;
use super::event::{Action, Actions, Event, IfRefused, Phase, Recipient};
use super::generation::{Duty, Generation};
use super::stopping::StopAsked;
use crate::signal::Signal;
use crate::time::Moment;

impl Supervisor {
    /// Takes in what happened at `now`; what is to be done is added to `actions`, to be done in that order.
    pub fn handle(&mut self, now: Moment, event: Event, actions: &mut Actions) {
        match (self.phase, event) {
            (Phase::Ended, _) => return,

            (_, Event::Exited { pid, exit, reason }) => self.exited(now, pid, exit, reason, actions),
            // Nothing is left of those that have ended.
            (_, Event::Reaped { children: false }) => self.generations.retain(Generation::is_running),
            (_, Event::Reaped { children: true }) => self.look_for_leftovers(now, actions),
            (_, Event::Leftovers { generation, found }) => self.leftovers(now, generation, found, actions),
            (_, Event::ChildStopped { pid, signal }) => {
                let is_ours = self.job_control && signal.stops_a_job() && self.running().any(|generation| generation.pid == pid);
                actions.extend(is_ours.then_some(Action::Suspend));
            }
            (_, Event::Channel { pid, event }) => self.channel_event(now, pid, event, actions),

            (Phase::Supervising(_), Event::Signal { signal, command_has_it }) => {
                let Some(forwarded) = self.rewrite(signal, command_has_it) else { return };
                if self.config.stop_signals.contains(signal) {
                    self.stop(now, StopAsked { arrived: signal, forwarded }, command_has_it, actions);
                } else if !command_has_it {
                    self.forward_or_hold(now, forwarded, actions);
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
                let Some(forwarded) = self.rewrite(signal, command_has_it) else { return };
                if self.config.stop_signals.contains(signal) {
                    self.stop_sent(now, forwarded, command_has_it, actions);
                }
                if !command_has_it {
                    self.forward(forwarded, actions);
                    self.forward_to_launched(forwarded, actions);
                }
            }

            (_, Event::Spawned { pid }) => self.spawned(now, pid, actions),
            (Phase::Supervising(_), Event::SpawnFailed(failure)) => self.spawn_failed(now, failure, actions),

            (_, Event::ReadinessAsked) => self.readiness_asked(actions),
            (_, Event::ListenersSeen { pid, seen }) => self.listeners_seen(now, pid, seen, actions),
            (_, Event::SocketsReleased(addresses)) => self.sockets_released(now, &addresses, actions),
            (_, Event::RequestsSeen { pid, open }) => self.requests_seen(pid, open),
            (_, Event::WorkSeen { pid, left }) => self.work_seen(now, pid, left, actions),
            (_, Event::FilesStirred) => self.files_stirred(now),
            (_, Event::FilesSeen(seen)) => self.files_seen(now, seen, actions),
            (_, Event::Checked { pid, answer }) => self.checked(now, pid, answer, actions),
            (_, Event::StackTold { pid, stack }) => self.stack_told(pid, stack, actions),
            (_, Event::RestartAsked) => self.restart_asked(now, false, actions),
            (_, Event::RestartForced) => self.restart_asked(now, true, actions),
            (_, Event::SignalRefused { pid }) => self.signal_refused(now, pid, actions),
            (_, Event::KillSent { pid, allowed }) => self.kill_sent(now, pid, allowed, actions),
            (Phase::Supervising(_), Event::Probed { pid, allowed }) => self.probed(now, pid, allowed, actions),
            (Phase::Supervising(_), Event::SignalsSeen { pid, survived }) => self.signals_seen(now, pid, survived, actions),
            (Phase::Supervising(next), Event::Memory { used, limit }) => self.memory_seen(now, next, used, limit, actions),
            (_, Event::SpawnFailed(_) | Event::Probed { .. } | Event::SignalsSeen { .. } | Event::Memory { .. }) => {}
            (Phase::Supervising(next), Event::Tick { signals_pending }) => {
                self.tick_generations(now, actions);
                self.tick_held_signals(now, actions);
                self.tick_spawning(now, next, signals_pending, actions);
                if self.memory_due().is_some_and(|due| due <= now) {
                    self.look_at_memory(now, actions);
                }
                self.tick_check(now, actions);
                self.tick_age(now, actions);
                self.tick_changes(now, actions);
            }
            (Phase::Draining { signal, forward_at }, Event::Tick { .. }) => {
                self.tick_generations(now, actions);
                if forward_at <= now {
                    self.forward_stop(now, signal, actions);
                }
            }
            (Phase::Stopping { signal, kill_at }, Event::Tick { .. }) => {
                if kill_at.is_some_and(|kill_at| kill_at <= now) {
                    self.phase = Phase::Stopping { signal, kill_at: None };
                    self.grace_expired(now, actions);
                }
                self.tick_generations(now, actions);
            }
        }
        self.settle(now, actions);
        self.note_age(now);
        self.note_check(now);
    }

    /// Time has passed for the generations: leftovers, those that retire, those that should be ready.
    fn tick_generations(&mut self, now: Moment, actions: &mut Actions) {
        self.tick_leftovers(now, actions);
        self.tick_retiring(now, actions);
        self.tick_readiness(now, actions);
        self.tick_planned_restart(now, actions);
        self.tick_rest(now, actions);
        self.tick_stop_requests(now, actions);
        self.tick_blocked(now, actions);
        self.tick_unhealthy(now, actions);
    }

    /// What to forward. A signal that the terminal sent has reached the command as it is: there is nothing left to rewrite.
    pub(super) fn rewrite(&self, signal: Signal, command_has_it: bool) -> Option<Signal> {
        if command_has_it { Some(signal) } else { self.config.rewrite.apply(signal) }
    }

    /// Who signals are for: the generation that serves, or where none does, those that are on their way out.
    pub(super) fn addressees(&self) -> impl Iterator<Item = &Generation> {
        let serving = self.active().is_some();
        let stopping = matches!(self.phase, Phase::Stopping { .. });
        self.running().filter(move |generation| match generation.duty {
            Duty::Active => true,
            Duty::Retiring { .. } => stopping || !serving,
            Duty::Successor => stopping,
            Duty::Standby | Duty::Dismissed { .. } => false,
        })
    }

    pub(super) fn forward(&self, signal: Signal, actions: &mut Actions) {
        actions.extend(self.addressees().map(|generation| self.forward_to(generation.pid, signal)));
    }

    pub(super) fn forward_to(&self, pid: Pid, signal: Signal) -> Action {
        let recipient = if self.config.group { Recipient::ItsGroup } else { Recipient::Command };
        let if_refused = if matches!(self.phase, Phase::Stopping { .. }) { IfRefused::TryAgain } else { IfRefused::GiveUp };
        Action::Forward { pid, signal, recipient, if_refused }
    }
}
