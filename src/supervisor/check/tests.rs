use std::num::NonZeroU32;

use nix::errno::Errno;

use super::*;
use crate::config::Config;
use crate::config::check_url::CheckUrl;
use crate::config::values::{RestartPolicy, StopBy};
use crate::supervisor::bench::{Bench, TERM, at, killed_by, listens_at, ms, pid, signal, used};
use crate::supervisor::event::{ChannelEvent, Event};
use crate::supervisor::exit::Exit;

const SLOW: Result<Duration, Fault> = Err(Fault::NoAnswer { within: Duration::from_secs(2) });
const BUSY: Result<Duration, Fault> = Err(Fault::Status(503));
const WELL: Result<Duration, Fault> = Ok(Duration::from_millis(3));

fn config() -> Config {
    let check = CheckUrl::parse("http://127.0.0.1:3000/").ok();
    let failures = NonZeroU32::new(2).unwrap();
    Config { check, check_interval: ms(1000), check_failures: failures, max_restarts: 2, backoff_jitter: 0, ..Config::default() }
}

impl Bench {
    /// A look is due at this time, in ms, and this is what comes of it.
    fn look(&mut self, due: u64, number: i32, answer: Result<Duration, Fault>) -> &mut Bench {
        // The limit of memory, which this bench has, is looked at meanwhile.
        while self.supervisor.next_deadline().is_some_and(|next| next < at(due)) {
            self.tick();
        }
        self.tick_at(ms(due));
        assert!(self.take_log().contains(&format!("check {number}")), "at {due} ms");
        self.tell(Event::Checked { pid: pid(number), answer })
    }
}

#[test]
fn so_many_failures_in_a_row_are_a_crash_that_is_asked_to_stop() {
    let mut bench = Bench::running(config());
    bench.look(1000, 101, BUSY).look(2000, 101, WELL).look(3000, 101, BUSY).says(&[]);
    bench.look(4000, 101, SLOW).says(&["SIGTERM to 101"]);
    let why = bench.supervisor.view(bench.now).not_ready.unwrap();
    assert_eq!(why, "generation 1 (pid 101) is being ended: check failed 2 times in a row, the last: no answer within 2 s");
    // However well it goes.
    bench.exit(101, Exit::Code(0)).tick_at(ms(4000)).says(&["spawn 2 0"]);
    let view = bench.supervisor.view(bench.now);
    assert_eq!((view.restarts_used, view.last_exits[0].run.reason.map(Reason::name)), (1, Some("check failed")));
    assert!(view.restarts_total.contains(&("check failed", 1)), "{:?}", view.restarts_total);
    assert_eq!(view.check.map(|check| (check.failures, check.failures_total, check.last)), Some((0, 3, None)), "of the new generation");
}

#[test]
fn one_that_does_not_stop_is_killed() {
    for (grace, limit) in [(0, 10_000), (500, 500)] {
        let mut bench = Bench::running(Config { grace_period: ms(grace), ..config() });
        bench.look(1000, 101, BUSY).look(2000, 101, BUSY).says(&["SIGTERM to 101"]);
        bench.tick_at(ms(2000 + limit)).says(&["SIGKILL to 101"]);
        bench.exit(101, killed_by(9)).tick_at(ms(2000 + limit)).says(&["spawn 2 SIGKILL"]);
    }
}

#[test]
fn it_goes_by_what_asks_the_app_to_stop() {
    let mut bench = Bench::running(Config { stop_by: StopBy::Message, ..config() });
    bench.events(101, &[ChannelEvent::Answered]);
    bench.look(1000, 101, BUSY).look(2000, 101, BUSY).says(&["shutdown to 101"]);
    assert!(bench.supervisor.next_deadline().is_some_and(|due| due < at(12_000)), "the signal follows before the end");
}

#[test]
fn it_begins_once_the_generation_is_ready() {
    let mut bench = Bench::running(Config { wait_ready: Some(ms(60_000)), ..config() });
    bench.now = at(5000);
    bench.events(101, &[ChannelEvent::Ready]).look(6000, 101, WELL);
    bench.now = at(6500);
    bench.events(101, &[ChannelEvent::Unready]);
    assert_eq!(bench.supervisor.check_due(), None);
    bench.now = at(9000);
    bench.events(101, &[ChannelEvent::Ready]).look(10_000, 101, WELL);
}

#[test]
fn nobody_is_asked_in_an_overlap_a_drain_or_a_stop() {
    let mut bench = Bench::listening(config());
    bench.look(1000, 101, BUSY).tell(Event::RestartAsked);
    assert_eq!(bench.supervisor.check_due(), None, "a successor boots");
    bench.events(102, &[ChannelEvent::Answered, listens_at(&[3000])]);
    assert_eq!(bench.supervisor.check_due(), None, "the old one finishes");
    bench.now = at(1500);
    bench.exit(101, Exit::Code(0)).look(2000, 102, BUSY);
    assert_eq!(bench.supervisor.view(bench.now).check.map(|check| check.failures), Some(1), "it begins anew");
    let mut bench = Bench::running(Config { drain_delay: ms(5000), ..config() });
    bench.tell(signal(TERM));
    assert_eq!(bench.supervisor.check_due(), None);
    bench.tick_at(ms(5000));
    assert_eq!(bench.supervisor.check_due(), None);
}

