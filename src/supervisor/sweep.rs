//! The ending of one generation's leftovers: asked, waited for, killed, given up. Pure.

use std::time::Duration;

use nix::unistd::Pid;

use crate::signal::Signal;
use crate::time::Moment;

/// How long leftovers are killed again and again before restartinit goes on without: a process stuck in the kernel never ends.
pub const GIVE_UP_AFTER: Duration = Duration::from_secs(2);
/// How long after a round of SIGKILL it looks for processes that were born in it.
pub const KILL_AGAIN_AFTER: Duration = Duration::from_millis(20);

/// How long after the stop a command that dies of it is taken for a launcher; and one that it started, for another.
pub const LAUNCHER_DIES_WITHIN: Duration = Duration::from_secs(1);
/// How long what a launcher started has to stop where there is no grace period.
pub const LAUNCHED_GRACE: Duration = Duration::from_secs(10);

/// What is done to leftovers, before they are counted.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Order {
    Nothing,
    /// All of them get this.
    All(Signal),
    /// Those that the launcher started are `signal`led; all others get `others`.
    Apart {
        signal: Signal,
        others: Option<Signal>,
        admit: Admit,
    },
}

/// Who counts as started by the launcher.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Admit {
    /// Those known already.
    Known,
    /// Whoever comes to light now as well; they get the signal, unless the launcher's process group has it already.
    New { group_has_it: bool },
}

/// How many leftovers there are that may be signalled.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Found {
    /// Of those that the launcher started.
    pub launched: usize,
    pub others: usize,
    /// Those that may not be signalled and were not known yet: they are left alone.
    pub refused: Option<Refused>,
}

/// Leftovers that may not be signalled.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Refused {
    pub count: usize,
    /// Of one of them.
    pub pid: Pid,
}

/// A command that died of the stop was a launcher (npm, a shell): what it started has the time that the command would have had.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Launched {
    pub signal: Signal,
    /// It was sent to the launcher's whole process group.
    pub group_has_it: bool,
    /// Until when others may come to light.
    pub admit_until: Moment,
    /// When they are killed.
    pub until: Moment,
}

impl Launched {
    fn order(&self, now: Moment, others: Option<Signal>) -> Order {
        let is_early = now <= self.admit_until;
        let admit = if is_early { Admit::New { group_has_it: self.group_has_it } } else { Admit::Known };
        Order::Apart { signal: self.signal, others, admit }
    }
}

