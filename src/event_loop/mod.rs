//! The event loop: the one place that knows both the pure core and `sys`. It sleeps in one system call, turns what it finds into events for
//! the supervisor, and carries out the actions that come back. After the first spawn nothing in here may end or block the process.

mod actions;
mod descendants;
mod held_sockets;
mod link;
mod links;
mod memory;
mod observers;
mod reap_throttle;
mod reaping;
mod retries;
pub mod server;
mod setup;

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::poll::PollFlags;
use nix::unistd::Pid;

use crate::config::values::RestartPolicy;
use crate::config::{Config, TERMINATION_LOG};
use crate::event_loop::reap_throttle::ReapThrottle;
use crate::generation_number::GenerationNumber;
use crate::logger;
use crate::supervisor::event::{Actions, ChannelEvent, Event};
use crate::supervisor::report::{Ending, Report};
use crate::supervisor::{Supervisor, Surroundings};
use crate::sys::poll::Poller;
use crate::sys::signals::{self, Arrival, QueueLimit, SignalReader};
use crate::sys::spawn::{ChildSetup, Spawner};
use crate::sys::stdio::StatusFlags;
use crate::sys::terminal::{self, Terminal};
use crate::sys::wait;
use crate::sys::{environment, processes, stderr};
use crate::time::Moment;
use descendants::Descendants;
use held_sockets::HeldSockets;
use links::Links;
use memory::MemoryMonitor;
use retries::Retries;
use server::Server;
use setup::{forks_a_cluster, not_passed_on};

const INIT: Pid = Pid::from_raw(1);
/// Signals of one turn, unless very many are sent.
const MOST_ARRIVALS: usize = 32;
/// Actions and log lines of one turn, unless very much happens at once: a restart takes no memory for them.
const MOST_EXPECTED: usize = 16;
/// How long the last lines may take to be read, at the end.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// Everything that is needed to carry actions out.
struct EventLoop {
    started: Instant,
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
    own_pid: Pid,
    descendants: Descendants,
    command: String,
    termination_log: Option<std::path::PathBuf>,
    orphans_reaped: u64,
    reap_throttle: ReapThrottle,
    actions: Actions,
    retries: Retries,
    /// Of this turn.
    reports: Vec<Report>,
    ending: Option<Ending>,
    /// Reaping was cut short.
    more_to_reap: bool,
}

/// What a generation is given by the settings.
#[derive(Clone, Copy, Debug)]
struct SpawnOptions {
    has_channel: bool,
    holds_ports: bool,
    tells_role: bool,
}

