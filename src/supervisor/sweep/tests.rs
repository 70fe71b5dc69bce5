//! One generation's leftovers, from the first question to the end.

use super::*;
use crate::supervisor::bench::{at, ms};

const TIMEOUT: Duration = Duration::from_secs(2);
const NOTHING: Option<Launched> = None;

/// What a launcher started, which was asked at 0: it has ten seconds.
const LAUNCHED: Option<Launched> = Some(Launched {
    signal: Signal::TERM,
    group_has_it: true,
    admit_until: Moment::after_start(LAUNCHER_DIES_WITHIN),
    until: Moment::after_start(LAUNCHED_GRACE),
});

fn found(launched: usize, others: usize) -> Option<Found> {
    Some(Found { launched, others, refused: None })
}

fn begun(launched: Option<Launched>) -> Sweep {
    Sweep::Unknown { launched }
}

fn apart(others: Option<Signal>, is_early: bool) -> Order {
    let admit = if is_early { Admit::New { group_has_it: true } } else { Admit::Known };
    Order::Apart { signal: Signal::TERM, others, admit }
}

/// Nothing is due just before that moment.
fn tick_at(sweep: &mut Sweep, due: Moment) -> Told {
    let before = due.checked_sub(ms(1)).unwrap();
    assert_eq!((sweep.deadline(), sweep.tick(before)), (Some(due), Told::Nothing));
    sweep.tick(due)
}

#[test]
fn leftovers_are_asked_then_killed_again_and_again_then_given_up() {
    let mut sweep = begun(NOTHING);
    assert_eq!((sweep.deadline(), sweep.reaped(at(0), Signal::TERM)), (None, Some(Order::All(Signal::TERM))));
    assert_eq!((sweep.deadline(), sweep.reaped(at(0), Signal::TERM)), (None, None), "the answer is awaited");
    assert_eq!(sweep.found(at(0), found(0, 2), TIMEOUT), Told::Signalled { signal: Signal::TERM, count: 2 });
    assert_eq!(sweep.reaped(at(100), Signal::TERM), Some(Order::Nothing), "they are counted only");
    assert_eq!(sweep.found(at(100), found(0, 1), TIMEOUT), Told::Nothing);
    assert_eq!(tick_at(&mut sweep, at(2000)), Told::Ask(Order::All(Signal::KILL)));
    assert_eq!(sweep.found(at(2000), found(0, 1), TIMEOUT), Told::Signalled { signal: Signal::KILL, count: 1 });
    for again_at in (2020..4000).step_by(20) {
        assert_eq!(tick_at(&mut sweep, at(again_at)), Told::Ask(Order::All(Signal::KILL)));
        assert_eq!(sweep.found(at(again_at), found(0, 3), TIMEOUT), Told::Nothing, "that is no news");
    }
    assert_eq!((tick_at(&mut sweep, at(4000)), sweep), (Told::GivenUp { count: 3 }, Sweep::Done));
    assert_eq!((sweep.deadline(), sweep.tick(at(9999)), sweep.reaped(at(9999), Signal::TERM)), (None, Told::Nothing, None));
    assert_eq!(sweep.found(at(9999), found(1, 1), TIMEOUT), Told::Nothing);
}

#[test]
fn where_nobody_can_tell_there_may_be_one() {
    let mut sweep = begun(NOTHING);
    assert!(sweep.reaped(at(0), Signal::TERM).is_some());
    assert_eq!(sweep.found(at(0), None, TIMEOUT), Told::Nothing);
    assert_eq!(tick_at(&mut sweep, at(2000)), Told::Ask(Order::All(Signal::KILL)));
    assert_eq!(sweep.found(at(2000), None, TIMEOUT), Told::Nothing);
    assert_eq!(sweep.tick(at(4000)), Told::GivenUp { count: 1 });
}

#[test]
fn once_there_are_none_it_is_over() {
    for launched in [NOTHING, LAUNCHED] {
        let mut sweep = begun(launched);
        assert!(sweep.reaped(at(0), Signal::TERM).is_some());
        assert_eq!((sweep.found(at(0), found(0, 0), TIMEOUT), sweep), (Told::Nothing, Sweep::Done));
    }
}

