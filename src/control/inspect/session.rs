//! One connection to a Node's inspector: calls and their replies, each with a deadline, and what is passed on to standard output meanwhile. Whatever
//! the other end does, and whoever reads the output or does not, it ends in time and hangs up.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::inspector::discovery::{self, Answer};
use crate::inspector::message::{Message, Output, Reader, Reply, Stack};
use crate::inspector::{request, websocket};
use crate::sys::signals::SignalReader;
use crate::sys::sockets;

/// As much as is read at once.
const AT_ONCE: usize = 64 * 1024;
/// A pipe that poll says has room takes so much without waiting.
const PIPEFUL: usize = 4096;

const ENDING: [i32; 4] = [libc::SIGINT, libc::SIGTERM, libc::SIGQUIT, libc::SIGHUP];

/// Why there is no reply.
#[derive(Debug)]
pub(super) enum Failure {
    /// The time is over.
    Late,
    /// Somebody wants it to end.
    Interrupted,
    /// The connection broke, or what came is no inspector's.
    Broken,
    /// Node refused.
    Refused(String),
    /// Standard output takes nothing.
    Output(io::Error),
}

/// Signals that end a verb, so that it can leave the app as it was. All others are blocked: one that was stopped would hold the inspector open.
pub(super) struct Interrupts(SignalReader);

impl Interrupts {
    pub(super) fn open() -> io::Result<Interrupts> {
        SignalReader::open().map(Interrupts)
    }

    fn came(&self, is_ready: bool) -> bool {
        let mut arrivals = Vec::new();
        self.0.take(|_| is_ready, &mut arrivals);
        arrivals.iter().any(|arrival| ENDING.contains(&arrival.signal.number()))
    }

    /// Waits for a descriptor, or for none; false: the time is over.
    pub(super) fn wait(&self, what: Option<(BorrowedFd<'_>, PollFlags)>, until: Instant) -> Result<bool, Failure> {
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let mut fds: Vec<PollFd<'_>> = self.0.interests(false).map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
            let signals = fds.len();
            fds.extend(what.map(|(fd, flags)| PollFd::new(fd, flags)));
            let timeout = if left.is_zero() { Duration::ZERO } else { left + Duration::from_millis(1) };
            match poll(&mut fds, PollTimeout::try_from(timeout).unwrap_or(PollTimeout::MAX)) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(error) => return Err(Failure::Output(error.into())),
            }
            let is_ready = |fd: &PollFd<'_>| fd.any() == Some(true);
            if fds.iter().take(signals).any(is_ready) && self.came(true) {
                return Err(Failure::Interrupted);
            }
            if fds.iter().skip(signals).any(is_ready) {
                return Ok(true);
            }
            if left.is_zero() {
                return Ok(false);
            }
        }
    }
}

/// See the module.
pub(super) struct Session<'a> {
    interrupts: &'a Interrupts,
    socket: OwnedFd,
    reader: Reader,
    messages: VecDeque<Message>,
    last_id: u32,
    /// When nobody waits any longer.
    until: Instant,
    /// Whatever comes gives it so much time again, up to a moment.
    patience: Option<(Duration, Instant)>,
    safety: Option<Safety>,
}

/// The timer in the app that closes the inspector.
struct Safety {
    /// The inspector's name for the function that [`request::safety`] gives back.
    object: String,
    every: Duration,
    due: Instant,
}

