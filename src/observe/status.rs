//! The status: a few aligned lines for people, one JSON object for programs. Both are made of the same [`Snapshot`]. Pure.

use std::time::Duration;

use nix::unistd::Pid;

use super::snapshot::{EventLoop, Snapshot};
use crate::json::{Value, seconds};
use crate::supervisor::check::CheckView;
use crate::supervisor::exit::LastExit;
use crate::supervisor::report::{Told, run_fields};
use crate::supervisor::view::{GenerationView, View};
use crate::time::{Moment, human};

/// For somebody who was just woken up: what runs, whether it is well, what went wrong before.
pub fn text(snapshot: &Snapshot) -> String {
    let mut lines = Vec::new();
    lines.push(("command", running(snapshot)));
    let yes = snapshot.view.readiness_note.map_or("yes".to_owned(), |note| format!("yes: {note}"));
    lines.push(("ready", snapshot.view.why_not_ready().map_or(yes, |why| format!("no: {why}"))));
    lines.extend(snapshot.view.standby_note.map(|note| ("standby", note.to_owned())));
    lines.extend(snapshot.view.change_note.map(|note| ("changes", note.to_owned())));
    lines.push(("restarts", restarts(snapshot)));
    let names = std::iter::once("last exits").chain(std::iter::repeat(""));
    lines.extend(names.zip(snapshot.view.last_exits.iter().map(|exit| last_exit(snapshot, exit))));
    if snapshot.view.last_exits.is_empty() {
        lines.push(("last exits", "none".to_owned()));
    }
    lines.extend(out_of_reach(snapshot).map(|what| ("signals", what)));
    lines.extend(memory(snapshot).map(|memory| ("memory", memory)));
    lines.extend(snapshot.event_loop.as_ref().map(|found| ("event loop", event_loop(found))));
    lines.extend(snapshot.view.check.as_ref().map(|found| ("check", check(found))));
    let Snapshot { version, pid, now, view: View { state, .. }, .. } = snapshot;
    lines.push(("restartinit", format!("{version} (pid {pid}), {}, up {}", state.name(), human(now.since_start()))));
    lines.iter().map(|(name, what)| format!("{name:<12} {what}\n")).collect()
}

fn running(snapshot: &Snapshot) -> String {
    let Snapshot { command, view: View { latest_generation, .. }, .. } = snapshot;
    let part = |generation: &GenerationView| {
        let GenerationView { number, pid, role, started, .. } = generation;
        let uptime = human(snapshot.now.since(*started));
        format!("generation {number} (pid {pid}) {}, up {uptime}, since {}", role.name(), rfc3339(snapshot, *started))
    };
    let parts: Vec<String> = snapshot.view.generations.iter().map(part).collect();
    match parts.is_empty() {
        true => format!("{command}: not running, generation {latest_generation} was the last"),
        false => format!("{command}: {}", parts.join("; ")),
    }
}

fn restarts(snapshot: &Snapshot) -> String {
    let View { restarts_used, restarts_allowed, restart_window, .. } = &snapshot.view;
    let window = if restart_window.is_zero() { "in its life".to_owned() } else { format!("within {}", human(*restart_window)) };
    let next = snapshot.view.next_restart_in.map_or(String::new(), |wait| format!("; the next in {}", human(wait)));
    let counted = snapshot.view.restarts_total.iter().filter(|(_, count)| *count > 0);
    let so_far: Vec<String> = counted.map(|(reason, count)| format!("{count} {reason}")).collect();
    let so_far = if so_far.is_empty() { String::new() } else { format!("; so far {}", so_far.join(", ")) };
    format!("{restarts_used} of {restarts_allowed} used {window}{next}{so_far}")
}

fn last_exit(snapshot: &Snapshot, exit: &LastExit) -> String {
    format!("{} ago: {}", human(snapshot.now.since(exit.ended)), Told(&exit.run, exit.hang.as_deref()))
}