/// One that is ready, and yet does not take over, changes nothing for the one that goes on.
#[test]
fn the_old_one_is_asked_on_where_its_successor_fails() {
    let mut bench = Bench::listening(Config { wait_ready: Some(ms(60_000)), ..config() });
    bench.events(101, &[ChannelEvent::Ready]).look(1000, 101, BUSY).tell(Event::RestartAsked);
    bench.events(102, &[ChannelEvent::Answered, ChannelEvent::Ready]).exit(102, Exit::Code(1));
    bench.look(2000, 101, BUSY);
    assert_eq!(bench.take_log(), ["SIGTERM to 101"], "both of its failures count");
}

#[test]
fn an_answer_that_is_late_or_anothers_does_not_count() {
    let mut bench = Bench::listening(config());
    bench.look(1000, 101, BUSY).tick_at(ms(2000)).take_log();
    bench.tell(Event::RestartAsked).tell(Event::Checked { pid: pid(101), answer: BUSY });
    assert_eq!(bench.supervisor.active().map(|active| active.kill_reason), Some(None), "it is being replaced");
    bench.events(102, &[ChannelEvent::Answered, listens_at(&[3000])]).exit(101, Exit::Code(0));
    bench.tell(Event::Checked { pid: pid(101), answer: BUSY });
    assert_eq!(bench.supervisor.view(bench.now).check.map(|check| check.failures), Some(0));
}

#[test]
fn what_is_our_own_fault_does_not_count() {
    let mut bench = Bench::running(config());
    let refused = |errno: Errno| Err(Fault::Refused(errno as i32));
    bench.look(1000, 101, BUSY).look(2000, 101, refused(Errno::EMFILE));
    assert_eq!(bench.supervisor.view(bench.now).check.map(|check| check.failures), Some(1));
    // Once the address has answered, it is the local ports that are all in use; before, it may be none of this machine's.
    bench.look(3000, 101, WELL).look(4000, 101, refused(Errno::EADDRNOTAVAIL)).look(5000, 101, refused(Errno::EADDRNOTAVAIL)).says(&[]);
    let mut bench = Bench::running(config());
    bench.look(1000, 101, refused(Errno::EADDRNOTAVAIL)).look(2000, 101, refused(Errno::EADDRNOTAVAIL)).says(&["SIGTERM to 101"]);
}

/// The next look is not begun while one is under way, however short the interval is.
#[test]
fn one_look_at_a_time() {
    let mut bench = Bench::running(config());
    bench.tick_at(ms(1000)).take_log();
    assert_eq!(bench.supervisor.check_due(), None);
    bench.now = at(2900);
    bench.tell(Event::Checked { pid: pid(101), answer: SLOW });
    assert_eq!(bench.supervisor.check_due(), Some(at(2900)));
}

/// What never answers a check does not work, however long it listens: it is handed over.
#[test]
fn a_generation_that_never_passed_has_not_worked() {
    let config = Config { restart_window: ms(3000), ..config() };
    let mut bench = Bench::running(config.clone());
    let mut now = 0;
    for number in 101..=103 {
        // Far longer than the window, and than what is stable.
        bench.look(now + 1000, number, BUSY);
        now += 1000;
        bench.now = at(now + 20_000);
        bench.tell(Event::Tick { signals_pending: false }).take_log();
        now += 20_000;
        bench.tell(Event::Checked { pid: pid(number), answer: BUSY }).take_log();
        bench.exit(number, Exit::Code(0));
        if number < 103 {
            bench.tick();
            now = u64::try_from(bench.now.since_start().as_millis()).unwrap();
        }
    }
    assert_eq!(bench.take_log().last().map(String::as_str), Some("finish restarts-exhausted 1"), "never 0");
}

/// A stop wins over it.
#[test]
fn a_stop_meanwhile_is_a_stop() {
    let mut bench = Bench::running(config());
    bench.look(1000, 101, BUSY).look(2000, 101, BUSY).take_log();
    bench.tell(signal(TERM)).says(&["SIGTERM to 101"]);
    assert_eq!(bench.supervisor.next_deadline(), None, "whoever asked has a limit of its own");
    bench.exit(101, Exit::Code(0)).says(&["finish stopped 0"]);
}

#[test]
fn where_nothing_is_restarted_the_orchestrator_sees_a_failure() {
    for (config, code) in [
        (Config { restart: RestartPolicy::Never, ..config() }, 1),
        (Config { max_restarts: 0, ..config() }, 1),
        (Config { max_restarts: 0, exhausted_code: Some(75), ..config() }, 1),
    ] {
        let mut bench = Bench::running(config);
        bench.look(1000, 101, BUSY).look(2000, 101, BUSY).take_log();
        bench.exit(101, Exit::Code(0)).says(&[&format!("finish completed {code}")]);
    }
}

#[test]
fn nothing_else_is_begun_while_it_ends() {
    let mut bench = Bench::running(config());
    bench.look(1000, 101, BUSY).look(2000, 101, BUSY).tell(used(2000)).tell(used(2000)).says(&["SIGTERM to 101"]);
    bench.tell(Event::RestartAsked).says(&["done badly"]);
}

#[test]
fn a_standby_takes_over_from_one_that_fails() {
    let mut bench = Bench::with_standby(config());
    bench.look(1000, 101, BUSY).look(2000, 101, BUSY).take_log();
    bench.exit(101, Exit::Code(0));
    assert!(bench.take_log().contains(&"promote 102".to_owned()));
}
