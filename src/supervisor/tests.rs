//! The state machine without a process: single scenarios by hand, then every event in every state that can be reached.

use std::collections::{BTreeMap, HashSet, VecDeque};

use super::*;
use crate::config::values::{CodeSet, RestartPolicy};
use exit::SpawnStep;
use generation::GIVE_UP_AFTER;

const HUP: i32 = 1;

fn ms(n: u64) -> Moment {
    Moment::from_millis(n)
}

fn signal(number: i32) -> Event {
    Event::Signal { signal: Signal::new(number).unwrap(), command_has_it: false }
}

const TERM: i32 = 15;
const INT: i32 = 2;

/// A supervisor with a clock that is set by hand, and spawns that work: each command gets the next pid, from 101.
struct Bench {
    supervisor: Supervisor,
    now: Moment,
    next_pid: i32,
    log: Vec<String>,
}

impl Bench {
    fn new(config: Config) -> Bench {
        let supervisor = Supervisor::new(config, "cmd".to_owned(), false);
        Bench { supervisor, now: ms(0), next_pid: 101, log: Vec::new() }
    }

    fn running(config: Config) -> Bench {
        let mut bench = Bench::new(config);
        bench.tell(Event::Tick);
        bench.take_log();
        bench
    }

    fn tell(&mut self, event: Event) -> &mut Bench {
        let mut actions = Actions::new();
        self.supervisor.handle(self.now, event, &mut actions);
        while let Some(action) = actions.pop_front() {
            match action {
                Action::Spawn { generation, last_exit } => {
                    self.log.push(format!("spawn {generation} {}", last_exit.map_or("-".to_owned(), Exit::short)));
                    let pid = self.next_pid;
                    self.next_pid += 1;
                    self.supervisor.handle(self.now, Event::Spawned { pid }, &mut actions);
                }
                Action::Forward { pid, signal, group } => self.log.push(format!("{signal} to {pid}{}", if group { " group" } else { "" })),
                Action::KillAll => self.log.push("kill all".to_owned()),
                Action::EndLeftovers { generation, signal } => {
                    self.log.push(format!("leftovers {generation} {}", signal.map_or("count".to_owned(), |s| s.to_string())));
                }
                Action::Suspend => self.log.push("suspend".to_owned()),
                Action::Report(_) => {}
                Action::Finish(ending) => self.log.push(format!("finish {} {}", ending.outcome.name(), ending.code)),
            }
        }
        self
    }

    /// Lets the clock run up to the next deadline, which must be at `at`.
    fn tick_at(&mut self, at: Moment) -> &mut Bench {
        assert_eq!(self.supervisor.next_deadline(), Some(at));
        self.now = at;
        self.tell(Event::Tick)
    }

    fn exit(&mut self, pid: i32, exit: Exit) -> &mut Bench {
        self.tell(Event::Exited { pid, exit, reason: None }).tell(Event::Reaped { children: false })
    }

    fn take_log(&mut self) -> Vec<String> {
        std::mem::take(&mut self.log)
    }
}

fn killed_by(number: i32) -> Exit {
    Exit::Signal { signal: Signal::new(number).unwrap(), core_dumped: false }
}

#[test]
fn a_crash_is_followed_by_the_next_generation_which_is_told_of_it() {
    let mut bench = Bench::running(Config::default());
    bench.now = ms(40);
    bench.exit(101, killed_by(9)).tick_at(ms(40));
    assert_eq!(bench.take_log(), ["spawn 2 SIGKILL"]);
    bench.now = ms(50);
    bench.exit(102, Exit::Code(1)).tick_at(ms(150));
    assert_eq!(bench.take_log(), ["spawn 3 1"]);
}

#[test]
fn the_budget_ends_in_a_hand_over_with_the_last_code() {
    let mut bench = Bench::running(Config { max_restarts: 1, ..Config::default() });
    bench.exit(101, Exit::Code(1)).tick_at(ms(0)).exit(102, Exit::Code(7));
    assert_eq!(bench.take_log(), ["spawn 2 1", "finish restarts-exhausted 7"]);
}

#[test]
fn a_stop_is_forwarded_and_nothing_follows_it() {
    for (exit, code) in [(Exit::Code(0), 0), (Exit::Code(3), 3), (killed_by(15), 143)] {
        let mut bench = Bench::running(Config { restart: RestartPolicy::Always, ..Config::default() });
        bench.tell(signal(TERM)).tell(signal(INT)).exit(101, exit);
        assert_eq!(bench.take_log(), ["SIGTERM to 101".to_owned(), "SIGINT to 101".to_owned(), format!("finish stopped {code}")]);
        assert_eq!(bench.supervisor.next_deadline(), None);
    }
}

#[test]
fn a_stop_during_the_wait_ends_it_at_once() {
    let mut bench = Bench::running(Config::default());
    bench.exit(101, Exit::Code(9)).tell(signal(TERM));
    assert_eq!(bench.take_log(), ["finish stopped 9"]);
    let mut bench = Bench::new(Config::default());
    bench.tell(signal(TERM));
    assert_eq!(bench.take_log(), ["finish stopped 143"]);
}