/// What restartinit may not signal.
fn out_of_reach(snapshot: &Snapshot) -> Option<String> {
    let command = snapshot.view.cannot_signal.map(|pid| format!("the command (pid {pid})"));
    let leftovers = match snapshot.leftovers_left {
        0 => None,
        1 => Some("1 leftover".to_owned()),
        count => Some(format!("{count} leftovers")),
    };
    let who: Vec<String> = command.into_iter().chain(leftovers).collect();
    (!who.is_empty()).then(|| format!("{} may not be signalled: another user's, and CAP_KILL is missing", who.join(" and ")))
}

fn memory(snapshot: &Snapshot) -> Option<String> {
    let memory = &snapshot.memory;
    let mut parts = Vec::new();
    parts.extend(memory.resident.map(|bytes| format!("{} resident", human_bytes(bytes))));
    parts.extend(memory.limit.as_ref().map(|limit| match limit.bytes.map(human_bytes) {
        Some(bytes) if limit.shown.ends_with('%') => format!("restart above {} ({bytes})", limit.shown),
        Some(bytes) => format!("restart above {bytes}"),
        None => format!("restart above {}: off: no limit", limit.shown),
    }));
    parts.extend(match (memory.cgroup_working_set, memory.cgroup_limit) {
        (Some(used), Some(limit)) => Some(format!("cgroup {} of {}", human_bytes(used), human_bytes(limit))),
        (Some(used), None) => Some(format!("cgroup {}, no limit", human_bytes(used))),
        (None, Some(limit)) => Some(format!("cgroup limit {}", human_bytes(limit))),
        (None, None) => None,
    });
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// Bytes for a person: `512 B`, `1.5 KiB`, `212.4 MiB`.
pub fn human_bytes(bytes: u64) -> String {
    let (unit, name) = match bytes {
        0..0x400 => return format!("{bytes} B"),
        0x400..0x10_0000 => (0x400, "KiB"),
        0x10_0000..0x4000_0000 => (0x10_0000, "MiB"),
        _ => (0x4000_0000, "GiB"),
    };
    match (bytes % unit) * 10 / unit {
        0 => format!("{} {name}", bytes / unit),
        tenth => format!("{}.{tenth} {name}", bytes / unit),
    }
}

/// One object. `pid`, `generation`, `started` and `uptime_seconds` are those of the active generation, as in the log; restartinit's own
/// are under `init`. What is not known is null.
pub fn json(snapshot: &Snapshot) -> String {
    let active = snapshot.view.active();
    let uptime = |generation: &GenerationView| seconds(snapshot.now.since(generation.started));
    let fields = [
        ("command", snapshot.command.as_str().into()),
        ("pid", active.map(|generation| generation.pid.as_raw()).into()),
        ("generation", active.map_or(snapshot.view.latest_generation, |generation| generation.number).into()),
        ("started", active.map(|generation| rfc3339(snapshot, generation.started)).into()),
        ("uptime_seconds", active.map_or(Value::Null, uptime)),
        ("state", snapshot.view.state.name().into()),
        ("ready", snapshot.view.ready.into()),
        ("not_ready", snapshot.view.why_not_ready().into()),
        ("readiness_note", snapshot.view.readiness_note.into()),
        ("standby_note", snapshot.view.standby_note.into()),
        ("change_note", snapshot.view.change_note.into()),
        ("restarts", restarts_json(snapshot)),
        ("last_exits", snapshot.view.last_exits.iter().map(|exit| exit_json(snapshot, exit)).collect::<Vec<_>>().into()),
        (
            "generations",
            snapshot.view.generations.iter().map(|generation| generation_json(snapshot, generation)).collect::<Vec<_>>().into(),
        ),
        ("cannot_signal", snapshot.view.cannot_signal.map(Pid::as_raw).into()),
        ("leftovers_left", snapshot.leftovers_left.into()),
        ("memory", memory_json(snapshot)),
        ("event_loop", snapshot.event_loop.as_ref().map(event_loop_json).into()),
        ("check", snapshot.view.check.as_ref().map(check_json).into()),
        ("counters", counters_json(snapshot)),
        (
            "init",
            object([
                ("version", snapshot.version.into()),
                ("pid", snapshot.pid.as_raw().into()),
                ("started", rfc3339(snapshot, Moment::START).into()),
                ("uptime_seconds", seconds(snapshot.now.since_start())),
            ]),
        ),
    ];
    object(fields).to_string()
}

fn restarts_json(snapshot: &Snapshot) -> Value {
    let total = snapshot.view.restarts_total.iter().map(|(reason, count)| (*reason, (*count).into()));
    object([
        ("used", snapshot.view.restarts_used.into()),
        ("allowed", snapshot.view.restarts_allowed.into()),
        ("remaining", snapshot.view.restarts_remaining().into()),
        ("window_seconds", seconds(snapshot.view.restart_window)),
        ("wait_seconds", snapshot.view.next_restart_in.map_or(Value::Null, seconds)),
        ("total", object(total)),
    ])
}

fn generation_json(snapshot: &Snapshot, generation: &GenerationView) -> Value {
    object([
        ("generation", generation.number.into()),
        ("pid", generation.pid.as_raw().into()),
        ("role", generation.role.name().into()),
        ("started", rfc3339(snapshot, generation.started).into()),
        ("uptime_seconds", seconds(snapshot.now.since(generation.started))),
        ("ready", generation.ready.into()),
    ])
}

/// In the words of the log and the termination log, and when it was.
fn exit_json(snapshot: &Snapshot, exit: &LastExit) -> Value {
    object(run_fields(&exit.run, exit.hang.as_deref()).into_iter().chain([("ended", rfc3339(snapshot, exit.ended).into())]))
}

fn memory_json(snapshot: &Snapshot) -> Value {
    let memory = &snapshot.memory;
    object([
        ("resident_bytes", memory.resident.into()),
        ("limit_bytes", memory.limit.as_ref().and_then(|limit| limit.bytes).into()),
        ("cgroup_working_set_bytes", memory.cgroup_working_set.into()),
        ("cgroup_limit_bytes", memory.cgroup_limit.into()),
    ])
}

fn event_loop_json(event_loop: &EventLoop) -> Value {
    let late = event_loop.late.as_ref().map(|hang| object(hang.late_fields()));
    object([("lag_seconds", seconds(event_loop.last)), ("lag_max_seconds", seconds(event_loop.largest)), ("late", late.into())])
}

fn event_loop(event_loop: &EventLoop) -> String {
    let late = event_loop.late.as_ref().map_or(String::new(), |hang| format!("; {}", hang.late()));
    format!("lag {}, at most {}{late}", human(event_loop.last), human(event_loop.largest))
}

fn check(check: &CheckView) -> String {
    let CheckView { url, last, failures, allowed, .. } = check;
    match last {
        None => format!("{url}: not asked yet"),
        Some(Ok(took)) => format!("{url}: well, {}", human(*took)),
        Some(Err(fault)) => format!("{url}: failed {failures} of {allowed} in a row: {fault}"),
    }
}

fn check_json(check: &CheckView) -> Value {
    let last = check.last.as_ref();
    object([
        ("url", check.url.as_str().into()),
        ("ok", last.map(Result::is_ok).into()),
        ("seconds", last.and_then(|last| last.as_ref().ok()).map(|took| seconds(*took)).into()),
        ("fault", last.and_then(|last| last.as_ref().err()).map(ToString::to_string).into()),
        ("failures", check.failures.into()),
        ("failures_allowed", check.allowed.into()),
        ("failures_total", check.failures_total.into()),
    ])
}

fn counters_json(snapshot: &Snapshot) -> Value {
    let counters = snapshot.counters;
    object([
        ("orphans_reaped", counters.orphans_reaped.into()),
        ("spawn_failures", counters.spawn_failures.into()),
        ("log_lines_dropped", counters.log_lines_dropped.into()),
        ("channel_messages_dropped", counters.channel_messages_dropped.into()),
    ])
}

fn object(fields: impl IntoIterator<Item = (&'static str, Value)>) -> Value {
    Value::Object(fields.into_iter().collect())
}

fn rfc3339(snapshot: &Snapshot, moment: Moment) -> String {
    /// After 9999 is a broken clock, which must not end the init.
    const LAST: Duration = Duration::from_secs(253_402_300_799);
    humantime::format_rfc3339_seconds(std::time::UNIX_EPOCH + snapshot.unix_time(moment).min(LAST)).to_string()
}

#[cfg(test)]
mod tests;
