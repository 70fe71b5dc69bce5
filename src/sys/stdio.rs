//! Descriptors 0 to 2, which restartinit shares with the command, as whoever started it left them.

#![expect(unsafe_code, reason = "descriptors by their numbers")]

use std::io;
use std::os::fd::BorrowedFd;

use libc::c_int;

/// Gives the closed ones of descriptors 0 to 2 to /dev/null, so that nothing else comes to have such a number; Rust's own start would end
/// the process where that cannot be opened. Without it, a read finds the end and a write is an error, as with a closed descriptor.
///
/// # Errors
/// No descriptor is left.
pub fn fill_closed() -> io::Result<()> {
    for fd in 0..=2 {
        // SAFETY: plain system calls on integers and constant strings; a descriptor that is opened here stays open for ever.
        let filled = unsafe {
            if libc::fcntl(fd, libc::F_GETFD) >= 0 {
                continue;
            }
            match libc::open(c"/dev/null".as_ptr(), libc::O_RDWR) {
                // The lowest number that is free is this one.
                ..0 if fd == 0 => empty_pipe(),
                ..0 => libc::open(c"/".as_ptr(), libc::O_PATH),
                opened => opened,
            }
        };
        if filled < 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

/// Descriptors 0 to 2. `std::io` has them with a buffer, which an init that reads no input pays for at its start.
pub fn descriptors() -> [BorrowedFd<'static>; 3] {
    // SAFETY: they are open since `fill_closed`, and nothing in this program closes them.
    [0, 1, 2].map(|fd| unsafe { BorrowedFd::borrow_raw(fd) })
}

/// The reading end of a pipe that nobody writes to.
fn empty_pipe() -> c_int {
    let mut ends = [-1; 2];
    // SAFETY: the kernel writes two descriptors, of which the second is closed again and used by nobody.
    unsafe {
        if libc::pipe(ends.as_mut_ptr()) != 0 {
            return -1;
        }
        libc::close(ends[1]);
    }
    ends[0]
}

/// The status flags of descriptors 0 to 2. They belong to what is open there, and so are shared with every command: one that is killed
/// leaves O_NONBLOCK behind, which the next one does not expect.
#[derive(Clone, Copy, Debug)]
pub struct StatusFlags([c_int; 3]);

impl StatusFlags {
    pub fn now() -> StatusFlags {
        // SAFETY: a plain system call on integers; a descriptor that is not open is an error without effect.
        StatusFlags([0, 1, 2].map(|fd| unsafe { libc::fcntl(fd, libc::F_GETFL) }))
    }

    /// Makes O_NONBLOCK what it was. Async-signal-safe: it runs between vfork and exec.
    pub fn restore(&self) {
        for (fd, flags) in (0..).zip(self.0) {
            // SAFETY: as above.
            unsafe {
                let now = libc::fcntl(fd, libc::F_GETFL);
                if flags >= 0 && now >= 0 && (now ^ flags) & libc::O_NONBLOCK != 0 {
                    libc::fcntl(fd, libc::F_SETFL, now & !libc::O_NONBLOCK | flags & libc::O_NONBLOCK);
                }
            }
        }
    }
}
