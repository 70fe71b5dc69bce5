//! `stack`: where the event loop of a Node is. What `/proc` shows comes first: a loop that is idle, or that sleeps in a system call, is not
//! disturbed, and could not be asked either.

use std::time::{Duration, Instant};

use nix::unistd::Pid;

use super::port::SILENT;
use super::session::{BROKEN, LATE, Session, Why, wait};
use super::target::Target;
use super::{BETWEEN_ATTEMPTS, attach};
use crate::inspector::message::Output;
use crate::inspector::stack::{Answer, Stack};
use crate::procfs::main_thread::{Purpose, Sample, State, name_of_call};
use crate::procfs::verdict::{Place, Verdict};
use crate::sys::{main_thread, signals};

/// A thread that has slept for so long sleeps.
const LOOKED_AT: Duration = Duration::from_millis(100);
const BETWEEN_LOOKS: Duration = Duration::from_millis(10);
/// A thread that ran for less did nothing but wake up.
const HARDLY_RAN: Duration = Duration::from_millis(1);
/// A loop that runs JavaScript stands still long before.
const PAUSES_WITHIN: Duration = Duration::from_millis(500);
/// How much longer than this process the inspector may be open.
const ALONE: Duration = Duration::from_secs(1);

/// To evaluate that comes to nothing.
const NOTHING: &str = "{\"expression\":\"0\"}";
const ENDED: Why = "it has just ended";

/// What `/proc` tells of a loop.
pub(super) struct Look {
    /// `None`: it runs, or may: JavaScript tells where.
    pub(super) verdict: Option<Verdict>,
    /// It sleeps all the same.
    asleep: Option<Verdict>,
    first: Sample,
    at: Instant,
    place: Place,
}

impl Look {
    /// What it is now, at this place.
    fn verdict_at(&self, pid: Pid, place: &Place) -> Result<Verdict, Why> {
        let now = main_thread::sample(pid).ok_or(ENDED)?;
        Ok(Verdict::of(now.since(&self.first, self.at.elapsed()), &now, place))
    }
}

/// How a main thread sleeps.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sleeps {
    InItsLoop,
    /// Where JavaScript cannot be interrupted.
    Elsewhere,
    /// Until another thread wakes it: `Atomics.wait` can be interrupted.
    InALock,
    No,
}

/// Looks for as long as the thread sleeps in one place.
pub(super) fn look(pid: Pid) -> Result<Look, Why> {
    let first = main_thread::sample(pid).ok_or(ENDED)?;
    let mut look = Look { verdict: None, asleep: None, first, at: Instant::now(), place: main_thread::place(pid) };
    let began = sleeps(&first, &look.place);
    loop {
        let now = main_thread::sample(pid).ok_or(ENDED)?;
        let share = now.since(&first, look.at.elapsed());
        let is_held = matches!(now.state, State::Stopped | State::Traced | State::Ended);
        let has_run = began == Sleeps::Elsewhere && share.is_some_and(|share| share.schedule.ran > HARDLY_RAN);
        if !is_held && (began == Sleeps::No || has_run || sleeps(&now, &look.place) != began) {
            return Ok(look);
        }
        if is_held || look.at.elapsed() >= LOOKED_AT {
            let verdict = Verdict::of(share, &now, &look.place);
            match began {
                Sleeps::InItsLoop if !is_held => look.verdict = Some(Verdict::Idle),
                Sleeps::InALock if !is_held => look.asleep = Some(verdict),
                _ => look.verdict = Some(verdict),
            }
            return Ok(look);
        }
        wait(None, Instant::now() + BETWEEN_LOOKS, true)?;
        look.place = main_thread::place(pid);
    }
}

