//! What the main thread of a process does, off `/proc/PID/task/PID/stat`, `schedstat` and `syscall`: its state, the processor time
//! that it had and waited for, the system call that it is in. What that comes to is said in [`super::verdict`]. Pure.

use std::time::Duration;

use super::{field, number, words};

/// Whether a thread runs, and why not.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// On a processor, or waiting for one.
    Runnable,
    Sleeping,
    /// It waits for a disk or a file server, and no signal wakes it.
    Uninterruptible,
    /// By a signal.
    Stopped,
    /// By a debugger.
    Traced,
    Ended,
    Unknown,
}

/// What a thread had of the processors since it began.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Schedule {
    pub ran: Duration,
    /// Runnable, and no processor was free, or its cgroup was throttled.
    pub waited: Duration,
}

impl Schedule {
    fn since(&self, earlier: &Schedule) -> Schedule {
        Schedule { ran: self.ran.saturating_sub(earlier.ran), waited: self.waited.saturating_sub(earlier.waited) }
    }
}

/// The main thread at one moment: of two of them comes the share that it had in between.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sample {
    pub state: State,
    /// `None`: the kernel does not count it.
    pub schedule: Option<Schedule>,
    /// For how long its cgroup was kept from all processors; `None`: that cannot be seen.
    pub throttled: Option<Duration>,
}

/// What a thread had between two samples.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Share {
    pub schedule: Schedule,
    pub throttled: Duration,
    /// The time between the two.
    pub of: Duration,
}

impl Sample {
    /// What it had since an earlier sample, which was taken so long before; `None`: that is not known.
    pub fn since(&self, earlier: &Sample, of: Duration) -> Option<Share> {
        let (now, before) = (self.schedule?, earlier.schedule?);
        let throttled = self.throttled.zip(earlier.throttled).map_or(Duration::ZERO, |(now, before)| now.saturating_sub(before));
        (!of.is_zero()).then_some(Share { schedule: now.since(&before), throttled: throttled.min(of), of })
    }
}

impl Share {
    /// How much of the time is that, in percent, at most 100.
    pub fn percent(&self, part: Duration) -> u32 {
        let percent = part.as_micros().saturating_mul(100).checked_div(self.of.as_micros()).unwrap_or_default();
        u32::try_from(percent.min(100)).unwrap_or(100)
    }
}

/// What a main thread had of a span of time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Had {
    /// It was stopped by a signal, or held by a debugger.
    Nothing,
    /// All of it but so much: no processor was free, or a page had to be read in.
    AllBut(Duration),
    /// The kernel does not count it.
    Unknown,
}

/// A main thread at one moment, as little of it as tells what it had since another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Glance {
    pub state: State,
    pub schedule: Option<Schedule>,
    /// Pages that had to be read in so far.
    pub major_faults: u64,
}

impl Glance {
    /// What it had of the time `of` since an earlier glance. `others_waited`: how long another thread or a child of it waited for a processor
    /// meanwhile; it may have slept until that one had done its work.
    pub fn had(&self, earlier: &Glance, of: Duration, others_waited: Duration) -> Had {
        if matches!(self.state, State::Stopped | State::Traced) {
            return Had::Nothing;
        }
        let Some((now, before)) = self.schedule.zip(earlier.schedule) else { return Had::Unknown };
        let Schedule { ran, waited } = now.since(&before);
        let rest = of.saturating_sub(ran).saturating_sub(waited);
        let excused = match self.state {
            // The kernel counts a wait when it is over.
            State::Runnable => rest,
            _ if self.major_faults > earlier.major_faults => rest,
            _ => rest.min(others_waited),
        };
        Had::AllBut(waited.saturating_add(excused))
    }

    /// Whether it slept for most of the time since an earlier glance: what the others did is worth a look.
    pub fn slept(&self, earlier: &Glance, of: Duration) -> bool {
        let had = self.schedule.zip(earlier.schedule).map(|(now, before)| now.since(&before));
        self.state != State::Runnable && had.is_some_and(|had| had.ran.saturating_add(had.waited) < of / 2)
    }
}

/// Reads the pages that had to be read in, in `/proc/PID/task/TID/stat`.
pub fn major_faults(stat: &[u8]) -> u64 {
    /// Words between the name and that one.
    const SKIPPED: usize = 9;
    words(after_name(stat)).nth(SKIPPED).and_then(number).unwrap_or_default()
}

/// What follows the name, which may hold anything.
fn after_name(stat: &[u8]) -> &[u8] {
    stat.iter().rposition(|byte| *byte == b')').and_then(|close| stat.get(close + 1..)).unwrap_or_default()
}

/// Reads the state in `/proc/PID/stat` or `/proc/PID/task/TID/stat`.
pub fn state(stat: &[u8]) -> State {
    match words(after_name(stat)).next() {
        Some(b"R") => State::Runnable,
        Some(b"S" | b"I") => State::Sleeping,
        Some(b"D") => State::Uninterruptible,
        Some(b"T") => State::Stopped,
        Some(b"t") => State::Traced,
        Some(b"Z" | b"X" | b"x") => State::Ended,
        _ => State::Unknown,
    }
}

