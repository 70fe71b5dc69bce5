//! What the commands' Node channels tell: readiness, ports, blocked event loops. Pure.

use super::Supervisor;
use super::event::{Action, Actions, News, Phase, Word};
use super::exit::Reason;
use super::generation::{Channel, Duty, Generation, Port};
use super::report::Report;
use super::time::Moment;

impl Supervisor {
    /// A command's own channel told of it.
    pub(super) fn heard(&mut self, now: Moment, pid: i32, news: News, actions: &mut Actions) {
        let stopping = matches!(self.phase, Phase::Stopping { .. });
        let Some(generation) = self.generations.iter_mut().find(|generation| generation.is_running() && generation.pid == pid) else {
            return;
        };
        let number = generation.number;
        // Whatever it says, somebody is there who speaks Node's words.
        let speaks = matches!(news, News::Answered | News::Ready | News::AtListen | News::Listening | News::Closed);
        if speaks && generation.channel == Channel::Open {
            generation.channel = Channel::Answered;
        }
        match news {
            News::Answered => {}
            News::Ready => {
                if !generation.said_ready && self.config.wait_ready.is_some() {
                    let after = now.saturating_sub(generation.started);
                    actions.push_back(Action::Report(Report::Ready { generation: number, pid, after }));
                }
                generation.said_ready = true;
            }
            News::AtListen => {
                generation.port = generation.port.max(Port::Asked);
                if generation.duty == Duty::Standby {
                    generation.ready_by = None;
                    actions.push_back(Action::Report(Report::StandbyWaits { generation: number, pid }));
                }
            }
            News::Listening => generation.port = Port::Listening,
            News::Closed => {
                generation.port = Port::Closed;
                // Node holds the channel open in a worker that has closed all its servers: the app would never end.
                if stopping || generation.is_retiring() {
                    actions.push_back(Action::Say { pid, word: Word::Disconnect });
                }
            }
            // Whoever is on the way out may be busy: the grace period is its limit.
            News::Blocked if stopping || generation.is_retiring() || generation.kill_reason.is_some() => {}
            News::Blocked => {
                let limit = self.config.watchdog.unwrap_or_default();
                generation.kill_reason = Some(Reason::EventLoopBlocked { limit });
                actions.push_back(Action::Kill { pid });
            }
            // Once: it would be the same of each generation.
            News::Silent if self.silence_told => {}
            News::Silent => {
                self.silence_told = true;
                actions.push_back(Action::Report(Report::Silent { generation: number, pid }));
            }
            News::Gone => generation.channel = Channel::None,
            News::Unsaid => self.not_said(pid, actions),
        }
        if let Some(generation) = self.generations.iter_mut().find(|generation| generation.number == number)
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
