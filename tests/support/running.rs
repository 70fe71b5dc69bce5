//! A started init: what it says, signals to it, its end. Every wait has the test's one deadline.

use super::bench::Place;
use super::procfs::{children, runs};
use super::transcript::{Stream, Transcript};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::Child;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Far beyond what any test needs: to pass it is a failure, to be near it never a success. `TEST_DEADLINE`: in seconds, for emulated machines.
fn deadline() -> Duration {
    let given = std::env::var("TEST_DEADLINE").ok().map(|seconds| seconds.parse().expect("TEST_DEADLINE: seconds"));
    Duration::from_secs(given.unwrap_or(30))
}

pub struct Running {
    /// The unshare process: its end tells the init's, and its death is the whole namespace's.
    child: Child,
    person: Option<File>,
    transcript: Arc<Transcript>,
    program: PathBuf,
    place: Place,
    until: Instant,
    init: Option<(i32, OwnedFd)>,
}

/// How it ended, and everything that was said.
#[derive(Debug)]
pub struct End {
    /// The exit code, or None when a signal ended the init itself.
    pub code: Option<i32>,
    pub out: Vec<String>,
    pub log: Vec<String>,
}

impl Running {
    pub fn new(child: Child, person: Option<File>, transcript: Arc<Transcript>, program: PathBuf, place: Place) -> Self {
        let until = Instant::now() + deadline();
        Self { child, person, transcript, program, place, until, init: None }
    }

    /// Waits for a line on standard output that is this, or goes on after it with a space.
    pub fn out(&self, expected: &str) -> String {
        self.line(Stream::Out, expected, |line| says(line, expected))
    }

    /// Waits for a line that begins with one or the other.
    pub fn either(&self, one: &str, other: &str) -> String {
        self.line(Stream::Out, one, |line| line.starts_with(one) || line.starts_with(other))
    }

    /// Waits for a line on standard error with this in it.
    pub fn log(&self, expected: &str) -> String {
        self.line(Stream::Log, expected, |line| line.contains(expected))
    }

    /// Waits for text on the terminal.
    pub fn screen(&self, expected: &str) -> String {
        let found = self.transcript.text(Stream::Screen, self.until, expected);
        found.unwrap_or_else(|reason| panic!("waited for {expected:?} on the screen: {reason}"))
    }

    fn line(&self, stream: Stream, expected: &str, fits: impl Fn(&str) -> bool) -> String {
        let found = self.transcript.line(stream, self.until, fits);
        found.unwrap_or_else(|reason| panic!("waited for {expected:?} on {stream:?}: {reason}"))
    }

    /// How many signals the command has told of up to now.
    pub fn signal_count(&self) -> usize {
        signals(&self.lines(Stream::Out)).len()
    }

    /// Every line of a stream up to now.
    pub fn lines(&self, stream: Stream) -> Vec<String> {
        self.transcript.lines(stream)
    }

    /// Every line of the terminal up to now.
    pub fn screen_lines(&self) -> Vec<String> {
        self.lines(Stream::Screen)
    }

    /// A line for the command's standard input.
    pub fn tell(&mut self, line: &str) {
        self.keys(&format!("{line}\n"));
    }

    /// Keys on the terminal, or bytes for the pipe.
    pub fn keys(&mut self, keys: &str) {
        let written = match (&mut self.person, &mut self.child.stdin) {
            (Some(person), _) => person.write_all(keys.as_bytes()),
            (None, Some(input)) => input.write_all(keys.as_bytes()),
            (None, None) => panic!("standard input is not the test's"),
        };
        written.expect("standard input takes it");
    }

    /// The terminal goes away, as when a connection breaks. Nobody may listen to it: the last close hangs up.
    pub fn hang_up(&mut self) {
        assert_eq!(self.place, Place::TerminalInput);
        self.person = None;
    }

    /// Changes the size of the terminal.
    pub fn resize(&self, rows: u16, columns: u16) {
        let size = libc::winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        let person = self.person.as_ref().expect("a terminal");
        // SAFETY: TIOCSWINSZ reads one winsize.
        let result = unsafe { libc::ioctl(person.as_raw_fd(), libc::TIOCSWINSZ, &raw const size) };
        assert_eq!(result, 0, "TIOCSWINSZ");
    }

    /// The modes of the terminal, as the programs have set them.
    pub fn modes(&self) -> String {
        let person = self.person.as_ref().expect("a terminal");
        format!("{:?}", nix::sys::termios::tcgetattr(person).expect("tcgetattr"))
    }

    /// The init's pid outside its namespace; waits until the init itself runs there.
    pub fn init_pid(&mut self) -> i32 {
        self.locate().0
    }

