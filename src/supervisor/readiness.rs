//! When a generation is ready: what it is asked for, when it is looked for, what is made of it. Pure.

use std::time::Duration;

use nix::unistd::Pid;

use super::Supervisor;
use super::event::{Action, Actions, Next, Phase};
use super::exit::{Awaited, Exit, Reason};
use super::generation::{self, Duty, Generation, Knowledge, Port, Readiness, Said};
use super::policy;
use super::report::Report;
use crate::config::values::ReadyWhen;
use crate::generation_number::GenerationNumber;
use crate::procfs::listeners::Listeners;
use crate::time::Moment;

impl Readiness {
    const PAUSE: Duration = Duration::from_millis(10);
    const PAUSE_MAX: Duration = Duration::from_secs(1);

    /// That of a generation that begins; it has until `whole_by` to listen everywhere.
    pub(super) fn beginning(now: Moment, whole_by: Option<Moment>) -> Readiness {
        Readiness { began: now, whole_by, look_at: now + Self::PAUSE, pause: Self::PAUSE, ..Readiness::default() }
    }
}

impl Supervisor {
    /// How long a generation has until it listens wherever its predecessor did, where no `--wait-ready` says more.
    pub const WHOLE_LIMIT: Duration = Duration::from_secs(60);
    /// The same for one that began to listen only when that time was over.
    const SETTLED_AFTER: Duration = Duration::from_secs(10);

    /// How long a generation that replaces another has until it is whole.
    pub(super) fn whole_limit(&self) -> Duration {
        self.config.ready_limit().unwrap_or_default().max(Self::WHOLE_LIMIT)
    }

    /// Whether it counts as ready as soon as it runs.
    pub(super) fn counts_from_its_start(&self, generation: &Generation) -> bool {
        match self.config.ready_when() {
            ReadyWhen::Started => true,
            ReadyWhen::Message => false,
            ReadyWhen::Listening(_) => self.kind.is_worker || generation.listening.is_unknowable,
        }
    }

    /// Whether it is by listening that a generation is ready: where a launcher has the channel, nothing else can be known.
    fn goes_by_listening(&self, generation: &Generation) -> bool {
        matches!(self.config.ready_when(), ReadyWhen::Listening(_)) || generation.has_launcher
    }

    /// Whether the message that makes it ready has come. What a launcher has passed on holds for the app behind it, which may be gone while the
    /// launcher waits for a changed file.
    fn said_it(&self, generation: &Generation) -> bool {
        let is_left_alone = generation.has_launcher && self.kind.has_listened && !generation.listening.is_anywhere();
        *self.config.ready_when() == ReadyWhen::Message && generation.said == Said::Ready && !is_left_alone
    }

    /// What a generation has not done yet of what makes it ready.
    pub(super) fn awaited(&self, generation: &Generation) -> Option<Awaited> {
        match self.config.ready_when() {
            _ if generation.said == Said::Unready => Some(Awaited::Unready),
            ReadyWhen::Message if self.said_it(generation) => None,
            // Nobody can say it.
            ReadyWhen::Message if generation.has_launcher => (!generation.listening.is_anywhere()).then_some(Awaited::Listener),
            ReadyWhen::Message => Some(Awaited::Message),
            _ if self.counts_from_its_start(generation) => None,
            _ if !generation.listening.is_anywhere() => Some(Awaited::Listener),
            ReadyWhen::Listening(ports) => (!generation.listening.missing_ports(ports).is_empty()).then_some(Awaited::Ports),
            ReadyWhen::Started => None,
        }
    }

