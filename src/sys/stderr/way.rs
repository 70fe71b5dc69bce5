//! How a line gets out to stderr without waiting, by what stderr is and what the system allows.

#![expect(unsafe_code, reason = "splice(2) and pwritev2(2) by the raw calls")]

use std::fs::OpenOptions;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;

use libc::{c_int, c_void};

use super::LONGEST;

/// See the module.
pub(super) enum Way {
    /// A pipe, opened anew, so that the flags are ours alone.
    Reopened(OwnedFd),
    /// A terminal, likewise. It may take part of a line, and what others write follows: then the whole line is written again.
    Terminal(OwnedFd),
    /// A pipe that may not be opened anew, as it is another user's: a line goes through a pipe of our own, and from there by splice(2), which
    /// can be told not to wait. So many bytes of the queue's beginning are in that pipe.
    Splice { read: OwnedFd, write: OwnedFd, inside: usize },
    /// A pipe where splice(2) is denied: Linux 6.4 can be told not to wait in the write itself.
    Nowait,
    /// A socket: send(2) can be told not to wait.
    Socket,
    /// What leaves no other way: written when poll(2) says that it has room.
    Polled,
    /// A file, which takes what it is given.
    File,
}

impl Way {
    pub(super) fn of_stderr() -> Way {
        // SAFETY: an all-zero stat is valid for the kernel to write to.
        let mode = unsafe {
            let mut stat: libc::stat = std::mem::zeroed();
            if libc::fstat(libc::STDERR_FILENO, &raw mut stat) == 0 { stat.st_mode & libc::S_IFMT } else { 0 }
        };
        match mode {
            libc::S_IFIFO => reopened().map(Way::Reopened).or_else(Way::splice).unwrap_or(Way::Nowait),
            libc::S_IFCHR => reopened().map_or(Way::Polled, Way::Terminal),
            libc::S_IFSOCK => Way::Socket,
            _ => Way::File,
        }
    }

    fn splice() -> Option<Way> {
        let mut ends = [-1; 2];
        // SAFETY: the kernel writes two descriptors, which are ours alone from then on.
        unsafe {
            if libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC | libc::O_NONBLOCK) != 0 {
                return None;
            }
            let [read, write] = ends;
            Some(Way::Splice { read: OwnedFd::from_raw_fd(read), write: OwnedFd::from_raw_fd(write), inside: 0 })
        }
    }

    /// Writes what goes out now.
    ///
    /// # Errors
    /// EAGAIN: nothing does. Others are those of the call.
    pub(super) fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        match self {
            Way::Reopened(fd) | Way::Terminal(fd) => write(fd.as_raw_fd(), line),
            Way::Splice { read, write: private, inside } => {
                if *inside == 0 {
                    *inside = write(private.as_raw_fd(), line)?;
                }
                let moved = splice(read, *inside);
                match &moved {
                    Ok(moved) => *inside = inside.saturating_sub(*moved),
                    Err(error) if is_passing(error) => {}
                    // It goes another way or nowhere: nothing of it may stay in here.
                    Err(_) => {
                        let _ = nix::unistd::read(read, &mut [0; LONGEST]);
                        *inside = 0;
                    }
                }
                moved
            }
            Way::Nowait => {
                let part = libc::iovec { iov_base: line.as_ptr().cast_mut().cast::<c_void>(), iov_len: line.len() };
                // By the system call itself, which musl has no function for; -1 is the current position, in two halves.
                // SAFETY: the kernel reads one iovec and the line that it points to.
                count(unsafe {
                    libc::syscall(libc::SYS_pwritev2, libc::STDERR_FILENO, &raw const part, 1usize, -1i64, -1i64, libc::RWF_NOWAIT)
                })
            }
            Way::Socket => {
                let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
                // SAFETY: the kernel reads `line.len()` bytes at a valid address.
                count(unsafe { libc::send(libc::STDERR_FILENO, line.as_ptr().cast(), line.len(), flags) })
            }
            Way::Polled if !has_room(0) => Err(io::Error::from_raw_os_error(libc::EAGAIN)),
            Way::Polled | Way::File => write(libc::STDERR_FILENO, line),
        }
    }
}

/// Stderr, opened anew without waiting.
fn reopened() -> Option<OwnedFd> {
    let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
    let opened = OpenOptions::new().write(true).custom_flags(flags).open("/proc/self/fd/2");
    opened.ok().map(OwnedFd::from)
}

pub(super) fn write(fd: c_int, line: &[u8]) -> io::Result<usize> {
    // SAFETY: the kernel reads `line.len()` bytes at a valid address.
    count(unsafe { libc::write(fd, line.as_ptr().cast(), line.len()) })
}

fn splice(from: &OwnedFd, bytes: usize) -> io::Result<usize> {
    let none = std::ptr::null_mut();
    // SAFETY: no address is passed but null.
    count(unsafe { libc::splice(from.as_raw_fd(), none, libc::STDERR_FILENO, none, bytes, libc::SPLICE_F_NONBLOCK) })
}

/// Whether the same call may succeed later.
pub(super) fn is_passing(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::EINTR | libc::ENOMEM | libc::ENOBUFS))
}

fn count(result: impl TryInto<usize>) -> io::Result<usize> {
    result.try_into().map_err(|_| io::Error::last_os_error())
}

/// Whether stderr has room within so many milliseconds; 0 does not wait.
pub(super) fn has_room(milliseconds: c_int) -> bool {
    let mut poll = libc::pollfd { fd: libc::STDERR_FILENO, events: libc::POLLOUT, revents: 0 };
    // SAFETY: the kernel reads and writes one pollfd.
    unsafe { libc::poll(&raw mut poll, 1, milliseconds) == 1 }
}
