//! The world of the exploration: a supervisor, what may happen to it next, and what must hold whatever does. Moments are taken relative
//! to now and pids by their order, so that what differs by a shift is one state.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use crate::config::Config;
use crate::config::values::StopBy;
use crate::signal::Signal;
use crate::supervisor::Supervisor;
use crate::supervisor::event::{Action, Actions, Event, News, Next, Phase, Role};
use crate::supervisor::exit::{Exit, Outcome, SpawnFailure, SpawnStep};
use crate::supervisor::generation::{Duty, Generation, Life};
use crate::supervisor::report::{Ending, Report, Run};
use crate::supervisor::tests::{HUP, INT, TERM, ms, signal};
use crate::supervisor::time::Moment;

/// What the explored world may answer, and what must hold in it.
#[derive(Clone)]
pub struct World {
    supervisor: Supervisor,
    pub now: Moment,
    next_pid: i32,
    alive: Vec<i32>,
    pub spawn_asked: bool,
    pub asked: Vec<u32>,
    pub stopped: bool,
    pub finished: Option<Ending>,
    /// The generations that served, or made room for another, when they ended.
    served: Vec<u32>,
    /// Those that have ended and may have left something behind.
    unswept: Vec<u32>,
    /// Somebody waits for the outcome of a planned restart.
    restart_awaited: bool,
}

impl World {
    pub fn new(config: Config) -> World {
        let memory = config.max_memory.map(|_| 1000);
        World {
            supervisor: Supervisor::new(config, "cmd".to_owned(), true, memory),
            now: ms(0),
            next_pid: 101,
            alive: Vec::new(),
            spawn_asked: false,
            asked: Vec::new(),
            stopped: false,
            finished: None,
            served: Vec::new(),
            unswept: Vec::new(),
            restart_awaited: false,
        }
    }

    /// What tells a state from another: moments by their order alone, and whether they have passed.
    pub fn key(&self) -> u64 {
        let World { supervisor: s, alive, spawn_asked, asked, stopped, now, .. } = self;
        let mut pending = self.deadlines();
        pending.sort_unstable();
        pending.dedup();
        let rank = |at: Option<Moment>| at.map(|at| if at <= *now { 0 } else { 1 + pending.partition_point(|other| *other < at) });
        let mut key = DefaultHasher::new();
        for g in &s.generations {
            if let Life::Ended { sweep, .. } = &g.life {
                // Of one that has ended, only its leftovers matter.
                (std::mem::discriminant(sweep), rank(sweep.deadline())).hash(&mut key);
                continue;
            }
            let duty = match g.duty {
                Duty::Active => (0, None, None),
                Duty::Successor => (1, None, None),
                Duty::Standby => (2, None, None),
                Duty::Retiring { ask_at, kill_at, .. } => (3, rank(ask_at), rank(kill_at)),
                Duty::Dismissed { kill_at } => (4, rank(kill_at), None),
            };
            let is_stable = now.saturating_sub(g.started) >= s.config.stable_after;
            let is_new = s.planned.is_some_and(|planned| planned.is_new(g.number));
            (duty, g.port, g.channel, g.said_ready, rank(g.ready_by), g.doom.is_some(), is_stable, is_new).hash(&mut key);
        }
        let phase = match s.phase {
            Phase::Supervising(Next::Undecided) => (0, None, None),
            Phase::Supervising(Next::Spawn { due }) => (1, rank(Some(due)), None),
            Phase::Supervising(Next::HandOver(ending)) => (2, None, Some(ending.outcome)),
            Phase::Draining { forward_at, .. } => (3, rank(Some(forward_at)), None),
            Phase::Stopping { kill_at, .. } => (4, rank(kill_at), None),
            Phase::Ended => (5, None, None),
        };
        let memory = s.memory.map(|memory| memory.moments().map(|at| rank(Some(at))));
        let standby = s.config.standby.then(|| rank(Some(s.standby.not_before())));
        let restarts = s.restarts.key(&s.config, *now);
        (phase, s.held, alive.len(), spawn_asked, asked.len(), stopped, s.planned.map(|planned| planned.reason)).hash(&mut key);
        (memory, standby, restarts, s.generations.len()).hash(&mut key);
        key.finish()
    }

