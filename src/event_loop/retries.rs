//! What a hand could not do and must not be lost: a signal that the kernel did not take, a look at the children that it refused. Tried again
//! after a pause, for as long as it makes sense. Bounded.

use std::time::Duration;

use nix::errno::Errno;
use nix::unistd::Pid;

use crate::errno;
use crate::signal::Signal;
use crate::supervisor::event::{IfRefused, Recipient};
use crate::sys::signals;
use crate::time::Moment;

/// The first pause; each next one is twice as long.
const PAUSE: Duration = Duration::from_millis(10);
const PAUSE_MAX: Duration = Duration::from_secs(1);
/// More are dropped: so many kinds of signals for two processes.
const MOST: usize = 128;

#[derive(Debug)]
struct Unsent {
    pid: Pid,
    signal: Signal,
    recipient: Recipient,
    at: Moment,
    pause: Duration,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Retries {
    signals: Vec<Unsent>,
    pub reap_at: Option<Moment>,
}

/// What became of a signal to a command.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Sending {
    /// It is sent, or there is nobody to be sent to, or it is sent later.
    Taken,
    /// We may not signal the command.
    Refused,
}

impl Retries {
    /// A signal to a command met `error`: it is sent later, where that makes sense.
    pub(super) fn not_sent(
        &mut self,
        now: Moment,
        error: Errno,
        pid: Pid,
        signal: Signal,
        recipient: Recipient,
        if_refused: IfRefused,
    ) -> Sending {
        let is_refused = error == Errno::EPERM;
        let is_known = self.signals.iter().any(|unsent| (unsent.pid, unsent.signal) == (pid, signal));
        if error != Errno::ESRCH && (if_refused == IfRefused::TryAgain || !is_refused) && !is_known && self.signals.len() < MOST {
            if !is_refused {
                log::warn!("cannot send {signal} to pid {pid} ({}): trying again", errno::text(error));
            }
            self.signals.push(Unsent { pid, signal, recipient, at: now + PAUSE, pause: PAUSE });
        }
        if is_refused { Sending::Refused } else { Sending::Taken }
    }

    /// Whether no signal waits to be sent.
    pub(super) fn is_empty(&self) -> bool {
        self.signals.is_empty()
    }

    /// The process is gone: its pid may be another's soon.
    pub(super) fn forget(&mut self, pid: Pid) {
        self.signals.retain(|unsent| unsent.pid != pid);
    }

    pub(super) fn reap_again(&mut self, now: Moment) {
        self.reap_at = Some(now + PAUSE);
    }

    pub(super) fn deadline(&self) -> Option<Moment> {
        self.signals.iter().map(|unsent| unsent.at).chain(self.reap_at).min()
    }

    /// Tries again what is due.
    pub(super) fn tick(&mut self, now: Moment) {
        self.signals.retain_mut(|unsent| {
            if unsent.at > now {
                return true;
            }
            match signals::send(unsent.pid, unsent.signal, unsent.recipient) {
                Err(error) if error != Errno::ESRCH => {
                    unsent.pause = unsent.pause.saturating_mul(2).min(PAUSE_MAX);
                    unsent.at = now + unsent.pause;
                    true
                }
                _ => false,
            }
        });
    }
}
