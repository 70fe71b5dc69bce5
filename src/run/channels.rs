//! The hall's Node channels: one wire for each generation, and the sockets that are held for all of them. It has the hands move bytes and
//! sockets and thought make sense of them, and turns what the apps say into the supervisor's news. No app can hold it up: a turn reads and
//! writes a bounded amount of each wire, and nothing waits.

use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd, RawFd};
use std::time::Duration;

use nix::poll::PollFlags;

use super::sockets::Sockets;
use super::wire::Wire;
use crate::logger::warn_once;
use crate::node::channel::{Event, Options};
use crate::observe::snapshot::EventLoop;
use crate::supervisor::event::{News, Word};
use crate::supervisor::time::Moment;
use crate::sys::channel::{self, Received, Sent};
use crate::sys::processes;

/// Bytes read at a time, and times in one turn.
const CHUNK: usize = 16 * 1024;
const CHUNKS_A_TURN: usize = 4;
/// Messages written in one turn to one wire.
const SENT_A_TURN: usize = 64;
/// Between two attempts where the kernel is short of memory.
const RETRY: Duration = Duration::from_millis(10);
/// After so long, a generation that listens has asked for all that it wants.
const SETTLED: Duration = Duration::from_secs(10);

/// See the module. Without a channel it costs nothing.
#[derive(Debug, Default)]
pub struct Channels {
    watchdog: Option<Duration>,
    wires: Vec<Wire>,
    pub sockets: Sockets,
    /// Used again in each turn.
    heard: Vec<Event>,
    /// What the supervisor is to be told, by pid.
    news: Vec<(i32, News)>,
    /// Messages dropped by wires that are gone.
    dropped: u64,
}

impl Channels {
    pub fn new(watchdog: Option<Duration>, sockets: Sockets) -> Channels {
        Channels { watchdog, sockets, ..Channels::default() }
    }

    /// Opens a wire for a generation that is about to be spawned; gives back the command's end.
    ///
    /// # Errors
    /// The errno of socketpair(2).
    pub fn open(&mut self, now: Moment, generation: u32, standby: bool) -> Result<OwnedFd, i32> {
        let (ours, theirs) = channel::pair()?;
        self.wires.push(Wire::new(now, generation, ours, Options { watchdog: self.watchdog, standby }));
        Ok(theirs)
    }

    /// The generation runs, or was not to be had.
    pub fn spawned(&mut self, now: Moment, generation: u32, pid: Option<i32>) {
        let found = self.wires.iter().position(|wire| wire.generation == generation);
        match (pid, found.and_then(|index| self.wires.get_mut(index).zip(Some(index)))) {
            (Some(pid), Some((wire, index))) => {
                wire.pid = pid;
                self.transmit(index, now);
            }
            _ => self.wires.retain(|wire| wire.generation != generation),
        }
    }

    /// The command was reaped: its wire goes, the sockets stay.
    pub fn exited(&mut self, pid: i32) {
        for wire in self.wires.extract_if(.., |wire| wire.pid == pid) {
            self.dropped = self.dropped.saturating_add(wire.dropped());
            self.sockets.died(wire.generation);
        }
        if self.wires.is_empty() {
            // Gives the memory back.
            (self.wires, self.heard, self.news) = (Vec::new(), Vec::new(), Vec::new());
        }
    }

    /// What to poll for.
    pub fn interests(&self) -> impl Iterator<Item = (BorrowedFd<'_>, PollFlags)> {
        self.wires.iter().filter_map(|wire| {
            let write = if wire.is_full { PollFlags::POLLOUT } else { PollFlags::empty() };
            Some((wire.end.as_ref()?.as_fd(), PollFlags::POLLIN | write))
        })
    }

    /// When [`Channels::turn`] is due though nothing is ready.
    pub fn deadline(&self) -> Option<Moment> {
        let of_wire =
            |wire: &Wire| wire.channel.deadline().into_iter().chain(wire.silent_at).chain(wire.settled_at).chain(wire.retry_at).min();
        self.wires.iter().filter_map(of_wire).chain(self.sockets.deadline()).min()
    }

    /// One turn. `ready` tells what poll said of a descriptor. Gives back what the supervisor is to be told.
    pub fn turn(&mut self, ready: &dyn Fn(RawFd) -> PollFlags, now: Moment) -> Vec<(i32, News)> {
        for index in 0..self.wires.len() {
            self.receive(index, ready, now);
            self.tick(index, now);
            self.transmit(index, now);
        }
        self.sockets.release_due(now);
        std::mem::take(&mut self.news)
    }

