//! The Node channels of all generations, a link each, and the sockets that are held for them.

use std::os::fd::{BorrowedFd, RawFd};
use std::time::Duration;

use nix::poll::PollFlags;
use nix::unistd::Pid;

use super::held_sockets::HeldSockets;
use super::lingering::Lingering;
use super::link::{ChannelEnd, Link};
use crate::generation_number::GenerationNumber;
use crate::node::channel::Options;
use crate::observe::snapshot::EventLoop;
use crate::procfs::node_loop::Left;
use crate::supervisor::event::{AppRequest, Event, StartRole};
use crate::time::Moment;

/// See the module. Without a channel it costs nothing.
#[derive(Debug, Default)]
pub(super) struct Links {
    watchdog: Option<Duration>,
    links: Vec<Link>,
    lingering: Lingering,
    pub sockets: HeldSockets,
    /// What the supervisor is to be told.
    events: Vec<Event>,
    /// Messages dropped by links that are gone.
    dropped: u64,
}

impl Links {
    pub(super) fn new(watchdog: Option<Duration>, sockets: HeldSockets) -> Links {
        Links { watchdog, sockets, ..Links::default() }
    }

    /// A generation was spawned with a channel.
    pub(super) fn spawned(&mut self, now: Moment, generation: GenerationNumber, pid: Pid, role: StartRole, end: ChannelEnd) {
        let options = Options { watchdog: self.watchdog, standby: role == StartRole::Standby };
        let mut link = Link::new(now, generation, pid, end, options);
        link.transmit(now, &self.sockets);
        self.links.push(link);
    }

    /// The command was reaped: its link goes, the sockets stay.
    pub(super) fn exited(&mut self, pid: Pid, now: Moment) {
        for link in self.links.extract_if(.., |link| link.pid == pid) {
            self.dropped = self.dropped.saturating_add(link.dropped());
            self.sockets.died(link.generation);
            if let Some(outliving) = link.outliving() {
                self.lingering.keep(now, outliving);
            }
        }
        if self.links.is_empty() {
            // Gives the memory back.
            (self.links, self.events) = (Vec::new(), Vec::new());
        }
    }

    /// What to poll for.
    pub(super) fn interests(&self) -> impl Iterator<Item = (BorrowedFd<'_>, PollFlags)> {
        self.links.iter().filter_map(Link::interest)
    }

    /// When [`Links::turn`] is due though nothing is ready.
    pub(super) fn deadline(&self) -> Option<Moment> {
        self.links.iter().filter_map(Link::deadline).chain(self.sockets.deadline()).chain(self.lingering.deadline()).min()
    }

    /// One turn. `ready` tells what poll said of a descriptor. Gives back what the supervisor is to be told.
    pub(super) fn turn(&mut self, ready: &dyn Fn(RawFd) -> PollFlags, now: Moment) -> Vec<Event> {
        for link in &mut self.links {
            self.events.extend(link.turn(ready, now, &mut self.sockets).map(|(pid, event)| Event::Channel { pid, event }));
        }
        self.lingering.tick(now);
        let released = self.sockets.release_due(now);
        self.events.extend((!released.is_empty()).then_some(Event::SocketsReleased(released)));
        std::mem::take(&mut self.events)
    }

    /// Says something to a command; false: it cannot be said.
    pub(super) fn send_request(&mut self, pid: Pid, request: AppRequest, now: Moment) -> bool {
        self.links.iter_mut().find(|link| link.pid == pid).is_some_and(|link| link.send_request(request, now, &self.sockets))
    }

    /// Gives a standby what it has asked for.
    pub(super) fn promote(&mut self, pid: Pid, now: Moment) {
        if let Some(link) = self.links.iter_mut().find(|link| link.pid == pid) {
            link.promote(now, &mut self.sockets);
        }
    }

    /// How much a command's app has left to do; `None`: that cannot be told.
    pub(super) fn left_to_do(&self, pid: Pid) -> Option<Left> {
        self.links.iter().find(|link| link.pid == pid)?.left_to_do()
    }

    /// From now on a command's event loop has to turn.
    pub(super) fn watch(&mut self, pid: Pid) {
        self.links.iter_mut().filter(|link| link.pid == pid).for_each(Link::watch);
    }

    /// How late a command's event loop was; `None`: nobody measures it, or it has not answered yet.
    pub(super) fn event_loop(&mut self, pid: Pid, is_scrape: bool, now: Moment) -> Option<EventLoop> {
        self.links.iter_mut().find(|link| link.pid == pid)?.event_loop(is_scrape, now)
    }

    /// Whether the event loop of this command has turned since this was last asked.
    pub(super) fn has_answered(&mut self, pid: Option<Pid>) -> bool {
        let mut has_answered = false;
        for link in &mut self.links {
            has_answered |= link.take_answer() && Some(link.pid) == pid;
        }
        has_answered
    }

    /// Messages that came to nothing, of all generations.
    pub(super) fn messages_dropped(&self) -> u64 {
        self.links.iter().map(Link::dropped).fold(self.dropped, u64::saturating_add)
    }
}
