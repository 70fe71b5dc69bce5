//! Which sockets are listened on, by their inodes: `/proc/PID/net/tcp`, `tcp6` and `unix`, and the names of a process' descriptors. Pure.

use std::fmt;
use std::net::SocketAddr;

use super::{number, words};

/// An address that somebody listens on.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum ListenAddress {
    Tcp(SocketAddr),
    /// A path, or an abstract name that begins with `@`.
    Unix(String),
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ListenAddress::Tcp(address) => address.fmt(f),
            ListenAddress::Unix(path) => f.write_str(path),
        }
    }
}

/// A socket that a generation listens on.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Listener {
    pub address: ListenAddress,
    /// Whether the next generation is expected to listen there too; not: a port that the kernel chose, a path with the pid in it.
    pub is_fixed: bool,
}

/// What a look at a generation's listeners tells.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Listeners {
    /// In the order of their addresses, each once.
    Found(Vec<Listener>),
    /// Neither its descriptors nor the listeners of its user can be seen here, now or later.
    Unknowable,
}

/// The inodes of listening TCP sockets, off `/proc/PID/net/tcp` or `tcp6`.
pub fn tcp(text: &[u8]) -> impl Iterator<Item = u64> {
    const INODE: usize = 9;
    listening(text, b"0A", INODE)
}

/// The inodes of listening unix sockets, off `/proc/PID/net/unix`. A path may have anything in it, but comes last.
pub fn unix(text: &[u8]) -> impl Iterator<Item = u64> {
    const INODE: usize = 6;
    // SO_ACCEPTCON, in hexadecimal.
    listening(text, b"00010000", INODE)
}

/// Of the lines whose fourth word is `mark`, the word that is the inode.
fn listening(text: &[u8], mark: &'static [u8], inode: usize) -> impl Iterator<Item = u64> {
    const MARK: usize = 3;
    text.split(|byte| *byte == b'\n').filter_map(move |line| {
        words(line).nth(MARK).filter(|word| *word == mark)?;
        number(words(line).nth(inode)?)
    })
}

/// The inode in the name of a descriptor that is a socket, `socket:[7]`.
pub fn of_descriptor(name: &[u8]) -> Option<u64> {
    number(name.strip_prefix(b"socket:[")?.strip_suffix(b"]")?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_what_is_listened_on_is_found() {
        let text = b"  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   \
            0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 77 1 0000000000000000 100 0 0 10 0\n   \
            1: 0100007F:1F90 0100007F:9C40 01 00000000:00000000 00:00000000 00000000     0        0 78 1 0000000000000000 20 0 0 10 -1\n";
        assert_eq!(tcp(text).collect::<Vec<_>>(), [77]);
        let text = b"Num       RefCount Protocol Flags    Type St Inode Path\n\
            0000000000000000: 00000002 00000000 00010000 0001 01 79 /run/a b\xff\n\
            0000000000000000: 00000003 00000000 00000000 0001 03 80\n";
        assert_eq!(unix(text).collect::<Vec<_>>(), [79]);
        assert_eq!((of_descriptor(b"socket:[7]"), of_descriptor(b"pipe:[7]"), of_descriptor(b"socket:[]")), (Some(7), None, None));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = (tcp(&bytes).count(), unix(&bytes).count(), of_descriptor(&bytes));
        }
    }
}
