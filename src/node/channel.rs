//! One generation's side of the conversation: what the app says becomes events, what the event loop has to say becomes messages. Owns what
//! came in; the order of what goes out is `outbox`'s, the time that answers take is `watchdog`'s. Pure: bytes and moments come in as
//! arguments.

use std::collections::VecDeque;
use std::time::Duration;

use super::framing::{Framing, Line};
use super::library::Library;
use super::message::{self, Cluster, Incoming, Query};
use super::outbox::{Acknowledged, Outbox};
use super::spec::{Kind, Spec};
use super::watchdog::{Turn, Watchdog};
use super::{Errno, SocketId, outgoing};
use crate::procfs::main_thread::Had;
use crate::time::Moment;

mod event;

pub use event::NodeEvent;

/// Queries of a standby that wait for its turn; one more is answered by ENOBUFS.
const MOST_WAITING: usize = 64;

/// How a generation is spoken to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Options {
    /// Silence of the event loop that counts as blocked.
    pub watchdog: Option<Duration>,
    /// Queries are kept until [`Channel::activate`].
    pub standby: bool,
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

/// The channel of one generation.
#[derive(Debug)]
pub struct Channel {
    framing: Framing,
    watchdog: Option<Watchdog>,
    outbox: Outbox,
    /// A standby's queries; `None`: it is none, or no longer.
    kept: Option<VecDeque<Query>>,
    open: bool,
    is_ready: bool,
    named_library: bool,
    disconnected: bool,
    dropped: Dropped,
}

impl Channel {
    pub fn new(now: Moment, options: Options) -> Channel {
        let mut outbox = Outbox::default();
        // Once at least: only so can be told whether Node is at the other end.
        outbox.ping();
        Channel {
            framing: Framing::default(),
            watchdog: options.watchdog.map(|limit| Watchdog::new(now, limit)),
            outbox,
            kept: options.standby.then(VecDeque::new),
            open: true,
            is_ready: false,
            named_library: false,
            disconnected: false,
            dropped: Dropped::default(),
        }
    }

    /// Takes in what was read, and adds what it meant to `events`: at most one for each line in `bytes`, or two for the last.
    pub fn receive(&mut self, now: Moment, bytes: &[u8], events: &mut Vec<NodeEvent>) {
        let mut framing = std::mem::take(&mut self.framing);
        framing.feed(bytes, &mut |line| match line {
            Line::Whole(line) => events.extend(self.take(now, line)),
            Line::TooLong => {
                self.dropped.too_long += 1;
                events.extend((self.dropped.too_long == 1).then_some(NodeEvent::TooLongFirst));
            }
        });
        self.framing = framing;
    }

    fn take(&mut self, now: Moment, line: &[u8]) -> Option<NodeEvent> {
        match message::read(line) {
            Incoming::Ready => (!std::mem::replace(&mut self.is_ready, true)).then_some(NodeEvent::Ready),
            Incoming::Unready => {
                self.is_ready = false;
                Some(NodeEvent::Unready)
            }
            Incoming::Ack => self.acknowledged(now, true),
            Incoming::Nack => self.acknowledged(now, false),
            Incoming::Handle => {
                self.outbox.queue(outgoing::HANDLE_ACK.to_vec());
                None
            }
            Incoming::Cluster(cluster) => self.take_cluster(cluster),
            Incoming::App => {
                self.dropped.app += 1;
                let library = if self.named_library { None } else { Library::of_message(line) };
                self.named_library |= library.is_some();
                library.map(NodeEvent::ForPrimary)
            }
            Incoming::Malformed => {
                self.dropped.malformed += 1;
                (self.dropped.malformed == 1).then_some(NodeEvent::MalformedFirst)
            }
        }
    }

    fn take_cluster(&mut self, cluster: Cluster<'_>) -> Option<NodeEvent> {
        match cluster {
            Cluster::Query(query) => match &mut self.kept {
                None => Some(NodeEvent::Query(query)),
                Some(kept) if kept.len() < MOST_WAITING => {
                    kept.push_back(query);
                    (kept.len() == 1).then_some(NodeEvent::Waiting)
                }
                Some(_) => {
                    self.outbox.queue(outgoing::refusal(&query, Errno::ENOBUFS));
                    None
                }
            },
            Cluster::Listening(listening) => Some(NodeEvent::Listening(listening)),
            Cluster::Close { key } => Some(NodeEvent::Closed { key: key.into_owned() }),
            Cluster::ExitedAfterDisconnect { seq } => {
                self.stop_asking();
                self.outbox.queue(outgoing::acknowledgement(seq));
                Some(NodeEvent::Disconnecting)
            }
            Cluster::Online | Cluster::Other => None,
        }
    }

    fn acknowledged(&mut self, now: Moment, arrived: bool) -> Option<NodeEvent> {
        match self.outbox.acknowledged(arrived) {
            Acknowledged::Nothing => return None,
            Acknowledged::Turned => {}
            // The app has no descriptor to spare: that is why handles get lost.
            Acknowledged::Lost(query) => self.outbox.queue(outgoing::refusal(&query, Errno::EMFILE)),
        }
        Some(NodeEvent::Answered { lag: self.watchdog.as_mut().and_then(|watchdog| watchdog.answered(now)) })
    }

