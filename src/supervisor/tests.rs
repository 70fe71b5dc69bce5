//! The state machine without a process: single scenarios by hand.

use nix::errno::Errno;

use super::bench::{Bench, HUP, INT, TERM, TICK, at, found, generation, killed_by, ms, pid, signal};
use super::event::{Action, Actions, Event};
use super::exit::{Exit, Outcome};
use super::spawn_failure::{Problem, SpawnFailure, SpawnStep};
use super::sweep::GIVE_UP_AFTER;
use super::*;
use crate::config::values::RestartPolicy;
use crate::signal::Signal;

#[test]
fn a_crash_is_followed_by_the_next_generation_which_is_told_of_it() {
    let mut bench = Bench::running(Config::default());
    bench.now = at(40);
    bench.exit(101, killed_by(9)).tick_at(ms(40));
    assert_eq!(bench.take_log(), ["spawn 2 SIGKILL"]);
    bench.now = at(50);
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
    assert_eq!(bench.take_log(), ["SIGHUP to 101", "SIGTERM to 101", "SIGKILL to 101", "kill all"]);
    let mut bench = Bench::running(config);
    bench.tell(signal(TERM)).tell(signal(INT));
    assert_eq!(bench.take_log(), ["SIGTERM to 101", "SIGINT to 101"]);
    assert_eq!(bench.supervisor.next_deadline(), Some(at(1000)));
}

#[test]
fn what_the_terminal_sent_is_not_sent_twice_and_is_a_stop_all_the_same() {
    let mut bench = Bench::running(Config { drain_delay: ms(500), ..Config::default() });
    let int = Signal::new(INT).unwrap();
    bench.tell(Event::Signal { signal: int, command_has_it: true }).exit(101, killed_by(INT));
    assert_eq!(bench.take_log(), ["finish stopped 130"]);
}

#[test]
fn a_signal_between_two_generations_waits_until_the_next_is_prepared_for_it() {
    let mut bench = Bench::running(Config::default());
    bench.exit(101, Exit::Code(1)).tell(signal(HUP)).tell(signal(HUP)).tick_at(ms(0));
    assert_eq!(bench.take_log(), ["spawn 2 1"]);
    bench.tick_at(ms(10)).tell(signal(HUP));
    assert!(bench.take_log().is_empty(), "it would end the command");
    bench.prepared = Some([Signal::new(HUP).unwrap()].into_iter().collect());
    bench.tick_at(ms(30));
    assert_eq!(bench.take_log(), ["SIGHUP to 102"]);
    assert_eq!(bench.supervisor.next_deadline(), Some(at(2000)), "only the next look at memory");
}

#[test]
fn a_signal_just_after_a_spawn_waits_ten_seconds_at_most() {
    let mut bench = Bench::running(Config { max_restarts: 9, ..Config::default() });
    bench.now = at(999);
    bench.tell(signal(HUP));
    let looks = std::iter::repeat_with(|| {
        let now = bench.tick();
        bench.take_log().iter().any(|line| line == "SIGHUP dropped").then_some(now)
    });
    let last = looks.take(100).flatten().next().expect("it is dropped");
    assert_eq!(last, at(10_999));
    bench.tell(signal(HUP));
    assert_eq!(bench.take_log(), ["SIGHUP to 101"], "by now it is its own affair");
}

#[test]
fn a_command_has_one_second_to_install_its_handlers() {
    for (after, told) in [(999, &[][..]), (1000, &["SIGHUP to 101"])] {
        let mut bench = Bench::running(Config::default());
        bench.now = at(after);
        bench.tell(signal(HUP)).says(told);
    }
}

#[test]
fn a_command_is_not_looked_at_before_that_is_due() {
    let mut bench = Bench::running(Config::default());
    bench.tell(signal(HUP));
    bench.prepared = Some([Signal::new(HUP).unwrap()].into_iter().collect());
    bench.now = at(9);
    bench.tell(TICK).says(&[]);
    bench.tick_at(ms(10)).says(&["SIGHUP to 101"]);
}

#[test]
fn where_nobody_can_tell_it_waits_for_the_first_second() {
    let mut bench = Bench::running(Config::default());
    bench.prepared = None;
    bench.tell(signal(HUP));
    while bench.now < at(1000) {
        assert!(bench.take_log().is_empty());
        bench.tick();
    }
    assert_eq!(bench.take_log(), ["SIGHUP to 101"]);
}

#[test]
fn what_ends_nobody_is_never_held() {
    let mut bench = Bench::running(Config::default());
    let spared = [libc::SIGWINCH, libc::SIGCONT, libc::SIGURG, libc::SIGTSTP, libc::SIGABRT];
    for number in spared {
        bench.tell(signal(number));
    }
    assert_eq!(bench.take_log().len(), spared.len());
    bench.exit(101, Exit::Code(1)).tell(signal(libc::SIGWINCH)).tick_at(ms(0));
    assert_eq!(bench.take_log(), ["SIGWINCH dropped", "spawn 2 1"]);
}

