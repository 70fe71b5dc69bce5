//! Reaping: wait(2), one child at a time.

#![expect(unsafe_code, reason = "wait4(2) and waitid(2): nix loses exits by real-time signals")]

use nix::errno::Errno;
use nix::unistd::Pid;

use crate::signal::Signal;
use crate::supervisor::exit::Exit;

/// What one call of wait(2) told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Waited {
    /// `peak`: its largest resident memory, in bytes.
    Exited {
        pid: Pid,
        exit: Exit,
        peak: u64,
    },
    Stopped {
        pid: Pid,
        signal: Signal,
    },
    Continued {
        pid: Pid,
    },
    /// No child has news, but there are children.
    NoNews,
    /// There is no child at all.
    NoChildren,
    /// The kernel refused to tell: there may be news.
    Unknown,
}

/// Reaps one child, or tells of one that was stopped or continued; never waits.
pub fn next() -> Waited {
    let mut status = 0;
    let options = libc::WNOHANG | libc::WUNTRACED | libc::WCONTINUED;
    // SAFETY: an all-zero rusage is valid; the kernel writes one int and one rusage. nix's waitpid is an error for a real-time signal, and
    // would lose that exit.
    let (pid, peak) = unsafe {
        let mut used: libc::rusage = std::mem::zeroed();
        let pid = libc::wait4(-1, &raw mut status, options, &raw mut used);
        // The kernel counts in KiB.
        (Pid::from_raw(pid), u64::try_from(used.ru_maxrss).unwrap_or(0).saturating_mul(1024))
    };
    match pid.as_raw() {
        0 => Waited::NoNews,
        ..0 => match Errno::last() {
            Errno::ECHILD => Waited::NoChildren,
            _ => Waited::Unknown,
        },
        _ if libc::WIFEXITED(status) => {
            let code = u8::try_from(libc::WEXITSTATUS(status)).unwrap_or(u8::MAX);
            Waited::Exited { pid, exit: Exit::Code(code), peak }
        }
        _ if libc::WIFSTOPPED(status) => {
            Signal::new(libc::WSTOPSIG(status)).map_or(Waited::NoNews, |signal| Waited::Stopped { pid, signal })
        }
        _ if libc::WIFCONTINUED(status) => Waited::Continued { pid },
        _ => {
            let signal = Signal::new(libc::WTERMSIG(status)).unwrap_or(Signal::KILL);
            Waited::Exited { pid, exit: Exit::Signal { signal, core_dumped: libc::WCOREDUMP(status) }, peak }
        }
    }
}

/// Whether there are children already, without reaping one: whoever exec'd us may have left some.
pub fn any_children() -> bool {
    // SAFETY: an all-zero siginfo is valid for the kernel to write to; WNOWAIT leaves the child as it is.
    let result = unsafe {
        let mut info: libc::siginfo_t = std::mem::zeroed();
        libc::waitid(libc::P_ALL, 0, &raw mut info, libc::WEXITED | libc::WNOHANG | libc::WNOWAIT)
    };
    result == 0
}
