//! Planned restarts: asked for by a person, or by the memory limit. They spend no restart of the budget. Where ports are held, the
//! successor listens before the old generation is asked to stop; else the old one ends first. Pure.

use std::time::Duration;

use nix::unistd::Pid;

use super::Supervisor;
use super::event::{Action, Actions, Next, Phase};
use super::exit::{Reason, Run};
use super::generation::{Duty, Generation, Port, Readiness};
use super::reach::cannot_be_signalled;
use super::report::Report;
use crate::generation_number::GenerationNumber;
use crate::time::{Moment, human};

/// A planned restart that is under way: until its new generation is ready.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Planned {
    pub reason: Reason,
    /// The new generation has at least this number, unless it is a successor that was a standby before.
    from: GenerationNumber,
    /// Without an overlap, if it cannot be had.
    pub is_forced: bool,
    /// When whoever waits for it is told that the new generation is not ready; `None`: it does not run yet, or has a limit of its own.
    give_up_at: Option<Moment>,
}

/// A planned restart that is wanted, while it is asked whether the active generation may be signalled at all.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Wanted {
    reason: Reason,
    because: Because,
    is_forced: bool,
}

/// What else there is to say of the reason of a planned restart.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Because {
    /// Nothing.
    Itself,
    /// So much is used and allowed, in bytes.
    Memory { used: u64, limit: u64 },
    /// This one of the paths that are watched.
    Changed { path: usize },
}

impl Planned {
    fn new(reason: Reason, from: GenerationNumber) -> Planned {
        Planned { reason, from, is_forced: false, give_up_at: None }
    }

    pub(super) fn is_new(self, number: GenerationNumber) -> bool {
        number >= self.from
    }

    pub(super) fn give_up_at(self) -> Option<Moment> {
        self.give_up_at
    }
}

impl Supervisor {
    /// How long a planned restart waits for the old generation to stop where no grace period is set: no orchestrator watches over it.
    pub const PLANNED_GRACE: Duration = Duration::from_secs(30);
    /// How long a successor has until it listens, where no `--wait-ready` says it.
    pub const SUCCESSOR_LIMIT: Duration = Duration::from_secs(60);

    /// Why nothing can be restarted now; `None`: it can.
    pub fn refuses_restart(&self) -> Option<String> {
        let next = match self.phase {
            Phase::Supervising(next) => next,
            Phase::Draining { .. } | Phase::Stopping { .. } | Phase::Ended => {
                return Some("a stop is under way: nothing is restarted any more".to_owned());
            }
        };
        if let Next::HandOver(ending) = next {
            return Some(format!("restartinit is about to end: {}", ending.outcome.name()));
        }
        if let Some(reason) = self.planned.map(|planned| planned.reason).or(self.wanted.map(|wanted| wanted.reason)) {
            return Some(format!("a planned restart is under way already ({})", reason.name()));
        }
        // Else whoever asks again and again has ever more processes that finish what they have begun.
        if let Some(old) = self.running().find(|generation| generation.is_retiring()) {
            return Some(format!("generation {} (pid {}), which was replaced before, has not ended yet", old.number, old.pid));
        }
        if let Some((ending, reason)) = self.active().and_then(|active| active.kill_reason.map(|reason| (active, reason))) {
            return Some(format!("generation {} (pid {}) is being ended already: {}", ending.number, ending.pid, reason.text()));
        }
        let ended = self.generations.iter().find(|generation| !generation.is_running() && next == Next::Undecided)?;
        Some(format!("leftovers of generation {} have not ended yet", ended.number))
    }

