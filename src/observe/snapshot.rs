//! Everything that an observer may see, as plain data that the event loop fills in. No argument of the command and nothing of its environment
//! is ever in here: both hold secrets.

use std::time::Duration;

use nix::unistd::Pid;

use crate::supervisor::hang::Hang;
use crate::supervisor::view::View;
use crate::time::Moment;

/// restartinit at one moment.
#[derive(Clone, PartialEq, Debug)]
pub struct Snapshot {
    /// restartinit's own.
    pub version: &'static str,
    /// What [`command_name`] makes of the command.
    pub command: String,
    /// restartinit's own.
    pub pid: Pid,
    pub now: Moment,
    /// The wall clock when `now` was zero, since 1970.
    pub started_unix: Duration,
    pub view: View,
    /// How many leftovers it may not signal, and leaves alone.
    pub leftovers_left: usize,
    pub counters: Counters,
    pub memory: MemoryView,
    /// `None`: no watchdog measures it.
    pub event_loop: Option<EventLoop>,
}

/// What only ever rises.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Counters {
    pub orphans_reaped: u64,
    pub spawn_failures: u64,
    pub log_lines_dropped: u64,
    pub channel_messages_dropped: u64,
}

/// In bytes.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct MemoryView {
    /// Of the active generation's process.
    pub resident: Option<u64>,
    pub limit: Option<MemoryLimit>,
    pub cgroup_working_set: Option<u64>,
    pub cgroup_limit: Option<u64>,
}

/// `--max-memory`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MemoryLimit {
    /// `None`: it is a part of a limit that there is not.
    pub bytes: Option<u64>,
    /// As it was given: `80%`.
    pub shown: String,
}

/// How long the command's event loop let a ping wait.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EventLoop {
    pub last: Duration,
    /// The largest since the metrics were last scraped.
    pub largest: Duration,
    /// It does not turn now: since when, and why.
    pub late: Option<Hang>,
}

impl Snapshot {
    /// A moment on the wall clock, since 1970.
    pub fn unix_time(&self, moment: Moment) -> Duration {
        self.started_unix.saturating_add(moment.since_start())
    }
}

/// The file name of a command, fit to be shown on a terminal.
pub fn command_name(command: &str) -> String {
    let name = command.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    name.chars().map(|c| if c.is_control() { '?' } else { c }).take(100).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generation_number::GenerationNumber;
    use crate::signal::Signal;
    use crate::supervisor::exit::{Exit, LastExit, Reason, Run};
    use crate::supervisor::view::{GenerationRole, GenerationView, State};

    impl Snapshot {
        /// A server an hour after its container's start, with two crashes behind it.
        pub fn example() -> Snapshot {
            let second = Duration::from_secs;
            let killed = Exit::Signal { signal: Signal::KILL, core_dumped: false };
            let oom = Run {
                generation: GenerationNumber::new(2),
                pid: Pid::from_raw(19),
                exit: killed,
                reason: Some(Reason::OutOfMemory { certain: true }),
                uptime: second(3000),
            };
            let crash = Run {
                generation: GenerationNumber::new(1),
                pid: Pid::from_raw(7),
                exit: Exit::Code(1),
                reason: None,
                uptime: Duration::from_millis(3200),
            };
            Snapshot {
                version: "0.1.0",
                command: "node".to_owned(),
                pid: Pid::from_raw(1),
                now: Moment::START + second(3600),
                started_unix: Duration::from_millis(1_764_000_000_250),
                view: View {
                    state: State::Running,
                    ready: true,
                    not_ready: None,
                    readiness_note: None,
                    standby_note: None,
                    change_note: None,
                    generations: vec![GenerationView {
                        number: GenerationNumber::new(3),
                        pid: Pid::from_raw(31),
                        role: GenerationRole::Active,
                        started: Moment::START + second(3003),
                        ready: true,
                    }],
                    latest_generation: GenerationNumber::new(3),
                    restarts_used: 1,
                    restarts_allowed: 5,
                    restart_window: second(60),
                    next_restart_in: None,
                    last_exits: vec![
                        LastExit { run: oom, hang: None, ended: Moment::START + second(3003) },
                        LastExit { run: crash, hang: None, ended: Moment::START + Duration::from_millis(3200) },
                    ],
                    cannot_signal: None,
                    restarts_total: vec![("exit code", 1), ("signal", 0), ("out of memory", 1), ("asked", 0)],
                    spawn_failures: 0,
                    check: None,
                },
                leftovers_left: 0,
                counters: Counters { orphans_reaped: 4, ..Counters::default() },
                memory: MemoryView {
                    resident: Some(222_744_576),
                    limit: Some(MemoryLimit { bytes: Some(429_496_729), shown: "80%".to_owned() }),
                    cgroup_working_set: Some(230_000_000),
                    cgroup_limit: Some(536_870_912),
                },
                event_loop: Some(EventLoop { last: Duration::from_millis(2), largest: Duration::from_millis(41), late: None }),
            }
        }
    }

    #[test]
    fn a_command_is_shown_by_its_file_name() {
        for (command, name) in [("node", "node"), ("/usr/bin/node", "node"), ("./a\u{1b}[2Jb", "a?[2Jb"), ("", ""), ("bin/", "bin")] {
            assert_eq!(command_name(command), name);
        }
    }
}
