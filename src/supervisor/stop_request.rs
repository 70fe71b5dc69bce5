//! A stop that is asked for over the Node channel, and the signal that follows where it did not help. Pure.

use std::time::Duration;

use nix::unistd::Pid;

use super::Supervisor;
use super::event::{Action, Actions, AppRequest, Phase};
use super::generation::{self, ChannelState, Duty, Generation, Port};
use crate::config::values::StopBy;
use crate::generation_number::GenerationNumber;
use crate::signal::Signal;
use crate::time::Moment;

/// A request to stop that a generation was sent, until the signal has followed it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct StopRequest {
    at: Moment,
    signal: Signal,
    request: AppRequest,
    /// Its event loop has turned since.
    is_answered: bool,
    /// It has closed one of its servers since.
    has_closed: bool,
}

/// How long an app has to read a request where no watchdog says it.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long one that has read the request to drain has to close the first of its servers.
const CLOSES_WITHIN: Duration = Duration::from_secs(3);
/// The signal leaves at least so much of the grace period, if that is long enough.
const LAST_CALL: Duration = Duration::from_secs(1);

impl Supervisor {
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
        let Some(request) = request else {
            return actions.push_back(self.forward_to(pid, signal));
        };
        if request == AppRequest::Disconnect {
            generation.rest.is_over();
        }
        generation.stop_request = Some(StopRequest { at: now, signal, request, is_answered: false, has_closed: false });
        actions.push_back(Action::Request { pid, request });
    }

    /// A generation could not be told to stop over its channel: the signal takes over.
    pub(super) fn request_not_sent(&mut self, pid: Pid, actions: &mut Actions) {
        let request = generation::with_pid(&mut self.generations, pid).and_then(|generation| generation.stop_request.take());
        actions.extend(request.map(|StopRequest { signal, .. }| self.forward_to(pid, signal)));
    }

    /// When the signal follows a request.
    fn signal_due(&self, generation: &Generation) -> Option<Moment> {
        let request = generation.stop_request.as_ref()?;
        let unread = (!request.was_heard()).then(|| request.at + self.config.watchdog.unwrap_or(PATIENCE));
        let deaf = request.request == AppRequest::Disconnect && request.is_answered && !request.has_closed;
        let last_call = self.kill_at(generation).map(|kill_at| {
            let grace = kill_at.since(request.at);
            let share = (grace / 5).max(LAST_CALL).min(grace / 2);
            request.at + grace.saturating_sub(share)
        });
        unread.into_iter().chain(deaf.then(|| request.at + CLOSES_WITHIN)).chain(last_call).min()
    }

    /// When a generation that was asked to stop is killed.
    fn kill_at(&self, generation: &Generation) -> Option<Moment> {
        match (self.phase, generation.duty) {
            (_, Duty::Retiring { kill_at: Some(kill_at), .. }) => Some(kill_at),
            (Phase::Stopping { kill_at, .. }, _) => kill_at,
            _ => None,
        }
    }

    pub(super) fn signals_after_requests_due(&self) -> Option<Moment> {
        self.running().filter_map(|generation| self.signal_due(generation)).min()
    }

    pub(super) fn tick_stop_requests(&mut self, now: Moment, actions: &mut Actions) {
        let is_due = |generation: &&Generation| self.signal_due(generation).is_some_and(|at| at <= now);
        let due: Vec<Pid> = self.running().filter(is_due).map(|generation| generation.pid).collect();
        for pid in due {
            self.request_not_sent(pid, actions);
        }
    }
}

impl StopRequest {
    /// Its event loop has turned since.
    pub(super) fn answered(&mut self) {
        self.is_answered = true;
    }

    /// It has closed a server.
    pub(super) fn closed_a_server(&mut self) {
        self.has_closed = true;
    }

    /// The app has read it, by all that shows.
    pub(super) fn was_heard(self) -> bool {
        self.is_answered || self.has_closed
    }
}

#[cfg(test)]
impl StopRequest {
    /// What tells it from another, but for when its signal is due.
    pub(super) fn key(self) -> (bool, bool, bool) {
        (self.is_answered, self.has_closed, self.request == AppRequest::Shutdown)
    }
}

#[cfg(test)]
impl Supervisor {
    /// When the signal follows the request that a generation was sent.
    pub(super) fn signal_after_request(&self, generation: &Generation) -> Option<Moment> {
        self.signal_due(generation)
    }
}