    /// `is_forced`: without an overlap, if it cannot be had.
    pub(super) fn restart_asked(&mut self, now: Moment, is_forced: bool, actions: &mut Actions) {
        if let Some(why) = self.refuses_restart() {
            return actions.push_back(Action::RestartDone(Err(why)));
        }
        if let Phase::Supervising(Next::Spawn { .. }) = self.phase {
            self.planned = Some(Planned::new(Reason::Asked, self.latest.next()));
            self.phase = Phase::Supervising(Next::Spawn { due: now });
            actions.push_back(Action::Report(Report::Planned { generation: None, reason: Reason::Asked, memory: None, path: None }));
        } else {
            self.plan(Reason::Asked, Because::Itself, actions);
            self.wanted.iter_mut().for_each(|wanted| wanted.is_forced = is_forced);
        }
    }

    /// A planned restart of the active generation is wanted.
    pub(super) fn plan(&mut self, reason: Reason, because: Because, actions: &mut Actions) {
        let Some(active) = self.active() else { return };
        let pid = active.pid;
        // Where it listens is where the next one is expected to; and whether it was ever ready.
        if !self.look_if_needed(active, actions) && self.overlap.cannot_be() {
            actions.push_back(Action::LookForListeners { generation: active.number, pid });
        }
        self.wanted = Some(Wanted { reason, because, is_forced: false });
        actions.push_back(Action::Probe { pid });
    }

    /// Begins the planned restart that is wanted, if the active generation can be asked to make room; else nothing is disturbed.
    pub(super) fn probed(&mut self, now: Moment, pid: Pid, allowed: bool, actions: &mut Actions) {
        let Some(wanted) = self.wanted.take() else { return };
        let reason = wanted.reason;
        let Some(active) = self.active().filter(|active| active.pid == pid) else { return };
        let (number, is_known) = (active.number, active.out_of_reach);
        if let Some(active) = self.with_duty(Duty::Active) {
            active.out_of_reach = !allowed;
        }
        if allowed {
            return self.begin_planned_restart(now, wanted, actions);
        }
        let why = cannot_be_signalled(number, pid);
        // Of the memory limit there is a new look every few seconds.
        if !is_known || reason == Reason::Asked {
            actions.push_back(Action::Report(Report::PlanFailed { reason, why: why.clone(), goes_on: Some(number) }));
        }
        if reason == Reason::Asked {
            actions.push_back(Action::RestartDone(Err(why)));
        }
    }

    fn begin_planned_restart(&mut self, now: Moment, wanted: Wanted, actions: &mut Actions) {
        let Wanted { reason, because, is_forced } = wanted;
        let Some(active) = self.active() else { return };
        let (number, pid) = (active.number, active.pid);
        let overlaps = self.config.holds_ports() && active.port == Port::Listening && !self.overlap_cannot_be();
        self.planned = Some(Planned { is_forced, ..Planned::new(reason, self.latest.next()) });
        let (memory, path) = match because {
            Because::Itself => (None, None),
            Because::Memory { used, limit } => (Some((used, limit)), None),
            Because::Changed { path } => (None, Some(self.watched_path(path))),
        };
        actions.push_back(Action::Report(Report::Planned { generation: Some((number, pid)), reason, memory, path }));
        if !overlaps {
            return self.go_without_overlap(now, number, reason, actions);
        }
        // One that waits already costs no more memory. A person may have changed what the app reads as it starts.
        let (limit, whole_limit) = (self.config.ready_limit().unwrap_or(Self::SUCCESSOR_LIMIT), self.whole_limit());
        if reason == Reason::MemoryLimit
            && let Some(standby) = self.with_duty(Duty::Standby)
        {
            standby.duty = Duty::Successor;
            standby.ready_by = Some(now + limit);
            standby.readiness = Readiness::beginning(now, Some(now + whole_limit));
            let pid = standby.pid;
            self.standby.promoted(now);
            actions.push_back(Action::Promote { pid });
        } else {
            self.spawn(Duty::Successor, actions);
        }
    }