#[test]
fn a_drain_delay_holds_the_stop_back_until_it_is_over_or_asked_for_twice() {
    let config = Config { drain_delay: ms(500), grace_period: ms(1000), ..Config::default() };
    let mut bench = Bench::running(config.clone());
    bench.tell(signal(TERM)).tell(signal(HUP)).tick_at(ms(500)).tick_at(ms(1500));
    assert_eq!(bench.take_log(), ["SIGHUP to 101", "SIGTERM to 101", "kill all"]);
    let mut bench = Bench::running(config);
    bench.tell(signal(TERM)).tell(signal(INT));
    assert_eq!(bench.take_log(), ["SIGTERM to 101", "SIGINT to 101"]);
    assert_eq!(bench.supervisor.next_deadline(), Some(ms(1000)));
}

#[test]
fn what_the_terminal_sent_is_not_sent_twice_and_is_a_stop_all_the_same() {
    let mut bench = Bench::running(Config { drain_delay: ms(500), ..Config::default() });
    let int = Signal::new(INT).unwrap();
    bench.tell(Event::Signal { signal: int, command_has_it: true }).exit(101, killed_by(INT));
    assert_eq!(bench.take_log(), ["finish stopped 130"]);
}

#[test]
fn a_signal_between_two_generations_waits_for_the_next() {
    let mut bench = Bench::running(Config::default());
    bench.exit(101, Exit::Code(1)).tell(signal(HUP)).tell(signal(HUP)).tick_at(ms(0));
    assert_eq!(bench.take_log(), ["spawn 2 1", "SIGHUP to 102"]);
}

#[test]
fn a_rewrite_changes_what_is_forwarded_not_what_is_meant() {
    let rewrite = crate::config::values::Rewrites::parse("TERM:QUIT,HUP:0").unwrap();
    let mut bench = Bench::running(Config { rewrite, group: true, ..Config::default() });
    bench.tell(signal(HUP)).tell(signal(TERM)).exit(101, Exit::Code(1));
    assert_eq!(bench.take_log(), ["SIGQUIT to 101 group", "finish stopped 1"]);
}

#[test]
fn leftovers_are_asked_then_killed_again_and_again_before_anything_follows() {
    let mut bench = Bench::running(Config::default());
    let found = |count| Event::Leftovers { generation: 1, count: Some(count) };
    bench.tell(Event::Exited { pid: 101, exit: Exit::Code(1), reason: None }).tell(Event::Reaped { children: true }).tell(found(2));
    assert_eq!(bench.take_log(), ["leftovers 1 SIGTERM"]);
    bench.tell(Event::Reaped { children: true }).tell(found(1));
    bench.tick_at(ms(2000)).tell(found(1)).tick_at(ms(2020)).tell(found(1));
    assert_eq!(bench.take_log(), ["leftovers 1 count", "leftovers 1 SIGKILL", "leftovers 1 SIGKILL"]);
    bench.tell(Event::Reaped { children: false }).tick_at(ms(0));
    assert_eq!(bench.take_log(), ["spawn 2 1"]);
}

#[test]
fn leftovers_that_nothing_ends_are_given_up() {
    let mut bench = Bench::running(Config::default());
    let found = Event::Leftovers { generation: 1, count: None };
    bench
        .tell(Event::Exited { pid: 101, exit: Exit::Code(1), reason: None })
        .tell(Event::Reaped { children: true })
        .tell(found.clone())
        .tick_at(ms(2000));
    while bench.supervisor.generations().iter().any(|generation| !generation.is_gone()) {
        bench.tell(found.clone());
        let next = bench.supervisor.next_deadline().unwrap();
        bench.tick_at(next);
    }
    assert!(bench.now <= ms(2000) + GIVE_UP_AFTER);
    bench.tell(Event::Tick);
    assert_eq!(bench.take_log().last().unwrap(), "spawn 2 1");
}

#[test]
fn a_spawn_that_fails_for_now_is_tried_again_and_one_that_always_will_is_not() {
    let mut supervisor = Supervisor::new(Config::default(), "cmd".to_owned(), false);
    let mut actions = Actions::new();
    supervisor.handle(ms(0), Event::Tick, &mut actions);
    let short = SpawnFailure { step: SpawnStep::Fork, errno: libc::EAGAIN, file_exists: false };
    let mut now = ms(0);
    for wait in [100, 200, 400] {
        supervisor.handle(now, Event::SpawnFailed(short), &mut actions);
        now += ms(wait);
        assert_eq!(supervisor.next_deadline(), Some(now));
        supervisor.handle(now, Event::Tick, &mut actions);
    }
    let missing = SpawnFailure { step: SpawnStep::Exec, errno: libc::ENOENT, file_exists: false };
    actions.clear();
    supervisor.handle(now, Event::SpawnFailed(missing), &mut actions);
    assert!(matches!(actions.back(), Some(Action::Finish(ending)) if ending.code == 127 && ending.outcome == Outcome::CannotExecute));
}

#[test]
fn a_command_stopped_at_the_terminal_stops_a_job() {
    let tstp = Event::ChildStopped { pid: 101, signal: Signal::TSTP };
    let mut bench = Bench::running(Config::default());
    bench.tell(tstp.clone());
    assert!(bench.take_log().is_empty());
    bench.supervisor.job_control = true;
    bench.tell(Event::ChildStopped { pid: 7, signal: Signal::TSTP }).tell(tstp);
    assert_eq!(bench.take_log(), ["suspend"]);
}

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
