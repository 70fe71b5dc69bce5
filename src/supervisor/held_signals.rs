//! Signals that would end a command which has not installed its handlers yet: those that arrive between two generations, or just after a
//! spawn. They are held until the command is prepared for them, and dropped if it never is. Pure.

use std::time::Duration;

use nix::unistd::Pid;

use super::Supervisor;
use super::event::{Action, Actions, Phase};
use super::generation::Generation;
use super::report::Report;
use crate::signal::{Signal, SignalSet};
use crate::time::Moment;

/// The signals that are held, and when the command is next looked at.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub(super) struct HeldSignals {
    signals: SignalSet,
    watch: Option<Watch>,
}

/// While a generation is active that may come to handle them; between two, what it says of the last one means nothing.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct Watch {
    look_at: Moment,
    /// Between this look and the next.
    pause: Duration,
    /// `None`: whatever the next look says is the last word.
    drop_at: Option<Moment>,
}

impl HeldSignals {
    /// After its spawn a command is taken for one that may not have installed its handlers yet.
    const UNPREPARED: Duration = Duration::from_secs(1);
    /// So long they are held for one generation.
    const LONGEST: Duration = Duration::from_secs(10);
    const PAUSE: Duration = Duration::from_millis(10);
    const PAUSE_MAX: Duration = Duration::from_secs(1);

    /// A generation is active that may come to handle them.
    pub(super) fn generation_began(&mut self, now: Moment) {
        let watch = Watch { look_at: now + Self::PAUSE, pause: Self::PAUSE, drop_at: Some(now + Self::LONGEST) };
        self.watch = Some(watch);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.signals.is_empty()
    }

    fn deadline(&self) -> Option<Moment> {
        let watch = self.watch?;
        watch.drop_at.map(|drop_at| drop_at.min(watch.look_at))
    }

    fn clear(&mut self) {
        *self = HeldSignals::default();
    }
}

#[cfg(test)]
impl HeldSignals {
    /// What is held; and when the command is looked at, and the signals dropped.
    pub(super) fn key(self) -> (SignalSet, Option<(Moment, Option<Moment>)>) {
        (self.signals, self.watch.map(|watch| (watch.look_at, watch.drop_at)))
    }
}

impl Supervisor {
    pub(super) fn held_signals_due(&self) -> Option<Moment> {
        let may_come = matches!(self.phase, Phase::Supervising(_)) && self.active().is_some();
        may_come.then(|| self.held.deadline()).flatten()
    }

    /// A signal that is no stop: forwarded, unless the command might not be prepared for it.
    pub(super) fn forward_or_hold(&mut self, now: Moment, signal: Signal, actions: &mut Actions) {
        let active = self.active().map(|active| (active.pid, is_young(active, now)));
        if !signal.ends_the_unprepared() {
            if self.addressees().next().is_none() {
                actions.push_back(Action::Report(Report::SignalDropped { signal }));
            }
            return self.forward(signal, actions);
        }
        let is_held = self.held.signals.contains(signal);
        match active {
            Some((pid, is_young)) if is_young && !is_held => {
                self.held.signals.insert(signal);
                if self.held.watch.is_none() {
                    self.held.generation_began(now);
                }
                actions.push_back(Action::LookAtSignals { pid });
            }
            None if self.addressees().next().is_none() => self.held.signals.insert(signal),
            _ if is_held => {}
            _ => self.forward(signal, actions),
        }
    }

    /// The command is prepared for these signals: it gets them. `None`: nobody can tell, as without /proc: then it gets all once its first
    /// second is over.
    pub(super) fn signals_seen(&mut self, now: Moment, pid: Pid, survived: Option<SignalSet>, actions: &mut Actions) {
        let Some(active) = self.active().filter(|active| active.pid == pid) else { return };
        // It has come to be ready: no handler will come any more.
        let is_settled = active.readiness.was_ready && !self.counts_from_its_start(active);
        let prepared = match survived {
            Some(survived) => self.held.signals.take_common(survived),
            None if is_young(active, now) => SignalSet::default(),
            None => self.held.signals.take(),
        };
        prepared.iter().for_each(|signal| self.forward(signal, actions));
        let is_over = is_settled || self.held.watch.is_some_and(|watch| watch.drop_at.is_none());
        if is_over {
            actions.extend(self.held.signals.iter().map(|signal| Action::Report(Report::SignalDropped { signal })));
        }
        if is_over || self.held.signals.is_empty() {
            self.held.clear();
        }
    }

    pub(super) fn tick_held_signals(&mut self, now: Moment, actions: &mut Actions) {
        let active = self.active().map(|active| active.pid);
        let Some((watch, pid)) = self.held.watch.as_mut().zip(active) else { return };
        let is_last = watch.drop_at.is_some_and(|at| at <= now);
        if is_last || (watch.look_at <= now && watch.drop_at.is_some()) {
            watch.drop_at = watch.drop_at.filter(|_| !is_last);
            watch.pause = watch.pause.saturating_mul(2).min(HeldSignals::PAUSE_MAX);
            watch.look_at = now + watch.pause;
            actions.push_back(Action::LookAtSignals { pid });
        }
    }
}

/// Whether a command may not have installed its handlers yet.
fn is_young(command: &Generation, now: Moment) -> bool {
    now.since(command.started) < HeldSignals::UNPREPARED
}
