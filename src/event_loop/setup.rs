//! What is set up and found out before the first spawn, while it may still take its time; and what is left behind at the very end.

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::unistd::{Pid, getpid};

use super::EventLoop;
use super::acting::SpawnOptions;
use super::change_finder::ChangeFinder;
use super::checker::Checker;
use super::descendants::Descendants;
use super::fitness;
use super::held_sockets::HeldSockets;
use super::links::Links;
use super::listeners::ListenerFinder;
use super::memory::MemoryMonitor;
use super::notifier::{self, Notifier};
use super::reap_throttle::ReapThrottle;
use super::retries::Retries;
use super::server::Server;
use super::stack_lookup::StackLookup;
use crate::config::values::{ReadyWhen, RestartPolicy};
use crate::config::{Config, GENERATION, LAST_EXIT, ROLE, TERMINATION_LOG};
use crate::errno;
use crate::generation_number::GenerationNumber;
use crate::node::{CHANNEL_FD, SERIALIZATION_MODE, UNIQUE_ID};
use crate::supervisor::event::Actions;
use crate::supervisor::report::Ending;
use crate::supervisor::{Supervisor, Surroundings};
use crate::sys::poll::Poller;
use crate::sys::signals::{self, QueueLimit, SignalReader};
use crate::sys::spawn::{ChildSetup, Spawner};
use crate::sys::stdio::{self, StatusFlags};
use crate::sys::terminal::Terminal;
use crate::sys::{environment, processes, wait};
use crate::time::Moment;

pub(super) const INIT: Pid = Pid::from_raw(1);
/// Signals of one turn, unless very many are sent.
const MOST_ARRIVALS: usize = 32;
/// Actions and log lines of one turn, unless very much happens at once: a restart takes no memory for them.
const MOST_EXPECTED: usize = 16;

/// The event loop, ready for its first turn.
///
/// # Errors
/// What could not be set up: one line for a person where there is something to be done about it.
pub(super) fn event_loop(mut config: Config, command: Vec<OsString>, settings_read: &[String]) -> io::Result<EventLoop> {
    let own_pid = getpid();
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
        log::warn!("cannot become a child subreaper: {}: orphans are left to PID 1", errno::text(error));
    }
    let terminal = Terminal::find(stdio::descriptors());
    let name = command.first().map(|file| file.to_string_lossy().into_owned()).unwrap_or_default();
    let inherited = environment::entries();
    fitness::adapt(&mut config, &command, &inherited);
    fitness::tell_of_gap(&config, memory.limit(memory.usage()).is_some());
    let spawn_options = SpawnOptions { has_channel: config.has_channel(), holds_ports: config.holds_ports(), tells_role: config.standby };
    let sockets = HeldSockets::open(&config.listen)?;
    let without = not_passed_on(&config, settings_read);
    let mut spawner = Spawner::new(command, &inherited, &without, child_setup(terminal.is_none(), !is_init))?;
    let (passed_on, placeholders) = sockets.to_pass_on()?;
    if !passed_on.is_empty() {
        let names: Vec<String> = config.listen.iter().map(|address| address.to_string().replace(':', "_")).collect();
        spawner.pass_on(passed_on, &names.join(":"));
    }
    let mut listeners = ListenerFinder::new(own_pid, server.inodes());
    if matches!(config.ready_when(), ReadyWhen::Listening(_)) {
        listeners.before_first_spawn();
    }
    let mut descendants = Descendants::new(own_pid, wait::any_children());
    let mut changes = ChangeFinder::new(&config.restart_on_change);
    if changes.is_wanted() {
        // Before the first spawn: what changes afterwards is a change.
        match changes.begin(is_init) {
            Ok(by) => {
                descendants.spare(by);
                changes.finish();
            }
            Err(error) => {
                log::warn!("--restart-on-change is off: nothing can be watched here: {error} (fs.inotify.max_user_instances, pids.max)");
                config.restart_on_change.clear();
            }
        }
    }
    let notifier = Notifier::open(environment::variables(), &config, std::process::id());
    let surroundings = Surroundings {
        job_control: terminal.is_some() && !is_init,
        is_init,
        is_notified: notifier.is_wanted(),
        seed: environment::random_bytes(),
    };
    Ok(EventLoop {
        started: Instant::now(),
        now: Moment::after_start(Duration::ZERO),
        spawner,
        links: Links::new(config.watchdog, sockets),
        spawn_options,
        signals,
        arrivals: Vec::with_capacity(MOST_ARRIVALS),
        _placeholders: placeholders,
        checker: Checker::new(&config),
        notifier,
        changes,
        termination_log: config.termination_log.clone(),
        supervisor: Supervisor::new(config, name.clone(), surroundings),
        poller: Poller::default(),
        server,
        control_settled: false,
        orphans_reaped: 0,
        reap_throttle: ReapThrottle::default(),
        descendants,
        listeners,
        stack_lookup: StackLookup::default(),
        terminal,
        memory,
        own_pid,
        command: name,
        retries: Retries::default(),
        actions: Actions::with_capacity(MOST_EXPECTED),
        reports: Vec::with_capacity(MOST_EXPECTED),
        restart_outcomes: Vec::new(),
        ending: None,
        // A child may have ended before CHLD was blocked.
        more_to_reap: true,
    })
}

fn child_setup(own_group: bool, die_with_us: bool) -> ChildSetup {
    let (stdio, queue_limit) = (StatusFlags::now(), QueueLimit::lower());
    let prepare = move |generation| {
        queue_limit.restore();
        if generation != GenerationNumber::FIRST {
            stdio.restore();
        }
        signals::unblock_all();
    };
    ChildSetup { own_group, die_with_us, prepare: Box::new(prepare) }
}

/// The variables that are ours to set, or that would mean something else to the command.
fn not_passed_on<'a>(config: &Config, settings_read: &'a [String]) -> Vec<&'a str> {
    let mut names = vec![GENERATION, LAST_EXIT, ROLE, SERIALIZATION_MODE];
    names.extend(settings_read.iter().map(String::as_str));
    if config.has_channel() {
        names.extend([CHANNEL_FD, UNIQUE_ID]);
    }
    if notifier::speaks_for_the_command(config) {
        names.extend([notifier::SOCKET, notifier::WATCHDOG, notifier::WATCHDOG_PID]);
    }
    if !config.listen.is_empty() {
        names.extend(["LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"]);
    }
    names
}

impl EventLoop {
    /// Leaves the reason of the end where Kubernetes looks for it. A pipe or a device there must not hold up the end.
    pub(super) fn leave_termination_log(&self, ending: &Ending) {
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
