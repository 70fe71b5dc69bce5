//! Connections in `/proc/PID/net/tcp` and `tcp6`: who is at the other end of a socket. Pure.

use std::net::SocketAddr;

use super::listeners::hexadecimal_address;
use super::{number, words};

/// A TCP socket that is connected.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Connection {
    pub inode: u64,
    pub local: SocketAddr,
    pub peer: SocketAddr,
}

impl Connection {
    /// Reads a line; `None`: it is of no established connection.
    pub fn read(line: &[u8]) -> Option<Connection> {
        const ESTABLISHED: &[u8] = b"01";
        const AFTER_STATE_TO_INODE: usize = 5;
        let mut words = words(line);
        words.next().filter(|number| number.ends_with(b":"))?;
        let (local, peer) = (hexadecimal_address(words.next()?)?, hexadecimal_address(words.next()?)?);
        words.next().filter(|state| *state == ESTABLISHED)?;
        Some(Connection { inode: number(words.nth(AFTER_STATE_TO_INODE)?)?, local, peer })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_established_connection_is_read() {
        let line = "   1: 0100007F:240D 0100007F:C350 01 00000000:00000000 00:00000000 00000000  1000        0 4242 1 0000000000000000 20 4 30 10 -1";
        let read = Connection::read(line.as_bytes()).unwrap();
        assert_eq!((read.inode, read.local.to_string(), read.peer.port()), (4242, "127.0.0.1:9229".to_owned(), 50_000));
        let listening = line.replace(" 01 ", " 0A ");
        for other in ["", "  sl  local_address rem_address   st", listening.as_str(), "   1: 0100007F:240D 0100007F:C350 01 0"] {
            assert_eq!(Connection::read(other.as_bytes()), None);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Connection::read(&bytes);
        }
    }
}
