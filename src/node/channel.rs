//! One generation's side of the conversation: what came in becomes events, what is to go out waits its turn. Owns the order of the
//! wire: whole messages only, and never two in flight that the app answers by handle acknowledgements, since the answers carry no
//! name. Pure: bytes and moments come in as arguments.

use std::collections::VecDeque;
use std::time::Duration;

use super::framing::{Framing, Line};
use super::message::{self, Cluster, Incoming, Listening, Query};
use super::spec::Kind;
use super::watchdog::{Turn, Watchdog};
use super::{Errno, SocketId, outgoing};
use crate::supervisor::time::Moment;

/// Queries that wait: of a standby for its turn, of any app for the sockets before theirs.
const MOST_WAITING: usize = 64;
/// Answers of our own making that an app which does not read may leave unread here.
const MOST_UNSENT: usize = 32;
/// As often as Node's own parent sends a handle again.
const MOST_RETRIES: u8 = 3;

/// How a generation is spoken to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Options {
    /// Silence of the event loop that counts as blocked.
    pub watchdog: Option<Duration>,
    /// Queries are kept until [`Channel::activate`].
    pub standby: bool,
}

/// What the app did.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// It says that it is ready; told once.
    Ready,
    /// Its loop has turned; with how late it was, where that can be told.
    Answered {
        lag: Option<Duration>,
    },
    /// It wants a socket; to be answered by [`Channel::answer`].
    Query(Query),
    /// The standby has come to its first `listen()` and waits there; told once.
    Waiting,
    Listening(Listening),
    /// It has closed a socket.
    Closed {
        key: String,
    },
    /// It disconnects of its own accord.
    Disconnecting,
    /// A line was no JSON; told once, then counted.
    MalformedFirst,
    /// A line was longer than is kept; told once, then counted.
    TooLongFirst,
}

/// What was dropped.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Dropped {
    /// Messages of the app for nobody here.
    pub app: u64,
    pub malformed: u64,
    pub too_long: u64,
    /// Answers that the app left unread for too long, or that the kernel refused.
    pub unsent: u64,
}

#[derive(Debug)]
struct Grant {
    query: Query,
    socket: SocketId,
    kind: Kind,
    tries: u8,
}

/// What the app has yet to acknowledge.
#[derive(Debug)]
enum Flight {
    Nothing,
    Ping,
    Handle(Grant),
}

#[derive(Debug)]
struct Outgoing {
    bytes: Vec<u8>,
    done: usize,
    socket: Option<SocketId>,
    /// It is what [`Flight`] is about.
    in_flight: bool,
}

/// The channel of one generation.
#[derive(Debug)]
pub struct Channel {
    framing: Framing,
    watchdog: Option<Watchdog>,
    flight: Flight,
    current: Option<Outgoing>,
    plain: VecDeque<Vec<u8>>,
    grants: VecDeque<Grant>,
    ping_due: bool,
    /// A standby's queries; `None`: it is none, or no longer.
    kept: Option<VecDeque<Query>>,
    open: bool,
    ready: bool,
    disconnected: bool,
    dropped: Dropped,
}

impl Channel {
    pub fn new(now: Moment, options: Options) -> Channel {
        Channel {
            framing: Framing::default(),
            watchdog: options.watchdog.map(|limit| Watchdog::new(now, limit)),
            flight: Flight::Nothing,
            current: None,
            plain: VecDeque::new(),
            grants: VecDeque::new(),
            // One question at least: only so can be told whether Node is at the other end.
            ping_due: options.watchdog.is_none(),
            kept: options.standby.then(VecDeque::new),
            open: true,
            ready: false,
            disconnected: false,
            dropped: Dropped::default(),
        }
    }

    /// Takes in what was read, and adds what it meant to `events`: at most one for each line in `bytes`, or two for the last.
    pub fn receive(&mut self, now: Moment, bytes: &[u8], events: &mut Vec<Event>) {
        let mut framing = std::mem::take(&mut self.framing);
        framing.feed(bytes, &mut |line| match line {
            Line::Whole(line) => events.extend(self.take(now, line)),
            Line::TooLong => {
                self.dropped.too_long += 1;
                events.extend((self.dropped.too_long == 1).then_some(Event::TooLongFirst));
            }
        });
        self.framing = framing;
    }

