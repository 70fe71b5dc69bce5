//! What must hold in the world of the exploration, whatever happens in it.

use std::time::Duration;

use nix::unistd::Pid;

use super::world::{Question, SECOND, World};
use crate::config::values::StopBy;
use crate::signal::Signal;
use crate::supervisor::Supervisor;
use crate::supervisor::bench::{HUP, TERM, ms, signal};
use crate::supervisor::event::{Action, AppRequest, Event, StartRole};
use crate::supervisor::exit::{Exit, Outcome};
use crate::supervisor::generation::{Duty, Generation};
use crate::supervisor::report::Report;
use crate::supervisor::sweep::Found;
use crate::supervisor::sweep::{GIVE_UP_AFTER, LAUNCHED_GRACE};

impl World {
    pub(super) fn check(&mut self, action: Action) {
        assert!(self.finished.is_none(), "an action after the end: {action:?}");
        match action {
            Action::Spawn { role, .. } => {
                assert!(!self.stopped, "a spawn after a stop");
                assert!(!self.spawn_asked, "two spawns at once");
                assert!(self.unswept.is_empty(), "a spawn beside the leftovers of {:?}", self.unswept);
                let plain = !self.supervisor.config.holds_ports();
                assert!(!plain || self.alive.is_empty(), "two commands at once where no port is held: {:?}", self.supervisor);
                assert!(role == StartRole::Active || self.supervisor.config.standby);
                let is_behind = |pid: &Pid| self.spoken_for.contains(pid);
                assert!(role == StartRole::Active || !self.alive.iter().any(is_behind), "a standby beside a launcher");
                self.spawn_asked = true;
            }
            Action::LookAtFiles => assert!(!self.stopped, "files are looked at after a stop"),
            Action::Check { pid } => {
                let others = self.supervisor.running().filter(|generation| generation.pid != pid);
                let disturbs = |generation: &Generation| !matches!(generation.duty, Duty::Standby | Duty::Dismissed { .. });
                assert!(!others.into_iter().any(disturbs), "who answers a check is not known");
                assert!(self.alive.contains(&pid) && !self.stopped, "a check of nobody");
            }
            Action::Forward { pid, .. }
            | Action::Request { pid, .. }
            | Action::Promote { pid }
            | Action::Watch { pid }
            | Action::LookForWork { pid }
            | Action::LookAtMemory { pid }
            | Action::Kill { pid }
            | Action::Probe { pid }
            | Action::LookAtSignals { pid }
            | Action::LookForRequests { pid }
            | Action::AskForStack { pid, .. }
            | Action::NoteFamily { pid, .. }
            | Action::LookForListeners { pid, .. } => {
                assert!(self.alive.contains(&pid), "a signal or a message to a reaped pid");
                match action {
                    Action::Kill { .. } => self.questions.push_back(Question::MayKill(pid)),
                    Action::Probe { .. } => self.questions.push_back(Question::MaySignal(pid)),
                    Action::LookForWork { .. } => self.questions.push_back(Question::Work(pid)),
                    Action::Request { request: AppRequest::Disconnect, .. } => {
                        let drains = self.supervisor.config.stop_by == StopBy::Drain;
                        assert!(drains || !self.busy.contains(&pid), "one that has work to do is told to let go of its channel");
                    }
                    Action::LookForListeners { .. } => self.questions.push_back(Question::Listeners(pid)),
                    Action::LookAtSignals { .. } => self.questions.push_back(Question::Prepared(pid)),
                    Action::Forward { signal, .. } => {
                        self.check_unprepared(pid, signal);
                        self.forwarded.extend(self.harsh.then_some(pid));
                    }
                    _ => {}
                }
            }
            Action::EndLeftovers { generation, running, .. } => {
                let spared = |pid: &Pid| running.iter().any(|running| running.pid == *pid);
                assert!(running.len() == self.alive.len() && self.alive.iter().all(spared), "{running:?} are not those that run");
                self.asked.push(generation);
            }
            Action::KeepSockets { .. } => assert!(self.supervisor.config.holds_ports(), "sockets are kept where none is held"),
            Action::ReleaseMissing { generation } => {
                let waited = |g: &Generation| g.number != generation || self.now.since(g.started) >= Supervisor::WHOLE_LIMIT;
                assert!(self.supervisor.running().all(waited), "a port is closed that generation {generation} may still ask for");
            }
            Action::ReleaseSockets => assert!(self.stopped, "sockets are released that the next generation needs"),
            Action::Finish(ending) => {
                let gives_up = ending.outcome == Outcome::CannotSignal;
                assert!(!gives_up || self.harsh, "a command that may be signalled is given up");
                let is_left = |pid: &Pid| self.supervisor.running().any(|g| g.pid == *pid && Supervisor::is_left_behind(g));
                assert!(gives_up || self.alive.iter().all(is_left), "the end while a command runs");
                assert!(gives_up || self.unswept.is_empty(), "the end beside the leftovers of {:?}", self.unswept);
                assert!(![Outcome::RestartsExhausted, Outcome::CannotSignal].contains(&ending.outcome) || ending.code != 0);
                assert!(gives_up || (ending.outcome == Outcome::Stopped) == self.stopped, "{ending:?}");
                assert!(self.supervisor.planned.is_none(), "somebody still waits for a planned restart");
                self.finished = Some(ending);
            }
            Action::Report(Report::LeftoversRemain { generation, .. }) => self.unswept.retain(|unswept| *unswept != generation),
            Action::RestartDone(_) => self.restart_awaited = false,
            Action::ForwardToLaunched { .. } | Action::KillAll | Action::Suspend | Action::Report(_) => {}
        }
    }

