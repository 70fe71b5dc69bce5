//! `--restart-on-change`: when files are looked at, and when a change leads to a planned restart: not while it goes on, not for what a new
//! process has read anyway, not too often, and not where it is the app that writes. Pure.

use std::time::Duration;

use super::Supervisor;
use super::event::{Action, Actions, Phase};
use super::exit::Reason;
use super::planned_restart::Because;
use super::report::Report;
use crate::generation_number::GenerationNumber;
use crate::time::Moment;

/// What is known of the files, and what is due.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub(super) struct ChangeWatch {
    /// What was in each when they were last looked at.
    known: Option<Vec<u64>>,
    /// Something has happened since: for the first time, and for the last.
    stirred: Option<(Moment, Moment)>,
    /// They are being looked at; when the last that had happened before happened.
    asked: Option<Moment>,
    change: Option<Change>,
    /// No restart before this.
    not_before: Moment,
    /// Generations in a row after whose spawn something changed at once, the last of them, and whether that was too often.
    hasty: u32,
    hasty_with: GenerationNumber,
    is_off: bool,
}

/// A change that the active generation knows nothing of.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct Change {
    at: Moment,
    /// Of the path with this index.
    path: usize,
    restart_at: Moment,
}

impl ChangeWatch {
    /// They are looked at once nothing has happened for so long, but not put off for longer than the other.
    const QUIET: Duration = Duration::from_secs(1);
    const LONGEST: Duration = Duration::from_secs(10);
    /// After a look that came to nothing.
    const AGAIN: Duration = Duration::from_secs(5);
    /// Between two restarts.
    const APART: Duration = Duration::from_secs(30);
    /// A change so soon after a spawn may be the app's own; so many in a row are.
    const HASTY: Duration = Duration::from_secs(10);
    const MOST_HASTY: u32 = 3;

    fn look_at(&self) -> Option<Moment> {
        let (first, last) = self.stirred.filter(|_| self.asked.is_none() && !self.is_off)?;
        Some((last + Self::QUIET).min(first + Self::LONGEST))
    }
}

#[cfg(test)]
impl ChangeWatch {
    pub(super) fn moments(&self) -> impl Iterator<Item = Moment> {
        let change = self.change.map(|change| change.restart_at);
        self.look_at().into_iter().chain(change).chain([self.not_before])
    }

    /// What else tells it from another.
    pub(super) fn key(&self) -> impl std::hash::Hash {
        (self.known.clone(), self.asked.is_some(), self.change.is_some(), self.hasty, self.is_off)
    }
}

impl Supervisor {
    pub(super) fn files_stirred(&mut self, now: Moment) {
        if let Some(watch) = &mut self.changes {
            let first = watch.stirred.map_or(now, |(first, _)| first);
            watch.stirred = Some((first, now));
        }
    }

    pub(super) fn change_due(&self) -> Option<Moment> {
        let watch = self.changes.as_ref().filter(|_| matches!(self.phase, Phase::Supervising(_)))?;
        let active = self.undisturbed();
        let change = watch.change.filter(|change| active.is_some_and(|active| active.started < change.at));
        watch.look_at().into_iter().chain(change.map(|change| change.restart_at)).min()
    }

    pub(super) fn tick_changes(&mut self, now: Moment, actions: &mut Actions) {
        if self.change_due().is_none_or(|at| at > now) {
            return;
        }
        let Some(watch) = &mut self.changes else { return };
        if watch.look_at().is_some_and(|at| at <= now) {
            watch.asked = watch.stirred.take().map(|(_, last)| last);
            actions.push_back(Action::LookAtFiles);
        } else if let Some(change) = watch.change.take() {
            watch.not_before = now + ChangeWatch::APART;
            self.plan(Reason::FilesChanged, Because::Changed { path: change.path }, actions);
        }
    }

    /// `seen`: what is in each; `None`: that could not be told.
    pub(super) fn files_seen(&mut self, now: Moment, seen: Option<Vec<u64>>, actions: &mut Actions) {
        let (started, jitter) = (self.active().map(|active| (active.number, active.started)), self.config.change_jitter);
        let Some(watch) = &mut self.changes else { return };
        let at = watch.asked.take().unwrap_or(now);
        let Some(seen) = seen else {
            let again = now + ChangeWatch::AGAIN;
            watch.stirred = Some((watch.stirred.map_or(again, |(first, _)| first), again));
            return;
        };
        let known = watch.known.replace(seen.clone());
        let differs = |known: Vec<u64>| known.iter().zip(&seen).position(|(before, now)| before != now);
        let Some(path) = known.and_then(differs) else { return };
        // Whoever is spawned from now on reads it as it is.
        let Some((number, started)) = started.filter(|(_, started)| *started < at) else { return };
        if at.since(started) >= ChangeWatch::HASTY {
            watch.hasty = 0;
        } else if watch.hasty_with != number {
            (watch.hasty, watch.hasty_with) = (watch.hasty + 1, number);
        }
        if watch.hasty >= ChangeWatch::MOST_HASTY {
            (watch.is_off, watch.change) = (true, None);
            let path = self.watched_path(path);
            actions.push_back(Action::Report(Report::ChangesOff { path, times: ChangeWatch::MOST_HASTY, within: ChangeWatch::HASTY }));
        } else {
            let restart_at = (now + self.random.up_to(jitter)).max(watch.not_before);
            // One that was put off already is put off no more.
            let restart_at = watch.change.map_or(restart_at, |change| change.restart_at.min(restart_at));
            watch.change = Some(Change { at, path, restart_at });
        }
    }

    pub(super) fn watched_path(&self, index: usize) -> String {
        self.config.restart_on_change.get(index).map(|path| path.display().to_string()).unwrap_or_default()
    }

    /// What observers should know of it; `None`: nothing.
    pub(super) fn change_note(&self) -> Option<&'static str> {
        let is_off = self.changes.as_ref().is_some_and(|watch| watch.is_off);
        is_off.then_some("off: they change right after each start, so that the app seems to write them itself")
    }
}

#[cfg(test)]
mod tests;
