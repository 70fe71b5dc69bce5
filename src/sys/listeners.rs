//! Sockets bound for an app, as Node's cluster primary binds them through libuv (`uv__tcp_bind`, `uv__udp_bind`, `uv_pipe_bind`). All
//! are close-on-exec, and non-blocking: Node 18 hangs in accept() otherwise. The app calls listen().

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::socket::sockopt::{Ipv6V6Only, ReuseAddr, SockType as TypeOf};
use nix::sys::socket::{AddressFamily, Backlog, SockFlag, SockType, SockaddrIn, SockaddrIn6, SockaddrLike, SockaddrStorage, UnixAddr};
use nix::sys::socket::{bind as bind_to, connect, getsockname, getsockopt, listen as listen_on, setsockopt, socket};

use crate::node::spec::{Host, Kind, Spec};
use crate::procfs::listeners::ListenAddress;

/// What Node asks for where the app says nothing; the kernel caps it by `somaxconn`.
const BACKLOG: i32 = 511;

/// A bound socket.
#[derive(Debug)]
pub struct HeldSocket {
    fd: OwnedFd,
    /// A unix socket's file: path, device, inode.
    file: Option<(PathBuf, u64, u64)>,
}

impl AsFd for HeldSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl HeldSocket {
    /// Whether clients find it: a unix socket whose path is gone or another's does not serve. Apps remove a path before they listen.
    pub fn is_in_place(&self) -> bool {
        self.file
            .as_ref()
            .is_none_or(|(path, device, inode)| path.symlink_metadata().is_ok_and(|found| (found.dev(), found.ino()) == (*device, *inode)))
    }

    /// Removes a unix socket's path, if it is still its own: libuv does so when a server closes.
    pub fn remove_path(&self) {
        if let Some((path, ..)) = self.file.as_ref().filter(|_| self.is_in_place()) {
            let _ = std::fs::remove_file(path);
        }
    }

    /// Where it is bound to.
    pub fn address(&self) -> Option<ListenAddress> {
        let address = getsockname::<SockaddrStorage>(self.fd.as_raw_fd()).ok()?;
        let four = address.as_sockaddr_in().map(|four| SocketAddr::V4(SocketAddrV4::from(*four)));
        let tcp = four.or_else(|| address.as_sockaddr_in6().map(|six| SocketAddr::V6(SocketAddrV6::from(*six))));
        let path = || Some(address.as_unix_addr()?.path()?.display().to_string());
        tcp.map(ListenAddress::Tcp).or_else(|| path().map(ListenAddress::Unix))
    }

    /// The kernel's number for it.
    pub fn inode(&self) -> u64 {
        nix::sys::stat::fstat(&self.fd).map_or(0, |found| found.st_ino)
    }
}

/// Binds a socket.
///
/// # Errors
/// The errno that the app would have got from libuv. EINVAL for an inherited one: that is not bound but adopted.
/// Binds a socket and listens on it: for an app that is handed a listening one.
///
/// # Errors
/// Those of [`bind`], or of listen(2).
pub fn listen(spec: &Spec) -> nix::Result<HeldSocket> {
    let held = bind(spec)?;
    if spec.kind() == Kind::Stream {
        listen_on(&held.fd, Backlog::new(BACKLOG).unwrap_or(Backlog::MAXCONN))?;
    }
    Ok(held)
}

/// Removes the path of a unix socket that nobody listens on; tells whether it did.
pub fn remove_if_stale(path: &Path) -> bool {
    let is_socket = path.symlink_metadata().is_ok_and(|found| found.file_type().is_socket());
    is_socket && try_to_connect(path) == Err(Errno::ECONNREFUSED) && std::fs::remove_file(path).is_ok()
}

/// Without waiting: whoever listens may not accept.
fn try_to_connect(path: &Path) -> Result<(), Errno> {
    let fd = socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK, None)?;
    connect(fd.as_raw_fd(), &UnixAddr::new(path)?)
}

/// Holds another descriptor of a socket that is there already.
///
/// # Errors
/// EINVAL, as Node says, for what is no socket of this kind.
pub fn adopt(fd: BorrowedFd<'_>, kind: Kind) -> nix::Result<HeldSocket> {
    if getsockopt(&fd, TypeOf) != Ok(sock_type(kind)) {
        return Err(Errno::EINVAL);
    }
    let fd = fd.try_clone_to_owned().map_err(|error| error.raw_os_error().map_or(Errno::EINVAL, Errno::from_raw))?;
    let flags = fcntl(&fd, FcntlArg::F_GETFL)?;
    fcntl(&fd, FcntlArg::F_SETFL(OFlag::from_bits_retain(flags) | OFlag::O_NONBLOCK))?;
    Ok(HeldSocket { fd, file: None })
}

