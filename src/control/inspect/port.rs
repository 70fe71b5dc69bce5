//! The socket that a Node's inspector listens on: opened by SIGUSR1, or open already. Only a socket of the process itself is ever connected to.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Instant;

use nix::unistd::Pid;

use super::session::{Failure, Interrupts};
use super::target::{Target, until};
use crate::procfs::connections;
use crate::procfs::inspector::is_inspector;
use crate::procfs::listeners::ListenAddress;
use crate::signal::Signal;
use crate::sys::listening;
use crate::sys::processes::{self, Delivery};

/// Where the inspector is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Port {
    pub(super) address: SocketAddr,
    /// It was so before, and stays so.
    pub(super) was_open: bool,
}

/// Why there is none.
pub(super) enum Shut {
    Failed(Failure),
    /// Another debugger is attached.
    InUse(SocketAddr),
    /// The signal could not be sent.
    NoSignal(&'static str),
    /// Another process has the port that this Node's would take.
    Taken(SocketAddr),
    /// The signal was sent, and nothing came of it in time.
    Silent,
}

/// Opens the inspector, or finds it open.
pub(super) fn open(target: &Target, interrupts: &Interrupts, end: Instant) -> Result<Port, Shut> {
    let pid = target.pid();
    let before = tcp_listeners(pid);
    if let Some(address) = open_already(pid, &before) {
        return if is_attached(pid, address) { Err(Shut::InUse(address)) } else { Ok(Port { address: local(address), was_open: true }) };
    }
    match processes::send(&target.process, Signal::USR1, Pid::from_raw(0)) {
        Delivery::Sent => {}
        Delivery::Gone => return Err(Shut::NoSignal("it has just ended")),
        Delivery::Refused => return Err(Shut::NoSignal("it may not be signalled from here: ask as root or as its own user")),
        Delivery::Unknown => return Err(Shut::NoSignal("SIGUSR1 cannot be sent")),
    }
    let known: BTreeSet<u64> = before.iter().map(|(inode, _)| *inode).collect();
    let found = until(interrupts, end, || {
        let new = tcp_listeners(pid).into_iter().filter(|(inode, address)| !known.contains(inode) && address.ip().is_loopback());
        held(pid, &new.collect::<Vec<_>>())
    });
    match found {
        Ok(Some(address)) => Ok(Port { address, was_open: false }),
        Ok(None) => Err(expected(pid, &before).map_or(Shut::Silent, Shut::Taken)),
        Err(failure) => Err(Shut::Failed(failure)),
    }
}

fn tcp_listeners(pid: Pid) -> Vec<(u64, SocketAddr)> {
    let tcp = |address: &ListenAddress| if let ListenAddress::Tcp(address) = address { Some(*address) } else { None };
    listening::sockets(pid).unwrap_or_default().iter().filter_map(|socket| Some((socket.inode, tcp(&socket.address)?))).collect()
}

/// The first of these sockets that the process has a descriptor of.
fn held(pid: Pid, sockets: &[(u64, SocketAddr)]) -> Option<SocketAddr> {
    let mut found = None;
    if !sockets.is_empty() {
        let _ = processes::sockets_of(pid, 0, |descriptor| {
            let inode = descriptor.map(|descriptor| descriptor.inode);
            found = sockets.iter().find(|(known, _)| Some(*known) == inode).map(|(_, address)| *address);
            found.is_some()
        });
    }
    found
}

fn looks_like_inspector(pid: Pid) -> impl Fn(&SocketAddr) -> bool {
    let (command_line, environment) = (processes::command_line(pid), processes::environ(pid).unwrap_or_default());
    let ephemeral = processes::ephemeral_ports().unwrap_or((1, 0));
    move |address| is_inspector(address, &command_line, &environment, ephemeral)
}

fn open_already(pid: Pid, listeners: &[(u64, SocketAddr)]) -> Option<SocketAddr> {
    let looks = looks_like_inspector(pid);
    let likely: Vec<_> = listeners.iter().filter(|(_, address)| looks(address)).copied().collect();
    held(pid, &likely)
}

/// Where this Node's inspector would be, if somebody listens there.
fn expected(pid: Pid, listeners: &[(u64, SocketAddr)]) -> Option<SocketAddr> {
    let looks = looks_like_inspector(pid);
    listeners.iter().map(|(_, address)| *address).find(|address| looks(address))
}

/// An inspector that listens everywhere is asked here.
fn local(address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() { SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), address.port()) } else { address }
}

/// Whether somebody is connected to a port of the process.
fn is_attached(pid: Pid, address: SocketAddr) -> bool {
    let connected = ["tcp", "tcp6"].iter().filter_map(|name| File::open(format!("/proc/{pid}/net/{name}")).ok()).flat_map(|file| {
        let lines = BufReader::new(file).split(b'\n').map_while(Result::ok);
        lines.filter_map(|line| connections::read(&line)).filter(|connection| connection.local.port() == address.port())
    });
    let connected: Vec<_> = connected.map(|connection| (connection.inode, connection.local)).collect();
    held(pid, &connected).is_some()
}
