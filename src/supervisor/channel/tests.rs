use crate::config::Config;
use crate::config::values::StopBy;
use crate::supervisor::bench::{Bench, TERM, at, listens_at, ms, pid, signal};
use crate::supervisor::event::{Action, Actions, ChannelEvent, Event};
use crate::supervisor::report::Report;

#[test]
fn nothing_is_said_to_a_channel_on_which_nobody_speaks() {
    for events in [&[ChannelEvent::Silent][..], &[ChannelEvent::Answered, ChannelEvent::Gone, ChannelEvent::Ready]] {
        let mut bench = Bench::running(Config { stop_by: StopBy::Message, ..Config::default() });
        bench.events(101, events).tell(signal(TERM)).says(&["SIGTERM to 101"]);
    }
}

#[test]
fn silence_is_told_once_whichever_generation_is_silent() {
    let silent = |bench: &mut Bench| {
        let mut actions = Actions::new();
        bench.supervisor.handle(bench.now, Event::Channel { pid: pid(101), event: ChannelEvent::Silent }, &mut actions);
        actions.iter().filter(|action| matches!(action, Action::Report(Report::Silent { .. }))).count()
    };
    let mut bench = Bench::running(Config { ipc: true, ..Config::default() });
    assert_eq!([silent(&mut bench), silent(&mut bench)], [1, 0]);
}

#[test]
fn to_ask_for_a_port_is_as_far_as_a_standby_comes_and_no_readiness_of_the_active_one() {
    let config = || Config { hold_port: true, wait_ready: Some(ms(700)), ..Config::default() };
    let mut bench = Bench::running(config());
    bench.events(101, &[ChannelEvent::AtListen]).tick_at(ms(700)).says(&["SIGKILL to 101"]);
    let mut bench = Bench::listening(Config { standby: true, ..config() });
    bench.events(101, &[ChannelEvent::Ready]).tick_at(ms(0)).events(102, &[ChannelEvent::AtListen]).says(&["spawn 2 - standby"]);
    while bench.tick() < at(10_000) {
        bench.says(&["look at 101"]);
    }
}

#[test]
fn no_standby_is_started_beside_a_launcher() {
    let standby = || Config { standby: true, ..Config::default() };
    let note = |bench: &Bench| bench.supervisor.view(bench.now).standby_note;
    let mut bench = Bench::running(standby());
    bench.events(101, &[ChannelEvent::LauncherSpeaks, listens_at(&[3000])]).says(&[]);
    assert_eq!((note(&bench), bench.supervisor.standby_due()), (Some("off: a launcher speaks for this generation"), None));
    // It was what runs before the app.
    bench.events(101, &[ChannelEvent::AnotherSpeaks, listens_at(&[3000])]).tick_at(ms(0)).says(&["spawn 2 - standby"]);
    assert_eq!(note(&bench), None);
    bench.events(102, &[ChannelEvent::LauncherSpeaks, ChannelEvent::AnotherSpeaks, ChannelEvent::AtListen]).says(&[]);
    assert!(bench.supervisor.standby_waits());
    let mut bench = Bench::running(Config { hold_port: true, ..Config::default() });
    bench.events(101, &[ChannelEvent::LauncherSpeaks]);
    assert_eq!(note(&bench), None, "where none is wanted");
}
