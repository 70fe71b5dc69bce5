//! `stack`, `profile` and `heap`: a Node of this container is asked by its own inspector, which is opened for that and closed again. All of it
//! happens in the process of whoever asks, with its rights; PID 1 is only asked who runs.

use std::io::{self, IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use nix::unistd::Pid;

use super::print;
use crate::config::{Inspection, Subject};
use crate::inspector::message::{Output, Stack};
use crate::observe::status::human_bytes;
use crate::procfs::verdict::Verdict;
use crate::supervisor::exit::USAGE;
use crate::sys::cgroup::MemoryCgroup;
use crate::sys::signals;
use crate::time::human;

mod port;
mod session;
mod stack;
mod target;

use port::{Port, Shut};
use session::{Failure, Interrupts, Session};
use stack::Look;
use target::Target;

/// How long the inspector has to open and to answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a heap snapshot may have nothing to pass on: V8 is at it, and the app stands still.
const SILENCE: Duration = Duration::from_secs(300);
/// Nothing takes longer, whatever the app sends.
const LONGEST: Duration = Duration::from_secs(3600);
/// For so long after the last sign of this process the inspector stays open.
const ALONE: Duration = Duration::from_secs(10);

/// Asks, prints, and gives back the exit code.
///
/// # Errors
/// There is no answer to give: one line for a person.
pub(super) fn run(asked: Inspection, restartinit: Option<Pid>) -> Result<u8, String> {
    signals::reset_dispositions(false);
    if !matches!(asked.subject, Subject::Stack { .. }) && io::stdout().is_terminal() {
        let name = if matches!(asked.subject, Subject::Heap { .. }) { "heap > app.heapsnapshot" } else { "profile > app.cpuprofile" };
        say(&format!("this goes to a file: restartinit {name}"));
        return Ok(USAGE);
    }
    let interrupts = Interrupts::open().map_err(|error| format!("signals cannot be read: {error}"))?;
    let target = target::find(&asked, restartinit)?;
    match asked.subject {
        Subject::Stack { json } => {
            let answer =
                stack::take(&target, &interrupts, Instant::now() + asked.within).map_err(|why| format!("{}: {why}", target.name()))?;
            print(&if json { answer.json() } else { answer.text() }).map_err(|error| error.to_string())?;
        }
        Subject::Profile { over } => profile(&target, &interrupts, over).map_err(|why| format!("{}: {why}", target.name()))?,
        Subject::Heap { is_forced } => heap(&target, &interrupts, is_forced).map_err(|why| format!("{}: {why}", target.name()))?,
    }
    Ok(0)
}

fn say(line: &str) {
    let _ = writeln!(io::stderr(), "restartinit: {line}");
}

fn profile(target: &Target, interrupts: &Interrupts, over: Duration) -> Result<(), String> {
    let mut session = connect(target, interrupts, Output::Profile, ALONE)?;
    if io::stderr().is_terminal() {
        say(&format!("profiling {}, {}, for {} (Ctrl-C ends it early)", target.name(), target.command, human(over)));
    }
    let result = (|| {
        session.call("Profiler.enable", "{}")?;
        session.call("Profiler.start", "{}")?;
        match session.pass(Instant::now() + over) {
            Ok(()) | Err(Failure::Interrupted) => {}
            Err(failure) => return Err(failure),
        }
        session.wait_longer(SILENCE, LONGEST);
        session.call("Profiler.stop", "{}")
    })();
    session.close();
    result.map(drop).map_err(|failure| told(&failure))
}

fn heap(target: &Target, interrupts: &Interrupts, is_forced: bool) -> Result<(), String> {
    // While V8 is at it, nobody can tell the app that this process is still there.
    let mut session = connect(target, interrupts, Output::Snapshot, SILENCE)?;
    let result = (|| {
        let used = session.call("Runtime.getHeapUsage", "{}").map_err(|failure| told(&failure))?.heap_used.unwrap_or_default();
        let room =
            MemoryCgroup::open().map(|cgroup| cgroup.usage()).ok().and_then(|usage| Some(usage.limit?.saturating_sub(usage.working_set?)));
        let left = room.map_or_else(String::new, |room| format!("; {} are left up to the container's limit", human_bytes(room)));
        say(&format!(
            "{}: the app stands still meanwhile and needs about {} more memory, as much as its heap has{left}",
            target.name(),
            human_bytes(used)
        ));
        if room.is_some_and(|room| room < used) && !is_forced {
            return Err("not taken: it could be killed for want of memory; --force takes it all the same".to_owned());
        }
        session.wait_longer(SILENCE, LONGEST);
        session.call("HeapProfiler.takeHeapSnapshot", "{\"reportProgress\":false}").map_err(|failure| told(&failure))
    })();
    session.close();
    result.map(drop)
}

/// Opens the inspector of a Node whose loop can be asked, and sees to it that it will be closed.
fn connect<'a>(target: &Target, interrupts: &'a Interrupts, output: Output, limit: Duration) -> Result<Session<'a>, String> {
    let end = Instant::now() + PATIENCE;
    let look = stack::look(target.pid(), interrupts, end).map_err(|failure| told(&failure))?;
    if let Look::Known { verdict, .. } = &look
        && *verdict != Verdict::Idle
    {
        return Err(format!("it cannot be asked: {verdict}"));
    }
    let port = port::open(target, interrupts, end).map_err(|shut| why(&shut))?;
    attach(port, interrupts, output, end, limit).map_err(|failure| told(&failure))
}

fn attach(port: Port, interrupts: &Interrupts, output: Output, end: Instant, limit: Duration) -> Result<Session<'_>, Failure> {
    let mut session = Session::open(port.address, output, interrupts, end)?;
    if !port.was_open {
        session.make_safe(limit)?;
    }
    Ok(session)
}

/// Why there is no inspector, and what to do.
fn why(shut: &Shut) -> String {
    match shut {
        Shut::Failed(failure) => told(failure),
        Shut::InUse(address) => format!("a debugger is attached to its inspector at {address}: close that first"),
        Shut::NoSignal(why) => (*why).to_owned(),
        Shut::Taken(address) => {
            format!(
                "its inspector did not open: another process has {address}, as of another generation; run it with NODE_OPTIONS=--inspect-port=0"
            )
        }
        Shut::Silent => {
            "its inspector did not open on SIGUSR1: the app has a handler of its own for that, or is blocked outside of JavaScript"
                .to_owned()
        }
    }
}

fn told(failure: &Failure) -> String {
    match failure {
        Failure::Late => "no answer in time".to_owned(),
        Failure::Interrupted => "interrupted".to_owned(),
        Failure::Broken => "what listens there does not answer as Node's inspector would".to_owned(),
        Failure::Refused(error) => format!("Node refused: {error}"),
        Failure::Output(error) => format!("cannot write to standard output: {error}"),
    }
}

/// Nothing of it is there.
const NO_FRAMES: Stack = Stack { frames: Vec::new(), more: 0 };
