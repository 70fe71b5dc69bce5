//! The lines for people: what happened, to what, and what comes next. Pure.

use std::fmt;

use super::{Cause, Ending, Report, Run};
use crate::supervisor::exit::Reason;
use crate::supervisor::generation::{Duty, Knowledge};
use crate::supervisor::hang::Hang;
use crate::supervisor::spawn_failure::SpawnStep;
use crate::supervisor::sweep::Refused;
use crate::time::human;

impl Report {
    /// The line for people, without restartinit's name before it.
    pub fn message(&self) -> String {
        match self {
            Report::Started { generation, pid, duty } => {
                let duty = match duty {
                    Duty::Standby => " as standby",
                    Duty::Successor => " as successor",
                    Duty::Active | Duty::Retiring { .. } | Duty::Dismissed { .. } => "",
                };
                format!("generation {generation} (pid {pid}) started{duty}")
            }
            Report::Ready { generation, pid, after, knowledge, serves_again } => {
                let how = match knowledge {
                    Knowledge::Exact => "after",
                    Knowledge::Seen => "within",
                };
                if *serves_again {
                    format!("generation {generation} serves {how} {}", human(*after))
                } else {
                    format!("generation {generation} (pid {pid}) is ready {how} {}", human(*after))
                }
            }
            Report::Unready { generation, pid } => format!("generation {generation} (pid {pid}) took its readiness back"),
            Report::AddressesMissing { generation, pid, missing } => {
                format!(
                    "generation {generation} (pid {pid}) does not listen on {}, as the one before it did: it counts as ready without",
                    missing.join(", ")
                )
            }
            Report::TakenForWorker { generation, pid } => {
                format!(
                    "generation {generation} (pid {pid}) listens nowhere 45 s after the command's first start: it is taken for a worker, and counts as \
                     ready while it runs (if it is one, say --ready-when started; if it boots for so long, --wait-ready)"
                )
            }
            Report::ListenersUnknowable { generation, pid } => {
                format!(
                    "generation {generation} (pid {pid}): where it listens cannot be seen here, as it runs as another user and restartinit lacks \
                     CAP_SYS_PTRACE, or /proc is missing: it counts as ready while it runs (--ready-when says what else to go by)"
                )
            }
            Report::Restarting { run, hang, used, allowed, wait, successor } => {
                let when = match successor {
                    Some(successor) => format!("(generation {successor} takes over)"),
                    None if wait.is_zero() => "now".to_owned(),
                    None => format!("in {}", human(*wait)),
                };
                format!("{}: restart {used} of {allowed} {when}", Told(run, hang.as_deref()))
            }
            Report::ChangesOff { path, times, within } => format!(
                "{path} changed within {} of a start {times} times in a row: the app seems to write there itself, so that changes lead to no \
                 restart any more (--restart-on-change is for what others write)",
                human(*within)
            ),
            Report::Planned { generation, reason, memory, path } => {
                let path = path.as_ref().map_or(String::new(), |path| format!(" ({path})"));
                let used = memory.map_or(String::new(), |(used, limit)| format!(" ({} of {} MiB used)", used >> 20, limit >> 20));
                let what = generation.map_or("no generation runs".to_owned(), |(number, pid)| format!("generation {number} (pid {pid})"));
                format!("planned restart, {}{used}{path}: {what} is to be replaced", reason.text())
            }
            Report::TakenOver { generation, after, old, reason, .. } => {
                format!("generation {generation} serves after {}: it takes over from generation {old} ({})", human(*after), reason.text())
            }
            Report::PlanFailed { reason, why, goes_on } => {
                let goes_on = goes_on.map_or(String::new(), |number| format!("; generation {number} goes on"));
                format!("the planned restart ({}) failed: {why}{goes_on}", reason.text())
            }
            Report::WithoutOverlap { generation, pid, why, because } => {
                format!("{why}: generation {generation} (pid {pid}) is replaced without an overlap ({because})")
            }
            Report::NotHeld { generation, pid, addresses } => {
                format!("generation {generation} (pid {pid}): the app listens on {} by itself: that port is not held", addresses.join(", "))
            }
            Report::StandbyGivenUp { generation, because } => format!("no standby beside generation {generation} any more: {because}"),
            Report::CutOff { generation, pid, signal, requests } => {
                let requests = if *requests == 1 { "1 request".to_owned() } else { format!("{requests} requests") };
                format!(
                    "generation {generation} (pid {pid}) died of {signal} with {requests} open: the app does not handle that signal \
                     (--stop-by drain has Node finish what it has begun)"
                )
            }
            Report::Retired { run } => format!("{run}: retired"),
            Report::StandbyWaits { generation, pid } => format!("generation {generation} (pid {pid}) waits as standby"),
            Report::StandbyEnded { run, wait } => format!("standby {run}: the next one in {}", human(*wait)),
            Report::LoopLate { generation, pid, hang } => {
                format!("generation {generation} (pid {pid}): the event loop is {}", hang.late())
            }
            Report::CheckFailed { generation, pid, fault, failures, allowed } => {
                let then = if failures < allowed { "" } else { ": it is asked to stop" };
                format!("generation {generation} (pid {pid}): check failed, {failures} of {allowed} in a row: {fault}{then}")
            }
            Report::Silent { generation, pid } => {
                format!(
                    "generation {generation} (pid {pid}) does not answer on the Node channel: the options that need it do nothing \
                     (COMMAND must be node itself, not npm or a shell that starts it)"
                )
            }
            Report::StopAsked { signal, forwarded, drain } => {
                let rewritten = if signal == forwarded { String::new() } else { format!(", forwarded as {forwarded}") };
                let when = if drain.is_zero() { String::new() } else { format!(", in {}", human(*drain)) };
                format!("stop asked by {signal}{rewritten}{when}")
            }
            Report::GraceExpired { generation, pid, grace } => {
                format!("generation {generation} (pid {pid}) did not end within the grace period of {}: killed", human(*grace))
            }
            Report::Leftovers { generation, count, signal } => format!("{} of generation {generation}: {signal} sent", leftovers(*count)),
            Report::LeftoversRemain { generation, count } => {
                format!("{} of generation {generation} did not end within 2 s of SIGKILL: going on without", leftovers(*count))
            }
            Report::LeftoversRefused { generation, refused: Refused { count, pid } } => {
                let others = if *count == 1 { "" } else { " and others" };
                format!(
                    "{} of generation {generation} (pid {pid}{others}) may not be signalled: another user's, and restartinit lacks CAP_KILL: \
                     left alone",
                    leftovers(*count)
                )
            }
            Report::Launched { generation, count, signal } => {
                let what = if *count == 1 { "1 process".to_owned() } else { format!("{count} processes") };
                format!("the command of generation {generation} died of {signal}: waiting for {what} that it started")
            }
            Report::OutOfReach { generation, pid } => {
                format!(
                    "generation {generation} (pid {pid}) may not be signalled: it runs as another user, and restartinit lacks CAP_KILL \
                     (docker run --cap-add KILL; or run restartinit as that user)"
                )
            }
            Report::CannotKill { generation, pid, reason } => {
                let why = reason.map_or("its time is over".to_owned(), |reason| reason.text());
                format!("generation {generation} (pid {pid}) is due to be killed ({why}) and lives on: restartinit lacks CAP_KILL")
            }
            Report::SignalDropped { signal } => {
                format!("{signal} dropped: no command that is prepared for it runs")
            }
            Report::SpawnFailed { generation, failure, wait } => {
                let step = match failure.step {
                    SpawnStep::Fork => "fork",
                    SpawnStep::Exec => "exec",
                };
                format!("generation {generation} could not be started: {step}: {}: trying again in {}", failure.advice(""), human(*wait))
            }
            Report::Ended { ending, command, hang, .. } => ending.message(command, hang.as_deref()),
        }
    }
}