/// Reads `/proc/PID/task/TID/schedstat`: nanoseconds on a processor, nanoseconds runnable and on none, how often.
pub fn schedule(schedstat: &[u8]) -> Option<Schedule> {
    let mut words = words(schedstat).map(|word| number(word).map(Duration::from_nanos));
    Some(Schedule { ran: words.next()??, waited: words.next()?? })
}

/// Reads how long a cgroup was throttled, in its `cpu.stat`: `throttled_usec` in version 2, `throttled_time` in nanoseconds in version 1.
pub fn throttled(stat: &[u8]) -> Option<Duration> {
    let of_v2 = field(stat, "throttled_usec ").and_then(number).map(Duration::from_micros);
    of_v2.or_else(|| field(stat, "throttled_time ").and_then(number).map(Duration::from_nanos))
}

/// What a line of `/proc/PID/task/TID/syscall` is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Call {
    /// In no system call: it runs, or was taken off a processor.
    None,
    In {
        number: i64,
        first: u64,
    },
}

/// Reads that line: a number and six arguments in hexadecimal, or `running`.
pub fn call(syscall: &[u8]) -> Option<Call> {
    let mut words = words(syscall);
    let first = words.next()?;
    if first == b"running" {
        return Some(Call::None);
    }
    match number::<i32>(first)? {
        // Asleep outside of a system call, as in a page fault.
        ..0 => Some(Call::None),
        number => {
            let argument = std::str::from_utf8(words.next()?).ok()?;
            Some(Call::In { number: number.into(), first: u64::from_str_radix(argument.strip_prefix("0x").unwrap_or(argument), 16).ok()? })
        }
    }
}

/// What a system call is for, as far as that can be told from its number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Purpose {
    /// Its first argument is the descriptor that it waits for.
    Descriptor,
    /// One of several descriptors: an event loop, the app's own or that of `execSync`.
    Events,
    /// Another thread: `Atomics.wait`, a lock of a native module.
    Lock,
    Child,
    Other,
}

/// The calls that a thread may be found in, by their numbers here.
const CALLS: &[(i64, &str, Purpose)] = &[
    (libc::SYS_read, "read", Purpose::Descriptor),
    (libc::SYS_write, "write", Purpose::Descriptor),
    (libc::SYS_pread64, "pread", Purpose::Descriptor),
    (libc::SYS_pwrite64, "pwrite", Purpose::Descriptor),
    (libc::SYS_readv, "readv", Purpose::Descriptor),
    (libc::SYS_writev, "writev", Purpose::Descriptor),
    (libc::SYS_fsync, "fsync", Purpose::Descriptor),
    (libc::SYS_fdatasync, "fdatasync", Purpose::Descriptor),
    (libc::SYS_ftruncate, "ftruncate", Purpose::Descriptor),
    (libc::SYS_flock, "flock", Purpose::Descriptor),
    (libc::SYS_fcntl, "fcntl", Purpose::Descriptor),
    (libc::SYS_fstat, "fstat", Purpose::Descriptor),
    (libc::SYS_getdents64, "getdents", Purpose::Descriptor),
    (libc::SYS_ioctl, "ioctl", Purpose::Descriptor),
    (libc::SYS_connect, "connect", Purpose::Descriptor),
    (libc::SYS_recvfrom, "recv", Purpose::Descriptor),
    (libc::SYS_recvmsg, "recvmsg", Purpose::Descriptor),
    (libc::SYS_sendto, "send", Purpose::Descriptor),
    (libc::SYS_sendmsg, "sendmsg", Purpose::Descriptor),
    (libc::SYS_sendfile, "sendfile", Purpose::Descriptor),
    (libc::SYS_copy_file_range, "copy_file_range", Purpose::Descriptor),
    (libc::SYS_close, "close", Purpose::Descriptor),
    (libc::SYS_epoll_pwait, "epoll_wait", Purpose::Events),
    (libc::SYS_epoll_pwait2, "epoll_wait", Purpose::Events),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_epoll_wait, "epoll_wait", Purpose::Events),
    (libc::SYS_futex, "futex", Purpose::Lock),
    (libc::SYS_wait4, "wait", Purpose::Child),
    (libc::SYS_waitid, "wait", Purpose::Child),
    (libc::SYS_ppoll, "poll", Purpose::Other),
    (libc::SYS_pselect6, "select", Purpose::Other),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_poll, "poll", Purpose::Other),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_select, "select", Purpose::Other),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_open, "open", Purpose::Other),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_stat, "stat", Purpose::Other),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_lstat, "lstat", Purpose::Other),
    (libc::SYS_openat, "open", Purpose::Other),
    (libc::SYS_statx, "stat", Purpose::Other),
    (libc::SYS_newfstatat, "stat", Purpose::Other),
    (libc::SYS_nanosleep, "nanosleep", Purpose::Other),
    (libc::SYS_clock_nanosleep, "nanosleep", Purpose::Other),
];

