//! How each action is done: what the supervisor wants goes to whoever can do it. Nothing is decided.

use super::memory::Look;
use super::retries::Sending;
use super::{EventLoop, open_requests, setup};
use crate::logger;
use crate::procfs::status::SignalStatus;
use crate::signal::Signal;
use crate::supervisor::event::{Action, ChannelEvent, Event, IfRefused, Recipient};
use crate::sys::{processes, signals};

impl EventLoop {
    /// Carries an action out, and gives back what answers it. It decides nothing.
    pub(super) fn act(&mut self, action: Action) -> Option<Event> {
        match action {
            Action::Spawn { generation, role, last_exit } => return Some(self.spawn(generation, role, last_exit)),
            Action::Forward { pid, signal, recipient, if_refused } => {
                let sending = self.retries.send(self.now, pid, signal, recipient, if_refused);
                return (sending == Sending::Refused).then_some(Event::SignalRefused { pid });
            }
            Action::Kill { pid } => {
                let sending = self.retries.send(self.now, pid, Signal::KILL, Recipient::Command, IfRefused::GiveUp);
                return Some(Event::KillSent { pid, allowed: sending == Sending::Taken });
            }
            Action::Probe { pid } => return Some(Event::Probed { pid, allowed: signals::may_send(pid) }),
            Action::LookAtSignals { pid } => {
                let survived = processes::signal_status(pid).map(SignalStatus::survived);
                return Some(Event::SignalsSeen { pid, survived });
            }
            Action::LookAtMemory { pid } => {
                let Look { used, limit } = self.memory.look(pid);
                return Some(Event::Memory { used, limit });
            }
            Action::Request { pid, request } => {
                let is_sent = self.links.send_request(pid, request, self.now);
                return (!is_sent).then_some(Event::Channel { pid, event: ChannelEvent::NotSent });
            }
            Action::EndLeftovers { generation, order, running } => {
                return Some(Event::Leftovers { generation, found: self.descendants.end_leftovers(generation, order, &running) });
            }
            Action::LookForRequests { pid } => return Some(Event::RequestsSeen { pid, open: open_requests::count(pid) }),
            Action::ForwardToLaunched { generation, signal } => self.descendants.forward_to_launched(generation, signal),
            Action::NoteFamily { generation, pid } => self.descendants.note_family(generation, pid),
            Action::KillAll => self.descendants.kill_all(),
            Action::LookForWork { pid } => return Some(Event::WorkSeen { pid, left: self.links.left_to_do(pid) }),
            Action::AskForStack { generation, pid } => match self.stack_lookup.begin(generation, pid, self.own_pid == setup::INIT) {
                Ok(by) => self.descendants.spare(by),
                Err(_) => return Some(Event::StackTold { pid, stack: Vec::new() }),
            },
            Action::LookAtFiles => match self.changes.begin(self.own_pid == setup::INIT) {
                Ok(by) => self.descendants.spare(by),
                Err(_) => return Some(Event::FilesSeen(None)),
            },
            Action::Check { pid } => return self.checker.begin(pid, self.now),
            Action::Watch { pid } => self.links.watch(pid),
            Action::Promote { pid } => self.links.promote(pid, self.now),
            Action::KeepSockets { generation } => self.links.sockets.leaving(generation),
            Action::ReleaseSockets => self.links.sockets.release_unused(),
            Action::ReleaseMissing { generation } => self.links.sockets.release_missing(generation),
            Action::LookForListeners { generation, pid } => {
                return Some(Event::ListenersSeen { pid, seen: self.look_for_listeners(generation, pid) });
            }
            Action::Suspend => signals::suspend(),
            Action::RestartDone(outcome) => self.restart_outcomes.push(outcome),
            // Told at the end of the turn: a restart does not wait for a line to be written.
            Action::Report(report) if logger::is_told(&report) => self.reports.push(report),
            Action::Report(_) => {}
            Action::Finish(ending) => self.ending = Some(ending),
        }
        None
    }
}
