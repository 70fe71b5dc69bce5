//! What restartinit tells people and programs: one vocabulary for text, JSON and the termination log. Pure.

use std::time::Duration;

use log::Level;
use serde_json::{Map, Value};

use super::exit::{Exit, Outcome, Reason, SpawnFailure, SpawnStep};
use super::time::human;
use crate::signal::Signal;

/// One finished run of the command.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Run {
    pub generation: u32,
    pub pid: i32,
    pub exit: Exit,
    pub reason: Option<Reason>,
    pub uptime: Duration,
}

/// The end of it all: why, with which code, and what came last.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Ending {
    pub outcome: Outcome,
    /// restartinit's own exit code.
    pub code: u8,
    pub cause: Cause,
}

/// What an [`Ending`] came of.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Cause {
    /// The command's last run.
    Run(Run),
    /// The same, with the restart budget all used.
    Exhausted { run: Run, used: u32, window: Duration },
    /// A stop while no run had ended yet: the command was never spawned.
    NeverSpawned { signal: Signal },
    /// The command cannot be executed.
    Spawn(SpawnFailure),
}

/// One event that is told.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Report {
    Started {
        generation: u32,
        pid: i32,
    },
    Restarting {
        run: Run,
        used: u32,
        allowed: u32,
        wait: Duration,
    },
    /// `forwarded` is what the command gets in place of `signal`.
    StopAsked {
        signal: Signal,
        forwarded: Signal,
        drain: Duration,
    },
    GraceExpired {
        generation: u32,
        pid: i32,
        grace: Duration,
    },
    Leftovers {
        generation: u32,
        count: usize,
        signal: Signal,
    },
    LeftoversRemain {
        generation: u32,
        count: usize,
    },
    SpawnFailed {
        generation: u32,
        failure: SpawnFailure,
        wait: Duration,
    },
    Ended {
        ending: Ending,
        command: String,
        healthy: bool,
    },
}

type Fields = Vec<(&'static str, Value)>;

impl Report {
    /// A healthy run says nothing at `warn`; every crash, restart and hand-over does.
    pub fn level(&self) -> Level {
        match self {
            Report::Started { .. } | Report::StopAsked { .. } | Report::Ended { healthy: true, .. } => Level::Info,
            Report::Leftovers { signal, .. } if *signal == Signal::TERM => Level::Info,
            Report::Restarting { .. }
            | Report::GraceExpired { .. }
            | Report::Leftovers { .. }
            | Report::LeftoversRemain { .. }
            | Report::SpawnFailed { .. }
            | Report::Ended { .. } => Level::Warn,
        }
    }

    /// The name of the event in JSON.
    pub fn event(&self) -> &'static str {
        match self {
            Report::Started { .. } => "start",
            Report::Restarting { .. } => "restart",
            Report::StopAsked { .. } => "stop",
            Report::GraceExpired { .. } => "grace-expired",
            Report::Leftovers { .. } | Report::LeftoversRemain { .. } => "leftovers",
            Report::SpawnFailed { .. } => "spawn-failed",
            Report::Ended { .. } => "end",
        }
    }

    /// The line for people, without restartinit's name before it.
    pub fn message(&self) -> String {
        match self {
            Report::Started { generation, pid } => format!("generation {generation} (pid {pid}) started"),
            Report::Restarting { run, used, allowed, wait } => {
                let when = if wait.is_zero() { "now".to_owned() } else { format!("in {}", human(*wait)) };
                format!("{}: restart {used} of {allowed} {when}", run_message(run))
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
                format!("{} of generation {generation} cannot be ended (stuck in the kernel?): going on without", leftovers(*count))
            }
            Report::SpawnFailed { generation, failure, wait } => {
                let step = match failure.step {
                    SpawnStep::Fork => "fork",
                    SpawnStep::Exec => "exec",
                };
                format!("generation {generation} could not be started: {step}: {}: trying again in {}", failure.advice(), human(*wait))
            }
            Report::Ended { ending, command, .. } => ending.message(command),
        }
    }

    /// The same for programs, in the order in which they are written.
    pub fn fields(&self) -> Fields {
        match self {
            Report::Started { generation, pid } => vec![("generation", (*generation).into()), ("pid", (*pid).into())],
            Report::Restarting { run, used, allowed, wait } => {
                let mut fields = run_fields(run);
                fields.push(("restarts_used", (*used).into()));
                fields.push(("restarts_allowed", (*allowed).into()));
                fields.push(("wait_seconds", seconds(*wait)));
                fields
            }
            Report::StopAsked { signal, forwarded, drain } => {
                vec![("signal", signal.to_string().into()), ("forwarded", forwarded.to_string().into()), ("wait_seconds", seconds(*drain))]
            }
            Report::GraceExpired { generation, pid, grace } => {
                vec![("generation", (*generation).into()), ("pid", (*pid).into()), ("grace_seconds", seconds(*grace))]
            }
            Report::Leftovers { generation, count, signal } => {
                vec![("generation", (*generation).into()), ("count", (*count).into()), ("signal", signal.to_string().into())]
            }
            Report::LeftoversRemain { generation, count } => vec![("generation", (*generation).into()), ("count", (*count).into())],
            Report::SpawnFailed { generation, failure, wait } => {
                vec![("generation", (*generation).into()), ("errno", failure.errno.into()), ("wait_seconds", seconds(*wait))]
            }
            Report::Ended { ending, .. } => ending.fields(),
        }
    }
}

