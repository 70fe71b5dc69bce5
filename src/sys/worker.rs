//! A child that does one thing for us which may hang, such as reading files, and tells what came of it through a pipe. It is a copy of this
//! process that never returns; with it nothing hangs here.

#![expect(unsafe_code, reason = "fork(2), and the descriptors of the child")]

use std::fs::File;
use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, FromRawFd as _, OwnedFd, RawFd};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::inotify::Inotify;
use nix::sys::signal::Signal;
use nix::unistd::{ForkResult, Pid, fork, pipe2};

/// What the child keeps open beside the standard streams: its end of the pipe, and one descriptor that it was given.
const ANSWER: RawFd = 3;
const GIVEN: RawFd = 4;
/// Where closing begins that needs no list.
const FIRST_OTHER: RawFd = 5;
/// More descriptors than this program ever has, for kernels before 5.9.
const MOST_DESCRIPTORS: RawFd = 4096;

/// Starts the child; gives back its pid and where its answer comes, which does not wait. `dies_with_us`: the kernel sees to that for PID 1 only.
///
/// # Errors
/// That of pipe(2) or fork(2).
pub fn start(given: &Inotify, dies_with_us: bool, work: impl FnOnce(File, Inotify)) -> io::Result<(Pid, OwnedFd)> {
    let (answer, end) = pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)?;
    // Beyond those numbers, so that none of the two is overwritten by the other.
    let [end, given] = [end.as_fd(), given.as_fd()].map(|fd| fcntl(fd, FcntlArg::F_DUPFD_CLOEXEC(FIRST_OTHER)));
    // SAFETY: both were just made, and are nobody's yet.
    let [end, given] = unsafe { [OwnedFd::from_raw_fd(end?), OwnedFd::from_raw_fd(given?)] };
    // SAFETY: this process has one thread, so that the child may do whatever this one may.
    match unsafe { fork() }? {
        ForkResult::Parent { child } => Ok((child, answer)),
        ForkResult::Child => {
            if dies_with_us {
                let _ = nix::sys::prctl::set_pdeathsig(Signal::SIGKILL);
            }
            // SAFETY: plain system calls on numbers; what they close is used by nobody in this process, which ends below.
            let (answer, given) = unsafe {
                libc::dup2(end.as_raw_fd(), ANSWER);
                libc::dup2(given.as_raw_fd(), GIVEN);
                if libc::syscall(libc::SYS_close_range, FIRST_OTHER, u32::MAX, 0) != 0 {
                    for fd in FIRST_OTHER..MOST_DESCRIPTORS {
                        libc::close(fd);
                    }
                }
                (File::from_raw_fd(ANSWER), Inotify::from_raw_fd(GIVEN))
            };
            work(answer, given);
            // SAFETY: it ends here, and runs nothing of what this program does at its end.
            unsafe { libc::_exit(0) }
        }
    }
}
