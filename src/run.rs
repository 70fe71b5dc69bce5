//! The hall: the one place that knows both thought and hands. It sleeps in one system call, turns what the hands saw into events, and
//! has the hands do what the supervisor answers. After the first spawn nothing in here may end or block the process.

pub mod server;

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::config::{Config, TERMINATION_LOG};
use crate::logger;
use crate::signal::Signal;
use crate::supervisor::event::{Action, Actions, Event};
use crate::supervisor::exit::{Exit, Reason};
use crate::supervisor::report::Ending;
use crate::supervisor::time::Moment;
use crate::supervisor::{Supervisor, family};
use crate::sys::cgroup::OomCounter;
use crate::sys::signals::{self, Arrival};
use crate::sys::spawn::{Hygiene, Launcher};
use crate::sys::terminal::{self, Terminal};
use crate::sys::wait::{self, Waited};
use crate::sys::{poll, processes, stderr};

/// Children reaped in one turn, so that a flood of orphans cannot keep a signal waiting.
const REAPED_A_TURN: usize = 16_384;
/// How long the last lines may take to be read, at the end.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// Everything the hands need to carry actions out.
struct Hall {
    started: Instant,
    supervisor: Supervisor,
    launcher: Launcher,
    terminal: Option<Terminal>,
    /// `None`: no cgroup in sight.
    oom_counter: Option<OomCounter>,
    own_pid: i32,
    /// Children that were there before us: nobody's leftovers.
    foreign: Vec<i32>,
    command: String,
    termination_log: Option<std::path::PathBuf>,
    actions: Actions,
    ending: Option<Ending>,
    /// Reaping was cut short.
    more_to_reap: bool,
}

/// Supervises `command` to its end; gives back restartinit's exit code.
///
/// # Errors
/// Before the first spawn only: what could not be set up.
pub fn supervise(config: Config, command: Vec<OsString>) -> io::Result<u8> {
    let own_pid = std::process::id() as i32;
    let is_init = own_pid == 1;
    let ignore_hup = signals::is_ignored(libc::SIGHUP);
    signals::install()?;
    if !is_init && let Err(error) = nix::sys::prctl::set_child_subreaper(true) {
        log::warn!("cannot become a child subreaper: {error}: orphans are left to PID 1");
    }
    let terminal = Terminal::find();
    let hygiene = Hygiene { own_group: terminal.is_none(), die_with_us: !is_init, ignore_hup, reset_signals: signals::reset_for_command };
    let name = command.first().map(|file| file.to_string_lossy().into_owned()).unwrap_or_default();
    let termination_log = config.termination_log.clone();
    let mut hall = Hall {
        started: Instant::now(),
        launcher: Launcher::new(command, std::env::vars_os(), hygiene)?,
        supervisor: Supervisor::new(config, name.clone(), terminal.is_some() && !is_init),
        foreign: if wait::any_children() { children_of(own_pid) } else { Vec::new() },
        terminal,
        oom_counter: None,
        own_pid,
        command: name,
        termination_log,
        actions: Actions::new(),
        ending: None,
        more_to_reap: false,
    };
    let ending = loop {
        hall.turn();
        if let Some(ending) = hall.ending {
            break ending;
        }
    };
    hall.leave_termination_log(&ending);
    stderr::flush_within(LAST_WORDS);
    Ok(ending.code)
}

fn children_of(pid: i32) -> Vec<i32> {
    let all = processes::list().unwrap_or_default();
    all.into_iter().filter(|process| process.parent == pid).map(|process| process.pid).collect()
}

impl Hall {
    /// One turn: sleep, then signals, reaping and exits, deadlines. Each event's actions are done before the next event is told, so
    /// that no pid is signalled once its exit is known.
    fn turn(&mut self) {
        let timeout = match self.supervisor.next_deadline() {
            _ if self.more_to_reap => Some(Duration::ZERO),
            Some(deadline) => Some(deadline.saturating_sub(self.now())),
            None => None,
        };
        if poll::wait(stderr::waits_for(), timeout) {
            stderr::flush();
        }
        signals::take(|arrival| self.signal_arrived(arrival));
        if signals::take_child() || self.more_to_reap {
            self.reap();
        }
        // A Ctrl-C from before a spawn has not reached what is spawned: whatever is pending is let in first, in the next turn.
        if self.supervisor.next_deadline().is_some_and(|deadline| deadline <= self.now()) && !signals::any_pending() {
            self.tell(Event::Tick);
        }
    }

    fn now(&self) -> Moment {
        self.started.elapsed()
    }

    fn signal_arrived(&mut self, arrival: Arrival) {
        let Arrival { signal, count, by_kernel } = arrival;
        let from_terminal = by_kernel && self.terminal.is_some() && signal.comes_from_terminals();
        let command_has_it = from_terminal && self.supervisor.running().any(|generation| terminal::shares_our_group(generation.pid));
        for _ in 0..count {
            self.tell(Event::Signal { signal, command_has_it });
        }
    }

