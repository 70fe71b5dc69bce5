//! restartinit's own lines, on the stderr that it shares with the command. Nobody may be reading there, and making it non-blocking
//! would make the command's non-blocking too: so no write here waits, and none touches the descriptor's flags. What cannot go out at once
//! is queued, up to a bound.

#![allow(unsafe_code)]

use std::fs::OpenOptions;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use libc::{c_int, c_void};

/// The longest line, in bytes: what a pipe takes in one piece.
const LONGEST: usize = 4096;
/// The most that is queued, in bytes: as much as a pipe holds.
const QUEUE: usize = 64 * 1024;
/// The shortest and the longest pause where the descriptor is writable and takes nothing all the same: another process writes to the
/// terminal at this moment, or the kernel is short of memory.
const PAUSE: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(16));

static STATE: Mutex<State> = Mutex::new(State { way: None, queue: Vec::new(), gone_out: 0, pause: None, dropped: 0 });

struct State {
    way: Option<Way>,
    /// Whole lines, but for the first, of which the beginning may be out already.
    queue: Vec<u8>,
    /// Bytes at the beginning of the queue that are out.
    gone_out: usize,
    /// How long it is of no use to try.
    pause: Option<Duration>,
    dropped: usize,
}

/// How a line gets out without waiting.
enum Way {
    /// A pipe or a terminal, opened anew, so that the flags are ours alone.
    Reopened(OwnedFd),
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

fn state() -> MutexGuard<'static, State> {
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Finds out what stderr is; before the first line, and before descriptors can run short.
pub fn prepare() {
    state().way();
}

/// Writes one line, queues it, or drops and counts it; never waits.
pub fn write_line(line: &[u8]) {
    let mut state = state();
    let line = line.get(..LONGEST).unwrap_or(line);
    state.flush();
    let written = if state.is_empty() { state.try_write(line) } else { Some(0) };
    match written.and_then(|written| line.get(written..)) {
        None => state.dropped += 1,
        Some([]) => {}
        Some(rest) if state.queue.len() + rest.len() <= QUEUE => state.queue.extend_from_slice(rest),
        Some(_) => state.dropped += 1,
    }
}

/// Moves queued lines on to stderr, as many as it takes now.
pub fn flush() {
    state().flush();
}

/// The descriptor to wait for, while lines are queued.
pub fn waits_for() -> Option<BorrowedFd<'static>> {
    let state = state();
    // SAFETY: descriptor 2 is never closed by restartinit; should it be closed from the start, poll says so and nothing is done to it.
    (!state.is_empty() && state.pause.is_none()).then(|| unsafe { BorrowedFd::borrow_raw(libc::STDERR_FILENO) })
}

/// How long from the last attempt on to wait for the next, where there is no descriptor to wait for.
pub fn pause() -> Option<Duration> {
    state().pause
}

/// Lines that were lost so far.
pub fn dropped() -> usize {
    state().dropped
}

/// Before the end: waits for a reader that is merely slow, up to `limit`, since the last line is the one that says why.
pub fn flush_within(limit: Duration) {
    let until = Instant::now() + limit;
    let mut state = state();
    state.flush();
    while !state.is_empty() && Instant::now() < until {
        match state.pause {
            Some(pause) => sleep(pause),
            None => drop(has_room(10)),
        }
        state.flush();
    }
}

impl State {
    fn is_empty(&self) -> bool {
        self.queue.len() <= self.gone_out
    }

    fn way(&mut self) -> &mut Way {
        self.way.get_or_insert_with(Way::of_stderr)
    }

    fn flush(&mut self) {
        while !self.is_empty() {
            let left = self.queue.get(self.gone_out..).unwrap_or_default();
            // A line at a time: what fits a pipe in one piece is never torn.
            let length = left.iter().position(|byte| *byte == b'\n').map_or(left.len(), |end| end + 1);
            // Taken out for the call, which needs the rest of the state.
            let queue = std::mem::take(&mut self.queue);
            let line = queue.get(self.gone_out..self.gone_out + length).unwrap_or_default();
            let written = self.try_write(line);
            self.queue = queue;
            match written {
                Some(0) => return,
                Some(written) => self.gone_out += written,
                None => {
                    self.dropped += 1;
                    self.gone_out += length;
                }
            }
        }
        if !self.queue.is_empty() {
            // Gives the memory back.
            (self.queue, self.gone_out) = (Vec::new(), 0);
        }
        self.pause = None;
    }

