//! The same for programs: an event's fields, in the order in which they are written, and the termination log. Pure.

use std::sync::Arc;

use nix::unistd::Pid;

use super::{Cause, Ending, Report, Run, at_most};
use crate::generation_number::GenerationNumber;
use crate::json::{Value, seconds};
use crate::supervisor::exit::{Exit, LastExit, Reason};
use crate::supervisor::generation::Duty;
use crate::supervisor::hang::Hang;

pub type Fields = Vec<(&'static str, Value)>;

impl Report {
    pub fn fields(&self) -> Fields {
        match self {
            Report::Started { generation, pid, duty } => {
                let mut fields = who(*generation, *pid);
                match duty {
                    Duty::Standby => fields.push(("role", "standby".into())),
                    Duty::Successor => fields.push(("role", "successor".into())),
                    Duty::Active | Duty::Retiring { .. } | Duty::Dismissed { .. } => {}
                }
                fields
            }
            Report::Ready { generation, pid, after, .. } => with(who(*generation, *pid), [("after_seconds", seconds(*after))]),
            Report::NotHeld { generation, pid, addresses } => with(who(*generation, *pid), [("addresses", addresses.clone().into())]),
            Report::AddressesMissing { generation, pid, missing } => with(who(*generation, *pid), [("addresses", missing.clone().into())]),
            Report::Unready { generation, pid }
            | Report::TakenForWorker { generation, pid }
            | Report::ListenersUnknowable { generation, pid } => who(*generation, *pid),
            Report::Restarting { run, hang, used, allowed, wait, successor } => {
                let told = [("restarts_used", (*used).into()), ("restarts_allowed", (*allowed).into()), ("wait_seconds", seconds(*wait))];
                let mut fields = with(run_fields(run, hang.as_deref()), told);
                fields.extend(successor.map(|successor| ("taken_over_by", successor.into())));
                fields
            }
            Report::ChangesOff { path, times, within } => {
                vec![("path", path.as_str().into()), ("count", (*times).into()), ("within_seconds", seconds(*within))]
            }
            Report::Planned { generation, reason, memory, path } => {
                let mut fields = generation.map_or(Vec::new(), |(number, pid)| who(number, pid));
                fields.push(("reason", reason.name().into()));
                fields.extend(path.as_deref().map(|path| ("path", path.into())));
                if let Some((used, limit)) = memory {
                    fields.extend([("memory_bytes", (*used).into()), ("memory_limit_bytes", (*limit).into())]);
                }
                fields
            }
            Report::TakenOver { generation, pid, after, old, reason } => {
                let told = [("from_generation", (*old).into()), ("reason", reason.name().into()), ("after_seconds", seconds(*after))];
                with(who(*generation, *pid), told)
            }
            Report::PlanFailed { reason, why, goes_on } => {
                let mut fields = vec![("reason", reason.name().into()), ("why", why.as_str().into())];
                fields.extend(goes_on.map(|number| ("goes_on", number.into())));
                fields
            }
            Report::WithoutOverlap { generation, pid, why, because } => {
                with(who(*generation, *pid), [("why", why.as_str().into()), ("because", because.as_str().into())])
            }
            Report::StandbyGivenUp { generation, because } => {
                vec![("generation", (*generation).into()), ("because", because.as_str().into())]
            }
            Report::CutOff { generation, pid, signal, requests } => {
                with(who(*generation, *pid), [("signal", signal.to_string().into()), ("requests", (*requests).into())])
            }
            Report::LoopLate { generation, pid, hang } => with(who(*generation, *pid), hang.late_fields()),
            Report::CheckFailed { generation, pid, fault, failures, allowed } => with(
                who(*generation, *pid),
                [("fault", fault.to_string().into()), ("failures", (*failures).into()), ("failures_allowed", (*allowed).into())],
            ),
            Report::Retired { run } => run_fields(run, None),
            Report::StandbyEnded { run, wait } => with(run_fields(run, None), [("wait_seconds", seconds(*wait))]),
            Report::StandbyWaits { generation, pid } | Report::Silent { generation, pid } | Report::OutOfReach { generation, pid } => {
                who(*generation, *pid)
            }
            Report::StopAsked { signal, forwarded, drain } => {
                vec![("signal", signal.to_string().into()), ("forwarded", forwarded.to_string().into()), ("wait_seconds", seconds(*drain))]
            }
            Report::GraceExpired { generation, pid, grace } => with(who(*generation, *pid), [("grace_seconds", seconds(*grace))]),
            Report::Leftovers { generation, count, signal } | Report::Launched { generation, count, signal } => {
                vec![("generation", (*generation).into()), ("count", (*count).into()), ("signal", signal.to_string().into())]
            }
            Report::LeftoversRemain { generation, count } => vec![("generation", (*generation).into()), ("count", (*count).into())],
            Report::LeftoversRefused { generation, refused } => {
                vec![("generation", (*generation).into()), ("count", refused.count.into()), ("pid", refused.pid.as_raw().into())]
            }
            Report::CannotKill { generation, pid, reason } => with(who(*generation, *pid), reason_field(*reason)),
            Report::SignalDropped { signal } => vec![("signal", signal.to_string().into())],
            Report::SpawnFailed { generation, failure, wait } => {
                vec![("generation", (*generation).into()), ("errno", (failure.errno as i32).into()), ("wait_seconds", seconds(*wait))]
            }
            Report::Ended { ending, hang, .. } => ending.fields(hang.as_deref()),
        }
    }
}

impl Ending {
    fn fields(&self, hang: Option<&Hang>) -> Fields {
        let fields: Fields = vec![("outcome", self.outcome.name().into()), ("exit_code", self.code.into())];
        match &self.cause {
            Cause::Run(run) => with(fields, run_fields(run, hang)),
            Cause::Exhausted { run, used, .. } => {
                let told = [("restarts_used", (*used).into()), ("restarts_allowed", (*used).into())];
                with(with(fields, run_fields(run, hang)), told)
            }
            Cause::NeverSpawned { signal } => with(fields, [("signal", signal.to_string().into())]),
            Cause::Spawn(failure) => with(fields, [("errno", (failure.errno as i32).into())]),
            Cause::OutOfReach { generation, pid, reason } => with(with(fields, who(*generation, *pid)), reason_field(*reason)),
        }
    }

    /// The termination log: one JSON line of at most 4096 bytes, all that Kubernetes keeps. Of stacks, as many calls as fit.
    pub fn termination_log<'a>(&self, command: &str, last_exits: impl Iterator<Item = &'a LastExit>) -> String {
        const MOST: usize = 4096;
        let last_exits: Vec<&LastExit> = last_exits.collect();
        let hang = self.hang(last_exits.iter().copied()).map(Arc::as_ref);
        let message = at_most(&self.message(command, hang), 1000).to_owned();
        let line = |calls: usize| {
            let exits = last_exits.iter().map(|last| {
                let hang = last.hang.as_deref().filter(|_| calls > 0).map(|hang| hang.innermost(calls));
                Value::Object(run_fields(&last.run, hang.as_ref()))
            });
            let fields = vec![
                ("outcome", self.outcome.name().into()),
                ("exit_code", self.code.into()),
                ("message", message.as_str().into()),
                ("last_exits", exits.collect::<Vec<_>>().into()),
            ];
            format!("{}\n", Value::Object(fields))
        };
        [20, 5, 1].into_iter().map(line).find(|line| line.len() <= MOST).unwrap_or_else(|| line(0))
    }
}

/// A finished run, and where its event loop was, if that is why it was killed.
pub fn run_fields(run: &Run, hang: Option<&Hang>) -> Fields {
    let exit = match run.exit {
        Exit::Code(code) => ("code", code.into()),
        Exit::Signal { signal, .. } => ("signal", signal.to_string().into()),
    };
    let fields = with(who(run.generation, run.pid), [exit, ("uptime_seconds", seconds(run.uptime))]);
    let hang = hang.filter(|_| matches!(run.reason, Some(Reason::EventLoopBlocked { .. })));
    with(with(fields, reason_field(run.reason)), hang.map(Hang::fields).unwrap_or_default())
}

fn who(generation: GenerationNumber, pid: Pid) -> Fields {
    vec![("generation", generation.into()), ("pid", pid.as_raw().into())]
}

/// Where there is one.
fn reason_field(reason: Option<Reason>) -> Option<(&'static str, Value)> {
    reason.map(|reason| ("reason", reason.name().into()))
}

fn with(mut fields: Fields, more: impl IntoIterator<Item = (&'static str, Value)>) -> Fields {
    fields.extend(more);
    fields
}
