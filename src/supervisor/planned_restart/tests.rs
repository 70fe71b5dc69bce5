use crate::config::Config;
use crate::config::values::ReadyWhen;
use crate::supervisor::bench::{Bench, TICK, at, killed_by, listens_at, ms, pid, used};
use crate::supervisor::event::{Action, Actions, ChannelEvent, Event};
use crate::supervisor::exit::{Exit, Reason};

#[test]
fn what_was_planned_is_the_reason_of_the_run_that_it_ends() {
    // Two looks above the limit are one plan, and so is what was asked for twice.
    for (event, reason) in [(Event::RestartAsked, Reason::Asked), (used(2000), Reason::MemoryLimit)] {
        let mut bench = Bench::running(Config::default());
        bench.tell(event.clone()).tell(event).exit(101, Exit::Code(0));
        assert_eq!(bench.supervisor.last_exits().next().and_then(|last| last.run.reason), Some(reason));
    }
}

#[test]
fn one_that_makes_room_is_killed_once_and_not_before_its_time_is_over() {
    let mut bench = Bench::running(Config { grace_period: ms(700), ..Config::default() });
    bench.tell(Event::RestartAsked).says(&["SIGTERM to 101"]);
    bench.now = at(699);
    bench.tell(TICK).says(&[]);
    bench.tick_at(ms(700)).says(&["SIGKILL to 101"]);
    bench.tell(TICK).says(&[]);
}

#[test]
fn one_that_has_not_come_to_listen_at_a_held_port_makes_room_first() {
    let mut bench = Bench::running(Config { hold_port: true, ..Config::default() });
    bench.events(101, &[ChannelEvent::Answered]).tell(Event::RestartAsked).says(&["SIGTERM to 101"]);
}

/// UDP has no listeners: that a socket is used is all that is known.
#[test]
fn a_successor_of_udp_alone_takes_over_when_it_has_its_socket() {
    let mut bench = Bench::running(Config { hold_port: true, ..Config::default() });
    bench.events(101, &[ChannelEvent::Answered, listens_at(&[])]).tell(Event::RestartAsked).says(&["spawn 2 -"]);
    bench.events(102, &[ChannelEvent::Answered, listens_at(&[])]).says(&["SIGTERM to 101", "done well"]);
}

#[test]
fn a_successor_is_expected_where_the_old_one_began_to_listen_meanwhile() {
    let mut bench = Bench::running(Config { hold_port: true, ..Config::default() });
    bench.events(101, &[ChannelEvent::Answered, listens_at(&[])]).tell(Event::RestartAsked).says(&["spawn 2 -"]);
    bench.events(101, &[listens_at(&[3000])]).events(102, &[ChannelEvent::Answered, listens_at(&[])]).says(&[]);
    bench.events(102, &[listens_at(&[3000])]).says(&["SIGTERM to 101", "done well"]);
}

#[test]
fn whoever_asked_is_told_what_a_successor_has_not_done_in_time() {
    for (said, missed) in [(ChannelEvent::Ready, "nothing listened"), (listens_at(&[3000]), "the app did not send process.send('ready')")] {
        let mut bench = Bench::listening(Config { wait_ready: Some(ms(5000)), ..Config::default() });
        bench.events(101, &[ChannelEvent::Ready]).tell(Event::RestartAsked).events(102, &[said]);
        while bench.now < at(5000) {
            bench.tick();
        }
        assert!(bench.take_log().contains(&"SIGKILL to 102".to_owned()));
        let mut actions = Actions::new();
        bench.supervisor.handle(bench.now, Event::Exited { pid: pid(102), exit: killed_by(9), reason: None }, &mut actions);
        // It is looked whether the old one is in its way.
        bench.supervisor.handle(bench.now, Event::ListenersSeen { pid: pid(101), seen: None }, &mut actions);
        let why = format!("generation 2 (pid 102) was killed by SIGKILL (not ready in time: {missed} within 5 s) after 5 s");
        assert!(actions.contains(&Action::RestartDone(Err(why))), "{actions:?}");
    }
}

#[test]
fn memory_plans_nothing_while_a_restart_is_under_way() {
    let mut bench = Bench::listening(Config::default());
    bench.tell(Event::RestartAsked).tell(used(2000)).tell(used(2000)).says(&["spawn 2 -"]);
}

#[test]
fn a_new_one_that_ends_before_it_is_ready_ends_the_plan() {
    let mut bench = Bench::running(Config { wait_ready: Some(ms(5000)), ..Config::default() });
    bench.events(101, &[ChannelEvent::Ready]).tell(Event::RestartAsked).exit(101, Exit::Code(0)).tick_at(ms(0));
    bench.says(&["SIGTERM to 101", "spawn 2 0"]);
    bench.exit(102, Exit::Code(1)).says(&["done badly"]);
    bench.tick_at(ms(0)).events(103, &[ChannelEvent::Ready]).says(&["spawn 3 1"]);
}

#[test]
fn a_standby_that_was_to_take_over_does_so_where_the_old_one_crashes() {
    let mut bench = Bench::with_standby(Config::default());
    bench.tell(used(2000)).tell(used(2000)).exit(101, Exit::Code(1)).says(&["promote 102", "done well"]);
}

#[test]
fn whoever_waits_for_a_successor_that_serves_alone_does_not_wait_for_ever() {
    let mut bench = Bench::listening(Config { ready_when: Some(ReadyWhen::Message), ..Config::default() });
    bench.supervisor.is_init = false;
    bench.tell(Event::RestartAsked).in_reach = false;
    bench.now = at(10_000);
    bench.exit(101, Exit::Code(1)).events(102, &[ChannelEvent::Answered, listens_at(&[3000])]);
    assert!(!bench.take_log().contains(&"done badly".to_owned()));
    while bench.tick() < at(70_000) {
        assert!(!bench.take_log().contains(&"done badly".to_owned()), "{:?}", bench.now);
    }
    assert!(bench.now == at(70_000) && bench.take_log().contains(&"done badly".to_owned()));
}