#[test]
fn once_it_has_said_that_it_is_ready_no_handler_is_waited_for() {
    let mut bench = Bench::running(Config { wait_ready: Some(ms(5000)), ..Config::default() });
    bench.tell(signal(HUP)).tell(Event::Channel { pid: pid(101), event: event::ChannelEvent::Ready }).tick_at(ms(10));
    assert_eq!(bench.take_log(), ["SIGHUP dropped"]);
}

#[test]
fn pending_signals_delay_a_spawn_by_one_turn_and_nothing_else() {
    const STORM: Event = Event::Tick { signals_pending: true };
    let mut bench = Bench::new(Config { grace_period: ms(500), ..Config::default() });
    bench.tell(STORM);
    assert!(bench.take_log().is_empty());
    bench.tell(STORM);
    assert_eq!(bench.take_log(), ["spawn 1 -"]);
    bench.tell(signal(TERM));
    bench.now = at(500);
    bench.tell(STORM);
    assert_eq!(bench.take_log(), ["SIGTERM to 101", "SIGKILL to 101", "kill all"]);
}

#[test]
fn a_rewrite_changes_what_is_forwarded_not_what_is_meant() {
    let rewrite = crate::config::values::Rewrites::parse("TERM:QUIT,HUP:0").unwrap();
    let mut bench = Bench::running(Config { rewrite, group: true, ..Config::default() });
    bench.now = at(1000);
    bench.tell(signal(HUP)).tell(signal(TERM)).exit(101, Exit::Code(1));
    assert_eq!(bench.take_log(), ["SIGQUIT to 101 group", "finish stopped 1"]);
}

#[test]
fn leftovers_are_asked_then_killed_again_and_again_before_anything_follows() {
    let mut bench = Bench::running(Config::default());
    let found = |count| found(1, count);
    bench.tell(Event::Exited { pid: pid(101), exit: Exit::Code(1), reason: None }).tell(Event::Reaped { children: true }).tell(found(2));
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
    let found = Event::Leftovers { generation: generation(1), found: None };
    bench
        .tell(Event::Exited { pid: pid(101), exit: Exit::Code(1), reason: None })
        .tell(Event::Reaped { children: true })
        .tell(found.clone())
        .tick_at(ms(2000));
    while bench.supervisor.generations.iter().any(|generation| !generation.is_gone()) {
        bench.tell(found.clone());
        bench.tick();
    }
    assert!(bench.now <= at(2000) + GIVE_UP_AFTER);
    bench.tell(TICK);
    assert_eq!(bench.take_log().last().unwrap(), "spawn 2 1");
}

#[test]
fn a_spawn_that_fails_for_now_is_tried_again_and_one_that_always_will_is_not() {
    let surroundings = Surroundings { job_control: false, is_init: true, is_notified: false, seed: 0 };
    let mut supervisor = Supervisor::new(Config::default(), "cmd".to_owned(), surroundings);
    let mut actions = Actions::new();
    supervisor.handle(at(0), TICK, &mut actions);
    let short = SpawnFailure::fork(Errno::EAGAIN);
    let mut now = at(0);
    for wait in [100, 200, 400] {
        supervisor.handle(now, Event::SpawnFailed(short), &mut actions);
        now += ms(wait);
        assert_eq!(supervisor.next_deadline(), Some(now));
        supervisor.handle(now, TICK, &mut actions);
    }
    let missing = SpawnFailure { step: SpawnStep::Exec, errno: Errno::ENOENT, problem: Problem::NotFound };
    actions.clear();
    supervisor.handle(now, Event::SpawnFailed(missing), &mut actions);
    assert!(matches!(actions.back(), Some(Action::Finish(ending)) if ending.code == 127 && ending.outcome == Outcome::CannotExecute));
}

#[test]
fn an_app_reads_its_role_in_its_environment() {
    use event::StartRole;
    assert_eq!([StartRole::Active, StartRole::Standby].map(StartRole::name), ["active", "standby"]);
}

#[test]
fn a_command_stopped_at_the_terminal_stops_a_job() {
    let tstp = Event::ChildStopped { pid: pid(101), signal: Signal::TSTP };
    let mut bench = Bench::running(Config::default());
    bench.tell(tstp.clone());
    assert!(bench.take_log().is_empty());
    bench.supervisor.job_control = true;
    bench.tell(Event::ChildStopped { pid: pid(7), signal: Signal::TSTP }).tell(tstp);
    assert_eq!(bench.take_log(), ["suspend"]);
}
