//! The state machine without a process: planned restarts, readiness, the watchdog, held ports and the standby, by hand.

use nix::errno::Errno;

use super::bench::{Bench, TERM, at, blocked, killed_by, listens_at, ms, pid, signal, used};
use super::event::ChannelEvent;
use super::event::{Actions, Event};
use super::exit::Exit;
use super::spawn_failure::{Problem, SpawnFailure, SpawnStep};
use super::*;
use crate::config::values::StopBy;

impl Bench {
    fn restarts_used(&mut self) -> u32 {
        self.supervisor.view(self.now).restarts_used
    }
}

#[test]
fn a_planned_restart_is_a_stop_and_a_start_that_spend_nothing() {
    let mut bench = Bench::running(Config { restart: crate::config::values::RestartPolicy::OnFailure, ..Config::default() });
    bench.tell(Event::RestartAsked).says(&["SIGTERM to 101"]);
    bench.tell(Event::RestartAsked).says(&["done badly"]);
    bench.exit(101, Exit::Code(7)).tick_at(ms(0)).says(&["spawn 2 7", "done well"]);
    assert_eq!(bench.restarts_used(), 0);
}

#[test]
fn a_planned_restart_drains_first_and_kills_at_last() {
    let mut bench = Bench::running(Config { drain_delay: ms(500), ..Config::default() });
    bench.tell(Event::RestartAsked).says(&[]);
    assert!(!bench.supervisor.view(bench.now).ready);
    bench.tick_at(ms(500)).says(&["SIGTERM to 101"]);
    bench.tick_at(ms(30_500)).says(&["SIGKILL to 101"]);
    bench.exit(101, killed_by(9)).tick_at(ms(30_500)).says(&["spawn 2 SIGKILL", "done well"]);
}

#[test]
fn a_planned_restart_stops_by_what_a_stop_would_forward() {
    let signals = |text| crate::config::values::signals(text).unwrap();
    for (stop_signals, rewrite, forwarded) in [
        ("INT,TERM", "INT:QUIT", "SIGTERM to 101"),
        ("INT,TERM", "TERM:QUIT", "SIGQUIT to 101"),
        ("QUIT,HUP", "INT:0", "SIGHUP to 101"),
        // Dropped, it would never stop.
        ("TERM", "TERM:0", "SIGTERM to 101"),
    ] {
        let rewrite = crate::config::values::Rewrites::parse(rewrite).unwrap();
        let mut bench = Bench::running(Config { stop_signals: signals(stop_signals), rewrite, ..Config::default() });
        bench.tell(Event::RestartAsked).says(&[forwarded]);
    }
}

#[test]
fn a_planned_restart_cuts_a_backoff_wait_short() {
    let mut bench = Bench::running(Config::default());
    bench.exit(101, Exit::Code(1)).tick_at(ms(0)).exit(102, Exit::Code(1)).take_log();
    bench.tell(Event::RestartAsked).tick_at(ms(0)).says(&["spawn 3 1", "done well"]);
}

#[test]
fn a_stop_wins_over_a_planned_restart() {
    let mut bench = Bench::running(Config::default());
    bench.tell(Event::RestartAsked).tell(signal(TERM)).says(&["SIGTERM to 101", "done badly", "SIGTERM to 101"]);
    bench.tell(Event::RestartAsked).says(&["done badly"]);
    bench.exit(101, Exit::Code(0)).says(&["finish stopped 0"]);
}

#[test]
fn too_much_memory_at_two_looks_is_a_planned_restart_at_most_every_half_minute() {
    let mut bench = Bench::running(Config::default());
    bench.tick_at(ms(2000)).tell(used(1000)).says(&["look at 101"]);
    for (at, bytes) in [(4, 1001), (6, 1000), (8, 1001)] {
        bench.tick_at(ms(at * 1000)).tell(used(bytes)).says(&["look at 101"]);
    }
    bench.tick_at(ms(10_000)).tell(used(1001)).says(&["look at 101", "SIGTERM to 101"]);
    bench.exit(101, Exit::Code(0)).tick_at(ms(10_000)).says(&["spawn 2 0", "done well"]);
    for at in (12..40).step_by(2) {
        bench.tick_at(ms(at * 1000)).tell(used(2000)).says(&["look at 102"]);
    }
    bench.tick_at(ms(40_000)).tell(used(2000)).says(&["look at 102", "SIGTERM to 102"]);
    assert_eq!(bench.restarts_used(), 0);
}

#[test]
fn whoever_is_not_ready_in_time_has_crashed() {
    let mut bench = Bench::running(Config { wait_ready: Some(ms(300)), ..Config::default() });
    assert!(!bench.supervisor.view(bench.now).ready);
    bench.tick_at(ms(300)).says(&["SIGKILL to 101"]);
    bench.exit(101, killed_by(9)).tick_at(ms(300)).events(102, &[ChannelEvent::Ready]).says(&["spawn 2 SIGKILL"]);
    assert!(bench.supervisor.view(bench.now).ready);
    assert_eq!((bench.restarts_used(), bench.supervisor.next_deadline()), (1, Some(at(2000))), "only the next look at memory");
    let reason = bench.supervisor.last_exits().next().unwrap().run.reason;
    assert_eq!(reason, Some(exit::Reason::NotReady { limit: ms(300), awaited: exit::Awaited::Message }));
}