fn sock_type(kind: Kind) -> SockType {
    match kind {
        Kind::Stream => SockType::Stream,
        Kind::Datagram => SockType::Datagram,
    }
}

/// Binds a socket.
///
/// # Errors
/// The errno that the app would have got from libuv. EINVAL for an inherited one: that is not bound but adopted.
pub fn bind(spec: &Spec) -> nix::Result<HeldSocket> {
    let fd = match spec {
        Spec::Tcp { address: Host::Any, port, v6only } => {
            let six = Host::V6(Ipv6Addr::UNSPECIFIED, None);
            match ip(&six, *port, Kind::Stream, *v6only, true) {
                // libuv tells of a port in use by listen() only, so that Node tries 0.0.0.0 for want of IPv6, not for want of the port.
                Err(errno) if errno != Errno::EADDRINUSE => ip(&Host::V4(Ipv4Addr::UNSPECIFIED), *port, Kind::Stream, false, true)?,
                result => result?,
            }
        }
        Spec::Tcp { address, port, v6only } => ip(address, *port, Kind::Stream, *v6only, true)?,
        Spec::Udp { address, port, v6only, reuse_address } => ip(address, *port, Kind::Datagram, *v6only, *reuse_address)?,
        Spec::Unix { path } => return unix(Path::new(path)),
        Spec::Inherited { .. } => return Err(Errno::EINVAL),
    };
    Ok(HeldSocket { fd, file: None })
}

fn ip(address: &Host, port: u16, kind: Kind, v6only: bool, reuse_address: bool) -> Result<OwnedFd, Errno> {
    let (family, name): (_, Box<dyn SockaddrLike>) = match address {
        Host::V4(address) if !v6only => (AddressFamily::Inet, Box::new(SockaddrIn::from(SocketAddrV4::new(*address, port)))),
        Host::V6(address, zone) => {
            let zone = zone.as_deref().map_or(Ok(0), interface)?;
            (AddressFamily::Inet6, Box::new(SockaddrIn6::from(SocketAddrV6::new(*address, port, 0, zone))))
        }
        // Any is resolved above; IPV6_V6ONLY with an IPv4 address is an error of libuv's.
        Host::V4(_) | Host::Any => return Err(Errno::EINVAL),
    };
    let fd = socket(family, sock_type(kind), SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK, None)?;
    if reuse_address {
        setsockopt(&fd, ReuseAddr, &true)?;
    }
    // libuv sets it for TCP either way, whatever the sysctl bindv6only says, and for UDP only when it is asked for.
    if family == AddressFamily::Inet6 && (kind == Kind::Stream || v6only) {
        setsockopt(&fd, Ipv6V6Only, &v6only)?;
    }
    bind_to(fd.as_raw_fd(), name.as_ref()).map_err(|errno| if errno == Errno::EAFNOSUPPORT { Errno::EINVAL } else { errno })?;
    Ok(fd)
}

/// The number of a zone: `eth0`, or a number already.
fn interface(zone: &str) -> Result<u32, Errno> {
    zone.parse().or_else(|_| nix::net::if_::if_nametoindex(zone)).map_err(|_| Errno::EINVAL)
}

