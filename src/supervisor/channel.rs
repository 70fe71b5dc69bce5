//! What the commands' Node channels tell: readiness, ports, blocked event loops; and the held sockets that went with them. Pure.

use nix::unistd::Pid;

use super::Supervisor;
use super::event::{Action, Actions, AppRequest, ChannelEvent, Phase};
use super::exit::Reason;
use super::generation::{self, ChannelState, Duty, Knowledge, Port, Said};
use super::report::Report;
use crate::generation_number::GenerationNumber;
use crate::procfs::listeners::ListenAddress;
use crate::time::Moment;

impl Supervisor {
    /// Something came over a command's own channel.
    pub(super) fn channel_event(&mut self, now: Moment, pid: Pid, event: ChannelEvent, actions: &mut Actions) {
        let stopping = matches!(self.phase, Phase::Stopping { .. });
        let Some(generation) = generation::with_pid(&mut self.generations, pid) else { return };
        let number = generation.number;
        // Whatever it says, somebody is there who speaks Node's words.
        let speaks = match event {
            ChannelEvent::Answered
            | ChannelEvent::Ready
            | ChannelEvent::Unready
            | ChannelEvent::AtListen
            | ChannelEvent::Listening(_)
            | ChannelEvent::Closed => true,
            ChannelEvent::Blocked | ChannelEvent::Silent | ChannelEvent::Gone | ChannelEvent::NotSent => false,
        };
        if speaks && generation.channel == ChannelState::Open {
            generation.channel = ChannelState::Answered;
        }
        match event {
            ChannelEvent::Answered => {}
            ChannelEvent::Ready => generation.said = Said::Ready,
            ChannelEvent::Unready => {
                generation.said = Said::Unready;
                actions.push_back(Action::Report(Report::Unready { generation: number, pid }));
            }
            ChannelEvent::AtListen => {
                generation.port = generation.port.max(Port::Asked);
                if generation.duty == Duty::Standby {
                    generation.ready_by = None;
                    actions.push_back(Action::Report(Report::StandbyWaits { generation: number, pid }));
                }
            }
            ChannelEvent::Listening(held) => {
                generation.port = Port::Listening;
                generation.listening.held = held;
            }
            ChannelEvent::Closed => {
                generation.port = Port::Closed;
                generation.listening.held.clear();
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
        self.update_readiness(now, number, Knowledge::Exact, actions);
        self.advance_planned_restart(now, actions);
    }

    /// Nobody is expected to listen any more where an app has closed a held socket for good.
    pub(super) fn sockets_released(&mut self, now: Moment, addresses: &[ListenAddress], actions: &mut Actions) {
        self.expected.forget(addresses);
        let served: Vec<GenerationNumber> = self.running().map(|generation| generation.number).collect();
        served.into_iter().for_each(|number| self.update_readiness(now, number, Knowledge::Exact, actions));
        self.advance_planned_restart(now, actions);
    }
}

#[cfg(test)]
mod tests;
