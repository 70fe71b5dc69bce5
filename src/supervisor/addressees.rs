//! The state machine without a process: whom a signal is for where several generations run, who is on the way out, and what an end is told
//! as; by hand.

use super::bench::{Bench, HUP, INT, TERM, at, generation, killed_by, listens_at, ms, pid, signal, used};
use super::event::ChannelEvent;
use super::event::{Action, Actions, Event};
use super::exit::Exit;
use super::report::Report;
use super::view::State;
use super::*;
use crate::config::values::{CodeSet, RestartPolicy, Rewrites};
use crate::signal::Signal;

fn is_stopping(bench: &Bench) -> bool {
    bench.supervisor.view(bench.now).state == State::Stopping
}

/// A signal that the terminal sent to its whole foreground process group, the command included.
fn typed(number: i32) -> Event {
    Event::Signal { signal: Signal::new(number).unwrap(), command_has_it: true }
}

/// A server that was replaced, pid 101, beside the one that serves, pid 102. Both have long installed their handlers.
fn overlapping(config: Config) -> Bench {
    let mut bench = Bench::listening(config);
    bench.tell(Event::RestartAsked).events(102, &[ChannelEvent::Answered, listens_at(&[3000])]);
    bench.says(&["spawn 2 -", "SIGTERM to 101", "done well"]);
    bench.now = at(1500);
    bench
}

#[test]
fn a_signal_is_for_the_one_that_serves() {
    let mut bench = overlapping(Config::default());
    bench.tell(signal(HUP)).says(&["SIGHUP to 102"]);
    let mut bench = Bench::with_standby(Config::default());
    bench.now = at(1500);
    bench.tell(signal(HUP)).says(&["SIGHUP to 101"]);
    let mut bench = Bench::listening(Config::default());
    bench.now = at(1500);
    bench.tell(Event::RestartAsked).tell(signal(HUP)).says(&["spawn 2 -", "SIGHUP to 101"]);
}

#[test]
fn where_nobody_serves_it_is_for_the_one_that_makes_room() {
    let mut bench = Bench::running(Config::default());
    bench.tell(Event::RestartAsked).tell(signal(HUP)).says(&["SIGTERM to 101", "SIGHUP to 101"]);
    bench.tell(signal(libc::SIGWINCH)).says(&["SIGWINCH to 101"]);
}

#[test]
fn a_stop_is_for_all_that_serve_served_or_are_about_to() {
    let mut bench = overlapping(Config::default());
    bench.tell(signal(TERM)).says(&["SIGTERM to 101", "SIGTERM to 102"]);
    bench.tell(signal(INT)).says(&["SIGINT to 101", "SIGINT to 102"]);
    let mut bench = Bench::listening(Config::default());
    bench.tell(Event::RestartAsked).tell(signal(TERM)).says(&["spawn 2 -", "done badly", "SIGTERM to 101", "SIGTERM to 102"]);
}

#[test]
fn what_the_command_has_from_the_terminal_is_not_sent_to_it_again() {
    let mut bench = Bench::running(Config::default());
    bench.now = at(1500);
    bench.tell(typed(HUP)).tell(typed(libc::SIGWINCH)).says(&[]);
    bench.tell(typed(INT)).tell(typed(INT)).tell(typed(HUP)).says(&[]);
    bench.tell(signal(INT)).says(&["SIGINT to 101"]);
    let mut bench = Bench::running(Config { drain_delay: ms(500), ..Config::default() });
    bench.tell(signal(TERM)).tell(typed(HUP)).says(&[]);
    bench.tell(typed(INT)).says(&["SIGTERM to 101"]);
}

#[test]
fn what_is_dropped_stops_nothing_unless_the_terminal_sent_it() {
    let rewrite = Rewrites::parse("INT:0,TERM:0").unwrap();
    let mut bench = Bench::running(Config { rewrite, drain_delay: ms(500), ..Config::default() });
    bench.tell(signal(INT)).tell(signal(TERM)).says(&[]);
    assert!(!is_stopping(&bench) && bench.supervisor.view(bench.now).ready);
    bench.tell(typed(INT));
    assert!(is_stopping(&bench));
    bench.exit(101, killed_by(INT)).says(&["finish stopped 130"]);
}

#[test]
fn a_stop_is_under_way_once_it_was_forwarded() {
    let mut bench = Bench::running(Config { drain_delay: ms(500), ..Config::default() });
    assert!(!is_stopping(&bench));
    bench.tell(signal(TERM));
    assert!(!is_stopping(&bench), "its ports are still needed");
    bench.tick_at(ms(500));
    assert!(is_stopping(&bench));
    bench.exit(101, Exit::Code(0));
    assert!(is_stopping(&bench));
}

