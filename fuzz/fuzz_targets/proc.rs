//! What `/proc` and the cgroup files may say. Processes choose their own names and containers their own mounts.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nix::errno::Errno;
use nix::unistd::Pid;
use restartinit::node::permission::Credentials;
use restartinit::procfs::cgroup::{Place, Version, limit, made_room, oom_kills};
use restartinit::node::launcher::of_words;
use restartinit::procfs::connections::Connection;
use restartinit::procfs::{main_thread, shown};
use restartinit::procfs::node_loop::{sleep, watched};
use restartinit::procfs::process_tree::{descendants, generation_of, read_stat, started_by};
use restartinit::procfs::status::{SignalStatus, resident};
use restartinit::supervisor::spawn_failure::{FileFacts, Problem};

const INIT: Pid = Pid::from_raw(1);

fuzz_target!(|input: (&[u8], &[u8])| {
    let (one, other) = input;
    let mut processes: Vec<_> = one.split(|byte| *byte == b'\n').filter_map(read_stat).collect();
    let pids: Vec<Pid> = processes.iter().map(|process| process.pid).collect();
    let found = descendants(&mut processes, INIT, &pids[..pids.len() / 4]);
    assert!(found.iter().all(|process| pids.contains(&process.pid)) && found.len() <= pids.len());
    let started = started_by(INIT, &found, &processes);
    assert!(started.iter().all(|process| !process.ended) && started.len() <= pids.len());
    let _ = generation_of(other);
    if let Ok(place) = Place::find(one, other) {
        assert!(place.lineage().count() <= 1 + place.folder.components().count());
        assert!(place.folder.components().all(|part| part != std::path::Component::ParentDir) || other.windows(2).any(|two| two == b".."));
    }
    for version in [Version::V1, Version::V2] {
        let (working_set, unreclaimable) = (version.working_set(one, other), version.unreclaimable(one, other));
        assert_eq!(working_set.is_some(), unreclaimable.is_some());
        let _ = made_room(limit(one).unwrap_or(u64::MAX), unreclaimable.unwrap_or(u64::MAX), resident(other, 4096).unwrap_or(u64::MAX));
    }
    let _ = (sleep(one), watched(other).count());
    let _ = (main_thread::state(one), main_thread::schedule(one), main_thread::throttled(other), main_thread::call(one), Connection::read(other));
    assert!(shown(one, 200).len() <= 603 && !shown(one, 200).contains(char::is_control));
    let words: Vec<String> = one.split(|byte| *byte == 0).map(|word| String::from_utf8_lossy(word).into_owned()).collect();
    let launcher = of_words(&words.iter().map(String::as_str).collect::<Vec<_>>());
    if let Some(launcher) = launcher {
        let instead = launcher.instead(std::str::from_utf8(other).ok());
        assert!(!instead.is_empty());
    }
    let _ = (limit(one), oom_kills(one), resident(other, 65536), SignalStatus::parse(other), Credentials::parse(one));
    for errno in [Errno::ENOENT, Errno::ENOEXEC, Errno::EACCES] {
        let facts = FileFacts { is_directory: false, has_execute_bit: true, mounted_noexec: false, beginning: Some(one) };
        let _ = Problem::of(errno, facts);
    }
});
