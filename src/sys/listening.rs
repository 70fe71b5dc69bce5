//! The sockets that are listened on in a network namespace: of our own by netlink, of another by `/proc/PID/net`. Both cost as much as there are
//! listeners, however many connections are open. And the connections there on which a request is open, by netlink alone. No call waits.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader};
use std::os::fd::{AsRawFd as _, OwnedFd};

use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, socket};
use nix::unistd::Pid;

use crate::procfs::listeners::{ListenAddress, ListeningSocket, TcpLine, unix};
use crate::procfs::sock_diag::{FAMILIES, Family, Then, read, read_open_requests};

/// More are not looked at: nobody has as many, and the time that a look takes is bounded.
const MOST: usize = 8192;
/// As large as the kernel makes a datagram of the answer for whoever reads no more at a time.
const DATAGRAM: usize = 8192;
/// Of an answer about connections, with some twenty in each.
const MOST_DATAGRAMS: u32 = 400;

/// What the network namespace of a process listens on.
///
/// # Errors
/// That of `/proc/PID/net`, where netlink does not tell either.
pub fn sockets(pid: Pid) -> io::Result<Vec<ListeningSocket>> {
    let mut found = Vec::new();
    let netlink = netlink_of(pid);
    for family in FAMILIES {
        // A kernel may have the one module and not the other.
        let told = netlink.as_ref().map(|socket| ask(socket, family, &mut found));
        if !matches!(told, Some(Ok(()))) {
            read_files(pid, family, &mut found)?;
        }
    }
    Ok(found)
}

fn shares_our_network(pid: Pid) -> bool {
    let namespace = |pid: &str| std::fs::read_link(format!("/proc/{pid}/ns/net")).ok();
    // Where it cannot be told, as of another user's process, it is the common case.
    namespace(&pid.to_string()).is_none_or(|its| namespace("self").is_none_or(|ours| its == ours))
}

/// What tells of the network namespace of a process; `None`: it is not ours, or netlink cannot be had.
fn netlink_of(pid: Pid) -> Option<OwnedFd> {
    if shares_our_network(pid) { open().ok() } else { None }
}

fn open() -> nix::Result<OwnedFd> {
    socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::NetlinkSockDiag)
}

fn ask(socket: &OwnedFd, family: Family, found: &mut Vec<ListeningSocket>) -> io::Result<()> {
    let known = found.len();
    let asked = dump(socket, &family.request(), |datagram| {
        let then = read(family, datagram, found);
        (then, found.len() < MOST)
    });
    if asked.is_err() {
        found.truncate(known);
    }
    asked
}

/// Sends a request, and has `read` look at each datagram of the answer until it has enough. The kernel writes the answer while we ask and
/// while we read it: it is there at once, or never.
fn dump(socket: &OwnedFd, request: &[u8], mut read: impl FnMut(&[u8]) -> (Then, bool)) -> io::Result<()> {
    let fd = socket.as_raw_fd();
    send(fd, request, MsgFlags::MSG_DONTWAIT)?;
    let mut datagram = [0; DATAGRAM];
    loop {
        let length = recv(fd, &mut datagram, MsgFlags::MSG_DONTWAIT)?;
        match read(datagram.get(..length).unwrap_or_default()) {
            (Then::More, true) if length > 0 => {}
            (Then::More | Then::Done, _) => return Ok(()),
            (Then::Failed(errno), _) => return Err(io::Error::from_raw_os_error(errno)),
        }
    }
}

/// How many of these connections, by inode, are to one of `listeners` and have a request that was not answered yet. The kernel goes through
/// its whole table for it, which takes milliseconds; where there are very many connections, not all are looked at.
///
/// # Errors
/// The process is in another network namespace, netlink cannot be had, or its own error.
pub fn open_requests(pid: Pid, connections: &[u64], listeners: &[ListeningSocket]) -> io::Result<usize> {
    let netlink = netlink_of(pid).ok_or(io::ErrorKind::Unsupported)?;
    let mut count = 0;
    for family in [Family::Inet, Family::Inet6] {
        let tcp = listeners.iter().filter_map(|socket| if let ListenAddress::Tcp(tcp) = &socket.address { Some(tcp) } else { None });
        let ports: Vec<u16> = tcp.filter(|tcp| tcp.is_ipv6() == (family == Family::Inet6)).map(|tcp| tcp.port()).collect();
        if !ports.is_empty() {
            let mut left = MOST_DATAGRAMS;
            dump(&netlink, &family.request_connections(), |datagram| {
                let is_its = |port: u16, inode: u64| ports.contains(&port) && connections.contains(&inode);
                let then = read_open_requests(datagram, |port, inode| count += usize::from(is_its(port, inode)));
                left -= 1;
                (then, left > 0)
            })?;
        }
    }
    Ok(count)
}

