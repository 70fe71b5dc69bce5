//! `stack`, `profile` and `heap`: a Node of this container is asked by its own inspector, which is opened for that and closed again. All of it
//! happens in the process of whoever asks, with its rights; PID 1 is only asked who runs.

use std::io::{self, IsTerminal as _};
use std::time::{Duration, Instant};

use nix::unistd::Pid;

use super::{complain, print};
use crate::config::{Inspection, Subject};
use crate::inspector::message::Output;
use crate::observe::status::human_bytes;
use crate::procfs::verdict::Verdict;
use crate::supervisor::exit::USAGE;
use crate::sys::cgroup::MemoryCgroup;
use crate::sys::{main_thread, signals};

mod port;
mod session;
mod stack;
mod target;

pub use port::is_attached;

use session::{INTERRUPTED, Session, Why, wait};
use target::{Opening, Target};

/// How long the inspector has to open and to answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a heap snapshot may have nothing to pass on: V8 is at it, and the app stands still.
const SILENCE: Duration = Duration::from_secs(300);
/// Nothing takes longer, whatever the app sends.
const LONGEST: Duration = Duration::from_secs(3600);
/// How long a loop that does not turn is waited for, and how long one that turns may take to open its inspector.
const LATEST: Duration = Duration::from_secs(30);
const OPENS_WITHIN: Duration = Duration::from_secs(2);
/// For so long after the last sign of this process the inspector stays open.
const ALONE: Duration = Duration::from_secs(10);

/// Asks, prints, and gives back the exit code: 0, or 1 with one line on stderr.
pub(super) fn run(asked: Inspection, restartinit: Option<Pid>) -> u8 {
    // All signals stay blocked: one that stops this process would hold the inspector open, and one that ends it is looked for.
    signals::reset_dispositions(false);
    let file = match asked.subject {
        Subject::Stack { .. } => None,
        Subject::Profile { .. } => Some("app.cpuprofile"),
        Subject::Heap { .. } => Some("app.heapsnapshot"),
    };
    if let Some(file) = file.filter(|_| io::stdout().is_terminal()) {
        complain(&format!("it goes into a file: > {file}"));
        return USAGE;
    }
    let target = match target::find(&asked, restartinit) {
        Ok(target) => target,
        Err(why) => return complain(&why),
    };
    let told = target::may_ask(target.pid()).map_err(str::to_owned).and_then(|()| match asked.subject {
        Subject::Stack { json } => stack::take(&target, asked.within.unwrap_or(PATIENCE), json),
        Subject::Profile { over } => Ok(profile(&target, over)?),
        Subject::Heap { is_forced } => Ok(heap(&target, is_forced)?),
    });
    let code = match told {
        Ok(text) => u8::from(print(&text).is_err()),
        Err(why) => complain(&format!("{}: {why}", target.name())),
    };
    if asked.within.is_none() && target.opening.get() == Opening::Asked {
        let _ = close_late(&target);
    }
    code
}

/// A loop that does not turn opens its inspector once it does, when nobody waits for that any more: then it is to be closed.
fn close_late(target: &Target) -> Result<(), Why> {
    complain(&format!("{}: its inspector may open when its loop turns: waiting for that, to close it; Ctrl-C leaves it", target.name()));
    signals::forget_end();
    let end = Instant::now() + LATEST;
    while !main_thread::place(target.pid()).is_in_own_loop && Instant::now() < end {
        wait(None, Instant::now() + BETWEEN_ATTEMPTS, true)?;
    }
    // Of one that turns and does not open it, a handler of its own has the signal.
    attach(target, Output::Nothing, Instant::now() + OPENS_WITHIN, Instant::now() + PATIENCE, ALONE).map(Session::close)
}

fn profile(target: &Target, over: Duration) -> Result<String, Why> {
    let mut session = connect(target, Output::Profile, ALONE)?;
    if io::stderr().is_terminal() {
        complain(&format!("profiling {}: Ctrl-C ends it early", target.name()));
    }
    let result = (|| {
        session.call("Profiler.enable", "{}")?;
        // An app that is busy may have begun long before it says so.
        let passed = session.call("Profiler.start", "{}").and_then(|_| session.pass(Instant::now() + over));
        if let Err(why) = passed
            && why != INTERRUPTED
        {
            return Err(why);
        }
        signals::forget_end();
        session.wait_longer(SILENCE, LONGEST);
        session.call("Profiler.stop", "{}")
    })();
    session.close();
    result.map(|_| String::new())
}

/// What V8 needs for a snapshot beside the heap, in heaps: seen were 7 to 12 of strings, maps and buffers, and up to 30 of millions of small
/// objects.
const SNAPSHOT_TAKES: u64 = 10;

fn heap(target: &Target, is_forced: bool) -> Result<String, Why> {
    // While V8 is at it, nobody can tell the app that this process is still there.
    let mut session = connect(target, Output::Snapshot, SILENCE)?;
    let result = (|| {
        let used = session.call("Runtime.getHeapUsage", "{}")?.heap_used;
        let usage = MemoryCgroup::open().map(|cgroup| cgroup.usage()).unwrap_or_default();
        let room = usage.limit.zip(usage.working_set).map_or(u64::MAX, |(limit, used)| limit.saturating_sub(used));
        let needed = used.saturating_mul(SNAPSHOT_TAKES);
        complain(&format!(
            "{}: the app stands still meanwhile, and may need {} more memory: {SNAPSHOT_TAKES} times its heap",
            target.name(),
            human_bytes(needed)
        ));
        if room < needed && !is_forced {
            return Err("not taken: there is less up to the container's limit, and the app could be killed; --force takes it all the same");
        }
        session.wait_longer(SILENCE, LONGEST);
        session.call("HeapProfiler.takeHeapSnapshot", "{}")
    })();
    session.close();
    result.map(|_| String::new())
}

/// Opens the inspector of a Node whose loop can be asked, and sees to it that it will be closed.
fn connect(target: &Target, output: Output, limit: Duration) -> Result<Session, Why> {
    let end = Instant::now() + PATIENCE;
    match stack::look(target.pid())?.verdict {
        None | Some(Verdict::Idle) => attach(target, output, end, end, limit),
        Some(_) => Err("its loop is blocked outside of JavaScript: restartinit stack tells where"),
    }
}

/// A busy loop takes its time to close an inspector.
const BETWEEN_ATTEMPTS: Duration = Duration::from_millis(20);

/// Opens the inspector by a moment, and connects to it; all that is asked from then on is answered by another moment, or not at all.
fn attach(target: &Target, output: Output, opens: Instant, end: Instant, limit: Duration) -> Result<Session, Why> {
    /// One that was open may be about to close, as of a verb just before, and then it does not answer any more.
    const ANSWERS_WITHIN: Duration = Duration::from_secs(1);
    loop {
        let port = port::open(target, opens)?;
        let is_last = Instant::now() >= opens;
        let until = if is_last || !port.was_open { end } else { end.min(Instant::now() + ANSWERS_WITHIN) };
        let session = Session::open(port.address, output, until).and_then(|mut session| {
            session.make_safe(limit, port.was_open)?;
            session.wait_until(end);
            Ok(session)
        });
        if session.is_ok() || is_last {
            return session;
        }
        wait(None, Instant::now() + BETWEEN_ATTEMPTS, false)?;
    }
}
