//! Who descends from whom, read off `/proc`: the leftovers of a generation are found by parentage, whatever group or session they
//! fled to. Pure: `sys::processes` reads the files and sends the signals.

use std::collections::BTreeSet;

use crate::config::GENERATION;

/// One process, as a line of `/proc/PID/stat` tells it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Process {
    pub pid: i32,
    pub parent: i32,
    /// It has ended and waits to be reaped.
    pub ended: bool,
    /// It is stopped by a signal or held by a debugger.
    pub stopped: bool,
}

/// Reads `/proc/PID/stat`: `pid (name) state parent …`. The name may hold anything, also `) S 1 `.
pub fn read_stat(stat: &[u8]) -> Option<Process> {
    let open = stat.iter().position(|byte| *byte == b'(')?;
    let close = stat.iter().rposition(|byte| *byte == b')')?;
    let pid = std::str::from_utf8(stat.get(..open)?).ok()?.trim().parse().ok()?;
    let mut rest = std::str::from_utf8(stat.get(close + 1..)?).ok()?.split_ascii_whitespace();
    let state = rest.next()?;
    let parent = rest.next()?.parse().ok()?;
    Some(Process { pid, parent, ended: matches!(state, "Z" | "X" | "x"), stopped: matches!(state, "T" | "t") })
}

/// Which generation a process says it is of, off `/proc/PID/environ`: its variables are those of the command it descends from, unless
/// somebody has changed them.
pub fn generation_of(environ: &[u8]) -> Option<u32> {
    let name = [GENERATION.as_bytes(), b"="].concat();
    let value = environ.split(|byte| *byte == 0).find_map(|pair| pair.strip_prefix(name.as_slice()))?;
    std::str::from_utf8(value).ok()?.parse().ok()
}

/// The living descendants of `root`, without the trees that begin at one of `spared`.
pub fn descendants(mut processes: Vec<Process>, root: i32, spared: &[i32]) -> Vec<i32> {
    processes.sort_unstable_by_key(|process| process.parent);
    let children = |parent: i32| {
        let first = processes.partition_point(|process| process.parent < parent);
        processes.iter().skip(first).take_while(move |process| process.parent == parent)
    };
    // The list was read while processes came and went: it may hold a pid twice, or a loop of parents.
    let mut seen: BTreeSet<i32> = spared.iter().copied().chain([root]).collect();
    let mut found = Vec::new();
    let mut parents = vec![root];
    while let Some(parent) = parents.pop() {
        for process in children(parent) {
            if seen.insert(process.pid) {
                parents.push(process.pid);
                if !process.ended {
                    found.push(process.pid);
                }
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn process(pid: i32, parent: i32) -> Process {
        Process { pid, parent, ended: false, stopped: false }
    }

    #[test]
    fn a_name_cannot_fool_the_reader() {
        assert_eq!(read_stat(b"12 (node) S 1 12 12 0 -1"), Some(process(12, 1)));
        assert_eq!(read_stat(b"12 (a) Z 9 (b) R 7 1"), Some(process(12, 7)));
        assert_eq!(read_stat(b"12 (\xff\n) Z 7 1"), Some(Process { ended: true, ..process(12, 7) }));
        for bad in [&b""[..], b"12", b"12 (x", b"12 (x)", b"12 (x) S", b"x (x) S 1", b") 12 ("] {
            assert_eq!(read_stat(bad), None);
        }
    }

    #[test]
    fn a_family_is_found_through_its_dead_but_not_through_the_spared() {
        let mut all = vec![process(1, 0), process(2, 1), process(3, 2), process(4, 1), process(5, 4), process(9, 0), process(10, 9)];
        all.push(Process { ended: true, ..process(6, 1) });
        let sorted = |spared: &[i32]| {
            let mut found = descendants(all.clone(), 1, spared);
            found.sort_unstable();
            found
        };
        assert_eq!(sorted(&[]), [2, 3, 4, 5]);
        assert_eq!(sorted(&[4]), [2, 3]);
    }

    #[test]
    fn a_process_tells_its_generation() {
        assert_eq!(generation_of(b"A=1\0RESTARTINIT_GENERATION=12\0B=2\0"), Some(12));
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
            let all: Vec<Process> = pairs.into_iter().map(|(pid, parent)| process(pid, parent)).collect();
            let found = descendants(all, 1, &[2]);
            prop_assert!(!found.contains(&1) && !found.contains(&2));
        }
    }
}
