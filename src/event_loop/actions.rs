//! The supervisor's actions, carried out by system calls. It decides nothing.

use std::os::fd::AsFd as _;

use nix::unistd::Pid;

use super::descendants::Running;
use super::memory::Look;
use super::retries::Sending;
use super::{EventLoop, SpawnOptions};
use crate::generation_number::GenerationNumber;
use crate::logger;
use crate::procfs::status::SignalStatus;
use crate::signal::Signal;
use crate::supervisor::event::{Action, ChannelEvent, Event, StartRole};
use crate::supervisor::exit::Exit;
use crate::supervisor::generation::Generation;
use crate::supervisor::spawn_failure::SpawnFailure;
use crate::sys::spawn::SpawnParams;
use crate::sys::{channel, processes, signals};

impl EventLoop {
    pub(super) fn act(&mut self, action: Action) -> Option<Event> {
        match action {
            Action::Spawn { generation, role, last_exit } => return Some(self.spawn(generation, role, last_exit)),
            Action::Forward { pid, signal, group } => {
                self.mark_leaving(pid);
                let insist = self.supervisor.is_stopping();
                let sending = self.retries.send(self.now(), pid, signal, group, insist);
                return (sending == Sending::Refused).then_some(Event::SignalRefused { pid });
            }
            Action::Kill { pid } => {
                let sending = self.retries.send(self.now(), pid, Signal::KILL, false, false);
                return Some(Event::KillSent { pid, allowed: sending == Sending::Taken });
            }
            Action::Probe { pid } => return Some(Event::Probed { pid, allowed: signals::may_send(pid) }),
            Action::LookAtSignals { pid } => {
                let survived = processes::signal_status(pid).map(SignalStatus::survived);
                return Some(Event::SignalsSeen { pid, survived });
            }
            Action::ForwardToLaunched { generation, signal } => self.descendants.forward_to_launched(generation, signal),
            Action::NoteFamily { generation, pid } => self.descendants.note_family(generation, pid),
            Action::Request { pid, request } => {
                self.mark_leaving(pid);
                let is_sent = self.links.send_request(pid, request, self.now());
                return (!is_sent).then_some(Event::Channel { pid, event: ChannelEvent::NotSent });
            }
            Action::Promote { pid } => self.links.promote(pid, self.now()),
            Action::KillAll => self.descendants.kill_all(),
            Action::EndLeftovers { generation, order } => {
                let of = |generation: &Generation| Running { generation: generation.number, pid: generation.pid };
                let running: Vec<Running> = self.supervisor.running().map(of).collect();
                return Some(Event::Leftovers { generation, found: self.descendants.end_leftovers(generation, order, &running) });
            }
            Action::LookAtMemory { pid } => {
                let Look { used, limit } = self.memory.look(pid);
                return Some(Event::Memory { used, limit });
            }
            Action::Suspend => signals::suspend(),
            Action::RestartDone(outcome) => self.server.restart_done(outcome, self.now()),
            // Told at the end of the turn: a restart does not wait for a line to be written.
            Action::Report(report) if logger::is_told(&report) => self.reports.push(report),
            Action::Report(_) => {}
            Action::Finish(ending) => self.ending = Some(ending),
        }
        None
    }

    fn spawn(&mut self, generation: GenerationNumber, role: StartRole, last_exit: Option<Exit>) -> Event {
        if let Some(terminal) = &self.terminal {
            terminal.prepare();
        }
        // Before the command runs: nobody else in the container can have the name then, and the command may ask at once.
        self.open_control();
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
        params.channel = Some(theirs.as_fd());
        let pid = self.spawner.spawn(params)?;
        self.links.spawned(self.now(), generation, pid, role, ours);
        Ok(pid)
    }

    /// What a command closes once it was asked to go is kept for the next one.
    fn mark_leaving(&mut self, pid: Pid) {
        if self.spawn_options.holds_ports
            && let Some(generation) = self.supervisor.leaving(pid)
        {
            self.links.sockets.leaving(generation);
        }
    }
}
