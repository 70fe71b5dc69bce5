//! The event loop: the one place that knows both the pure core and `sys`. It sleeps in one system call, turns what it finds into events for
//! the supervisor, and carries out the actions that come back. After the first spawn nothing in here may end or block the process.

mod acting;
mod change_finder;
mod checker;
mod descendants;
mod fitness;
mod held_sockets;
mod lingering;
mod link;
mod links;
mod listeners;
mod memory;
mod notifier;
mod observers;
mod reap_throttle;
mod retries;
pub mod server;
mod setup;
mod stack_lookup;

use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use nix::poll::PollFlags;
use nix::unistd::Pid;

use crate::config::Config;
use crate::event_loop::reap_throttle::ReapThrottle;
use crate::logger;
use crate::supervisor::Supervisor;
use crate::supervisor::event::{Actions, Event};
use crate::supervisor::report::{Ending, Report};
use crate::sys::poll::Poller;
use crate::sys::signals::{self, Arrival, SignalReader};
use crate::sys::spawn::Spawner;
use crate::sys::stderr;
use crate::sys::terminal::{self, Terminal};
use crate::sys::wait::{self, Waited};
use crate::time::Moment;
use acting::SpawnOptions;
use change_finder::ChangeFinder;
use checker::Checker;
use descendants::Descendants;
use links::Links;
use listeners::ListenerFinder;
use memory::MemoryMonitor;
use notifier::Notifier;
use retries::Retries;
use server::Server;
use stack_lookup::StackLookup;

/// How long children are reaped in one turn, so that no flood of orphans can keep anything else waiting; and after how many that is looked
/// at.
const REAPING: Duration = Duration::from_millis(10);
const REAPED_A_LOOK: u64 = 64;
/// How long the last lines may take to be read, at the end.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// Everything that is needed to carry actions out.
struct EventLoop {
    started: Instant,
    /// When the clock was read last: in each turn before and after the sleep, and after what an action answers, since that may have taken its
    /// time. Some kernels and C libraries make a system call of each read (musl on arm64).
    now: Moment,
    supervisor: Supervisor,
    spawner: Spawner,
    poller: Poller,
    server: Server,
    /// The control socket is open, or another restartinit's.
    control_settled: bool,
    links: Links,
    /// The settings that concern a spawn.
    spawn_options: SpawnOptions,
    signals: SignalReader,
    /// Of this turn.
    arrivals: Vec<Arrival>,
    /// Keep numbers taken that are other sockets' in the command.
    _placeholders: Vec<OwnedFd>,
    terminal: Option<Terminal>,
    memory: MemoryMonitor,
    checker: Checker,
    changes: ChangeFinder,
    notifier: Notifier,
    own_pid: Pid,
    descendants: Descendants,
    listeners: ListenerFinder,
    stack_lookup: StackLookup,
    command: String,
    termination_log: Option<PathBuf>,
    orphans_reaped: u64,
    reap_throttle: ReapThrottle,
    actions: Actions,
    retries: Retries,
    /// Of this turn.
    reports: Vec<Report>,
    /// Of planned restarts, of this turn.
    restart_outcomes: Vec<Result<String, String>>,
    ending: Option<Ending>,
    /// Reaping was cut short.
    more_to_reap: bool,
}

/// Supervises `command` to its end; gives back restartinit's exit code. `settings_read`: the variables that are not passed on to it.
///
/// # Errors
/// Before the first spawn only: what could not be set up.
pub fn supervise(config: Config, command: Vec<OsString>, settings_read: &[String]) -> io::Result<u8> {
    let mut event_loop = setup::event_loop(config, command, settings_read)?;
    let ending = loop {
        event_loop.turn();
        if let Some(ending) = event_loop.ending {
            break ending;
        }
    };
    event_loop.leave_termination_log(&ending);
    stderr::flush_within(LAST_WORDS);
    Ok(ending.code)
}

impl EventLoop {
    /// One turn, in this order: sleep, signals (where one has come, what the Node links say before it), reaping and exits, the Node links,
    /// deadlines, log lines, observers. Each event's actions are done before the next event is told, so that no pid is signalled once its exit is
    /// known.
    fn turn(&mut self) {
        self.sleep();
        stderr::flush();
        self.take_signals();
        let now = self.now;
        let reap_again = self.retries.reap_at.take_if(|at| *at <= now).is_some();
        if self.signals.take_child(|fd| !self.poller.seen(fd).is_empty()) || self.more_to_reap || reap_again {
            self.reap(now);
        }
        self.retries.tick(now);
        for event in self.links.turn(&|fd| self.poller.seen(fd), self.now) {
            self.handle(event);
        }
        if let Some(event) = self.changes.turn(&|fd| self.poller.seen(fd)) {
            self.handle(event);
        }
        if let Some(event) = self.checker.turn(&|fd| self.poller.seen(fd), self.now) {
            if matches!(event, Event::Checked { answer: Ok(_), .. }) {
                self.notifier.sign_of_life();
            }
            self.handle(event);
        }
        if self.supervisor.next_deadline().is_some_and(|deadline| deadline <= self.now) {
            self.handle(Event::Tick { signals_pending: signals::any_pending() });
        }
        // Before the new command can have said anything: the log is in order.
        self.reports.drain(..).for_each(|report| logger::log_report(&report));
        self.observe();
        self.notify();
        self.reports.drain(..).for_each(|report| logger::log_report(&report));
    }