/// How far the ending of leftovers has come.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Sweep {
    /// Whether there are children left is told when this turn's exits all have been.
    Unknown {
        launched: Option<Launched>,
    },
    /// A signal is being sent: the answer says to how many.
    Asked {
        signal: Signal,
        give_up_at: Option<Moment>,
    },
    /// What a launcher started is being told apart from the rest.
    AskedApart {
        launched: Launched,
        others: Option<Signal>,
        kill_others_at: Option<Moment>,
    },
    /// What a launcher started has until then; the rest has had SIGTERM.
    Awaiting {
        launched: Launched,
        kill_others_at: Option<Moment>,
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
            Sweep::Unknown { .. } | Sweep::Asked { .. } | Sweep::AskedApart { .. } | Sweep::Done => None,
            Sweep::Awaiting { launched, kill_others_at } => Some(kill_others_at.map_or(launched.until, |at| at.min(launched.until))),
            Sweep::Terminating { kill_at } => Some(kill_at),
            Sweep::Killing { again_at, give_up_at, .. } => Some(again_at.min(give_up_at)),
        }
    }

    /// This turn's exits have all been told. Leftovers that are there get `signal` first.
    pub fn reaped(&mut self, now: Moment, signal: Signal) -> Option<Order> {
        match *self {
            Sweep::Done | Sweep::Asked { .. } | Sweep::AskedApart { .. } => None,
            Sweep::Unknown { launched: Some(launched) } if signal != Signal::KILL => {
                Some(self.ask_apart(now, launched, Some(signal), None))
            }
            Sweep::Unknown { .. } => Some(self.ask(signal, None)),
            Sweep::Awaiting { launched, kill_others_at } => Some(self.ask_apart(now, launched, None, kill_others_at)),
            Sweep::Terminating { .. } | Sweep::Killing { .. } => Some(Order::Nothing),
        }
    }

    fn ask(&mut self, signal: Signal, give_up_at: Option<Moment>) -> Order {
        *self = Sweep::Asked { signal, give_up_at };
        Order::All(signal)
    }

    fn ask_apart(&mut self, now: Moment, launched: Launched, others: Option<Signal>, kill_others_at: Option<Moment>) -> Order {
        *self = Sweep::AskedApart { launched, others, kill_others_at };
        launched.order(now, others)
    }

    /// So many leftovers were found, and have been signalled if that was asked; `None`: nobody knows, so there may be some.
    pub fn found(&mut self, now: Moment, found: Option<Found>, timeout: Duration) -> Told {
        match (*self, found) {
            (Sweep::Done, _) => Told::Nothing,
            (_, Some(Found { launched: 0, others: 0, .. })) => {
                *self = Sweep::Done;
                Told::Nothing
            }
            (Sweep::AskedApart { launched, kill_others_at, .. }, None) => {
                // Looked at again then.
                *self = Sweep::Awaiting { launched, kill_others_at: Some(kill_others_at.unwrap_or(now + timeout)) };
                Told::Nothing
            }
            (Sweep::AskedApart { others: Some(Signal::TERM), .. }, Some(Found { launched: 0, others: count, .. })) => {
                *self = Sweep::Terminating { kill_at: now + timeout };
                Told::Signalled { signal: Signal::TERM, count }
            }
            // What the launcher started has ended: what that left behind is asked like any leftovers.
            (Sweep::AskedApart { .. }, Some(Found { launched: 0, .. })) => Told::Ask(self.ask(Signal::TERM, None)),
            (Sweep::AskedApart { launched, others, kill_others_at }, Some(found)) => {
                let kill_at = match others {
                    Some(Signal::TERM) => Some(now + timeout),
                    // Once: what survives it is ended when the rest has ended.
                    Some(_) => None,
                    None => kill_others_at,
                };
                *self = Sweep::Awaiting { launched, kill_others_at: kill_at.filter(|_| found.others > 0) };
                if others == Some(Signal::TERM) { Told::Launched { signal: launched.signal, count: found.launched } } else { Told::Nothing }
            }
            (Sweep::Asked { signal, .. }, _) if signal != Signal::KILL => {
                *self = Sweep::Terminating { kill_at: now + timeout };
                found.map_or(Told::Nothing, |found| Told::Signalled { signal, count: found.others })
            }
            (Sweep::Asked { signal, give_up_at }, _) => {
                let again_at = now + KILL_AGAIN_AFTER;
                let until = give_up_at.unwrap_or(now + GIVE_UP_AFTER);
                *self = Sweep::Killing { again_at, give_up_at: until, count: found.map_or(1, |found| found.others) };
                match found {
                    Some(found) if give_up_at.is_none() => Told::Signalled { signal, count: found.others },
                    _ => Told::Nothing,
                }
            }
            (Sweep::Unknown { .. } | Sweep::Awaiting { .. } | Sweep::Terminating { .. } | Sweep::Killing { .. }, _) => Told::Nothing,
        }
    }

    /// What a launcher started is waited for.
    pub fn is_awaiting(&self) -> bool {
        matches!(self, Sweep::Awaiting { .. })
    }

    /// The time that leftovers have is over.
    pub fn hurry(&mut self, now: Moment) {
        match self {
            Sweep::Terminating { kill_at } => *kill_at = now.min(*kill_at),
            Sweep::Awaiting { launched, .. } | Sweep::AskedApart { launched, .. } => launched.until = now.min(launched.until),
            Sweep::Unknown { launched } => *launched = None,
            Sweep::Asked { .. } | Sweep::Killing { .. } | Sweep::Done => {}
        }
    }

    /// Time has passed: leftovers may be due for SIGKILL, or given up.
    pub fn tick(&mut self, now: Moment) -> Told {
        match *self {
            Sweep::Terminating { kill_at } if kill_at <= now => Told::Ask(self.ask(Signal::KILL, None)),
            Sweep::Awaiting { launched, .. } if launched.until <= now => Told::Ask(self.ask(Signal::KILL, None)),
            Sweep::Awaiting { launched, kill_others_at: Some(at) } if at <= now => {
                Told::Ask(self.ask_apart(now, launched, Some(Signal::KILL), None))
            }
            Sweep::Killing { give_up_at, count, .. } if give_up_at <= now => {
                *self = Sweep::Done;
                Told::GivenUp { count }
            }
            Sweep::Killing { again_at, give_up_at, .. } if again_at <= now => Told::Ask(self.ask(Signal::KILL, Some(give_up_at))),
            Sweep::Unknown { .. }
            | Sweep::Asked { .. }
            | Sweep::AskedApart { .. }
            | Sweep::Awaiting { .. }
            | Sweep::Terminating { .. }
            | Sweep::Killing { .. }
            | Sweep::Done => Told::Nothing,
        }
    }
}

/// What comes of a count of leftovers, or of the time that has passed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub enum Told {
    Nothing,
    /// So many were sent the signal, which is news.
    Signalled {
        signal: Signal,
        count: usize,
    },
    /// What a launcher started is waited for.
    Launched {
        signal: Signal,
        count: usize,
    },
    /// More is to be done.
    Ask(Order),
    GivenUp {
        count: usize,
    },
}

#[cfg(test)]
mod tests;
