//! The socket that a Node's inspector listens on: opened by SIGUSR1, or open already. Only a socket of the process itself is ever connected to.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use nix::unistd::Pid;

use super::session::{Why, wait};
use super::target::{Opening, Target};
use crate::procfs::inspector::is_inspector;
use crate::procfs::listeners::ListenAddress;
use crate::signal::Signal;
use crate::sys::processes::{self, Delivery};
use crate::sys::{listening, main_thread};

/// Where the inspector is.
#[derive(Clone, Copy)]
pub(super) struct Port {
    pub(super) address: SocketAddr,
    /// It was so before, and stays so.
    pub(super) was_open: bool,
}

/// The signal was sent, and nothing came of it in time.
pub(super) const SILENT: Why =
    "its inspector did not open on SIGUSR1: the app has a handler of its own for that, or is blocked outside of JavaScript";
const TAKEN: Why =
    "its inspector did not open: another process has its port, as one of another generation; run it with NODE_OPTIONS=--inspect-port=0";
const IN_USE: Why = "a debugger is attached to its inspector: close that first";
const BETWEEN_LOOKS: Duration = Duration::from_millis(5);

const NO_PORTS: (u16, u16) = (1, 0);

/// A socket that is listened on, by its inode.
type Listening = (u64, SocketAddr);

/// Opens the inspector, or finds it open.
pub(super) fn open(target: &Target, end: Instant) -> Result<Port, Why> {
    let pid = target.pid();
    let before = tcp_listeners(pid);
    let likely = |ephemeral| likely(pid, &before, ephemeral);
    if let Some(mut address) = address_held(pid, &likely(processes::ephemeral_ports().unwrap_or(NO_PORTS))) {
        if address.ip().is_unspecified() {
            // It listens everywhere, and here.
            address.set_ip(IpAddr::V4(Ipv4Addr::LOCALHOST));
        }
        let was_open = target.opening.get() == Opening::Unasked;
        if !was_open {
            target.opening.set(Opening::Open);
        }
        return if has_client(pid, address.port()) { Err(IN_USE) } else { Ok(Port { address, was_open }) };
    }
    // Once: an app with a handler of its own takes each for a word of its user's.
    if target.opening.get() == Opening::Unasked {
        match processes::send(&target.process, Signal::USR1, Pid::from_raw(0)) {
            Delivery::Sent => target.opening.set(Opening::Asked),
            Delivery::Gone => return Err("it has just ended"),
            Delivery::Refused | Delivery::Unknown => return Err("it may not be signalled: ask as root, or as its own user"),
        }
    }
    loop {
        let mut new = tcp_listeners(pid);
        new.retain(|(inode, address)| address.ip().is_loopback() && !before.iter().any(|(known, _)| known == inode));
        if let Some(address) = address_held(pid, &new) {
            target.opening.set(Opening::Open);
            return Ok(Port { address, was_open: false });
        }
        let now = Instant::now();
        if now >= end {
            // Any port would have done: nobody has taken that.
            return Err(if likely(NO_PORTS).is_empty() { SILENT } else { TAKEN });
        }
        wait(None, end.min(now + BETWEEN_LOOKS), false)?;
    }
}

/// Whether somebody is attached to a Node's inspector: a debugger, or one of these verbs. As long as that is so, it may stand still.
pub fn is_attached(pid: Pid) -> bool {
    let listeners = likely(pid, &tcp_listeners(pid), processes::ephemeral_ports().unwrap_or(NO_PORTS));
    address_held(pid, &listeners).is_some_and(|address| has_client(pid, address.port()))
}

fn has_client(pid: Pid, port: u16) -> bool {
    let connected = main_thread::connections(pid).into_iter().filter(|connection| connection.local.port() == port);
    let connected: Vec<u64> = connected.map(|connection| connection.inode).collect();
    held(pid, &connected).is_some()
}

fn tcp_listeners(pid: Pid) -> Vec<Listening> {
    let mut found = Vec::new();
    for socket in listening::sockets(pid).unwrap_or_default() {
        if let ListenAddress::Tcp(address) = socket.address {
            found.push((socket.inode, address));
        }
    }
    found
}

/// Which of these sockets, by their inodes, the process has a descriptor of: the place of the first one in the list.
pub(super) fn held(pid: Pid, inodes: &[u64]) -> Option<usize> {
    let mut found = None;
    if !inodes.is_empty() {
        // What cannot be seen does not count.
        let _ = processes::sockets_of(pid, 0, |descriptor| {
            found = inodes.iter().position(|known| descriptor.is_some_and(|descriptor| descriptor.inode == *known));
            found.is_some()
        });
    }
    found
}

fn address_held(pid: Pid, sockets: &[Listening]) -> Option<SocketAddr> {
    let inodes: Vec<u64> = sockets.iter().map(|(inode, _)| *inode).collect();
    sockets.get(held(pid, &inodes)?).map(|(_, address)| *address)
}

/// Those that have the address of this Node's inspector, whoever listens there.
fn likely(pid: Pid, listeners: &[Listening], ephemeral: (u16, u16)) -> Vec<Listening> {
    let (command_line, environment) = (processes::command_line(pid), processes::environ(pid).unwrap_or_default());
    listeners.iter().filter(|(_, address)| is_inspector(address, &command_line, &environment, ephemeral)).copied().collect()
}
