//! What the commands' Node channels tell: readiness, ports, blocked event loops; and the held sockets that went with them. Pure.

use nix::unistd::Pid;

use super::Supervisor;
use super::event::{Action, Actions, ChannelEvent, Phase};
use super::generation::{self, ChannelState, Duty, Knowledge, Port, Said};
use super::report::Report;
use super::rest::Rest;
use super::stop_request::StopRequest;
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
            | ChannelEvent::Closed
            | ChannelEvent::RequestAnswered
            | ChannelEvent::AnotherSpeaks => true,
            ChannelEvent::Blocked(_)
            | ChannelEvent::Late(_)
            | ChannelEvent::Silent
            | ChannelEvent::Gone
            | ChannelEvent::NotSent
            | ChannelEvent::LauncherSpeaks
            | ChannelEvent::Disconnecting => false,
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
                    self.standby.waits();
                    generation.ready_by = None;
                    actions.push_back(Action::Report(Report::StandbyWaits { generation: number, pid }));
                }
            }
            ChannelEvent::Listening(held) => {
                if held.len() < generation.listening.held.len() {
                    generation.stop_request.iter_mut().for_each(StopRequest::closed_a_server);
                }
                generation.port = Port::Listening;
                generation.listening.held = held;
            }
            ChannelEvent::Closed => {
                generation.port = Port::Closed;
                generation.listening.held.clear();
                if stopping {
                    actions.push_back(Action::ReleaseSockets);
                }
                generation.stop_request.iter_mut().for_each(StopRequest::closed_a_server);
                generation.rest.look_soon(now);
            }
            ChannelEvent::Disconnecting => generation.rest.end(),
            ChannelEvent::RequestAnswered => generation.stop_request.iter_mut().for_each(StopRequest::answered),
            ChannelEvent::AnotherSpeaks => {
                (generation.port, generation.said, generation.stop_request) = (Port::None, Said::Nothing, None);
                generation.listening.held.clear();
                generation.rest = Rest::beginning(now);
                (generation.channel, generation.has_launcher) = (ChannelState::Answered, false);
            }
            // Whoever is on the way out may be busy: the grace period is its limit.
            ChannelEvent::Blocked(_) if stopping || generation.is_retiring() || generation.kill_reason.is_some() => {}
            ChannelEvent::Blocked(hang) => self.loop_blocked(now, pid, hang, actions),
            ChannelEvent::Late(hang) => actions.push_back(Action::Report(Report::LoopLate { generation: number, pid, hang })),
            // Once: it would be the same of each generation.
            ChannelEvent::Silent if self.silence_told => {}
            ChannelEvent::Silent => {
                self.silence_told = true;
                actions.push_back(Action::Report(Report::Silent { generation: number, pid }));
            }
            ChannelEvent::Gone => {
                generation.channel = ChannelState::None;
                if generation.stop_request.is_some_and(|request| !request.was_heard()) {
                    self.signal_follows(pid, actions);
                }
            }
            ChannelEvent::NotSent => self.signal_follows(pid, actions),
            // A stop goes by the signal, and its listening tells whether the app is ready.
            ChannelEvent::LauncherSpeaks => {
                generation.channel = ChannelState::None;
                generation.has_launcher = true;
            }
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