    /// A signal that would end a command just after its spawn is not sent before it is prepared for it.
    fn check_unprepared(&self, pid: Pid, signal: Signal) {
        let is_young = |g: &Generation| g.pid == pid && g.duty == Duty::Active && self.now.since(g.started) < SECOND;
        let is_hup = Signal::new(HUP) == Some(signal) && !self.stopped;
        let young = is_hup && self.supervisor.running().any(is_young);
        assert!(!young || self.prepared.contains(&pid), "{signal} ends a command that has just begun");
    }

    /// A stop from here comes to its end, whatever the commands do, within drain, grace and leftover time; where no grace period is set,
    /// once they end. In a storm of signals, and where the leftovers do not end.
    pub(super) fn a_stop_ends(&self, stubborn: bool) {
        let mut world = self.clone();
        let begun = world.now;
        world.tell(signal(TERM));
        for _ in 0..2000 {
            if world.finished.is_some() {
                break;
            }
            if let Some(question) = world.questions.front().copied() {
                let answer = world.answers(question).swap_remove(0);
                world.tell(answer);
                if let Question::MayKill(pid) = question
                    && world.alive.contains(&pid)
                    && world.finished.is_none()
                {
                    world.tell(Event::Exited { pid, exit: Exit::Code(137), reason: None });
                    world.tell(Event::Reaped { children: stubborn });
                }
            } else if let Some(generation) = world.asked.first().copied() {
                let launched = usize::from(stubborn && world.is_apart(generation));
                let found = Some(Found { launched, others: usize::from(stubborn), refused: None });
                world.tell(Event::Leftovers { generation, found });
            } else if world.supervisor.next_deadline().is_some() {
                world.now = world.supervisor.next_deadline().unwrap_or(world.now).max(world.now);
                world.tell(Event::Tick { signals_pending: true });
            } else if let Some(pid) = world.alive.first().copied() {
                assert!(world.supervisor.config.grace_period.is_zero(), "the grace period ends nothing: {}", self.key());
                world.tell(Event::Exited { pid, exit: Exit::Code(128 + TERM as u8), reason: None });
                world.tell(Event::Reaped { children: stubborn });
            } else {
                world.tell(Event::Reaped { children: stubborn });
            }
        }
        assert!(
            world.finished.is_some(),
            "a stop does not end: {}: {:?} {:?}\nbegan as {:?}",
            self.key(),
            world.now,
            world.supervisor,
            self.supervisor
        );
        let config = &world.supervisor.config;
        let launched = if stubborn && config.grace_period.is_zero() { LAUNCHED_GRACE } else { Duration::ZERO };
        let most = config.drain_delay + config.grace_period + launched + config.leftover_timeout + GIVE_UP_AFTER + ms(100);
        assert!(config.grace_period.is_zero() || world.now.since(begun) <= most, "a stop takes too long: {}", self.key());
    }
}
