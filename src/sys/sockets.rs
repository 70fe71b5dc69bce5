//! The sockets that observers connect to: an abstract unix socket named after the container's namespaces, and a TCP port. Sockets in, sockets out; no
//! call waits, raises PIPE or leaves a descriptor to a child. Who is let in and what is said is not decided here.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, Backlog, MsgFlags, Shutdown, SockFlag, SockType, SockaddrLike, SockaddrStorage, UnixAddr, bind, connect, getsockopt,
    listen, recv, send, setsockopt, shutdown, socket, sockopt,
};
use nix::sys::time::{TimeVal, TimeValLike};
use nix::unistd::Pid;

use crate::observe::peer::{Container, Peer};

/// Connections that the kernel keeps for us until we accept them.
const BACKLOG: i32 = 128;

/// Where connections come in.
#[derive(Debug)]
pub enum Listener {
    Unix(UnixListener),
    Tcp(TcpListener),
}

impl Listener {
    /// The next connection, non-blocking only by the calls of this file.
    ///
    /// # Errors
    /// That of accept(2); `WouldBlock`: there is none.
    pub fn accept(&self) -> io::Result<OwnedFd> {
        match self {
            Listener::Unix(listener) => listener.accept().map(|(stream, _)| stream.into()),
            Listener::Tcp(listener) => listener.accept().map(|(stream, _)| stream.into()),
        }
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Listener::Unix(listener) => listener.as_fd(),
            Listener::Tcp(listener) => listener.as_fd(),
        }
    }
}

/// The name of our container: all its processes come to the same one, and those of no other do, whichever namespaces the two share.
///
/// # Errors
/// /proc is missing or is another namespace's.
pub fn container() -> io::Result<Container> {
    let number = |kind: &str| {
        let link = std::fs::read_link(format!("/proc/self/ns/{kind}"))?;
        let number = link.to_str().and_then(|link| link.strip_prefix(kind)?.strip_prefix(":[")?.strip_suffix(']')?.parse().ok());
        number.ok_or_else(|| io::Error::other(format!("/proc/self/ns/{kind} is no namespace")))
    };
    Ok(Container { pid_namespace: number("pid")?, mount_namespace: number("mnt")? })
}

/// # Errors
/// That of socket(2), bind(2) or listen(2).
pub fn listen_control(name: &str) -> io::Result<Listener> {
    let address = UnixAddr::new_abstract(name.as_bytes())?;
    let socket = stream_socket(AddressFamily::Unix, SockFlag::SOCK_NONBLOCK)?;
    listen_at(&socket, &address)?;
    Ok(Listener::Unix(socket.into()))
}

/// On `[::]`, IPv4 clients are served too, whatever the machine's default is.
///
/// # Errors
/// That of socket(2), bind(2) or listen(2).
pub fn listen_tcp(address: SocketAddr) -> io::Result<Listener> {
    let family = if address.is_ipv6() { AddressFamily::Inet6 } else { AddressFamily::Inet };
    let socket = stream_socket(family, SockFlag::SOCK_NONBLOCK)?;
    // A container that is started anew at the host's network must not wait for its last connections to be forgotten.
    setsockopt(&socket, sockopt::ReuseAddr, &true)?;
    if address.is_ipv6() && address.ip().is_unspecified() {
        setsockopt(&socket, sockopt::Ipv6V6Only, &false)?;
    }
    listen_at(&socket, &SockaddrStorage::from(address))?;
    Ok(Listener::Tcp(socket.into()))
}

fn stream_socket(family: AddressFamily, flags: SockFlag) -> io::Result<OwnedFd> {
    Ok(socket(family, SockType::Stream, SockFlag::SOCK_CLOEXEC | flags, None)?)
}

fn listen_at(socket: &OwnedFd, address: &dyn SockaddrLike) -> io::Result<()> {
    bind(socket.as_raw_fd(), address)?;
    Ok(listen(socket, Backlog::new(BACKLOG)?)?)
}