#[test]
fn once_the_grace_period_is_over_nobody_is_asked_politely() {
    for launched in [NOTHING, LAUNCHED] {
        assert_eq!(begun(launched).reaped(at(0), Signal::KILL), Some(Order::All(Signal::KILL)));
    }
    let mut hurried = begun(LAUNCHED);
    hurried.hurry(at(0));
    assert_eq!(hurried, begun(NOTHING));
}

#[test]
fn what_a_launcher_started_has_its_own_time() {
    let mut sweep = begun(LAUNCHED);
    assert_eq!(sweep.reaped(at(1000), Signal::TERM), Some(apart(Some(Signal::TERM), true)));
    assert!(!sweep.is_awaiting());
    assert_eq!(sweep.found(at(1000), found(2, 1), TIMEOUT), Told::Launched { signal: Signal::TERM, count: 2 });
    assert!(sweep.is_awaiting());
    assert_eq!(tick_at(&mut sweep, at(3000)), Told::Ask(apart(Some(Signal::KILL), false)));
    assert_eq!(sweep.found(at(3000), found(2, 1), TIMEOUT), Told::Nothing, "once: it is ended when the rest has ended");
    assert_eq!(sweep.reaped(at(3100), Signal::TERM), Some(apart(None, false)));
    assert_eq!(sweep.found(at(3100), found(1, 1), TIMEOUT), Told::Nothing);
    assert_eq!(tick_at(&mut sweep, at(10_000)), Told::Ask(Order::All(Signal::KILL)));
}

#[test]
fn the_others_keep_the_time_that_they_were_given() {
    let mut sweep = begun(LAUNCHED);
    assert!(sweep.reaped(at(0), Signal::TERM).is_some());
    assert_eq!(sweep.found(at(0), found(1, 1), TIMEOUT), Told::Launched { signal: Signal::TERM, count: 1 });
    for answer in [found(1, 1), None] {
        assert_eq!(sweep.reaped(at(500), Signal::TERM), Some(apart(None, true)));
        assert_eq!((sweep.found(at(500), answer, TIMEOUT), sweep.deadline()), (Told::Nothing, Some(at(2000))));
    }
    assert_eq!(sweep.reaped(at(500), Signal::TERM), Some(apart(None, true)));
    assert_eq!((sweep.found(at(500), found(1, 0), TIMEOUT), sweep.deadline()), (Told::Nothing, Some(at(10_000))), "none is left");
}

#[test]
fn without_what_the_launcher_started_the_rest_is_like_any_leftovers() {
    let mut sweep = begun(LAUNCHED);
    assert!(sweep.reaped(at(0), Signal::TERM).is_some());
    assert_eq!(sweep.found(at(0), found(0, 2), TIMEOUT), Told::Signalled { signal: Signal::TERM, count: 2 });
    assert_eq!(tick_at(&mut sweep, at(2000)), Told::Ask(Order::All(Signal::KILL)));
    let mut sweep = begun(LAUNCHED);
    assert!(sweep.reaped(at(0), Signal::TERM).is_some());
    assert_eq!(sweep.found(at(0), None, TIMEOUT), Told::Nothing);
    assert_eq!((sweep.deadline(), sweep.reaped(at(0), Signal::TERM)), (Some(at(2000)), Some(apart(None, true))));
    assert_eq!(sweep.found(at(0), found(0, 2), TIMEOUT), Told::Ask(Order::All(Signal::TERM)));
}

#[test]
fn the_end_of_a_grace_period_hurries_and_never_postpones() {
    for (hurried_at, due) in [(500, 500), (2500, 2000)] {
        let mut sweep = begun(NOTHING);
        assert!(sweep.reaped(at(0), Signal::TERM).is_some());
        let _ = sweep.found(at(0), found(0, 1), TIMEOUT);
        sweep.hurry(at(hurried_at));
        assert_eq!(sweep.deadline(), Some(at(due)));
    }
    let mut sweep = begun(LAUNCHED);
    assert!(sweep.reaped(at(0), Signal::TERM).is_some());
    let _ = sweep.found(at(0), found(1, 0), TIMEOUT);
    sweep.hurry(at(700));
    assert_eq!(sweep.deadline(), Some(at(700)));
    assert_eq!(sweep.tick(at(700)), Told::Ask(Order::All(Signal::KILL)));
}
