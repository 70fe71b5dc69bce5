//! What is to be sent to an app, and in which order: whole messages only, and never two in flight that are answered by a handle
//! acknowledgement, since those carry no name. All of it is bounded, as an app may ask without ever reading. Pure.

use std::collections::VecDeque;

use nix::errno::Errno;

use super::message::Query;
use super::spec::Kind;
use super::{SocketId, outgoing};

/// Answers that an app which does not read may leave unread here.
const MOST_UNSENT: usize = 32;
/// Sockets that wait for those before them.
const MOST_GRANTS: usize = 64;
/// As often as Node's own parent sends a handle again.
const MOST_RETRIES: u8 = 3;

/// What an acknowledgement was for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Acknowledged {
    /// Nothing that was sent.
    Nothing,
    /// A ping or a handle: the loop has turned.
    Turned,
    /// A handle that got lost once too often: the query is still without an answer.
    Lost(Query),
}

/// A socket on its way.
#[derive(Debug)]
struct Grant {
    query: Query,
    socket: SocketId,
    kind: Kind,
    tries: u8,
}

/// What the app has yet to acknowledge.
#[derive(Debug, Default)]
enum Flight {
    #[default]
    Nothing,
    Ping,
    Handle(Grant),
}

/// The message whose turn it is.
#[derive(Debug)]
struct Current {
    bytes: Vec<u8>,
    done: usize,
    socket: Option<SocketId>,
    /// It is what [`Flight`] is about.
    awaited: bool,
}

/// All that waits to be sent.
#[derive(Debug, Default)]
pub struct Outbox {
    flight: Flight,
    current: Option<Current>,
    plain: VecDeque<Vec<u8>>,
    grants: VecDeque<Grant>,
    ping_due: bool,
    /// The app lets go of the channel: it is asked nothing more.
    asks_nothing: bool,
    unsent: u64,
}

impl Outbox {
    /// Adds an answer; one too many is dropped and counted.
    pub fn queue(&mut self, bytes: Vec<u8>) {
        if self.plain.len() < MOST_UNSENT { self.plain.push_back(bytes) } else { self.unsent += 1 }
    }

    /// Puts a message ahead of the answers, and beyond their bound; one that waits already is not doubled.
    pub fn urge(&mut self, bytes: &'static [u8]) {
        if !self.plain.iter().any(|waiting| waiting == bytes) {
            self.plain.push_front(bytes.to_vec());
        }
    }

    /// Adds the answer to a query that has a socket in it.
    pub fn grant(&mut self, query: Query, socket: SocketId, kind: Kind) {
        if self.grants.len() < MOST_GRANTS {
            self.grants.push_back(Grant { query, socket, kind, tries: 0 });
        } else {
            self.queue(outgoing::refusal(&query, Errno::ENOBUFS));
        }
    }

    /// Asks the loop for a sign, when nothing else does.
    pub fn ping(&mut self) {
        self.ping_due = !self.asks_nothing;
    }

    /// From now on the loop is not asked for a sign.
    pub fn stop_asking(&mut self) {
        (self.ping_due, self.asks_nothing) = (false, true);
    }

    /// Whether something is sent that the loop has yet to answer.
    pub fn is_in_flight(&self) -> bool {
        !matches!(self.flight, Flight::Nothing)
    }

    /// An ACK or NACK has come: to the ping or the handle in flight, whichever it is.
    pub fn acknowledged(&mut self, arrived: bool) -> Acknowledged {
        if self.is_awaited() {
            // Nobody answers what is not sent yet.
            return Acknowledged::Nothing;
        }
        let answer = match std::mem::take(&mut self.flight) {
            Flight::Nothing => return Acknowledged::Nothing,
            Flight::Handle(grant) if !arrived && grant.tries > MOST_RETRIES => Acknowledged::Lost(grant.query),
            Flight::Handle(grant) if !arrived => {
                self.grants.push_front(grant);
                Acknowledged::Turned
            }
            Flight::Ping | Flight::Handle(_) => Acknowledged::Turned,
        };
        self.ping_due = false;
        answer
    }

    /// Takes up the next message if none is being sent. True: it is one that the app's loop answers.
    pub fn advance(&mut self) -> bool {
        if self.current.is_some() {
            return false;
        }
        let free = matches!(self.flight, Flight::Nothing);
        let (bytes, socket, awaited) = if free && let Some(mut grant) = self.grants.pop_front() {
            grant.tries += 1;
            let (bytes, socket) = (outgoing::grant(&grant.query, grant.kind), grant.socket);
            self.flight = Flight::Handle(grant);
            (bytes, Some(socket), true)
        } else if let Some(bytes) = self.plain.pop_front() {
            (bytes, None, false)
        } else if free && std::mem::take(&mut self.ping_due) {
            self.flight = Flight::Ping;
            (outgoing::PING.to_vec(), None, true)
        } else {
            return false;
        };
        self.current = Some(Current { bytes, done: 0, socket, awaited });
        awaited
    }

