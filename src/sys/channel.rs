//! The socketpair of a Node IPC channel: made, read and written, never waited for. Knows nothing of what the bytes say.

use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::socket::sockopt::PassCred;
use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, UnixCredentials, recvmsg, sendmsg, setsockopt,
    socketpair,
};
use nix::unistd::Pid;

use crate::node::permission::Sender;

/// What a read came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Received {
    /// So many bytes, at least one.
    Bytes(usize),
    Nothing,
    /// The other end is closed.
    Closed,
}

/// What a write came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sent {
    Bytes(usize),
    /// There is no room now.
    Full,
    /// The kernel is short of memory now.
    Short,
    /// The other end is closed.
    Closed,
    /// The kernel refuses this message, by this errno; nothing of it is sent.
    Refused(Errno),
}

/// Makes a channel: our end, and the command's. Both are close-on-exec: whoever executes the command clears that for it alone.
///
/// # Errors
/// The errno of socketpair(2) or fcntl(2).
pub fn pair() -> Result<(OwnedFd, OwnedFd), Errno> {
    let (ours, theirs) = socketpair(AddressFamily::Unix, SockType::Stream, None, SockFlag::SOCK_CLOEXEC)?;
    // Ours only. The flag belongs to the end, not to the pair: a command that is not Node reads as it expects to.
    fcntl(&ours, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    // Who says something comes with it, and no read has the bytes of two.
    setsockopt(&ours, PassCred, &true)?;
    Ok((ours, theirs))
}

/// Reads what is there, and who sent it; `None` where a descriptor came with it. Those never get here: the control buffer has room for
/// the sender alone, and the kernel closes what does not fit (unix(7)).
pub fn receive(channel: &OwnedFd, buffer: &mut [u8]) -> (Received, Option<Sender>) {
    let mut control = nix::cmsg_space!(UnixCredentials);
    let mut parts = [IoSliceMut::new(buffer)];
    let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_CMSG_CLOEXEC;
    let received = match recvmsg::<()>(channel.as_raw_fd(), &mut parts, Some(&mut control), flags) {
        Ok(message) if message.bytes == 0 => Received::Closed,
        Ok(message) => {
            let sender = message.cmsgs().ok().and_then(|mut all| {
                all.find_map(|part| match part {
                    ControlMessageOwned::ScmCredentials(from) => {
                        Some(Sender { pid: Pid::from_raw(from.pid()), uid: from.uid(), gid: from.gid() })
                    }
                    _ => None,
                })
            });
            return (Received::Bytes(message.bytes), sender);
        }
        Err(Errno::EAGAIN | Errno::EINTR | Errno::ENOMEM | Errno::ENOBUFS) => Received::Nothing,
        Err(_) => Received::Closed,
    };
    (received, None)
}

/// Writes as much as there is room for; `socket` goes with the first byte.
pub fn send(channel: &OwnedFd, bytes: &[u8], socket: Option<BorrowedFd<'_>>) -> Sent {
    let descriptor = socket.map(|socket| [socket.as_raw_fd()]);
    let rights = descriptor.as_ref().map(|descriptor| ControlMessage::ScmRights(descriptor));
    let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
    match sendmsg::<()>(channel.as_fd().as_raw_fd(), &[IoSlice::new(bytes)], rights.as_slice(), flags, None) {
        Ok(count) => Sent::Bytes(count),
        Err(Errno::EAGAIN | Errno::EINTR) => Sent::Full,
        Err(Errno::ENOMEM | Errno::ENOBUFS) => Sent::Short,
        Err(Errno::EPIPE | Errno::ECONNRESET | Errno::ENOTCONN) => Sent::Closed,
        Err(errno) => Sent::Refused(errno),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    #[test]
    fn bytes_go_both_ways_and_an_end_is_told() {
        let (ours, theirs) = pair().unwrap();
        let mut app = UnixStream::from(theirs);
        let mut buffer = [0; 16];
        assert_eq!(receive(&ours, &mut buffer).0, Received::Nothing);
        app.write_all(b"\"ready\"\n").unwrap();
        let (received, sender) = receive(&ours, &mut buffer);
        assert_eq!((received, sender.unwrap().pid), (Received::Bytes(8), nix::unistd::getpid()));
        assert_eq!(send(&ours, b"\"shutdown\"\n", None), Sent::Bytes(11));
        app.read_exact(&mut buffer[..11]).unwrap();
        assert_eq!(&buffer[..11], b"\"shutdown\"\n");
        drop(app);
        assert_eq!(receive(&ours, &mut buffer).0, Received::Closed);
        assert_eq!(send(&ours, b"x", None), Sent::Closed);
    }

    #[test]
    fn a_socket_that_nobody_reads_fills_up_and_blocks_nobody() {
        let (ours, _theirs) = pair().unwrap();
        let line = [b'x'; 4096];
        while send(&ours, &line, None) != Sent::Full {}
    }

    #[test]
    fn a_descriptor_goes_with_the_bytes_and_one_that_comes_is_closed() {
        let (ours, theirs) = pair().unwrap();
        let (mut reader, writer) = std::io::pipe().unwrap();
        assert_eq!(send(&theirs, b"x", Some(writer.as_fd())), Sent::Bytes(1));
        drop(writer);
        assert_eq!(receive(&ours, &mut [0; 16]), (Received::Bytes(1), None));
        let mut rest = Vec::new();
        assert_eq!(reader.read_to_end(&mut rest).unwrap(), 0, "the last writing end is closed");
    }
}