/// The name and the purpose of a system call; `None`: of one that hardly anybody is found in.
pub fn name_of_call(number: i64) -> Option<(&'static str, Purpose)> {
    CALLS.iter().find(|(known, ..)| *known == number).map(|(_, name, purpose)| (*name, *purpose))
}

/// How many loops Node sets up before its main thread's own: one of its platform, and one that is libuv's.
const LOOPS_BEFORE: usize = 2;

/// Whether the loop behind an epoll descriptor is Node's own: any other of the same thread is made later and has a higher number. `lower`: what
/// the descriptors below it are.
pub fn is_own_loop<'a>(lower: impl Iterator<Item = &'a [u8]>) -> bool {
    lower.filter(|name| *name == b"anon_inode:[eventpoll]").count() <= LOOPS_BEFORE
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sample(ran: u64, waited: u64, throttled: u64) -> Sample {
        let ms = Duration::from_millis;
        Sample { state: State::Runnable, schedule: Some(Schedule { ran: ms(ran), waited: ms(waited) }), throttled: Some(ms(throttled)) }
    }

    #[test]
    fn a_state_is_read_past_any_name() {
        for (stat, expected) in [
            (&b"7 (node) R 1 7"[..], State::Runnable),
            (b"7 (a) R (b) S 1", State::Sleeping),
            (b"7 (node) D 1", State::Uninterruptible),
            (b"7 (node) T 1", State::Stopped),
            (b"7 (node) t 1", State::Traced),
            (b"7 (node) Z 1", State::Ended),
            (b"7 (node) ? 1", State::Unknown),
            (b"", State::Unknown),
        ] {
            assert_eq!(state(stat), expected);
        }
    }

    #[test]
    fn of_two_samples_comes_a_share() {
        let share = sample(1980, 20, 300).since(&sample(1000, 10, 100), Duration::from_secs(1)).unwrap();
        assert_eq!((share.percent(share.schedule.ran), share.percent(share.schedule.waited)), (98, 1));
        assert_eq!(share.throttled, Duration::from_millis(200));
        assert_eq!(
            sample(5000, 0, 9000).since(&sample(0, 0, 0), Duration::from_secs(1)).map(|s| (s.percent(s.schedule.ran), s.throttled)),
            Some((100, Duration::from_secs(1)))
        );
        let blind = Sample { throttled: None, ..sample(5, 0, 0) };
        assert_eq!(blind.since(&sample(1, 0, 7), Duration::from_secs(1)).map(|share| share.throttled), Some(Duration::ZERO));
        assert_eq!(Sample { schedule: None, ..blind }.since(&blind, Duration::from_secs(1)), None);
        assert_eq!(blind.since(&blind, Duration::ZERO), None, "at the same moment");
    }

    #[test]
    fn times_are_read() {
        let schedule = schedule(b"1500000000 20000000 17\n").unwrap();
        assert_eq!(schedule, Schedule { ran: Duration::from_millis(1500), waited: Duration::from_millis(20) });
        assert_eq!((super::schedule(b""), super::schedule(b"1\n"), super::schedule(b"x 1 2\n")), (None, None, None));
        assert_eq!(throttled(b"usage_usec 1\nnr_throttled 3\nthrottled_usec 9600000\n"), Some(Duration::from_millis(9600)));
        assert_eq!(throttled(b"nr_periods 1\nnr_throttled 3\nthrottled_time 9600000000\n"), Some(Duration::from_millis(9600)));
        assert_eq!(throttled(b"usage_usec 1\n"), None);
    }

    #[test]
    fn calls_are_read_and_named() {
        assert_eq!((call(b"running\n"), call(b"-1 0x7ffd 0x7f\n")), (Some(Call::None), Some(Call::None)));
        assert_eq!(call(b"0 0x15 0x7f 0x0 0x0 0x0 0x0 0x7ffd 0x7f01\n"), Some(Call::In { number: 0, first: 21 }));
        assert_eq!((call(b""), call(b"x\n"), call(b"0\n"), call(b"0 zz\n")), (None, None, None, None));
        assert_eq!(name_of_call(libc::SYS_read), Some(("read", Purpose::Descriptor)));
        assert_eq!(name_of_call(libc::SYS_epoll_pwait), Some(("epoll_wait", Purpose::Events)));
        assert_eq!(name_of_call(-7), None);
    }

    #[test]
    fn nodes_own_loop_is_told_from_a_later_one() {
        let names = |loops: usize| {
            let names = [b"/dev/null".as_slice(), b"socket:[7]"]
                .into_iter()
                .chain(std::iter::repeat_n(b"anon_inode:[eventpoll]".as_slice(), loops));
            is_own_loop(names)
        };
        assert!(names(0) && names(2) && !names(3));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = (state(&bytes), schedule(&bytes), throttled(&bytes), call(&bytes));
        }
    }
}
