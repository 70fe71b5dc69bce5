//! How a command ends, and what restartinit's own exit code makes of it. Pure.

use std::fmt;
use std::time::Duration;

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
    /// The code as a shell would report it: 128 + n after signal n.
    pub fn code(self) -> u8 {
        match self {
            Exit::Code(code) => code,
            Exit::Signal { signal, .. } => 128 + signal.number() as u8,
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
    /// It did not say that it is ready within so long.
    NotReady { limit: Duration },
    /// It used more memory than it may.
    MemoryLimit,
    /// Somebody asked for a restart.
    Asked,
}

impl Reason {
    /// The one name it has in the log, the status, the metrics and the termination log.
    pub fn name(self) -> &'static str {
        match self {
            Reason::OutOfMemory { certain: true } => "out of memory",
            Reason::OutOfMemory { certain: false } => "out of memory?",
            Reason::EventLoopBlocked { .. } => "event loop blocked",
            Reason::NotReady { .. } => "not ready in time",
            Reason::MemoryLimit => "memory limit",
            Reason::Asked => "asked",
        }
    }

    /// The same for a person, with what was measured.
    pub fn text(self) -> String {
        match self {
            Reason::EventLoopBlocked { limit } => format!("{} for {}", self.name(), human(limit)),
            Reason::NotReady { limit } => format!("{}: {}", self.name(), human(limit)),
            Reason::OutOfMemory { .. } | Reason::MemoryLimit | Reason::Asked => self.name().to_owned(),
        }
    }
}

/// One finished run of the command.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Run {
    pub generation: u32,
    pub pid: i32,
    pub exit: Exit,
    pub reason: Option<Reason>,
    pub uptime: Duration,
}

/// A finished run, and when it ended.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct LastExit {
    pub run: Run,
    pub ended: Moment,
}

/// How many restarts there were, by what led to them.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Tally([u64; Tally::NAMES.len()]);

impl Tally {
    /// Reasons by name, and what an exit without one is.
    pub const NAMES: [&'static str; 7] =
        ["exit code", "signal", "out of memory", "event loop blocked", "not ready in time", "memory limit", "asked"];

    /// Counts a restart after this exit.
    pub fn count(&mut self, exit: Exit, reason: Option<Reason>) {
        let name = match (reason, exit) {
            // What is not certain is counted as what it is for sure.
            (None | Some(Reason::OutOfMemory { certain: false }), Exit::Code(_)) => "exit code",
            (None | Some(Reason::OutOfMemory { certain: false }), Exit::Signal { .. }) => "signal",
            (Some(reason), _) => reason.name(),
        };
        for (known, count) in Self::NAMES.iter().zip(&mut self.0) {
            *count += u64::from(*known == name);
        }
    }

    /// Every name with its count.
    pub fn each(&self) -> impl Iterator<Item = (&'static str, u64)> {
        Self::NAMES.into_iter().zip(self.0)
    }
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
    fn codes_are_those_of_a_shell() {
        assert_eq!(Exit::Code(7).code(), 7);
        assert_eq!(Exit::Signal { signal: Signal::KILL, core_dumped: false }.code(), 137);
        assert_eq!(Exit::Signal { signal: Signal::new(64).unwrap(), core_dumped: false }.code(), 192);
    }

    #[test]
    fn every_reason_is_counted_under_its_name() {
        let mut tally = Tally::default();
        let limit = Duration::from_secs(10);
        let reasons = [
            Reason::OutOfMemory { certain: true },
            Reason::EventLoopBlocked { limit },
            Reason::NotReady { limit },
            Reason::MemoryLimit,
            Reason::Asked,
        ];
        reasons.into_iter().for_each(|reason| tally.count(Exit::Code(1), Some(reason)));
        tally.count(Exit::Code(1), None);
        tally.count(Exit::Signal { signal: Signal::KILL, core_dumped: false }, Some(Reason::OutOfMemory { certain: false }));
        let names = ["exit code", "signal", "out of memory", "event loop blocked", "not ready in time", "memory limit", "asked"];
        assert!(tally.each().eq(names.map(|name| (name, 1))), "{tally:?}");
        assert_eq!(Reason::EventLoopBlocked { limit }.text(), "event loop blocked for 10 s");
    }
}