/// Supervises `command` to its end; gives back restartinit's exit code.
///
/// # Errors
/// Before the first spawn only: what could not be set up.
pub fn supervise(mut config: Config, command: Vec<OsString>) -> io::Result<u8> {
    let own_pid = nix::unistd::getpid();
    let is_init = own_pid == INIT;
    let ignore_hup = signals::is_ignored(libc::SIGHUP);
    signals::reset_dispositions(ignore_hup);
    let signals = SignalReader::open()?;
    let memory = MemoryMonitor::new(config.max_memory);
    let server = Server::open(config.http.as_ref())?;
    if !is_init && processes::spawns_elsewhere() {
        // The first process of a PID namespace is its init: with it, the kernel ends the rest and lets nothing be started any more.
        log::warn!("the command is the init of a PID namespace, which ends with it: no restart (unshare --pid without --fork?)");
        config.restart = RestartPolicy::Never;
    }
    if !is_init && let Err(error) = nix::sys::prctl::set_child_subreaper(true) {
        log::warn!("cannot become a child subreaper: {error}: orphans are left to PID 1");
    }
    let terminal = Terminal::find();
    let (stdio, queue_limit) = (StatusFlags::now(), QueueLimit::lower());
    let prepare = move |generation| {
        queue_limit.restore();
        if generation != GenerationNumber::FIRST {
            stdio.restore();
        }
        signals::unblock_all();
    };
    let setup = ChildSetup { own_group: terminal.is_none(), die_with_us: !is_init, prepare: Box::new(prepare) };
    let name = command.first().map(|file| file.to_string_lossy().into_owned()).unwrap_or_default();
    let termination_log = config.termination_log.clone();
    let spawn_options = SpawnOptions { has_channel: config.has_channel(), holds_ports: config.holds_ports(), tells_role: config.standby };
    let sockets = HeldSockets::open(&config.listen)?;
    if spawn_options.holds_ports && forks_a_cluster(&command) {
        log::warn!(
            "the app forks a cluster of its own: under --hold-port it runs as one worker, and nothing is forked (run it without --hold-port, or start \
             one server without cluster in each container)"
        );
    }
    let mut spawner = Spawner::new(command, &environment::entries(), &not_passed_on(&config), setup)?;
    let (passed_on, placeholders) = sockets.to_pass_on()?;
    if !passed_on.is_empty() {
        let names: Vec<String> = config.listen.iter().map(|address| address.to_string().replace(':', "_")).collect();
        spawner.pass_on(passed_on, &names.join(":"));
    }
    let mut event_loop = EventLoop {
        started: Instant::now(),
        spawner,
        links: Links::new(config.watchdog, sockets),
        spawn_options,
        signals,
        arrivals: Vec::with_capacity(MOST_ARRIVALS),
        _placeholders: placeholders,
        supervisor: Supervisor::new(config, name.clone(), Surroundings { job_control: terminal.is_some() && !is_init, is_init }),
        poller: Poller::default(),
        server,
        control_settled: false,
        orphans_reaped: 0,
        reap_throttle: ReapThrottle::default(),
        descendants: Descendants::new(own_pid, wait::any_children()),
        terminal,
        memory,
        own_pid,
        command: name,
        termination_log,
        retries: Retries::default(),
        actions: Actions::with_capacity(MOST_EXPECTED),
        reports: Vec::with_capacity(MOST_EXPECTED),
        ending: None,
        // A child may have ended before CHLD was blocked.
        more_to_reap: true,
    };
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
    /// One turn, in this order: sleep, signals, reaping and exits, the Node links, deadlines, log lines, observers. Each event's actions
    /// are done before the next event is told, so that no pid is signalled once its exit is known.
    fn turn(&mut self) {
        let now = self.now();
        let rest = self.reap_throttle.rest(now);
        let deadlines = [self.supervisor.next_deadline(), self.server.deadline(), self.links.deadline(), self.retries.deadline(), rest];
        let deadline = deadlines.into_iter().flatten().min();
        let timeout = match deadline {
            _ if self.more_to_reap => Some(Duration::ZERO),
            Some(deadline) => Some(deadline.since(now)),
            None => None,
        };
        let timeout = timeout.into_iter().chain(stderr::pause()).min();
        self.poller.clear();
        if let Some(fd) = stderr::waits_for() {
            self.poller.add(fd, PollFlags::POLLOUT);
        }
        self.signals.interests(rest.is_none()).for_each(|fd| self.poller.add(fd, PollFlags::POLLIN));
        self.links.interests().for_each(|(fd, events)| self.poller.add(fd, events));
        self.server.interests().for_each(|(fd, events)| self.poller.add(fd, events));
        self.poller.wait(timeout);
        stderr::flush();
        self.take_signals();
        let now = self.now();
        let reap_again = self.retries.reap_at.take_if(|at| *at <= now).is_some();
        if self.signals.take_child(|fd| !self.poller.seen(fd).is_empty()) || self.more_to_reap || reap_again {
            self.reap(now);
        }
        self.retries.tick(now);
        for (pid, event) in self.links.turn(&|fd| self.poller.seen(fd), self.now()) {
            self.handle(Event::Channel { pid, event });
            if event == ChannelEvent::Closed && self.supervisor.is_stopping() {
                // Nobody will accept there any more.
                self.links.sockets.release_unused();
            }
        }
        if self.supervisor.next_deadline().is_some_and(|deadline| deadline <= self.now()) {
            self.handle(Event::Tick { signals_pending: signals::any_pending() });
        }
        // Before the new command can have said anything: the log is in order.
        self.reports.drain(..).for_each(|report| logger::log_report(&report));
        self.observe();
        self.reports.drain(..).for_each(|report| logger::log_report(&report));
    }

    fn now(&self) -> Moment {
        Moment::after_start(self.started.elapsed())
    }

    fn take_signals(&mut self) {
        let mut arrivals = std::mem::take(&mut self.arrivals);
        self.signals.take(|fd| !self.poller.seen(fd).is_empty(), &mut arrivals);
        for Arrival { signal, by_kernel } in arrivals.drain(..) {
            let from_terminal = by_kernel && self.terminal.is_some() && signal.comes_from_terminals();
            let command_has_it = from_terminal && self.supervisor.running().any(|generation| terminal::has_own_group(generation.pid));
            self.handle(Event::Signal { signal, command_has_it });
        }
        self.arrivals = arrivals;
    }

    /// Tells the supervisor, and does what it answers, in that order.
    fn handle(&mut self, event: Event) {
        self.supervisor.handle(self.now(), event, &mut self.actions);
        while let Some(action) = self.actions.pop_front() {
            if let Some(answer) = self.act(action) {
                self.supervisor.handle(self.now(), answer, &mut self.actions);
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
        let line = ending.termination_log(&self.command, self.supervisor.last_exits());
        let mut options = std::fs::OpenOptions::new();
        options.write(true).truncate(true).create(create).mode(0o644).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY);
        if let Err(error) = options.open(path).and_then(|mut file| file.write_all(line.as_bytes())) {
            log::debug!("cannot write the termination log {}: {error}", path.display());
        }
    }
}
