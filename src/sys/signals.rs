//! Signals in and out. All are blocked from the first instruction on, but while `poll::wait` sleeps: a handler runs there or nowhere,
//! so nothing is lost, nothing is interrupted, and one turn of the loop costs one system call. signal-hook holds the handlers.

#![allow(unsafe_code)]

use std::io;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, AtomicU64, Ordering::Relaxed};

use libc::{c_int, c_void, siginfo_t};

use crate::signal::{self, Signal};

/// Signals that report a fault of restartinit's own: no handler could return from them.
const FAULTS: [c_int; 4] = [libc::SIGILL, libc::SIGFPE, libc::SIGSEGV, libc::SIGBUS];

// What the handlers leave behind. They run in this thread only, inside ppoll.
static BY_PROCESS: [AtomicU32; signal::MAX as usize + 1] = [const { AtomicU32::new(0) }; signal::MAX as usize + 1];
static ANY_BY_PROCESS: AtomicU64 = AtomicU64::new(0);
static BY_KERNEL: AtomicU64 = AtomicU64::new(0);
// True at first: a child that ended before there was a handler is news as well.
static CHILD: AtomicBool = AtomicBool::new(true);
static OWN_PID: AtomicI32 = AtomicI32::new(0);

/// A signal that arrived, as often as `count` says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Arrival {
    pub signal: Signal,
    pub count: u32,
    /// The kernel sent it (a terminal, for example), not a process.
    pub by_kernel: bool,
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

/// The bytes of a kernel signal set.
const SET_SIZE: usize = 8;

/// Blocks every signal. The first act of PID 1: the kernel drops a signal that PID 1 neither handles nor blocks.
pub fn block_all() {
    // libc's own calls leave out the signals that it uses itself, 32 to 34.
    set_mask(u64::MAX);
}

/// Gives a child what a command expects: default dispositions, HUP ignored if so wanted, and an empty mask. Async-signal-safe: it runs
/// between vfork and exec.
///
/// `cleared`: the kernel has made all handlers default dispositions already.
pub fn reset_for_command(ignore_hup: bool, cleared: bool) {
    // Blocked until the handlers are gone, or one would run in the memory that the child has borrowed.
    for number in 1..=c_int::from(signal::MAX) {
        let ignore = number == libc::SIGHUP && ignore_hup;
        if ignore || !cleared {
            set_disposition(number, ignore);
        }
    }
    set_mask(0);
}

fn set_mask(bits: u64) {
    // SAFETY: the kernel reads SET_SIZE bytes at a valid address and writes nothing.
    unsafe { libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, &raw const bits, std::ptr::null::<u64>(), SET_SIZE) };
}

/// By the system call itself: libc's own refuses some numbers.
fn set_disposition(number: c_int, ignore: bool) {
    let handler = if ignore { libc::SIG_IGN } else { libc::SIG_DFL };
    let action = KernelAction { handler, flags: 0, restorer: 0, mask: 0 };
    // SAFETY: the kernel reads one KernelAction and writes nothing; a number it does not take is an error without effect.
    unsafe { libc::syscall(libc::SYS_rt_sigaction, number, &raw const action, std::ptr::null::<KernelAction>(), SET_SIZE) };
}

/// Whether the signal is ignored, as whoever started us may have left it.
pub fn is_ignored(signal: c_int) -> bool {
    // SAFETY: an all-zero sigaction is a valid value, and the call only writes to it.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        libc::sigaction(signal, std::ptr::null(), &raw mut action) == 0 && action.sa_sigaction == libc::SIG_IGN
    }
}

/// Installs a handler for everything that can be caught, but for the faults.
///
/// # Errors
/// That of sigaction(2).
pub fn install() -> io::Result<()> {
    OWN_PID.store(std::process::id() as i32, Relaxed);
    // std's own handlers for SEGV and BUS run on a small stack that other handlers would overflow; default is what PID 1 survives.
    FAULTS.iter().for_each(|number| set_disposition(*number, false));
    // SAFETY: the action only stores to an atomic, which is async-signal-safe.
    unsafe { signal_hook::low_level::register(libc::SIGCHLD, || CHILD.store(true, Relaxed))? };
    let mut action = KernelAction { handler: 0, flags: 0, restorer: 0, mask: 0 };
    // SAFETY: the kernel writes one KernelAction.
    unsafe { libc::syscall(libc::SYS_rt_sigaction, libc::SIGCHLD, std::ptr::null::<KernelAction>(), &raw mut action, SET_SIZE) };
    action.handler = handler as *const () as usize;
    let catchable = |n: &c_int| !FAULTS.contains(n) && ![libc::SIGKILL, libc::SIGSTOP, libc::SIGCHLD].contains(n);
    for number in (1..=c_int::from(signal::MAX)).filter(catchable) {
        // SAFETY: the kernel reads one KernelAction, and `handler` has the signature that SA_SIGINFO asks for.
        unsafe { libc::syscall(libc::SYS_rt_sigaction, number, &raw const action, std::ptr::null::<KernelAction>(), SET_SIZE) };
    }
    // musl unblocks its own two when a handler is installed.
    block_all();
    Ok(())
}