    /// A signal from outside, as the container engine sends it. By descriptor: a pid could be another's by now.
    pub fn signal(&mut self, signal: i32) {
        let (_, descriptor) = self.locate();
        let null = std::ptr::null::<libc::siginfo_t>();
        // SAFETY: a null siginfo is allowed and means what kill sends.
        let result = unsafe { libc::syscall(libc::SYS_pidfd_send_signal, descriptor.as_raw_fd(), signal, null, 0) };
        assert_eq!(result, 0, "signal {signal} to the init: {}", std::io::Error::last_os_error());
    }

    fn locate(&mut self) -> (i32, &OwnedFd) {
        let top = i32::try_from(self.child.id()).expect("a pid");
        while self.init.is_none() {
            let first = children(top);
            let candidates = if self.place == Place::Hosted { first.into_iter().flat_map(children).collect() } else { first };
            let found = candidates.into_iter().find(|pid| runs(*pid, &self.program));
            self.init = found.and_then(|pid| Some((pid, pidfd(pid)?)));
            // Without a rest: a test may aim at the first microseconds of the init.
            assert!(self.init.is_some() || Instant::now() < self.until, "the init never ran");
        }
        let (pid, descriptor) = self.init.as_ref().expect("just found");
        (*pid, descriptor)
    }

    /// For the few tests in which the program has to wait for minutes of its own: the deadline is that much later.
    pub fn allow(&mut self, more: Duration) {
        self.until += more;
    }

    /// Whether the deadline has passed.
    pub fn late(&self) -> bool {
        self.left().is_zero()
    }

    /// How long it is until then.
    pub fn left(&self) -> Duration {
        self.until.saturating_duration_since(Instant::now())
    }

    /// Its first generation, above its memory limit, is replaced by plan; the second, which obeys, ends when it is told to.
    pub fn restarts_for_memory(mut self) {
        let line = self.log("memory limit");
        assert!(line.contains("generation 1"), "{line}");
        self.out("up 2");
        self.tell("exit 0");
        let end = self.end();
        assert_eq!((end.code, end.signals()), (Some(0), vec!["SIGTERM"]), "{end:?}");
    }

    /// Waits for something that no line tells.
    pub fn until(&self, what: &str, happened: impl Fn() -> bool) {
        while !happened() {
            assert!(!self.late(), "the deadline passed: {what}");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Closes the command's standard input.
    pub fn close_input(&mut self) {
        self.child.stdin = None;
    }

    /// Waits for the end of the init and of everything that it and its command have to say.
    pub fn end(&mut self) -> End {
        let ended = self.transcript.ended(self.until);
        ended.unwrap_or_else(|reason| panic!("waited for the end of the output: {reason}"));
        let descriptor = pidfd(i32::try_from(self.child.id()).expect("a pid")).expect("not collected yet");
        let mut watched = [PollFd::new(descriptor.as_fd(), PollFlags::POLLIN)];
        let ready = poll(&mut watched, PollTimeout::try_from(self.left()).expect("a timeout"));
        assert_eq!(ready, Ok(1), "waited for the init to exit: the deadline passed");
        let status = self.child.wait().expect("its status");
        End { code: status.code(), out: self.lines(Stream::Out), log: self.lines(Stream::Log) }
    }

    /// The exit code, once it has ended.
    pub fn exit_code(&mut self) -> i32 {
        let end = self.end();
        end.code.unwrap_or_else(|| panic!("a signal ended the init itself: {:?}", self.child.wait().map(|s| s.signal())))
    }
}

impl End {
    /// Whether the command said this, as `Running::out` reads it.
    pub fn said(&self, expected: &str) -> bool {
        self.out.iter().any(|line| says(line, expected))
    }

    /// How many generations began.
    pub fn generations(&self) -> usize {
        self.out.iter().filter(|line| line.starts_with("up ")).count()
    }

    /// The signals that came to the command or its descendants, in the order in which they told of them.
    pub fn signals(&self) -> Vec<&str> {
        signals(&self.out)
    }

    /// The init's lines with this in them.
    pub fn logged(&self, expected: &str) -> Vec<&str> {
        self.log.iter().map(String::as_str).filter(|line| line.contains(expected)).collect()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("what was said:\n{}", self.transcript.tell());
        }
    }
}

fn signals(lines: &[String]) -> Vec<&str> {
    lines.iter().filter_map(|line| line.strip_prefix("got ")?.split(' ').next()).collect()
}

fn says(line: &str, expected: &str) -> bool {
    line.strip_prefix(expected).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
}

fn pidfd(pid: i32) -> Option<OwnedFd> {
    // SAFETY: no pointer is passed; the descriptor that comes back is ours (close-on-exec by the kernel's rule).
    unsafe {
        let descriptor = i32::try_from(libc::syscall(libc::SYS_pidfd_open, pid, 0)).ok()?;
        (descriptor >= 0).then(|| OwnedFd::from_raw_fd(descriptor))
    }
}
