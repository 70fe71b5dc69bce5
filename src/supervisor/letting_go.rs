//! Node holds the channel of a worker of ours open, and by that its event loop: an app that would end by itself is told to let go of it, and no
//! other is. Pure.

use nix::unistd::Pid;

use super::Supervisor;
use super::event::{Action, Actions, AppRequest, Phase};
use super::generation::{self, ChannelState, Duty, Generation, Port};
use crate::procfs::node_loop::Left;
use crate::time::Moment;

impl Supervisor {
    /// Whether the channel alone may keep a generation from its end.
    pub(super) fn may_be_held(&self, generation: &Generation) -> bool {
        let is_held = match generation.port {
            Port::None => generation.listening.found.is_empty(),
            Port::Closed => true,
            Port::Asked | Port::Listening => false,
        };
        let is_dismissed = matches!(generation.duty, Duty::Dismissed { .. });
        self.config.holds_ports() && is_held && !is_dismissed && generation.channel == ChannelState::Answered && !generation.rest.is_over()
    }

    /// Whether a generation was asked to stop.
    fn is_asked_to_stop(&self, generation: &Generation) -> bool {
        matches!(self.phase, Phase::Stopping { .. }) || matches!(generation.duty, Duty::Retiring { ask_at: None, .. })
    }

    pub(super) fn rest_due(&self) -> Option<Moment> {
        self.running().filter(|generation| self.may_be_held(generation)).map(|generation| generation.rest.due()).min()
    }

    pub(super) fn tick_rest(&mut self, now: Moment, actions: &mut Actions) {
        let due = |generation: &&Generation| self.may_be_held(generation) && generation.rest.due() <= now;
        let is_hurried = |generation: &Generation| generation.port == Port::Closed || self.is_asked_to_stop(generation);
        let due: Vec<(Pid, bool)> = self.running().filter(due).map(|generation| (generation.pid, is_hurried(generation))).collect();
        for (pid, is_hurried) in due {
            let Some(generation) = generation::with_pid(&mut self.generations, pid) else { continue };
            generation.rest.looked(now, is_hurried);
            actions.push_back(Action::LookForWork { pid });
        }
    }

    pub(super) fn work_seen(&mut self, now: Moment, pid: Pid, left: Option<Left>, actions: &mut Actions) {
        let Some(generation) = self.running().find(|generation| generation.pid == pid && self.may_be_held(generation)) else { return };
        let is_stopping = self.is_asked_to_stop(generation) && generation.port == Port::Closed;
        if let Some(generation) = generation::with_pid(&mut self.generations, pid)
            && generation.rest.seen(now, left, is_stopping)
        {
            actions.push_back(Action::Request { pid, request: AppRequest::Disconnect });
        }
    }
}
