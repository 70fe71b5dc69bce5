//! The state machine without a process: commands that may not be signalled, by hand.

use super::bench::{Bench, HUP, TERM, at, blocked, killed_by, listens_at, ms, pid, signal, used};
use super::event::ChannelEvent;
use super::event::{Action, Actions, Event};
use super::exit::Exit;
use super::*;

/// A command that has changed its user, where CAP_KILL is missing.
fn out_of_reach(config: Config) -> Bench {
    let mut bench = Bench::running(config);
    bench.in_reach = false;
    bench
}

#[test]
fn what_may_not_be_signalled_is_not_restarted_by_plan() {
    let mut bench = out_of_reach(Config::default());
    bench.tell(Event::RestartAsked).says(&["done badly"]);
    assert_eq!(bench.supervisor.view(bench.now).cannot_signal, Some(pid(101)));
    bench.tick_at(ms(2000)).tell(used(2000)).says(&["look at 101"]);
    assert!(bench.supervisor.view(bench.now).ready, "it serves");
    bench.in_reach = true;
    bench.tell(Event::RestartAsked).says(&["SIGTERM to 101"]);
}

#[test]
fn where_it_may_not_be_killed_pid_1_ends() {
    let mut bench = out_of_reach(Config { watchdog: Some(ms(900)), ..Config::default() });
    bench.events(101, &[blocked()]).says(&["SIGKILL to 101", "finish cannot-signal 1"]);
    let mut bench = out_of_reach(Config { wait_ready: Some(ms(300)), ..Config::default() });
    bench.tick_at(ms(300)).says(&["SIGKILL to 101", "finish cannot-signal 1"]);
    let mut bench = out_of_reach(Config { grace_period: ms(700), ..Config::default() });
    bench.tell(signal(TERM)).tick_at(ms(700)).says(&["SIGTERM to 101", "SIGKILL to 101", "kill all", "finish cannot-signal 143"]);
}

#[test]
fn where_it_is_not_pid_1_it_goes_on_and_says_that_it_is_not_well() {
    let mut bench = out_of_reach(Config { watchdog: Some(ms(900)), ..Config::default() });
    bench.supervisor.is_init = false;
    bench.events(101, &[blocked()]).says(&["SIGKILL to 101"]);
    let view = bench.supervisor.view(bench.now);
    assert!(!view.ready && view.not_ready.unwrap().contains("event loop blocked for 900 ms"));
    assert_eq!(view.cannot_signal, Some(pid(101)));
}

#[test]
fn one_that_cannot_be_asked_to_make_room_goes_on() {
    let mut bench = Bench::running(Config { drain_delay: ms(500), ..Config::default() });
    bench.tell(Event::RestartAsked).says(&[]);
    // It changes its user meanwhile.
    bench.in_reach = false;
    bench.tick_at(ms(500)).says(&["SIGTERM to 101", "done badly"]);
    assert!(bench.supervisor.view(bench.now).ready);
}

#[test]
fn a_signal_that_is_refused_beside_one_that_serves_or_after_a_stop_takes_nothing_back() {
    let mut bench = Bench::listening(Config::default());
    bench.tell(Event::RestartAsked).events(102, &[ChannelEvent::Answered, listens_at(&[3000])]).take_log();
    bench.tell(Event::SignalRefused { pid: pid(101) });
    bench.now = at(1500);
    bench.tell(signal(HUP)).says(&["SIGHUP to 102"]);
    let mut bench = Bench::running(Config::default());
    bench.tell(Event::RestartAsked).in_reach = false;
    bench.tell(signal(TERM)).exit(101, Exit::Code(0));
    assert_eq!(bench.supervisor.last_exits().next().and_then(|last| last.run.reason), Some(exit::Reason::Asked));
}

#[test]
fn a_standby_that_may_not_be_signalled_does_not_serve_for_that() {
    let mut bench = Bench::with_standby(Config::default());
    bench.events(101, &[ChannelEvent::Closed]).tell(Event::RestartAsked).says(&["SIGTERM to 101"]);
    bench.tell(Event::SignalRefused { pid: pid(102) }).says(&[]);
    assert!(bench.supervisor.active().is_none());
}

