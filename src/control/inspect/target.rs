//! Whom `stack`, `profile` and `heap` ask: the Node of a generation, and whether it may be asked.

use std::collections::BTreeSet;
use std::time::Instant;

use nix::unistd::Pid;
use serde_json::Value;

use crate::config::Inspection;
use crate::config::{Subject, Verb};
use crate::control::route;
use crate::node::launcher;
use crate::observe::snapshot::command_name;
use crate::procfs::inspector::is_node;
use crate::procfs::listeners::ListenAddress;
use crate::procfs::process_tree::{Process, descendants};
use crate::procfs::shown;
use crate::signal::Signal;
use crate::sys::{credentials, listening, main_thread, processes, sockets};

/// A Node that may be asked.
pub(super) struct Target {
    pub(super) generation: Option<u32>,
    pub(super) process: Process,
    /// `node server.js`.
    pub(super) command: String,
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
}

/// Finds the Node that is meant.
///
/// # Errors
/// One line for a person.
pub(super) fn find(asked: &Inspection, restartinit: Option<Pid>) -> Result<Target, String> {
    let (generation, command) = match asked.process {
        Some(pid) => (None, Pid::from_raw(pid)),
        None => generation(asked, restartinit)?,
    };
    let pid = if asked.process.is_some() { command } else { node_of(command) };
    let gone = || format!("there is no process {pid}, or /proc does not show it");
    let process = processes::one(pid).filter(|process| !process.ended).ok_or_else(gone)?;
    let words = processes::command_line(pid);
    let words: Vec<&[u8]> = words.split(|byte| *byte == 0).collect();
    let target = Target { generation, process, command: title(&words) };
    may_ask(pid).map_err(|why| format!("{}: {why}", target.name()))?;
    Ok(target)
}

/// The generation that is meant, and its command's pid, as restartinit has them.
fn generation(asked: &Inspection, restartinit: Option<Pid>) -> Result<(Option<u32>, Pid), String> {
    let verb = Verb::Inspect(Inspection { subject: Subject::Stack { json: true }, ..*asked });
    let (status, body) = route(verb, restartinit)?;
    let told: Value =
        serde_json::from_str(&body).map_err(|_| format!("restartinit's status is not understood ({status}): is it another version?"))?;
    let number = |value: &Value| value.as_u64().and_then(|number| u32::try_from(number).ok());
    let pid = |value: &Value| value.as_i64().and_then(|pid| i32::try_from(pid).ok()).map(Pid::from_raw);
    let Some(wanted) = asked.generation else {
        let state = told.get("state").and_then(Value::as_str).unwrap_or("not running");
        let found = told.get("pid").and_then(pid).ok_or_else(|| format!("the command does not run now ({state})"))?;
        return Ok((told.get("generation").and_then(number), found));
    };
    let running = told.get("generations").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let is_wanted = |entry: &&Value| entry.get("generation").and_then(number) == Some(wanted);
    let found = running.iter().find(is_wanted).and_then(|entry| pid(entry.get("pid")?));
    found.map(|pid| (Some(wanted), pid)).ok_or_else(|| {
        let there: Vec<String> = running.iter().filter_map(|entry| Some(number(entry.get("generation")?)?.to_string())).collect();
        let there = if there.is_empty() { "none".to_owned() } else { there.join(", ") };
        format!("generation {wanted} does not run; those that do: {there}")
    })
}

fn runs_node(pid: Pid) -> bool {
    main_thread::executable(pid).is_some_and(|path| is_node(&path))
}

/// The Node of a generation: its command, or behind a launcher the one that listens; where none does, the one that nothing else is behind.
fn node_of(command: Pid) -> Pid {
    let Ok(mut all) = processes::list() else { return command };
    let family = descendants(&mut all, command, &[]);
    let nodes: Vec<Pid> = family.iter().filter(|process| !process.ended).map(|process| process.pid).filter(|pid| runs_node(*pid)).collect();
    let listening: BTreeSet<u64> = listening::sockets(command)
        .unwrap_or_default()
        .iter()
        .filter(|socket| !is_debugger(&socket.address))
        .map(|socket| socket.inode)
        .collect();
    let listens = |pid: &Pid| {
        let mut found = false;
        // What cannot be seen does not count.
        let _ = processes::sockets_of(*pid, 0, |socket| {
            found |= socket.is_some_and(|socket| listening.contains(&socket.inode));
            found
        });
        found
    };
    let is_app = runs_node(command) && !is_launcher(command);
    if nodes.is_empty() || (is_app && (listens(&command) || !nodes.iter().any(listens))) {
        return command;
    }
    let is_last = |pid: &Pid| !family.iter().any(|process| process.parent == *pid && nodes.contains(&process.pid));
    let found = nodes.iter().find(|pid| listens(pid)).or_else(|| nodes.iter().find(|pid| is_last(pid)));
    found.copied().unwrap_or(command)
}

fn is_debugger(address: &ListenAddress) -> bool {
    matches!(address, ListenAddress::Tcp(address) if crate::procfs::inspector::is_inspector(address, b"", b"", (0, 0)))
}

fn is_launcher(pid: Pid) -> bool {
    let line = processes::command_line(pid);
    let words: Vec<&str> = line.split(|byte| *byte == 0).filter_map(|word| std::str::from_utf8(word).ok()).collect();
    launcher::of_words(&words).is_some()
}

/// What runs: the program and its script. All other arguments may be secrets.
fn title(words: &[&[u8]]) -> String {
    const LONGEST: usize = 100;
    let text = |word: &[u8]| command_name(&shown(word, LONGEST));
    let script = words.get(1..).unwrap_or_default().iter().find(|word| !word.is_empty());
    let script = script.filter(|word| !word.starts_with(b"-"));
    let program = words.first().map_or_else(|| "?".to_owned(), |word| text(word));
    script.map_or_else(|| program.clone(), |script| format!("{program} {}", text(script)))
}

/// Whether a process may be sent SIGUSR1 so that its inspector opens.
fn may_ask(pid: Pid) -> Result<(), String> {
    let not_ours = || format!("it is another user's process: ask as root or as its own user ({})", "docker exec --user");
    let theirs = credentials::of(&pid.to_string()).map_err(|error| format!("/proc does not show it: {error}"))?;
    let own = sockets::own_user();
    if own != 0 && own != theirs.euid {
        return Err(not_ours());
    }
    let Some(path) = main_thread::executable(pid) else {
        return Err("what program it runs cannot be seen: ask as its own user".to_owned());
    };
    if !is_node(&path) {
        return Err(format!("it runs {}, which is not Node: no signal was sent", command_name(&shown(&path, 200))));
    }
    let catches = processes::signal_status(pid).is_some_and(|status| status.catches(Signal::USR1));
    if !catches {
        return Err("this Node does not take SIGUSR1 (--disable-sigusr1, or it has only just started): no signal was sent; run it without that option".to_owned());
    }
    Ok(())
}

/// Waits until something is so, looking often, and until a moment at most.
pub(super) fn until<T>(
    interrupts: &super::session::Interrupts,
    end: Instant,
    mut look: impl FnMut() -> Option<T>,
) -> Result<Option<T>, super::session::Failure> {
    const BETWEEN: std::time::Duration = std::time::Duration::from_millis(5);
    loop {
        if let Some(found) = look() {
            return Ok(Some(found));
        }
        let now = Instant::now();
        if now >= end {
            return Ok(None);
        }
        interrupts.wait(None, end.min(now + BETWEEN))?;
    }
}