    fn take(&mut self, now: Moment, line: &[u8]) -> Option<Event> {
        match message::read(line) {
            Incoming::Ready => (!std::mem::replace(&mut self.ready, true)).then_some(Event::Ready),
            Incoming::Ack => self.acknowledged(now, true),
            Incoming::Nack => self.acknowledged(now, false),
            Incoming::Handle => {
                self.queue(outgoing::HANDLE_ACK.to_vec());
                None
            }
            Incoming::Cluster(cluster) => self.take_cluster(cluster),
            Incoming::App => {
                self.dropped.app += 1;
                None
            }
            Incoming::Malformed => {
                self.dropped.malformed += 1;
                (self.dropped.malformed == 1).then_some(Event::MalformedFirst)
            }
        }
    }

    fn take_cluster(&mut self, cluster: Cluster<'_>) -> Option<Event> {
        match cluster {
            Cluster::Query(query) => match &mut self.kept {
                None => Some(Event::Query(query)),
                Some(kept) if kept.len() < MOST_WAITING => {
                    kept.push_back(query);
                    (kept.len() == 1).then_some(Event::Waiting)
                }
                Some(_) => {
                    self.queue(outgoing::refusal(&query, libc::ENOBUFS));
                    None
                }
            },
            Cluster::Listening(listening) => Some(Event::Listening(listening)),
            Cluster::Close { key } => Some(Event::Closed { key: key.into_owned() }),
            Cluster::ExitedAfterDisconnect { seq } => {
                self.queue(outgoing::acknowledgement(seq));
                Some(Event::Disconnecting)
            }
            Cluster::Online | Cluster::Other => None,
        }
    }

    /// An ACK or NACK has come: to the ping or the handle in flight, whichever it is. One that nothing waits for is dropped.
    fn acknowledged(&mut self, now: Moment, arrived: bool) -> Option<Event> {
        if self.current.as_ref().is_some_and(|current| current.in_flight) {
            return None;
        }
        match (std::mem::replace(&mut self.flight, Flight::Nothing), arrived) {
            (Flight::Nothing, _) => return None,
            (Flight::Ping, _) | (Flight::Handle(_), true) => {}
            (Flight::Handle(grant), false) if grant.tries <= MOST_RETRIES => self.grants.push_front(grant),
            // The app has no descriptor to spare: that is why handles get lost.
            (Flight::Handle(grant), false) => self.queue(outgoing::refusal(&grant.query, libc::EMFILE)),
        }
        self.ping_due = false;
        Some(Event::Answered { lag: self.watchdog.as_mut().and_then(|watchdog| watchdog.answered(now)) })
    }

    fn queue(&mut self, bytes: Vec<u8>) {
        if self.plain.len() < MOST_UNSENT { self.plain.push_back(bytes) } else { self.dropped.unsent += 1 }
    }

    /// Answers a query by a held socket or an errno.
    pub fn answer(&mut self, query: Query, outcome: Result<(SocketId, Kind), Errno>) {
        match outcome {
            Ok((socket, kind)) if self.grants.len() < MOST_WAITING => self.grants.push_back(Grant { query, socket, kind, tries: 0 }),
            Ok(_) => self.queue(outgoing::refusal(&query, libc::ENOBUFS)),
            Err(errno) => self.queue(outgoing::refusal(&query, errno)),
        }
    }

    /// The standby's turn has come: gives back what it has asked for meanwhile. Later queries are events at once.
    pub fn activate(&mut self) -> VecDeque<Query> {
        self.kept.take().unwrap_or_default()
    }

    /// Sends pm2's `shutdown`. False: the channel is gone, the stop signal must do.
    pub fn shut_down(&mut self) -> bool {
        // Ahead of what an app may have made us say, and beyond its bound: but an app that reads nothing is told once.
        if self.open && self.plain.front().is_none_or(|first| first != outgoing::SHUTDOWN) {
            self.plain.push_front(outgoing::SHUTDOWN.to_vec());
        }
        self.open
    }

    /// Has the app close its servers, finish what is in flight and disconnect; sent once, however often it is asked for. False: the
    /// channel is gone.
    pub fn disconnect(&mut self) -> bool {
        if self.open && !std::mem::replace(&mut self.disconnected, true) {
            self.plain.push_back(outgoing::DISCONNECT.to_vec());
        }
        self.open
    }