    /// Something about a generation has changed: whether it is ready now.
    pub(super) fn update_readiness(&mut self, now: Moment, number: GenerationNumber, knowledge: Knowledge, actions: &mut Actions) {
        let Some(generation) = self.generations.iter().find(|generation| generation.number == number) else { return };
        let serves = matches!(generation.duty, Duty::Active | Duty::Successor);
        // One that is on its way out never becomes ready again.
        if !generation.is_running() || !serves || generation.kill_reason.is_some() {
            return;
        }
        let listens = generation.listening.is_anywhere();
        let is_whole = (listens || generation.port == Port::Listening) && self.expected.missing(&generation.listening).next().is_none();
        let by_listening = self.goes_by_listening(generation) && !self.counts_from_its_start(generation) && !self.said_it(generation);
        let is_whole = generation.readiness.is_whole || is_whole;
        let is_ready = self.awaited(generation).is_none() && (is_whole || !by_listening);
        let (stable_after, from_start) = (self.config.stable_after, self.counts_from_its_start(generation));
        let is_supervising = matches!(self.phase, Phase::Supervising(_));
        let (holds_ports, is_awaited, is_watched) =
            (self.config.holds_ports(), self.is_awaited(generation), self.config.watchdog.is_some());
        if listens {
            self.kind.has_listened = true;
            self.kind.is_worker = false;
        }
        let Some(generation) = generation::with_number(&mut self.generations, number) else { return };
        let readiness = &mut generation.readiness;
        readiness.is_whole = is_whole;
        if !is_whole && listens && is_supervising && readiness.whole_by.is_none() {
            readiness.whole_by = Some(now + Self::SETTLED_AFTER);
        } else if is_whole && !holds_ports {
            readiness.whole_by = None;
        }
        match readiness.since {
            None if is_ready => {
                readiness.since = Some(now);
                let is_first = !std::mem::replace(&mut readiness.was_ready, true);
                let (pid, after) = (generation.pid, now.since(readiness.began));
                if is_first && !from_start && (knowledge == Knowledge::Exact || is_awaited) {
                    let serves_again = number != GenerationNumber::FIRST && generation.duty == Duty::Active;
                    actions.push_back(Action::Report(Report::Ready { generation: number, pid, after, knowledge, serves_again }));
                }
                // Another may speak by now than when it was ready before.
                if is_watched {
                    actions.push_back(Action::Watch { pid });
                }
                self.check_later(now, number);
            }
            Some(since) if !is_ready => {
                readiness.since = None;
                readiness.has_worked |= !from_start && now.since(since) >= stable_after;
            }
            Some(_) | None => {}
        }
        let Some(generation) = generation::with_number(&mut self.generations, number) else { return };
        if generation.is_ready() && generation.duty == Duty::Active {
            generation.ready_by = None;
            self.expected.learn(number, &generation.listening);
        }
    }

    /// Whether the restarts before a generation, which ended so, may be forgotten in time.
    pub(super) fn has_worked(&self, now: Moment, generation: &Generation, exit: Option<Exit>) -> bool {
        let window = self.config.restart_window;
        let for_long = if self.counts_from_its_start(generation) {
            !window.is_zero() && now.since(generation.started) >= window
        } else {
            generation.readiness.since.is_some_and(|since| now.since(since) >= self.config.stable_after)
        };
        let is_success = exit.is_some_and(|exit| policy::is_success(&self.config, exit));
        (is_success || for_long || generation.readiness.has_worked) && !self.never_passed(generation)
    }

    /// Whether the kernel has to be asked where a generation listens.
    fn must_be_looked_at(&self, generation: &Generation) -> bool {
        let by_listening = self.goes_by_listening(generation);
        let held_tell_all = !generation.listening.held.is_empty() && !self.expected.has_own();
        by_listening && !held_tell_all && !generation.listening.is_unknowable
    }

    fn look_for_listeners(generation: &Generation) -> Action {
        Action::LookForListeners { generation: generation.number, pid: generation.pid }
    }

    /// Looks where a generation listens, where that is what makes it ready and nothing else tells; tells whether it does.
    pub(super) fn look_if_needed(&self, generation: &Generation, actions: &mut Actions) -> bool {
        let is_needed = self.must_be_looked_at(generation);
        actions.extend(is_needed.then(|| Self::look_for_listeners(generation)));
        is_needed
    }

    pub(super) fn readiness_asked(&self, actions: &mut Actions) {
        if let (Phase::Supervising(Next::Undecided), Some(active)) = (self.phase, self.active()) {
            self.look_if_needed(active, actions);
        }
    }

