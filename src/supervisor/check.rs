//! `--check`: when the app is asked, what is made of its answers, and how one that fails is ended: as a planned restart would, but as a crash.
//! Pure.

use std::time::Duration;

use nix::unistd::Pid;

use super::Supervisor;
use super::event::{Action, Actions};
use super::exit::Reason;
use super::fault::Fault;
use super::generation::{self, Generation, StopSent};
use super::report::Report;
use crate::generation_number::GenerationNumber;
use crate::time::Moment;

/// How the checks of one generation went.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct CheckWatch {
    of: GenerationNumber,
    look_at: Moment,
    /// It is being asked now.
    is_asked: bool,
    has_passed: bool,
    /// Since it passed last.
    failures: u32,
    last: Option<Result<Duration, Fault>>,
}

#[cfg(test)]
impl CheckWatch {
    pub(super) fn look_at(self) -> Moment {
        self.look_at
    }

    /// What else tells it from another.
    pub(super) fn key(self) -> (bool, bool, u32) {
        (self.is_asked, self.has_passed, self.failures)
    }
}

/// What observers may know of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CheckView {
    pub url: String,
    /// The last answer of this generation and how long it took; `None`: none yet.
    pub last: Option<Result<Duration, Fault>>,
    pub failures: u32,
    pub allowed: u32,
    /// Of all generations.
    pub failures_total: u64,
}

impl Supervisor {
    /// How long a generation that fails its check has to stop where no grace period is set.
    const CHECK_GRACE: Duration = Duration::from_secs(10);

    /// Whom to ask, and when: nobody while one replaces another, who would answer is not known then.
    pub(super) fn check_due(&self) -> Option<Moment> {
        let watch = self.check.filter(|watch| !watch.is_asked)?;
        let active = self.undisturbed()?;
        (active.is_ready() && active.number == watch.of).then_some(watch.look_at)
    }

    /// Another generation may be the active one by now, and ready: its first look comes after a pause.
    pub(super) fn note_check(&mut self, now: Moment) {
        if self.config.check.is_none() {
            return;
        }
        let Some(of) = self.active().filter(|active| active.is_ready()).map(|active| active.number) else { return };
        if self.check.is_none_or(|watch| watch.of != of) {
            let look_at = now + self.config.check_interval;
            self.check = Some(CheckWatch { of, look_at, is_asked: false, has_passed: false, failures: 0, last: None });
        }
    }

    /// A generation is ready, perhaps once more: a pause comes first.
    pub(super) fn check_later(&mut self, now: Moment, number: GenerationNumber) {
        let look_at = now + self.config.check_interval;
        if let Some(watch) = self.check.as_mut().filter(|watch| watch.of == number) {
            watch.look_at = watch.look_at.max(look_at);
        }
    }

    pub(super) fn tick_check(&mut self, now: Moment, actions: &mut Actions) {
        if self.check_due().is_none_or(|at| at > now) {
            return;
        }
        let pid = self.active().map(|active| active.pid);
        let interval = self.config.check_interval;
        if let (Some(watch), Some(pid)) = (&mut self.check, pid) {
            (watch.is_asked, watch.look_at) = (true, now + interval);
            actions.push_back(Action::Check { pid });
        }
    }

    pub(super) fn checked(&mut self, now: Moment, pid: Pid, answer: Result<Duration, Fault>, actions: &mut Actions) {
        let allowed = self.config.check_failures.get();
        let Some(watch) = &mut self.check else { return };
        watch.is_asked = false;
        watch.look_at = watch.look_at.max(now);
        let of = watch.of;
        // Whose answer it was is not known any more, or it does not matter.
        let Some(number) =
            self.undisturbed().filter(|active| active.is_ready() && (active.number, active.pid) == (of, pid)).map(|one| one.number)
        else {
            return;
        };
        let Some(watch) = &mut self.check else { return };
        watch.last = Some(answer);
        match answer {
            Ok(_) => (watch.has_passed, watch.failures) = (true, 0),
            Err(fault) if fault.is_excused(watch.has_passed) => {}
            Err(fault) => {
                watch.failures += 1;
                self.check_failures_total += 1;
                let failures = watch.failures;
                actions.push_back(Action::Report(Report::CheckFailed { generation: number, pid, fault, failures, allowed }));
                if failures >= allowed {
                    self.end_unhealthy(now, number, Reason::CheckFailed { failures, last: fault }, actions);
                }
            }
        }
    }

    /// Asks a generation to stop, since it has failed; it is killed if it takes too long.
    fn end_unhealthy(&mut self, now: Moment, number: GenerationNumber, reason: Reason, actions: &mut Actions) {
        let grace = self.config.grace_or(Self::CHECK_GRACE);
        let (signal, group_has_it) = (self.planned_signal(), self.config.group);
        let Some(generation) = generation::with_number(&mut self.generations, number) else { return };
        generation.need_not_be_ready();
        generation.readiness.since = None;
        generation.kill_reason = Some(reason);
        generation.kill_at = Some(now + grace);
        Self::note_stop(generation, StopSent { at: now, signal, group_has_it }, &self.config, actions);
        self.ask_to_stop(now, number, signal, actions);
    }

    /// Those that were asked to stop, as they have failed, are killed when they take too long.
    pub(super) fn tick_unhealthy(&mut self, now: Moment, actions: &mut Actions) {
        for generation in self.generations.iter_mut().filter(|generation| generation.is_running()) {
            if generation.kill_at.take_if(|at| *at <= now).is_some() {
                actions.push_back(Action::Kill { pid: generation.pid });
            }
        }
    }

    /// Whether a generation that ends by its check had never passed one: then it has not worked, however long it listened.
    pub(super) fn never_passed(&self, generation: &Generation) -> bool {
        let is_reason = matches!(generation.kill_reason, Some(Reason::CheckFailed { .. }));
        is_reason && !self.check.is_some_and(|watch| watch.of == generation.number && watch.has_passed)
    }

    /// `None`: nobody checks.
    pub(super) fn check_view(&self) -> Option<CheckView> {
        let url = self.config.check.as_ref()?.to_string();
        let watch = self.check.filter(|watch| self.active().is_some_and(|active| active.number == watch.of));
        Some(CheckView {
            url,
            last: watch.and_then(|watch| watch.last),
            failures: watch.map_or(0, |watch| watch.failures),
            allowed: self.config.check_failures.get(),
            failures_total: self.check_failures_total,
        })
    }
}

#[cfg(test)]
mod tests;
