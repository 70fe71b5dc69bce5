//! What `/proc` and the cgroup files may say. Processes choose their own names and containers their own mounts.
#![no_main]

use libfuzzer_sys::fuzz_target;
use restartinit::supervisor::cgroup::{Place, Version, limit, oom_kills, resident};
use restartinit::supervisor::family::{descendants, generation_of, read_stat};

fuzz_target!(|input: (&[u8], &[u8])| {
    let (one, other) = input;
    let processes: Vec<_> = one.split(|byte| *byte == b'\n').filter_map(read_stat).collect();
    let pids: Vec<i32> = processes.iter().map(|process| process.pid).collect();
    let found = descendants(processes, 1, &pids[..pids.len() / 4]);
    assert!(found.iter().all(|pid| pids.contains(pid)) && found.len() <= pids.len());
    let _ = generation_of(other);
    let (one, other) = (String::from_utf8_lossy(one), String::from_utf8_lossy(other));
    if let Some(place) = Place::find(&one, &other) {
        assert!(place.lineage().count() <= 1 + place.folder.components().count());
    }
    for version in [Version::V1, Version::V2] {
        let _ = version.working_set(&one, &other);
    }
    let _ = (limit(&one), oom_kills(&one), resident(&other));
});
