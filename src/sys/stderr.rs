//! restartinit's own lines, on the stderr that it shares with the command. Nobody may be reading there, and making it non-blocking
//! would make the command's non-blocking too: so no write here waits, and none touches the descriptor's flags. What cannot go out at once
//! is queued, up to a bound.

#![expect(unsafe_code, reason = "descriptors by their numbers")]

mod way;

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use way::{Way, has_room, is_passing, write};

/// The longest line, in bytes: what a pipe takes in one piece.
const LONGEST: usize = 4096;
/// The most that is queued, in bytes: as much as a pipe holds.
const QUEUE: usize = 64 * 1024;
/// The shortest and the longest pause where the descriptor is writable and takes nothing all the same: another process writes to the
/// terminal at this moment, or the kernel is short of memory.
const PAUSE: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(16));

/// A terminal that has taken part of a line so often gets the rest of it.
const MOST_TORN: u32 = 8;

static STATE: Mutex<State> = Mutex::new(State { way: None, queue: Vec::new(), gone_out: 0, pause: None, torn: 0, dropped: 0 });

struct State {
    way: Option<Way>,
    /// Whole lines, but for the first, of which the beginning may be out already.
    queue: Vec<u8>,
    /// Bytes at the beginning of the queue that are out.
    gone_out: usize,
    /// How long it is of no use to try.
    pause: Option<Duration>,
    /// How often a terminal has taken only the beginning of the first line.
    torn: u32,
    dropped: usize,
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

    /// Writes what goes out now; of a terminal's line all or, as it were, nothing.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let torn = self.torn;
        let Way::Terminal(fd) = self.way() else { return self.way().write(line) };
        // What is on the terminal's line is not ours alone.
        let start: &[u8] = if torn > 0 { b"\n" } else { b"" };
        let written = match start {
            [] => write(fd.as_raw_fd(), line)?,
            _ => write(fd.as_raw_fd(), &[start, line].concat())?.saturating_sub(start.len()),
        };
        let is_whole = written >= line.len() || torn >= MOST_TORN;
        self.torn = if is_whole { 0 } else { torn + 1 };
        Ok(if is_whole { written } else { 0 })
    }

    /// How many bytes of a line went out; `None`: it cannot be written.
    fn try_write(&mut self, line: &[u8]) -> Option<usize> {
        loop {
            let error = match self.write(line) {
                Ok(written) => {
                    self.pause = (written == 0).then_some(PAUSE.0);
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
                        Way::Nowait | Way::Reopened(_) | Way::Terminal(_) | Way::Socket => Way::Polled,
                        Way::Polled | Way::File => return None,
                    });
                }
                // Nobody will ever read it.
                _ => return None,
            }
        }
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