    /// The rest of the message, and the socket that goes with its first byte.
    pub fn front(&self) -> Option<(&[u8], Option<SocketId>)> {
        let current = self.current.as_ref()?;
        Some((current.bytes.get(current.done..)?, current.socket.filter(|_| current.done == 0)))
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

    /// Gives up the message whose turn it is; gives back the query that it was to answer by a socket.
    pub fn withdraw(&mut self) -> Option<Query> {
        let current = self.current.take()?;
        self.unsent += 1;
        match std::mem::take(&mut self.flight) {
            Flight::Handle(grant) if current.awaited => Some(grant.query),
            flight if !current.awaited => {
                self.flight = flight;
                None
            }
            _ => None,
        }
    }

    /// A message is sent in part.
    pub fn is_torn(&self) -> bool {
        self.current.as_ref().is_some_and(|current| current.done > 0)
    }

    /// The message whose turn it is will be answered by the app's loop.
    pub fn is_awaited(&self) -> bool {
        self.current.as_ref().is_some_and(|current| current.awaited)
    }

    /// Whether there is something to send.
    pub fn wants_to_send(&self) -> bool {
        let free = matches!(self.flight, Flight::Nothing);
        self.current.is_some() || !self.plain.is_empty() || (free && (self.ping_due || !self.grants.is_empty()))
    }

    /// Messages that were dropped.
    pub fn unsent(&self) -> u64 {
        self.unsent
    }

    /// Messages that wait.
    pub fn waiting(&self) -> usize {
        self.plain.len() + self.grants.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(seq: u64) -> Query {
        Query { seq, key: "k".to_owned(), wanted: Err(Errno::EINVAL), data: None }
    }

    /// Takes up the next message and sends all of it; tells whether its answer is awaited.
    fn send(outbox: &mut Outbox) -> (String, bool) {
        let awaited = outbox.advance();
        let line = String::from_utf8(outbox.front().unwrap().0.to_vec()).unwrap();
        assert!(!outbox.is_torn() && outbox.is_awaited() == awaited);
        outbox.sent(line.len() - 1);
        assert!(outbox.is_torn() && outbox.wants_to_send());
        outbox.sent(1);
        (line, awaited)
    }

    #[test]
    fn there_is_something_to_send_where_its_turn_has_come() {
        let mut outbox = Outbox::default();
        assert!(!outbox.wants_to_send() && !outbox.advance() && outbox.front().is_none());
        outbox.ping();
        assert!(outbox.wants_to_send());
        assert!(send(&mut outbox).1 && !outbox.wants_to_send());
        outbox.grant(query(1), SocketId(1), Kind::Stream);
        outbox.ping();
        assert!(!outbox.wants_to_send(), "the first ping is unanswered");
        outbox.queue(b"{}\n".to_vec());
        assert!(outbox.wants_to_send() && outbox.waiting() == 2);
        assert_eq!(send(&mut outbox), ("{}\n".to_owned(), false));
        assert_eq!(outbox.acknowledged(false), Acknowledged::Turned);
        assert!(outbox.wants_to_send() && send(&mut outbox).0.contains("\"ack\":1"));
        assert_eq!((outbox.acknowledged(true), outbox.wants_to_send(), outbox.waiting()), (Acknowledged::Turned, false, 0));
    }

    #[test]
    fn what_could_not_be_sent_is_not_waited_for() {
        let mut outbox = Outbox::default();
        outbox.ping();
        assert!(outbox.advance());
        assert_eq!((outbox.withdraw(), outbox.acknowledged(false)), (None, Acknowledged::Nothing));
        outbox.grant(query(1), SocketId(1), Kind::Stream);
        assert!(outbox.advance());
        assert_eq!((outbox.withdraw(), outbox.acknowledged(true)), (Some(query(1)), Acknowledged::Nothing));
        assert_eq!((outbox.withdraw(), outbox.unsent()), (None, 2), "there was nothing");
    }

    #[test]
    fn an_answer_that_could_not_be_sent_takes_no_handle_with_it() {
        let mut outbox = Outbox::default();
        outbox.grant(query(1), SocketId(1), Kind::Stream);
        assert!(send(&mut outbox).1);
        outbox.queue(b"{}\n".to_vec());
        assert!(!outbox.advance());
        assert_eq!((outbox.withdraw(), outbox.acknowledged(true)), (None, Acknowledged::Turned));
    }

    /// Beyond what the app may leave unread it gets no answer, and beyond the sockets that may wait an error; a stop passes all of it.
    #[test]
    fn what_waits_is_bounded() {
        let mut outbox = Outbox::default();
        (0..64).for_each(|seq| outbox.grant(query(seq), SocketId(1), Kind::Stream));
        assert_eq!((outbox.waiting(), outbox.unsent()), (64, 0));
        (0..33).for_each(|seq| outbox.grant(query(seq), SocketId(1), Kind::Stream));
        assert_eq!((outbox.waiting(), outbox.unsent()), (64 + 32, 1));
        outbox.urge(outgoing::SHUTDOWN);
        outbox.urge(outgoing::SHUTDOWN);
        assert_eq!((outbox.waiting(), outbox.unsent()), (64 + 32 + 1, 1));
    }
}
