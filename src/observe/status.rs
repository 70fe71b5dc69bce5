//! The status: a few aligned lines for people, one JSON object for programs. Both are made of the same [`Snapshot`]. Pure.

use std::time::Duration;

use serde_json::{Map, Value};

use super::snapshot::Snapshot;
use crate::supervisor::exit::LastExit;
use crate::supervisor::report::{json_object, run_fields, seconds};
use crate::supervisor::view::{GenerationView, View};
use crate::time::{Moment, human};

/// For somebody who was just woken up: what runs, whether it is well, what went wrong before.
pub fn text(snapshot: &Snapshot) -> String {
    let mut lines = Vec::new();
    lines.push(("command", running(snapshot)));
    lines.push(("ready", snapshot.view.why_not_ready().map_or("yes".to_owned(), |why| format!("no: {why}"))));
    lines.push(("restarts", restarts(snapshot)));
    let names = std::iter::once("last exits").chain(std::iter::repeat(""));
    lines.extend(names.zip(snapshot.view.last_exits.iter().map(|exit| last_exit(snapshot, exit))));
    if snapshot.view.last_exits.is_empty() {
        lines.push(("last exits", "none".to_owned()));
    }
    lines.extend(out_of_reach(snapshot).map(|what| ("signals", what)));
    lines.extend(memory(snapshot).map(|memory| ("memory", memory)));
    lines.extend(snapshot.event_loop.map(|lag| ("event loop", format!("lag {}, at most {}", human(lag.last), human(lag.largest)))));
    let Snapshot { version, pid, now, view: View { state, .. }, .. } = snapshot;
    lines.push(("restartinit", format!("{version} (pid {pid}), {}, up {}", state.name(), human(*now))));
    lines.iter().map(|(name, what)| format!("{name:<12} {what}\n")).collect()
}

fn running(snapshot: &Snapshot) -> String {
    let Snapshot { command, view: View { latest_generation, .. }, .. } = snapshot;
    let part = |generation: &GenerationView| {
        let GenerationView { number, pid, role, started, .. } = generation;
        let uptime = human(snapshot.now.saturating_sub(*started));
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
    format!("{} ago: {}", human(snapshot.now.saturating_sub(exit.ended)), exit.run)
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
    let uptime = |generation: &GenerationView| seconds(snapshot.now.saturating_sub(generation.started));
    let fields = [
        ("command", snapshot.command.as_str().into()),
        ("pid", active.map(|generation| generation.pid).into()),
        ("generation", active.map_or(snapshot.view.latest_generation, |generation| generation.number).into()),
        ("started", active.map(|generation| rfc3339(snapshot, generation.started)).into()),
        ("uptime_seconds", active.map_or(Value::Null, uptime)),
        ("state", snapshot.view.state.name().into()),
        ("ready", snapshot.view.ready.into()),
        ("not_ready", snapshot.view.why_not_ready().into()),
        ("restarts", restarts_json(snapshot)),
        ("last_exits", snapshot.view.last_exits.iter().map(|exit| exit_json(snapshot, exit)).collect::<Vec<_>>().into()),
        (
            "generations",
            snapshot.view.generations.iter().map(|generation| generation_json(snapshot, generation)).collect::<Vec<_>>().into(),
        ),
        ("cannot_signal", snapshot.view.cannot_signal.into()),
        ("leftovers_left", snapshot.leftovers_left.into()),
        ("memory", memory_json(snapshot)),
        ("event_loop", snapshot.event_loop.map_or(Value::Null, |lag| event_loop_json(lag.last, lag.largest))),
        ("counters", counters_json(snapshot)),
        (
            "init",
            object([
                ("version", snapshot.version.into()),
                ("pid", snapshot.pid.into()),
                ("started", rfc3339(snapshot, Moment::ZERO).into()),
                ("uptime_seconds", seconds(snapshot.now)),
            ]),
        ),
    ];
    json_object(&fields)
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
        ("pid", generation.pid.into()),
        ("role", generation.role.name().into()),
        ("started", rfc3339(snapshot, generation.started).into()),
        ("uptime_seconds", seconds(snapshot.now.saturating_sub(generation.started))),
        ("ready", generation.ready.into()),
    ])
}