    /// All moments that something waits for.
    fn deadlines(&self) -> Vec<Moment> {
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
            [ask_at, kill_at, g.ready_by, g.deadline()]
        };
        let mut all: Vec<Moment> = s.generations.iter().flat_map(of_generation).chain([phase]).flatten().collect();
        all.extend(s.memory.iter().flat_map(|memory| memory.moments()));
        all.extend(s.config.standby.then(|| s.standby.not_before()));
        all.retain(|at| *at > self.now);
        all
    }

    pub fn events(&self) -> Vec<Event> {
        // Both questions are answered before anything else is told.
        if let Some(generation) = self.asked.first() {
            return [Some(0), Some(2), None].map(|count| Event::Leftovers { generation: *generation, count }).to_vec();
        }
        let config = &self.supervisor.config;
        if self.spawn_asked {
            let failed = |errno| Event::SpawnFailed(SpawnFailure { step: SpawnStep::Exec, errno, file_exists: false });
            return vec![Event::Spawned { pid: self.next_pid }, failed(libc::EAGAIN), failed(libc::ENOENT)];
        }
        let mut events: Vec<Event> = [TERM, INT, HUP].map(signal).to_vec();
        events.push(Event::RestartAsked);
        for pid in &self.alive {
            events.extend([0, 1, 78].map(|code| Event::Exited { pid: *pid, exit: Exit::Code(code), reason: None }));
            let mut news = Vec::new();
            if config.stop_by != StopBy::Signal {
                news.extend([News::Answered, News::Gone, News::Unsaid]);
            }
            if config.wait_ready.is_some() {
                news.push(News::Ready);
            }
            if config.standby {
                news.push(News::AtListen);
            }
            if config.watchdog.is_some() {
                news.push(News::Blocked);
            }
            if config.holds_ports() {
                news.extend([News::Listening, News::Closed]);
            }
            events.extend(news.into_iter().map(|news| Event::Channel { pid: *pid, news }));
        }
        events.extend([true, false].map(|children| Event::Reaped { children }));
        if self.supervisor.memory.is_some() {
            events.extend([500, 2000].map(|used| Event::Memory { used: Some(used) }));
        }
        events.push(Event::Tick);
        events
    }

    /// The moments at which the clock may be looked at next: the earliest deadline, or any later one, where the machine was slow.
    pub fn moments(&self) -> Vec<Moment> {
        let next = self.supervisor.next_deadline().unwrap_or(self.now).max(self.now);
        self.deadlines().into_iter().filter(|at| *at > next).chain([next]).collect()
    }

    pub fn step(&self, event: Event, at: Moment) -> World {
        let mut world = self.clone();
        world.now = at;
        world.tell(event);
        world
    }

    fn tell(&mut self, event: Event) {
        let mut actions = Actions::new();
        match &event {
            Event::Signal { signal, .. } if self.supervisor.config.stop_signals.contains(*signal) => self.stopped = true,
            Event::Spawned { pid } => {
                self.spawn_asked = false;
                self.alive.push(*pid);
                self.next_pid += 1;
            }
            Event::SpawnFailed(_) => self.spawn_asked = false,
            Event::Exited { pid, .. } => {
                self.alive.retain(|alive| alive != pid);
                if let Some(ended) = self.supervisor.running().find(|generation| generation.pid == *pid) {
                    self.unswept.push(ended.number);
                    self.served.extend(matches!(ended.duty, Duty::Active | Duty::Retiring { .. }).then_some(ended.number));
                }
            }
            Event::Reaped { children: false } => self.unswept.clear(),
            Event::Leftovers { generation, count } => {
                self.asked.remove(0);
                self.unswept.retain(|unswept| unswept != generation || *count != Some(0));
            }
            Event::RestartAsked => self.restart_awaited = true,
            _ => {}
        }
        let is_tick = event == Event::Tick;
        self.supervisor.handle(self.now, event, &mut actions);
        let acted = !actions.is_empty();
        for action in actions {
            self.check(action);
        }
        let active = self.supervisor.running().filter(|generation| generation.duty == Duty::Active).count();
        assert!(active <= 1, "two generations serve");
        let served = |run: &Run| self.served.contains(&run.generation);
        assert!(self.supervisor.last_exits().all(served), "the code would be that of one that never served");
        let planned = self.supervisor.planned.is_some();
        assert!(planned || !self.restart_awaited, "whoever asked for a restart waits for ever");
        let used = self.supervisor.restarts.clone().used(&self.supervisor.config, self.now);
        assert!(used <= self.supervisor.config.max_restarts, "more restarts than allowed");
        // What is due is done: a deadline that passes without effect would have the loop spin.
        let due = self.supervisor.next_deadline().is_some_and(|at| at <= self.now);
        assert!(!is_tick || acted || !due, "a tick that changes nothing: {}", self.key());
        // Nor is anything done over and over: what was due at this moment is over after a few ticks.
        let mut again = self.supervisor.clone();
        let is_due = |supervisor: &Supervisor| supervisor.next_deadline().is_some_and(|at| at <= self.now);
        let ticks =
            (0..8).take_while(|_| is_tick && is_due(&again).then(|| again.handle(self.now, Event::Tick, &mut Actions::new())).is_some());
        assert!(ticks.count() < 8, "a tick that is never done: {}", self.key());
    }

    fn check(&mut self, action: Action) {
        assert!(self.finished.is_none(), "an action after the end: {action:?}");
        match action {
            Action::Spawn { role, .. } => {
                assert!(!self.stopped, "a spawn after a stop");
                assert!(!self.spawn_asked, "two spawns at once");
                assert!(self.unswept.is_empty(), "a spawn beside the leftovers of {:?}", self.unswept);
                let plain = !self.supervisor.config.holds_ports();
                assert!(!plain || self.alive.is_empty(), "two commands at once where no port is held: {:?}", self.supervisor);
                assert!(role == Role::Active || self.supervisor.config.standby);
                self.spawn_asked = true;
            }
            Action::Forward { pid, .. } | Action::Say { pid, .. } | Action::Promote { pid } | Action::LookAtMemory { pid } => {
                assert!(self.alive.contains(&pid), "a signal or a message to a reaped pid");
            }
            Action::EndLeftovers { generation, .. } => self.asked.push(generation),
            Action::Finish(ending) => {
                assert!(self.alive.is_empty(), "the end while a command runs");
                assert!(self.unswept.is_empty(), "the end beside the leftovers of {:?}", self.unswept);
                assert!(ending.outcome != Outcome::RestartsExhausted || ending.code != 0);
                assert_eq!(ending.outcome == Outcome::Stopped, self.stopped, "{ending:?}");
                assert!(self.supervisor.planned.is_none(), "somebody still waits for a planned restart");
                self.finished = Some(ending);
            }
            Action::Report(Report::LeftoversRemain { generation, .. }) => self.unswept.retain(|unswept| *unswept != generation),
            Action::RestartDone(_) => self.restart_awaited = false,
            Action::KillAll | Action::Suspend | Action::Report(_) => {}
        }
    }

    /// A stop from here comes to its end, whatever the commands do, within drain, grace and leftover time; where no grace period is set,
    /// once they end.
    pub fn a_stop_ends(&self) {
        let mut world = self.clone();
        let begun = world.now;
        world.tell(signal(TERM));
        for _ in 0..200 {
            if world.finished.is_some() {
                break;
            }
            if let Some(generation) = world.asked.first().copied() {
                world.tell(Event::Leftovers { generation, count: Some(0) });
            } else if world.supervisor.next_deadline().is_some() {
                let killed = world.kills_at_the_next_tick();
                for pid in killed {
                    world.tell(Event::Exited { pid, exit: Exit::Code(137), reason: None });
                }
                world.tell(Event::Reaped { children: false });
            } else if let Some(pid) = world.alive.first().copied() {
                assert!(world.supervisor.config.grace_period.is_zero(), "the grace period ends nothing: {}", self.key());
                world.tell(Event::Exited { pid, exit: Exit::Code(1), reason: None });
            } else {
                world.tell(Event::Reaped { children: false });
            }
        }
        assert!(world.finished.is_some(), "a stop does not end: {}", self.key());
        let config = &world.supervisor.config;
        let most =
            config.drain_delay + config.grace_period + config.leftover_timeout + crate::supervisor::leftovers::GIVE_UP_AFTER + ms(100);
        assert!(config.grace_period.is_zero() || world.now - begun <= most, "a stop takes too long: {}", self.key());
    }

    /// Lets the clock run to the next deadline; gives back who was sent SIGKILL there.
    fn kills_at_the_next_tick(&mut self) -> Vec<i32> {
        self.now = self.supervisor.next_deadline().unwrap_or(self.now).max(self.now);
        let mut actions = Actions::new();
        self.supervisor.handle(self.now, Event::Tick, &mut actions);
        let mut killed = Vec::new();
        for action in actions {
            match action {
                Action::KillAll => killed.extend(&self.alive),
                Action::Forward { pid, signal: Signal::KILL, .. } => killed.push(pid),
                _ => {}
            }
            self.check(action);
        }
        killed
    }
}
