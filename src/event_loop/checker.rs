//! `--check`: asks the app, one look at a time, without waiting and without memory of its own for it. What it makes of the answer is the
//! supervisor's.

use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd, RawFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::PollFlags;
use nix::unistd::Pid;

use crate::config::Config;
use crate::config::check_url::CheckUrl;
use crate::control::inspect::is_attached;
use crate::observe::check_answer::{LONGEST_HEAD, status};
use crate::supervisor::event::Event;
use crate::supervisor::fault::Fault;
use crate::sys::sockets;
use crate::time::Moment;

/// See the module. Without the option it costs nothing.
#[derive(Debug, Default)]
pub(super) struct Checker {
    url: Option<CheckUrl>,
    timeout: Duration,
    look: Option<Look>,
    head: Vec<u8>,
}

#[derive(Debug)]
struct Look {
    /// Of whom.
    pid: Pid,
    socket: OwnedFd,
    stage: Stage,
    began: Moment,
    give_up_at: Moment,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    /// To the address with this index.
    Connecting(usize),
    /// So many bytes of the request are sent.
    Sending(usize),
    Reading,
    /// All is known. The rest is taken in, so that the app can close the connection in peace.
    Answered,
}

#[cfg(test)]
mod looks;

impl Checker {
    pub(super) fn new(config: &Config) -> Checker {
        let head = Vec::with_capacity(if config.check.is_some() { LONGEST_HEAD } else { 0 });
        Checker { url: config.check.clone(), timeout: config.check_timeout, look: None, head }
    }

    /// Begins to ask; gives back the answer where it is there at once.
    pub(super) fn begin(&mut self, pid: Pid, now: Moment) -> Option<Event> {
        self.head.clear();
        self.look = None;
        self.connect(pid, 0, now, now + self.timeout).err().map(|fault| Event::Checked { pid, answer: Err(fault) })
    }

    /// Tries the addresses from this one on; the fault is that of the first.
    fn connect(&mut self, pid: Pid, from: usize, began: Moment, give_up_at: Moment) -> Result<(), Fault> {
        let (mut index, mut fault) = (from, None);
        while let Some(address) = self.url.as_ref().and_then(|url| url.addresses.get(index)) {
            match sockets::begin_connecting(*address) {
                Ok(socket) => {
                    self.look = Some(Look { pid, socket, stage: Stage::Connecting(index), began, give_up_at });
                    return Ok(());
                }
                Err(errno) => fault = fault.or(Some(Fault::Refused(errno as i32))),
            }
            index += 1;
        }
        Err(fault.unwrap_or(Fault::Closed))
    }

    /// The command has ended: what it would have answered matters to nobody.
    pub(super) fn exited(&mut self, pid: Pid) {
        self.look.take_if(|look| look.pid == pid);
    }

    pub(super) fn interest(&self) -> Option<(BorrowedFd<'_>, PollFlags)> {
        let look = self.look.as_ref()?;
        let events = match look.stage {
            Stage::Connecting(_) | Stage::Sending(_) => PollFlags::POLLOUT,
            Stage::Reading | Stage::Answered => PollFlags::POLLIN,
        };
        Some((look.socket.as_fd(), events))
    }

    pub(super) fn deadline(&self) -> Option<Moment> {
        self.look.as_ref().map(|look| look.give_up_at)
    }

    /// One turn. `ready` tells what poll said of a descriptor. Gives back the answer once it is known.
    pub(super) fn turn(&mut self, ready: &dyn Fn(RawFd) -> PollFlags, now: Moment) -> Option<Event> {
        let look = self.look.as_ref()?;
        let (pid, began, is_over, is_known) = (look.pid, look.began, look.give_up_at <= now, look.stage == Stage::Answered);
        // What is there by now counts: it may be restartinit that comes late, as in a container that was paused.
        let heard = if ready(look.socket.as_raw_fd()).is_empty() { None } else { self.advance() };
        let answer = match heard {
            Some(answer) => answer.map(|()| now.since(began)),
            None if is_over && is_attached(pid) => Err(Fault::Inspected),
            None if is_over => Err(Fault::NoAnswer { within: self.timeout }),
            None => return None,
        };
        let is_open = self.look.as_ref().is_some_and(|look| look.stage == Stage::Answered) && !is_over;
        if !is_open {
            self.look = None;
        }
        (!is_known).then_some(Event::Checked { pid, answer })
    }

    /// Goes on as far as it goes now; `None`: there is more to wait for.
    fn advance(&mut self) -> Option<Result<(), Fault>> {
        let look = self.look.as_mut()?;
        if let Stage::Connecting(index) = look.stage {
            match sockets::connect_error(look.socket.as_fd()) {
                None if self.url.as_ref().is_some_and(CheckUrl::is_tcp) => return Some(Ok(())),
                None => look.stage = Stage::Sending(0),
                Some(errno) => {
                    let (pid, began, give_up_at) = (look.pid, look.began, look.give_up_at);
                    return self.connect(pid, index + 1, began, give_up_at).err().map(|_| Err(Fault::Refused(errno as i32)));
                }
            }
        }
        if let Stage::Sending(sent) = look.stage {
            let request = self.url.as_ref().and_then(|url| url.request.as_deref()).unwrap_or_default().as_bytes();
            let rest = request.get(sent..).unwrap_or_default();
            match sockets::transmit(look.socket.as_fd(), rest) {
                Ok(count) if count < rest.len() => look.stage = Stage::Sending(sent + count),
                Ok(_) => look.stage = Stage::Reading,
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                // An answer may be there already: an app that is full says so to whoever it does not listen to.
                Err(_) => look.stage = Stage::Reading,
            }
            return None;
        }
        let mut buffer = [0; LONGEST_HEAD];
        let room = if look.stage == Stage::Reading { LONGEST_HEAD - self.head.len().min(LONGEST_HEAD) } else { LONGEST_HEAD };
        let room = buffer.get_mut(..room).unwrap_or_default();
        let got = match sockets::receive(look.socket.as_fd(), room) {
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return None,
            Err(error) => Err(Fault::Refused(error.raw_os_error().unwrap_or(Errno::EIO as i32))),
            Ok(0) => Err(Fault::Closed),
            Ok(count) => Ok(count),
        };
        if look.stage == Stage::Answered {
            return match got {
                Ok(_) => None,
                Err(_) => {
                    self.look = None;
                    None
                }
            };
        }
        match got {
            Err(fault) => Some(Err(fault)),
            Ok(count) => {
                self.head.extend_from_slice(room.get(..count).unwrap_or_default());
                let status = status(&mut self.head)?;
                look.stage = Stage::Answered;
                Some(status.and_then(|status| if (200..400).contains(&status) { Ok(()) } else { Err(Fault::Status(status)) }))
            }
        }
    }
}
