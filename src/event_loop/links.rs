//! The Node channels of all generations, a link each, and the sockets that are held for them. They move bytes and sockets, have `node` make
//! sense of them, and turn what the apps say into events for the supervisor. No app can hold it up: a turn reads and
//! writes a bounded amount of each link, and nothing waits.

use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd, RawFd};
use std::time::Duration;

use nix::poll::PollFlags;

use super::held_sockets::HeldSockets;
use super::link::Link;
use crate::logger::warn_once;
use crate::node::channel::{NodeEvent, Options};
use crate::observe::snapshot::EventLoop;
use crate::supervisor::event::{AppRequest, ChannelEvent};
use crate::sys::channel::{self, Received, Sent};
use crate::sys::processes;
use crate::time::Moment;

/// Bytes read at a time, and times in one turn.
const CHUNK: usize = 16 * 1024;
const CHUNKS_A_TURN: usize = 4;
/// Messages written in one turn to one link.
const SENT_A_TURN: usize = 64;
/// Between two attempts where the kernel is short of memory.
const RETRY: Duration = Duration::from_millis(10);
/// After so long, a generation that listens has asked for all that it wants.
const SETTLED: Duration = Duration::from_secs(10);

/// See the module. Without a channel it costs nothing.
#[derive(Debug, Default)]
pub struct Links {
    watchdog: Option<Duration>,
    links: Vec<Link>,
    pub sockets: HeldSockets,
    /// Used again in each turn.
    heard: Vec<NodeEvent>,
    /// What the supervisor is to be told, by pid.
    events: Vec<(i32, ChannelEvent)>,
    /// Messages dropped by links that are gone.
    dropped: u64,
}

impl Links {
    pub fn new(watchdog: Option<Duration>, sockets: HeldSockets) -> Links {
        Links { watchdog, sockets, ..Links::default() }
    }

    /// Opens a link for a generation that is about to be spawned; gives back the command's end.
    ///
    /// # Errors
    /// The errno of socketpair(2).
    pub fn open(&mut self, now: Moment, generation: u32, standby: bool) -> Result<OwnedFd, i32> {
        let (ours, theirs) = channel::pair()?;
        self.links.push(Link::new(now, generation, ours, Options { watchdog: self.watchdog, standby }));
        Ok(theirs)
    }

    /// The generation runs, or was not to be had.
    pub fn spawned(&mut self, now: Moment, generation: u32, pid: Option<i32>) {
        let found = self.links.iter().position(|link| link.generation == generation);
        match (pid, found.and_then(|index| self.links.get_mut(index).zip(Some(index)))) {
            (Some(pid), Some((link, index))) => {
                link.pid = pid;
                self.transmit(index, now);
            }
            _ => self.links.retain(|link| link.generation != generation),
        }
    }

    /// The command was reaped: its link goes, the sockets stay.
    pub fn exited(&mut self, pid: i32) {
        for link in self.links.extract_if(.., |link| link.pid == pid) {
            self.dropped = self.dropped.saturating_add(link.dropped());
            self.sockets.died(link.generation);
        }
        if self.links.is_empty() {
            // Gives the memory back.
            (self.links, self.heard, self.events) = (Vec::new(), Vec::new(), Vec::new());
        }
    }

    /// What to poll for.
    pub fn interests(&self) -> impl Iterator<Item = (BorrowedFd<'_>, PollFlags)> {
        self.links.iter().filter_map(|link| {
            let write = if link.is_full { PollFlags::POLLOUT } else { PollFlags::empty() };
            Some((link.end.as_ref()?.as_fd(), PollFlags::POLLIN | write))
        })
    }

    /// When [`Links::turn`] is due though nothing is ready.
    pub fn deadline(&self) -> Option<Moment> {
        let of_link =
            |link: &Link| link.channel.deadline().into_iter().chain(link.silent_at).chain(link.settled_at).chain(link.retry_at).min();
        self.links.iter().filter_map(of_link).chain(self.sockets.deadline()).min()
    }

    /// One turn. `ready` tells what poll said of a descriptor. Gives back what the supervisor is to be told.
    pub fn turn(&mut self, ready: &dyn Fn(RawFd) -> PollFlags, now: Moment) -> Vec<(i32, ChannelEvent)> {
        for index in 0..self.links.len() {
            self.receive(index, ready, now);
            self.tick(index, now);
            self.transmit(index, now);
        }
        self.sockets.release_due(now);
        std::mem::take(&mut self.events)
    }

    fn receive(&mut self, index: usize, ready: &dyn Fn(RawFd) -> PollFlags, now: Moment) {
        use std::os::fd::AsRawFd as _;
        let mut buffer = [0; CHUNK];
        for _ in 0..CHUNKS_A_TURN {
            let Some(link) = self.links.get_mut(index) else { return };
            let Some(end) = &link.end else { return };
            let seen = ready(end.as_raw_fd());
            if seen.contains(PollFlags::POLLOUT) {
                link.is_full = false;
            }
            if seen.difference(PollFlags::POLLOUT).is_empty() {
                return;
            }
            let (received, sender) = channel::receive(end, &mut buffer);
            match received {
                Received::Nothing => return,
                Received::Closed => return self.closed(index),
                Received::Bytes(count) => {
                    link.speaker.heard(sender);
                    let mut heard = std::mem::take(&mut self.heard);
                    link.channel.receive(now, buffer.get(..count).unwrap_or_default(), &mut heard);
                    for event in heard.drain(..) {
                        self.hear(index, event, now);
                    }
                    self.heard = heard;
                    if count < CHUNK {
                        return;
                    }
                }
            }
        }
    }

