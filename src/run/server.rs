//! The hall's doorkeeper: both doors and their connections, inside the one poll loop. It has the hands move bytes and thought make sense of
//! them. No client can hold it up: a turn does at most one read and one write a connection and accepts a few, and every connection has a
//! deadline. Idle, it has none, holds no memory, and is never woken.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::time::Duration;

use nix::poll::PollFlags;

use crate::config::address::{Address, advice};
use crate::observe::connection::{Connection, Wants};
use crate::observe::http::{Answer, Ask, Door};
use crate::supervisor::time::Moment;
use crate::sys::doors::{self, Listener};

/// Connections on TCP at one time.
const WEB_PLACES: usize = 16;
/// Connections on the control door at one time.
const CONTROL_PLACES: usize = 8;
/// Of those, so many may wait for a restart: `status` must have a place during one.
const WAITING_PLACES: usize = 4;
/// Connections accepted in one turn at each door.
const ACCEPTED_A_TURN: usize = 4;
/// How long a connection keeps its place for sure. With all places taken, a newcomer gets that of the oldest: an honest client has asked
/// within a millisecond, and what fills all places is slow. So a probe gets through a thousand idle connections, and nothing spins.
const SURE: Duration = Duration::from_millis(10);
/// How long a door is deaf after accept(2) failed: out of descriptors or memory, perhaps.
const DEAF: Duration = Duration::from_millis(100);
/// Bytes read at a time.
const CHUNK: usize = 4096;

/// What the hall answers to an [`Ask`].
pub enum Reply {
    Now(Answer),
    /// By [`Server::restart_done`]; for a restart only.
    Later,
}

/// See the module. Without doors it costs nothing.
#[derive(Default)]
pub struct Server {
    entrances: Vec<Entrance>,
    guests: Vec<Guest>,
    own_user: u32,
}

struct Entrance {
    door: Door,
    listener: Listener,
    places: usize,
    /// Newcomers are left in the kernel's queue until then.
    deaf_until: Option<Moment>,
}

struct Guest {
    door: Door,
    socket: OwnedFd,
    connection: Connection,
    since: Moment,
}

impl Server {
    /// Opens what must be open before the first spawn: the port of `--http`.
    ///
    /// # Errors
    /// One line for a person: the address, and what to do.
    pub fn open(http: Option<&Address>) -> io::Result<Server> {
        let mut server = Server { own_user: doors::own_user(), ..Server::default() };
        if let Some(address) = http {
            server.admit(Door::Web, bind(address)?, WEB_PLACES);
        }
        Ok(server)
    }

    /// Opens the control door. Before the first spawn, nobody in the container can have taken its name.
    ///
    /// # Errors
    /// /proc cannot be read, or another restartinit of this PID namespace has it (`AddrInUse`). Supervision goes on without.
    pub fn open_control(&mut self) -> io::Result<()> {
        let listener = doors::listen_control(&doors::control_name()?)?;
        self.admit(Door::Control, listener, CONTROL_PLACES);
        Ok(())
    }

    fn admit(&mut self, door: Door, listener: Listener, places: usize) {
        self.entrances.push(Entrance { door, listener, places, deaf_until: None });
    }

    /// What to poll for: each descriptor once. A connection that waits is in it for its client's end.
    pub fn interests(&self) -> impl Iterator<Item = (BorrowedFd<'_>, PollFlags)> {
        let entrances = self.entrances.iter().filter(|entrance| entrance.deaf_until.is_none());
        let entrances = entrances.map(|entrance| (entrance.listener.as_fd(), PollFlags::POLLIN));
        entrances.chain(self.guests.iter().map(|guest| (guest.socket.as_fd(), guest.interest())))
    }

    /// When [`Server::serve`] is due though nothing is ready.
    pub fn deadline(&self) -> Option<Moment> {
        let deaf = self.entrances.iter().filter_map(|entrance| entrance.deaf_until);
        deaf.chain(self.guests.iter().filter_map(|guest| guest.connection.deadline())).min()
    }

    /// Whether poll saw nothing that concerns it. `ready` tells what poll said of a descriptor.
    pub fn is_idle(&self, ready: &dyn Fn(RawFd) -> PollFlags) -> bool {
        self.interests().all(|(fd, _)| ready(fd.as_raw_fd()).is_empty())
    }

    /// One turn. `ready` tells what poll said of a descriptor. `answer` is asked for each request that is complete.
    pub fn serve(&mut self, ready: &dyn Fn(RawFd) -> PollFlags, now: Moment, answer: &mut dyn FnMut(Ask) -> Reply) {
        let mut waiting = self.guests.iter().filter(|guest| guest.connection.is_waiting()).count();
        for guest in &mut self.guests {
            if guest.connection.deadline().is_some_and(|deadline| deadline <= now) {
                guest.connection.close();
            } else {
                guest.turn(ready(guest.socket.as_raw_fd()), now, &mut waiting, answer);
            }
        }
        self.guests.retain(|guest| !guest.connection.is_closed());
        let mut entrances = std::mem::take(&mut self.entrances);
        for entrance in &mut entrances {
            let heard = entrance.deaf_until.is_some_and(|until| until <= now);
            if heard {
                entrance.deaf_until = None;
            }
            if heard || !ready(entrance.listener.as_fd().as_raw_fd()).is_empty() {
                self.accept(entrance, now, &mut waiting, answer);
            }
        }
        self.entrances = entrances;
        if self.guests.is_empty() {
            // Gives the memory back.
            self.guests = Vec::new();
        }
    }

