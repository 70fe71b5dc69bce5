//! Sleeping until something happens: the only place in which signals are let in.

#![allow(unsafe_code)]

use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::ptr;
use std::time::Duration;

use libc::{nfds_t, pollfd, timespec};
use nix::poll::PollFlags;

/// The descriptors of one turn. It is made once, and its memory is used again.
#[derive(Debug, Default)]
pub struct Poller {
    fds: Vec<pollfd>,
}

impl Poller {
    /// A new turn begins: nothing is waited for yet.
    pub fn clear(&mut self) {
        self.fds.clear();
    }

    /// Adds a descriptor to wait for; its end and its errors are told without being asked for.
    pub fn add(&mut self, fd: BorrowedFd<'_>, events: PollFlags) {
        self.fds.push(pollfd { fd: fd.as_raw_fd(), events: events.bits(), revents: 0 });
    }

    /// What the last [`Poller::wait`] saw of a descriptor.
    pub fn seen(&self, fd: RawFd) -> PollFlags {
        let seen = self.fds.iter().find(|known| known.fd == fd);
        seen.map_or(PollFlags::empty(), |known| PollFlags::from_bits_truncate(known.revents))
    }

    /// Sleeps until a signal arrives, a descriptor is ready, or the timeout is over (`None`: never). `children`: SIGCHLD is let in as well.
    pub fn wait(&mut self, timeout: Option<Duration>, children: bool) {
        match ppoll(&mut self.fds, timeout, children) {
            Ok(0) => {}
            // A descriptor that is always ready would otherwise keep signals out for ever.
            Ok(_) => drop(ppoll(&mut [], Some(Duration::ZERO), children)),
            Err(error) => {
                self.fds.iter_mut().for_each(|fd| fd.revents = 0);
                if error.raw_os_error() != Some(libc::EINTR) {
                    // Out of kernel memory, perhaps: not a reason to spin.
                    log::debug!("ppoll: {error}");
                    let _ = ppoll(&mut [], Some(Duration::from_millis(10)), children);
                }
            }
        }
    }
}

/// ppoll(2) with every signal let in, but for SIGCHLD where that is to wait; how many descriptors are ready.
fn ppoll(fds: &mut [pollfd], timeout: Option<Duration>, children: bool) -> std::io::Result<usize> {
    // A time beyond the kernel's range is as good as none.
    let timeout = timeout.filter(|timeout| timeout.as_secs() < 1 << 40);
    // The kernel's 64 bits a field, on every architecture that is supported.
    let timeout = timeout.map(|timeout| timespec { tv_sec: timeout.as_secs() as i64, tv_nsec: timeout.subsec_nanos().into() });
    // SAFETY: an all-zero sigset_t is valid for sigemptyset to write to; the kernel reads and writes `fds.len()` pollfds and reads the rest.
    let ready = unsafe {
        let mut kept_out: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut kept_out);
        if !children {
            libc::sigaddset(&raw mut kept_out, libc::SIGCHLD);
        }
        libc::ppoll(fds.as_mut_ptr(), fds.len() as nfds_t, timeout.as_ref().map_or(ptr::null(), ptr::from_ref), &raw const kept_out)
    };
    usize::try_from(ready).map_err(|_| std::io::Error::last_os_error())
}
