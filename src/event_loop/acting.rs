//! How each action is done: what the supervisor wants goes to whoever can do it. Nothing is decided.

use std::os::fd::AsFd as _;

use nix::unistd::Pid;

use super::link::ChannelEnd;
use super::memory::Look;
use super::retries::Sending;
use super::{EventLoop, setup};
use crate::generation_number::GenerationNumber;
use crate::logger;
use crate::procfs::status::SignalStatus;
use crate::signal::Signal;
use crate::supervisor::event::{Action, ChannelEvent, Event, IfRefused, Recipient, StartRole};
use crate::supervisor::exit::Exit;
use crate::supervisor::spawn_failure::SpawnFailure;
use crate::sys::spawn::{CommandEnd, SpawnParams};
use crate::sys::{channel, listening, processes, signals};

/// So many connections are looked at for open requests: the stop waits meanwhile.
const MOST_CONNECTIONS: usize = 4096;

/// What a generation is given by the settings.
#[derive(Clone, Copy, Debug)]
pub(super) struct SpawnOptions {
    pub has_channel: bool,
    pub holds_ports: bool,
    pub tells_role: bool,
}

impl EventLoop {
    /// Carries an action out, and gives back what answers it. It decides nothing.
    pub(super) fn act(&mut self, action: Action) -> Option<Event> {
        match action {
            Action::Spawn { generation, role, last_exit } => return Some(self.spawn(generation, role, last_exit)),
            Action::Forward { pid, signal, recipient, if_refused } => {
                let sending = self.send(pid, signal, recipient, if_refused);
                return (sending == Sending::Refused).then_some(Event::SignalRefused { pid });
            }
            Action::Kill { pid } => {
                let sending = self.send(pid, Signal::KILL, Recipient::Command, IfRefused::GiveUp);
                return Some(Event::KillSent { pid, allowed: sending == Sending::Taken });
            }
            Action::Probe { pid } => return Some(Event::Probed { pid, allowed: signals::may_send(pid) }),
            Action::LookAtSignals { pid } => {
                let survived = processes::signal_status(pid).map(SignalStatus::survived);
                return Some(Event::SignalsSeen { pid, survived });
            }
            Action::LookAtMemory { pid } => {
                let Look { used, limit } = self.memory.look(pid);
                return Some(Event::Memory { used, limit });
            }
            Action::Request { pid, request } => {
                let is_sent = self.links.send_request(pid, request, self.now);
                return (!is_sent).then_some(Event::Channel { pid, event: ChannelEvent::NotSent });
            }
            Action::EndLeftovers { generation, order, running } => {
                return Some(Event::Leftovers { generation, found: self.descendants.end_leftovers(generation, order, &running) });
            }
            Action::LookForRequests { pid } => return Some(Event::RequestsSeen { pid, open: count_open_requests(pid) }),
            Action::ForwardToLaunched { generation, signal } => self.descendants.forward_to_launched(generation, signal),
            Action::NoteFamily { generation, pid } => self.descendants.note_family(generation, pid),
            Action::KillAll => self.descendants.kill_all(),
            Action::LookForWork { pid } => return Some(Event::WorkSeen { pid, left: self.links.left_to_do(pid) }),
            Action::AskForStack { generation, pid } => match self.stack_lookup.begin(generation, pid, self.own_pid == setup::INIT) {
                Ok(by) => self.descendants.spare(by),
                Err(_) => return Some(Event::StackTold { pid, stack: Vec::new() }),
            },
            Action::LookAtFiles => match self.changes.begin(self.own_pid == setup::INIT) {
                Ok(by) => self.descendants.spare(by),
                Err(_) => return Some(Event::FilesSeen(None)),
            },
            Action::Check { pid } => return self.checker.begin(pid, self.now),
            Action::Watch { pid } => self.links.watch(pid),
            Action::Promote { pid } => self.links.promote(pid, self.now),
            Action::KeepSockets { generation } => self.links.sockets.leaving(generation),
            Action::ReleaseSockets => self.links.sockets.release_unused(),
            Action::ReleaseMissing { generation } => self.links.sockets.release_missing(generation),
            Action::LookForListeners { generation, pid } => {
                return Some(Event::ListenersSeen { pid, seen: self.look_for_listeners(generation, pid) });
            }
            Action::Suspend => signals::suspend(),
            Action::RestartDone(outcome) => self.restart_outcomes.push(outcome),
            // Told at the end of the turn: a restart does not wait for a line to be written.
            Action::Report(report) if logger::is_told(&report) => self.reports.push(report),
            Action::Report(_) => {}
            Action::Finish(ending) => self.ending = Some(ending),
        }
        None
    }

    /// Sends a signal to a command, now or, where the kernel did not take it, later.
    fn send(&mut self, pid: Pid, signal: Signal, recipient: Recipient, if_refused: IfRefused) -> Sending {
        let Err(error) = signals::send(pid, signal, recipient) else {
            log::debug!("{signal} forwarded to pid {pid}");
            return Sending::Taken;
        };
        self.retries.not_sent(self.now, error, pid, signal, recipient, if_refused)
    }

    fn spawn(&mut self, generation: GenerationNumber, role: StartRole, last_exit: Option<Exit>) -> Event {
        if let Some(terminal) = &self.terminal {
            terminal.prepare();
        }
        if !self.control_settled {
            // Before the command runs: nobody else in the container can have the name then, and the command may ask at once.
            self.open_control();
        }
        let spawned = self.spawn_linked(generation, role, last_exit);
        // Only now: the command need not wait for this.
        self.memory.generation_began();
        match spawned {
            Ok(pid) => Event::Spawned { pid },
            Err(failure) => Event::SpawnFailed(failure),
        }
    }

    /// With a Node channel, if there is to be one.
    fn spawn_linked(&mut self, generation: GenerationNumber, role: StartRole, last_exit: Option<Exit>) -> Result<Pid, SpawnFailure> {
        let SpawnOptions { has_channel, holds_ports, tells_role } = self.spawn_options;
        let mut params = SpawnParams { generation, role: tells_role.then_some(role), last_exit, channel: None, worker: holds_ports };
        if !has_channel {
            return self.spawner.spawn(params);
        }
        let (ours, theirs) = channel::pair().map_err(SpawnFailure::fork)?;
        let number = self.spawner.channel_number();
        params.channel = Some(CommandEnd { fd: theirs.as_fd(), number });
        let pid = self.spawner.spawn(params)?;
        let end = ChannelEnd { ours, number };
        let now = self.read_clock();
        self.links.spawned(now, generation, pid, role, end);
        Ok(pid)
    }
}

/// How many requests a command has open: those that are lost if it dies of a stop. As far as can be seen, and within some ten milliseconds.
fn count_open_requests(pid: Pid) -> usize {
    let Ok(listeners) = listening::sockets(pid) else { return 0 };
    let mut connections = Vec::new();
    let searched = processes::sockets_of(pid, 0, |descriptor| {
        let inode = descriptor.map(|descriptor| descriptor.inode);
        connections.extend(inode.filter(|inode| !listeners.iter().any(|listener| listener.inode == *inode)));
        connections.len() >= MOST_CONNECTIONS
    });
    // What it does not hold was not accepted yet, or is another's. Without any the kernel need not be asked.
    if searched.is_err() || connections.is_empty() {
        return 0;
    }
    listening::open_requests(pid, &connections, &listeners).unwrap_or(0)
}
