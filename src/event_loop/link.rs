//! One generation's Node channel: our end of it, what `node` makes of its bytes, and its deadlines. It moves bytes and sockets, and turns what
//! the app says into events for the supervisor. No app can hold it up: a turn reads and writes a bounded amount, and nothing waits.

use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd, RawFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::PollFlags;
use nix::unistd::Pid;

use super::held_sockets::HeldSockets;
use crate::generation_number::GenerationNumber;
use crate::logger::warn_once;
use crate::node::channel::{Channel, NodeEvent, Options};
use crate::node::permission::Speaker;
use crate::supervisor::event::ChannelEvent;
use crate::sys::channel::{self, Received, Sent};
use crate::time::Moment;

mod own_time;
mod requests;
mod speaker;
mod watching;

use own_time::OwnTime;

/// Bytes read at a time, and times in one turn.
const CHUNK: usize = 16 * 1024;
const CHUNKS_A_TURN: usize = 4;
/// Messages written in one turn.
const SENT_A_TURN: usize = 64;
/// Between two attempts where the kernel is short of memory.
const RETRY: Duration = Duration::from_millis(10);
/// A command that has not answered for so long is mentioned in the log.
const SILENCE: Duration = Duration::from_secs(30);

/// A channel that a command was just given: our end, and the number of its own.
#[derive(Debug)]
pub(super) struct ChannelEnd {
    pub ours: OwnedFd,
    pub number: RawFd,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Link {
    pub generation: GenerationNumber,
    pub pid: Pid,
    /// `None`: closed.
    end: Option<OwnedFd>,
    channel: Channel,
    /// The number of the command's end there.
    number: RawFd,
    /// How long its event loop may be blocked.
    watchdog: Option<Duration>,
    /// Who has written to it.
    speaker: Speaker,
    /// It is a launcher, and not the app.
    has_launcher: bool,
    own_time: OwnTime,
    /// It was told that its loop is late for want of a processor.
    is_late_told: bool,
    /// Somebody was attached to its inspector when it last owed an answer for too long.
    was_attached: bool,
    /// The app reads nothing now.
    is_full: bool,
    answered: bool,
    /// Its loop has turned since somebody asked.
    has_turned: bool,
    /// A server of it listens, or has.
    has_listened: bool,
    /// A request to stop that may not have gone out yet.
    stop_requested: bool,
    /// The event loop was asked for a sign just before the request to stop, and has given none yet.
    is_request_unanswered: bool,
    silent_at: Option<Moment>,
    /// The kernel was short of memory: what waits is sent then.
    retry_at: Option<Moment>,
    /// What the supervisor is to be told.
    events: Vec<ChannelEvent>,
}

impl Link {
    /// The link of a generation that was just spawned.
    pub(super) fn new(now: Moment, generation: GenerationNumber, pid: Pid, end: ChannelEnd, options: Options) -> Link {
        Link {
            generation,
            pid,
            end: Some(end.ours),
            number: end.number,
            watchdog: options.watchdog,
            channel: Channel::new(now, options),
            speaker: Speaker::default(),
            has_launcher: false,
            own_time: OwnTime::default(),
            is_late_told: false,
            was_attached: false,
            is_full: false,
            answered: false,
            has_turned: false,
            has_listened: false,
            stop_requested: false,
            is_request_unanswered: false,
            silent_at: Some(now + SILENCE),
            retry_at: None,
            events: Vec::new(),
        }
    }

    /// What to poll for.
    pub(super) fn interest(&self) -> Option<(BorrowedFd<'_>, PollFlags)> {
        let write = if self.is_full { PollFlags::POLLOUT } else { PollFlags::empty() };
        Some((self.end.as_ref()?.as_fd(), PollFlags::POLLIN | write))
    }

    /// When [`Link::turn`] is due though nothing is ready.
    pub(super) fn deadline(&self) -> Option<Moment> {
        self.channel.deadline().into_iter().chain(self.silent_at).chain(self.retry_at).min()
    }

    /// One turn. `ready` tells what poll said of a descriptor. Gives back what the supervisor is to be told.
    pub(super) fn turn(
        &mut self,
        ready: &dyn Fn(RawFd) -> PollFlags,
        now: Moment,
        sockets: &mut HeldSockets,
    ) -> impl Iterator<Item = (Pid, ChannelEvent)> + use<'_> {
        self.receive(ready, now, sockets);
        self.tick(now);
        self.transmit(now, sockets);
        let pid = self.pid;
        self.events.drain(..).map(move |event| (pid, event))
    }

