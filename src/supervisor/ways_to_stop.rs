//! An app that is asked to stop over its channel, and one that only its channel keeps from its end.

use super::bench::{Bench, TERM, listens_at, ms, signal};
use super::event::Event;
use super::*;
use crate::config::values::StopBy;
use crate::procfs::node_loop::Left;
use event::ChannelEvent;
use exit::Exit;

/// A server that is asked to stop like this, with a grace period of 10 s.
fn asked(stop_by: StopBy) -> Bench {
    let mut bench = Bench::listening(Config { stop_by, grace_period: ms(10_000), ..Config::default() });
    bench.tell(signal(TERM));
    bench
}

impl Bench {
    fn shows(&mut self, left: Option<Left>) -> &mut Bench {
        self.left = left;
        self
    }

    /// Lets the clock run until something else is done than looks, and gives back what and when.
    fn next_deed(&mut self) -> (u64, String) {
        for _ in 0..200 {
            self.tick();
            let done: Vec<String> = self.take_log().into_iter().filter(|line| !line.starts_with("look")).collect();
            if !done.is_empty() {
                return (self.now.since(Moment::START).as_millis() as u64, done.join(", "));
            }
        }
        panic!("nothing is done: {:?}", self.supervisor)
    }
}

#[test]
fn an_app_that_has_nothing_left_to_do_is_told_to_let_go_of_its_channel() {
    let mut bench = Bench::listening(Config::default());
    bench.tell(signal(TERM)).shows(Some(Left::Nothing)).events(101, &[ChannelEvent::Closed]).says(&["SIGTERM to 101"]);
    bench.tick_at(ms(10)).says(&["look whether 101 is done"]);
    bench.tick_at(ms(20)).says(&["look whether 101 is done", "disconnect to 101"]);
    assert_eq!(bench.supervisor.next_deadline(), None, "nothing is looked at any more");
}

/// Node's clock may be set to a timer that is cleared.
#[test]
fn a_long_timer_is_no_clean_up_where_a_stop_was_asked_for() {
    let mut bench = asked(StopBy::Signal);
    bench.events(101, &[ChannelEvent::Closed]).shows(Some(Left::LongTimer)).take_log();
    assert_eq!(bench.next_deed(), (20, "disconnect to 101".to_owned()));
    let mut bench = Bench::listening(Config::default());
    bench.events(101, &[ChannelEvent::Closed]).shows(Some(Left::LongTimer)).take_log();
    for _ in 0..20 {
        bench.tick();
    }
    assert!(bench.take_log().iter().all(|line| line.starts_with("look")));
}

#[test]
fn clean_up_after_the_last_server_is_not_cut_off() {
    let mut bench = asked(StopBy::Signal);
    bench.events(101, &[ChannelEvent::Closed]).take_log();
    bench.shows(Some(Left::Work));
    assert_eq!(bench.next_deed(), (10_000, "SIGKILL to 101, kill all".to_owned()), "it saves for as long as it may");
}

#[test]
fn an_app_that_lets_go_by_itself_is_not_told_to() {
    let mut bench = asked(StopBy::Signal);
    bench.events(101, &[ChannelEvent::Disconnecting, ChannelEvent::Closed]).shows(Some(Left::Nothing)).take_log();
    assert_eq!(bench.next_deed(), (10_000, "SIGKILL to 101, kill all".to_owned()));
}

/// Connections that an agent keeps in reserve hold no app, and cannot be told from others.
#[test]
fn one_that_waits_for_others_alone_has_some_seconds() {
    for left in [Some(Left::Others), None] {
        let mut bench = asked(StopBy::Signal);
        bench.events(101, &[ChannelEvent::Closed]).shows(left).take_log();
        let (at, deed) = bench.next_deed();
        assert!(deed == "disconnect to 101" && (3000..=4010).contains(&at), "{left:?}: {deed} at {at}");
        // Nobody has asked it to stop: it may go on without a server.
        let mut bench = Bench::listening(Config { max_memory: None, ..Config::default() });
        bench.events(101, &[ChannelEvent::Closed]).shows(left).take_log();
        for _ in 0..20 {
            bench.tick();
        }
        assert!(bench.take_log().iter().all(|line| line.starts_with("look")), "{left:?}");
    }
}

