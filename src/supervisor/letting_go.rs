//! Node holds the channel of a worker of ours open, and by that its event loop: an app that would end by itself is told to let go of it, and no
//! other is. Pure.

use nix::unistd::Pid;

use super::Supervisor;
use super::event::{Action, Actions, AppRequest, Phase};
use super::generation::{self, ChannelState, Duty, Generation, Port};
use super::report::Report;
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

    /// Whether the active generation may listen on a port that is not held, which nobody has been told.
    pub(super) fn may_listen_by_itself(&self, generation: &Generation) -> bool {
        let is_unknown = generation.listening.found.is_empty() && !generation.listening.is_unknowable && !self.told_not_held;
        let serves = generation.duty == Duty::Active && matches!(self.phase, Phase::Supervising(_));
        self.config.holds_ports() && generation.port == Port::None && serves && is_unknown
    }

    pub(super) fn rest_due(&self) -> Option<Moment> {
        let is_looked_at = |generation: &&Generation| self.may_be_held(generation) || self.may_listen_by_itself(generation);
        self.running().filter(is_looked_at).map(|generation| generation.rest.due()).min()
    }

    pub(super) fn tick_rest(&mut self, now: Moment, actions: &mut Actions) {
        let is_hurried = |generation: &Generation| generation.port == Port::Closed || self.is_asked_to_stop(generation);
        let due = self.running().filter(|generation| generation.rest.due() <= now);
        let looks = due.map(|generation| {
            (generation.pid, is_hurried(generation), self.may_be_held(generation), self.may_listen_by_itself(generation))
        });
        let looks: Vec<_> = looks.filter(|(_, _, may_be_held, may_listen)| *may_be_held || *may_listen).collect();
        for (pid, is_hurried, may_be_held, may_listen) in looks {
            let Some(generation) = generation::with_pid(&mut self.generations, pid) else { continue };
            generation.rest.looked(now, is_hurried);
            actions.extend(may_listen.then_some(Action::LookForListeners { generation: generation.number, pid }));
            actions.extend(may_be_held.then_some(Action::LookForWork { pid }));
        }
    }

    /// The surest sign of a port that is not held, whatever stands between us and the app: somebody listens there.
    pub(super) fn tell_what_is_not_held(&mut self, pid: Pid, actions: &mut Actions) {
        if !self.config.holds_ports() || self.told_not_held {
            return;
        }
        let Some(generation) = self.running().find(|generation| generation.pid == pid && generation.duty == Duty::Active) else { return };
        let own = Self::own_addresses(generation);
        if !own.is_empty() {
            actions.push_back(Action::Report(Report::NotHeld { generation: generation.number, pid, addresses: own }));
            self.told_not_held = true;
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
