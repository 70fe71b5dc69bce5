//! What a process with an event loop of libuv waits for, by what `/proc` tells of its threads and its descriptors. Pure.

use super::{field, number, words};

/// How much a process has left to do.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Left {
    /// It waits, without a time limit, for nothing but its channel.
    Nothing,
    /// For that, or for a timer that is longer than most clean-ups. The loop's clock is also set to timers that hold nothing: the first of V8's
    /// after a garbage collection, 8.1 s or (Node 26) 30.1 s, an HTTP server's of 30 s, also once it is cleared. They look like any other.
    LongTimer,
    /// It waits for others as well: connections, pipes, a terminal.
    Others,
    /// It runs, waits for a timer, or has threads or children at work.
    Work,
}

/// How long an epoll waits at most.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Timer {
    None,
    Short,
    Long,
    /// What V8 (`MemoryReducer`) sets anew whenever it has passed, for minutes after a garbage collection: 8 s and a slack of 100 ms. It holds nothing.
    OfTheEngine,
}

/// What a thread sleeps in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sleep {
    Epoll {
        descriptor: i32,
        timer: Timer,
    },
    /// Until another thread wakes it.
    Lock,
    /// It runs, or sleeps in another system call.
    Other,
}

/// The system calls by their numbers here.
const FUTEX: i64 = if cfg!(target_arch = "x86_64") { 202 } else { 98 };
const EPOLL_PWAIT: i64 = if cfg!(target_arch = "x86_64") { 281 } else { 22 };
/// Only x86_64 has the older one.
const EPOLL_WAIT: Option<i64> = if cfg!(target_arch = "x86_64") { Some(232) } else { None };

/// Reads `/proc/PID/task/TID/syscall`: a number and six arguments in hexadecimal, or `running`.
pub fn sleep(syscall: &[u8]) -> Sleep {
    /// In milliseconds.
    const LONGEST_CLEAN_UP: i32 = 2000;
    const TIMEOUT_AFTER_DESCRIPTOR: usize = 2;
    let mut words = words(syscall);
    let Some(call) = words.next().and_then(number) else { return Sleep::Other };
    let mut arguments = words.map(|word| {
        let digits = std::str::from_utf8(word.strip_prefix(b"0x").unwrap_or(word)).ok();
        digits.and_then(|digits| u64::from_str_radix(digits, 16).ok())
    });
    if call == FUTEX {
        return Sleep::Lock;
    }
    let (Some(Some(descriptor)), Some(Some(timeout))) = (arguments.next(), arguments.nth(TIMEOUT_AFTER_DESCRIPTOR)) else {
        return Sleep::Other;
    };
    match i32::try_from(descriptor) {
        // An `int`: what the upper half of the register holds means nothing.
        Ok(descriptor) if call == EPOLL_PWAIT || Some(call) == EPOLL_WAIT => {
            let [a, b, c, d, ..] = timeout.to_le_bytes();
            let timer = match i32::from_le_bytes([a, b, c, d]) {
                ..0 => Timer::None,
                0..=LONGEST_CLEAN_UP => Timer::Short,
                // An app's of 8 s shows at most 8000.
                8001..=8100 => Timer::OfTheEngine,
                _ => Timer::Long,
            };
            Sleep::Epoll { descriptor, timer }
        }
        _ => Sleep::Other,
    }
}

/// The descriptors that an epoll descriptor watches, off its `/proc/PID/fdinfo`.
pub fn watched(fdinfo: &[u8]) -> impl Iterator<Item = i32> {
    fdinfo.split(|byte| *byte == b'\n').filter_map(|line| number(words(field(line, "tfd:")?).next()?))
}

/// Whether a thread pool and a platform's own threads have nothing to do, given what each thread but the main one sleeps in.
pub fn threads_are_idle(others: &[Sleep]) -> bool {
    /// Node's platform has one thread with an event loop of its own; each further one is a worker_thread's.
    const LOOPS_OF_THE_PLATFORM: usize = 1;
    let loops = others.iter().filter(|sleep| matches!(sleep, Sleep::Epoll { .. })).count();
    loops <= LOOPS_OF_THE_PLATFORM && others.iter().all(|sleep| *sleep != Sleep::Other)
}