/// `node migrate.js; exec node server.js`.
#[test]
fn a_script_without_a_server_ends_and_another_may_follow() {
    let mut bench = Bench::running(Config { hold_port: true, max_memory: None, ..Config::default() });
    bench.events(101, &[ChannelEvent::Answered]).take_log();
    let looks = (0..8).map(|_| (bench.tick().since(Moment::START).as_millis(), bench.take_log().concat()));
    let looks: Vec<u128> = looks.filter(|(_, log)| log.contains("is done")).map(|(at, _)| at).collect();
    assert_eq!(looks[..4], [250, 750, 1750, 3750], "ever more seldom");
    bench.shows(Some(Left::Nothing));
    assert_eq!(bench.next_deed().1, "disconnect to 101");
    bench.events(101, &[ChannelEvent::AnotherSpeaks]).take_log();
    assert!(bench.supervisor.rest_due().is_some(), "it may be a script as well");
    bench.events(101, &[listens_at(&[3000])]);
    assert_eq!(bench.supervisor.rest_due(), None, "a server is not looked at");
}

#[test]
fn whoever_does_not_read_the_request_gets_the_signal() {
    for stop_by in [StopBy::Message, StopBy::Drain] {
        let mut bench = asked(stop_by);
        bench.take_log();
        assert_eq!(bench.next_deed(), (8000, "SIGTERM to 101".to_owned()), "{stop_by:?}: the last fifth of the grace period");
        let config = Config { stop_by, watchdog: Some(ms(900)), ..Config::default() };
        let mut bench = Bench::listening(config.clone());
        bench.tell(signal(TERM)).take_log();
        assert_eq!(bench.next_deed(), (900, "SIGTERM to 101".to_owned()), "{stop_by:?}: as long as the watchdog waits");
        let mut bench = Bench::listening(Config { watchdog: None, ..config });
        bench.tell(signal(TERM)).take_log();
        assert_eq!(bench.next_deed(), (10_000, "SIGTERM to 101".to_owned()), "{stop_by:?}");
        bench.events(101, &[ChannelEvent::Gone]).says(&[]);
    }
}

#[test]
fn one_that_has_read_it_gets_the_signal_shortly_before_its_time_is_over() {
    let mut bench = asked(StopBy::Message);
    bench.events(101, &[ChannelEvent::RequestAnswered]).take_log();
    assert_eq!(bench.next_deed(), (8000, "SIGTERM to 101".to_owned()));
    assert_eq!(bench.next_deed(), (10_000, "SIGKILL to 101, kill all".to_owned()));
    // A busy keep-alive client holds a drained app.
    let mut bench = asked(StopBy::Drain);
    bench.events(101, &[ChannelEvent::RequestAnswered, ChannelEvent::Closed, ChannelEvent::Gone]).take_log();
    assert_eq!(bench.next_deed(), (8000, "SIGTERM to 101".to_owned()));
}

#[test]
fn a_drain_that_closes_nothing_is_followed_by_the_signal() {
    let mut bench = asked(StopBy::Drain);
    bench.events(101, &[ChannelEvent::RequestAnswered]).take_log();
    assert_eq!(bench.next_deed(), (3000, "SIGTERM to 101".to_owned()));
    let mut bench = Bench::listening(Config { stop_by: StopBy::Drain, grace_period: ms(10_000), ..Config::default() });
    bench.events(101, &[listens_at(&[3000, 3001])]).tell(signal(TERM));
    bench.events(101, &[ChannelEvent::RequestAnswered, listens_at(&[3001])]).take_log();
    assert_eq!(bench.next_deed(), (8000, "SIGTERM to 101".to_owned()), "one of its servers is closed");
}

#[test]
fn a_short_grace_period_is_not_all_the_last_call() {
    let config = Config { stop_by: StopBy::Message, grace_period: ms(1000), ..Config::default() };
    let mut bench = Bench::listening(config);
    bench.tell(signal(TERM)).events(101, &[ChannelEvent::RequestAnswered]).take_log();
    assert_eq!(bench.next_deed(), (500, "SIGTERM to 101".to_owned()));
}

#[test]
fn in_a_planned_restart_the_signal_follows_likewise() {
    let mut bench = Bench::listening(Config { stop_by: StopBy::Message, max_memory: None, ..Config::default() });
    bench.tell(Event::RestartAsked).events(102, &[listens_at(&[3000])]).take_log();
    bench.events(101, &[ChannelEvent::RequestAnswered]);
    assert_eq!(bench.next_deed(), (24_000, "SIGTERM to 101".to_owned()));
    bench.exit(101, Exit::Code(0));
    assert_eq!((bench.supervisor.rest_due(), bench.supervisor.signals_after_requests_due()), (None, None));
}
