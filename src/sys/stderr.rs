//! restartinit's own lines, on the stderr that it shares with the command. Nobody may be reading there, and making it non-blocking
//! would make the command's non-blocking too: so no write here waits, and none touches the descriptor's flags.

#![allow(unsafe_code)]

use std::fs::OpenOptions;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// The longest line: what a pipe takes in one piece.
const LONGEST: usize = 4096;

static SINK: OnceLock<Sink> = OnceLock::new();
/// Bytes that wait in the private pipe.
static QUEUED: AtomicUsize = AtomicUsize::new(0);
static DROPPED: AtomicUsize = AtomicUsize::new(0);

/// How a line gets out without waiting, by what stderr is.
#[derive(Debug)]
enum Sink {
    /// A pipe: lines go through a pipe of our own, which queues them, and from there by splice(2), which can be told not to wait.
    Pipe { read: OwnedFd, write: OwnedFd },
    /// A socket: send(2) can be told not to wait.
    Socket,
    /// A terminal, opened anew so that the flags are ours alone.
    Reopened(OwnedFd),
    /// A file, which takes what it is given; or what could not be opened anew.
    Plain,
}

/// Finds out what stderr is; before the first line, and before descriptors can run short.
pub fn prepare() {
    SINK.get_or_init(Sink::of_stderr);
}

impl Sink {
    fn of_stderr() -> Sink {
        // SAFETY: an all-zero stat is valid for the kernel to write to.
        let mode = unsafe {
            let mut stat: libc::stat = std::mem::zeroed();
            if libc::fstat(libc::STDERR_FILENO, &raw mut stat) == 0 { stat.st_mode & libc::S_IFMT } else { 0 }
        };
        match mode {
            libc::S_IFIFO => Sink::private_pipe().unwrap_or(Sink::Plain),
            libc::S_IFSOCK => Sink::Socket,
            libc::S_IFCHR => {
                let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
                let opened = OpenOptions::new().write(true).custom_flags(flags).open("/proc/self/fd/2");
                opened.map_or(Sink::Plain, |file| Sink::Reopened(file.into()))
            }
            _ => Sink::Plain,
        }
    }

    fn private_pipe() -> Option<Sink> {
        let mut ends = [-1; 2];
        // SAFETY: the kernel writes two descriptors, which are ours alone from then on.
        unsafe {
            if libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC | libc::O_NONBLOCK) != 0 {
                return None;
            }
            let [read, write] = ends;
            Some(Sink::Pipe { read: OwnedFd::from_raw_fd(read), write: OwnedFd::from_raw_fd(write) })
        }
    }
}

/// Writes one line, queues it, or drops and counts it; never waits.
pub fn write_line(line: &[u8]) {
    let line = line.get(..LONGEST).unwrap_or(line);
    let sink = SINK.get_or_init(Sink::of_stderr);
    let written = match sink {
        Sink::Pipe { write, .. } => {
            let queued = write_to(write.as_raw_fd(), line);
            QUEUED.fetch_add(usize::try_from(queued).unwrap_or(0), Relaxed);
            flush();
            queued
        }
        // SAFETY: the kernel reads `line.len()` bytes at a valid address.
        Sink::Socket => unsafe {
            libc::send(libc::STDERR_FILENO, line.as_ptr().cast(), line.len(), libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL)
        },
        Sink::Reopened(fd) => write_to(fd.as_raw_fd(), line),
        Sink::Plain if has_room(0) => write_to(libc::STDERR_FILENO, line),
        Sink::Plain => -1,
    };
    if written < 0 {
        DROPPED.fetch_add(1, Relaxed);
    }
}

fn write_to(fd: i32, line: &[u8]) -> isize {
    // SAFETY: the kernel reads `line.len()` bytes at a valid address.
    unsafe { libc::write(fd, line.as_ptr().cast(), line.len()) }
}

/// Whether stderr has room within so many milliseconds; 0 does not wait. With a pipe or terminal that could not be opened anew, all
/// that can be known.
fn has_room(milliseconds: i32) -> bool {
    let mut poll = libc::pollfd { fd: libc::STDERR_FILENO, events: libc::POLLOUT, revents: 0 };
    // SAFETY: the kernel reads and writes one pollfd.
    unsafe { libc::poll(&raw mut poll, 1, milliseconds) == 1 }
}

/// Moves queued lines on to stderr, as many as it takes now.
pub fn flush() {
    let Some(Sink::Pipe { read, .. }) = SINK.get() else { return };
    while QUEUED.load(Relaxed) > 0 {
        let (fd, none) = (read.as_raw_fd(), std::ptr::null_mut());
        // SAFETY: no address is passed but null. A page holds whole lines only, so that a line is never torn.
        let moved = unsafe { libc::splice(fd, none, libc::STDERR_FILENO, none, QUEUED.load(Relaxed), libc::SPLICE_F_NONBLOCK) };
        match usize::try_from(moved) {
            Ok(0) => return QUEUED.store(0, Relaxed),
            Ok(moved) => QUEUED.store(QUEUED.load(Relaxed).saturating_sub(moved), Relaxed),
            Err(_) if io::Error::last_os_error().kind() == io::ErrorKind::WouldBlock => return,
            Err(_) => return discard(read),
        }
    }
}

/// Nobody will ever read stderr again, or it takes no splice: what is queued goes.
fn discard(read: &OwnedFd) {
    let mut scratch = [0u8; LONGEST];
    // SAFETY: the kernel writes at most LONGEST bytes to a buffer of that size; the pipe is non-blocking and holds 64 KiB.
    while unsafe { libc::read(read.as_raw_fd(), scratch.as_mut_ptr().cast(), LONGEST) } > 0 {}
    QUEUED.store(0, Relaxed);
    DROPPED.fetch_add(1, Relaxed);
}

/// The descriptor to wait for, while lines are queued.
pub fn waits_for() -> Option<BorrowedFd<'static>> {
    // SAFETY: descriptor 2 is never closed by restartinit; should it be closed from the start, poll says so and nothing is done to it.
    (QUEUED.load(Relaxed) > 0).then(|| unsafe { BorrowedFd::borrow_raw(libc::STDERR_FILENO) })
}

/// Lines that were lost so far.
pub fn dropped() -> usize {
    DROPPED.load(Relaxed)
}

/// Before the end: waits for a reader that is merely slow, up to `limit`, since the last line is the one that says why.
pub fn flush_within(limit: Duration) {
    let until = Instant::now() + limit;
    flush();
    while QUEUED.load(Relaxed) > 0 && Instant::now() < until {
        has_room(10);
        flush();
    }
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