/// In the words of the log and the termination log, and when it was.
fn exit_json(snapshot: &Snapshot, exit: &LastExit) -> Value {
    object(run_fields(&exit.run).into_iter().chain([("ended", rfc3339(snapshot, exit.ended).into())]))
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

fn event_loop_json(last: Duration, largest: Duration) -> Value {
    object([("lag_seconds", seconds(last)), ("lag_max_seconds", seconds(largest))])
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
    let mut map = Map::new();
    // One by one: collecting would bring in 16 KiB of sorting.
    for (key, value) in fields {
        map.insert(key.to_owned(), value);
    }
    Value::Object(map)
}

fn rfc3339(snapshot: &Snapshot, moment: Moment) -> String {
    // Before 1970 or after 9999 is a broken clock, which must not end the init.
    let seconds = Duration::try_from_secs_f64(snapshot.unix_seconds(moment).clamp(0.0, 253_402_300_799.0));
    humantime::format_rfc3339_seconds(std::time::UNIX_EPOCH + seconds.unwrap_or_default()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::snapshot::{MemoryLimit, MemoryView};
    use crate::supervisor::view::State;

    #[test]
    fn people_read_it_at_night() {
        let expected = "\
command      node: generation 3 (pid 31) active, up 9 min 57 s, since 2025-11-24T16:50:03Z
ready        yes
restarts     1 of 5 used within 60 s; so far 1 exit code, 1 out of memory
last exits   9 min 57 s ago: generation 2 (pid 19) was killed by SIGKILL (out of memory) after 50 min
             59 min 56 s ago: generation 1 (pid 7) exited with code 1 after 3.2 s
memory       212.4 MiB resident, restart above 80% (409.5 MiB), cgroup 219.3 MiB of 512 MiB
event loop   lag 2 ms, at most 41 ms
restartinit  0.1.0 (pid 1), running, up 1 h
";
        assert_eq!(text(&Snapshot::example()), expected);
    }

    #[test]
    fn people_read_that_it_is_down() {
        let mut snapshot = Snapshot::example();
        snapshot.view.generations.clear();
        snapshot.view.state = State::Waiting;
        (snapshot.view.ready, snapshot.view.not_ready) = (false, Some("waiting to restart".to_owned()));
        (snapshot.view.next_restart_in, snapshot.view.restart_window) = (Some(Duration::from_millis(400)), Duration::ZERO);
        snapshot.view.last_exits.clear();
        (snapshot.memory, snapshot.event_loop) = (Default::default(), None);
        let text = text(&snapshot);
        for line in [
            "command      node: not running, generation 3 was the last\n",
            "ready        no: waiting to restart\n",
            "restarts     1 of 5 used in its life; the next in 400 ms; so far 1 exit code, 1 out of memory\n",
            "last exits   none\n",
            "restartinit  0.1.0 (pid 1), waiting, up ",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
        assert!(!text.contains("memory  ") && !text.contains("event loop"), "{text}");
    }

    #[test]
    fn programs_read_numbers() {
        let status: Value = serde_json::from_str(&json(&Snapshot::example())).unwrap();
        assert_eq!((&status["pid"], &status["generation"], &status["uptime_seconds"]), (&31.into(), &3.into(), &597.0.into()));
        assert_eq!((&status["state"], &status["ready"], &status["not_ready"]), (&"running".into(), &true.into(), &Value::Null));
        assert_eq!(status["started"], "2025-11-24T16:50:03Z");
        assert_eq!((&status["restarts"]["remaining"], &status["restarts"]["window_seconds"]), (&4.into(), &60.0.into()));
        assert_eq!(status["restarts"]["total"]["out of memory"], 1);
        assert_eq!(status["last_exits"][0]["signal"], "SIGKILL");
        assert_eq!(status["last_exits"][0]["reason"], "out of memory");
        assert_eq!((&status["last_exits"][1]["code"], &status["last_exits"][1]["uptime_seconds"]), (&1.into(), &3.2.into()));
        assert_eq!(status["memory"]["resident_bytes"], 222_744_576u64);
        assert_eq!(status["event_loop"]["lag_max_seconds"], 0.041);
        assert_eq!((&status["init"]["pid"], &status["init"]["uptime_seconds"]), (&1.into(), &3600.0.into()));
        let mut down = Snapshot::example();
        down.view.generations.clear();
        let down: Value = serde_json::from_str(&json(&down)).unwrap();
        assert_eq!((&down["pid"], &down["uptime_seconds"], &down["generation"]), (&Value::Null, &Value::Null, &3.into()));
    }

    #[test]
    fn a_broken_clock_is_survived() {
        for clock in [f64::NAN, f64::INFINITY, -1e30, 1e30] {
            let snapshot = Snapshot { started_unix_seconds: clock, ..Snapshot::example() };
            let _: Value = serde_json::from_str(&json(&snapshot)).unwrap();
            assert!(text(&snapshot).contains("command"));
        }
    }

    #[test]
    fn people_read_what_cannot_be_signalled() {
        let line = |cannot_signal, leftovers_left| {
            let mut snapshot = Snapshot { leftovers_left, ..Snapshot::example() };
            snapshot.view.cannot_signal = cannot_signal;
            text(&snapshot).lines().find_map(|line| line.strip_prefix("signals      ").map(str::to_owned))
        };
        let why = "may not be signalled: another user's, and CAP_KILL is missing";
        assert_eq!(line(None, 0), None);
        assert_eq!(line(Some(31), 0), Some(format!("the command (pid 31) {why}")));
        assert_eq!(line(None, 1), Some(format!("1 leftover {why}")));
        assert_eq!(line(Some(31), 2), Some(format!("the command (pid 31) and 2 leftovers {why}")));
    }

    #[test]
    fn people_read_of_memory_what_is_known() {
        let limit = |bytes, shown: &str| Some(MemoryLimit { bytes, shown: shown.to_owned() });
        let mib = |count: u64| Some(count << 20);
        for (limit, used, most, expected) in [
            (None, None, None, None),
            (limit(mib(512), "512M"), None, None, Some("restart above 512 MiB")),
            (limit(None, "80%"), mib(20), None, Some("restart above 80%: off: no limit, cgroup 20 MiB, no limit")),
            (None, None, mib(64), Some("cgroup limit 64 MiB")),
        ] {
            let memory = MemoryView { resident: None, limit, cgroup_working_set: used, cgroup_limit: most };
            let text = text(&Snapshot { memory, ..Snapshot::example() });
            assert_eq!(text.lines().find_map(|line| line.strip_prefix("memory       ")), expected);
        }
    }

    #[test]
    fn programs_find_a_value_or_null_under_every_name() {
        let mut snapshot = Snapshot { leftovers_left: 3, ..Snapshot::example() };
        (snapshot.view.cannot_signal, snapshot.view.next_restart_in) = (Some(31), Some(Duration::from_millis(400)));
        snapshot.counters.log_lines_dropped = 5;
        let status: Value = serde_json::from_str(&json(&snapshot)).unwrap();
        for (pointer, value) in [
            ("/command", Value::from("node")),
            ("/cannot_signal", 31.into()),
            ("/leftovers_left", 3.into()),
            ("/restarts/used", 1.into()),
            ("/restarts/allowed", 5.into()),
            ("/restarts/wait_seconds", 0.4.into()),
            ("/generations/0/generation", 3.into()),
            ("/generations/0/pid", 31.into()),
            ("/generations/0/role", "active".into()),
            ("/generations/0/started", "2025-11-24T16:50:03Z".into()),
            ("/generations/0/uptime_seconds", 597.0.into()),
            ("/generations/0/ready", true.into()),
            ("/last_exits/0/ended", "2025-11-24T16:50:03Z".into()),
            ("/memory/limit_bytes", 429_496_729.into()),
            ("/memory/cgroup_working_set_bytes", 230_000_000.into()),
            ("/memory/cgroup_limit_bytes", 536_870_912.into()),
            ("/event_loop/lag_seconds", 0.002.into()),
            ("/counters/orphans_reaped", 4.into()),
            ("/counters/spawn_failures", 0.into()),
            ("/counters/log_lines_dropped", 5.into()),
            ("/counters/channel_messages_dropped", 0.into()),
        ] {
            assert_eq!(status.pointer(pointer), Some(&value), "{pointer}");
        }
    }

    #[test]
    fn bytes_for_people() {
        for (bytes, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1 KiB"),
            (1536, "1.5 KiB"),
            (0x10_0000 - 1, "1023.9 KiB"),
            (0x10_0000, "1 MiB"),
            (0x4000_0000 - 1, "1023.9 MiB"),
            (0x4000_0000, "1 GiB"),
            (222_744_576, "212.4 MiB"),
        ] {
            assert_eq!(human_bytes(bytes), text);
        }
    }
}
