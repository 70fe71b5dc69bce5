//! Signals in and out. All but the faults are blocked from the first instruction on and stay so: they are read from two descriptors, CHLD
//! from one and all else from the other. No handler is ever installed, so nothing is interrupted, nothing nests, and nothing is lost.

#![expect(unsafe_code, reason = "signalfd4(2) and rt_sigtimedwait(2) by the raw calls: no wrapper takes all numbers")]

use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd, RawFd};

use libc::{c_int, siginfo_t, timespec};
use nix::errno::Errno;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::kill;
use nix::unistd::{Pid, getpgid, getpid};

use crate::signal::{self, Signal, SignalSet};
use crate::supervisor::event::Recipient;

/// All but those that report a fault of restartinit's own: blocked, they would end it all the same.
const BLOCKED: u64 = !(bit(libc::SIGILL) | bit(libc::SIGFPE) | bit(libc::SIGSEGV) | bit(libc::SIGBUS));
/// The bytes of a kernel signal set.
const SET_SIZE: usize = 8;
/// The kernel's `struct signalfd_siginfo`, in bytes.
const RECORD: usize = 128;
/// Records read at a time.
const RECORDS: usize = 32;

/// A signal that arrived.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Arrival {
    pub signal: Signal,
    /// The kernel sent it (a terminal, for example), not a process.
    pub by_kernel: bool,
}

impl Arrival {
    /// `None`: no news. It is the echo of a signal to the group that we share at a terminal, or a broken pipe at our own stderr.
    fn of(number: c_int, code: c_int, sender: c_int, own_pid: Pid) -> Option<Arrival> {
        let by_self = code == libc::SI_USER && sender == own_pid.as_raw();
        let signal = Signal::new(number).filter(|_| !by_self)?;
        Some(Arrival { signal, by_kernel: code == libc::SI_KERNEL })
    }
}

/// The kernel's own struct for sigaction(2), the same on x86_64 and aarch64.
#[repr(C)]
#[derive(Clone, Copy)]
struct KernelAction {
    handler: usize,
    flags: libc::c_ulong,
    restorer: usize,
    mask: u64,
}

const fn bit(number: c_int) -> u64 {
    1 << (number - 1)
}

/// Blocks every signal but the faults. The first act of PID 1: the kernel drops a signal that PID 1 neither handles nor blocks.
pub fn block_all() {
    // libc's own calls leave out the signals that it uses itself, 32 to 34.
    set_mask(BLOCKED);
}

/// Blocks none, as a command expects it. Async-signal-safe: it runs between vfork and exec.
pub fn unblock_all() {
    set_mask(0);
}

fn set_mask(bits: u64) {
    // SAFETY: the kernel reads SET_SIZE bytes at a valid address and writes nothing.
    unsafe { libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, &raw const bits, std::ptr::null::<u64>(), SET_SIZE) };
}

/// Whether the signal is ignored, as whoever started us may have left it.
pub fn is_ignored(signal: c_int) -> bool {
    // SAFETY: an all-zero sigaction is a valid value, and the call only writes to it.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        libc::sigaction(signal, std::ptr::null(), &raw mut action) == 0 && action.sa_sigaction == libc::SIG_IGN
    }
}

/// Gives every signal its default disposition, but HUP where that is to stay ignored. It holds for all commands to come: a disposition is
/// inherited, and what we block ourselves is never acted on.
pub fn reset_dispositions(ignore_hup: bool) {
    for number in 1..=c_int::from(signal::MAX) {
        let handler = if number == libc::SIGHUP && ignore_hup { libc::SIG_IGN } else { libc::SIG_DFL };
        let action = KernelAction { handler, flags: 0, restorer: 0, mask: 0 };
        // By the system call itself, since libc's own refuses some numbers.
        // SAFETY: the kernel reads one KernelAction and writes nothing; a number it does not take is an error without effect.
        unsafe { libc::syscall(libc::SYS_rt_sigaction, number, &raw const action, std::ptr::null::<KernelAction>(), SET_SIZE) };
    }
}

/// How many signals are queued for us at the most, from now on. The kernel walks the queue for each one that it hands out: real-time signals
/// by the ten thousand would make every turn a long one. Beyond it, those of a number come in as one.
const QUEUED: u64 = 4096;

/// A limit of queued signals that a command is to be given back.
#[derive(Clone, Copy, Debug)]
pub struct QueueLimit(Option<(u64, u64)>);

