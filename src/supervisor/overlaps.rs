//! A successor or a standby that cannot run beside the old generation.

use super::bench::{Bench, ms, used};
use super::event::Event;
use super::*;
use crate::config::values::ReadyWhen;
use event::ChannelEvent;
use exit::Exit;

const FAILED: Exit = Exit::Code(1);

/// A server on a held port, which listens on these ports by itself.
fn server(own: &[u16], config: Config) -> Bench {
    let mut bench = Bench::listening(Config { backoff: ms(0), ..config });
    bench.listens_on(own);
    bench
}

/// The same asked to restart, whose successor is generation 2.
fn asked(own: &[u16], event: Event) -> Bench {
    let mut bench = server(own, Config::default());
    bench.tell(event).says(&["spawn 2 -"]);
    bench.exit(102, FAILED);
    bench
}

#[test]
fn an_own_port_makes_it_a_restart_with_a_gap() {
    let mut bench = asked(&[21_106], Event::RestartAsked);
    bench.says(&["look where 101 listens", "SIGTERM to 101"]);
    let why = "generation 2 (pid 102) exited with code 1 after 0 ms: generation 1 (pid 101) is replaced without an overlap (it listens on \
               0.0.0.0:21106 by itself, which is not held)";
    let told = "generation 1 (pid 101): the app listens on 0.0.0.0:21106 by itself: that port is not held";
    assert_eq!(bench.take_reports(), [told, why]);
    bench.exit(101, Exit::Code(0)).tick_at(ms(0)).says(&["spawn 3 0", "done well"]);
    // It is ready once it listens on both, and only a look shows the one.
    let listening = Config { ready_when: Some(ReadyWhen::Listening(Vec::new())), ..Config::default() };
    let mut slow = server(&[21_106], listening);
    slow.tell(Event::RestartAsked).exit(102, FAILED).exit(101, Exit::Code(0)).tick_at(ms(0)).listens_on(&[]);
    slow.events(103, &[ChannelEvent::Answered, super::bench::listens_at(&[3000])]).at(500).take_log();
    assert!(!slow.supervisor.view(slow.now).ready);
    slow.listens_on(&[21_106]).tick();
    assert!(slow.take_log().contains(&"done well".to_owned()) && slow.supervisor.view(slow.now).ready);
    // What is known is not tried again.
    bench.events(103, &[ChannelEvent::Answered, super::bench::listens_at(&[3000])]).tell(Event::RestartAsked);
    bench.says(&["look where 103 listens", "SIGTERM to 103"]);
}

#[test]
fn without_one_the_old_generation_goes_on() {
    let mut bench = asked(&[], Event::RestartAsked);
    bench.says(&["look where 101 listens", "done badly"]);
    assert!(bench.supervisor.refuses_restart().is_none(), "it may be tried again");
    // Where that cannot be seen now, nothing follows from it.
    let mut bench = server(&[], Config::default());
    bench.listens = None;
    bench.tell(Event::RestartAsked).exit(102, FAILED).says(&["spawn 2 -", "look where 101 listens", "done badly"]);
}

#[test]
fn force_takes_the_gap() {
    let mut bench = asked(&[], Event::RestartForced);
    bench.says(&["look where 101 listens", "SIGTERM to 101"]);
    assert!(bench.take_reports()[0].ends_with("is replaced without an overlap (as was asked for by --force)"));
    bench.exit(101, Exit::Code(0)).tick_at(ms(0)).says(&["spawn 3 0", "done well"]);
    // Where the overlap can be had, there is none.
    let mut bench = server(&[], Config::default());
    bench.tell(Event::RestartForced).events(102, &[super::bench::listens_at(&[3000])]);
    bench.says(&["spawn 2 -", "SIGTERM to 101", "done well"]);
}

#[test]
fn the_memory_limit_is_kept_after_three_successors_that_failed() {
    let mut bench = server(&[], Config::default());
    for (round, pid) in [102, 103, 104].into_iter().enumerate() {
        bench.at(40_000 * (round as u64 + 1)).tell(used(5000)).tell(used(5000)).take_log();
        bench.exit(pid, FAILED);
        let says: &[&str] =
            if pid == 104 { &["look where 101 listens", "SIGTERM to 101"] } else { &["look where 101 listens", "done badly"] };
        bench.says(says);
    }
    assert!(bench.take_reports().concat().contains("3 successors in a row have failed"));
}

#[test]
fn a_standby_that_cannot_be_is_given_up() {
    for (own, tries, because) in [
        (&[21_106][..], 3, "it listens on 0.0.0.0:21106 by itself, which is not held"),
        (&[], 5, "5 in a row have ended before they were needed"),
    ] {
        let mut bench = server(own, Config { standby: true, max_memory: None, ..Config::default() });
        for pid in (102..).take(tries) {
            bench.tick_at(ms(0)).exit(pid, FAILED);
        }
        assert_eq!(bench.take_reports().last(), Some(&format!("no standby beside generation 1 any more: {because}")));
        assert_eq!(bench.supervisor.standby_due(), None);
        assert!(bench.supervisor.view(bench.now).standby_note.is_some());
        // Another generation may be another app.
        bench.exit(101, FAILED).tick_at(ms(0)).events(102 + tries as i32, &[ChannelEvent::Answered, super::bench::listens_at(&[3000])]);
        assert!(bench.supervisor.standby_due().is_some() && bench.supervisor.view(bench.now).standby_note.is_none(), "{because}");
    }
}
