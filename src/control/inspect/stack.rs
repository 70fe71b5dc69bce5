//! `stack`: where the event loop of a Node is. What `/proc` shows comes first: a loop that is idle, or that sleeps in a system call, is not
//! disturbed, and could not be asked either.

use std::time::{Duration, Instant};

use nix::unistd::Pid;

use super::port::{self, Shut};
use super::session::{Failure, Interrupts, Session};
use super::target::Target;
use super::{NO_FRAMES, attach, told, why};
use crate::inspector::message::{Output, Stack};
use crate::inspector::stack::Answer;
use crate::procfs::main_thread::{Purpose, Sample, State, name_of_call};
use crate::procfs::verdict::{Place, Verdict};
use crate::sys::main_thread;

/// A thread that has slept for so long sleeps.
const LOOKED_AT: Duration = Duration::from_millis(100);
const BETWEEN: Duration = Duration::from_millis(10);
/// A thread that ran for less did nothing but wake up.
const HARDLY_RAN: Duration = Duration::from_millis(1);
/// A loop that runs JavaScript stands still long before.
const PAUSES_WITHIN: Duration = Duration::from_millis(500);
/// How much longer than this process the inspector may be open.
const ALONE: Duration = Duration::from_secs(1);

/// What `/proc` tells of a loop.
pub(super) enum Look {
    /// All there is to know.
    Known { verdict: Verdict },
    /// It runs, or may: JavaScript tells where.
    Ask { first: Sample, at: Instant, place: Place },
}

/// How a main thread sleeps.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sleeps {
    InItsLoop,
    /// Where JavaScript cannot be interrupted.
    Elsewhere,
}

/// Looks for as long as the thread sleeps in one place.
pub(super) fn look(pid: Pid, interrupts: &Interrupts, end: Instant) -> Result<Look, Failure> {
    let gone = Look::Known { verdict: Verdict::Ended };
    let at = Instant::now();
    let (Some(first), mut place) = (main_thread::sample(pid), main_thread::place(pid)) else { return Ok(gone) };
    let began = sleeps(&first, &place);
    loop {
        let Some(now) = main_thread::sample(pid) else { return Ok(gone) };
        if matches!(now.state, State::Stopped | State::Traced | State::Ended) {
            return Ok(Look::Known { verdict: Verdict::of(None, &now, &place) });
        }
        let is_same = began.is_some() && sleeps(&now, &place) == began;
        let share = now.since(&first, at.elapsed());
        let has_run = share.is_some_and(|share| share.schedule.ran > HARDLY_RAN);
        if !is_same || (began == Some(Sleeps::Elsewhere) && has_run) {
            return Ok(Look::Ask { first, at, place });
        }
        if at.elapsed() >= LOOKED_AT {
            let verdict = if began == Some(Sleeps::InItsLoop) { Verdict::Idle } else { Verdict::of(share, &now, &place) };
            return Ok(Look::Known { verdict });
        }
        interrupts.wait(None, end.min(Instant::now() + BETWEEN))?;
        place = main_thread::place(pid);
    }
}

fn sleeps(sample: &Sample, place: &Place) -> Option<Sleeps> {
    if !matches!(sample.state, State::Sleeping | State::Uninterruptible) {
        return None;
    }
    match place.call.and_then(name_of_call) {
        Some((_, Purpose::Events)) if place.is_in_own_loop => Some(Sleeps::InItsLoop),
        Some((_, Purpose::Events)) => place.child.as_ref().map(|_| Sleeps::Elsewhere),
        // `Atomics.wait` can be interrupted.
        Some((_, Purpose::Lock)) => None,
        Some(_) => Some(Sleeps::Elsewhere),
        None => None,
    }
}

/// Where the loop is.
pub(super) fn take(target: &Target, interrupts: &Interrupts, end: Instant) -> Result<Answer, String> {
    let pid = target.pid();
    let told = |failure: Failure| told(&failure);
    let answer = |verdict: Verdict, Stack { frames, more }: Stack| Answer {
        generation: target.generation,
        pid: pid.as_raw(),
        command: target.command.clone(),
        verdict: verdict.to_string(),
        frames,
        more,
    };
    let (first, at, place) = match look(pid, interrupts, end).map_err(told)? {
        Look::Known { verdict: Verdict::Ended } => return Err("it has just ended".to_owned()),
        Look::Known { verdict } => return Ok(answer(verdict, NO_FRAMES)),
        Look::Ask { first, at, place } => (first, at, place),
    };
    // As it was before anybody interrupted it: a thread that stands still for a debugger sleeps.
    let verdict = |place: &Place| {
        main_thread::sample(pid).map(|now| Verdict::of(now.since(&first, at.elapsed()), &now, place)).unwrap_or(Verdict::Ended)
    };
    // Half of the time: there must be some left to say why it did not open.
    let opens_until = Instant::now() + end.saturating_duration_since(Instant::now()) / 2;
    let port = match port::open(target, interrupts, opens_until) {
        Ok(port) => port,
        Err(shut) => {
            let place = main_thread::place(pid);
            return match verdict(&place) {
                Verdict::Running { .. } | Verdict::Idle | Verdict::Ended | Verdict::Unknown => Err(why(&shut)),
                // That is an answer, and the reason as well.
                verdict if matches!(shut, Shut::Silent) => Ok(answer(verdict, NO_FRAMES)),
                verdict => Err(format!("{}; it is {verdict}", why(&shut))),
            };
        }
    };
    let limit = end.saturating_duration_since(Instant::now()) + ALONE;
    let mut session = attach(port, interrupts, Output::Nothing, end, limit).map_err(told)?;
    session.call("Debugger.enable", "{}").map_err(told)?;
    let verdict_before = verdict(&place);
    let paused = pause(&mut session, end);
    let verdict = match &paused {
        Ok(Paused::At(_)) => verdict_before,
        Ok(Paused::Idle) => Verdict::Idle,
        _ => verdict(&main_thread::place(pid)),
    };
    // A pause that was not reached is withdrawn, one that was is over: Node may crash where its inspector is closed in the midst of one.
    let resumed = session.call("Debugger.disable", "{}");
    if resumed.is_ok() {
        session.close();
    }
    match paused.map_err(told)? {
        Paused::At(stack) => Ok(answer(verdict, stack)),
        Paused::Idle | Paused::Nowhere => Ok(answer(verdict, NO_FRAMES)),
    }
}

enum Paused {
    At(Stack),
    Idle,
    /// It runs no JavaScript.
    Nowhere,
}

fn pause(session: &mut Session<'_>, end: Instant) -> Result<Paused, Failure> {
    let limit = |within: Duration| end.min(Instant::now() + within);
    session.ask("Debugger.pause", "{}")?;
    if let Some(stack) = session.paused(limit(PAUSES_WITHIN))? {
        return Ok(Paused::At(stack));
    }
    // A loop that has nothing to run stands still in this.
    session.ask("Runtime.evaluate", "{\"expression\":\"0\"}")?;
    let Some(mut stack) = session.paused(limit(PAUSES_WITHIN))? else { return Ok(Paused::Nowhere) };
    if stack.frames.first().is_some_and(|frame| frame.function.is_empty() && frame.url.is_empty()) {
        stack.frames.remove(0);
    }
    Ok(if stack.frames.is_empty() { Paused::Idle } else { Paused::At(stack) })
}
