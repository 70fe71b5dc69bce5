//! What the commands' Node channels tell: readiness, ports, blocked event loops. Pure.

use nix::unistd::Pid;

use super::Supervisor;
use super::event::{Action, Actions, AppRequest, ChannelEvent, Phase};
use super::exit::Reason;
use super::generation::{self, ChannelState, Duty, Generation, Port};
use super::report::Report;
use crate::time::Moment;

impl Supervisor {
    /// Something came over a command's own channel.
    pub(super) fn channel_event(&mut self, now: Moment, pid: Pid, event: ChannelEvent, actions: &mut Actions) {
        let stopping = matches!(self.phase, Phase::Stopping { .. });
        let Some(generation) = generation::with_pid(&mut self.generations, pid) else { return };
        let number = generation.number;
        // Whatever it says, somebody is there who speaks Node's words.
        let speaks = matches!(
            event,
            ChannelEvent::Answered | ChannelEvent::Ready | ChannelEvent::AtListen | ChannelEvent::Listening | ChannelEvent::Closed
        );
        if speaks && generation.channel == ChannelState::Open {
            generation.channel = ChannelState::Answered;
        }
        match event {
            ChannelEvent::Answered => {}
            ChannelEvent::Ready => {
                if !generation.said_ready && self.config.wait_ready.is_some() {
                    let after = now.since(generation.started);
                    actions.push_back(Action::Report(Report::Ready { generation: number, pid, after }));
                }
                generation.said_ready = true;
            }
            ChannelEvent::AtListen => {
                generation.port = generation.port.max(Port::Asked);
                if generation.duty == Duty::Standby {
                    generation.ready_by = None;
                    actions.push_back(Action::Report(Report::StandbyWaits { generation: number, pid }));
                }
            }
            ChannelEvent::Listening => generation.port = Port::Listening,
            ChannelEvent::Closed => {
                generation.port = Port::Closed;
                if stopping {
                    actions.push_back(Action::ReleaseSockets);
                }
                // Node holds the channel open in a worker that has closed all its servers: the app would never end.
                if stopping || generation.is_retiring() {
                    actions.push_back(Action::Request { pid, request: AppRequest::Disconnect });
                }
            }
            // Whoever is on the way out may be busy: the grace period is its limit.
            ChannelEvent::Blocked if stopping || generation.is_retiring() || generation.kill_reason.is_some() => {}
            ChannelEvent::Blocked => {
                let limit = self.config.watchdog.unwrap_or_default();
                generation.kill_reason = Some(Reason::EventLoopBlocked { limit });
                actions.push_back(Action::Kill { pid });
            }
            // Once: it would be the same of each generation.
            ChannelEvent::Silent if self.silence_told => {}
            ChannelEvent::Silent => {
                self.silence_told = true;
                actions.push_back(Action::Report(Report::Silent { generation: number, pid }));
            }
            ChannelEvent::Gone => generation.channel = ChannelState::None,
            ChannelEvent::NotSent => self.request_not_sent(pid, actions),
        }
        if let Some(generation) = generation::with_number(&mut self.generations, number)
            && generation.is_ready(self.config.wait_ready)
            && generation.duty == Duty::Active
        {
            generation.ready_by = None;
        }
        self.advance_planned_restart(now, actions);
    }

    /// Those that are not ready by now are killed: a crash like any other.
    pub(super) fn tick_readiness(&mut self, now: Moment, actions: &mut Actions) {
        let limit = self.config.wait_ready.unwrap_or(Self::SUCCESSOR_LIMIT);
        let late = |generation: &&mut Generation| generation.is_running() && generation.ready_by.is_some_and(|at| at <= now);
        for generation in self.generations.iter_mut().filter(late) {
            generation.ready_by = None;
            generation.kill_reason = Some(Reason::NotReady { limit });
            actions.push_back(Action::Kill { pid: generation.pid });
        }
    }
}
