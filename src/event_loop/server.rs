//! The server of observers: HTTP over TCP and over the control socket, inside the one event loop. No client can hold it up: a turn does at most one read and one write a connection and accepts a few, and every connection has a
//! deadline. Idle, it has none, holds no memory, and is never woken.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::PollFlags;
use nix::unistd::Pid;

use crate::config::address::{Address, advice};
use crate::observe::connection::{Connection, Wants};
use crate::observe::http::{Interface, Response, Route};
use crate::observe::peer::Owner;
use crate::sys::sockets::{self, Listener};
use crate::time::Moment;

/// Connections on TCP at one time.
const HTTP_PLACES: usize = 16;
/// Connections on the control socket at one time.
const CONTROL_PLACES: usize = 8;
/// Of those, so many may wait for a restart: `status` must have a place during one.
const WAITING_PLACES: usize = 4;
/// Connections accepted in one turn from each listener.
const ACCEPTED_A_TURN: usize = 4;
/// How long a connection keeps its place for sure. With all places taken, a newcomer gets that of the oldest: an honest client has asked
/// within a millisecond, and what fills all places is slow. So a probe gets through a thousand idle connections, and nothing spins.
const SURE: Duration = Duration::from_millis(10);
/// How long a listener is left alone after accept(2) failed: out of descriptors or memory, perhaps.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Bytes read at a time.
const CHUNK: usize = 4096;

/// What the event loop answers to a [`Route`].
pub enum Reply {
    Now(Response),
    /// By [`Server::restart_done`]; for a restart only.
    Later,
}

/// See the module. Without listeners it costs nothing.
#[derive(Default)]
pub struct Server {
    acceptors: Vec<Acceptor>,
    clients: Vec<Client>,
    own_user: u32,
}

struct Acceptor {
    interface: Interface,
    listener: Listener,
    places: usize,
    /// Newcomers are left in the kernel's queue until then.
    paused_until: Option<Moment>,
}

struct Client {
    interface: Interface,
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
        let mut server = Server { own_user: sockets::own_user(), ..Server::default() };
        if let Some(address) = http {
            server.admit(Interface::Http, bind(address)?, HTTP_PLACES);
        }
        Ok(server)
    }

    /// Opens the control socket, under the first name of this container or, where that is taken, one with our pid; tells which.
    ///
    /// # Errors
    /// /proc cannot be read, or both names are taken (`AddrInUse`).
    pub fn open_control(&mut self, own_pid: Pid) -> io::Result<Owner> {
        let container = sockets::container()?;
        let (listener, owner) = match sockets::listen_control(&container.name()) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                (sockets::listen_control(&container.name_of(own_pid))?, Owner::Further(own_pid))
            }
            listener => (listener?, Owner::First),
        };
        self.admit(Interface::Control, listener, CONTROL_PLACES);
        Ok(owner)
    }

    fn admit(&mut self, interface: Interface, listener: Listener, places: usize) {
        self.acceptors.push(Acceptor { interface, listener, places, paused_until: None });
    }

    /// What to poll for: each descriptor once. A connection that waits is in it for its client's end.
    pub fn interests(&self) -> impl Iterator<Item = (BorrowedFd<'_>, PollFlags)> {
        let heard = self.acceptors.iter().filter(|acceptor| acceptor.paused_until.is_none());
        let acceptors = heard.map(|acceptor| (acceptor.listener.as_fd(), PollFlags::POLLIN));
        acceptors.chain(self.clients.iter().map(|client| (client.socket.as_fd(), client.interest())))
    }

    /// The kernel's numbers of the sockets that connections come in at.
    pub fn inodes(&self) -> impl Iterator<Item = u64> {
        self.acceptors.iter().map(|acceptor| sockets::inode(acceptor.listener.as_fd()))
    }

    /// When [`Server::serve`] is due though nothing is ready.
    pub fn deadline(&self) -> Option<Moment> {
        let deaf = self.acceptors.iter().filter_map(|acceptor| acceptor.paused_until);
        deaf.chain(self.clients.iter().filter_map(|client| client.connection.deadline())).min()
    }

    /// Whether poll saw nothing that concerns it. `ready` tells what poll said of a descriptor.
    pub fn is_idle(&self, ready: &dyn Fn(RawFd) -> PollFlags) -> bool {
        self.interests().all(|(fd, _)| ready(fd.as_raw_fd()).is_empty())
    }

    /// One turn. `ready` tells what poll said of a descriptor. `answer` is asked for each request that is complete.
    pub fn serve(&mut self, ready: &dyn Fn(RawFd) -> PollFlags, now: Moment, answer: &mut dyn FnMut(Route) -> Reply) {
        let mut waiting = self.clients.iter().filter(|client| client.connection.is_waiting()).count();
        for client in &mut self.clients {
            if client.connection.deadline().is_some_and(|deadline| deadline <= now) {
                client.connection.close();
            } else {
                client.turn(ready(client.socket.as_raw_fd()), now, &mut waiting, answer);
            }
        }
        self.clients.retain(|client| !client.connection.is_closed());
        let mut acceptors = std::mem::take(&mut self.acceptors);
        for acceptor in &mut acceptors {
            let heard = acceptor.paused_until.is_some_and(|until| until <= now);
            if heard {
                acceptor.paused_until = None;
            }
            if heard || !ready(acceptor.listener.as_fd().as_raw_fd()).is_empty() {
                self.accept(acceptor, now, &mut waiting, answer);
            }
        }
        self.acceptors = acceptors;
        if self.clients.is_empty() {
            self.clients = Vec::new();
        }
    }

    fn accept(&mut self, acceptor: &mut Acceptor, now: Moment, waiting: &mut usize, answer: &mut dyn FnMut(Route) -> Reply) {
        for _ in 0..ACCEPTED_A_TURN {
            let made_room = match self.make_room(acceptor, now) {
                Ok(made_room) => made_room,
                Err(until) => {
                    acceptor.paused_until = Some(until);
                    return;
                }
            };
            let socket = match acceptor.listener.accept() {
                Ok(socket) => socket,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => continue,
                Err(error) => {
                    log::debug!("cannot accept an observer's connection: {error}: trying again");
                    acceptor.paused_until = Some(now + ACCEPT_PAUSE);
                    return;
                }
            };
            let interface = acceptor.interface;
            let trusted = interface == Interface::Http || sockets::peer(socket.as_fd()).is_ok_and(|peer| peer.may_ask(self.own_user));
            let connection = if trusted { Connection::open(interface, now) } else { Connection::refused(&Response::forbidden(), now) };
            let mut client = Client { interface, socket, connection, since: now };
            // Most have sent their request by now: it is answered in this turn.
            client.turn(PollFlags::POLLIN | PollFlags::POLLOUT, now, waiting, answer);
            if !client.connection.is_closed() {
                self.clients.push(client);
            }
            if made_room {
                // As many in the long run, but not all at once: a command that was just started or signalled needs the processor too.
                acceptor.paused_until = Some(now + SURE / u32::try_from(acceptor.places).unwrap_or(1));
                return;
            }
        }
    }

    /// Makes room for a newcomer where there is none, and tells whether it had to; or tells when there may be some. Nobody who waits for a
    /// restart loses their place.
    fn make_room(&mut self, acceptor: &Acceptor, now: Moment) -> Result<bool, Moment> {
        let here = self.clients.iter().enumerate().filter(|(_, client)| client.interface == acceptor.interface);
        if here.clone().count() < acceptor.places {
            return Ok(false);
        }
        let oldest = here.filter(|(_, client)| !client.connection.is_waiting()).min_by_key(|(_, client)| client.since);
        match oldest.map(|(index, client)| (index, client.since + SURE)) {
            Some((index, sure_until)) if sure_until <= now => {
                self.clients.remove(index);
                Ok(true)
            }
            Some((_, sure_until)) => Err(sure_until),
            None => Err(now + ACCEPT_PAUSE),
        }
    }

    /// Whether anybody waits for a restart's outcome.
    pub fn awaits_restart(&self) -> bool {
        self.clients.iter().any(|client| client.connection.is_waiting())
    }

    /// Tells everybody who waits how the restart went: a line each way. At once, since restartinit may be about to end.
    pub fn restart_done(&mut self, outcome: Result<String, String>, now: Moment) {
        let answer = match outcome {
            Ok(line) => Response::text(200, line),
            Err(reason) => Response::text(503, reason),
        };
        for client in self.clients.iter_mut().filter(|client| client.connection.is_waiting()) {
            client.connection.answer(&answer, now);
            client.transmit();
        }
    }
}

