//! The standby: when one is spawned, and what becomes of one that dies waiting. It never touches the service. Pure.

use std::time::Duration;

use super::Supervisor;
use super::event::{Action, Actions, IfRefused, Next, Phase, Recipient};
use super::exit::Run;
use super::generation::{self, Duty, Generation, Port};
use super::policy::doubled;
use super::report::Report;
use crate::generation_number::GenerationNumber;
use crate::signal::Signal;
use crate::time::Moment;

/// When the next standby may be spawned.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub(super) struct StandbyPlan {
    not_before: Moment,
    /// Those in a row that died waiting.
    failures: u32,
}

/// The next standby boots, and so keeps a processor busy, only after the one that was promoted has had the time to answer those who wait.
const BREATH: Duration = Duration::from_millis(100);

impl StandbyPlan {
    pub(super) fn wait_until(&mut self, moment: Moment) {
        self.not_before = self.not_before.max(moment);
    }

    pub(super) fn promoted(&mut self, now: Moment) {
        self.failures = 0;
        self.wait_until(now + BREATH);
    }
}

#[cfg(test)]
impl StandbyPlan {
    pub(super) fn not_before(self) -> Moment {
        self.not_before
    }
}

impl Supervisor {
    /// When a standby is to be spawned: once the active generation serves, and while nothing else is being changed.
    pub(super) fn standby_due(&self) -> Option<Moment> {
        let is_wanted = self.config.standby
            && self.phase == Phase::Supervising(Next::Undecided)
            && self.planned.is_none()
            && !self.is_spawning()
            && self.generations.iter().all(Generation::is_running)
            && self.active().is_some_and(Generation::can_take_over)
            && !self.running().any(|generation| matches!(generation.duty, Duty::Standby | Duty::Successor | Duty::Dismissed { .. }));
        is_wanted.then_some(self.standby.not_before)
    }

    pub(super) fn standby_exited(&mut self, now: Moment, run: Run, actions: &mut Actions) {
        let stable = run.uptime >= self.config.stable_after;
        self.standby.failures = if stable { 1 } else { self.standby.failures.saturating_add(1) };
        let wait = doubled(self.config.backoff, self.standby.failures, self.config.backoff_max);
        self.standby.wait_until(now + wait);
        actions.push_back(Action::Report(Report::StandbyEnded { run, wait }));
    }

    /// After a planned restart a standby from before would bring back what was to be replaced.
    pub(super) fn replace_standby(&mut self, now: Moment, actions: &mut Actions) {
        if let Some(standby) = self.with_duty(Duty::Standby) {
            let number = standby.number;
            self.dismiss(now, number, actions);
        }
    }

    /// Whether a standby waits at its `listen()`, ready to take over.
    pub fn standby_waits(&self) -> bool {
        self.running().any(|generation| generation.duty == Duty::Standby && generation.port == Port::Asked)
    }

    /// How long a standby that is not needed has between SIGTERM and SIGKILL: it serves nobody.
    const DISMISSED_LIMIT: Duration = Duration::from_millis(100);

    /// A standby has nothing to finish.
    pub(super) fn dismiss(&mut self, now: Moment, number: GenerationNumber, actions: &mut Actions) {
        let kill_at = Some(now + Self::DISMISSED_LIMIT);
        if let Some(generation) = generation::with_number(&mut self.generations, number).filter(|generation| generation.is_running()) {
            generation.need_not_be_ready();
            generation.duty = Duty::Dismissed { kill_at };
            actions.push_back(Action::Forward {
                pid: generation.pid,
                signal: Signal::TERM,
                recipient: Recipient::Command,
                if_refused: IfRefused::GiveUp,
            });
        }
    }

    /// Once nobody serves any more, no stop waits for those that never did.
    pub(super) fn kill_dismissed(&mut self, actions: &mut Actions) {
        if self.active().is_some() || self.running().any(Generation::is_retiring) {
            return;
        }
        for generation in self.generations.iter_mut().filter(|generation| generation.is_running()) {
            if let Duty::Dismissed { kill_at: kill_at @ Some(_) } = &mut generation.duty {
                *kill_at = None;
                actions.push_back(Action::Kill { pid: generation.pid });
            }
        }
    }

    /// restartinit hands over: whoever has not been asked to go yet goes.
    pub(super) fn dismiss_all(&mut self, now: Moment, actions: &mut Actions) {
        let stays = |generation: &&Generation| matches!(generation.duty, Duty::Successor | Duty::Standby);
        let left: Vec<GenerationNumber> = self.running().filter(stays).map(|generation| generation.number).collect();
        for number in left {
            self.dismiss(now, number, actions);
        }
    }
}