/// For all but CHLD, whose handler is the model: the kernel's record of it is taken over with its flags and its return trampoline. One
/// system call a signal, where a registry copies its table each time; and libc refuses 32, 33 and, musl, 34.
extern "C" fn handler(_: c_int, info: *mut siginfo_t, _: *mut c_void) {
    // SAFETY: with SA_SIGINFO, copied from the model, the kernel passes a valid siginfo.
    if let Some(info) = unsafe { info.as_ref() } {
        note(info);
    }
}

/// Runs in the handler: atomics only.
fn note(info: &siginfo_t) {
    let Ok(index) = usize::try_from(info.si_signo) else { return };
    let Some(count) = BY_PROCESS.get(index).filter(|_| index > 0) else { return };
    let bit = 1 << (index - 1);
    if info.si_code == libc::SI_KERNEL {
        BY_KERNEL.fetch_or(bit, Relaxed);
        return;
    }
    // SAFETY: si_pid is a plain integer in every layout of the union that a sender other than the kernel fills in.
    let by_self = info.si_code == libc::SI_USER && unsafe { info.si_pid() } == OWN_PID.load(Relaxed);
    // The echo of a signal to the group that we share at a terminal, or a broken pipe at our own stderr: no news.
    if !by_self {
        count.fetch_add(1, Relaxed);
        ANY_BY_PROCESS.fetch_or(bit, Relaxed);
    }
}

/// Takes what has arrived since the last call, the lowest number first; CHLD apart.
pub fn take(mut each: impl FnMut(Arrival)) {
    let (by_process, by_kernel) = (ANY_BY_PROCESS.swap(0, Relaxed), BY_KERNEL.swap(0, Relaxed));
    let mut left = by_process | by_kernel;
    while left != 0 {
        let index = left.trailing_zeros();
        left &= left - 1;
        let Some(signal) = Signal::new(index as i32 + 1) else { continue };
        if by_kernel & (1 << index) != 0 {
            each(Arrival { signal, count: 1, by_kernel: true });
        }
        let count = BY_PROCESS.get(index as usize + 1).map_or(0, |count| count.swap(0, Relaxed));
        if count > 0 {
            each(Arrival { signal, count, by_kernel: false });
        }
    }
}

/// Whether a signal other than CHLD has arrived that `poll::wait` has not let in yet.
pub fn any_pending() -> bool {
    let mut pending = 0u64;
    // SAFETY: the kernel writes SET_SIZE bytes to a valid address.
    unsafe { libc::syscall(libc::SYS_rt_sigpending, &raw mut pending, SET_SIZE) };
    pending & !(1 << (libc::SIGCHLD - 1)) != 0
}

/// Whether a child changed state since the last call. CHLD coalesces: it stands for any number of children.
pub fn take_child() -> bool {
    CHILD.swap(false, Relaxed)
}

/// Sends a signal to a process that has not been reaped, or to the process group it belongs to.
///
/// # Errors
/// That of kill(2); ESRCH is no surprise.
pub fn send(pid: i32, signal: Signal, group: bool) -> io::Result<()> {
    // SAFETY: a plain system call on integers.
    let target = match if group { unsafe { libc::getpgid(pid) } } else { -pid } {
        -1 if group => return Err(io::Error::last_os_error()),
        // To kill(2), -1 is everybody and 0 our own group: group 1 is our own, that of PID 1 at a terminal.
        1 => 0,
        number => -number,
    };
    // SAFETY: as above.
    if unsafe { libc::kill(target, signal.number()) } == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Sends a signal to each of these, listed just before. One that has ended since is no error.
pub fn send_all(pids: &[i32], signal: Signal) {
    for pid in pids {
        if let Err(error) = send(*pid, signal, false) {
            log::debug!("cannot send {signal} to pid {pid}: {error}");
        }
    }
}

/// Stops this process until somebody continues it.
pub fn suspend() {
    // SIGSTOP cannot be blocked; emulating TSTP's default action comes to just that. An error means that we go on running.
    let _ = signal_hook::low_level::emulate_default_handler(libc::SIGTSTP);
}
