//! Sleeping until something happens.

#![expect(unsafe_code, reason = "ppoll(2) itself: nix has it for sets of borrowed descriptors only")]

use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::ptr;
use std::time::Duration;

use libc::{nfds_t, pollfd, timespec};
use nix::poll::PollFlags;

/// How long it sleeps where the kernel does not let it wait.
const PAUSE: Duration = Duration::from_millis(10);

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

    /// Sleeps until a descriptor is ready or the timeout is over (`None`: never).
    pub fn wait(&mut self, timeout: Option<Duration>) {
        let Err(error) = ppoll(&mut self.fds, timeout) else { return };
        if error.kind() == std::io::ErrorKind::Interrupted {
            return self.fds.iter_mut().for_each(|fd| fd.revents = 0);
        }
        // Short of memory, or forbidden. Whoever asks about a descriptor tries it then: none of those calls waits.
        log::debug!("ppoll: {error}");
        std::thread::sleep(PAUSE.min(timeout.unwrap_or(PAUSE)));
        self.fds.iter_mut().for_each(|fd| fd.revents = fd.events);
    }
}

fn ppoll(fds: &mut [pollfd], timeout: Option<Duration>) -> std::io::Result<usize> {
    // A time beyond the kernel's range is as good as none.
    let timeout = timeout.filter(|timeout| timeout.as_secs() < 1 << 40);
    // The kernel's 64 bits a field, on every architecture that is supported.
    let timeout = timeout.map(|timeout| timespec { tv_sec: timeout.as_secs().cast_signed(), tv_nsec: timeout.subsec_nanos().into() });
    // SAFETY: the kernel reads and writes `fds.len()` pollfds and reads a timespec or nothing; without a set, the mask stays as it is.
    let ready =
        unsafe { libc::ppoll(fds.as_mut_ptr(), fds.len() as nfds_t, timeout.as_ref().map_or(ptr::null(), ptr::from_ref), ptr::null()) };
    usize::try_from(ready).map_err(|_| std::io::Error::last_os_error())
}
