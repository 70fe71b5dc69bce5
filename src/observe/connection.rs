//! One connection of an observer: a head comes in, in any pieces; one answer goes out, in any pieces; then it lingers until the client has
//! had it. Pure: bytes and moments are arguments. It must not hold more than one head or one answer at a time.

use std::time::Duration;

use super::http::{self, Head, Interface, LONGEST_HEAD, Response, Route};
use crate::time::Moment;

/// How long a client has, from its connection on.
pub const PATIENCE: Duration = Duration::from_secs(2);
/// Bytes of a body that are thrown away. Closing on bytes that nobody has read resets the connection, and the reset can overtake the
/// answer. Whoever sends more is left unread until its time is over: it stalls, and costs nothing.
const DISCARDED: usize = 1 << 20;

/// See the module.
#[derive(Debug)]
pub struct Connection {
    phase: Stage,
    /// `None` while it waits for the outcome of a restart.
    deadline: Option<Moment>,
}

#[derive(Debug)]
enum Stage {
    Reading {
        interface: Interface,
        head: Vec<u8>,
    },
    /// The event loop knows what is asked.
    Asked {
        with_body: bool,
    },
    Writing {
        answer: Vec<u8>,
        sent: usize,
    },
    /// The answer is out; so many bytes may still be thrown away.
    Lingering {
        left: usize,
    },
    Closed,
}

/// What a connection waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wants {
    Read,
    Write,
    /// The event loop's answer, or the client's end.
    Nothing,
}

impl Connection {
    pub fn open(interface: Interface, now: Moment) -> Connection {
        Connection { phase: Stage::Reading { interface, head: Vec::new() }, deadline: Some(now + PATIENCE) }
    }

    /// One that is answered before it has asked.
    pub fn refused(answer: &Response, now: Moment) -> Connection {
        Connection { phase: Stage::Writing { answer: answer.render(true), sent: 0 }, deadline: Some(now + PATIENCE) }
    }

    pub fn wants(&self) -> Wants {
        match &self.phase {
            Stage::Reading { .. } | Stage::Lingering { left: 1.. } => Wants::Read,
            Stage::Writing { .. } => Wants::Write,
            Stage::Asked { .. } | Stage::Lingering { left: 0 } | Stage::Closed => Wants::Nothing,
        }
    }

    /// Takes bytes in. An [`Route`] has to be answered, by [`Connection::answer`] now or after [`Connection::wait`].
    #[must_use]
    pub fn received(&mut self, bytes: &[u8]) -> Option<Route> {
        match &mut self.phase {
            Stage::Reading { interface, head } => {
                let room = LONGEST_HEAD.saturating_sub(head.len());
                head.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
                match http::read(*interface, head) {
                    Head::Partial => None,
                    Head::Asks { route, with_body } => {
                        self.phase = Stage::Asked { with_body };
                        Some(route)
                    }
                    Head::Refused { answer, with_body } => {
                        self.phase = Stage::Writing { answer: answer.render(with_body), sent: 0 };
                        None
                    }
                }
            }
            Stage::Lingering { left } => {
                *left = left.saturating_sub(bytes.len());
                None
            }
            Stage::Asked { .. } | Stage::Writing { .. } | Stage::Closed => None,
        }
    }

    /// The client sends nothing more.
    pub fn received_end(&mut self) {
        match &self.phase {
            Stage::Reading { head, .. } if !head.is_empty() => {
                let answer = Response::text(400, "the request ends in its head".to_owned());
                self.phase = Stage::Writing { answer: answer.render(true), sent: 0 };
            }
            Stage::Reading { .. } | Stage::Lingering { .. } => self.close(),
            Stage::Asked { .. } | Stage::Writing { .. } | Stage::Closed => {}
        }
    }

    /// The answer comes later: until then, no deadline.
    pub fn wait(&mut self) {
        self.deadline = None;
    }

    pub fn is_waiting(&self) -> bool {
        self.deadline.is_none()
    }

    /// Answers what was asked.
    pub fn answer(&mut self, answer: &Response, now: Moment) {
        if let Stage::Asked { with_body } = self.phase {
            self.phase = Stage::Writing { answer: answer.render(with_body), sent: 0 };
            self.deadline.get_or_insert(now + PATIENCE);
        }
    }

    /// What is to go out.
    pub fn unsent(&self) -> &[u8] {
        match &self.phase {
            Stage::Writing { answer, sent } => answer.get(*sent..).unwrap_or_default(),
            _ => &[],
        }
    }

    /// So many bytes of it went out. True: that was all of it, and the client is to be told so.
    #[must_use]
    pub fn sent(&mut self, count: usize) -> bool {
        let Stage::Writing { answer, sent } = &mut self.phase else { return false };
        *sent = sent.saturating_add(count);
        let done = *sent >= answer.len();
        if done {
            self.phase = Stage::Lingering { left: DISCARDED };
        }
        done
    }

    pub fn close(&mut self) {
        self.phase = Stage::Closed;
    }

    pub fn is_closed(&self) -> bool {
        matches!(self.phase, Stage::Closed)
    }

