//! Who descends from whom, read off `/proc/PID/stat`: the leftovers of a generation are found by parentage, whatever group or session they
//! fled to. Pure.

use std::collections::BTreeSet;

use nix::unistd::Pid;

use super::{number, words};
use crate::config::GENERATION;
use crate::generation_number::GenerationNumber;

/// One process, as a line of `/proc/PID/stat` tells it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Process {
    pub pid: Pid,
    pub parent: Pid,
    /// Its process group.
    pub group: Pid,
    /// Its first thread has ended: it waits to be reaped, or other threads of it live on.
    pub ended: bool,
    /// It is stopped by a signal or held by a debugger.
    pub stopped: bool,
    /// When it began, in ticks of the kernel's clock: with the pid, it is this process and no later one.
    pub start: u64,
}

impl Process {
    /// Whether this is the same process, seen at another time.
    pub fn is(&self, other: &Process) -> bool {
        (self.pid, self.start) == (other.pid, other.start)
    }
}

/// Reads `/proc/PID/stat`: `pid (name) state parent group …`. The name may hold anything, also `) S 1 `.
pub fn read_stat(stat: &[u8]) -> Option<Process> {
    /// Words between the group and the start time.
    const SKIPPED: usize = 16;
    let open = stat.iter().position(|byte| *byte == b'(')?;
    let close = stat.iter().rposition(|byte| *byte == b')')?;
    let mut rest = words(stat.get(close + 1..)?);
    let state = rest.next()?;
    Some(Process {
        pid: pid(stat.get(..open)?)?,
        parent: pid(rest.next()?)?,
        group: pid(rest.next()?)?,
        ended: matches!(state, b"Z" | b"X" | b"x"),
        stopped: matches!(state, b"T" | b"t"),
        start: number(rest.nth(SKIPPED)?)?,
    })
}

/// Whether it has ended or is about to: it lets go of what it had, and `/proc` shows less and less of it. Off `/proc/PID/stat`.
pub fn is_ending(stat: &[u8]) -> bool {
    /// The kernel's PF_EXITING.
    const EXITING: u64 = 4;
    /// Words between the state and the flags.
    const SKIPPED: usize = 5;
    let mut rest = words(stat.rsplit(|byte| *byte == b')').next().unwrap_or_default());
    let has_ended = matches!(rest.next(), Some(b"Z" | b"X" | b"x"));
    has_ended || rest.nth(SKIPPED).and_then(number).is_some_and(|flags: u64| flags & EXITING != 0)
}

fn pid(text: &[u8]) -> Option<Pid> {
    number(text).map(Pid::from_raw)
}

/// Which generation a process says it is of, off `/proc/PID/environ`: its variables are those of the command it descends from, unless
/// somebody has changed them.
pub fn generation_of(environ: &[u8]) -> Option<GenerationNumber> {
    let name = [GENERATION.as_bytes(), b"="].concat();
    let value = environ.split(|byte| *byte == 0).find_map(|pair| pair.strip_prefix(name.as_slice()))?;
    number(value).map(GenerationNumber::new)
}

/// The descendants of `root`, without the trees that begin at one of `spared`. Those that have ended and were not reaped are among them.
pub fn descendants(processes: &mut [Process], root: Pid, spared: &[Pid]) -> Vec<Process> {
    processes.sort_unstable_by_key(|process| process.parent);
    let children = |parent: Pid| {
        let first = processes.partition_point(|process| process.parent < parent);
        processes.iter().skip(first).take_while(move |process| process.parent == parent)
    };
    // The list was read while processes came and went: it may hold a pid twice, or a loop of parents.
    let mut seen: BTreeSet<Pid> = spared.iter().copied().chain([root]).collect();
    let mut found = Vec::new();
    let mut parents = vec![root];
    while let Some(parent) = parents.pop() {
        for process in children(parent) {
            if seen.insert(process.pid) {
                parents.push(process.pid);
                found.push(*process);
            }
        }
    }
    found
}

