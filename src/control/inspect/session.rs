//! One connection to a Node's inspector: calls and their replies, each with a deadline, and what is passed on to standard output meanwhile. Whatever
//! the other end does, and whoever reads the output or does not, it ends in time and hangs up.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::inspector::discovery::{self, Answer};
use crate::inspector::message::{Output, Reader, Reply};
use crate::inspector::stack::Stack;
use crate::inspector::{request, websocket};
use crate::sys::{signals, sockets};

/// As much as is read at once.
const AT_ONCE: usize = 64 * 1024;
/// A pipe that poll says has room takes so much without waiting.
const PIPEFUL: usize = 4096;
/// How late a signal may be noticed.
const BETWEEN_LOOKS: Duration = Duration::from_millis(50);

/// Why there is no answer, for a person.
pub(super) type Why = &'static str;

pub(super) const INTERRUPTED: Why = "interrupted";
pub(super) const LATE: Why = "no answer in time";
pub(super) const BROKEN: Why = "what listens there does not answer as Node's inspector would";
const REFUSED: Why = "Node refused to";
const UNWRITTEN: Why = "standard output takes nothing more";

/// Waits for a descriptor, or for none; false: the time is over. A signal that is to end this process ends the wait, where it `minds`: not between
/// the opening of an inspector and the timer that will close it.
pub(super) fn wait(what: Option<(BorrowedFd<'_>, PollFlags)>, until: Instant, minds: bool) -> Result<bool, Why> {
    loop {
        if minds && signals::is_to_end() {
            return Err(INTERRUPTED);
        }
        let left = until.saturating_duration_since(Instant::now()).min(BETWEEN_LOOKS);
        // Rounded up: what is left of a millisecond is no reason to spin.
        let timeout = PollTimeout::try_from(left + Duration::from_micros(999)).unwrap_or(PollTimeout::ZERO);
        let ready = match what {
            Some((fd, flags)) => poll(&mut [PollFd::new(fd, flags)], timeout),
            None => poll(&mut [], timeout),
        };
        if matches!(ready, Ok(1..)) || left.is_zero() {
            return Ok(left > Duration::ZERO || matches!(ready, Ok(1..)));
        }
    }
}

/// See the module.
pub(super) struct Session {
    socket: OwnedFd,
    reader: Reader,
    /// When nobody waits any longer.
    until: Instant,
    /// Whatever comes gives it so much time again, up to a moment.
    patience: Option<(Duration, Instant)>,
    /// A signal may end this.
    minds: bool,
    safety: Option<Safety>,
}

/// The timer in the app that closes the inspector.
struct Safety {
    /// The inspector's name for the function that [`request::safety`] gives back.
    object: String,
    every: Duration,
    due: Instant,
}

impl Session {
    /// Finds the WebSocket behind a port, and connects to it.
    pub(super) fn open(address: SocketAddr, output: Output, until: Instant) -> Result<Session, Why> {
        let mut session = Session::ask_http(address, &discovery::request(address.port()), output, until)?;
        let mut answer = Vec::new();
        let path = loop {
            match discovery::read(&answer) {
                Answer::Found(path) => break path,
                Answer::Wrong => return Err(BROKEN),
                Answer::Partial => session.receive(&mut answer)?,
            }
        };
        session = Session::ask_http(address, &websocket::upgrade(&path, address.port()), output, until)?;
        answer.clear();
        let end = loop {
            match discovery::head_end(&answer) {
                Some(end) if discovery::status(&answer) == Some(101) => break end,
                None if answer.len() <= discovery::LONGEST => session.receive(&mut answer)?,
                _ => return Err(BROKEN),
            }
        };
        session.hear(answer.get(end..).unwrap_or_default())?;
        Ok(session)
    }

    fn ask_http(address: SocketAddr, question: &str, output: Output, until: Instant) -> Result<Session, Why> {
        let left = until.saturating_duration_since(Instant::now());
        let socket = sockets::connect_loopback(address, left).map_err(|_| BROKEN)?;
        let reader = Reader::new(output);
        let session = Session { socket, reader, until, patience: None, minds: false, safety: None };
        session.send(question.as_bytes())?;
        Ok(session)
    }

    /// The first thing that is evaluated: a timer in the app closes the inspector, also if this process should be killed. There is none where it was
    /// open before.
    pub(super) fn make_safe(&mut self, limit: Duration, was_open: bool) -> Result<(), Why> {
        let object = self.call("Runtime.evaluate", &request::safety(limit, was_open))?.object;
        if object.is_none() && !was_open {
            return Err(BROKEN);
        }
        self.minds = true;
        let every = limit / 3;
        self.safety = object.map(|object| Safety { object, every, due: Instant::now() + every });
        Ok(())
    }

    /// When nobody waits any longer.
    pub(super) fn wait_until(&mut self, until: Instant) {
        self.until = until;
    }

    /// Has the inspector close soon, where it was opened for us, and hangs up.
    pub(super) fn close(mut self) {
        signals::forget_end();
        if let Some(safety) = self.safety.take() {
            let _ = self.call("Runtime.callFunctionOn", &request::call_safety(&safety.object, false));
        }
    }

    /// From now on whatever comes, and whatever is passed on, gives it so much time again; but no more than that in all.
    pub(super) fn wait_longer(&mut self, patience: Duration, longest: Duration) {
        self.patience = Some((patience, Instant::now() + longest));
        self.lives();
    }

    fn lives(&mut self) {
        if let Some((patience, last)) = self.patience {
            self.until = last.min(Instant::now() + patience);
        }
    }

    /// Asks for something, and waits for the reply.
    pub(super) fn call(&mut self, method: &str, parameters: &str) -> Result<Reply, Why> {
        self.ask(method, parameters)?;
        loop {
            match self.reader.reply.take() {
                Some(Reply { is_error: true, .. }) => return Err(REFUSED),
                Some(reply) => return Ok(reply),
                None if Instant::now() >= self.until => return Err(LATE),
                None => self.turn(self.until)?,
            }
        }
    }

    /// Asks for something without waiting.
    pub(super) fn ask(&mut self, method: &str, parameters: &str) -> Result<(), Why> {
        self.reader.awaited += 1;
        self.send(&websocket::message(&request::call(self.reader.awaited, method, parameters)))
    }

    /// Waits for the app to stand still, for so long.
    pub(super) fn paused(&mut self, within: Duration) -> Result<Option<Stack>, Why> {
        let until = self.until.min(Instant::now() + within);
        while self.reader.paused.is_none() && Instant::now() < until {
            self.turn(until)?;
        }
        Ok(self.reader.paused.take())
    }

    /// Lets time pass, while the other end may send what it likes.
    pub(super) fn pass(&mut self, until: Instant) -> Result<(), Why> {
        self.until = self.until.max(until);
        while Instant::now() < until {
            self.turn(until)?;
        }
        Ok(())
    }

    /// Waits for something to come, until a moment at most, and reads it.
    fn turn(&mut self, until: Instant) -> Result<(), Why> {
        if self.wait((self.socket.as_fd(), PollFlags::POLLIN), until)? {
            let mut bytes = Vec::new();
            self.receive(&mut bytes)?;
            self.hear(&bytes)?;
        }
        self.renew()
    }

    /// Waits, but no longer than until the app has to be told that somebody is still there.
    fn wait(&self, what: (BorrowedFd<'_>, PollFlags), until: Instant) -> Result<bool, Why> {
        wait(Some(what), self.safety.as_ref().map_or(until, |safety| safety.due.min(until)), self.minds)
    }

    /// The app is told that somebody is still there.
    fn renew(&mut self) -> Result<(), Why> {
        let Some(safety) = self.safety.as_mut().filter(|safety| Instant::now() >= safety.due) else { return Ok(()) };
        safety.due = Instant::now() + safety.every;
        // A number that no call waits for.
        let call = request::call(0, "Runtime.callFunctionOn", &request::call_safety(&safety.object, true));
        self.send(&websocket::message(&call))
    }

    /// Reads what came, passes on what is to be passed on.
    fn hear(&mut self, bytes: &[u8]) -> Result<(), Why> {
        if let Some(payload) = self.reader.feed(bytes).map_err(|_| BROKEN)? {
            self.send(&websocket::pong(&payload))?;
        }
        self.lives();
        let pieces = self.reader.take_pieces();
        self.pass_on(&pieces)
    }

    /// Writes to standard output without ever waiting for it in write(2): the app's timer has to be told in time.
    fn pass_on(&mut self, mut bytes: &[u8]) -> Result<(), Why> {
        let stdout = io::stdout();
        while !bytes.is_empty() {
            if self.wait((stdout.as_fd(), PollFlags::POLLOUT), self.until)? {
                match nix::unistd::write(&stdout, bytes.get(..PIPEFUL.min(bytes.len())).unwrap_or_default()) {
                    Ok(length) => bytes = bytes.get(length..).unwrap_or_default(),
                    Err(Errno::EAGAIN | Errno::EINTR) => {}
                    Err(_) => return Err(UNWRITTEN),
                }
                self.lives();
            } else if Instant::now() >= self.until {
                return Err(UNWRITTEN);
            }
            self.renew()?;
        }
        Ok(())
    }

    /// What goes out is little: a socket that has no room for it is one that nobody reads.
    fn send(&self, bytes: &[u8]) -> Result<(), Why> {
        let sent = sockets::transmit(self.socket.as_fd(), bytes);
        if matches!(sent, Ok(length) if length == bytes.len()) { Ok(()) } else { Err(BROKEN) }
    }

    /// Adds what is there to what has come, waiting for it; the end of the connection is an error.
    fn receive(&self, bytes: &mut Vec<u8>) -> Result<(), Why> {
        let known = bytes.len();
        loop {
            if !wait(Some((self.socket.as_fd(), PollFlags::POLLIN)), self.until, self.minds)? {
                return Err(LATE);
            }
            bytes.resize(known + AT_ONCE, 0);
            let received = sockets::receive(self.socket.as_fd(), bytes.get_mut(known..).unwrap_or_default());
            bytes.truncate(known + received.as_ref().map_or(0, |length| *length));
            match received {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Ok(1..) => return Ok(()),
                _ => return Err(BROKEN),
            }
        }
    }
}