impl Client {
    fn interest(&self) -> PollFlags {
        match self.connection.wants() {
            Wants::Read => PollFlags::POLLIN,
            Wants::Write => PollFlags::POLLOUT,
            // The client's end is told without being asked for.
            Wants::Nothing => PollFlags::empty(),
        }
    }

    /// One read and one write at most.
    fn turn(&mut self, ready: PollFlags, now: Moment, waiting: &mut usize, answer: &mut dyn FnMut(Route) -> Reply) {
        let gone = ready.intersects(PollFlags::POLLHUP | PollFlags::POLLERR | PollFlags::POLLNVAL);
        match self.connection.wants() {
            Wants::Nothing if gone => self.connection.close(),
            Wants::Read if gone || ready.contains(PollFlags::POLLIN) => {
                if let Some(route) = self.receive() {
                    match if matches!(route, Route::Restart { .. }) && *waiting >= WAITING_PLACES { too_many() } else { answer(route) } {
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

    fn receive(&mut self) -> Option<Route> {
        let mut buffer = [0; CHUNK];
        match sockets::receive(self.socket.as_fd(), &mut buffer) {
            Ok(0) => self.connection.received_end(),
            Ok(count) => return self.connection.received(buffer.get(..count).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => self.connection.close(),
        }
        None
    }

    fn transmit(&mut self) {
        match sockets::transmit(self.socket.as_fd(), self.connection.unsent()) {
            Ok(count) => {
                if self.connection.sent(count) {
                    sockets::end_transmission(self.socket.as_fd());
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => self.connection.close(),
        }
    }
}

fn too_many() -> Reply {
    Reply::Now(Response::text(503, format!("{WAITING_PLACES} others wait for a restart already: ask again when it is done")))
}

/// The first candidate that can be bound; the error is that of the last.
fn bind(address: &Address) -> io::Result<Listener> {
    let mut failure = io::Error::other(format!("cannot bind {address}: no TCP address"));
    for candidate in address.candidates() {
        match sockets::listen_tcp(candidate) {
            Ok(listener) => return Ok(listener),
            Err(error) => {
                failure = io::Error::new(
                    error.kind(),
                    format!("cannot bind {candidate}: {}", advice(Errno::from_raw(error.raw_os_error().unwrap_or(0)), "--http")),
                )
            }
        }
    }
    Err(failure)
}

#[cfg(test)]
mod tests;
