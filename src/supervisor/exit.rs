//! How a command ends, and what restartinit's own exit code makes of it. Pure.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use nix::unistd::Pid;

use super::fault::Fault;
use super::hang::Hang;
use crate::generation_number::GenerationNumber;
use crate::signal::Signal;
use crate::time::{Moment, human};

/// The exit code of a usage or configuration error.
pub const USAGE: u8 = 125;

/// How a process ended, as wait(2) tells it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Exit {
    Code(u8),
    Signal { signal: Signal, core_dumped: bool },
}

impl Exit {
    /// SIGKILL ended it: somebody meant it, or the kernel was out of memory.
    pub fn is_kill(self) -> bool {
        matches!(self, Exit::Signal { signal: Signal::KILL, .. })
    }

    /// The code as a shell would report it: 128 + n after signal n.
    pub fn code(self) -> u8 {
        match self {
            Exit::Code(code) => code,
            Exit::Signal { signal, .. } => signal.exit_code(),
        }
    }

    /// `1`, `SIGKILL`: the value of `RESTARTINIT_LAST_EXIT`.
    pub fn short(self) -> Short {
        Short(self)
    }
}

/// See [`Exit::short`].
#[derive(Clone, Copy, Debug)]
pub struct Short(Exit);

impl fmt::Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Exit::Code(code) => code.fmt(f),
            Exit::Signal { signal, .. } => signal.fmt(f),
        }
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Exit::Code(code) => write!(f, "exited with code {code}"),
            Exit::Signal { signal, core_dumped: false } => write!(f, "was killed by {signal}"),
            Exit::Signal { signal, core_dumped: true } => write!(f, "was killed by {signal} (core dumped)"),
        }
    }
}

/// Why a command ended, where its exit alone does not say so.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Reason {
    /// The kernel killed it for want of memory in our cgroup. Not `certain`: it has killed somebody, and whom cannot be told.
    OutOfMemory { certain: bool },
    /// Its event loop did not turn for so long.
    EventLoopBlocked { limit: Duration },
    /// It was not ready within so long.
    NotReady { limit: Duration, awaited: Awaited },
    /// It did not pass so many checks in a row.
    CheckFailed { failures: u32, last: Fault },
    /// It used more memory than it may.
    MemoryLimit,
    /// It was as old as it may become.
    MaxAge { limit: Duration },
    /// What it had read has changed.
    FilesChanged,
    /// Somebody asked for a restart.
    Asked,
}

/// What was missing of a generation that was not ready in time.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Awaited {
    /// The app's message.
    Message,
    /// Another message, after it took the first one back.
    Unready,
    /// It listened nowhere.
    Listener,
    /// It listened, but not on each port that was named.
    Ports,
}

impl Reason {
    /// Whether a generation that ends for it has failed even if it ends well: it was asked to stop for that, and killed only where it did not.
    pub fn is_fault(self) -> bool {
        matches!(self, Reason::CheckFailed { .. })
    }

    /// The one name it has in the log, the status, the metrics and the termination log.
    pub fn name(self) -> &'static str {
        match self {
            Reason::OutOfMemory { certain: true } => "out of memory",
            Reason::OutOfMemory { certain: false } => "out of memory?",
            Reason::EventLoopBlocked { .. } => "event loop blocked",
            Reason::NotReady { .. } => "not ready in time",
            Reason::CheckFailed { .. } => "check failed",
            Reason::MemoryLimit => "memory limit",
            Reason::MaxAge { .. } => "max age",
            Reason::FilesChanged => "files changed",
            Reason::Asked => "asked",
        }
    }

    /// The same for a person, with what was measured.
    pub fn text(self) -> String {
        match self {
            Reason::EventLoopBlocked { limit } => format!("{} for {}", self.name(), human(limit)),
            Reason::NotReady { limit, awaited } => {
                let what = match awaited {
                    Awaited::Message => "the app did not send process.send('ready')",
                    Awaited::Unready => "the app took its readiness back by process.send('unready')",
                    Awaited::Listener => "nothing listened",
                    Awaited::Ports => "it did not listen on each port of --ready-when",
                };
                format!("{}: {what} within {}", self.name(), human(limit))
            }
            Reason::CheckFailed { failures: 1, last } => format!("{}: {last}", self.name()),
            Reason::CheckFailed { failures, last } => format!("{} {failures} times in a row, the last: {last}", self.name()),
            Reason::MaxAge { limit } => format!("{} of {}", self.name(), human(limit)),
            Reason::OutOfMemory { .. } | Reason::MemoryLimit | Reason::FilesChanged | Reason::Asked => self.name().to_owned(),
        }
    }
}

/// One finished run of the command.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Run {
    pub generation: GenerationNumber,
    pub pid: Pid,
    pub exit: Exit,
    pub reason: Option<Reason>,
    pub uptime: Duration,
}

/// A finished run, and when it ended.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct LastExit {
    pub run: Run,
    /// Where its event loop was, if that is why.
    pub hang: Option<Arc<Hang>>,
    pub ended: Moment,
}

/// Why restartinit ends.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Outcome {
    /// The command ended by itself and the policy does not restart it.
    Completed,
    /// A stop was asked for.
    Stopped,
    /// The command keeps failing: the orchestrator's turn.
    RestartsExhausted,
    /// The command ended with one of `--no-restart-on`.
    NoRestartCode,
    /// The command is not there, or is no program.
    CannotExecute,
    /// The command is due to be killed, and may not be signalled.
    CannotSignal,
}

impl Outcome {
    /// The one name it has in the log, the termination log and the status.
    pub fn name(self) -> &'static str {
        match self {
            Outcome::Completed => "completed",
            Outcome::Stopped => "stopped",
            Outcome::RestartsExhausted => "restarts-exhausted",
            Outcome::NoRestartCode => "no-restart-code",
            Outcome::CannotExecute => "cannot-execute",
            Outcome::CannotSignal => "cannot-signal",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_sigkill_is_a_kill() {
        let by = |signal| Exit::Signal { signal, core_dumped: false };
        assert!(by(Signal::KILL).is_kill());
        for exit in [by(Signal::TERM), Exit::Code(137), Exit::Code(0)] {
            assert!(!exit.is_kill(), "{exit}");
        }
    }

    #[test]
    fn codes_are_those_of_a_shell() {
        assert_eq!(Exit::Code(7).code(), 7);
        assert_eq!(Exit::Signal { signal: Signal::KILL, core_dumped: false }.code(), 137);
        assert_eq!(Exit::Signal { signal: Signal::new(64).unwrap(), core_dumped: false }.code(), 192);
    }
}
