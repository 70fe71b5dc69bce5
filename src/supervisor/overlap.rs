//! Where a new generation cannot run beside the old one: a planned restart goes without an overlap, and there is no standby. Pure.

use super::Supervisor;
use super::event::{Action, Actions, Phase};
use super::exit::Reason;
use super::generation::Generation;
use super::planned_restart::Planned;
use super::report::Report;
use crate::time::Moment;

/// What stands in the way of an overlap, as far as it is known.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub(super) struct Overlap {
    /// A successor failed for this reason, while it is looked why.
    question: Option<String>,
    /// Standbys have died, and it is looked why.
    asks_for_standby: bool,
    /// Successors in a row that failed, of restarts for the memory limit.
    failed_for_memory: u32,
    /// An overlap failed by what the app listens on by itself.
    cannot_be: bool,
}

impl Overlap {
    /// So many successors in a row are tried before the memory limit is more than the gap.
    const TRIES_FOR_MEMORY: u32 = 3;

    /// A look is to tell why standbys die.
    pub(super) fn asks_for_standby(&mut self) {
        self.asks_for_standby = true;
    }

    /// An overlap failed by what the app listens on by itself.
    pub(super) fn cannot_be(&self) -> bool {
        self.cannot_be
    }

    /// A successor has taken over.
    pub(super) fn succeeded(&mut self) {
        *self = Overlap::default();
    }
}

#[cfg(test)]
impl Overlap {
    /// What tells it from another.
    pub(super) fn key(&self) -> (bool, bool, u32, bool) {
        (self.question.is_some(), self.asks_for_standby, self.failed_for_memory.min(Overlap::TRIES_FOR_MEMORY), self.cannot_be)
    }
}

impl Supervisor {
    /// Where a generation listens by itself, on addresses that the next one wants as well.
    pub(super) fn own_addresses(generation: &Generation) -> Vec<String> {
        let own = generation.listening.found.iter().filter(|listener| listener.is_fixed);
        own.map(|listener| listener.address.to_string()).collect()
    }

    /// Whether it is known already that the active generation makes no overlap possible.
    pub(super) fn overlap_cannot_be(&self) -> bool {
        self.overlap.cannot_be && self.active().is_some_and(|active| !Self::own_addresses(active).is_empty())
    }

    /// A successor has failed: the kernel may show why.
    pub(super) fn successor_failed(&mut self, now: Moment, why: String, actions: &mut Actions) {
        let Some(active) = self.active().filter(|_| self.planned.is_some() && matches!(self.phase, Phase::Supervising(_))) else {
            return self.plan_failed(&why, actions);
        };
        if active.listening.is_unknowable {
            return self.judge_failure(now, &why, actions);
        }
        actions.push_back(Action::LookForListeners { generation: active.number, pid: active.pid });
        self.overlap.question = Some(why);
    }

    /// The look that was needed is there.
    pub(super) fn answer_overlap(&mut self, now: Moment, actions: &mut Actions) {
        if let Some(why) = self.overlap.question.take() {
            self.judge_failure(now, &why, actions);
        }
        if std::mem::take(&mut self.overlap.asks_for_standby) {
            self.give_standby_up_if_it_cannot_be(actions);
        }
    }

    /// Goes without an overlap where there is a reason for that; else the old generation goes on.
    fn judge_failure(&mut self, now: Moment, why: &str, actions: &mut Actions) {
        let (Some(Planned { reason, is_forced, .. }), Some(active)) = (self.planned, self.active()) else {
            return self.plan_failed(why, actions);
        };
        let (number, pid, own) = (active.number, active.pid, Self::own_addresses(active));
        if reason == Reason::MemoryLimit {
            self.overlap.failed_for_memory += 1;
        }
        let because = if !own.is_empty() {
            self.overlap.cannot_be = true;
            format!("it listens on {} by itself, which is not held", own.join(", "))
        } else if is_forced {
            "as was asked for by --force".to_owned()
        } else if self.overlap.failed_for_memory >= Overlap::TRIES_FOR_MEMORY {
            format!("{} successors in a row have failed", self.overlap.failed_for_memory)
        } else {
            return self.plan_failed(why, actions);
        };
        actions.push_back(Action::Report(Report::WithoutOverlap { generation: number, pid, why: why.to_owned(), because }));
        self.go_without_overlap(now, number, reason, actions);
    }
}