#[test]
fn a_blocked_event_loop_is_a_crash_unless_it_is_on_its_way_out() {
    let config = Config { watchdog: Some(ms(900)), ..Config::default() };
    let mut bench = Bench::running(config.clone());
    bench.events(101, &[blocked(), blocked()]).says(&["SIGKILL to 101"]);
    bench.exit(101, killed_by(9)).tick_at(ms(0)).says(&["spawn 2 SIGKILL", "watch 102"]);
    let mut bench = Bench::running(config);
    bench.tell(signal(TERM)).events(101, &[blocked()]).says(&["SIGTERM to 101"]);
}

#[test]
fn a_stop_by_message_falls_back_to_the_signal() {
    let config = Config { stop_by: StopBy::Message, ..Config::default() };
    let mut bench = Bench::running(config.clone());
    bench.events(101, &[ChannelEvent::Answered]).tell(signal(TERM)).says(&["shutdown to 101"]);
    bench.events(101, &[ChannelEvent::Gone]).says(&["SIGTERM to 101"]);
    bench.tell(signal(TERM)).says(&["SIGTERM to 101"]);
    // Nobody has ever answered; the channel is closed; the message cannot be sent.
    Bench::running(config.clone()).tell(signal(TERM)).says(&["SIGTERM to 101"]);
    Bench::running(config.clone()).events(101, &[ChannelEvent::Answered, ChannelEvent::Gone]).tell(signal(TERM)).says(&["SIGTERM to 101"]);
    let mut bench = Bench::running(config);
    bench
        .events(101, &[ChannelEvent::Answered])
        .tell(signal(TERM))
        .events(101, &[ChannelEvent::NotSent])
        .says(&["shutdown to 101", "SIGTERM to 101"]);
}

#[test]
fn with_a_held_port_the_new_one_listens_before_the_old_one_is_asked() {
    let mut bench = Bench::listening(Config { drain_delay: ms(500), ..Config::default() });
    bench.tell(Event::RestartAsked).says(&["spawn 2 -"]);
    bench.events(102, &[ChannelEvent::Answered]).says(&[]);
    assert!(bench.supervisor.view(bench.now).ready);
    bench.events(102, &[listens_at(&[3000])]).says(&["SIGTERM to 101", "done well"]);
    bench.exit(101, Exit::Code(0)).says(&[]);
}

#[test]
fn a_successor_that_fails_leaves_the_old_one_where_it_is() {
    for case in 0..3 {
        let mut bench = Bench::listening(Config::default());
        if case == 0 {
            let mut actions = Actions::new();
            bench.supervisor.handle(at(0), Event::RestartAsked, &mut actions);
            bench.supervisor.handle(at(0), Event::Probed { pid: pid(101), allowed: true }, &mut actions);
            let failure = SpawnFailure { step: SpawnStep::Exec, errno: Errno::ENOENT, problem: Problem::NotFound };
            bench.tell(Event::SpawnFailed(failure)).says(&["look where 101 listens", "done badly"]);
        } else {
            bench.tell(Event::RestartAsked);
            if case == 1 {
                bench.exit(102, Exit::Code(3)).says(&["spawn 2 -", "look where 101 listens", "done badly"]);
            } else {
                bench.tick_at(ms(60_000)).says(&["spawn 2 -", "SIGKILL to 102"]);
                bench.exit(102, killed_by(9)).says(&["look where 101 listens", "done badly"]);
            }
        }
        assert_eq!(bench.supervisor.active().unwrap().pid, pid(101));
        assert_eq!((bench.restarts_used(), bench.supervisor.last_exits().count()), (0, 0));
    }
}

#[test]
fn a_crash_while_the_successor_boots_makes_it_the_active_one() {
    let mut bench = Bench::listening(Config::default());
    bench.tell(Event::RestartAsked).exit(101, Exit::Code(1)).says(&["spawn 2 -", "done well"]);
    assert_eq!((bench.supervisor.active().unwrap().pid, bench.restarts_used()), (pid(102), 1));
}

#[test]
fn a_standby_takes_over_at_once_and_is_replaced() {
    let mut bench = Bench::with_standby(Config::default());
    bench.now = at(100);
    bench.exit(101, killed_by(9)).says(&["promote 102"]);
    bench.events(102, &[listens_at(&[3000])]);
    // Only once those who waited have had their answers.
    bench.tick_at(ms(200)).says(&["spawn 3 SIGKILL standby"]);
    assert_eq!(bench.restarts_used(), 1);
}

#[test]
fn a_standby_that_dies_never_touches_the_service() {
    let mut bench = Bench::with_standby(Config { max_restarts: 1, ..Config::default() });
    for (number, wait) in [(102, 100), (103, 200), (104, 400)] {
        let now = bench.now;
        bench.tell(Event::Exited { pid: pid(number), exit: Exit::Code(1), reason: None }).tell(Event::Reaped { children: false });
        bench.tick_at(now.since_start() + ms(wait));
    }
    bench.says(&["spawn 3 - standby", "spawn 4 - standby", "look where 101 listens", "spawn 5 - standby"]);
    assert_eq!((bench.restarts_used(), bench.supervisor.last_exits().count()), (0, 0));
}

