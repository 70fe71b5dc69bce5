//! Sleeping until something happens: the only place in which signals are let in.

#![allow(unsafe_code)]

use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;
use std::time::Duration;

use libc::{c_short, nfds_t, pollfd, timespec};

/// What is waited for of a descriptor.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Interest {
    Readable,
    Writable,
    Both,
    /// Only that the other end has gone.
    HangUp,
}

/// What has happened to a descriptor.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Ready {
    /// Also at an end or an error: the next read tells.
    pub readable: bool,
    pub writable: bool,
}

/// The descriptors of one turn. It is made once, and its memory is used again.
#[derive(Debug, Default)]
pub struct Poller {
    fds: Vec<pollfd>,
}

/// Where a descriptor is in a turn's list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Slot(usize);

impl Poller {
    /// A new turn begins: nothing is waited for yet.
    pub fn clear(&mut self) {
        self.fds.clear();
    }

    /// Adds a descriptor to wait for.
    pub fn add(&mut self, fd: BorrowedFd<'_>, interest: Interest) -> Slot {
        let events = match interest {
            Interest::Readable => libc::POLLIN,
            Interest::Writable => libc::POLLOUT,
            Interest::Both => libc::POLLIN | libc::POLLOUT,
            Interest::HangUp => 0,
        };
        self.fds.push(pollfd { fd: fd.as_raw_fd(), events, revents: 0 });
        Slot(self.fds.len() - 1)
    }

    /// What the last [`Poller::wait`] saw of it.
    pub fn ready(&self, slot: Slot) -> Ready {
        let seen = |events: c_short| self.fds.get(slot.0).is_some_and(|fd| fd.revents & events != 0);
        let gone = libc::POLLHUP | libc::POLLERR | libc::POLLNVAL;
        Ready { readable: seen(libc::POLLIN | gone), writable: seen(libc::POLLOUT | gone) }
    }

    /// Sleeps until a signal arrives, a descriptor is ready, or the timeout is over (`None`: never).
    pub fn wait(&mut self, timeout: Option<Duration>) {
        match ppoll(&mut self.fds, timeout) {
            Ok(0) => {}
            // A descriptor that is always ready would otherwise keep signals out for ever.
            Ok(_) => drop(ppoll(&mut [], Some(Duration::ZERO))),
            Err(error) => {
                self.fds.iter_mut().for_each(|fd| fd.revents = 0);
                if error.raw_os_error() != Some(libc::EINTR) {
                    // Out of kernel memory, perhaps: not a reason to spin.
                    log::debug!("ppoll: {error}");
                    let _ = ppoll(&mut [], Some(Duration::from_millis(10)));
                }
            }
        }
    }
}

/// ppoll(2) with every signal let in; how many descriptors are ready.
fn ppoll(fds: &mut [pollfd], timeout: Option<Duration>) -> std::io::Result<usize> {
    // A time beyond the kernel's range is as good as none.
    let timeout = timeout.filter(|timeout| timeout.as_secs() < 1 << 40);
    // The kernel's 64 bits a field, on every architecture that is supported.
    let timeout = timeout.map(|timeout| timespec { tv_sec: timeout.as_secs() as i64, tv_nsec: timeout.subsec_nanos().into() });
    // SAFETY: an all-zero sigset_t is valid for sigemptyset to write to; the kernel reads and writes `fds.len()` pollfds and reads the rest.
    let ready = unsafe {
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::ppoll(fds.as_mut_ptr(), fds.len() as nfds_t, timeout.as_ref().map_or(ptr::null(), ptr::from_ref), &raw const none)
    };
    usize::try_from(ready).map_err(|_| std::io::Error::last_os_error())
}
