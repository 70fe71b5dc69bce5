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
    let status: serde_json::Value = serde_json::from_str(&json(&Snapshot::example())).unwrap();
    assert_eq!((&status["pid"], &status["generation"], &status["uptime_seconds"]), (&31.into(), &3.into(), &597.0.into()));
    assert_eq!((&status["state"], &status["ready"], &status["not_ready"]), (&"running".into(), &true.into(), &serde_json::Value::Null));
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
    let down: serde_json::Value = serde_json::from_str(&json(&down)).unwrap();
    assert_eq!(
        (&down["pid"], &down["uptime_seconds"], &down["generation"]),
        (&serde_json::Value::Null, &serde_json::Value::Null, &3.into())
    );
}

#[test]
fn a_broken_clock_is_survived() {
    for clock in [Duration::ZERO, Duration::from_secs(253_402_300_799), Duration::MAX] {
        let snapshot = Snapshot { started_unix: clock, ..Snapshot::example() };
        let _: serde_json::Value = serde_json::from_str(&json(&snapshot)).unwrap();
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
    assert_eq!(line(Some(Pid::from_raw(31)), 0), Some(format!("the command (pid 31) {why}")));
    assert_eq!(line(None, 1), Some(format!("1 leftover {why}")));
    assert_eq!(line(Some(Pid::from_raw(31)), 2), Some(format!("the command (pid 31) and 2 leftovers {why}")));
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
    (snapshot.view.cannot_signal, snapshot.view.next_restart_in) = (Some(Pid::from_raw(31)), Some(Duration::from_millis(400)));
    snapshot.counters.log_lines_dropped = 5;
    let status: serde_json::Value = serde_json::from_str(&json(&snapshot)).unwrap();
    for (pointer, value) in [
        ("/command", serde_json::Value::from("node")),
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
