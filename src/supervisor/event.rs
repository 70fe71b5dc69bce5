//! The supervisor's language: events in, actions out, and the phases in between. Pure data.

use std::collections::VecDeque;

use super::exit::{Exit, Reason, SpawnFailure};
use super::report::{Ending, Report};
use super::time::Moment;
use crate::signal::Signal;

/// Something that happened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// A signal arrived here. `command_has_it`: the terminal sent it to the command as well.
    Signal { signal: Signal, command_has_it: bool },
    /// The spawn that was asked for was made.
    Spawned { pid: i32 },
    /// It could not be made.
    SpawnFailed(SpawnFailure),
    /// A child that may be a command's was reaped; with the reason of its end, where that is known from outside.
    Exited { pid: i32, exit: Exit, reason: Option<Reason> },
    /// A child was stopped by a signal.
    ChildStopped { pid: i32, signal: Signal },
    /// All exits up to now have been told. `children`: somebody's child is still ours.
    Reaped { children: bool },
    /// The answer to [`Action::EndLeftovers`]; `None`: it cannot be told now.
    Leftovers { generation: u32, count: Option<usize> },
    /// Time has passed.
    Tick,
}

/// Something to be done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Action {
    /// Spawn the command; answered by [`Event::Spawned`] or [`Event::SpawnFailed`].
    Spawn {
        generation: u32,
        last_exit: Option<Exit>,
    },
    /// Send a signal to a command, or to its whole process group.
    Forward {
        pid: i32,
        signal: Signal,
        group: bool,
    },
    /// SIGKILL for every generation and all descendants.
    KillAll,
    /// Count the descendants that outlive a generation, after sending them the signal, if any; answered by [`Event::Leftovers`].
    EndLeftovers {
        generation: u32,
        signal: Option<Signal>,
    },
    /// Stop, as a job that was stopped at a terminal: the shell above is waiting for that.
    Suspend,
    Report(Report),
    /// End restartinit.
    Finish(Ending),
}

pub type Actions = VecDeque<Action>;

/// What restartinit is about.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Phase {
    /// The command is kept running.
    Supervising(Next),
    /// A stop was asked for; its signal is held back until `forward_at`.
    Draining { signal: Signal, forward_at: Moment },
    /// The stop was forwarded. Nothing is spawned any more.
    Stopping { signal: Signal, kill_at: Option<Moment> },
    /// All is said and done.
    Ended,
}

/// What comes once no generation is left.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Next {
    /// Nothing yet: a generation runs.
    Undecided,
    Spawn {
        due: Moment,
    },
    /// The spawn was asked for.
    Spawning,
    HandOver(Ending),
}