impl QueueLimit {
    /// Lowers our own limit; gives back what it was.
    pub fn lower() -> QueueLimit {
        let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_SIGPENDING) else { return QueueLimit(None) };
        let is_lowered = soft > QUEUED && setrlimit(Resource::RLIMIT_SIGPENDING, QUEUED, hard).is_ok();
        QueueLimit(is_lowered.then_some((soft, hard)))
    }

    /// Makes it what it was. Async-signal-safe: it runs between vfork and exec.
    pub fn restore(&self) {
        if let QueueLimit(Some((soft, hard))) = self {
            let _ = setrlimit(Resource::RLIMIT_SIGPENDING, *soft, *hard);
        }
    }
}

/// The descriptors that blocked signals are read from.
#[derive(Debug)]
pub struct SignalReader {
    own_pid: Pid,
    children: OwnedFd,
    others: OwnedFd,
}

impl SignalReader {
    /// # Errors
    /// That of signalfd(2).
    pub fn open() -> io::Result<SignalReader> {
        let child = bit(libc::SIGCHLD);
        Ok(SignalReader { own_pid: getpid(), children: signalfd(child)?, others: signalfd(BLOCKED & !child)? })
    }

    /// What to poll for. `children`: SIGCHLD as well.
    pub fn interests(&self, children: bool) -> impl Iterator<Item = BorrowedFd<'_>> {
        [&self.others].into_iter().chain(children.then_some(&self.children)).map(|fd| fd.as_fd())
    }

    /// Whether a child changed state since the last call. CHLD coalesces: it stands for any number of children. `ready` tells whether poll
    /// saw a descriptor to be ready.
    pub fn take_child(&self, ready: impl Fn(RawFd) -> bool) -> bool {
        let is_ready = ready(self.children.as_raw_fd());
        if is_ready {
            // A look at the children follows whatever becomes of this: an exit must not hang on a read that is refused.
            let _ = nix::unistd::read(&self.children, &mut [0; RECORD]);
        }
        is_ready
    }

    /// Adds what has arrived to `arrivals`, CHLD apart: at least one of each number that was there, and a bounded number in all.
    pub fn take(&self, ready: impl Fn(RawFd) -> bool, arrivals: &mut Vec<Arrival>) {
        if ready(self.others.as_raw_fd()) {
            take(&mut Kernel(self), arrivals);
        }
    }
}

/// signalfd(2): libc's wrapper takes a set that some numbers cannot be put into.
fn signalfd(mask: u64) -> io::Result<OwnedFd> {
    let flags = libc::SFD_CLOEXEC | libc::SFD_NONBLOCK;
    // SAFETY: the kernel reads SET_SIZE bytes at the address of `mask`, which lives until the call returns.
    let opened = Errno::result(unsafe { libc::syscall(libc::SYS_signalfd4, -1, &raw const mask, SET_SIZE, flags) })?;
    let fd = RawFd::try_from(opened).map_err(io::Error::other)?;
    // SAFETY: the kernel has just opened it for us: it is nobody else's.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Where pending signals are taken from.
trait Queue {
    /// The next ones, the lowest number first; how many were taken, those that are no news too. [`RECORDS`]: there may be more.
    fn next(&mut self, arrivals: &mut Vec<Arrival>) -> usize;
    /// Which numbers there are more of.
    fn pending(&self) -> SignalSet;
    /// One of that number.
    fn one(&mut self, signal: Signal) -> Option<Arrival>;
}

/// Whoever sends a low number without pause must not keep a higher one out: the kernel hands out the lowest first.
fn take(queue: &mut impl Queue, arrivals: &mut Vec<Arrival>) {
    if queue.next(arrivals) >= RECORDS {
        arrivals.extend(queue.pending().iter().filter_map(|signal| queue.one(signal)));
    }
}

struct Kernel<'a>(&'a SignalReader);

impl Queue for Kernel<'_> {
    fn next(&mut self, arrivals: &mut Vec<Arrival>) -> usize {
        let mut buffer = [0; RECORD * RECORDS];
        // Where the kernel refuses to, each number is asked for by itself.
        let Ok(length) = nix::unistd::read(&self.0.others, &mut buffer) else { return RECORDS };
        let (records, _) = buffer.get(..length).unwrap_or_default().as_chunks::<RECORD>();
        arrivals.extend(records.iter().filter_map(|record| {
            let field = |at: usize| record.get(at..)?.first_chunk().map(|bytes| c_int::from_ne_bytes(*bytes));
            Arrival::of(field(0)?, field(8)?, field(12)?, self.0.own_pid)
        }));
        records.len()
    }

    fn pending(&self) -> SignalSet {
        pending()
    }

    fn one(&mut self, signal: Signal) -> Option<Arrival> {
        let set = bit(signal.number());
        let at_once = timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: an all-zero siginfo is valid for the kernel to write to; it reads SET_SIZE bytes and a timespec. si_pid is a plain integer
        // in every layout of the union.
        unsafe {
            let mut info: siginfo_t = std::mem::zeroed();
            let number = libc::syscall(libc::SYS_rt_sigtimedwait, &raw const set, &raw mut info, &raw const at_once, SET_SIZE);
            if number > 0 { Arrival::of(info.si_signo, info.si_code, info.si_pid(), self.0.own_pid) } else { None }
        }
    }
}

