//! The kernel's list of sockets by netlink, as `linux/sock_diag.h`, `inet_diag.h` and `unix_diag.h` have it: what to ask, and how to read the
//! answers. Listeners are listed alone: open connections cost nothing there. Pure.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::listeners::{ListenAddress, ListeningSocket};

/// Of which kind.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Family {
    Inet,
    Inet6,
    Unix,
}

pub const FAMILIES: [Family; 3] = [Family::Inet, Family::Inet6, Family::Unix];

const HEADER: usize = 16;
const SOCK_DIAG_BY_FAMILY: u16 = 20;
const REQUEST_DUMP: u16 = 0x301;
const ERROR: u16 = 2;
const DONE: u16 = 3;
/// TCP_LISTEN is 10; unix sockets use the same number.
const LISTENING: u32 = 1 << 10;
/// TCP_ESTABLISHED, and TCP_CLOSE_WAIT: a client that has sent all it will.
const CONNECTED: u32 = 1 << 1 | 1 << 8;
/// INET_DIAG_INFO, which brings `struct tcp_info`.
const INFO: u16 = 2;
/// UDIAG_SHOW_NAME and UDIAG_SHOW_UID.
const SHOW_NAME_AND_USER: u32 = 0x41;

impl Family {
    fn number(self) -> u8 {
        match self {
            Family::Unix => 1,
            Family::Inet => 2,
            Family::Inet6 => 10,
        }
    }

    /// The request for all that listen.
    pub fn request(self) -> Vec<u8> {
        self.request_for(LISTENING, 0)
    }

    /// The request for all that are connected; of unix sockets, no more is told than that.
    pub fn request_connections(self) -> Vec<u8> {
        self.request_for(CONNECTED, 1 << (INFO - 1))
    }

    fn request_for(self, states: u32, extensions: u8) -> Vec<u8> {
        const TCP: u8 = 6;
        let mut body = match self {
            Family::Unix => vec![self.number(), 0, 0, 0],
            Family::Inet | Family::Inet6 => vec![self.number(), TCP, extensions, 0],
        };
        body.extend(states.to_ne_bytes());
        match self {
            // No inode, what to show, no cookie.
            Family::Unix => body.extend([0, SHOW_NAME_AND_USER, 0, 0].into_iter().flat_map(u32::to_ne_bytes)),
            // Of no socket in particular.
            Family::Inet | Family::Inet6 => body.extend([0; 48]),
        }
        let length = u32::try_from(HEADER + body.len()).unwrap_or_default();
        let mut message = length.to_ne_bytes().to_vec();
        message.extend(SOCK_DIAG_BY_FAMILY.to_ne_bytes());
        message.extend(REQUEST_DUMP.to_ne_bytes());
        // No sequence number, and the kernel knows our port.
        message.extend([0; 8]);
        message.extend(body);
        message
    }
}

/// What comes after a datagram of the answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Then {
    More,
    Done,
    /// An errno, or a message that makes no sense: 0.
    Failed(i32),
}

/// Reads a datagram of the answer; adds what listens to `found`.
pub fn read(family: Family, datagram: &[u8], found: &mut Vec<ListeningSocket>) -> Then {
    messages(datagram, |body| {
        found.extend(match family {
            Family::Inet | Family::Inet6 => inet(family, body),
            Family::Unix => unix(body),
        });
    })
}

/// Reads a datagram of the answer to [`Family::request_connections`]; tells our port and the inode of each on which a request is open.
pub fn read_open_requests(datagram: &[u8], mut found: impl FnMut(u16, u64)) -> Then {
    messages(datagram, |body| {
        let info = attribute(body.get(INET_ATTRIBUTES..).unwrap_or_default(), INFO);
        if let (true, Some(port), Some(inode)) = (info.is_some_and(has_open_request), inet_port(body), u32_at(body, INET_INODE)) {
            found(port, inode.into());
        }
    })
}