#[test]
fn a_standby_that_still_boots_is_simply_awaited() {
    let mut bench = Bench::listening(Config { standby: true, wait_ready: Some(ms(700)), ..Config::default() });
    bench.events(101, &[ChannelEvent::Ready]).tick_at(ms(0)).exit(101, Exit::Code(1));
    bench.says(&["spawn 2 - standby", "promote 102"]);
    assert!(!bench.supervisor.view(bench.now).ready);
    bench.events(102, &[listens_at(&[3000]), ChannelEvent::Ready]);
    assert!(bench.supervisor.view(bench.now).ready);
}

#[test]
fn a_standby_that_takes_over_is_ready_in_time_or_has_crashed() {
    for said_ready in [true, false] {
        let mut bench = Bench::listening(Config { standby: true, wait_ready: Some(ms(700)), ..Config::default() });
        bench.events(101, &[ChannelEvent::Ready]).tick_at(ms(0)).events(102, &[ChannelEvent::AtListen]);
        bench.events(102, if said_ready { &[ChannelEvent::Ready] } else { &[] });
        bench.now = at(1000);
        bench.exit(101, Exit::Code(1)).says(&["spawn 2 - standby", "promote 102"]);
        if said_ready {
            bench.tick_at(ms(2000)).says(&["look at 102"]);
        } else {
            bench.tick_at(ms(1700)).says(&["SIGKILL to 102"]);
        }
    }
}

#[test]
fn the_last_eight_runs_are_remembered_the_latest_first() {
    let mut bench = Bench::running(Config { max_restarts: 20, backoff: ms(0), ..Config::default() });
    for pid in 101..=112 {
        bench.exit(pid, Exit::Code(1)).tick_at(ms(0));
    }
    assert!(bench.supervisor.last_exits().map(|last| last.run.generation.get()).eq((5..=12).rev()));
}

#[test]
fn a_restart_by_hand_starts_a_new_one_and_one_for_memory_takes_the_standby() {
    let mut bench = Bench::with_standby(Config::default());
    bench.tell(Event::RestartAsked).events(103, &[listens_at(&[3000])]);
    bench.says(&["spawn 3 -", "SIGTERM to 101", "SIGTERM to 102", "done well"]);
    let mut bench = Bench::with_standby(Config::default());
    bench.tell(used(5000)).tell(used(5000)).events(102, &[listens_at(&[3000])]);
    bench.says(&["promote 102", "SIGTERM to 101", "done well"]);
}

#[test]
fn a_stop_ends_all_generations_and_the_one_that_served_gives_the_code() {
    let mut bench = Bench::with_standby(Config::default());
    bench.tell(signal(TERM)).says(&["SIGTERM to 102", "SIGTERM to 101"]);
    bench.tick_at(ms(100)).exit(102, killed_by(9)).says(&["SIGKILL to 102"]);
    bench.exit(101, Exit::Code(3)).says(&["finish stopped 3"]);
    // Nor is it waited for where the other one is faster.
    let mut bench = Bench::with_standby(Config::default());
    bench.tell(signal(TERM)).exit(101, Exit::Code(3)).exit(102, killed_by(9));
    bench.says(&["SIGTERM to 102", "SIGTERM to 101", "SIGKILL to 102", "finish stopped 3"]);
}

#[test]
fn a_hand_over_ends_the_standby_as_well() {
    let mut bench = Bench::with_standby(Config { max_restarts: 0, ..Config::default() });
    bench.exit(101, Exit::Code(5));
    bench.exit(102, Exit::Code(0));
    bench.says(&["SIGTERM to 102", "finish completed 5"]);
}

#[test]
fn an_out_of_memory_kill_is_told_as_such_whatever_was_planned() {
    let reason = Some(exit::Reason::OutOfMemory { certain: true });
    let mut bench = Bench::running(Config::default());
    bench.tell(used(2000)).tell(Event::Exited { pid: pid(101), exit: killed_by(9), reason });
    assert_eq!(bench.supervisor.last_exits().next().unwrap().run.reason, reason);
    let mut bench = Bench::running(Config { watchdog: Some(ms(900)), ..Config::default() });
    bench.events(101, &[blocked()]).tell(Event::Exited { pid: pid(101), exit: killed_by(9), reason });
    assert_eq!(bench.supervisor.last_exits().next().unwrap().run.reason, reason);
}

#[test]
fn a_limit_that_changes_holds_from_the_next_look_on() {
    let look = |used, limit| Event::Memory { used: Some(used), limit };
    let mut bench = Bench::running(Config::default());
    bench.tell(look(900, Some(2000))).tell(look(900, None)).says(&[]);
    bench.tell(look(900, Some(800))).tell(look(900, Some(800))).says(&["SIGTERM to 101"]);
}