fn sleeps(sample: &Sample, place: &Place) -> Sleeps {
    if !matches!(sample.state, State::Sleeping | State::Uninterruptible) {
        return Sleeps::No;
    }
    match place.call.and_then(name_of_call) {
        Some((_, Purpose::Events)) if place.is_in_own_loop => Sleeps::InItsLoop,
        Some((_, Purpose::Events)) if place.child.is_none() => Sleeps::No,
        Some((_, Purpose::Lock)) => Sleeps::InALock,
        None => Sleeps::No,
        Some(_) => Sleeps::Elsewhere,
    }
}

/// Where the loop is, as text or JSON.
pub(super) fn take(target: &Target, within: Duration, json: bool) -> Result<String, String> {
    let (pid, end) = (target.pid(), Instant::now() + within);
    let mut look = look(pid)?;
    let (verdict, stack) = match look.verdict.take() {
        Some(verdict) => (verdict, Stack::default()),
        // Half of the time: there must be some left to say why it did not open.
        None => match attach_and_ask(target, &mut look, within, end) {
            Ok(told) => told,
            Err(why) => match look.verdict_at(pid, &main_thread::place(pid))? {
                // That is an answer, and the reason as well. It may have come to that since; what it was asked by then, the timer among it, it
                // does once it goes on.
                verdict
                    if [SILENT, LATE].contains(&why) && !matches!(verdict, Verdict::Running { .. } | Verdict::Ended | Verdict::Unknown) =>
                {
                    (verdict, Stack::default())
                }
                verdict => return Err(format!("{why}; it is {verdict}")),
            },
        },
    };
    let answer =
        Answer { generation: target.generation, pid: pid.as_raw(), command: target.command(), verdict: verdict.to_string(), stack };
    Ok(if json { answer.json() } else { answer.text() })
}

/// Again, where the inspector is closed meanwhile: that of a verb just before may have been about to be.
fn attach_and_ask(target: &Target, look: &mut Look, within: Duration, end: Instant) -> Result<(Verdict, Stack), Why> {
    let opens = Instant::now() + within / 2;
    loop {
        let told = attach(target, Output::Nothing, opens, end, within + ALONE).and_then(|session| ask(look, target.pid(), session));
        if told.as_ref().err() != Some(&BROKEN) || Instant::now() >= opens {
            return told;
        }
        wait(None, Instant::now() + BETWEEN_ATTEMPTS, false)?;
    }
}

fn ask(look: &mut Look, pid: Pid, mut session: Session) -> Result<(Verdict, Stack), Why> {
    session.call("Debugger.enable", "{}")?;
    // As it was before anybody interrupted it: a thread that stands still for a debugger sleeps.
    let before = look.asleep.take().map_or_else(|| look.verdict_at(pid, &look.place), Ok)?;
    let paused = pause(&mut session);
    let after = main_thread::place(pid);
    let after = look.verdict_at(pid, &after);
    // A pause that was not reached is withdrawn, one that was is over. Node 18 crashes where a session ends in the midst of one, and its reply comes
    // from there: the next one does not.
    signals::forget_end();
    if session.call("Debugger.disable", "{}").and_then(|_| session.call("Runtime.evaluate", NOTHING)).is_ok() {
        session.close();
    }
    Ok(match paused? {
        Some(stack) if stack.frames.is_empty() => (Verdict::Idle, stack),
        Some(stack) => (before, stack),
        None => (after?, Stack::default()),
    })
}

/// Has the app stand still. No frame: it had nothing to run. `None`: it runs no JavaScript.
fn pause(session: &mut Session) -> Result<Option<Stack>, Why> {
    session.ask("Debugger.pause", "{}")?;
    if let Some(stack) = session.paused(PAUSES_WITHIN)? {
        return Ok(Some(stack));
    }
    // A loop that has nothing to run stands still in this.
    session.ask("Runtime.evaluate", NOTHING)?;
    let mut stack = session.paused(PAUSES_WITHIN)?;
    if let Some(stack) = &mut stack
        && stack.frames.first().is_some_and(|frame| frame.function.is_empty() && frame.url.is_empty())
    {
        stack.frames.remove(0);
    }
    Ok(stack)
}