impl Ending {
    /// `outcome: what happened; exiting with code N`.
    pub fn message(&self, command: &str, hang: Option<&Hang>) -> String {
        let outcome = self.outcome.name();
        let what = match &self.cause {
            Cause::Run(run) => Told(run, hang).to_string(),
            Cause::Exhausted { run, used, window } => {
                let span = if window.is_zero() { String::new() } else { format!(" within {}", human(*window)) };
                format!("{}; {used} of {used} restarts used{span}", Told(run, hang))
            }
            Cause::NeverSpawned { signal } => format!("{signal} arrived before the command could be started"),
            Cause::Spawn(failure) => format!("cannot execute {command:?}: {}", failure.advice(command)),
            Cause::OutOfReach { generation, pid, reason } => {
                let why = reason.map_or("it did not stop in time".to_owned(), |reason| reason.text());
                format!(
                    "generation {generation} (pid {pid}) is due to be killed ({why}) and may not be signalled, as CAP_KILL is missing: with PID 1, \
                     the kernel ends it"
                )
            }
        };
        format!("{outcome}: {what}; exiting with code {}", self.code)
    }
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Told(self, None).fmt(f)
    }
}

/// A run, and where its event loop was, if that is why it was killed.
pub struct Told<'a>(pub &'a Run, pub Option<&'a Hang>);

impl fmt::Display for Told<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Told(Run { generation, pid, exit, reason, uptime }, hang) = self;
        let reason = reason.map(|reason| match (reason, hang) {
            (Reason::EventLoopBlocked { limit }, Some(hang)) => format!("{} for {}", reason.name(), hang.text(limit)),
            _ => reason.text(),
        });
        let reason = reason.map_or(String::new(), |reason| format!(" ({reason})"));
        write!(f, "generation {generation} (pid {pid}) {exit}{reason} after {}", human(*uptime))
    }
}

/// The beginning of a text, of at most so many bytes.
pub fn at_most(text: &str, bytes: usize) -> &str {
    text.get(..text.floor_char_boundary(bytes)).unwrap_or(text)
}

fn leftovers(count: usize) -> String {
    if count == 1 { "1 leftover".to_owned() } else { format!("{count} leftovers") }
}
