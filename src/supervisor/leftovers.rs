//! The ending of a generation's leftovers: asked, waited for, killed, given up. Pure.

use std::time::Duration;

use super::time::Moment;
use crate::signal::Signal;

/// How long leftovers are killed again and again before restartinit goes on without: a process stuck in the kernel never ends.
pub const GIVE_UP_AFTER: Duration = Duration::from_secs(2);
/// How long after a round of SIGKILL it looks for processes that were born in it.
pub const KILL_AGAIN_AFTER: Duration = Duration::from_millis(20);

/// How far the ending of leftovers has come.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Sweep {
    /// Whether there are children left is told when this turn's exits all have been.
    Unknown,
    /// A signal is being sent: the answer says to how many.
    Asked {
        signal: Signal,
        give_up_at: Option<Moment>,
    },
    /// They have had SIGTERM.
    Terminating {
        kill_at: Moment,
    },
    /// They have had SIGKILL, and have it again, in case one forked meanwhile.
    Killing {
        again_at: Moment,
        give_up_at: Moment,
        count: usize,
    },
    Done,
}

impl Sweep {
    /// When the leftovers next want to be looked at.
    pub fn deadline(self) -> Option<Moment> {
        match self {
            Sweep::Unknown | Sweep::Asked { .. } | Sweep::Done => None,
            Sweep::Terminating { kill_at } => Some(kill_at),
            Sweep::Killing { again_at, give_up_at, .. } => Some(again_at.min(give_up_at)),
        }
    }

    /// This turn's exits have all been told. Leftovers that are there get `signal` first.
    pub fn reaped(&mut self, children: bool, signal: Signal) -> Option<Ask> {
        match self {
            Sweep::Done | Sweep::Asked { .. } => None,
            _ if !children => {
                *self = Sweep::Done;
                None
            }
            Sweep::Unknown => {
                *self = Sweep::Asked { signal, give_up_at: None };
                Some(Ask { signal: Some(signal) })
            }
            Sweep::Terminating { .. } | Sweep::Killing { .. } => Some(Ask { signal: None }),
        }
    }

    /// So many leftovers were found, and have been signalled if that was asked; `None`: nobody knows, so there may be some. Gives back
    /// the signal that is news.
    pub fn found(&mut self, now: Moment, found: Option<usize>, timeout: Duration) -> Option<Signal> {
        match *self {
            Sweep::Done => None,
            _ if found == Some(0) => {
                *self = Sweep::Done;
                None
            }
            Sweep::Asked { signal, .. } if signal != Signal::KILL => {
                *self = Sweep::Terminating { kill_at: now.saturating_add(timeout) };
                Some(signal)
            }
            Sweep::Asked { signal, give_up_at } => {
                let again_at = now.saturating_add(KILL_AGAIN_AFTER);
                let until = give_up_at.unwrap_or(now.saturating_add(GIVE_UP_AFTER));
                *self = Sweep::Killing { again_at, give_up_at: until, count: found.unwrap_or(1) };
                give_up_at.is_none().then_some(signal)
            }
            Sweep::Unknown | Sweep::Terminating { .. } | Sweep::Killing { .. } => None,
        }
    }

    /// The time that leftovers have is over.
    pub fn hurry(&mut self, now: Moment) {
        if let Sweep::Terminating { kill_at } = self {
            *kill_at = now.min(*kill_at);
        }
    }

    /// Time has passed: leftovers may be due for SIGKILL, or given up.
    pub fn tick(&mut self, now: Moment) -> Due {
        let give_up_at = match *self {
            Sweep::Terminating { kill_at } if kill_at <= now => None,
            Sweep::Killing { give_up_at, count, .. } if give_up_at <= now => {
                *self = Sweep::Done;
                return Due::GivenUp { count };
            }
            Sweep::Killing { again_at, give_up_at, .. } if again_at <= now => Some(give_up_at),
            Sweep::Unknown | Sweep::Asked { .. } | Sweep::Terminating { .. } | Sweep::Killing { .. } | Sweep::Done => return Due::Nothing,
        };
        *self = Sweep::Asked { signal: Signal::KILL, give_up_at };
        Due::Kill
    }
}

/// Leftovers are to be counted, after they had the signal, if any.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub struct Ask {
    pub signal: Option<Signal>,
}

/// What the clock says of a generation's leftovers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub enum Due {
    Nothing,
    Kill,
    GivenUp { count: usize },
}
