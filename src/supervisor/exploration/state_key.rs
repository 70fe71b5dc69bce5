//! What tells a state of the exploration from another: moments by their order alone.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use super::world::{SECOND, World};
use crate::supervisor::event::{Next, Phase};
use crate::supervisor::generation::{Duty, Generation, Life, Readiness};
use crate::supervisor::planned_restart::Planned;
use crate::supervisor::stop_request::StopRequest;
use crate::supervisor::sweep::Sweep;
use crate::time::Moment;

impl World {
    /// What tells a state from another: moments by their order alone, and whether they have passed.
    pub(super) fn key(&self) -> u64 {
        let World { supervisor: s, alive, spawn_asked, asked, stopped, now, .. } = self;
        let mut pending = self.deadlines();
        pending.sort_unstable();
        pending.dedup();
        let rank = |at: Option<Moment>| at.map(|at| if at <= *now { 0 } else { 1 + pending.partition_point(|other| *other < at) });
        let mut key = DefaultHasher::new();
        for g in &s.generations {
            if let Life::Ended { sweep, .. } = &g.life {
                // Of one that has ended, only its leftovers matter.
                let launched = match sweep {
                    Sweep::Unknown { launched } => launched.map(|launched| launched.until),
                    Sweep::AskedApart { launched, .. } | Sweep::Awaiting { launched, .. } => Some(launched.until),
                    Sweep::Asked { .. } | Sweep::Terminating { .. } | Sweep::Killing { .. } | Sweep::Done => None,
                };
                (std::mem::discriminant(sweep), rank(sweep.deadline()), rank(launched)).hash(&mut key);
                continue;
            }
            let duty = match g.duty {
                Duty::Active => (0, None, None),
                Duty::Successor => (1, None, None),
                Duty::Standby => (2, None, None),
                Duty::Retiring { ask_at, kill_at, .. } => (3, rank(ask_at), rank(kill_at)),
                Duty::Dismissed { kill_at } => (4, rank(kill_at), None),
            };
            let is_stable = now.since(g.started) >= s.config.stable_after;
            let is_new = s.planned.is_some_and(|planned| planned.is_new(g.number));
            rank(g.kill_at).hash(&mut key);
            (duty, g.port, g.channel, g.has_launcher, g.said, rank(g.ready_by), g.kill_reason.is_some(), is_stable, is_new).hash(&mut key);
            let Readiness { since, was_ready, has_worked, is_whole, whole_by, .. } = g.readiness;
            (rank(self.works_at(g)), since.is_some(), was_ready, has_worked, is_whole, rank(whole_by)).hash(&mut key);
            (g.listening.held.len(), g.listening.found.len(), g.listening.is_unknowable).hash(&mut key);
            let stop = g.stop.map(|stop| rank(Some(stop.at + SECOND)));
            (g.stop_request.map(StopRequest::key), rank(s.signal_due(g)), self.busy.contains(&g.pid)).hash(&mut key);
            let (look_at, quiet_at, had_nothing, is_over) = g.rest.key();
            ((s.may_be_held(g) || s.may_listen_by_itself(g)).then(|| (rank(Some(look_at)), rank(quiet_at))), had_nothing, is_over)
                .hash(&mut key);
            (g.out_of_reach, stop, self.prepared.contains(&g.pid), rank(Some(g.started + SECOND))).hash(&mut key);
        }
        let phase = match s.phase {
            Phase::Supervising(Next::Undecided) => (0, None, None),
            Phase::Supervising(Next::Spawn { due }) => (1, rank(Some(due)), None),
            Phase::Supervising(Next::HandOver(ending)) => (2, None, Some(ending.outcome)),
            Phase::Draining { forward_at, .. } => (3, rank(Some(forward_at)), None),
            Phase::Stopping { kill_at, .. } => (4, rank(kill_at), None),
            Phase::Ended => (5, None, None),
        };
        let memory = s.memory.map(|memory| (memory.moments().map(|at| rank(Some(at))), memory.was_above()));
        let standby = s.config.standby.then(|| (rank(Some(s.standby.not_before())), s.standby.key()));
        (s.overlap.key(), s.told_not_held).hash(&mut key);
        let restarts = s.restarts.key(&s.config, *now);
        let (held, watch) = s.held.key();
        let watch = watch.filter(|_| s.active().is_some());
        let watch = watch.map(|(look_at, drop_at)| (rank(Some(look_at)), rank(drop_at)));
        (phase, held, watch, alive.len(), spawn_asked, asked.len(), stopped, s.planned.map(|planned| planned.reason)).hash(&mut key);
        let kinds: Vec<_> = self.questions.iter().map(std::mem::discriminant).collect();
        let refusable: Vec<bool> = alive.iter().map(|pid| self.forwarded.contains(pid)).collect();
        (kinds, s.wanted, s.spawning.is_delayed(), refusable).hash(&mut key);
        (memory, standby, restarts, s.generations.len()).hash(&mut key);
        let check = s.check.map(|watch| (rank(Some(watch.look_at())), watch.key()));
        (check, rank(s.age_due()), s.age.map(|age| rank(Some(age.due())))).hash(&mut key);
        if let Some(changes) = &s.changes {
            changes.moments().for_each(|at| rank(Some(at)).hash(&mut key));
            changes.key().hash(&mut key);
        }
        let plan = s.planned.and_then(Planned::give_up_at);
        rank(s.look_due()).hash(&mut key);
        (rank(plan), rank(s.kind.worker_at()), s.kind.told(), s.expected.key(), s.stop_awaits_look).hash(&mut key);
        key.finish()
    }

