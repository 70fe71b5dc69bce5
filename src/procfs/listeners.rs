//! Which sockets are listened on: `/proc/PID/net/tcp`, `tcp6` and `unix`, and the names of a process' descriptors. Pure.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use nix::unistd::Pid;

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
    /// Each once.
    Found(Vec<Listener>),
    /// Neither its descriptors nor the listeners of its user can be seen here, now or later.
    Unknowable,
}

/// A socket that somebody listens on, as the kernel lists it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ListeningSocket {
    pub inode: u64,
    /// Who made it; `None`: the kernel does not say.
    pub user: Option<u32>,
    pub address: ListenAddress,
}

/// What a line of `/proc/PID/net/tcp` or `tcp6` is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TcpLine {
    Listening(ListeningSocket),
    /// A connection that is being opened, or no line of a socket.
    Other,
    /// An established connection: the kernel lists all that listen before them.
    Connection,
}

impl TcpLine {
    pub fn read(line: &[u8]) -> TcpLine {
        const LISTEN: &[u8] = b"0A";
        const SYN_RECEIVED: &[u8] = b"03";
        const AFTER_STATE_TO_USER: usize = 3;
        const AFTER_USER_TO_INODE: usize = 1;
        let mut words = words(line);
        let (Some(number), Some(local), Some(_), Some(state)) = (words.next(), words.next(), words.next(), words.next()) else {
            return TcpLine::Other;
        };
        match state {
            _ if !number.ends_with(b":") => TcpLine::Other,
            LISTEN => {
                let user = words.nth(AFTER_STATE_TO_USER).and_then(number_of);
                let inode = words.nth(AFTER_USER_TO_INODE).and_then(number_of);
                let address = hexadecimal_address(local).map(ListenAddress::Tcp);
                address.zip(inode).map_or(TcpLine::Other, |(address, inode)| TcpLine::Listening(ListeningSocket { inode, user, address }))
            }
            SYN_RECEIVED => TcpLine::Other,
            _ => TcpLine::Connection,
        }
    }
}

fn number_of<T: std::str::FromStr>(word: &[u8]) -> Option<T> {
    number(word)
}

/// `0100007F:1F90`: each 32 bits as this machine has a number of the network's order.
pub(super) fn hexadecimal_address(word: &[u8]) -> Option<SocketAddr> {
    let (address, port) = std::str::from_utf8(word).ok()?.split_once(':')?;
    let group = |at: usize| Some(u32::from_str_radix(address.get(at..at + 8)?, 16).ok()?.to_ne_bytes());
    let ip: IpAddr = match address.len() {
        8 => Ipv4Addr::from(group(0)?).into(),
        32 => {
            let mut bytes = [0; 16];
            for (place, group) in bytes.chunks_exact_mut(4).zip([group(0)?, group(8)?, group(16)?, group(24)?]) {
                place.copy_from_slice(&group);
            }
            Ipv6Addr::from(bytes).into()
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip, u16::from_str_radix(port, 16).ok()?))
}

/// A line of `/proc/PID/net/unix`, where it is of a socket that is listened on. A path may have anything in it, but comes last.
pub fn unix(line: &[u8]) -> Option<ListeningSocket> {
    // SO_ACCEPTCON, in hexadecimal.
    const LISTENS: &[u8] = b"00010000";
    const FLAGS: usize = 3;
    const AFTER_FLAGS_TO_INODE: usize = 2;
    let mut words = words(line);
    words.nth(FLAGS).filter(|flags| *flags == LISTENS)?;
    let inode = number(words.nth(AFTER_FLAGS_TO_INODE)?)?;
    let path = String::from_utf8_lossy(words.next().unwrap_or_default()).into_owned();
    Some(ListeningSocket { inode, user: None, address: ListenAddress::Unix(path) })
}

impl ListenAddress {
    /// Whether the next generation of a process with this pid will have the same: not where the kernel chose the port out of `ephemeral`, the
    /// first and the last, nor where a path is one for a time.
    pub fn is_fixed(&self, pid: Pid, ephemeral: (u16, u16)) -> bool {
        match self {
            ListenAddress::Tcp(address) => !(ephemeral.0..=ephemeral.1).contains(&address.port()),
            ListenAddress::Unix(path) => {
                let mut numbers = path.split(|c: char| !c.is_ascii_digit());
                let is_temporary = ["/tmp/", "/var/tmp/"].iter().any(|folder| path.starts_with(folder));
                !path.is_empty() && !is_temporary && !numbers.any(|number| number.parse() == Ok(pid.as_raw()))
            }
        }
    }

    /// Whether it is the pipe by which tsx, as a process with this pid, talks to the app that it runs.
    pub fn is_pipe_of_launcher(&self, pid: Pid) -> bool {
        let ListenAddress::Unix(path) = self else { return false };
        let mut parts = path.rsplit('/');
        let (name, folder) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        folder.starts_with("tsx-") && name.strip_suffix(".pipe").and_then(|number| number.parse().ok()) == Some(pid.as_raw())
    }
}

