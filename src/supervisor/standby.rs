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
    /// Those in a row that died before they were needed, and of these, those that never came to wait.
    failures: u32,
    never_waited: u32,
    /// Beside this generation none is started any more.
    given_up_beside: Option<GenerationNumber>,
}

/// The next standby boots, and so keeps a processor busy, only after the one that was promoted has had the time to answer those who wait.
const BREATH: Duration = Duration::from_millis(100);

impl StandbyPlan {
    pub(super) fn wait_until(&mut self, moment: Moment) {
        self.not_before = self.not_before.max(moment);
    }

    /// One waits: there can be one.
    pub(super) fn waits(&mut self) {
        self.never_waited = 0;
    }

    pub(super) fn promoted(&mut self, now: Moment) {
        (self.failures, self.never_waited) = (0, 0);
        self.wait_until(now + BREATH);
    }
}

#[cfg(test)]
impl StandbyPlan {
    pub(super) fn not_before(self) -> Moment {
        self.not_before
    }

    /// What else tells it from another.
    pub(super) fn key(self) -> (u32, bool) {
        (self.never_waited.min(Supervisor::MOST_STANDBYS), self.given_up_beside.is_some())
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
            && self.active().is_some_and(|active| {
                active.can_take_over() && !active.has_launcher && self.standby.given_up_beside != Some(active.number)
            })
            && !self.running().any(|generation| matches!(generation.duty, Duty::Standby | Duty::Successor | Duty::Dismissed { .. }));
        is_wanted.then_some(self.standby.not_before)
    }

    pub(super) fn standby_exited(&mut self, now: Moment, run: Run, actions: &mut Actions) {
        let stable = run.uptime >= self.config.stable_after;
        self.standby.failures = if stable { 1 } else { self.standby.failures.saturating_add(1) };
        self.standby.never_waited = self.standby.never_waited.saturating_add(1);
        let wait = self.spread(doubled(self.config.backoff, self.standby.failures, self.config.backoff_max));
        self.standby.wait_until(now + wait);
        actions.push_back(Action::Report(Report::StandbyEnded { run, wait }));
        if let Some(active) = self.active().filter(|_| self.standby.never_waited >= Self::STANDBYS_BEFORE_A_LOOK) {
            // The kernel may show why there can be none.
            actions.push_back(Action::LookForListeners { generation: active.number, pid: active.pid });
            self.overlap.asks_for_standby();
        }
    }

    /// So many standbys in a row die waiting before it is looked why, and so many are tried.
    const STANDBYS_BEFORE_A_LOOK: u32 = 3;
    const MOST_STANDBYS: u32 = 5;

    /// A standby that cannot be costs the app a processor for nothing.
    pub(super) fn give_standby_up_if_it_cannot_be(&mut self, actions: &mut Actions) {
        let Some(active) = self.active() else { return };
        let own = Self::own_addresses(active);
        let because = if !own.is_empty() {
            format!("it listens on {} by itself, which is not held", own.join(", "))
        } else if self.standby.never_waited >= Self::MOST_STANDBYS {
            format!("{} in a row have ended before they were needed", self.standby.never_waited)
        } else {
            return;
        };
        self.give_standby_up(because, actions);
    }

    /// None is started beside this generation any more.
    pub(super) fn give_standby_up(&mut self, because: String, actions: &mut Actions) {
        let Some(number) = self.active().map(|active| active.number) else { return };
        self.standby = StandbyPlan { given_up_beside: Some(number), failures: 0, never_waited: 0, ..self.standby };
        actions.push_back(Action::Report(Report::StandbyGivenUp { generation: number, because }));
    }

    /// What observers should know of the standby; `None`: nothing.
    pub(super) fn standby_note(&self) -> Option<&'static str> {
        let active = self.active().filter(|_| self.config.standby)?;
        if active.has_launcher {
            return Some("off: a launcher speaks for this generation");
        }
        let is_given_up = self.standby.given_up_beside == Some(active.number);
        is_given_up.then_some("given up: none could wait beside this generation (the log says why)")
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