    fn receive(&mut self, index: usize, ready: &dyn Fn(RawFd) -> PollFlags, now: Moment) {
        use std::os::fd::AsRawFd as _;
        let mut buffer = [0; CHUNK];
        for _ in 0..CHUNKS_A_TURN {
            let Some(wire) = self.wires.get_mut(index) else { return };
            let Some(end) = &wire.end else { return };
            let seen = ready(end.as_raw_fd());
            if seen.contains(PollFlags::POLLOUT) {
                wire.is_full = false;
            }
            if seen.difference(PollFlags::POLLOUT).is_empty() {
                return;
            }
            let (received, sender) = channel::receive(end, &mut buffer);
            match received {
                Received::Nothing => return,
                Received::Closed => return self.closed(index),
                Received::Bytes(count) => {
                    wire.speaker.heard(sender);
                    let mut heard = std::mem::take(&mut self.heard);
                    wire.channel.receive(now, buffer.get(..count).unwrap_or_default(), &mut heard);
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

    fn hear(&mut self, index: usize, event: Event, now: Moment) {
        let Some(wire) = self.wires.get_mut(index) else { return };
        let (generation, pid, sender) = (wire.generation, wire.pid, wire.speaker.sender());
        let news = match event {
            Event::Ready => News::Ready,
            Event::Answered { .. } => {
                wire.silent_at = None;
                if std::mem::replace(&mut wire.answered, true) {
                    return;
                }
                News::Answered
            }
            Event::Query(mut query) => {
                let outcome = self.sockets.query(generation, sender, &mut query);
                return wire.channel.answer(query, outcome);
            }
            Event::Waiting => News::AtListen,
            Event::Listening(_) => {
                wire.settled_at = Some(now.saturating_add(SETTLED));
                News::Listening
            }
            Event::Closed { key } => {
                self.sockets.closed(now, generation, &key);
                if self.sockets.serves(generation) {
                    return;
                }
                News::Closed
            }
            Event::Disconnecting => return,
            Event::MalformedFirst => {
                return warn_once!(
                    "generation {generation} (pid {pid}) wrote a line to the Node channel that is no JSON: dropped, and those that follow \
                     unmentioned"
                );
            }
            Event::TooLongFirst => {
                return log::info!(
                    "generation {generation} (pid {pid}) sent a message of more than 64 KiB: dropped, and those that follow unmentioned"
                );
            }
        };
        self.news.push((pid, news));
    }

    fn tick(&mut self, index: usize, now: Moment) {
        let Some(wire) = self.wires.get_mut(index) else { return };
        if wire.channel.deadline().is_some_and(|deadline| deadline <= now) && wire.channel.tick(now, processes::is_stopped(wire.pid)) {
            self.news.push((wire.pid, News::Blocked));
        }
        if wire.silent_at.is_some_and(|at| at <= now) {
            wire.silent_at = None;
            self.news.push((wire.pid, News::Silent));
        }
        if wire.settled_at.is_some_and(|at| at <= now) {
            wire.settled_at = None;
            self.sockets.release_unused();
        }
    }

    fn transmit(&mut self, index: usize, now: Moment) {
        let Some(wire) = self.wires.get_mut(index) else { return };
        let Some(end) = &wire.end else { return };
        for _ in 0..SENT_A_TURN {
            if wire.is_full || wire.retry_at.is_some_and(|at| at > now) {
                return;
            }
            wire.retry_at = None;
            let Some((bytes, id)) = wire.channel.to_send(now) else {
                wire.stop_said = false;
                return;
            };
            let socket = id.map(|id| self.sockets.get(id).ok_or(libc::EBADF)).transpose();
            match socket.map(|socket| channel::send(end, bytes, socket)) {
                Ok(Sent::Bytes(count)) => wire.channel.sent(count),
                Ok(Sent::Full) => wire.is_full = true,
                // Without a socket in it, it is not the message that is refused.
                Ok(Sent::Short | Sent::Refused(_)) if id.is_none() => {
                    wire.retry_at = Some(now.saturating_add(RETRY));
                    return;
                }
                Ok(Sent::Short) => {
                    wire.retry_at = Some(now.saturating_add(RETRY));
                    return;
                }
                Ok(Sent::Closed) => return self.closed(index),
                Ok(Sent::Refused(errno)) | Err(errno) => wire.channel.send_failed(errno),
            }
        }
    }

    fn closed(&mut self, index: usize) {
        let Some(wire) = self.wires.get_mut(index) else { return };
        wire.end = None;
        wire.silent_at = None;
        wire.channel.closed();
        if std::mem::take(&mut wire.stop_said) {
            self.news.push((wire.pid, News::Unsaid));
        }
        self.news.push((wire.pid, News::Gone));
    }

    /// Says something to a command; false: it cannot be said.
    pub fn say(&mut self, pid: i32, word: Word, now: Moment) -> bool {
        let Some(index) = self.wires.iter().position(|wire| wire.pid == pid) else { return false };
        let Some(wire) = self.wires.get_mut(index) else { return false };
        let open = match word {
            Word::Shutdown => wire.channel.shut_down(),
            Word::Disconnect => wire.channel.disconnect(),
        };
        wire.stop_said = open && word == Word::Shutdown;
        self.transmit(index, now);
        open
    }

    /// Gives a standby what it has asked for.
    pub fn promote(&mut self, pid: i32, now: Moment) {
        let Some(index) = self.wires.iter().position(|wire| wire.pid == pid) else { return };
        let Some(wire) = self.wires.get_mut(index) else { return };
        for mut query in wire.channel.activate() {
            let outcome = self.sockets.query(wire.generation, wire.speaker.sender(), &mut query);
            wire.channel.answer(query, outcome);
        }
        self.transmit(index, now);
    }

    /// How late a command's event loop was; `None`: nobody measures it, or it has not answered yet.
    pub fn event_loop(&mut self, pid: i32, is_scrape: bool) -> Option<EventLoop> {
        let wire = self.wires.iter_mut().find(|wire| wire.pid == pid)?;
        let watchdog = wire.channel.watchdog()?;
        let last = watchdog.last()?;
        let largest = if is_scrape { watchdog.take_largest() } else { watchdog.largest() };
        Some(EventLoop { last, largest: largest.unwrap_or(last) })
    }

    /// Messages that came to nothing, of all generations.
    pub fn messages_dropped(&self) -> u64 {
        self.wires.iter().map(|wire| wire.dropped()).fold(self.dropped, u64::saturating_add)
    }
}