/// The first and the last port of those that the kernel chooses from, off `/proc/sys/net/ipv4/ip_local_port_range`.
pub fn ephemeral_ports(text: &[u8]) -> Option<(u16, u16)> {
    let mut words = words(text);
    Some((number(words.next()?)?, number(words.next()?)?))
}

/// The inode in the name of a descriptor that is a socket, `socket:[7]`.
pub fn of_descriptor(name: &[u8]) -> Option<u64> {
    number(name.strip_prefix(b"socket:[")?.strip_suffix(b"]")?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn listening(address: &str, user: u32, inode: u64) -> TcpLine {
        let address = ListenAddress::Tcp(address.parse().unwrap());
        TcpLine::Listening(ListeningSocket { inode, user: Some(user), address })
    }

    #[test]
    fn only_what_is_listened_on_is_found() {
        let head = b"  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode";
        assert_eq!(TcpLine::read(head), TcpLine::Other);
        let line = |local: &str, state: &str| {
            let line =
                format!("  0: {local} 00000000:0000 {state} 00000000:00000000 00:00000000 00000000  1000        0 77 1 0 100 0 0 10 0");
            TcpLine::read(line.as_bytes())
        };
        assert_eq!(line("0100007F:1F90", "0A"), listening("127.0.0.1:8080", 1000, 77));
        assert_eq!(line("00000000000000000000000001000000:0050", "0A"), listening("[::1]:80", 1000, 77));
        assert_eq!((line("0100007F:1F90", "03"), line("0100007F:1F90", "01")), (TcpLine::Other, TcpLine::Connection));
        for torn in ["0100007F", "0100007F:", "0100007:1F90", "\u{e9}\u{e9}\u{e9}\u{e9}:1F90", ":1F90"] {
            assert_eq!(line(torn, "0A"), TcpLine::Other, "{torn}");
        }
        let path = |line: &[u8]| unix(line).map(|socket| (socket.inode, socket.address.to_string()));
        assert_eq!(path(b"0000000000000000: 00000002 00000000 00010000 0001 01 79 /run/a"), Some((79, "/run/a".to_owned())));
        assert_eq!(path(b"0000000000000000: 00000002 00000000 00010000 0001 01 80 @a\xff"), Some((80, "@a\u{fffd}".to_owned())));
        assert_eq!(path(b"0000000000000000: 00000003 00000000 00000000 0001 03 81"), None);
        assert_eq!((of_descriptor(b"socket:[7]"), of_descriptor(b"pipe:[7]"), of_descriptor(b"socket:[]")), (Some(7), None, None));
    }

    #[test]
    fn what_changes_from_one_generation_to_the_next_is_not_expected() {
        let tcp = |address: &str| ListenAddress::Tcp(address.parse().unwrap());
        let unix = |path: &str| ListenAddress::Unix(path.to_owned());
        let range = ephemeral_ports(b"32768\t60999\n").unwrap();
        let is_fixed = |address: ListenAddress| address.is_fixed(Pid::from_raw(123), range);
        for address in
            [tcp("0.0.0.0:80"), tcp("[::]:32767"), tcp("[::]:61000"), unix("/run/app.sock"), unix("@app"), unix("/run/1234.sock")]
        {
            assert!(is_fixed(address.clone()), "{address}");
        }
        for address in [tcp("0.0.0.0:32768"), tcp("0.0.0.0:60999"), unix("/tmp/app.sock"), unix("/run/app-123.sock"), unix("")] {
            assert!(!is_fixed(address.clone()), "{address}");
        }
        assert_eq!((ephemeral_ports(b""), ephemeral_ports(b"1 x")), (None, None));
    }

    #[test]
    fn the_pipe_of_tsx_is_known_by_its_name() {
        let is_pipe = |path: &str| ListenAddress::Unix(path.to_owned()).is_pipe_of_launcher(Pid::from_raw(7));
        assert!(is_pipe("/tmp/tsx-0/7.pipe") && is_pipe("/var/run/x/tsx-1000/7.pipe"));
        assert!(!is_pipe("/tmp/tsx-0/8.pipe") && !is_pipe("/tmp/app/7.pipe") && !is_pipe("7.pipe"));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = (TcpLine::read(&bytes), unix(&bytes), of_descriptor(&bytes), ephemeral_ports(&bytes));
        }

        #[test]
        fn any_words_are_read_or_refused(words in proptest::collection::vec("0A|03|00010000|[0-9A-F:]{1,40}|7:", 0..12)) {
            let line = words.join(" ");
            let _ = (TcpLine::read(line.as_bytes()), unix(line.as_bytes()));
        }
    }
}
