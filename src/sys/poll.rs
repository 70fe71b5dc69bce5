//! Sleeping until something happens: the only place in which signals are let in.

use std::os::fd::BorrowedFd;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::signal::SigSet;
use nix::sys::time::TimeSpec;

/// Sleeps until a signal arrives, `writable` takes bytes again, or the timeout is over (`None`: never). Tells whether `writable` does.
pub fn wait(writable: Option<BorrowedFd<'_>>, timeout: Option<Duration>) -> bool {
    let mut fds = writable.map(|fd| [PollFd::new(fd, PollFlags::POLLOUT)]);
    let fds: &mut [PollFd<'_>] = fds.as_mut().map_or(&mut [], |fds| fds);
    // A time beyond the kernel's range is as good as none.
    let timeout = timeout.filter(|timeout| timeout.as_secs() < 1 << 40).map(TimeSpec::from_duration);
    match ppoll(fds, timeout, Some(SigSet::empty())) {
        Ok(0) | Err(Errno::EINTR) => false,
        Ok(_) => {
            // A descriptor that is always ready would otherwise keep signals out for ever.
            let _ = ppoll(&mut [], Some(TimeSpec::from_duration(Duration::ZERO)), Some(SigSet::empty()));
            true
        }
        Err(error) => {
            // Out of kernel memory, perhaps: not a reason to spin.
            log::debug!("ppoll: {error}");
            let _ = ppoll(&mut [], Some(TimeSpec::from_duration(Duration::from_millis(10))), Some(SigSet::empty()));
            false
        }
    }
}