    /// Goes on with a planned restart once its new generation is there.
    pub(super) fn advance_planned_restart(&mut self, now: Moment, actions: &mut Actions) {
        let Some(plan) = self.planned else { return };
        let reason = plan.reason;
        if !matches!(self.phase, Phase::Supervising(_)) {
            return;
        }
        let boots = self.running().any(|generation| generation.duty == Duty::Successor);
        let is_new = |generation: &&mut Generation| match generation.duty {
            Duty::Successor => generation.can_take_over(),
            // The old one has ended, before or meanwhile.
            Duty::Active => !boots && plan.is_new(generation.number) && generation.is_ready(),
            Duty::Standby | Duty::Retiring { .. } | Duty::Dismissed { .. } => false,
        };
        let old = self.active().map(|active| active.number);
        let Some(new) = self.generations.iter_mut().filter(|generation| generation.is_running()).find(is_new) else { return };
        new.duty = Duty::Active;
        new.ready_by = None;
        let (number, pid, after) = (new.number, new.pid, now.since(new.readiness.began));
        self.planned = None;
        if let Some(old) = old.filter(|old| *old != number) {
            actions.push_back(Action::Report(Report::TakenOver { generation: number, pid, after, old, reason }));
            self.retire(now, old, reason, Duration::ZERO, actions);
            self.overlap.succeeded();
            self.tally.count(super::exit::Exit::Code(0), Some(reason));
            self.replace_standby(now, actions);
        }
        actions.push_back(Action::RestartDone(Ok(format!("generation {number} (pid {pid}) is ready after {}", human(after)))));
    }

    /// The planned restart has come to nothing; nothing happens where there is none.
    pub(super) fn plan_failed(&mut self, why: &str, actions: &mut Actions) {
        if let Some(Planned { reason, .. }) = self.planned.take() {
            let goes_on = self.active().map(|active| active.number);
            actions.push_back(Action::Report(Report::PlanFailed { reason, why: why.to_owned(), goes_on }));
            actions.push_back(Action::RestartDone(Err(why.to_owned())));
        }
    }

    /// The old generation ends before the next one begins.
    pub(super) fn go_without_overlap(&mut self, now: Moment, number: GenerationNumber, reason: Reason, actions: &mut Actions) {
        let was_ready = self.active().is_some_and(|active| active.readiness.was_ready);
        let drain_delay = if was_ready { self.config.drain_delay } else { Duration::ZERO };
        self.planned = Some(Planned::new(reason, self.latest.next()));
        self.retire(now, number, reason, drain_delay, actions);
    }

    /// The successor of the active generation, which has ended, is the new one.
    pub(super) fn plan_goes_on_with(&mut self, now: Moment, successor: GenerationNumber) {
        let give_up_at = self.waits_no_longer_than(now);
        if let Some(planned) = &mut self.planned {
            *planned = Planned { from: successor, give_up_at, ..*planned };
        }
    }

    /// How long a plan waits for its new generation, which serves alone and is not ended for being slow.
    fn waits_no_longer_than(&self, now: Moment) -> Option<Moment> {
        self.config.ready_limit().is_none().then(|| now + Self::SUCCESSOR_LIMIT)
    }

    /// The new generation of a plan runs, if there is a plan.
    pub(super) fn plan_has_spawned(&mut self, now: Moment) {
        let give_up_at = self.waits_no_longer_than(now);
        if let Some(planned) = &mut self.planned {
            planned.give_up_at = give_up_at;
        }
    }

    /// Whoever waits for a planned restart need not wait for ever.
    pub(super) fn tick_planned_restart(&mut self, now: Moment, actions: &mut Actions) {
        if self.planned.and_then(Planned::give_up_at).is_some_and(|at| at <= now) {
            let why = self.active().map_or_else(String::new, |active| self.why_unready(now, active));
            self.plan_failed(&why, actions);
        }
    }

    /// The active generation has ended. If it was the new one, that was it; a successor that boots goes on with the plan.
    pub(super) fn plan_failed_unless_booting(&mut self, run: &Run, actions: &mut Actions) {
        if self.planned.is_some_and(|planned| planned.is_new(run.generation)) {
            self.plan_failed(&run.to_string(), actions);
        }
    }
}

#[cfg(test)]
mod tests;
