//! What a hand could not do and must not be lost: a signal that the kernel did not take, a look at the children that it refused. Tried again
//! after a pause, for as long as it makes sense. Bounded.

use std::time::Duration;

use crate::signal::Signal;
use crate::supervisor::time::Moment;
use crate::sys::signals;

/// The first pause; each next one is twice as long.
const PAUSE: Duration = Duration::from_millis(10);
const PAUSE_MAX: Duration = Duration::from_secs(1);
/// More are dropped: so many kinds of signals for two processes.
const MOST: usize = 128;

#[derive(Debug)]
struct Unsent {
    pid: i32,
    signal: Signal,
    group: bool,
    at: Moment,
    pause: Duration,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Retrying {
    signals: Vec<Unsent>,
    pub reap_at: Option<Moment>,
}

impl Retrying {
    /// Sends a signal to a command, now or later.
    pub fn send(&mut self, now: Moment, pid: i32, signal: Signal, group: bool) {
        let Err(error) = signals::send(pid, signal, group) else { return log::debug!("{signal} forwarded to pid {pid}") };
        let is_known = self.signals.iter().any(|unsent| (unsent.pid, unsent.signal) == (pid, signal));
        if error.raw_os_error() != Some(libc::ESRCH) && !is_known && self.signals.len() < MOST {
            log::warn!("cannot send {signal} to pid {pid} ({error}): trying again");
            self.signals.push(Unsent { pid, signal, group, at: now.saturating_add(PAUSE), pause: PAUSE });
        }
    }

    /// The process is gone: its pid may be another's soon.
    pub fn forget(&mut self, pid: i32) {
        self.signals.retain(|unsent| unsent.pid != pid);
    }

    pub fn reap_again(&mut self, now: Moment) {
        self.reap_at = Some(now.saturating_add(PAUSE));
    }

    pub fn deadline(&self) -> Option<Moment> {
        self.signals.iter().map(|unsent| unsent.at).chain(self.reap_at).min()
    }

    /// Tries again what is due.
    pub fn tick(&mut self, now: Moment) {
        self.signals.retain_mut(|unsent| {
            if unsent.at > now {
                return true;
            }
            match signals::send(unsent.pid, unsent.signal, unsent.group) {
                Err(error) if error.raw_os_error() != Some(libc::ESRCH) => {
                    unsent.pause = unsent.pause.saturating_mul(2).min(PAUSE_MAX);
                    unsent.at = now.saturating_add(unsent.pause);
                    true
                }
                _ => false,
            }
        });
    }
}