fn pending() -> SignalSet {
    let mut pending = 0u64;
    // SAFETY: the kernel writes SET_SIZE bytes to a valid address.
    unsafe { libc::syscall(libc::SYS_rt_sigpending, &raw mut pending, SET_SIZE) };
    SignalSet::of_bits(pending & !bit(libc::SIGCHLD))
}

/// Whether a signal other than CHLD has arrived that was not taken yet.
pub fn any_pending() -> bool {
    !pending().is_empty()
}

/// Those that ask a process to end.
const ENDING: [Signal; 3] = [Signal::INT, Signal::QUIT, Signal::TERM];

/// Whether a signal has come that is to end this process, and is blocked.
pub fn is_to_end() -> bool {
    ENDING.into_iter().any(|signal| pending().contains(signal))
}

/// Forgets that: the kernel drops what is pending once it is ignored.
pub fn forget_end() {
    for signal in ENDING {
        // SAFETY: plain dispositions on valid numbers.
        unsafe {
            libc::signal(signal.number(), libc::SIG_IGN);
            libc::signal(signal.number(), libc::SIG_DFL);
        }
    }
}

/// Sends a signal to a process that has not been reaped, or to the process group it belongs to.
///
/// # Errors
/// That of kill(2); ESRCH is no surprise.
pub fn send(pid: Pid, signal: Signal, recipient: Recipient) -> nix::Result<()> {
    let target = match recipient {
        Recipient::Command => pid.as_raw(),
        Recipient::ItsGroup => group_of(pid)?,
    };
    // SAFETY: a plain system call on integers.
    Errno::result(unsafe { libc::kill(target, signal.number()) }).map(drop)
}

/// The group of a process, as kill(2) takes it. Group 1 is our own, that of PID 1 at a terminal: -1 would be everybody, 0 is our own group.
fn group_of(pid: Pid) -> nix::Result<i32> {
    let group = getpgid(Some(pid))?.as_raw();
    Ok(if group == 1 { 0 } else { -group })
}

/// Whether we may signal a process that has not been reaped; asked without sending anything.
pub fn may_send(pid: Pid) -> bool {
    kill(pid, None) != Err(Errno::EPERM)
}

/// Stops this process until somebody continues it.
pub fn suspend() {
    // SIGSTOP cannot be blocked; emulating TSTP's default action comes to just that. An error means that we go on running.
    let _ = signal_hook::low_level::emulate_default_handler(libc::SIGTSTP);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// So many senders that the queues of some numbers never run empty, and a few signals beside them.
    struct Storm {
        endless: Vec<Signal>,
        once: SignalSet,
        taken: usize,
    }

    impl Queue for Storm {
        fn next(&mut self, arrivals: &mut Vec<Arrival>) -> usize {
            self.taken += RECORDS;
            assert!(self.taken < 1000, "it takes without end");
            // The kernel hands out the lowest first.
            arrivals.extend([Arrival { signal: self.endless[0], by_kernel: false }; RECORDS]);
            RECORDS
        }

        fn pending(&self) -> SignalSet {
            self.endless.iter().copied().chain(self.once.iter()).collect()
        }

        fn one(&mut self, signal: Signal) -> Option<Arrival> {
            self.taken += 1;
            Some(Arrival { signal, by_kernel: false })
        }
    }

    #[test]
    fn no_number_keeps_another_out_and_a_storm_is_taken_in_a_bounded_number() {
        let hup = Signal::new(libc::SIGHUP).unwrap();
        let mut storm = Storm { endless: vec![hup, Signal::new(34).unwrap()], once: [Signal::TERM].into_iter().collect(), taken: 0 };
        let mut arrivals = Vec::new();
        take(&mut storm, &mut arrivals);
        assert!(arrivals.iter().any(|arrival| arrival.signal == Signal::TERM), "{arrivals:?}");
        assert!(arrivals.len() <= RECORDS + usize::from(signal::MAX), "{}", arrivals.len());
    }

    #[test]
    fn what_we_sent_ourselves_is_no_news() {
        let of = |code, sender| Arrival::of(libc::SIGTERM, code, sender, Pid::from_raw(7)).map(|arrival| arrival.by_kernel);
        assert_eq!((of(libc::SI_USER, 7), of(libc::SI_USER, 8), of(libc::SI_KERNEL, 0)), (None, Some(false), Some(true)));
        assert_eq!(Arrival::of(0, libc::SI_USER, 8, Pid::from_raw(7)), None);
    }
}
