//! Whom `stack`, `profile` and `heap` ask: the Node of a generation, and whether it may be asked.

use std::cell::Cell;

use nix::unistd::Pid;

use super::port::held;
use super::session::Why;
use crate::config::{Inspection, Verb};
use crate::control::route;
use crate::json_scan::{Scanner, Sink};
use crate::node::launcher;
use crate::procfs::inspector::is_node;
use crate::procfs::process_tree::{Process, descendants};
use crate::procfs::{number, shown};
use crate::signal::Signal;
use crate::sys::{credentials, listening, main_thread, processes};

/// A Node that may be asked.
pub(super) struct Target {
    pub(super) generation: Option<u32>,
    pub(super) process: Process,
    pub(super) opening: Cell<Opening>,
}

/// How far its inspector was opened for this process.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Opening {
    /// It was not asked to, or was open before.
    Unasked,
    /// The signal was sent, and it is not open yet.
    Asked,
    Open,
}

impl Target {
    pub(super) fn pid(&self) -> Pid {
        self.process.pid
    }

    /// `generation 3 (pid 12)`.
    pub(super) fn name(&self) -> String {
        let pid = self.pid();
        self.generation.map_or_else(|| format!("pid {pid}"), |number| format!("generation {number} (pid {pid})"))
    }

    /// What runs: the program and its script. All other arguments may be secrets.
    pub(super) fn command(&self) -> String {
        const LONGEST: usize = 100;
        let line = processes::command_line(self.pid());
        let words = line.split(|byte| *byte == 0).take(2).filter(|word| !word.is_empty() && !word.starts_with(b"-"));
        let names = words.map(|word| shown(word.rsplit(|byte| *byte == b'/').next().unwrap_or_default(), LONGEST));
        names.collect::<Vec<_>>().join(" ")
    }
}

/// Finds the process that is meant.
///
/// # Errors
/// One line for a person.
pub(super) fn find(asked: &Inspection, restartinit: Option<Pid>) -> Result<Target, String> {
    let (generation, pid) = match asked.process {
        Some(pid) => (None, Pid::from_raw(pid)),
        None => {
            let (_, status) = route(Verb::Inspect(*asked), restartinit)?;
            let running = Running::read(&status, asked.generation);
            let pid = running.pid.map(Pid::from_raw).ok_or("it does not run now: restartinit status tells what does")?;
            // It was asked by root, where that is who asks; whom it runs as may see more.
            credentials::take(pid);
            (running.generation, node_of(pid))
        }
    };
    let process = processes::one(pid).filter(|process| !process.ended).ok_or("no such process runs here")?;
    Ok(Target { generation, process, opening: Cell::new(Opening::Unasked) })
}

/// Which generation is meant, and its command's pid, off the status.
#[derive(Default)]
struct Running {
    wanted: Option<u32>,
    generation: Option<u32>,
    pid: Option<i32>,
    /// The one that is read.
    entry: (Option<u32>, Option<i32>),
}

impl Running {
    fn read(status: &str, wanted: Option<u32>) -> Running {
        let mut running = Running { wanted, generation: wanted, ..Running::default() };
        Scanner::default().feed(status.as_bytes(), &mut running);
        running
    }
}

impl Sink for Running {
    fn value(&mut self, path: &str, text: &[u8]) {
        match (self.wanted, path) {
            (None, "pid") => self.pid = number(text),
            (None, "generation") => self.generation = number(text),
            (_, "generations[].generation") => self.entry.0 = number(text),
            (_, "generations[].pid") => self.entry.1 = number(text),
            _ => {}
        }
    }

    fn closed(&mut self, path: &str) {
        if path == "generations[]" && self.wanted.is_some() && self.entry.0 == self.wanted {
            self.pid = self.entry.1;
        }
    }
}

fn runs_node(pid: Pid) -> bool {
    main_thread::executable(pid).is_some_and(|path| is_node(&path))
}

/// The Node of a generation: its command, or behind a launcher the one that listens; where none does, the one that nothing else is behind.
fn node_of(command: Pid) -> Pid {
    let line = processes::command_line(command);
    let words: Vec<&str> = line.split(|byte| *byte == 0).map(|word| std::str::from_utf8(word).unwrap_or_default()).collect();
    let is_app = runs_node(command) && launcher::of_words(&words).is_none();
    if is_app && listens(command) {
        return command;
    }
    let mut all = processes::list().unwrap_or_default();
    let nodes: Vec<Process> = descendants(&mut all, command, &[]).into_iter().filter(|process| runs_node(process.pid)).collect();
    let is_last = |node: &&Process| !nodes.iter().any(|other| other.parent == node.pid);
    let found = nodes.iter().find(|node| listens(node.pid)).or_else(|| nodes.iter().find(is_last).filter(|_| !is_app));
    found.map_or(command, |node| node.pid)
}

/// Whether a process listens anywhere. What cannot be seen does not count.
fn listens(pid: Pid) -> bool {
    let sockets = listening::sockets(pid).unwrap_or_default();
    held(pid, &sockets.iter().map(|socket| socket.inode).collect::<Vec<_>>()).is_some()
}

/// Whether a process may be sent SIGUSR1 so that its inspector opens. From here on this process has no more rights than that one.
pub(super) fn may_ask(pid: Pid) -> Result<(), Why> {
    credentials::take(pid);
    let program = main_thread::executable(pid).ok_or("it cannot be looked at: ask as root, or as its own user")?;
    if !is_node(&program) {
        return Err("it does not run Node, by its executable: no signal was sent");
    }
    let takes_it = processes::signal_status(pid).is_some_and(|status| status.catches(Signal::USR1));
    if takes_it {
        Ok(())
    } else {
        Err("it does not take SIGUSR1: no signal was sent; it has only just started, or runs with --disable-sigusr1")
    }
}