    /// When a generation has been ready for so long that it has worked, where it is that which tells.
    fn works_at(&self, g: &Generation) -> Option<Moment> {
        let s = &self.supervisor;
        let since = g.readiness.since.filter(|_| g.is_running() && !s.counts_from_its_start(g))?;
        Some(since + s.config.stable_after)
    }

    /// All moments that something waits for.
    pub(super) fn deadlines(&self) -> Vec<Moment> {
        let s = &self.supervisor;
        let phase = match s.phase {
            Phase::Supervising(Next::Spawn { due }) => Some(due),
            Phase::Draining { forward_at, .. } => Some(forward_at),
            Phase::Stopping { kill_at, .. } => kill_at,
            Phase::Supervising(_) | Phase::Ended => None,
        };
        let of_generation = |g: &Generation| {
            let (ask_at, kill_at) = match g.duty {
                Duty::Retiring { ask_at, kill_at, .. } => (ask_at, kill_at),
                Duty::Dismissed { kill_at } => (None, kill_at),
                Duty::Active | Duty::Successor | Duty::Standby => (None, None),
            };
            // Where another rule holds from then on.
            let [young, stop] = [g.is_running().then_some(g.started + SECOND), g.stop.map(|stop| stop.at + SECOND)];
            [ask_at, kill_at, g.ready_by, g.deadline(), young, stop, g.readiness.whole_by, self.works_at(g)]
        };
        let mut all: Vec<Moment> = s.generations.iter().flat_map(of_generation).chain([phase]).flatten().collect();
        all.extend(s.memory.iter().flat_map(|memory| memory.moments()));
        all.extend(s.check.map(|watch| watch.look_at()));
        all.extend(s.age.map(|age| age.due()));
        all.extend(s.changes.iter().flat_map(|changes| changes.moments()));
        all.extend(s.held.key().1.into_iter().flat_map(|(look_at, drop_at)| drop_at.into_iter().chain([look_at])));
        all.extend(s.config.standby.then(|| s.standby.not_before()));
        all.extend(s.look_due());
        let held = s.running().filter(|g| s.may_be_held(g) || s.may_listen_by_itself(g)).map(|g| g.rest.key());
        all.extend(held.flat_map(|(look_at, quiet_at, ..)| quiet_at.into_iter().chain([look_at])));
        all.extend(s.running().filter_map(|g| s.signal_due(g)));
        all.extend(s.kind.worker_at());
        all.extend(s.planned.and_then(Planned::give_up_at));
        all.retain(|at| *at > self.now);
        all
    }
}
