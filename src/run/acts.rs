//! What the hall has the hands do for each of the supervisor's actions. It decides nothing.

use std::io;
use std::os::fd::AsFd as _;

use super::{Hall, Wiring};
use crate::logger;
use crate::signal::Signal;
use crate::supervisor::event::{Action, Event, News, Role};
use crate::supervisor::exit::{Exit, SpawnFailure, SpawnStep};
use crate::supervisor::family;
use crate::sys::spawn::Gifts;
use crate::sys::{processes, signals};

impl Hall {
    pub(super) fn act(&mut self, action: Action) -> Option<Event> {
        match action {
            Action::Spawn { generation, role, last_exit } => return Some(self.spawn(generation, role, last_exit)),
            Action::Forward { pid, signal, group } => {
                self.mark_leaving(pid);
                self.retrying.send(self.now(), pid, signal, group);
            }
            Action::Say { pid, word } => {
                self.mark_leaving(pid);
                let said = self.channels.say(pid, word, self.now());
                return (!said).then_some(Event::Channel { pid, news: News::Unsaid });
            }
            Action::Promote { pid } => self.channels.promote(pid, self.now()),
            Action::KillAll => {
                // The commands apart as well: they can be ended even where /proc cannot be read.
                let commands: Vec<i32> = self.supervisor.running().map(|generation| generation.pid).collect();
                commands.into_iter().for_each(|pid| self.retrying.send(self.now(), pid, Signal::KILL, false));
                signals::send_all(&self.family(&self.foreign).unwrap_or_default(), Signal::KILL);
            }
            Action::EndLeftovers { generation, signal } => {
                let count = self.end_leftovers(signal);
                return Some(Event::Leftovers { generation, count });
            }
            Action::LookAtMemory { pid } => return Some(Event::Memory { used: self.memory.used(pid) }),
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
            terminal.retake();
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
        let Wiring { has_channel, holds_ports, tells_role } = self.wiring;
        let mut gifts = Gifts { generation, role: tells_role.then_some(role), last_exit, channel: None, worker: holds_ports };
        if !has_channel {
            return self.launcher.spawn(gifts);
        }
        let short_of = |errno| SpawnFailure { step: SpawnStep::Fork, errno, file_exists: false };
        let channel = self.channels.open(self.now(), generation, role == Role::Standby).map_err(short_of)?;
        gifts.channel = Some(channel.as_fd());
        let spawned = self.launcher.spawn(gifts);
        self.channels.spawned(self.now(), generation, spawned.as_ref().ok().copied());
        spawned
    }

    /// What a command closes once it was asked to go is kept for the next one.
    fn mark_leaving(&mut self, pid: i32) {
        if self.wiring.holds_ports
            && let Some(generation) = self.supervisor.leaving(pid)
        {
            self.channels.sockets.leaving(generation);
        }
    }

    /// Our descendants, but for those trees.
    fn family(&self, spared: &[i32]) -> io::Result<Vec<i32>> {
        processes::list().map(|all| family::descendants(all, self.own_pid, spared))
    }

    /// Signals what is left of generations that have ended; tells how many there are, if that can be known.
    fn end_leftovers(&self, signal: Option<Signal>) -> Option<usize> {
        let running: Vec<(u32, i32)> = self.supervisor.running().map(|generation| (generation.number, generation.pid)).collect();
        let spared: Vec<i32> = running.iter().map(|(_, pid)| *pid).chain(self.foreign.iter().copied()).collect();
        match self.family(&spared) {
            Ok(mut leftovers) => {
                if !running.is_empty() {
                    // An orphan may be one of a generation that runs. Whose it is, its environment tells; where that cannot be read it is left
                    // alone until no generation runs.
                    let generation = |pid: &i32| processes::environ(*pid).and_then(|environ| family::generation_of(&environ));
                    let has_ended = |number: u32| running.iter().all(|(running, _)| *running != number);
                    leftovers.retain(|pid| generation(pid).is_some_and(has_ended));
                }
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
}
