//! What the hall has the hands do for each of the supervisor's actions. It decides nothing.

use std::os::fd::AsFd as _;

use super::descendants::Running;
use super::memory::Look;
use super::retrying::Sending;
use super::{Hall, SpawnOptions};
use crate::logger;
use crate::procfs::status::SignalStatus;
use crate::signal::Signal;
use crate::supervisor::event::{Action, Event, News, Role};
use crate::supervisor::exit::Exit;
use crate::supervisor::generation::Generation;
use crate::supervisor::spawn_failure::SpawnFailure;
use crate::sys::spawn::SpawnParams;
use crate::sys::{processes, signals};

impl Hall {
    pub(super) fn act(&mut self, action: Action) -> Option<Event> {
        match action {
            Action::Spawn { generation, role, last_exit } => return Some(self.spawn(generation, role, last_exit)),
            Action::Forward { pid, signal, group } => {
                self.mark_leaving(pid);
                let insist = self.supervisor.is_stopping();
                let sending = self.retrying.send(self.now(), pid, signal, group, insist);
                return (sending == Sending::Refused).then_some(Event::SignalRefused { pid, signal });
            }
            Action::Kill { pid } => {
                let sending = self.retrying.send(self.now(), pid, Signal::KILL, false, false);
                return Some(Event::KillSent { pid, allowed: sending == Sending::Taken });
            }
            Action::Probe { pid } => return Some(Event::Probed { pid, allowed: signals::may_send(pid) }),
            Action::LookAtSignals { pid } => {
                let survived = processes::signal_status(pid).map(SignalStatus::survived);
                return Some(Event::SignalsSeen { pid, survived });
            }
            Action::NoteFamily { generation, pid } => self.descendants.note_family(generation, pid),
            Action::Say { pid, word } => {
                self.mark_leaving(pid);
                let said = self.channels.say(pid, word, self.now());
                return (!said).then_some(Event::Channel { pid, news: News::Unsaid });
            }
            Action::Promote { pid } => self.channels.promote(pid, self.now()),
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

    fn spawn(&mut self, generation: u32, role: Role, last_exit: Option<Exit>) -> Event {
        if let Some(terminal) = &self.terminal {
            terminal.prepare();
        }
        // Before the command runs: nobody else in the container can have the name then, and the command may ask at once.
        self.open_control();
        let spawned = self.spawn_wired(generation, role, last_exit);
        // Only now: the command need not wait for this.
        self.memory.generation_began();
        match spawned {
            Ok(pid) => Event::Spawned { pid },
            Err(failure) => Event::SpawnFailed(failure),
        }
    }

    /// With a Node channel, if there is to be one.
    fn spawn_wired(&mut self, generation: u32, role: Role, last_exit: Option<Exit>) -> Result<i32, SpawnFailure> {
        let SpawnOptions { has_channel, holds_ports, tells_role } = self.spawn_options;
        let mut params = SpawnParams { generation, role: tells_role.then_some(role), last_exit, channel: None, worker: holds_ports };
        if !has_channel {
            return self.launcher.spawn(params);
        }
        let channel = self.channels.open(self.now(), generation, role == Role::Standby).map_err(SpawnFailure::fork)?;
        params.channel = Some(channel.as_fd());
        let spawned = self.launcher.spawn(params);
        self.channels.spawned(self.now(), generation, spawned.as_ref().ok().copied());
        spawned
    }

    /// What a command closes once it was asked to go is kept for the next one.
    fn mark_leaving(&mut self, pid: i32) {
        if self.spawn_options.holds_ports
            && let Some(generation) = self.supervisor.leaving(pid)
        {
            self.channels.sockets.leaving(generation);
        }
    }
}
