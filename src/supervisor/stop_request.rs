//! A stop that was asked for over the Node channel, and when the signal follows it. Pure data.

use std::time::Duration;

use crate::signal::Signal;
use crate::time::Moment;

/// A message to a Node app.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum AppRequest {
    /// pm2's message `shutdown`.
    Shutdown,
    /// Node's own: stop accepting, finish what is in flight, let go of the channel.
    Disconnect,
}

/// A request to stop that a generation was sent, until the signal has followed it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct StopRequest {
    at: Moment,
    signal: Signal,
    request: AppRequest,
    /// Its event loop has answered what it was asked just before.
    is_answered: bool,
    /// It has closed one of its servers since.
    has_closed: bool,
}

impl StopRequest {
    /// How long an app has to read a request where no watchdog says it.
    const PATIENCE: Duration = Duration::from_secs(10);
    /// How long one that has read the request to drain has to close the first of its servers.
    const CLOSES_WITHIN: Duration = Duration::from_secs(3);
    /// The signal leaves at least so much of the grace period, if that is long enough.
    const LAST_CALL: Duration = Duration::from_secs(1);

    /// It is sent now; `signal` is what follows.
    pub(super) fn new(at: Moment, request: AppRequest, signal: Signal) -> StopRequest {
        StopRequest { at, signal, request, is_answered: false, has_closed: false }
    }

    /// Its event loop has answered what it was asked just before.
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

    /// What follows it.
    pub(super) fn signal(self) -> Signal {
        self.signal
    }

    /// When the signal follows: `patience` is how long a loop may be silent, `kill_at` when the app is killed.
    pub(super) fn signal_at(self, patience: Option<Duration>, kill_at: Option<Moment>) -> Option<Moment> {
        let unread = (!self.was_heard()).then(|| self.at + patience.unwrap_or(Self::PATIENCE));
        let is_deaf = self.request == AppRequest::Disconnect && self.is_answered && !self.has_closed;
        let last_call = kill_at.map(|kill_at| {
            let grace = kill_at.since(self.at);
            let share = (grace / 5).max(Self::LAST_CALL).min(grace / 2);
            self.at + grace.saturating_sub(share)
        });
        unread.into_iter().chain(is_deaf.then(|| self.at + Self::CLOSES_WITHIN)).chain(last_call).min()
    }
}

#[cfg(test)]
impl StopRequest {
    /// What tells it from another, but for when its signal is due.
    pub(super) fn key(self) -> (bool, bool, bool) {
        (self.is_answered, self.has_closed, self.request == AppRequest::Shutdown)
    }
}