    fn reap(&mut self) {
        self.more_to_reap = false;
        for _ in 0..REAPED_A_TURN {
            let children = match wait::next() {
                Waited::Exited { pid, exit } => {
                    self.foreign.retain(|foreign| *foreign != pid);
                    let reason = self.reason(pid, exit);
                    self.tell(Event::Exited { pid, exit, reason });
                    continue;
                }
                Waited::Stopped { pid, signal } => {
                    self.tell(Event::ChildStopped { pid, signal });
                    continue;
                }
                Waited::Continued { .. } => continue,
                Waited::NoNews => true,
                Waited::NoChildren => false,
            };
            return self.tell(Event::Reaped { children });
        }
        self.more_to_reap = true;
    }

    /// What the kernel says of a command's end beyond its exit.
    fn reason(&mut self, pid: i32, exit: Exit) -> Option<Reason> {
        let Exit::Signal { signal: Signal::KILL, .. } = exit else { return None };
        // Also for an orphan, so that its end is not taken for the reason of a later one.
        let out_of_memory = self.oom_counter.as_mut().is_some_and(OomCounter::has_risen);
        let is_command = self.supervisor.running().any(|generation| generation.pid == pid);
        (out_of_memory && is_command).then_some(Reason::OutOfMemory)
    }

    /// Tells the supervisor, and does what it answers, in that order.
    fn tell(&mut self, event: Event) {
        self.supervisor.handle(self.now(), event, &mut self.actions);
        while let Some(action) = self.actions.pop_front() {
            if let Some(answer) = self.act(action) {
                self.supervisor.handle(self.now(), answer, &mut self.actions);
            }
        }
    }

    fn act(&mut self, action: Action) -> Option<Event> {
        match action {
            Action::Spawn { generation, last_exit } => {
                if let Some(terminal) = &self.terminal {
                    terminal.retake();
                }
                let spawned = self.launcher.spawn(generation, last_exit);
                if generation == 1 {
                    // Only now: the command need not wait for this.
                    let none = |error: &io::Error| log::debug!("no count of out-of-memory kills: {error}");
                    self.oom_counter = OomCounter::open().inspect_err(none).ok();
                } else if let Some(counter) = &mut self.oom_counter {
                    // What was killed in an earlier run is no reason of this one's end.
                    counter.has_risen();
                }
                return Some(match spawned {
                    Ok(pid) => Event::Spawned { pid },
                    Err(failure) => Event::SpawnFailed(failure),
                });
            }
            Action::Forward { pid, signal, group } => match signals::send(pid, signal, group) {
                Ok(()) => log::debug!("{signal} forwarded to pid {pid}"),
                Err(error) => log::debug!("cannot forward {signal} to pid {pid}: {error}"),
            },
            Action::KillAll => {
                // The commands apart as well: they can be ended even where /proc cannot be read.
                let commands: Vec<i32> = self.supervisor.running().map(|generation| generation.pid).collect();
                signals::send_all(&commands, Signal::KILL);
                signals::send_all(&self.family(&self.foreign).unwrap_or_default(), Signal::KILL);
            }
            Action::EndLeftovers { generation, signal } => {
                let count = self.end_leftovers(signal);
                return Some(Event::Leftovers { generation, count });
            }
            Action::Suspend => signals::suspend(),
            Action::Report(report) => logger::tell(&report),
            Action::Finish(ending) => self.ending = Some(ending),
        }
        None
    }

    /// Our descendants, but for those trees.
    fn family(&self, spared: &[i32]) -> io::Result<Vec<i32>> {
        processes::list().map(|all| family::descendants(all, self.own_pid, spared))
    }

    /// Signals what is left of generations that have ended; tells how many there are, if that can be known.
    fn end_leftovers(&self, signal: Option<Signal>) -> Option<usize> {
        let spared: Vec<i32> = self.supervisor.running().map(|generation| generation.pid).chain(self.foreign.iter().copied()).collect();
        match self.family(&spared) {
            Ok(leftovers) => {
                if let Some(signal) = signal {
                    signals::send_all(&leftovers, signal);
                }
                Some(leftovers.len())
            }
            Err(error) if matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM)) => {
                log::warn!("cannot look for leftovers in /proc now ({error}): trying again");
                None
            }
            Err(error) => {
                log::warn!("cannot look for leftovers in /proc ({error}): they are left alone");
                Some(0)
            }
        }
    }

    /// Leaves the reason of the end where Kubernetes looks for it. A pipe or a device there must not hold up the end.
    fn leave_termination_log(&self, ending: &Ending) {
        let default = Path::new(TERMINATION_LOG);
        let (path, create) = match &self.termination_log {
            Some(path) => (path.as_path(), true),
            None if default.exists() => (default, false),
            None => return,
        };
        let last_exits: Vec<_> = self.supervisor.last_exits().copied().collect();
        let line = ending.termination_log(&self.command, &last_exits);
        let mut options = std::fs::OpenOptions::new();
        options.write(true).truncate(true).create(create).mode(0o644).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY);
        if let Err(error) = options.open(path).and_then(|mut file| file.write_all(line.as_bytes())) {
            log::debug!("cannot write the termination log {}: {error}", path.display());
        }
    }
}
