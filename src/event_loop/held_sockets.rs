//! The sockets that outlive the command: those held for an app's `listen()`, and those of `--listen`, which are passed on. Which one is
//! whose, `node::ports` knows; here they are made and closed.

use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};

use nix::unistd::Pid;

use crate::config::address::{Address, advice};
use crate::generation_number::GenerationNumber;
use crate::logger::warn_once;
use crate::node::message::Query;
use crate::node::permission::{self, Credentials, Sender, may_bind};
use crate::node::ports::{Grant, Ports};
use crate::node::spec::{self, Kind, Spec};
use crate::node::{Errno, SocketId};
use crate::procfs::listeners::{ListenAddress, Listener};
use crate::sys::credentials;
use crate::sys::listeners::{self, HeldSocket};
use crate::sys::spawn::FIRST_SOCKET;
use crate::time::Moment;

/// So many refusals of one app are told.
const REFUSALS_TOLD: u32 = 8;

#[derive(Debug, Default)]
pub(super) struct HeldSockets {
    ports: Ports,
    held: Vec<(SocketId, HeldSocket)>,
    /// Of `--listen`, in the order in which the command finds them.
    given: Vec<HeldSocket>,
    /// Whom a port was refused to last, by pid, and how often.
    refused: Option<(Pid, u32)>,
}

impl HeldSockets {
    /// Opens those of `--listen`.
    ///
    /// # Errors
    /// One line for a person: the address, and what to do.
    pub(super) fn open(addresses: &[Address]) -> io::Result<HeldSockets> {
        let mut sockets = HeldSockets::default();
        for address in addresses {
            let held = listen(address).map_err(|errno| {
                let error = io::Error::from(errno);
                io::Error::new(error.kind(), format!("cannot bind {address}: {}", advice(errno, "--listen")))
            })?;
            sockets.given.push(held);
        }
        Ok(sockets)
    }

    /// Descriptors of the sockets of `--listen` whose numbers are free of those that the command finds them under; with the descriptors
    /// that keep those numbers taken.
    ///
    /// # Errors
    /// That of fcntl(2).
    pub(super) fn to_pass_on(&self) -> io::Result<(Vec<OwnedFd>, Vec<OwnedFd>)> {
        let (mut sockets, mut placeholders) = (Vec::new(), Vec::new());
        let free = FIRST_SOCKET.saturating_add(i32::try_from(self.given.len()).unwrap_or(i32::MAX));
        for held in &self.given {
            loop {
                let copy = held.as_fd().try_clone_to_owned()?;
                if copy.as_raw_fd() >= free {
                    sockets.push(copy);
                    break;
                }
                placeholders.push(copy);
            }
        }
        Ok((sockets, placeholders))
    }

    /// An app asks for a socket: the one that is held, or a new one.
    pub(super) fn query(
        &mut self,
        generation: GenerationNumber,
        from: Option<Sender>,
        query: &mut Query,
    ) -> Result<(SocketId, Kind), Errno> {
        match self.ports.query(generation, query) {
            Grant::Refuse { errno } => Err(errno),
            Grant::Hand { id, kind } if self.get_held(id).is_some_and(HeldSocket::is_in_place) => Ok((id, kind)),
            // The file of a unix socket is gone: nobody would find it.
            Grant::Hand { id, .. } => {
                self.forget(id);
                self.ports.bind_failed(id);
                match self.ports.query(generation, query) {
                    Grant::Bind { id, spec, release } => self.bind(id, &spec, release, from),
                    Grant::Hand { .. } => Err(Errno::EADDRINUSE),
                    Grant::Refuse { errno } => Err(errno),
                }
            }
            Grant::Bind { id, spec, release } => self.bind(id, &spec, release, from),
        }
    }

    fn bind(&mut self, id: SocketId, spec: &Spec, release: Vec<SocketId>, from: Option<Sender>) -> Result<(SocketId, Kind), Errno> {
        release.into_iter().for_each(|id| self.forget(id));
        match self.bound(spec, from) {
            Ok(held) => {
                self.held.push((id, held));
                Ok((id, spec.kind()))
            }
            Err(errno) => {
                self.ports.bind_failed(id);
                Err(errno)
            }
        }
    }

    fn bound(&mut self, spec: &Spec, from: Option<Sender>) -> Result<HeldSocket, Errno> {
        // Of whom nothing is known, nothing is believed.
        const NOBODY: Credentials = Credentials { euid: u32::MAX, egid: u32::MAX, effective: 0, same_user_namespace: None };
        // Whoever has executed a set-user-ID program since it asked has another's rights now.
        let is_sender = |child: &Credentials| from.is_some_and(|from| (child.euid, child.egid) == (from.uid, from.gid));
        let child = from.and_then(|from| credentials::of(&from.pid.to_string()).ok()).filter(is_sender).unwrap_or(NOBODY);
        let own = credentials::of("self").unwrap_or(NOBODY);
        if let Err(errno) = may_bind(spec, &child, &own, credentials::first_free_port()) {
            self.tell_refusal(spec, from);
            return Err(errno);
        }
        let Spec::Inherited { fd, kind } = *spec else { return listeners::bind(spec) };
        let given = usize::try_from(fd - FIRST_SOCKET).ok().and_then(|index| self.given.get(index)).ok_or(Errno::EINVAL)?;
        listeners::adopt(given.as_fd(), kind)
    }