/// Those of `now` that `command`, which has ended, started: itself, or through others that have ended as well. `noted`: its descendants while
/// it lived.
pub fn started_by(command: Pid, noted: &[Process], now: &[Process]) -> Vec<Process> {
    let lives = |process: &Process| now.iter().any(|other| other.is(process) && !other.ended);
    let is_started = |process: &&Process| {
        let mut child = noted.iter().find(|other| other.is(process));
        // No way up is longer than there are processes: what was read while they came and went may be a loop.
        for _ in 0..noted.len() {
            let Some(parent) = child.map(|child| child.parent) else { return false };
            if parent == command {
                return true;
            }
            child = noted.iter().find(|other| other.pid == parent).filter(|parent| !lives(parent));
        }
        false
    };
    now.iter().filter(|process| !process.ended).filter(is_started).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn process(number: i32, parent: i32) -> Process {
        let pid = Pid::from_raw(number);
        Process { pid, parent: Pid::from_raw(parent), group: pid, ended: false, stopped: false, start: 77 }
    }

    fn pids(processes: &[Process]) -> Vec<i32> {
        processes.iter().map(|process| process.pid.as_raw()).collect()
    }

    /// The line of a process whose group is its own.
    fn line(pid: i32, name: &[u8], state: &str, parent: i32) -> Vec<u8> {
        let rest = format!(") {state} {parent} {pid} 5 0 -1 4194304 10 0 0 0 1 2 0 0 20 0 1 0 77 1000 50\n");
        [format!("{pid} (").as_bytes(), name, rest.as_bytes()].concat()
    }

    #[test]
    fn what_is_about_to_end_is_known() {
        let of = |state: &str, flags: &str| is_ending(format!("12 (a) Z b) {state} 1 12 5 0 -1 {flags} 10 0 0 0 1 2").as_bytes());
        assert_eq!(["R", "D", "S", "T"].map(|state| of(state, "4194304")), [false; 4]);
        assert_eq!((of("R", "4194308"), of("Z", "4228108"), of("X", "0"), of("R", "2")), (true, true, true, false));
        assert!(!is_ending(b"") && !is_ending(b"12 (x) S 1"));
    }

    #[test]
    fn a_name_cannot_fool_the_reader() {
        assert_eq!(read_stat(&line(12, b"node", "S", 1)), Some(process(12, 1)));
        assert_eq!(read_stat(&line(12, b"a) Z 9 (b", "R", 7)), Some(process(12, 7)));
        assert_eq!(read_stat(&line(12, b"\xff\n", "Z", 7)), Some(Process { ended: true, ..process(12, 7) }));
        assert_eq!(read_stat(&line(12, b"", "T", 7)), Some(Process { stopped: true, ..process(12, 7) }));
        for bad in [&b""[..], b"12", b"12 (x", b"12 (x)", b"12 (x) S", b"12 (x) S 1 1 1 0", b"x (x) S 1", b") 12 ("] {
            assert_eq!(read_stat(bad), None);
        }
    }

    #[test]
    fn a_family_is_found_through_its_dead_but_not_through_the_spared() {
        let mut all = vec![process(1, 0), process(2, 1), process(3, 2), process(4, 1), process(5, 4), process(9, 0), process(10, 9)];
        all.push(Process { ended: true, ..process(6, 1) });
        let sorted = |spared: &[i32]| {
            let spared: Vec<Pid> = spared.iter().copied().map(Pid::from_raw).collect();
            let mut found = pids(&descendants(&mut all.clone(), Pid::from_raw(1), &spared));
            found.sort_unstable();
            found
        };
        assert_eq!(sorted(&[]), [2, 3, 4, 5, 6]);
        assert_eq!(sorted(&[4]), [2, 3, 6]);
    }

    #[test]
    fn what_a_launcher_started_is_told_from_what_that_started() {
        // npm (7) started sh (8), which started node (9), which started a helper (10).
        let noted = [process(8, 7), process(9, 8), process(10, 9)];
        let started = |now: &[Process]| pids(&started_by(Pid::from_raw(7), &noted, now));
        assert_eq!(started(&[process(8, 1), process(9, 8), process(10, 9)]), [8]);
        assert_eq!(started(&[process(9, 1), process(10, 9)]), [9], "sh is gone");
        assert_eq!(started(&[Process { ended: true, ..process(8, 1) }, process(9, 8)]), [9], "or as good as gone");
        assert_eq!(started(&[process(10, 1), process(11, 1)]), [10], "11 was not there");
        assert!(started(&[Process { start: 78, ..process(8, 1) }]).is_empty(), "another one with that pid");
    }

    #[test]
    fn a_process_tells_its_generation() {
        assert_eq!(generation_of(b"A=1\0RESTARTINIT_GENERATION=12\0B=2\0"), Some(GenerationNumber::new(12)));
        for none in [&b""[..], b"RESTARTINIT_GENERATION=\0", b"XRESTARTINIT_GENERATION=1\0", b"RESTARTINIT_GENERATION=-1\0"] {
            assert_eq!(generation_of(none), None);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = (read_stat(&bytes), generation_of(&bytes));
        }

        /// Also where processes came and went while they were read, and parents form loops.
        #[test]
        fn any_list_of_processes_has_an_end(pairs in proptest::collection::vec((0i32..20, 0i32..20), 0..60)) {
            let mut all: Vec<Process> = pairs.into_iter().map(|(pid, parent)| process(pid, parent)).collect();
            let found = descendants(&mut all, Pid::from_raw(1), &[Pid::from_raw(2)]);
            prop_assert!(pids(&found).iter().all(|pid| ![1, 2].contains(pid)));
            prop_assert!(started_by(Pid::from_raw(3), &found, &all).len() <= all.len());
        }
    }
}