    pub(super) fn listeners_seen(&mut self, now: Moment, pid: Pid, seen: Option<Listeners>, actions: &mut Actions) {
        if let Some(generation) = generation::with_pid(&mut self.generations, pid)
            && let Some(seen) = seen
        {
            let number = generation.number;
            match seen {
                Listeners::Found(found) => generation.listening.found = found,
                Listeners::Unknowable => {
                    generation.listening.is_unknowable = true;
                    if !std::mem::replace(&mut self.kind.unknowable_told, true) {
                        actions.push_back(Action::Report(Report::ListenersUnknowable { generation: number, pid }));
                    }
                }
            }
            self.tell_what_is_not_held(pid, actions);
            self.guess_worker(now, number, pid, actions);
            self.update_readiness(now, number, Knowledge::Seen, actions);
            self.advance_planned_restart(now, actions);
        }
        self.answer_overlap(now, actions);
        if let Some(stop) = self.stop_awaits_look.take() {
            self.begin_stop(now, stop, false, actions);
        }
    }

    /// Whether somebody waits for a generation to become ready, though nobody asks.
    fn is_awaited(&self, generation: &Generation) -> bool {
        let is_new = self.planned.is_some_and(|planned| planned.is_new(generation.number));
        let after_a_crash = self.restarts.awaits_a_run_that_works() && !generation.readiness.was_ready;
        generation.ready_by.is_some() || is_new || after_a_crash || self.is_notified
    }

    /// Whom to look at, unasked, and when.
    pub(super) fn look_due(&self) -> Option<Moment> {
        let active = self.active().filter(|_| self.phase == Phase::Supervising(Next::Undecided))?;
        let is_due = !active.is_ready() && self.must_be_looked_at(active) && self.is_awaited(active);
        is_due.then_some(active.readiness.look_at)
    }

    /// Time has passed: who is looked at, who has had time enough. Those that are not ready by now are killed: a crash like any other.
    pub(super) fn tick_readiness(&mut self, now: Moment, actions: &mut Actions) {
        let is_due = |at: Option<Moment>| at.is_some_and(|at| at <= now);
        if is_due(self.look_due())
            && let Some(active) = self.with_duty(Duty::Active)
        {
            let readiness = &mut active.readiness;
            readiness.pause = readiness.pause.saturating_mul(2).min(Readiness::PAUSE_MAX);
            readiness.look_at = now + readiness.pause;
            actions.push_back(Self::look_for_listeners(active));
        }
        let settled: Vec<GenerationNumber> =
            self.running().filter(|generation| is_due(generation.readiness.whole_by)).map(|generation| generation.number).collect();
        for number in settled {
            self.time_to_be_whole_is_over(now, number, actions);
        }
        let limit = self.config.ready_limit().unwrap_or(Self::SUCCESSOR_LIMIT);
        let late: Vec<GenerationNumber> =
            self.running().filter(|generation| is_due(generation.ready_by)).map(|generation| generation.number).collect();
        for number in late {
            let Some(generation) = self.generations.iter().find(|generation| generation.number == number) else { continue };
            let awaited = match generation.duty {
                // It has not come to its `listen()`.
                Duty::Standby => Some(Awaited::Listener),
                // It takes over by listening at a held port.
                Duty::Successor if generation.port != Port::Listening => Some(Awaited::Listener),
                Duty::Active | Duty::Successor | Duty::Retiring { .. } | Duty::Dismissed { .. } => self.awaited(generation),
            };
            let Some(generation) = generation::with_number(&mut self.generations, number) else { continue };
            generation.ready_by = None;
            if let Some(awaited) = awaited {
                generation.kill_reason = Some(Reason::NotReady { limit, awaited });
                actions.push_back(Action::Kill { pid: generation.pid });
            }
        }
    }

    /// A generation that has not come to listen at each address of its predecessor by now never will: it does without.
    fn time_to_be_whole_is_over(&mut self, now: Moment, number: GenerationNumber, actions: &mut Actions) {
        let holds_ports = self.config.holds_ports();
        let Some(generation) = generation::with_number(&mut self.generations, number) else { return };
        generation.readiness.whole_by = None;
        if !generation.listening.is_anywhere() && generation.port != Port::Listening {
            return;
        }
        if !std::mem::replace(&mut generation.readiness.is_whole, true) {
            let pid = generation.pid;
            let missing: Vec<String> = self.expected.missing(&generation.listening).map(ToString::to_string).collect();
            actions.push_back(Action::Report(Report::AddressesMissing { generation: number, pid, missing }));
        }
        self.update_readiness(now, number, Knowledge::Exact, actions);
        self.advance_planned_restart(now, actions);
        if holds_ports {
            actions.push_back(Action::ReleaseMissing { generation: number });
        }
    }
}

#[cfg(test)]
mod tests;
