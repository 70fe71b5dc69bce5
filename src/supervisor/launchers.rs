//! The state machine without a process: launchers in front of the app, which die of the stop and leave it behind.

use super::bench::{Bench, TERM, TICK, at, generation, killed_by, ms, pid, signal};
use super::event::Event;
use super::exit::Exit;
use super::sweep::Found;
use super::*;

impl Bench {
    /// The command dies of the stop and leaves something behind.
    fn launcher_dies(&mut self, exit: Exit) -> &mut Bench {
        self.tell(Event::Exited { pid: pid(101), exit, reason: None }).tell(Event::Reaped { children: true })
    }

    fn found_apart(&mut self, launched: usize, others: usize) -> &mut Bench {
        self.tell(Event::Leftovers { generation: generation(1), found: Some(Found { launched, others, refused: None }) })
    }
}

const FIRST: &str = "leftovers 1 SIGTERM Some(SIGTERM) New { group_has_it: false }";

#[test]
fn what_a_launcher_started_has_its_time_and_the_rest_has_not() {
    for exit in [killed_by(TERM), Exit::Code(143)] {
        let mut bench = Bench::running(Config::default());
        bench.tell(signal(TERM)).launcher_dies(exit).found_apart(1, 1);
        assert_eq!(bench.take_log(), ["SIGTERM to 101", FIRST]);
        bench.tick_at(ms(2000)).found_apart(1, 1);
        assert_eq!(bench.take_log(), ["leftovers 1 SIGTERM Some(SIGKILL) Known"]);
        bench.tell(Event::Reaped { children: true }).found_apart(1, 0);
        assert_eq!(bench.take_log(), ["leftovers 1 SIGTERM None Known"]);
        bench.tick_at(ms(10_000));
        assert_eq!(bench.take_log(), ["leftovers 1 SIGKILL"], "ten seconds where there is no grace period");
        bench.found_apart(0, 0).tell(TICK);
        assert_eq!(bench.take_log(), ["finish stopped 143"]);
    }
}

#[test]
fn a_launcher_may_have_started_another() {
    let mut bench = Bench::running(Config::default());
    bench.tell(signal(TERM)).launcher_dies(killed_by(TERM)).found_apart(1, 0);
    bench.now = at(900);
    bench.tell(Event::Reaped { children: true }).found_apart(1, 0);
    assert_eq!(bench.take_log().last().unwrap(), "leftovers 1 SIGTERM None New { group_has_it: false }");
    bench.now = at(1100);
    bench.tell(Event::Reaped { children: true });
    assert_eq!(bench.take_log().last().unwrap(), "leftovers 1 SIGTERM None Known");
}

#[test]
fn what_the_app_leaves_behind_is_ended_like_any_leftovers() {
    let mut bench = Bench::running(Config::default());
    bench.tell(signal(TERM)).launcher_dies(killed_by(TERM)).found_apart(1, 0);
    bench.now = at(5000);
    bench.tell(Event::Reaped { children: true }).found_apart(0, 2);
    assert_eq!(bench.take_log().last().unwrap(), "leftovers 1 SIGTERM");
    bench.found_apart(0, 2).tick_at(ms(7000));
    assert_eq!(bench.take_log(), ["leftovers 1 SIGKILL"]);
}

#[test]
fn the_grace_period_is_what_it_has() {
    let mut bench = Bench::running(Config { grace_period: ms(700), ..Config::default() });
    bench.tell(signal(TERM));
    bench.now = at(100);
    bench.launcher_dies(Exit::Code(143)).found_apart(1, 0);
    assert_eq!(bench.supervisor.next_deadline(), Some(at(700)));
    bench.tick_at(ms(700));
    assert_eq!(bench.take_log(), ["SIGTERM to 101", FIRST, "kill all", "leftovers 1 SIGKILL"]);
}

#[test]
fn in_a_planned_restart_it_has_the_old_generations_time() {
    let mut bench = Bench::running(Config::default());
    bench.tell(Event::RestartAsked).launcher_dies(killed_by(TERM)).found_apart(1, 0);
    assert_eq!(bench.take_log(), ["SIGTERM to 101", FIRST]);
    bench.tick_at(ms(30_000)).found_apart(0, 0).tell(TICK);
    assert_eq!(bench.take_log(), ["leftovers 1 SIGKILL", "spawn 2 SIGTERM", "done well"]);
}

#[test]
fn whoever_ends_otherwise_was_no_launcher() {
    let mut late = Bench::running(Config::default());
    late.tell(signal(TERM));
    late.now = at(1001);
    late.launcher_dies(killed_by(TERM));
    assert_eq!(late.take_log(), ["SIGTERM to 101", "leftovers 1 SIGTERM"]);
    let mut well = Bench::running(Config::default());
    well.tell(signal(TERM)).launcher_dies(Exit::Code(0));
    assert_eq!(well.take_log(), ["SIGTERM to 101", "leftovers 1 SIGTERM"]);
    let mut crash = Bench::running(Config::default());
    crash.launcher_dies(Exit::Code(143));
    assert_eq!(crash.take_log(), ["leftovers 1 SIGTERM"]);
}

#[test]
fn a_second_stop_reaches_the_app_too() {
    let mut bench = Bench::running(Config::default());
    bench.tell(signal(TERM)).launcher_dies(killed_by(TERM)).found_apart(1, 0).tell(signal(super::bench::INT)).found_apart(1, 0);
    assert_eq!(bench.take_log(), ["SIGTERM to 101", FIRST, "leftovers 1 forward SIGINT"]);
    assert_eq!(bench.supervisor.next_deadline(), Some(at(10_000)));
}