    /// The rest of the message whose turn it is, and the socket that goes with its first byte.
    pub fn to_send(&mut self, now: Moment) -> Option<(&[u8], Option<SocketId>)> {
        if self.current.is_none() {
            self.current = self.next(now);
        }
        let current = self.current.as_ref()?;
        Some((current.bytes.get(current.done..)?, current.socket.filter(|_| current.done == 0)))
    }

    fn next(&mut self, now: Moment) -> Option<Outgoing> {
        let free = matches!(self.flight, Flight::Nothing);
        let plain = |bytes| Outgoing { bytes, done: 0, socket: None, in_flight: false };
        let awaited = if let Some(mut grant) = self.grants.pop_front_if(|_| free) {
            grant.tries += 1;
            let (bytes, socket) = (outgoing::grant(&grant.query, grant.kind), grant.socket);
            self.flight = Flight::Handle(grant);
            Outgoing { bytes, done: 0, socket: Some(socket), in_flight: true }
        } else if let Some(bytes) = self.plain.pop_front() {
            return Some(plain(bytes));
        } else if free && std::mem::take(&mut self.ping_due) {
            self.flight = Flight::Ping;
            Outgoing { in_flight: true, ..plain(outgoing::PING.to_vec()) }
        } else {
            return None;
        };
        self.watchdog.as_mut().into_iter().for_each(|watchdog| watchdog.asked(now));
        Some(awaited)
    }

    /// So many bytes of it are sent.
    pub fn sent(&mut self, count: usize) {
        if let Some(current) = &mut self.current {
            current.done = current.done.saturating_add(count);
            if current.done >= current.bytes.len() {
                self.current = None;
            }
        }
    }

    /// The kernel, or the hall for want of the socket, refuses to send it: a query gets the errno instead. After a torn message nothing
    /// can follow, so the channel is given up.
    pub fn send_failed(&mut self, errno: Errno) {
        let Some(current) = self.current.take() else { return };
        if current.done > 0 {
            return self.closed();
        }
        self.dropped.unsent += 1;
        if current.in_flight {
            if let Flight::Handle(grant) = std::mem::replace(&mut self.flight, Flight::Nothing) {
                self.queue(outgoing::refusal(&grant.query, errno));
            }
            if let Some(watchdog) = &mut self.watchdog {
                watchdog.withdrawn();
            }
        }
    }

    /// Whether there is something to send.
    pub fn wants_to_send(&self) -> bool {
        let free = matches!(self.flight, Flight::Nothing);
        self.current.is_some() || !self.plain.is_empty() || (free && (self.ping_due || !self.grants.is_empty()))
    }

    /// The other end is closed: the app disconnected or died. Nothing is sent from now on, and nothing is awaited.
    pub fn closed(&mut self) {
        let (ready, dropped) = (self.ready, self.dropped);
        *self = Channel { open: false, ready, dropped, ping_due: false, ..Channel::new(Moment::ZERO, Options::default()) };
    }

    /// Time has passed; to be told after what was read. `stopped`: the child is stopped or traced. True: its loop is blocked.
    pub fn tick(&mut self, now: Moment, stopped: bool) -> bool {
        let turn = self.watchdog.as_mut().map_or(Turn::Wait, |watchdog| watchdog.tick(now, stopped));
        if turn == Turn::Ask {
            // Asked from now on, even where there is no room to send it: an app that reads nothing does not turn.
            self.ping_due = true;
            self.watchdog.as_mut().into_iter().for_each(|watchdog| watchdog.asked(now));
        }
        turn == Turn::Blocked
    }

    /// When to tick next.
    pub fn deadline(&self) -> Option<Moment> {
        self.watchdog.as_ref().map(Watchdog::deadline)
    }

    pub fn watchdog(&mut self) -> Option<&mut Watchdog> {
        self.watchdog.as_mut()
    }

    pub fn is_open(&self) -> bool {
        self.open
    }

    pub fn is_ready(&self) -> bool {
        self.ready
    }

    pub fn dropped(&self) -> Dropped {
        self.dropped
    }
}

#[cfg(test)]
mod tests;
