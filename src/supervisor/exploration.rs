//! The state machine without a process: every event in every state that can be reached, the clock among them.

mod pictures;
mod promises;
mod state_key;
mod world;

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};
use std::num::{NonZero, NonZeroU32};
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;

use nix::errno::Errno;

use super::bench::{listens_at, ms, pid};
use super::event::Event;
use super::exit::Exit;
use super::spawn_failure::{Problem, SpawnFailure, SpawnStep};
use super::sweep::Found;
use crate::config::Config;
use crate::config::check_url::CheckUrl;
use crate::config::size::Size;
use crate::config::values::{CodeSet, ReadyWhen, RestartPolicy, StopBy};
use crate::generation_number::GenerationNumber;
use pictures::Ways;
use world::World;

/// How many states of a configuration are seen, the nearest to the start first; `RESTARTINIT_STATES` says another number, and
/// `RESTARTINIT_CONFIGURATIONS` a word in the names of those that are seen.
const MOST: usize = 6_000;

/// Every combination that changes what the state machine does; and whether the world is harsh: commands may be launchers, and may be out of
/// reach of signals.
fn configs() -> Vec<(Config, bool)> {
    let mut configs = Vec::new();
    let (max_memory, wait_ready, watchdog) = (Some(Size::Bytes(1000)), Some(ms(500)), Some(ms(900)));
    let message = StopBy::Message;
    let (check, two) = (CheckUrl::parse("tcp://127.0.0.1:1").ok(), NonZeroU32::MIN.saturating_add(1));
    let changes = vec![PathBuf::from("/tls")];
    for restart in [RestartPolicy::Always, RestartPolicy::OnFailure] {
        for (drain, grace) in [(0, 0), (300, 0), (0, 700), (300, 700)] {
            let plain = Config {
                restart,
                max_restarts: 1,
                restart_window: Duration::ZERO,
                backoff: ms(100),
                backoff_jitter: 0,
                stable_after: ms(1),
                no_restart_on: CodeSet::parse("78").unwrap(),
                drain_delay: ms(drain),
                grace_period: ms(grace),
                ready_when: Some(ReadyWhen::Started),
                ..Config::default()
            };
            configs.push(plain.clone());
            if restart == RestartPolicy::OnFailure && grace == 0 {
                let listening = Config { ready_when: None, stable_after: ms(20), ..plain.clone() };
                configs.push(listening.clone());
                configs.push(Config { ready_when: Some(ReadyWhen::Listening(vec![3001])), wait_ready, ..listening.clone() });
                configs.push(Config { hold_port: true, ..listening.clone() });
                configs.push(Config { standby: true, hold_port: true, max_memory, ..listening });
            }
            if restart == RestartPolicy::OnFailure && drain == grace * 3 / 7 {
                configs.push(Config { max_memory, ..plain.clone() });
                configs.push(Config { check: check.clone(), check_interval: ms(200), check_failures: two, ..plain.clone() });
                configs.push(Config { max_age: Some(ms(800)), restart_on_change: changes.clone(), ..plain.clone() });
                configs.push(Config { hold_port: true, restart_on_change: changes.clone(), ..plain.clone() });
                configs.push(Config { ready_when: None, wait_ready, watchdog, stop_by: message, ..plain.clone() });
                configs.push(Config { hold_port: true, stop_by: StopBy::Drain, ..plain.clone() });
                let standby = Config { standby: true, hold_port: true, ..plain };
                configs.push(standby.clone());
                let check = check.clone();
                configs.push(Config {
                    check: check.clone(),
                    check_interval: ms(200),
                    ready_when: None,
                    wait_ready,
                    hold_port: true,
                    standby: false,
                    ..standby.clone()
                });
                configs.push(Config { check, check_interval: ms(200), check_failures: two, max_age: Some(ms(800)), ..standby.clone() });
                configs.push(Config { max_memory, ..standby.clone() });
                configs.push(Config { ready_when: None, wait_ready, watchdog, ..standby.clone() });
                configs.push(Config { stop_by: message, ..standby.clone() });
                configs.push(Config { ready_when: None, wait_ready, watchdog, max_memory, stop_by: message, ..standby });
            }
        }
    }
    let is_plain = |config: &&Config| config.stop_by == StopBy::Signal && !(config.max_memory.is_some() && config.standby);
    let harsh: Vec<Config> = configs.iter().filter(is_plain).cloned().collect();
    configs.into_iter().map(|config| (config, false)).chain(harsh.into_iter().map(|config| (config, true))).collect()
}