#[test]
fn a_successor_that_is_late_and_cannot_be_ended_ends_the_plan() {
    let mut bench = Bench::listening(Config::default());
    bench.tell(Event::RestartAsked).in_reach = false;
    bench.tick_at(ms(60_000)).says(&["spawn 2 -", "SIGKILL to 102", "done badly"]);
}

#[test]
fn that_it_may_not_be_signalled_is_no_reason_to_be_unready() {
    let mut bench = out_of_reach(Config { wait_ready: Some(ms(300)), ..Config::default() });
    bench.tell(Event::RestartAsked);
    let why = |bench: &Bench| bench.supervisor.view(bench.now).not_ready;
    assert_eq!(why(&bench).as_deref(), Some("generation 1 boots since 0 ms, it has not sent process.send('ready') yet"));
    bench.events(101, &[ChannelEvent::Ready]);
    assert_eq!(why(&bench), None);
}

#[test]
fn a_standby_that_cannot_be_ended_holds_nobody_up() {
    let mut bench = Bench::with_standby(Config::default());
    bench.in_reach = false;
    bench.tell(signal(TERM)).tick_at(ms(100)).says(&["SIGTERM to 102", "SIGTERM to 101", "SIGKILL to 102"]);
    bench.exit(101, Exit::Code(0)).says(&["SIGKILL to 102", "finish stopped 0"]);
}

#[test]
fn what_such_a_standby_leaves_behind_is_ended_all_the_same() {
    let mut bench = Bench::with_standby(Config::default());
    bench.in_reach = false;
    bench.tell(signal(TERM)).tick_at(ms(100)).tell(Event::Exited { pid: pid(102), exit: killed_by(9), reason: None });
    bench.tell(Event::Exited { pid: pid(101), exit: Exit::Code(0), reason: None }).take_log();
    bench.tell(Event::Reaped { children: true }).says(&["leftovers 1 SIGTERM", "leftovers 2 SIGTERM"]);
}

/// What is told of an event, by its name for programs.
fn told(bench: &mut Bench, event: Event) -> Vec<&'static str> {
    let mut actions = Actions::new();
    bench.supervisor.handle(bench.now, event, &mut actions);
    actions.iter().filter_map(|action| if let Action::Report(report) = action { Some(report.event()) } else { None }).collect()
}

#[test]
fn only_who_had_time_to_stop_is_told_to_have_used_it_up() {
    let killed = |number| Event::KillSent { pid: pid(number), allowed: true };
    let mut bench = Bench::with_standby(Config::default());
    bench.tell(signal(TERM));
    assert_eq!((told(&mut bench, killed(101)), told(&mut bench, killed(102))), (vec!["grace-expired"], vec![]));
    let mut bench = Bench::running(Config { watchdog: Some(ms(900)), ..Config::default() });
    bench.events(101, &[blocked()]);
    assert_eq!(told(&mut bench, killed(101)), [""; 0]);
}

/// A line for each look would be one every few seconds, for ever.
#[test]
fn what_stays_as_it_is_is_told_once() {
    let mut bench = Bench::running(Config::default());
    let refused = || Event::SignalRefused { pid: pid(101) };
    assert_eq!((told(&mut bench, refused()), told(&mut bench, refused())), (vec!["cannot-signal"], vec![]));
    let probed = || Event::Probed { pid: pid(101), allowed: false };
    bench.now = Moment::START + ms(40_000);
    told(&mut bench, used(2000));
    assert_eq!(told(&mut bench, probed()), [""; 0], "the memory limit: it is known");
    told(&mut bench, Event::RestartAsked);
    assert_eq!(told(&mut bench, probed()), ["planned-restart-failed"], "a person has asked");
    let mut bench = Bench::with_standby(Config::default());
    told(&mut bench, signal(TERM));
    let killed = || Event::KillSent { pid: pid(102), allowed: false };
    assert_eq!(told(&mut bench, killed()), ["cannot-signal"; 2], "that it may not be signalled, and that it lives on");
    assert_eq!(told(&mut bench, killed()), [""; 0]);
}