/// What an event leads to, as far as held sockets go.
fn sockets(bench: &mut Bench, event: Event) -> Vec<Action> {
    let mut actions = Actions::new();
    bench.supervisor.handle(bench.now, event, &mut actions);
    actions.retain(|action| matches!(action, Action::KeepSockets { .. } | Action::ReleaseSockets));
    actions.into()
}

#[test]
fn what_one_that_was_asked_to_go_closes_is_kept_for_the_next() {
    let kept = |numbers: &[u32]| numbers.iter().map(|number| Action::KeepSockets { generation: generation(*number) }).collect::<Vec<_>>();
    let closed = Event::Channel { pid: pid(101), event: ChannelEvent::Closed };
    let mut bench = Bench::listening(Config::default());
    bench.tell(Event::RestartAsked).events(102, &[ChannelEvent::Answered]);
    assert_eq!(sockets(&mut bench, closed.clone()), [], "it may listen again");
    assert_eq!(sockets(&mut bench, Event::Channel { pid: pid(102), event: listens_at(&[3000]) }), kept(&[1]));
    assert_eq!(sockets(&mut bench, closed.clone()), [], "the next one has them");
    assert_eq!(sockets(&mut bench, signal(TERM)), kept(&[1, 2]));
    assert_eq!(sockets(&mut bench, closed), [Action::ReleaseSockets], "nobody will accept there any more");
    assert_eq!(sockets(&mut Bench::running(Config::default()), signal(TERM)), [], "none is held");
}

#[test]
fn nothing_is_planned_while_one_that_was_replaced_has_not_ended() {
    let mut bench = overlapping(Config::default());
    bench.now = at(40_000);
    bench.tell(used(2000)).tell(Event::RestartAsked).says(&["done badly"]);
    bench.tell(Event::Exited { pid: pid(101), exit: Exit::Code(0), reason: None });
    bench.tell(used(2000)).tell(Event::RestartAsked).says(&["done badly"]);
    bench.tell(Event::Reaped { children: false }).tell(used(2000)).says(&["spawn 3 0"]);
}

#[test]
fn only_a_stop_of_the_terminals_suspends_a_job() {
    let mut bench = Bench::running(Config::default());
    bench.supervisor.job_control = true;
    bench.tell(Event::ChildStopped { pid: pid(101), signal: Signal::new(libc::SIGSTOP).unwrap() }).says(&[]);
    bench.tell(Event::ChildStopped { pid: pid(101), signal: Signal::TTIN }).says(&["suspend"]);
}

/// `Some`: it has ended, and whether well enough to say nothing by default.
fn healthy(bench: &mut Bench, number: i32, exit: Exit) -> Option<bool> {
    let mut actions = Actions::new();
    bench.supervisor.handle(bench.now, Event::Exited { pid: pid(number), exit, reason: None }, &mut actions);
    bench.supervisor.handle(bench.now, Event::Reaped { children: false }, &mut actions);
    actions.iter().find_map(|action| if let Action::Report(Report::Ended { healthy, .. }) = action { Some(*healthy) } else { None })
}

#[test]
fn an_end_is_healthy_where_the_command_ended_as_it_should() {
    let codes = |text| CodeSet::parse(text).unwrap();
    let always = Config { restart: RestartPolicy::Always, ..Config::default() };
    for (config, exit, is_healthy) in [
        (Config::default(), Exit::Code(0), true),
        (Config { restart: RestartPolicy::Never, ..Config::default() }, Exit::Code(3), false),
        (Config { exit_zero_on: codes("3"), ..Config::default() }, Exit::Code(3), true),
        // Its code is 0, and yet somebody meant it as a reason to give up.
        (Config { exit_zero_on: codes("3"), no_restart_on: codes("3"), ..always }, Exit::Code(3), false),
    ] {
        assert_eq!(healthy(&mut Bench::running(config.clone()), 101, exit), Some(is_healthy), "{exit} {config:?}");
    }
    for (exit, is_healthy) in
        [(Exit::Code(0), true), (killed_by(TERM), true), (Exit::Code(143), true), (killed_by(9), false), (Exit::Code(1), false)]
    {
        let mut bench = Bench::running(Config::default());
        bench.tell(signal(TERM));
        assert_eq!(healthy(&mut bench, 101, exit), Some(is_healthy), "{exit}");
    }
}

#[test]
fn the_end_waits_for_all_generations() {
    let mut bench = overlapping(Config { max_restarts: 0, ..Config::default() });
    bench.exit(102, Exit::Code(5)).says(&[]);
    bench.exit(101, Exit::Code(0)).says(&["finish completed 5"]);
    assert_eq!(bench.supervisor.next_deadline(), None);
    bench.tell(signal(TERM)).tell(Event::RestartAsked).says(&[]);
}
