//! The state machine without a process: single scenarios by hand.

use super::*;
use crate::config::values::RestartPolicy;
use event::Role;
use exit::{Exit, SpawnFailure, SpawnStep};
use leftovers::GIVE_UP_AFTER;

pub(super) const HUP: i32 = 1;

pub(super) fn ms(n: u64) -> Moment {
    Moment::from_millis(n)
}

pub(super) fn signal(number: i32) -> Event {
    Event::Signal { signal: Signal::new(number).unwrap(), command_has_it: false }
}

pub(super) const TERM: i32 = 15;
pub(super) const INT: i32 = 2;

/// A supervisor with a clock that is set by hand, and spawns that work: each command gets the next pid, from 101.
pub(super) struct Bench {
    pub(super) supervisor: Supervisor,
    pub(super) now: Moment,
    next_pid: i32,
    log: Vec<String>,
}

impl Bench {
    pub(super) fn new(config: Config) -> Bench {
        let supervisor = Supervisor::new(config, "cmd".to_owned(), false, Some(1000));
        Bench { supervisor, now: ms(0), next_pid: 101, log: Vec::new() }
    }

    pub(super) fn running(config: Config) -> Bench {
        let mut bench = Bench::new(config);
        bench.tell(Event::Tick);
        bench.take_log();
        bench
    }

    pub(super) fn tell(&mut self, event: Event) -> &mut Bench {
        let mut actions = Actions::new();
        self.supervisor.handle(self.now, event, &mut actions);
        while let Some(action) = actions.pop_front() {
            match action {
                Action::Spawn { generation, role, last_exit } => {
                    let role = if role == Role::Standby { " standby" } else { "" };
                    self.log
                        .push(format!("spawn {generation} {}{role}", last_exit.map_or("-".to_owned(), |exit| exit.short().to_string())));
                    let pid = self.next_pid;
                    self.next_pid += 1;
                    self.supervisor.handle(self.now, Event::Spawned { pid }, &mut actions);
                }
                Action::Forward { pid, signal, group } => self.log.push(format!("{signal} to {pid}{}", if group { " group" } else { "" })),
                Action::KillAll => self.log.push("kill all".to_owned()),
                Action::EndLeftovers { generation, signal } => {
                    self.log.push(format!("leftovers {generation} {}", signal.map_or("count".to_owned(), |s| s.to_string())));
                }
                Action::Say { pid, word } => self.log.push(format!("{word:?} to {pid}").to_lowercase()),
                Action::Promote { pid } => self.log.push(format!("promote {pid}")),
                Action::LookAtMemory { pid } => self.log.push(format!("look at {pid}")),
                Action::RestartDone(done) => self.log.push(format!("done {}", if done.is_ok() { "well" } else { "badly" })),
                Action::Suspend => self.log.push("suspend".to_owned()),
                Action::Report(_) => {}
                Action::Finish(ending) => self.log.push(format!("finish {} {}", ending.outcome.name(), ending.code)),
            }
        }
        self
    }

    /// Lets the clock run up to the next deadline, which must be at `at`.
    pub(super) fn tick_at(&mut self, at: Moment) -> &mut Bench {
        assert_eq!(self.supervisor.next_deadline(), Some(at));
        self.now = at;
        self.tell(Event::Tick)
    }

    pub(super) fn exit(&mut self, pid: i32, exit: Exit) -> &mut Bench {
        self.tell(Event::Exited { pid, exit, reason: None }).tell(Event::Reaped { children: false })
    }

    pub(super) fn take_log(&mut self) -> Vec<String> {
        std::mem::take(&mut self.log)
    }
}

pub(super) fn killed_by(number: i32) -> Exit {
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
    while bench.supervisor.generations.iter().any(|generation| !generation.is_gone()) {
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
    let mut supervisor = Supervisor::new(Config::default(), "cmd".to_owned(), false, None);
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
