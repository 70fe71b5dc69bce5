use crate::config::Config;
use crate::config::values::{Leftovers, StopBy};
use crate::signal::Signal;
use crate::supervisor::bench::{Bench, TERM, generation, killed_by, listens_at, pid, signal};
use crate::supervisor::event::{Action, Actions, ChannelEvent, Event};
use crate::supervisor::exit::Exit;
use crate::supervisor::sweep::Found;

#[test]
fn a_drain_is_for_a_server_that_listens_or_has_and_can_be_told() {
    use ChannelEvent::{Answered, Closed, Gone};
    for (events, told) in [
        (&[Answered][..], "SIGTERM to 101"),
        (&[Answered, listens_at(&[3000])], "disconnect to 101"),
        (&[Answered, listens_at(&[3000]), Closed], "disconnect to 101"),
        (&[Answered, listens_at(&[3000]), Gone], "SIGTERM to 101"),
    ] {
        let mut bench = Bench::running(Config { hold_port: true, stop_by: StopBy::Drain, ..Config::default() });
        bench.events(101, events).tell(signal(TERM));
        assert_eq!(bench.take_log().first().map(String::as_str), Some(told), "{events:?}");
    }
}

#[test]
fn one_that_makes_room_and_cannot_be_told_so_gets_the_signal() {
    let mut bench = Bench::running(Config { stop_by: StopBy::Message, ..Config::default() });
    bench.events(101, &[ChannelEvent::Answered]).tell(Event::RestartAsked).says(&["shutdown to 101"]);
    bench.events(101, &[ChannelEvent::NotSent]).says(&["SIGTERM to 101"]);
}

#[test]
fn what_a_launcher_started_has_the_stop_where_its_whole_group_has_it() {
    for (group, by_terminal, group_has_it) in [(false, false, false), (true, false, true), (false, true, true)] {
        let mut bench = Bench::running(Config { group, ..Config::default() });
        bench.tell(Event::Signal { signal: Signal::TERM, command_has_it: by_terminal });
        bench.tell(Event::Exited { pid: pid(101), exit: killed_by(TERM), reason: None }).tell(Event::Reaped { children: true });
        bench.tell(Event::Leftovers { generation: generation(1), found: Some(Found { launched: 1, others: 0, refused: None }) });
        let order = format!("leftovers 1 SIGTERM Some(SIGTERM) New {{ group_has_it: {group_has_it} }}");
        assert_eq!(bench.take_log().last(), Some(&order));
    }
}

/// What is noted for the time after a stop: whose sockets are kept, and who descends from whom.
fn noted(config: Config) -> Vec<Action> {
    let mut bench = Bench::with_standby(config);
    let mut actions = Actions::new();
    bench.supervisor.handle(bench.now, signal(TERM), &mut actions);
    actions.retain(|action| matches!(action, Action::KeepSockets { .. } | Action::NoteFamily { .. }));
    actions.into()
}

#[test]
fn a_stop_is_noted_of_whom_it_is_for_as_far_as_that_is_needed() {
    let (sockets, family) =
        (Action::KeepSockets { generation: generation(1) }, Action::NoteFamily { generation: generation(1), pid: pid(101) });
    assert_eq!(noted(Config::default()), [sockets.clone(), family]);
    assert_eq!(noted(Config { leftovers: Leftovers::Keep, ..Config::default() }), [sockets]);
}

#[test]
fn a_standby_is_killed_once_nobody_is_left_who_serves_or_has_served() {
    for order in [[101, 103], [103, 101]] {
        let mut bench = Bench::with_standby(Config::default());
        bench.tell(Event::RestartAsked).events(103, &[ChannelEvent::Answered, listens_at(&[3000])]).tell(signal(TERM)).take_log();
        bench.exit(order[0], Exit::Code(0)).says(&[]);
        bench.exit(order[1], Exit::Code(0)).says(&["SIGKILL to 102"]);
    }
}

const CUT_OFF: &str = "generation 1 (pid 101) died of SIGTERM with 2 requests open: the app does not handle that signal \
                       (--stop-by drain has Node finish what it has begun)";

#[test]
fn requests_that_the_stop_cut_off_are_told_with_the_remedy() {
    for event in [signal(TERM), Event::RestartAsked] {
        for (stop_by, open, exit, told) in [
            (StopBy::Signal, 2, killed_by(TERM), &[CUT_OFF][..]),
            (StopBy::Message, 2, killed_by(TERM), &[CUT_OFF]),
            (StopBy::Drain, 2, killed_by(TERM), &[]),
            (StopBy::Signal, 0, killed_by(TERM), &[]),
            (StopBy::Signal, 2, killed_by(9), &[]),
            (StopBy::Signal, 2, Exit::Code(143), &[]),
        ] {
            let mut bench = Bench::running(Config { stop_by, ..Config::default() });
            bench.open_requests = open;
            bench.take_reports();
            bench.tell(event.clone()).tell(Event::Exited { pid: pid(101), exit, reason: None });
            let reports: Vec<String> = bench.take_reports().into_iter().filter(|report| report.contains(" open: ")).collect();
            assert_eq!(reports, told, "{stop_by:?}, {open} open, {exit:?}");
        }
    }
}

/// Whoever knows it does not want to read it with each deployment.
#[test]
fn requests_that_were_cut_off_are_told_once() {
    let mut bench = Bench::running(Config::default());
    bench.open_requests = 2;
    let mut told = Vec::new();
    for generation in 101..104 {
        bench.tell(Event::RestartAsked).tell(Event::Exited { pid: pid(generation), exit: killed_by(TERM), reason: None });
        bench.tell(Event::Reaped { children: false });
        told.extend(bench.take_reports().into_iter().filter(|report| report.contains(" open: ")));
    }
    assert_eq!(told, [CUT_OFF]);
}