    fn read_clock(&mut self) -> Moment {
        self.now = Moment::after_start(self.started.elapsed());
        self.now
    }

    /// Until a descriptor is ready or the next deadline is due.
    fn sleep(&mut self) {
        let now = self.read_clock();
        let rest = self.reap_throttle.rest(now);
        let observed = [self.server.deadline(), self.links.deadline(), self.checker.deadline(), self.notifier.deadline()];
        let deadlines = [self.supervisor.next_deadline(), self.retries.deadline(), rest].into_iter().chain(observed);
        let until_deadline = deadlines.flatten().min().map(|deadline| deadline.since(now));
        let timeout = if self.more_to_reap { Some(Duration::ZERO) } else { until_deadline };
        let timeout = timeout.into_iter().chain(stderr::pause()).min();
        self.poller.clear();
        if let Some(fd) = stderr::waits_for() {
            self.poller.add(fd, PollFlags::POLLOUT);
        }
        self.signals.interests(rest.is_none()).for_each(|fd| self.poller.add(fd, PollFlags::POLLIN));
        self.links.interests().for_each(|(fd, events)| self.poller.add(fd, events));
        self.checker.interest().into_iter().chain(self.changes.interest()).for_each(|(fd, events)| self.poller.add(fd, events));
        self.server.interests().for_each(|(fd, events)| self.poller.add(fd, events));
        self.poller.wait(timeout);
        self.read_clock();
    }

    /// Tells whoever started us how the command is, where that is wanted.
    fn notify(&mut self) {
        if self.notifier.is_wanted() {
            let now = self.now;
            let view = self.supervisor.view(now);
            if self.links.has_answered(view.active().map(|active| active.pid)) {
                self.notifier.sign_of_life();
            }
            self.notifier.turn(&view, now);
        }
    }

    /// What apps have said before a signal came decides what becomes of it, and a throttled restartinit finds both in one turn. Not that
    /// a channel has ended: how its app ended comes first.
    fn hear_the_living(&mut self) {
        let living = |fd| {
            let seen = self.poller.seen(fd);
            if seen.intersects(PollFlags::POLLHUP | PollFlags::POLLERR) { PollFlags::empty() } else { seen }
        };
        for event in self.links.turn(&living, self.now) {
            self.handle(event);
        }
    }

    fn take_signals(&mut self) {
        let mut arrivals = std::mem::take(&mut self.arrivals);
        self.signals.take(|fd| !self.poller.seen(fd).is_empty(), &mut arrivals);
        if !arrivals.is_empty() {
            self.hear_the_living();
        }
        for Arrival { signal, by_kernel } in arrivals.drain(..) {
            let from_terminal = by_kernel && self.terminal.is_some() && signal.comes_from_terminals();
            let command_has_it = from_terminal && self.supervisor.running().any(|generation| terminal::has_own_group(generation.pid));
            self.handle(Event::Signal { signal, command_has_it });
        }
        self.arrivals = arrivals;
    }

    /// Reaps all that have ended, for a bounded time, and tells the ends of commands; `since` is now.
    fn reap(&mut self, since: Moment) {
        self.more_to_reap = false;
        let (mut orphans, mut orphan_was_killed) = (0, false);
        let children = loop {
            match wait::next() {
                Waited::Exited { pid, exit, peak } if self.supervisor.running().any(|generation| generation.pid == pid) => {
                    let reason = if exit.is_kill() { self.memory.reason_of_kill(peak) } else { None };
                    self.listeners.exited(pid);
                    self.stack_lookup.give_up(Some(pid));
                    self.checker.exited(pid);
                    if self.spawn_options.has_channel {
                        self.links.exited(pid, self.now);
                    }
                    if !self.retries.is_empty() {
                        self.retries.forget(pid);
                    }
                    self.handle(Event::Exited { pid, exit, reason });
                }
                // An orphan: there may be thousands at once.
                Waited::Exited { pid, exit, .. } => {
                    self.descendants.reaped(pid);
                    if let Some((pid, stack)) = self.stack_lookup.ended(pid) {
                        self.handle(Event::StackTold { pid, stack });
                        continue;
                    }
                    if let Some(event) = self.changes.ended(pid) {
                        self.handle(event);
                        continue;
                    }
                    orphans += 1;
                    orphan_was_killed |= exit.is_kill();
                    self.orphans_reaped += 1;
                    if orphans % REAPED_A_LOOK == 0 && self.read_clock() >= since + REAPING {
                        self.more_to_reap = true;
                        return;
                    }
                }
                Waited::Stopped { pid, signal } => self.handle(Event::ChildStopped { pid, signal }),
                Waited::Continued { .. } => {}
                Waited::Unknown => return self.retries.reap_again(self.now),
                Waited::NoNews => break true,
                Waited::NoChildren => break false,
            }
        };
        if orphan_was_killed {
            // So that its end is not taken for the reason of a command's later one.
            self.memory.forget_kills();
        }
        if orphans > 0 {
            let now = self.read_clock();
            self.reap_throttle.looked(since, now);
        }
        self.handle(Event::Reaped { children });
    }

    /// Tells the supervisor, and does what it answers, in that order.
    fn handle(&mut self, event: Event) {
        self.supervisor.handle(self.now, event, &mut self.actions);
        while let Some(action) = self.actions.pop_front() {
            if let Some(answer) = self.act(action) {
                let now = self.read_clock();
                self.supervisor.handle(now, answer, &mut self.actions);
            }
        }
    }
}