impl<'a> Session<'a> {
    /// Finds the WebSocket behind a port, and connects to it.
    pub(super) fn open(address: SocketAddr, output: Output, interrupts: &'a Interrupts, until: Instant) -> Result<Session<'a>, Failure> {
        let connect = || {
            let left = until.saturating_duration_since(Instant::now());
            let socket = sockets::connect_loopback(address, left).map_err(|_| Failure::Broken)?;
            Ok(Session {
                interrupts,
                socket,
                reader: Reader::new(output),
                messages: VecDeque::new(),
                last_id: 0,
                until,
                patience: None,
                safety: None,
            })
        };
        let asked: Session<'_> = connect()?;
        asked.send(discovery::request(address.port()).as_bytes())?;
        let mut answer = Vec::new();
        let path = loop {
            match discovery::read(&answer) {
                Answer::Found(path) => break path,
                Answer::Wrong => return Err(Failure::Broken),
                Answer::Partial => asked.receive(&mut answer, AT_ONCE)?,
            }
        };
        let mut session = connect()?;
        session.send(websocket::upgrade(&path, address.port()).as_bytes())?;
        let mut head = Vec::new();
        let end = loop {
            match head.windows(4).position(|window| window == b"\r\n\r\n") {
                Some(at) => break at + 4,
                None if head.len() > discovery::LONGEST => return Err(Failure::Broken),
                None => session.receive(&mut head, AT_ONCE)?,
            }
        };
        if discovery::status(&head) != Some(101) {
            return Err(Failure::Broken);
        }
        session.hear(head.get(end..).unwrap_or_default())?;
        Ok(session)
    }

    /// The first thing that is evaluated: a timer in the app closes the inspector, also if this process should be killed.
    pub(super) fn make_safe(&mut self, limit: Duration) -> Result<(), Failure> {
        let reply = self.call("Runtime.evaluate", &request::safety(limit))?;
        let object = reply.object.ok_or(Failure::Broken)?;
        let every = limit / 3;
        self.safety = Some(Safety { object, every, due: Instant::now() + every });
        Ok(())
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

    /// Has the inspector close soon, where it was opened for us, and hangs up.
    pub(super) fn close(mut self) {
        if let Some(safety) = self.safety.take() {
            let _ = self.call("Runtime.callFunctionOn", &request::call_safety(&safety.object, false));
        }
    }

    /// Asks for something, and waits for the reply.
    pub(super) fn call(&mut self, method: &str, parameters: &str) -> Result<Reply, Failure> {
        let id = self.ask(method, parameters)?;
        loop {
            match self.next(self.until)? {
                Some(Message::Reply(reply)) if reply.id == Some(id) => {
                    return reply.error.clone().map_or(Ok(reply), |error| Err(Failure::Refused(error)));
                }
                Some(_) => {}
                None => return Err(Failure::Late),
            }
        }
    }

    /// Asks for something without waiting.
    pub(super) fn ask(&mut self, method: &str, parameters: &str) -> Result<u32, Failure> {
        self.last_id += 1;
        self.send(&websocket::message(&request::call(self.last_id, method, parameters)))?;
        Ok(self.last_id)
    }

    /// Waits for the app to stand still.
    pub(super) fn paused(&mut self, until: Instant) -> Result<Option<Stack>, Failure> {
        loop {
            match self.next(until)? {
                Some(Message::Paused(stack)) => return Ok(Some(stack)),
                Some(Message::Reply(_)) => {}
                None => return Ok(None),
            }
        }
    }

    /// Lets time pass, while the other end may send what it likes.
    pub(super) fn pass(&mut self, until: Instant) -> Result<(), Failure> {
        while self.next(until)?.is_some() {}
        Ok(())
    }

    /// The next message; `None`: the time is over.
    fn next(&mut self, until: Instant) -> Result<Option<Message>, Failure> {
        let mut bytes = Vec::new();
        loop {
            if let Some(message) = self.messages.pop_front() {
                return Ok(Some(message));
            }
            self.renew();
            let limit = if self.patience.is_some() { until.max(self.until) } else { until };
            if Instant::now() >= limit {
                return Ok(None);
            }
            let due = self.safety.as_ref().map_or(limit, |safety| safety.due.min(limit));
            if self.interrupts.wait(Some((self.socket.as_fd(), PollFlags::POLLIN)), due)? {
                bytes.clear();
                self.receive(&mut bytes, AT_ONCE)?;
                self.hear(&bytes)?;
            }
        }
    }

    /// The app is told that somebody is still there.
    fn renew(&mut self) {
        let Some(safety) = self.safety.as_mut().filter(|safety| Instant::now() >= safety.due) else { return };
        safety.due = Instant::now() + safety.every;
        let call = request::call_safety(&safety.object, true);
        let _ = self.ask("Runtime.callFunctionOn", &call);
    }

    /// Reads what came, passes on what is to be passed on.
    fn hear(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let received = self.reader.feed(bytes).map_err(|_| Failure::Broken)?;
        self.messages.extend(received.messages);
        if let Some(payload) = received.ping {
            self.send(&websocket::pong(&payload))?;
        }
        self.lives();
        let pieces = self.reader.take_pieces();
        self.pass_on(&pieces)?;
        if received.is_closed && self.messages.is_empty() { Err(Failure::Broken) } else { Ok(()) }
    }

    /// Writes to standard output without ever waiting for it in write(2): the app's timer has to be told in time.
    fn pass_on(&mut self, mut bytes: &[u8]) -> Result<(), Failure> {
        let stdout = io::stdout();
        let fd = stdout.as_fd();
        while !bytes.is_empty() {
            self.renew();
            let due = self.safety.as_ref().map_or(self.until, |safety| safety.due.min(self.until));
            if self.interrupts.wait(Some((fd, PollFlags::POLLOUT)), due)? {
                let piece = bytes.get(..PIPEFUL.min(bytes.len())).unwrap_or_default();
                match nix::unistd::write(fd, piece) {
                    Ok(length) => bytes = bytes.get(length..).unwrap_or_default(),
                    Err(Errno::EAGAIN | Errno::EINTR) => {}
                    Err(error) => return Err(Failure::Output(error.into())),
                }
                self.lives();
            } else if Instant::now() >= self.until {
                return Err(Failure::Output(io::Error::other("nobody reads it")));
            }
        }
        Ok(())
    }

    fn send(&self, mut bytes: &[u8]) -> Result<(), Failure> {
        while !bytes.is_empty() {
            match sockets::transmit(self.socket.as_fd(), bytes) {
                Ok(length) => bytes = bytes.get(length..).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if !self.interrupts.wait(Some((self.socket.as_fd(), PollFlags::POLLOUT)), self.until)? {
                        return Err(Failure::Late);
                    }
                }
                Err(_) => return Err(Failure::Broken),
            }
        }
        Ok(())
    }

    /// Adds what is there to what has come, waiting for it; the end of the connection is an error.
    fn receive(&self, bytes: &mut Vec<u8>, most: usize) -> Result<(), Failure> {
        let known = bytes.len();
        loop {
            bytes.resize(known + most, 0);
            let received = sockets::receive(self.socket.as_fd(), bytes.get_mut(known..).unwrap_or_default());
            bytes.truncate(known + received.as_ref().map_or(0, |length| *length));
            match received {
                Ok(0) => return Err(Failure::Broken),
                Ok(_) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if !self.interrupts.wait(Some((self.socket.as_fd(), PollFlags::POLLIN)), self.until)? {
                        return Err(Failure::Late);
                    }
                }
                Err(_) => return Err(Failure::Broken),
            }
        }
    }
}
