//! The state machine without a process: every event in every state that can be reached.

use std::collections::{BTreeMap, HashSet, VecDeque};

use super::exit::SpawnStep;
use super::tests::{HUP, INT, TERM, ms, signal};
use super::*;
use crate::config::values::{CodeSet, RestartPolicy};

/// What the explored world may answer, and what must hold in it.
#[derive(Clone)]
struct World {
    supervisor: Supervisor,
    now: Moment,
    next_pid: i32,
    alive: Vec<i32>,
    spawn_asked: bool,
    asked: Vec<u32>,
    stopped: bool,
    finished: Option<Ending>,
}

impl World {
    fn key(&self) -> String {
        let World { supervisor: s, alive, spawn_asked, asked, stopped, .. } = self;
        // Numbers and moments relative to now: what differs by a shift is the same state.
        let relative = |at: Option<Moment>| at.map(|at| at.saturating_sub(self.now));
        let generations: Vec<_> =
            s.generations.iter().map(|g| (g.is_running(), relative(g.deadline()), std::mem::discriminant(&g.life))).collect();
        let used = s.restarts.clone().used(&s.config, self.now);
        let phase = std::mem::discriminant(&s.phase);
        let next = match s.phase {
            Phase::Supervising(next) => Some(std::mem::discriminant(&next)),
            _ => None,
        };
        format!(
            "{phase:?} {next:?} {generations:?} {used} {:?} {} {spawn_asked} {} {stopped} {:?}",
            s.held,
            alive.len(),
            asked.len(),
            relative(s.next_deadline())
        )
    }

    fn events(&self) -> Vec<Event> {
        // Both questions are answered before anything else is told.
        if let Some(generation) = self.asked.first() {
            return [Some(0), Some(2), None].map(|count| Event::Leftovers { generation: *generation, count }).to_vec();
        }
        if self.spawn_asked {
            let failed = |errno| Event::SpawnFailed(SpawnFailure { step: SpawnStep::Exec, errno, file_exists: false });
            return vec![Event::Spawned { pid: self.next_pid }, failed(libc::EAGAIN), failed(libc::ENOENT)];
        }
        let mut events: Vec<Event> = [TERM, INT, HUP].map(signal).to_vec();
        for pid in &self.alive {
            events.extend([0, 1, 78].map(|code| Event::Exited { pid: *pid, exit: Exit::Code(code), reason: None }));
            events.push(Event::ChildStopped { pid: *pid, signal: Signal::TSTP });
        }
        events.extend([true, false].map(|children| Event::Reaped { children }));
        events.push(Event::Tick);
        events
    }

    fn step(&self, event: Event) -> World {
        let mut world = self.clone();
        let mut actions = Actions::new();
        if event == Event::Tick {
            world.now = world.supervisor.next_deadline().unwrap_or(world.now).max(world.now);
        }
        match &event {
            Event::Signal { signal, .. } if world.supervisor.config.stop_signals.contains(*signal) => world.stopped = true,
            Event::Spawned { pid } => {
                world.spawn_asked = false;
                world.alive.push(*pid);
                world.next_pid += 1;
            }
            Event::SpawnFailed(_) => world.spawn_asked = false,
            Event::Exited { pid, .. } => world.alive.retain(|alive| alive != pid),
            Event::Leftovers { .. } => drop(world.asked.remove(0)),
            Event::Signal { .. } | Event::ChildStopped { .. } | Event::Reaped { .. } | Event::Tick => {}
        }
        world.supervisor.handle(world.now, event, &mut actions);
        for action in actions {
            assert!(world.finished.is_none(), "an action after the end: {action:?}");
            match action {
                Action::Spawn { .. } => {
                    assert!(!world.stopped, "a spawn after a stop");
                    assert!(world.alive.is_empty() && !world.spawn_asked, "two commands at once");
                    world.spawn_asked = true;
                }
                Action::Forward { pid, .. } => assert!(world.alive.contains(&pid), "a signal to a reaped pid"),
                Action::EndLeftovers { generation, .. } => world.asked.push(generation),
                Action::Finish(ending) => {
                    assert!(world.alive.is_empty(), "the end while a command runs");
                    assert!(ending.outcome != Outcome::RestartsExhausted || ending.code != 0);
                    assert_eq!(ending.outcome == Outcome::Stopped, world.stopped, "{ending:?}");
                    world.finished = Some(ending);
                }
                Action::KillAll | Action::Suspend | Action::Report(_) => {}
            }
        }
        world
    }
}

#[test]
fn every_event_in_every_reachable_state_keeps_the_promises() {
    let mut outcomes: BTreeMap<&str, usize> = BTreeMap::new();
    for restart in [RestartPolicy::Always, RestartPolicy::OnFailure] {
        for (drain, grace) in [(0, 0), (300, 0), (0, 700), (300, 700)] {
            let config = Config {
                restart,
                max_restarts: 2,
                no_restart_on: CodeSet::parse("78").unwrap(),
                drain_delay: ms(drain),
                grace_period: ms(grace),
                ..Config::default()
            };
            explore(config, &mut outcomes);
        }
    }
    assert_eq!(outcomes.len(), 5, "every outcome is reached: {outcomes:?}");
}

fn explore(config: Config, outcomes: &mut BTreeMap<&str, usize>) {
    let start = World {
        supervisor: Supervisor::new(config, "cmd".to_owned(), true),
        now: ms(0),
        next_pid: 101,
        alive: Vec::new(),
        spawn_asked: false,
        asked: Vec::new(),
        stopped: false,
        finished: None,
    };
    let mut seen: HashSet<String> = HashSet::from([start.key()]);
    let mut open = VecDeque::from([start]);
    while let Some(world) = open.pop_front() {
        for event in world.events() {
            let next = world.step(event);
            if let Some(ending) = next.finished {
                *outcomes.entry(ending.outcome.name()).or_default() += 1;
            } else if seen.insert(next.key()) {
                assert!(seen.len() < 100_000, "the states do not come to an end");
                open.push_back(next);
            }
        }
    }
}