    /// With a stack frame of its own: where there is no channel, its buffer takes no memory.
    #[inline(never)]
    fn receive(&mut self, ready: &dyn Fn(RawFd) -> PollFlags, now: Moment, sockets: &mut HeldSockets) {
        let mut buffer = [0; CHUNK];
        let mut heard = Vec::new();
        for _ in 0..CHUNKS_A_TURN {
            let Some(end) = &self.end else { return };
            let seen = ready(end.as_raw_fd());
            if seen.contains(PollFlags::POLLOUT) {
                self.is_full = false;
            }
            if seen.difference(PollFlags::POLLOUT).is_empty() {
                return;
            }
            let (received, sender) = channel::receive(end, &mut buffer);
            match received {
                Received::Nothing => return,
                Received::Closed => return self.closed(),
                Received::Bytes(count) => {
                    self.identify(sender, now, sockets);
                    self.channel.receive(now, buffer.get(..count).unwrap_or_default(), &mut heard);
                    for event in heard.drain(..) {
                        let event = self.hear(event, now, sockets);
                        self.events
                            .extend(event.and_then(|event| if self.has_launcher { speaker::of_launcher(event) } else { Some(event) }));
                    }
                    if self.has_launcher {
                        self.answer_launcher(now, sockets);
                    }
                    if count < CHUNK {
                        return;
                    }
                }
            }
        }
    }

    /// What the supervisor is to be told of it.
    fn hear(&mut self, event: NodeEvent, now: Moment, sockets: &mut HeldSockets) -> Option<ChannelEvent> {
        let Link { generation, pid, .. } = *self;
        match event {
            NodeEvent::Ready => Some(ChannelEvent::Ready),
            NodeEvent::Unready => Some(ChannelEvent::Unready),
            NodeEvent::Answered { .. } => {
                self.silent_at = None;
                self.has_turned = true;
                let is_first = !std::mem::replace(&mut self.answered, true);
                if std::mem::take(&mut self.is_request_unanswered) {
                    return Some(ChannelEvent::RequestAnswered);
                }
                is_first.then_some(ChannelEvent::Answered)
            }
            NodeEvent::Query(mut query) => {
                let outcome = sockets.query(generation, self.speaker.sender(), &mut query);
                self.channel.answer(query, outcome);
                None
            }
            NodeEvent::Waiting => Some(ChannelEvent::AtListen),
            NodeEvent::Listening(_) => {
                self.has_listened = true;
                Some(ChannelEvent::Listening(sockets.listeners(generation)))
            }
            NodeEvent::Closed { key } => {
                sockets.closed(now, generation, &key);
                match sockets.serves(generation) {
                    false => Some(ChannelEvent::Closed),
                    true => self.has_listened.then(|| ChannelEvent::Listening(sockets.listeners(generation))),
                }
            }
            NodeEvent::Disconnecting => Some(ChannelEvent::Disconnecting),
            NodeEvent::ForPrimary(library) => {
                warn_once!(
                    "generation {generation} (pid {pid}): {} asks a primary of its own, which there is none of here, and {}: {}",
                    library.name,
                    library.loss,
                    library.remedy
                );
                None
            }
            NodeEvent::MalformedFirst => {
                warn_once!(
                    "generation {generation} (pid {pid}) wrote a line to the Node channel that is no JSON: dropped, and those that follow \
                     unmentioned"
                );
                None
            }
            NodeEvent::TooLongFirst => {
                log::info!(
                    "generation {generation} (pid {pid}) sent a message of more than 64 KiB: dropped, and those that follow unmentioned"
                );
                None
            }
        }
    }

    fn tick(&mut self, now: Moment) {
        let is_due = |at: Option<Moment>| at.is_some_and(|at| at <= now);
        if is_due(self.channel.deadline()) {
            self.watch_loop(now);
        }
        if is_due(self.silent_at) {
            self.silent_at = None;
            self.events.push(ChannelEvent::Silent);
        }
    }

    /// Sends what waits, as far as the app takes it.
    pub(super) fn transmit(&mut self, now: Moment, sockets: &HeldSockets) {
        let Some(end) = &self.end else { return };
        for _ in 0..SENT_A_TURN {
            if self.is_full || self.retry_at.is_some_and(|at| at > now) {
                return;
            }
            self.retry_at = None;
            let Some((bytes, id)) = self.channel.to_send(now) else {
                self.stop_requested = false;
                return;
            };
            let socket = id.map(|id| sockets.get(id).ok_or(Errno::EBADF)).transpose();
            match socket.map(|socket| channel::send(end, bytes, socket)) {
                Ok(Sent::Bytes(count)) => self.channel.sent(count),
                Ok(Sent::Full) => self.is_full = true,
                Ok(Sent::Closed) => return self.closed(),
                // Only the socket in it can be what is refused.
                Ok(Sent::Refused(errno)) | Err(errno) if id.is_some() => self.channel.send_failed(errno),
                Ok(Sent::Short | Sent::Refused(_)) | Err(_) => {
                    self.retry_at = Some(now + RETRY);
                    return;
                }
            }
        }
    }

    fn closed(&mut self) {
        self.end = None;
        self.silent_at = None;
        self.channel.closed();
        if std::mem::take(&mut self.stop_requested) {
            self.events.push(ChannelEvent::NotSent);
        }
        self.events.push(ChannelEvent::Gone);
    }

    /// Messages that came to nothing.
    pub(super) fn dropped(&self) -> u64 {
        let dropped = self.channel.dropped();
        dropped.app.saturating_add(dropped.malformed).saturating_add(dropped.too_long).saturating_add(dropped.unsent)
    }
}
