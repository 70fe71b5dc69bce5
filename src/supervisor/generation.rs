//! One run of the command, from its spawn until the last of its descendants is gone. Several live at once when a new run is started
//! before an old one has left. Pure.

use std::time::Duration;

use super::report::Run;
use super::time::Moment;
use crate::signal::Signal;

/// How long leftovers are killed again and again before restartinit goes on without: a process stuck in the kernel never ends.
pub const GIVE_UP_AFTER: Duration = Duration::from_secs(2);
/// How long after a round of SIGKILL it looks for processes that were born in it.
pub const KILL_AGAIN_AFTER: Duration = Duration::from_millis(20);

/// A run of the command.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Generation {
    pub number: u32,
    pub pid: i32,
    pub started: Moment,
    pub life: Life,
}

/// How far a generation has come.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Life {
    /// The command runs: its pid may be signalled.
    Running,
    /// The command was reaped: its pid is nobody's. Its leftovers may be left.
    Ended { run: Run, sweep: Sweep },
}

/// How far the ending of leftovers has come.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Sweep {
    /// Whether there are children left is told when this turn's exits all have been.
    Unknown,
    /// A signal is being sent: the answer says to how many.
    Asked { signal: Signal, give_up_at: Option<Moment> },
    /// They have had SIGTERM.
    Terminating { kill_at: Moment },
    /// They have had SIGKILL, and have it again, in case one forked meanwhile.
    Killing { again_at: Moment, give_up_at: Moment, count: usize },
    Done,
}

impl Generation {
    pub fn is_running(&self) -> bool {
        self.life == Life::Running
    }

    pub fn is_gone(&self) -> bool {
        matches!(self.life, Life::Ended { sweep: Sweep::Done, .. })
    }

    pub fn sweep(&self) -> Option<Sweep> {
        match self.life {
            Life::Running => None,
            Life::Ended { sweep, .. } => Some(sweep),
        }
    }

    pub fn set_sweep(&mut self, next: Sweep) {
        if let Life::Ended { sweep, .. } = &mut self.life {
            *sweep = next;
        }
    }
}

impl Sweep {
    /// When it next wants to be looked at.
    pub fn deadline(self) -> Option<Moment> {
        match self {
            Sweep::Unknown | Sweep::Asked { .. } | Sweep::Done => None,
            Sweep::Terminating { kill_at } => Some(kill_at),
            Sweep::Killing { again_at, give_up_at, .. } => Some(again_at.min(give_up_at)),
        }
    }
}