    /// Answers a query by a held socket or an errno.
    pub fn answer(&mut self, query: Query, outcome: Result<(SocketId, Kind), Errno>) {
        match outcome {
            Ok((socket, kind)) => self.outbox.grant(query, socket, kind),
            Err(errno) => self.outbox.queue(outgoing::refusal(&query, errno)),
        }
    }

    /// The standby's turn has come: gives back what it has asked for meanwhile. Later queries are events at once.
    pub fn activate(&mut self) -> VecDeque<Query> {
        self.kept.take().unwrap_or_default()
    }

    /// Gives back those of a standby's queries whose answer does not wait for its turn. It stays a standby.
    pub fn take_kept(&mut self, is_taken: impl Fn(&Spec) -> bool) -> VecDeque<Query> {
        let Some(kept) = &mut self.kept else { return VecDeque::new() };
        let (taken, left) = kept.drain(..).partition(|query| query.wanted.as_ref().is_ok_and(&is_taken));
        *kept = left;
        taken
    }

    /// Asks the loop for a sign, after all that waits to be sent.
    pub fn ping(&mut self) {
        self.outbox.ping();
    }

    /// Whether the loop has yet to answer.
    pub fn is_in_flight(&self) -> bool {
        self.outbox.is_in_flight()
    }

    /// Sends pm2's `shutdown`. False: the channel is gone, the stop signal must do.
    pub fn shut_down(&mut self) -> bool {
        if self.open {
            self.stop_asking();
            self.outbox.urge(outgoing::SHUTDOWN);
        }
        self.open
    }

    /// Has the app close its servers, finish what is in flight and disconnect; sent once, however often it is asked for. False: the
    /// channel is gone.
    pub fn disconnect(&mut self) -> bool {
        if self.open && !std::mem::replace(&mut self.disconnected, true) {
            self.stop_asking();
            self.outbox.urge(outgoing::DISCONNECT);
        }
        self.open
    }

    /// Its event loop need not turn, and is not asked for a sign: it is not the app's; or it is about to let go of the channel, and whatever it
    /// would have to answer then crashes it.
    pub fn stop_asking(&mut self) {
        self.watchdog = None;
        self.outbox.stop_asking();
    }

    /// Another process speaks from now on: nothing of what the one before said, or was asked, holds for it.
    pub fn begin_anew(&mut self, now: Moment, watchdog: Option<Duration>) {
        let (dropped, standby) = (self.dropped(), self.kept.is_some());
        *self = Channel { dropped, ..Channel::new(now, Options { watchdog, standby }) };
    }

    /// The rest of the message whose turn it is, and the socket that goes with its first byte.
    pub fn to_send(&mut self, now: Moment) -> Option<(&[u8], Option<SocketId>)> {
        if self.outbox.advance() {
            self.watchdog.as_mut().into_iter().for_each(|watchdog| watchdog.asked(now));
        }
        self.outbox.front()
    }

    /// So many bytes of it are sent.
    pub fn sent(&mut self, count: usize) {
        self.outbox.sent(count);
    }

    /// The kernel, or the event loop for want of the socket, refuses to send it: a query gets the errno instead. After a torn message nothing
    /// can follow, so the channel is given up.
    pub fn send_failed(&mut self, errno: Errno) {
        if self.outbox.is_torn() {
            return self.closed();
        }
        let awaited = self.outbox.is_awaited();
        if let Some(query) = self.outbox.withdraw() {
            self.outbox.queue(outgoing::refusal(&query, errno));
        }
        if let Some(watchdog) = self.watchdog.as_mut().filter(|_| awaited) {
            watchdog.withdrawn();
        }
    }

    /// Whether there is something to send.
    pub fn wants_to_send(&self) -> bool {
        self.outbox.wants_to_send()
    }

    /// The other end is closed: the app disconnected or died. Nothing is sent from now on, and nothing is awaited.
    pub fn closed(&mut self) {
        let (is_ready, dropped) = (self.is_ready, self.dropped());
        *self = Channel { open: false, is_ready, dropped, outbox: Outbox::default(), ..Channel::new(Moment::START, Options::default()) };
    }

    /// Time has passed; to be told after what was read. `had`: what the child had of it.
    pub fn tick(&mut self, now: Moment, had: Had) -> Turn {
        let turn = self.watchdog.as_mut().map_or(Turn::Wait, |watchdog| watchdog.tick(now, had));
        if turn == Turn::Ask {
            // Asked from now on, even where there is no room to send it: an app that reads nothing does not turn.
            self.outbox.ping();
            self.watchdog.as_mut().into_iter().for_each(|watchdog| watchdog.asked(now));
        }
        turn
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
        self.is_ready
    }

    pub fn dropped(&self) -> Dropped {
        Dropped { unsent: self.dropped.unsent + self.outbox.unsent(), ..self.dropped }
    }
}

#[cfg(test)]
mod tests;
