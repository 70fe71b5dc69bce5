//! Whether a worker of ours has anything left to do. Node holds the channel of a worker open, and by that its event loop: an app that would end
//! by itself is told to let go of it, and no other is. Pure.

use std::time::Duration;

use nix::unistd::Pid;

use super::Supervisor;
use super::event::{Action, Actions, AppRequest, Phase};
use super::generation::{self, ChannelState, Duty, Generation, Port};
use crate::procfs::node_loop::Left;
use crate::time::Moment;

/// When a worker is looked at, and what the looks have shown.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Rest {
    look_at: Moment,
    pause: Duration,
    /// The last look showed that it has nothing left to do: one more has to.
    had_nothing: bool,
    /// Since when it has waited for others alone, or cannot be looked at.
    waits_since: Option<Moment>,
    /// It lets go by itself, or was told to.
    is_over: bool,
}

impl Rest {
    /// A script without a server runs for as long as it likes: it is looked at ever more seldom, and ends at most as late as it has run.
    const FIRST_LOOK: Duration = Duration::from_millis(250);
    const PAUSE_MAX: Duration = Duration::from_secs(60);
    /// Somebody waits for one that was asked to stop.
    const PAUSE: Duration = Duration::from_millis(10);
    const PAUSE_MAX_OF_A_STOP: Duration = Duration::from_secs(1);
    /// One that was asked to stop and waits for nothing but connections, such as an agent keeps in reserve, is done after so long.
    const QUIET: Duration = Duration::from_secs(3);

    pub(super) fn beginning(now: Moment) -> Rest {
        Rest { look_at: now + Self::FIRST_LOOK, pause: Self::FIRST_LOOK, ..Rest::default() }
    }

    /// It may have nothing left to do from now on.
    pub(super) fn look_soon(&mut self, now: Moment) {
        if !self.is_over {
            *self = Rest { look_at: now + Self::PAUSE, pause: Self::PAUSE, ..Rest::default() };
        }
    }

    /// It lets go by itself.
    pub(super) fn is_over(&mut self) {
        self.is_over = true;
    }
}

#[cfg(test)]
impl Rest {
    /// What tells it from another: when it is looked at, since when it has waited, what else is known.
    pub(super) fn key(self) -> (Moment, Option<Moment>, bool, bool) {
        (self.look_at, self.waits_since.map(|since| since + Self::QUIET), self.had_nothing, self.is_over)
    }
}

impl Supervisor {
    /// Whether the channel alone may keep a generation from its end.
    pub(super) fn may_be_held(&self, generation: &Generation) -> bool {
        let is_held = match generation.port {
            Port::None => generation.listening.found.is_empty(),
            Port::Closed => true,
            Port::Asked | Port::Listening => false,
        };
        let is_dismissed = matches!(generation.duty, Duty::Dismissed { .. });
        self.config.holds_ports() && is_held && !is_dismissed && generation.channel == ChannelState::Answered && !generation.rest.is_over
    }

    /// Whether a generation was asked to stop.
    pub(super) fn is_asked_to_stop(&self, generation: &Generation) -> bool {
        matches!(self.phase, Phase::Stopping { .. }) || matches!(generation.duty, Duty::Retiring { ask_at: None, .. })
    }

    pub(super) fn rest_due(&self) -> Option<Moment> {
        self.running().filter(|generation| self.may_be_held(generation)).map(|generation| generation.rest.look_at).min()
    }

    pub(super) fn tick_rest(&mut self, now: Moment, actions: &mut Actions) {
        let due = |generation: &&Generation| self.may_be_held(generation) && generation.rest.look_at <= now;
        let due: Vec<(Pid, bool)> =
            self.running().filter(due).map(|generation| (generation.pid, self.is_asked_to_stop(generation))).collect();
        for (pid, is_asked) in due {
            let Some(generation) = generation::with_pid(&mut self.generations, pid) else { continue };
            let most = if is_asked || generation.port == Port::Closed { Rest::PAUSE_MAX_OF_A_STOP } else { Rest::PAUSE_MAX };
            let rest = &mut generation.rest;
            rest.pause = rest.pause.saturating_mul(2).min(most);
            rest.look_at = now + rest.pause;
            actions.push_back(Action::LookForWork { pid });
        }
    }

    pub(super) fn work_seen(&mut self, now: Moment, pid: Pid, left: Option<Left>, actions: &mut Actions) {
        let Some(generation) = self.running().find(|generation| generation.pid == pid && self.may_be_held(generation)) else { return };
        let is_stopping = self.is_asked_to_stop(generation) && generation.port == Port::Closed;
        let Some(generation) = generation::with_pid(&mut self.generations, pid) else { return };
        let rest = &mut generation.rest;
        // Where nobody has asked it to stop, a long timer is as good as any.
        let left = match left {
            Some(Left::LongTimer) if is_stopping => Some(Left::Nothing),
            Some(Left::LongTimer) => Some(Left::Work),
            left => left,
        };
        let is_done = match left {
            Some(Left::Nothing) if !rest.had_nothing => {
                rest.had_nothing = true;
                rest.look_at = now + Rest::PAUSE;
                false
            }
            Some(Left::Nothing) => true,
            Some(Left::Others) | None => {
                rest.had_nothing = false;
                let since = *rest.waits_since.get_or_insert(now);
                is_stopping && now.since(since) >= Rest::QUIET
            }
            Some(Left::Work | Left::LongTimer) => {
                (rest.had_nothing, rest.waits_since) = (false, None);
                false
            }
        };
        if is_done {
            rest.is_over = true;
            actions.push_back(Action::Request { pid, request: AppRequest::Disconnect });
        }
    }
}