    /// An app may ask as often as it likes.
    fn tell_refusal(&mut self, spec: &Spec, from: Option<Sender>) {
        let Some(pid) = from.map(|from| from.pid) else {
            return warn_once!("{spec} is not bound for a process that is not known: {}", permission::advice(spec));
        };
        let told = self.refused.filter(|(known, _)| *known == pid).map_or(0, |(_, told)| told);
        self.refused = Some((pid, told.saturating_add(1)));
        if told < REFUSALS_TOLD {
            log::warn!("{spec} is not bound for pid {pid}: {}", permission::advice(spec));
        }
    }

    fn get_held(&self, id: SocketId) -> Option<&HeldSocket> {
        self.held.iter().find(|(known, _)| *known == id).map(|(_, held)| held)
    }

    pub(super) fn get(&self, id: SocketId) -> Option<BorrowedFd<'_>> {
        self.get_held(id).map(|held| held.as_fd())
    }

    fn forget(&mut self, id: SocketId) {
        for (_, held) in self.held.extract_if(.., |(known, _)| *known == id) {
            held.remove_path();
        }
    }

    pub(super) fn died(&mut self, generation: GenerationNumber) {
        self.ports.died(generation);
    }

    pub(super) fn leaving(&mut self, generation: GenerationNumber) {
        self.ports.leaving(generation);
    }

    pub(super) fn closed(&mut self, now: Moment, generation: GenerationNumber, key: &str) {
        self.ports.closed(now, generation, key);
    }

    pub(super) fn serves(&self, generation: GenerationNumber) -> bool {
        self.ports.serves(generation)
    }

    /// The sockets of a generation that take connections.
    pub(super) fn listeners(&self, generation: GenerationNumber) -> Vec<Listener> {
        let streams = self.ports.used_by(generation).filter(|(_, spec)| spec.kind() == Kind::Stream);
        let listener = |(id, spec): (SocketId, &Spec)| {
            let address = self.get_held(id)?.address()?;
            Some(Listener { address, is_fixed: spec.is_fixed() })
        };
        streams.filter_map(listener).collect()
    }

    /// The inodes of all sockets that are ours to give.
    pub(super) fn inodes(&self) -> impl Iterator<Item = u64> {
        self.held.iter().map(|(_, held)| held).chain(&self.given).map(HeldSocket::inode)
    }

    pub(super) fn deadline(&self) -> Option<Moment> {
        self.ports.deadline()
    }

    /// Closes what an app has closed for good; gives back where that was.
    pub(super) fn release_due(&mut self, now: Moment) -> Vec<ListenAddress> {
        let due = self.ports.release_due(now);
        let addresses = due.iter().filter_map(|id| self.get_held(*id)?.address()).collect();
        due.into_iter().for_each(|id| self.forget(id));
        addresses
    }

    /// Closes what a generation has not asked for in its time.
    pub(super) fn release_missing(&mut self, generation: GenerationNumber) {
        for id in self.ports.release_missing(generation) {
            self.forget(id);
        }
    }

    /// Closes what no generation uses.
    pub(super) fn release_unused(&mut self) {
        for id in self.ports.release_unused() {
            self.forget(id);
        }
    }
}

/// The path of an earlier life, that nobody listens on any more, is no obstacle.
fn listen(address: &Address) -> Result<HeldSocket, Errno> {
    let spec = spec_of(address);
    match (listeners::listen(&spec), address) {
        (Err(Errno::EADDRINUSE), Address::Unix(path)) if listeners::remove_if_stale(path) => listeners::listen(&spec),
        // Node's word for a folder that is not there is EACCES.
        (Err(Errno::EACCES), Address::Unix(path)) if path.parent().is_some_and(|folder| !folder.exists()) => Err(Errno::ENOENT),
        (result, _) => result,
    }
}

fn spec_of(address: &Address) -> Spec {
    use std::net::IpAddr;
    match address {
        Address::Port(port) => Spec::Tcp { address: spec::Host::Any, port: *port, v6only: false },
        Address::Unix(path) => Spec::Unix { path: path.display().to_string() },
        Address::Tcp(address) => {
            let port = address.port();
            match address.ip() {
                IpAddr::V4(ip) => Spec::Tcp { address: spec::Host::V4(ip), port, v6only: false },
                IpAddr::V6(ip) => Spec::Tcp { address: spec::Host::V6(ip, None), port, v6only: false },
            }
        }
    }
}
