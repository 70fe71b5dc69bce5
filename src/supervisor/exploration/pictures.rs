//! The ways from state to state that the exploration takes, beside those that ARCHITECTURE.md draws.

use std::collections::BTreeSet;

use crate::supervisor::Supervisor;
use crate::supervisor::event::{Event, Next, Phase};
use crate::supervisor::generation::Duty;

/// From where to where; `[*]` is the beginning and the end, as mermaid has it.
pub(super) type Ways = BTreeSet<(String, String)>;

pub(super) const ARCHITECTURE: &str = include_str!("../../../ARCHITECTURE.md");
const OUTSIDE: &str = "[*]";
/// Phases and events in the order of the table. All other events leave the phase as it is.
const ROWS: [&str; 5] = ["Waiting", "Running", "HandingOver", "Draining", "Stopping"];
const COLUMNS: [&str; 7] = ["stop signal", "exited", "leftovers", "spawned", "spawn failed", "refusal", "tick"];

fn phase(supervisor: &Supervisor) -> &'static str {
    match supervisor.phase {
        Phase::Supervising(Next::Undecided) => "Running",
        Phase::Supervising(Next::Spawn { .. }) => "Waiting",
        Phase::Supervising(Next::HandOver(_)) => "HandingOver",
        Phase::Draining { .. } => "Draining",
        Phase::Stopping { .. } => "Stopping",
        Phase::Ended => OUTSIDE,
    }
}

fn duty(duty: Duty) -> &'static str {
    match duty {
        Duty::Active => "Active",
        Duty::Successor => "Successor",
        Duty::Standby => "Standby",
        Duty::Retiring { .. } => "Retiring",
        Duty::Dismissed { .. } => "Dismissed",
    }
}

/// The way into the first phase.
pub(super) fn beginning(supervisor: &Supervisor) -> (String, String) {
    (OUTSIDE.to_owned(), phase(supervisor).to_owned())
}

/// What an event is called in the table of phases.
fn name(event: &Event, supervisor: &Supervisor) -> &'static str {
    match event {
        Event::Signal { signal, .. } if supervisor.config.stop_signals.contains(*signal) => "stop signal",
        Event::Signal { .. } => "other signal",
        Event::Spawned { .. } => "spawned",
        Event::SpawnFailed(_) => "spawn failed",
        Event::Exited { .. } => "exited",
        Event::Reaped { .. } | Event::Leftovers { .. } => "leftovers",
        Event::RestartAsked | Event::RestartForced => "restart asked",
        Event::SignalRefused { .. } | Event::KillSent { .. } | Event::Probed { .. } => "refusal",
        Event::Channel { .. } => "channel",
        Event::Tick { .. } => "tick",
        // A stop that waits for it begins with it.
        Event::ListenersSeen { .. } if supervisor.stop_awaits_look.is_some() => "stop signal",
        Event::ChildStopped { .. }
        | Event::Memory { .. }
        | Event::SignalsSeen { .. }
        | Event::ListenersSeen { .. }
        | Event::ReadinessAsked
        | Event::WorkSeen { .. }
        | Event::RequestsSeen { .. }
        | Event::StackTold { .. }
        | Event::Checked { .. }
        | Event::FilesStirred
        | Event::FilesSeen(_)
        | Event::SocketsReleased(_) => "observation",
    }
}

/// Where an event leads, in the table's words.
pub(super) fn cell(before: &Supervisor, event: &Event, after: &Supervisor) -> [String; 3] {
    [phase(before).to_owned(), name(event, before).to_owned(), phase(after).replace(OUTSIDE, "end")]
}

/// The table of phases and events: where each leads; `.` where the phase stays, nothing where that does not happen.
pub(super) fn table(cells: &BTreeSet<[String; 3]>) -> String {
    let to = |row: &str, column: &str| {
        let found: Vec<&str> =
            cells.iter().filter(|[from, event, _]| from == row && event == column).map(|[_, _, to]| to.as_str()).collect();
        let moves: Vec<&str> = found.iter().copied().filter(|to| *to != row).collect();
        if found.len() > moves.len() && moves.is_empty() { ".".to_owned() } else { moves.join(", ") }
    };
    let mut table = format!("| | {} |\n|{}\n", COLUMNS.join(" | "), "---|".repeat(COLUMNS.len() + 1));
    for row in ROWS {
        table += &format!("| {row} | {} |\n", COLUMNS.map(|column| to(row, column)).join(" | "));
    }
    let others = cells.iter().filter(|[from, event, to]| from != to && !COLUMNS.contains(&event.as_str()));
    assert_eq!(others.count(), 0, "an event that the table does not have leads to another phase");
    table
}

/// Adds what an event has changed.
pub(super) fn note(phases: &mut Ways, duties: &mut Ways, before: &Supervisor, after: &Supervisor) {
    let add = |ways: &mut Ways, from: &str, to: &str| {
        if from != to {
            ways.insert((from.to_owned(), to.to_owned()));
        }
    };
    add(phases, phase(before), phase(after));
    for generation in after.running() {
        let was = before.running().find(|earlier| earlier.number == generation.number);
        add(duties, was.map_or(OUTSIDE, |was| duty(was.duty)), duty(generation.duty));
    }
    for generation in before.running() {
        if !after.running().any(|later| later.number == generation.number) {
            add(duties, duty(generation.duty), OUTSIDE);
        }
    }
}

/// Those of a picture in ARCHITECTURE.md, which follows a heading.
pub(super) fn drawn(heading: &str) -> Ways {
    let after = ARCHITECTURE.split(heading).nth(1).unwrap_or_else(|| panic!("no heading {heading:?}"));
    let picture = after.split("```").nth(1).expect("a picture");
    let way = |line: &str| {
        let (from, rest) = line.split_once(" --> ")?;
        Some((from.trim().to_owned(), rest.split(':').next()?.trim().to_owned()))
    };
    picture.lines().filter_map(way).collect()
}