fn read_files(pid: Pid, family: Family, found: &mut Vec<ListeningSocket>) -> io::Result<()> {
    let (name, is_required) = match family {
        Family::Inet => ("tcp", true),
        // A kernel without IPv6 has no such file.
        Family::Inet6 => ("tcp6", false),
        Family::Unix => ("unix", false),
    };
    let file = match File::open(format!("/proc/{pid}/net/{name}")) {
        Err(error) if error.kind() == io::ErrorKind::NotFound && !is_required => return Ok(()),
        file => file?,
    };
    let mut lines = BufReader::with_capacity(DATAGRAM, file);
    let mut line = Vec::new();
    while found.len() < MOST && lines.read_until(b'\n', &mut line)? > 0 {
        match (family, TcpLine::read(&line)) {
            (Family::Unix, _) => found.extend(unix(&line)),
            (_, TcpLine::Listening(socket)) => found.push(socket),
            (_, TcpLine::Other) => {}
            (_, TcpLine::Connection) => break,
        }
        line.clear();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::{TcpListener, TcpStream};
    use std::os::linux::net::SocketAddrExt as _;
    use std::os::unix::net::{SocketAddr, UnixListener};

    use nix::unistd::getpid;

    use super::*;
    use crate::procfs::listeners::ListenAddress;

    fn by_netlink() -> Vec<ListeningSocket> {
        let (socket, mut found) = (open().unwrap(), Vec::new());
        FAMILIES.iter().for_each(|family| ask(&socket, *family, &mut found).unwrap());
        found
    }

    fn by_files() -> Vec<ListeningSocket> {
        let mut found = Vec::new();
        FAMILIES.iter().for_each(|family| read_files(getpid(), *family, &mut found).unwrap());
        found
    }

    #[test]
    fn both_ways_show_the_same_sockets() {
        let four = TcpListener::bind("127.0.0.1:0").unwrap();
        let six = TcpListener::bind("[::1]:0").unwrap();
        let name = format!("restartinit-test-{}", getpid());
        let local = UnixListener::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        let client = TcpStream::connect(four.local_addr().unwrap()).unwrap();
        let addresses = [
            ListenAddress::Tcp(four.local_addr().unwrap()),
            ListenAddress::Tcp(six.local_addr().unwrap()),
            ListenAddress::Unix(format!("@{name}")),
        ];
        let own = nix::unistd::geteuid().as_raw();
        for (found, tells_all_users) in [(by_netlink(), true), (by_files(), false), (sockets(getpid()).unwrap(), true)] {
            for address in &addresses {
                let socket = found.iter().find(|socket| socket.address == *address).unwrap_or_else(|| panic!("{address}: {found:?}"));
                assert_ne!(socket.inode, 0);
                assert!(socket.user == Some(own) || !tells_all_users && socket.user.is_none(), "{socket:?}");
            }
            let connection = ListenAddress::Tcp(client.local_addr().unwrap());
            assert!(found.iter().all(|socket| socket.address != connection), "a connection is no listener");
        }
        drop((four, six, local));
        assert!(sockets(getpid()).unwrap().iter().all(|socket| !addresses.contains(&socket.address)));
    }

    #[test]
    fn a_request_is_open_until_it_is_answered() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let listener = TcpListener::bind(address).unwrap();
            let connect = || {
                let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
                let served = listener.accept().unwrap().0;
                let inode = nix::sys::stat::fstat(&served).unwrap().st_ino;
                (client, served, inode)
            };
            let (_client, _idle, idle) = connect();
            let (mut client, mut served, asked) = connect();
            let listeners = sockets(getpid()).unwrap();
            let open = |inodes: &[u64]| open_requests(getpid(), inodes, &listeners).unwrap();
            assert_eq!(open(&[idle, asked]), 0, "{address}: nobody has asked");
            client.write_all(b"GET /").unwrap();
            served.read_exact(&mut [0; 5]).unwrap();
            assert_eq!((open(&[idle, asked]), open(&[idle])), (1, 0), "{address}");
            served.write_all(b"200 OK").unwrap();
            client.read_exact(&mut [0; 6]).unwrap();
            assert_eq!(open(&[idle, asked]), 0, "{address}: it is answered");
        }
    }
}