/// Whether a watched descriptor is one by which the loop is woken: an eventfd, or a pipe whose other end is its own as well. `names`: what all
/// descriptors of the process are.
pub fn is_wake_up(name: &[u8], names: &[Vec<u8>]) -> bool {
    match name {
        b"anon_inode:[eventfd]" => true,
        _ if name.starts_with(b"pipe:[") => names.iter().filter(|other| *other == name).count() > 1,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn what_a_thread_sleeps_in() {
        for (line, expected) in [
            (
                "281 0xf 0x7ffc1977cd80 0x400 0xffffffff 0x0 0x8 0x7ffc1977c020 0x7f9c45926cae",
                Sleep::Epoll { descriptor: 15, timer: Timer::None },
            ),
            (
                "281 0xf 0x7ffc1977cd80 0x400 0x3e8 0x0 0x8 0x7ffc1977c020 0x7f9c45926cae",
                Sleep::Epoll { descriptor: 15, timer: Timer::Short },
            ),
            ("232 0xb 0x1 0x400 0x7fffffffffff 0x0 0x8 0x1 0x2", Sleep::Epoll { descriptor: 11, timer: Timer::None }),
            ("232 0xb 0x1 0x400 0x7530 0x0 0x8 0x1 0x2", Sleep::Epoll { descriptor: 11, timer: Timer::Long }),
            ("281 0xf 0x1 0x400 0x1fa4 0x0 0x8 0x1 0x2", Sleep::Epoll { descriptor: 15, timer: Timer::OfTheEngine }),
            ("281 0xf 0x1 0x400 0x1f40 0x0 0x8 0x1 0x2", Sleep::Epoll { descriptor: 15, timer: Timer::Long }),
            ("202 0x29dc2630 0x189 0x0 0x0 0x0 0xffffffff 0x7f9c4501bc70 0x7f9c458a3f16\n", Sleep::Lock),
            ("0 0x3 0x7fffd72e19f0 0x1000 0x8 0x0 0x56 0x7f 0x7f", Sleep::Other),
            ("running", Sleep::Other),
            ("-1 0x7ffc 0x7f", Sleep::Other),
            ("281 0xf", Sleep::Other),
            ("", Sleep::Other),
        ] {
            assert_eq!(sleep(line.as_bytes()), expected, "{line}");
        }
    }

    #[test]
    fn what_an_epoll_watches() {
        let text =
            b"pos:\t0\nflags:\t02000002\ntfd:       18 events:       19 data:               12  pos:0\ntfd:        8 events:       19\n";
        assert!(watched(text).eq([18, 8]));
        assert_eq!(watched(b"eventfd-count: 0\ntfd: x\n").count(), 0);
    }

    #[test]
    fn threads_of_the_platform_have_nothing_to_do() {
        let platform = Sleep::Epoll { descriptor: 11, timer: Timer::None };
        assert!(threads_are_idle(&[]) && threads_are_idle(&[platform, Sleep::Lock, Sleep::Lock]));
        assert!(!threads_are_idle(&[platform, Sleep::Lock, Sleep::Other]), "one of the pool reads a file");
        assert!(!threads_are_idle(&[platform, platform]), "a worker_thread");
    }

    #[test]
    fn a_pipe_to_itself_wakes_and_one_to_a_child_does_not() {
        let names: Vec<Vec<u8>> = [&b"pipe:[1]"[..], b"pipe:[1]", b"pipe:[2]", b"socket:[3]"].map(<[u8]>::to_vec).to_vec();
        for (name, wakes) in
            [("anon_inode:[eventfd]", true), ("pipe:[1]", true), ("pipe:[2]", false), ("socket:[3]", false), ("/dev/pts/0", false)]
        {
            assert_eq!(is_wake_up(name.as_bytes(), &names), wakes, "{name}");
        }
    }

    proptest! {
        #[test]
        fn nothing_is_too_odd(text in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = (sleep(&text), watched(&text).count());
        }
    }
}