    fn hear(&mut self, index: usize, event: NodeEvent, now: Moment) {
        let Some(link) = self.links.get_mut(index) else { return };
        let (generation, pid, sender) = (link.generation, link.pid, link.speaker.sender());
        let channel_event = match event {
            NodeEvent::Ready => ChannelEvent::Ready,
            NodeEvent::Answered { .. } => {
                link.silent_at = None;
                if std::mem::replace(&mut link.answered, true) {
                    return;
                }
                ChannelEvent::Answered
            }
            NodeEvent::Query(mut query) => {
                let outcome = self.sockets.query(generation, sender, &mut query);
                return link.channel.answer(query, outcome);
            }
            NodeEvent::Waiting => ChannelEvent::AtListen,
            NodeEvent::Listening(_) => {
                link.settled_at = Some(now.saturating_add(SETTLED));
                ChannelEvent::Listening
            }
            NodeEvent::Closed { key } => {
                self.sockets.closed(now, generation, &key);
                if self.sockets.serves(generation) {
                    return;
                }
                ChannelEvent::Closed
            }
            NodeEvent::Disconnecting => return,
            NodeEvent::MalformedFirst => {
                return warn_once!(
                    "generation {generation} (pid {pid}) wrote a line to the Node channel that is no JSON: dropped, and those that follow \
                     unmentioned"
                );
            }
            NodeEvent::TooLongFirst => {
                return log::info!(
                    "generation {generation} (pid {pid}) sent a message of more than 64 KiB: dropped, and those that follow unmentioned"
                );
            }
        };
        self.events.push((pid, channel_event));
    }

    fn tick(&mut self, index: usize, now: Moment) {
        let Some(link) = self.links.get_mut(index) else { return };
        if link.channel.deadline().is_some_and(|deadline| deadline <= now) && link.channel.tick(now, processes::is_stopped(link.pid)) {
            self.events.push((link.pid, ChannelEvent::Blocked));
        }
        if link.silent_at.is_some_and(|at| at <= now) {
            link.silent_at = None;
            self.events.push((link.pid, ChannelEvent::Silent));
        }
        if link.settled_at.is_some_and(|at| at <= now) {
            link.settled_at = None;
            self.sockets.release_unused();
        }
    }

    fn transmit(&mut self, index: usize, now: Moment) {
        let Some(link) = self.links.get_mut(index) else { return };
        let Some(end) = &link.end else { return };
        for _ in 0..SENT_A_TURN {
            if link.is_full || link.retry_at.is_some_and(|at| at > now) {
                return;
            }
            link.retry_at = None;
            let Some((bytes, id)) = link.channel.to_send(now) else {
                link.stop_requested = false;
                return;
            };
            let socket = id.map(|id| self.sockets.get(id).ok_or(libc::EBADF)).transpose();
            match socket.map(|socket| channel::send(end, bytes, socket)) {
                Ok(Sent::Bytes(count)) => link.channel.sent(count),
                Ok(Sent::Full) => link.is_full = true,
                // Without a socket in it, it is not the message that is refused.
                Ok(Sent::Short | Sent::Refused(_)) if id.is_none() => {
                    link.retry_at = Some(now.saturating_add(RETRY));
                    return;
                }
                Ok(Sent::Short) => {
                    link.retry_at = Some(now.saturating_add(RETRY));
                    return;
                }
                Ok(Sent::Closed) => return self.closed(index),
                Ok(Sent::Refused(errno)) | Err(errno) => link.channel.send_failed(errno),
            }
        }
    }

    fn closed(&mut self, index: usize) {
        let Some(link) = self.links.get_mut(index) else { return };
        link.end = None;
        link.silent_at = None;
        link.channel.closed();
        if std::mem::take(&mut link.stop_requested) {
            self.events.push((link.pid, ChannelEvent::NotSent));
        }
        self.events.push((link.pid, ChannelEvent::Gone));
    }

    /// Says something to a command; false: it cannot be said.
    pub fn send_request(&mut self, pid: i32, request: AppRequest, now: Moment) -> bool {
        let Some(index) = self.links.iter().position(|link| link.pid == pid) else { return false };
        let Some(link) = self.links.get_mut(index) else { return false };
        let open = match request {
            AppRequest::Shutdown => link.channel.shut_down(),
            AppRequest::Disconnect => link.channel.disconnect(),
        };
        link.stop_requested = open && request == AppRequest::Shutdown;
        self.transmit(index, now);
        open
    }

    /// Gives a standby what it has asked for.
    pub fn promote(&mut self, pid: i32, now: Moment) {
        let Some(index) = self.links.iter().position(|link| link.pid == pid) else { return };
        let Some(link) = self.links.get_mut(index) else { return };
        for mut query in link.channel.activate() {
            let outcome = self.sockets.query(link.generation, link.speaker.sender(), &mut query);
            link.channel.answer(query, outcome);
        }
        self.transmit(index, now);
    }

    /// How late a command's event loop was; `None`: nobody measures it, or it has not answered yet.
    pub fn event_loop(&mut self, pid: i32, is_scrape: bool) -> Option<EventLoop> {
        let link = self.links.iter_mut().find(|link| link.pid == pid)?;
        let watchdog = link.channel.watchdog()?;
        let last = watchdog.last()?;
        let largest = if is_scrape { watchdog.take_largest() } else { watchdog.largest() };
        Some(EventLoop { last, largest: largest.unwrap_or(last) })
    }

    /// Messages that came to nothing, of all generations.
    pub fn messages_dropped(&self) -> u64 {
        self.links.iter().map(|link| link.dropped()).fold(self.dropped, u64::saturating_add)
    }
}