fn unix(path: &Path) -> Result<HeldSocket, Errno> {
    // About 100 bytes fit a socket address; Node falls back to the path from the working directory as well.
    let name = UnixAddr::new(path).or_else(|_| {
        let folder = std::env::current_dir().map_err(|_| Errno::ENAMETOOLONG)?;
        UnixAddr::new(path.strip_prefix(folder).map_err(|_| Errno::ENAMETOOLONG)?)
    });
    let name = name.map_err(|_| Errno::ENAMETOOLONG)?;
    let fd = socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK, None)?;
    // ENOENT becomes EACCES in libuv. A path that is there, stale or not, is in use: the same as without us.
    bind_to(fd.as_raw_fd(), &name).map_err(|errno| if errno == Errno::ENOENT { Errno::EACCES } else { errno })?;
    let of_io = |error: io::Error| error.raw_os_error().map_or(Errno::EIO, Errno::from_raw);
    let file = path.symlink_metadata().map_err(of_io)?;
    Ok(HeldSocket { fd, file: Some((path.to_owned(), file.dev(), file.ino())) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(held: &HeldSocket) -> Option<u16> {
        match held.address()? {
            ListenAddress::Tcp(address) => Some(address.port()),
            ListenAddress::Unix(_) => None,
        }
    }
    use std::net::{TcpListener, TcpStream, UdpSocket};
    use std::os::unix::net::UnixListener;

    fn tcp(address: Host, port: u16) -> Spec {
        Spec::Tcp { address, port, v6only: false }
    }

    fn loopback() -> Host {
        Host::V4(Ipv4Addr::LOCALHOST)
    }

    #[test]
    fn a_socket_is_as_node_makes_it() {
        let held = bind(&tcp(Host::Any, 0)).unwrap();
        assert_ne!(port(&held), Some(0));
        let flags = OFlag::from_bits_retain(fcntl(held.as_fd(), FcntlArg::F_GETFL).unwrap());
        assert!(flags.contains(OFlag::O_NONBLOCK));
        assert_eq!(fcntl(held.as_fd(), FcntlArg::F_GETFD).unwrap(), libc::FD_CLOEXEC);
        assert!(getsockopt(&held, ReuseAddr).unwrap());
        let accepts = || TcpStream::connect(("127.0.0.1", port(&held).unwrap()));
        assert!(accepts().is_err(), "bound, not listening");
        listen_on(&held.fd, Backlog::MAXCONN).unwrap();
        assert!(accepts().is_ok(), "IPv4 reaches a dual-stack socket");
    }

    #[test]
    fn errors_are_the_kernels() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        assert_eq!(bind(&tcp(loopback(), port)).unwrap_err(), Errno::EADDRINUSE);
        assert_eq!(bind(&tcp(Host::Any, port)).unwrap_err(), Errno::EADDRINUSE);
        assert_eq!(bind(&tcp(Host::V4([203, 0, 113, 9].into()), 0)).unwrap_err(), Errno::EADDRNOTAVAIL);
        assert_eq!(bind(&tcp(Host::V6("fe80::1".parse().unwrap(), Some("none0".into())), 0)).unwrap_err(), Errno::EINVAL);
        assert_eq!(bind(&Spec::Tcp { address: loopback(), port: 0, v6only: true }).unwrap_err(), Errno::EINVAL);
        assert_eq!(bind(&Spec::Inherited { fd: 3, kind: Kind::Stream }).unwrap_err(), Errno::EINVAL);
    }

    #[test]
    fn datagrams() {
        let udp = |port, reuse_address| bind(&Spec::Udp { address: loopback(), port, v6only: false, reuse_address });
        let held = udp(0, true).unwrap();
        let port = port(&held).unwrap();
        assert!(udp(port, true).is_ok());
        assert_eq!(udp(port, false).unwrap_err(), Errno::EADDRINUSE);
        assert_eq!(getsockopt(&held, TypeOf), Ok(SockType::Datagram));
        assert!(listen(&Spec::Udp { address: loopback(), port: 0, v6only: false, reuse_address: false }).is_ok());
    }

    #[test]
    fn a_path_is_found_lost_and_removed() {
        let folder = std::env::temp_dir().join(format!("restartinit-listeners-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("app.sock");
        let spec = Spec::Unix { path: path.to_str().unwrap().to_owned() };
        let held = listen(&spec).unwrap();
        assert!(held.is_in_place());
        assert_eq!(bind(&spec).unwrap_err(), Errno::EADDRINUSE);
        std::fs::remove_file(&path).unwrap();
        assert!(!held.is_in_place());
        let others = UnixListener::bind(&path).unwrap();
        held.remove_path();
        assert!(path.exists(), "it is another's");
        drop(others);
        std::fs::remove_file(&path).unwrap();
        listen(&spec).unwrap().remove_path();
        assert!(!path.exists());
        let nowhere = Spec::Unix { path: folder.join("none/app.sock").to_str().unwrap().to_owned() };
        assert_eq!(bind(&nowhere).unwrap_err(), Errno::EACCES);
        let long = Spec::Unix { path: format!("{}/{}", folder.display(), "x".repeat(120)) };
        assert_eq!(bind(&long).unwrap_err(), Errno::ENAMETOOLONG);
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn only_a_socket_of_the_kind_is_adopted() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let held = adopt(listener.as_fd(), Kind::Stream).unwrap();
        assert_eq!(port(&held), Some(listener.local_addr().unwrap().port()));
        assert!(listener.accept().is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock));
        assert_eq!(adopt(udp.as_fd(), Kind::Stream).unwrap_err(), Errno::EINVAL);
        assert_eq!(adopt(std::io::pipe().unwrap().0.as_fd(), Kind::Stream).unwrap_err(), Errno::EINVAL);
    }
}