#[test]
fn every_event_in_every_reachable_state_keeps_the_promises() {
    let mut seen = Seen::default();
    walk_far(&mut seen);
    let chosen = std::env::var("RESTARTINIT_CONFIGURATIONS").ok();
    let named = configs().into_iter().map(|(config, harsh)| (name(&config, harsh), config, harsh));
    let queue = Mutex::new(named.filter(|(name, ..)| chosen.as_ref().is_none_or(|word| name.contains(word))));
    let next = || queue.lock().ok()?.next();
    let workers = std::thread::available_parallelism().map_or(1, NonZero::get);
    let total: usize = std::thread::scope(|threads| {
        let explorer = || {
            let mut seen = Seen::default();
            let mut total = 0;
            while let Some((name, config, harsh)) = next() {
                let n = explore(config, harsh, &mut seen);
                total += n;
                eprintln!("{n} {name}");
            }
            (total, seen)
        };
        let running: Vec<_> = (0..workers).map(|_| threads.spawn(explorer)).collect();
        let found = running.into_iter().map(|one| one.join().expect("the promises are kept"));
        found
            .map(|(total, found)| {
                seen.add(found);
                total
            })
            .sum()
    });
    let Seen { outcomes, phases, duties, cells } = seen;
    eprintln!("{total} states; ends reached: {outcomes:?}");
    if chosen.is_none() {
        assert_eq!(outcomes.len(), 6, "every outcome is reached: {outcomes:?}");
    }
    // Fewer states do not show every way.
    if chosen.is_none() && most() >= MOST {
        let table = pictures::table(&cells);
        assert!(pictures::ARCHITECTURE.contains(&table), "ARCHITECTURE.md has not this table:\n{table}");
        assert_eq!(phases, pictures::drawn("### The phases"), "as ARCHITECTURE.md draws them");
        assert_eq!(duties, pictures::drawn("### The duties of a generation"), "as ARCHITECTURE.md draws them");
    }
}

fn name(config: &Config, harsh: bool) -> String {
    format!(
        "{}{:?} drain {:?} grace {:?} mem {} ready {} {} stop by {:?} hold {} standby {}",
        if harsh { "harsh " } else { "" },
        config.restart,
        config.drain_delay,
        config.grace_period,
        config.max_memory.is_some(),
        config.ready_when(),
        config.wait_ready.is_some(),
        config.stop_by,
        config.hold_port,
        config.standby
    )
}

fn most() -> usize {
    std::env::var("RESTARTINIT_STATES").ok().and_then(|most| most.parse().ok()).unwrap_or(MOST)
}

/// What all configurations have come to.
#[derive(Default)]
struct Seen {
    outcomes: BTreeMap<&'static str, usize>,
    phases: Ways,
    duties: Ways,
    cells: BTreeSet<[String; 3]>,
}

impl Seen {
    fn add(&mut self, other: Seen) {
        for (outcome, count) in other.outcomes {
            *self.outcomes.entry(outcome).or_default() += count;
        }
        self.phases.extend(other.phases);
        self.duties.extend(other.duties);
        self.cells.extend(other.cells);
    }
}

/// A way that lies deeper than the states that are visited: a successor has taken over and crashed, and cannot be executed any more, while the
/// old generation still finishes what it has begun.
fn walk_far(all: &mut Seen) {
    let not_found = SpawnFailure { step: SpawnStep::Exec, errno: Errno::ENOENT, problem: Problem::NotFound };
    let config =
        Config { hold_port: true, ready_when: Some(ReadyWhen::Started), max_memory: None, backoff: Duration::ZERO, ..Config::default() };
    let mut world = World::new(config, false);
    let tick = Event::Tick { signals_pending: false };
    for event in [
        tick.clone(),
        Event::Spawned { pid: pid(101) },
        Event::Channel { pid: pid(101), event: listens_at(&[3000]) },
        Event::RestartAsked,
        Event::Probed { pid: pid(101), allowed: true },
        Event::Spawned { pid: pid(102) },
        Event::Channel { pid: pid(102), event: listens_at(&[3000]) },
        Event::Exited { pid: pid(102), exit: Exit::Code(1), reason: None },
        Event::Reaped { children: true },
        Event::Leftovers { generation: GenerationNumber::new(2), found: Some(Found { launched: 0, others: 0, refused: None }) },
        tick,
        Event::SpawnFailed(not_found),
    ] {
        let next = world.step(event.clone(), world.now);
        pictures::note(&mut all.phases, &mut all.duties, &world.supervisor, &next.supervisor);
        all.cells.insert(pictures::cell(&world.supervisor, &event, &next.supervisor));
        world = next;
    }
}

fn explore(config: Config, harsh: bool, all: &mut Seen) -> usize {
    let most = most();
    let start = World::new(config, harsh);
    all.phases.insert(pictures::beginning(&start.supervisor));
    let mut seen: HashSet<u64> = HashSet::from([start.key()]);
    let mut open = VecDeque::from([start]);
    while let Some(world) = open.pop_front() {
        if !world.stopped && world.is_quiet() {
            world.a_stop_ends(false);
            // Which takes a hundred rounds of SIGKILL: every eighth state must do.
            if world.key().is_multiple_of(8) {
                world.a_stop_ends(true);
            }
        }
        for event in world.events() {
            let moments = if matches!(event, Event::Tick { .. }) { world.moments() } else { vec![world.now] };
            for at in moments {
                let next = world.step(event.clone(), at);
                pictures::note(&mut all.phases, &mut all.duties, &world.supervisor, &next.supervisor);
                all.cells.insert(pictures::cell(&world.supervisor, &event, &next.supervisor));
                if let Some(ending) = next.finished {
                    *all.outcomes.entry(ending.outcome.name()).or_default() += 1;
                } else if seen.insert(next.key()) {
                    if seen.len() >= most {
                        return seen.len();
                    }
                    open.push_back(next);
                }
            }
        }
    }
    seen.len()
}