    /// When it is to be closed, whatever it is at.
    pub fn deadline(&self) -> Option<Moment> {
        self.deadline
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const REQUEST: &[u8] = b"GET /metrics?x=1 HTTP/1.1\r\nHost: pod:9090\r\nUser-Agent: Prometheus\r\n\r\n";

    /// Feeds bytes in pieces of these sizes, over and over, and then the end; gives back what was asked and answered.
    fn feed(interface: Interface, bytes: &[u8], sizes: &[usize]) -> (Option<Route>, Vec<u8>) {
        let mut connection = Connection::open(interface, Moment::START);
        let (mut left, mut sizes, mut asked) = (bytes, sizes.iter().cycle(), None);
        while connection.wants() == Wants::Read && !left.is_empty() {
            let (piece, rest) = left.split_at((*sizes.next().unwrap()).clamp(1, left.len()));
            asked = connection.received(piece);
            left = rest;
        }
        if connection.wants() == Wants::Read {
            connection.received_end();
        }
        (asked, connection.unsent().to_vec())
    }

    #[test]
    fn an_answer_goes_out_in_any_pieces() {
        let answer = Response::text(200, "ready".to_owned());
        for size in [1, 7, 1000] {
            let mut connection = Connection::open(Interface::Http, Moment::START);
            assert_eq!(connection.received(b"GET /readyz HTTP/1.1\r\n\r\n"), Some(Route::Readyz));
            assert_eq!(connection.wants(), Wants::Nothing);
            connection.answer(&answer, Moment::START);
            let mut out = Vec::new();
            loop {
                assert_eq!(connection.wants(), Wants::Write);
                let unsent = connection.unsent();
                let piece = unsent.len().min(size);
                out.extend_from_slice(&unsent[..piece]);
                if connection.sent(piece) {
                    break;
                }
            }
            assert_eq!(out, answer.render(true));
            assert_eq!((connection.wants(), connection.unsent()), (Wants::Read, &[][..]));
            connection.received_end();
            assert!(connection.is_closed());
        }
    }

    #[test]
    fn a_body_is_thrown_away_up_to_a_bound() {
        let mut connection = Connection::open(Interface::Http, Moment::START);
        assert_eq!(connection.received(b"POST /metrics HTTP/1.1\r\nContent-Length: 1000000000\r\n\r\nbody"), None);
        assert!(connection.unsent().starts_with(b"HTTP/1.1 405 "));
        assert!(connection.sent(connection.unsent().len()));
        let mut read = 0;
        while connection.wants() == Wants::Read {
            assert_eq!(connection.received(&[b'x'; 4096]), None);
            read += 4096;
        }
        assert_eq!((read, connection.wants()), (DISCARDED, Wants::Nothing));
        assert_eq!(connection.deadline(), Some(Moment::START + PATIENCE));
    }

    #[test]
    fn only_the_outcome_of_a_restart_may_take_longer() {
        let mut connection = Connection::open(Interface::Control, Moment::START);
        assert_eq!(connection.deadline(), Some(Moment::START + PATIENCE));
        assert_eq!(connection.received(&http::request("POST", http::RESTART)), Some(Route::Restart { is_forced: false }));
        assert!(!connection.is_waiting());
        connection.wait();
        assert!(connection.is_waiting() && connection.deadline().is_none());
        connection.answer(&Response::text(200, "restarted".to_owned()), Moment::START + Duration::from_secs(100));
        assert_eq!(connection.deadline(), Some(Moment::START + Duration::from_secs(102)));
    }

    #[test]
    fn whoever_is_not_served_is_told_so_in_the_same_time() {
        let mut connection = Connection::refused(&Response::forbidden(), Moment::START + Duration::from_secs(100));
        assert_eq!((connection.deadline(), connection.wants()), (Some(Moment::START + Duration::from_secs(102)), Wants::Write));
        assert!(connection.unsent().starts_with(b"HTTP/1.1 403 Forbidden\r\n"));
        assert_eq!(connection.received(REQUEST), None);
        connection.answer(&Response::text(200, "x".to_owned()), Moment::START + Duration::from_secs(100));
        connection.received_end();
        assert!(connection.unsent().starts_with(b"HTTP/1.1 403 ") && !connection.is_closed());
        assert!(!connection.sent(connection.unsent().len() - 1) && connection.sent(1));
        connection.close();
        assert!(connection.is_closed() && connection.received(REQUEST).is_none() && connection.wants() == Wants::Nothing);
    }

    #[test]
    fn half_a_request_is_told_so_and_none_is_closed() {
        assert!(feed(Interface::Http, b"GET /li", &[3]).1.starts_with(b"HTTP/1.1 400 "));
        assert_eq!(feed(Interface::Http, b"", &[1]), (None, Vec::new()));
    }

    proptest! {
        #[test]
        fn any_split_is_the_same_request(sizes in proptest::collection::vec(1usize..40, 1..20)) {
            prop_assert_eq!(feed(Interface::Http, REQUEST, &sizes), (Some(Route::Metrics), Vec::new()));
        }

        #[test]
        fn any_bytes_are_answered_or_refused_in_any_split(
            start in prop::sample::select(vec!["", "GET ", "GET /livez ", "GET /livez HTTP/", "POST /restart HTTP/1.1\r\n", "HEAD /status HTTP/1.0\r\na:"]),
            rest in prop_oneof![proptest::collection::vec(any::<u8>(), 1..300), "[ -~\r\n:/]{1,80}".prop_map(String::into_bytes)],
            sizes in proptest::collection::vec(1usize..40, 1..20),
        ) {
            let bytes = [start.as_bytes(), &rest].concat();
            let (asked, answered) = feed(Interface::Control, &bytes, &sizes);
            prop_assert!(asked.is_some() || answered.starts_with(b"HTTP/1.1 "));
            prop_assert_eq!(feed(Interface::Control, &bytes, &[bytes.len()]), (asked, answered));
        }

        #[test]
        fn a_head_is_bounded(sizes in proptest::collection::vec(1usize..9000, 1..20)) {
            let endless = [b"GET /livez HTTP/1.1\r\nCookie: ".as_slice(), &[b'a'; 20_000]].concat();
            let (asked, answered) = feed(Interface::Http, &endless, &sizes);
            prop_assert!(asked.is_none() && answered.starts_with(b"HTTP/1.1 431 "));
        }
    }
}