    /// How many bytes of a line went out; `None`: it cannot be written.
    fn try_write(&mut self, line: &[u8]) -> Option<usize> {
        loop {
            let error = match self.way().write(line) {
                Ok(written) => {
                    self.pause = None;
                    return Some(written);
                }
                Err(error) => error,
            };
            if is_passing(&error) {
                // Ready, and yet it takes nothing: asking poll(2) again at once would only spin.
                let longer = self.pause.map_or(PAUSE.0, |pause| (pause * 2).min(PAUSE.1));
                self.pause = has_room(0).then_some(longer);
                return Some(0);
            }
            match error.raw_os_error() {
                // The call is denied or unknown here.
                Some(libc::EPERM | libc::EACCES | libc::ENOSYS | libc::EINVAL | libc::EOPNOTSUPP) => {
                    self.way = Some(match self.way() {
                        Way::Splice { .. } => Way::Nowait,
                        Way::Nowait | Way::Reopened(_) | Way::Socket => Way::Polled,
                        Way::Polled | Way::File => return None,
                    });
                }
                // Nobody will ever read it.
                _ => return None,
            }
        }
    }
}

impl Way {
    fn of_stderr() -> Way {
        // SAFETY: an all-zero stat is valid for the kernel to write to.
        let mode = unsafe {
            let mut stat: libc::stat = std::mem::zeroed();
            if libc::fstat(libc::STDERR_FILENO, &raw mut stat) == 0 { stat.st_mode & libc::S_IFMT } else { 0 }
        };
        match mode {
            libc::S_IFIFO => Way::reopened().or_else(Way::splice).unwrap_or(Way::Nowait),
            libc::S_IFCHR => Way::reopened().unwrap_or(Way::Polled),
            libc::S_IFSOCK => Way::Socket,
            _ => Way::File,
        }
    }

    fn reopened() -> Option<Way> {
        let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
        let opened = OpenOptions::new().write(true).custom_flags(flags).open("/proc/self/fd/2");
        opened.ok().map(|file| Way::Reopened(file.into()))
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
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        match self {
            Way::Reopened(fd) => write(fd.as_raw_fd(), line),
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
                count(unsafe { libc::syscall(libc::SYS_pwritev2, libc::STDERR_FILENO, &raw const part, 1, -1, -1, libc::RWF_NOWAIT) }
                    as isize)
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

fn write(fd: c_int, line: &[u8]) -> io::Result<usize> {
    // SAFETY: the kernel reads `line.len()` bytes at a valid address.
    count(unsafe { libc::write(fd, line.as_ptr().cast(), line.len()) })
}

fn splice(from: &OwnedFd, bytes: usize) -> io::Result<usize> {
    let none = std::ptr::null_mut();
    // SAFETY: no address is passed but null.
    count(unsafe { libc::splice(from.as_raw_fd(), none, libc::STDERR_FILENO, none, bytes, libc::SPLICE_F_NONBLOCK) })
}

/// Whether the same call may succeed later.
fn is_passing(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::EINTR | libc::ENOMEM | libc::ENOBUFS))
}

fn count(result: isize) -> io::Result<usize> {
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
}

/// Whether stderr has room within so many milliseconds; 0 does not wait.
fn has_room(milliseconds: c_int) -> bool {
    let mut poll = libc::pollfd { fd: libc::STDERR_FILENO, events: libc::POLLOUT, revents: 0 };
    // SAFETY: the kernel reads and writes one pollfd.
    unsafe { libc::poll(&raw mut poll, 1, milliseconds) == 1 }
}

/// The writer that env_logger is given: each write is one line.
#[derive(Debug)]
pub struct Stderr;

impl io::Write for Stderr {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        write_line(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
