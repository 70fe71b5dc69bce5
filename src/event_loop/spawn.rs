//! A spawn: what a generation is given, and what is done before and after it.

use std::os::fd::AsFd as _;

use nix::unistd::Pid;

use super::EventLoop;
use super::link::ChannelEnd;
use crate::generation_number::GenerationNumber;
use crate::supervisor::event::{Event, StartRole};
use crate::supervisor::exit::Exit;
use crate::supervisor::spawn_failure::SpawnFailure;
use crate::sys::channel;
use crate::sys::spawn::{CommandEnd, SpawnParams};

/// What a generation is given by the settings.
#[derive(Clone, Copy, Debug)]
pub(super) struct SpawnOptions {
    pub has_channel: bool,
    pub holds_ports: bool,
    pub tells_role: bool,
}

impl EventLoop {
    pub(super) fn spawn(&mut self, generation: GenerationNumber, role: StartRole, last_exit: Option<Exit>) -> Event {
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