/// Connects to the control socket, and gives it and ourselves so much time for each call from then on.
///
/// # Errors
/// That of connect(2); `ConnectionRefused`: nobody listens. `WouldBlock`: somebody does, but does not accept.
pub fn connect_control(name: &str, patience: Duration) -> io::Result<OwnedFd> {
    let socket = patient_socket(AddressFamily::Unix, patience)?;
    connect(socket.as_raw_fd(), &UnixAddr::new_abstract(name.as_bytes())?)?;
    Ok(socket)
}

/// One whose connect(2) and send(2) wait so long; at least a millisecond, as none would be for ever.
fn patient_socket(family: AddressFamily, patience: Duration) -> io::Result<OwnedFd> {
    let socket = stream_socket(family, SockFlag::empty())?;
    let patience = TimeVal::milliseconds(i64::try_from(patience.as_millis()).unwrap_or(i64::MAX).max(1));
    setsockopt(&socket, sockopt::SendTimeout, &patience)?;
    Ok(socket)
}

/// Connects to a port of this machine, and gives it so much time.
///
/// # Errors
/// That of connect(2).
pub fn connect_loopback(address: SocketAddr, patience: Duration) -> io::Result<OwnedFd> {
    let family = if address.is_ipv6() { AddressFamily::Inet6 } else { AddressFamily::Inet };
    let socket = patient_socket(family, patience)?;
    connect(socket.as_raw_fd(), &SockaddrStorage::from(address))?;
    Ok(socket)
}

/// Begins to connect, and does not wait.
///
/// # Errors
/// That of socket(2) or connect(2), where it is known at once.
pub fn begin_connecting(address: SocketAddr) -> Result<OwnedFd, Errno> {
    let family = if address.is_ipv6() { AddressFamily::Inet6 } else { AddressFamily::Inet };
    let socket = socket(family, SockType::Stream, SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK, None)?;
    match connect(socket.as_raw_fd(), &SockaddrStorage::from(address)) {
        Ok(()) | Err(Errno::EINPROGRESS) => Ok(socket),
        Err(errno) => Err(errno),
    }
}

/// Why a connection that was begun has not come about; `None`: it has.
pub fn connect_error(socket: BorrowedFd<'_>) -> Option<Errno> {
    match getsockopt(&socket, sockopt::SocketError) {
        Ok(0) => None,
        Ok(errno) => Some(Errno::from_raw(errno)),
        Err(errno) => Some(errno),
    }
}

/// Who is at the other end of a unix socket: who connected, or who listens.
///
/// # Errors
/// That of getsockopt(2).
pub fn peer(socket: BorrowedFd<'_>) -> io::Result<Peer> {
    let credentials = getsockopt(&socket, sockopt::PeerCredentials)?;
    Ok(Peer { pid: Pid::from_raw(credentials.pid()), user: credentials.uid() })
}

/// The kernel's number for a socket.
pub fn inode(socket: BorrowedFd<'_>) -> u64 {
    nix::sys::stat::fstat(socket).map_or(0, |found| found.st_ino)
}

/// The user that this process acts as.
pub fn own_user() -> u32 {
    nix::unistd::geteuid().as_raw()
}

/// Takes what is there now. 0: the other end sends no more.
///
/// # Errors
/// That of recv(2); `WouldBlock`: nothing is there.
pub fn receive(socket: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<usize> {
    Ok(recv(socket.as_raw_fd(), buffer, MsgFlags::MSG_DONTWAIT)?)
}

/// Sends what the kernel takes now.
///
/// # Errors
/// That of send(2); `WouldBlock`: it takes nothing.
pub fn transmit(socket: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<usize> {
    Ok(send(socket.as_raw_fd(), bytes, MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL)?)
}

/// Tells the other end that nothing more comes.
pub fn end_transmission(socket: BorrowedFd<'_>) {
    // One that has gone already needs no telling.
    let _: Result<(), Errno> = shutdown(socket.as_raw_fd(), Shutdown::Write);
}