impl Ending {
    /// `outcome: what happened; exiting with code N`.
    pub fn message(&self, command: &str) -> String {
        let outcome = self.outcome.name();
        let what = match &self.cause {
            Cause::Run(run) => run_message(run),
            Cause::Exhausted { run, used, window } => {
                let span = if window.is_zero() { String::new() } else { format!(" within {}", human(*window)) };
                format!("{}; {used} of {used} restarts used{span}", run_message(run))
            }
            Cause::NeverSpawned { signal } => format!("{signal} arrived before the command could be started"),
            Cause::Spawn(failure) => format!("cannot execute {command:?}: {}", failure.advice()),
        };
        format!("{outcome}: {what}; exiting with code {}", self.code)
    }

    fn fields(&self) -> Fields {
        let mut fields: Fields = vec![("outcome", self.outcome.name().into()), ("exit_code", self.code.into())];
        match &self.cause {
            Cause::Run(run) => fields.extend(run_fields(run)),
            Cause::Exhausted { run, used, .. } => {
                fields.extend(run_fields(run));
                fields.push(("restarts_used", (*used).into()));
                fields.push(("restarts_allowed", (*used).into()));
            }
            Cause::NeverSpawned { signal } => fields.push(("signal", signal.to_string().into())),
            Cause::Spawn(failure) => fields.push(("errno", failure.errno.into())),
        }
        fields
    }

    /// The termination log: one JSON line of at most 4096 bytes, all that Kubernetes keeps.
    pub fn termination_log(&self, command: &str, last_exits: &[Run]) -> String {
        let message = at_most(&self.message(command), 1000).to_owned();
        let exits = last_exits
            .iter()
            .map(|run| Value::Object(run_fields(run).into_iter().map(|(key, value)| (key.to_owned(), value)).collect::<Map<_, _>>()));
        let line = json_object(&[
            ("outcome", self.outcome.name().into()),
            ("exit_code", self.code.into()),
            ("message", message.into()),
            ("last_exits", exits.collect::<Vec<_>>().into()),
        ]);
        line + "\n"
    }
}

/// The beginning of a text, of at most so many bytes.
pub fn at_most(text: &str, bytes: usize) -> &str {
    text.get(..text.floor_char_boundary(bytes)).unwrap_or(text)
}

/// A JSON object with its keys in the order given.
pub fn json_object(fields: &[(&str, Value)]) -> String {
    let pairs: Vec<String> = fields.iter().map(|(key, value)| format!("{}:{value}", Value::from(*key))).collect();
    format!("{{{}}}", pairs.join(","))
}

fn run_message(run: &Run) -> String {
    let reason = run.reason.map_or(String::new(), |reason| format!(" ({})", reason.name()));
    format!("generation {} (pid {}) {}{reason} after {}", run.generation, run.pid, run.exit, human(run.uptime))
}

fn run_fields(run: &Run) -> Fields {
    let exit = match run.exit {
        Exit::Code(code) => ("code", code.into()),
        Exit::Signal { signal, .. } => ("signal", signal.to_string().into()),
    };
    let mut fields = vec![("generation", run.generation.into()), ("pid", run.pid.into()), exit, ("uptime_seconds", seconds(run.uptime))];
    fields.extend(run.reason.map(|reason| ("reason", reason.name().into())));
    fields
}

fn seconds(duration: Duration) -> Value {
    // Milliseconds are what a reader can use; a float of nanoseconds would be noise.
    (duration.as_millis() as f64 / 1000.0).into()
}

fn leftovers(count: usize) -> String {
    if count == 1 { "1 leftover".to_owned() } else { format!("{count} leftovers") }
}