    fn accept(&mut self, entrance: &mut Entrance, now: Moment, waiting: &mut usize, answer: &mut dyn FnMut(Ask) -> Reply) {
        for _ in 0..ACCEPTED_A_TURN {
            let made_room = match self.make_room(entrance, now) {
                Ok(made_room) => made_room,
                Err(until) => {
                    entrance.deaf_until = Some(until);
                    return;
                }
            };
            let socket = match entrance.listener.accept() {
                Ok(socket) => socket,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // A client that left before it was accepted.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => continue,
                Err(error) => {
                    log::debug!("cannot accept an observer's connection: {error}: trying again");
                    entrance.deaf_until = Some(now + DEAF);
                    return;
                }
            };
            let door = entrance.door;
            let trusted = door == Door::Web || doors::peer(socket.as_fd()).is_ok_and(|peer| peer.may_ask(self.own_user));
            let connection = if trusted { Connection::open(door, now) } else { Connection::refused(&Answer::forbidden(), now) };
            let mut guest = Guest { door, socket, connection, since: now };
            // Most have sent their request by now: it is answered in this turn.
            guest.turn(PollFlags::POLLIN | PollFlags::POLLOUT, now, waiting, answer);
            if !guest.connection.is_closed() {
                self.guests.push(guest);
            }
            if made_room {
                // As many in the long run, but not all at once: a command that was just started or signalled needs the processor too.
                entrance.deaf_until = Some(now + SURE / entrance.places as u32);
                return;
            }
        }
    }

    /// Makes room for a newcomer where there is none, and tells whether it had to; or tells when there may be some. Nobody who waits for a
    /// restart loses their place.
    fn make_room(&mut self, entrance: &Entrance, now: Moment) -> Result<bool, Moment> {
        let here = self.guests.iter().enumerate().filter(|(_, guest)| guest.door == entrance.door);
        if here.clone().count() < entrance.places {
            return Ok(false);
        }
        let oldest = here.filter(|(_, guest)| !guest.connection.is_waiting()).min_by_key(|(_, guest)| guest.since);
        match oldest.map(|(index, guest)| (index, guest.since + SURE)) {
            Some((index, sure_until)) if sure_until <= now => {
                self.guests.remove(index);
                Ok(true)
            }
            Some((_, sure_until)) => Err(sure_until),
            None => Err(now + DEAF),
        }
    }

    /// Whether anybody waits for a restart's outcome.
    pub fn awaits_restart(&self) -> bool {
        self.guests.iter().any(|guest| guest.connection.is_waiting())
    }

    /// Tells everybody who waits how the restart went: a line each way. At once, since restartinit may be about to end.
    pub fn restart_done(&mut self, outcome: Result<String, String>, now: Moment) {
        let answer = match outcome {
            Ok(line) => Answer::text(200, line),
            Err(reason) => Answer::text(503, reason),
        };
        for guest in self.guests.iter_mut().filter(|guest| guest.connection.is_waiting()) {
            guest.connection.answer(&answer, now);
            guest.transmit();
        }
    }
}

impl Guest {
    fn interest(&self) -> PollFlags {
        match self.connection.wants() {
            Wants::Read => PollFlags::POLLIN,
            Wants::Write => PollFlags::POLLOUT,
            // The client's end is told without being asked for.
            Wants::Nothing => PollFlags::empty(),
        }
    }

    /// One read and one write at most.
    fn turn(&mut self, ready: PollFlags, now: Moment, waiting: &mut usize, answer: &mut dyn FnMut(Ask) -> Reply) {
        let gone = ready.intersects(PollFlags::POLLHUP | PollFlags::POLLERR | PollFlags::POLLNVAL);
        match self.connection.wants() {
            Wants::Nothing if gone => self.connection.close(),
            Wants::Read if gone || ready.contains(PollFlags::POLLIN) => {
                if let Some(ask) = self.receive() {
                    match if ask == Ask::Restart && *waiting >= WAITING_PLACES { too_many() } else { answer(ask) } {
                        Reply::Now(answer) => self.connection.answer(&answer, now),
                        Reply::Later => {
                            self.connection.wait();
                            *waiting += 1;
                        }
                    }
                }
            }
            Wants::Write if !gone && !ready.contains(PollFlags::POLLOUT) => return,
            Wants::Read | Wants::Write | Wants::Nothing => {}
        }
        if self.connection.wants() == Wants::Write {
            self.transmit();
        }
    }

    fn receive(&mut self) -> Option<Ask> {
        let mut buffer = [0; CHUNK];
        match doors::receive(self.socket.as_fd(), &mut buffer) {
            Ok(0) => self.connection.received_end(),
            Ok(count) => return self.connection.received(buffer.get(..count).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => self.connection.close(),
        }
        None
    }

    fn transmit(&mut self) {
        match doors::transmit(self.socket.as_fd(), self.connection.unsent()) {
            Ok(count) => {
                if self.connection.sent(count) {
                    doors::end_transmission(self.socket.as_fd());
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => self.connection.close(),
        }
    }
}

fn too_many() -> Reply {
    Reply::Now(Answer::text(503, format!("{WAITING_PLACES} others wait for a restart already: ask again when it is done")))
}

/// The first candidate that can be bound; the error is that of the last.
fn bind(address: &Address) -> io::Result<Listener> {
    let mut failure = io::Error::other(format!("cannot bind {address}: no TCP address"));
    for candidate in address.candidates() {
        match doors::listen_tcp(candidate) {
            Ok(listener) => return Ok(listener),
            Err(error) => {
                failure = io::Error::new(
                    error.kind(),
                    format!("cannot bind {candidate}: {}", advice(error.raw_os_error().unwrap_or(0), "--http")),
                )
            }
        }
    }
    Err(failure)
}

#[cfg(test)]
mod tests;