fn messages(datagram: &[u8], mut each: impl FnMut(&[u8])) -> Then {
    let mut rest = datagram;
    while !rest.is_empty() {
        let Some(length) = u32_at(rest, 0).and_then(|length| usize::try_from(length).ok()) else { return Then::Failed(0) };
        let (Some(kind), Some(body)) = (u16_at(rest, 4), rest.get(HEADER..length)) else { return Then::Failed(0) };
        match kind {
            DONE => return Then::Done,
            ERROR => return Then::Failed(u32_at(body, 0).map_or(0, |errno| errno.cast_signed().wrapping_neg())),
            SOCK_DIAG_BY_FAMILY => each(body),
            _ => {}
        }
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Then::More
}

/// Whether the other end has sent something that was not answered yet, off `struct tcp_info`. What is answered bit by bit, or was asked
/// within a clock tick of the last answer, does not show.
fn has_open_request(info: &[u8]) -> bool {
    const SINCE_SENT: usize = 44;
    const SINCE_RECEIVED: usize = 52;
    const BYTES_RECEIVED: usize = 128;
    const SEGMENTS_SENT: usize = 156;
    let never_answered = u32_at(info, SEGMENTS_SENT) == Some(0);
    let has_asked = info.get(BYTES_RECEIVED..BYTES_RECEIVED + 8).is_some_and(|bytes| bytes.iter().any(|byte| *byte != 0));
    let asked_since = u32_at(info, SINCE_RECEIVED).zip(u32_at(info, SINCE_SENT)).is_some_and(|(received, sent)| received < sent);
    has_asked && (never_answered || asked_since)
}

/// Off `struct inet_diag_msg`.
const INET_INODE: usize = 68;
const INET_ATTRIBUTES: usize = 72;

/// `struct inet_diag_msg`.
fn inet(family: Family, body: &[u8]) -> Option<ListeningSocket> {
    const ADDRESS: usize = 8;
    const USER: usize = 64;
    let port = inet_port(body)?;
    let address = body.get(ADDRESS..)?;
    let ip: IpAddr = match family {
        Family::Inet6 => Ipv6Addr::from(*address.first_chunk::<16>()?).into(),
        Family::Inet | Family::Unix => Ipv4Addr::from(*address.first_chunk::<4>()?).into(),
    };
    let address = ListenAddress::Tcp(SocketAddr::new(ip, port));
    Some(ListeningSocket { inode: u32_at(body, INET_INODE)?.into(), user: Some(u32_at(body, USER)?), address })
}

fn inet_port(body: &[u8]) -> Option<u16> {
    const PORT: usize = 4;
    Some(u16::from_be_bytes(*body.get(PORT..)?.first_chunk()?))
}

/// `struct unix_diag_msg` and its attributes.
fn unix(body: &[u8]) -> Option<ListeningSocket> {
    const INODE: usize = 4;
    const ATTRIBUTES: usize = 16;
    const NAME: u16 = 0;
    const USER: u16 = 7;
    let attributes = body.get(ATTRIBUTES..)?;
    let name = attribute(attributes, NAME).map(name_of).unwrap_or_default();
    let user = attribute(attributes, USER).and_then(|value| u32_at(value, 0));
    Some(ListeningSocket { inode: u32_at(body, INODE)?.into(), user, address: ListenAddress::Unix(name) })
}

/// The first attribute of that kind.
fn attribute(attributes: &[u8], wanted: u16) -> Option<&[u8]> {
    let mut rest = attributes;
    while let (Some(length), Some(kind)) = (u16_at(rest, 0).map(usize::from), u16_at(rest, 2)) {
        let value = rest.get(4..length)?;
        if kind == wanted {
            return Some(value);
        }
        rest = rest.get(length.next_multiple_of(4)..)?;
    }
    None
}

/// A path, which may end with a zero; or a name that begins with one.
fn name_of(value: &[u8]) -> String {
    match value.split_first() {
        Some((0, name)) => format!("@{}", String::from_utf8_lossy(name)),
        _ => String::from_utf8_lossy(value.split(|byte| *byte == 0).next().unwrap_or_default()).into_owned(),
    }
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn message(kind: u16, body: &[u8]) -> Vec<u8> {
        let mut message = (HEADER as u32 + body.len() as u32).to_ne_bytes().to_vec();
        message.extend(kind.to_ne_bytes());
        message.extend([0; 10]);
        message.extend(body);
        message.resize(message.len().next_multiple_of(4), 0);
        message
    }

    fn told(family: Family, datagram: &[u8]) -> (Then, Vec<(u64, Option<u32>, String)>) {
        let mut found = Vec::new();
        let then = read(family, datagram, &mut found);
        (then, found.into_iter().map(|socket| (socket.inode, socket.user, socket.address.to_string())).collect())
    }

    #[test]
    fn sockets_are_told_with_their_address_and_user() {
        let mut body = [0; 72];
        body[0] = 2;
        body[4..6].copy_from_slice(&3000u16.to_be_bytes());
        body[8..12].copy_from_slice(&[127, 0, 0, 1]);
        body[64..68].copy_from_slice(&1000u32.to_ne_bytes());
        body[68..72].copy_from_slice(&77u32.to_ne_bytes());
        let two = [message(SOCK_DIAG_BY_FAMILY, &body), message(SOCK_DIAG_BY_FAMILY, &body), message(DONE, &[0; 4])].concat();
        let listener = (77, Some(1000), "127.0.0.1:3000".to_owned());
        assert_eq!(told(Family::Inet, &two), (Then::Done, vec![listener.clone(), listener]));
        body[8..24].copy_from_slice(&Ipv6Addr::LOCALHOST.octets());
        let six = (77, Some(1000), "[::1]:3000".to_owned());
        assert_eq!(told(Family::Inet6, &message(SOCK_DIAG_BY_FAMILY, &body)), (Then::More, vec![six]));
    }

    #[test]
    fn unix_sockets_are_told_with_their_name() {
        let mut body = vec![1, 1, 10, 0];
        body.extend(79u32.to_ne_bytes());
        body.extend([0; 8]);
        let nameless = body.clone();
        body.extend([10, 0, 0, 0]);
        body.extend(b"/run/a\0\0");
        body.extend([8, 0, 7, 0]);
        body.extend(33u32.to_ne_bytes());
        assert_eq!(told(Family::Unix, &message(SOCK_DIAG_BY_FAMILY, &body)).1, [(79, Some(33), "/run/a".to_owned())]);
        assert_eq!(told(Family::Unix, &message(SOCK_DIAG_BY_FAMILY, &nameless)).1, [(79, None, String::new())]);
        assert_eq!((name_of(b"\0abc"), name_of(b"")), ("@abc".to_owned(), String::new()));
    }

    #[test]
    fn a_request_is_open_if_it_came_after_the_last_answer() {
        // Milliseconds since the last answer and since the last request; bytes that came; segments that were sent.
        for (sent, received, bytes, segments, open) in [
            (500, 20, 100u64, 3u32, true),
            (500, 500, 100, 0, true),
            (500, 500, 100, 3, false),
            (20, 500, 100, 3, false),
            (500, 20, 0, 0, false),
        ] {
            let mut info = vec![0; 160];
            for (at, value) in [(44, sent), (52, received), (128, bytes as u32), (156, segments)] {
                info[at..at + 4].copy_from_slice(&u32::to_ne_bytes(value));
            }
            let mut body = vec![0; INET_ATTRIBUTES];
            body[4..6].copy_from_slice(&3000u16.to_be_bytes());
            body[INET_INODE..INET_INODE + 4].copy_from_slice(&77u32.to_ne_bytes());
            body.extend([5, 0, 9, 0, 1, 0, 0, 0]);
            body.extend(164u16.to_ne_bytes());
            body.extend(INFO.to_ne_bytes());
            body.extend(&info);
            let mut found = Vec::new();
            let then = read_open_requests(&message(SOCK_DIAG_BY_FAMILY, &body), |port, inode| found.push((port, inode)));
            assert_eq!((then, found), (Then::More, if open { vec![(3000, 77)] } else { vec![] }), "{sent} {received} {bytes} {segments}");
        }
        assert!(!has_open_request(&[1; 52]), "an older kernel tells less");
    }

    #[test]
    fn errors_are_told_and_torn_messages_are_no_answer() {
        assert_eq!(told(Family::Inet, &message(ERROR, &(-2i32).to_ne_bytes())), (Then::Failed(2), vec![]));
        for torn in [&[1, 2, 3][..], &[0; 16], &u32::MAX.to_ne_bytes().repeat(8), &message(20, &[0; 8])[..20]] {
            assert_eq!(told(Family::Inet, torn).0, Then::Failed(0));
        }
        assert_eq!(told(Family::Inet, &message(SOCK_DIAG_BY_FAMILY, &[0; 71])).1, []);
    }

    #[test]
    fn a_request_is_for_all_that_listen_and_for_no_others() {
        for (family, number, protocol, rest) in [
            (Family::Inet, 2, 6, [0; 12].as_slice()),
            (Family::Inet6, 10, 6, &[0; 12]),
            (Family::Unix, 1, 0, &[0, SHOW_NAME_AND_USER, 0, 0]),
        ] {
            let words = [u32::from_ne_bytes([number, protocol, 0, 0]), 0x400].into_iter().chain(rest.iter().copied());
            let body: Vec<u8> = words.flat_map(u32::to_ne_bytes).collect();
            let mut request = message(SOCK_DIAG_BY_FAMILY, &body);
            request[6..8].copy_from_slice(&REQUEST_DUMP.to_ne_bytes());
            assert_eq!(family.request(), request, "{family:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            for family in FAMILIES {
                let (mut found, mut messages) = (Vec::new(), message(SOCK_DIAG_BY_FAMILY, &bytes));
                read(family, &bytes, &mut found);
                messages.extend(&bytes);
                read(family, &messages, &mut found);
                read_open_requests(&messages, |_, _| {});
            }
        }
    }
}
