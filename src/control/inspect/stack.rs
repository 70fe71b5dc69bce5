//! `stack`: where the event loop of a Node is. What `/proc` shows comes first: a loop that is idle, or that sleeps in a system call, is not
//! disturbed, and could not be asked either.

use std::time::{Duration, Instant};

use nix::unistd::Pid;

use super::attach;
use super::port::{self, SILENT};
use super::session::{Session, Why, wait};
use super::target::Target;
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

const ENDED: Why = "it has just ended";

/// What `/proc` tells of a loop.
pub(super) struct Look {
    /// `None`: it runs, or may: JavaScript tells where.
    pub(super) verdict: Option<Verdict>,
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
    /// It runs, or may be interrupted.
    No,
}

/// Looks for as long as the thread sleeps in one place.
pub(super) fn look(pid: Pid) -> Result<Look, Why> {
    let first = main_thread::sample(pid).ok_or(ENDED)?;
    let mut look = Look { verdict: None, first, at: Instant::now(), place: main_thread::place(pid) };
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
            look.verdict = Some(if began == Sleeps::InItsLoop && !is_held { Verdict::Idle } else { Verdict::of(share, &now, &look.place) });
            return Ok(look);
        }
        wait(None, Instant::now() + BETWEEN_LOOKS)?;
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
        // `Atomics.wait` can be interrupted.
        Some((_, Purpose::Lock)) | None => Sleeps::No,
        Some(_) => Sleeps::Elsewhere,
    }
}

/// Where the loop is, as text or JSON.
pub(super) fn take(target: &Target, within: Duration, json: bool) -> Result<String, String> {
    let (pid, end) = (target.pid(), Instant::now() + within);
    let look = look(pid)?;
    let (verdict, stack) = match look.verdict.clone() {
        Some(verdict) => (verdict, Stack::default()),
        // Half of the time: there must be some left to say why it did not open.
        None => match port::open(target, Instant::now() + within / 2) {
            Ok(port) => ask(&look, pid, attach(port, Output::Nothing, end, within + ALONE)?)?,
            Err(why) => match look.verdict_at(pid, &main_thread::place(pid))? {
                verdict @ (Verdict::Starved { .. } | Verdict::WaitsForChild(_) | Verdict::Asleep { .. } | Verdict::WaitsForThread)
                    if why == SILENT =>
                {
                    // That is an answer, and the reason as well.
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

fn ask(look: &Look, pid: Pid, mut session: Session) -> Result<(Verdict, Stack), Why> {
    session.call("Debugger.enable", "{}")?;
    // As it was before anybody interrupted it: a thread that stands still for a debugger sleeps.
    let before = look.verdict_at(pid, &look.place)?;
    let paused = pause(&mut session);
    let after = main_thread::place(pid);
    let after = look.verdict_at(pid, &after);
    // A pause that was not reached is withdrawn, one that was is over: Node may crash where its inspector is closed in the midst of one.
    signals::forget_end();
    if session.call("Debugger.disable", "{}").is_ok() {
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
    session.ask("Runtime.evaluate", "{\"expression\":\"0\"}")?;
    let mut stack = session.paused(PAUSES_WITHIN)?;
    if let Some(stack) = &mut stack
        && stack.frames.first().is_some_and(|frame| frame.function.is_empty() && frame.url.is_empty())
    {
        stack.frames.remove(0);
    }
    Ok(stack)
}
