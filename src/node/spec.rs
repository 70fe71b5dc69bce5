//! What a socket is to be bound to, read from an app's `queryServer` as Node's cluster primary reads it (`shared_handle.js`,
//! `createServerHandle` in `net.js`, `_createSocketHandle` in `internal/dgram.js`). Binds nothing. Pure.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::Errno;
use super::json::Object;

/// A longer path fits no socket address, not even relative to the working directory.
const LONGEST_ADDRESS: usize = 400;
/// libuv's flags of a bind; the same bit for TCP and UDP.
const IPV6ONLY: i64 = 1;
/// libuv's UV_UDP_REUSEADDR.
const UDP_REUSEADDR: i64 = 4;

/// Whether connections or datagrams arrive.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Kind {
    /// `net.Native`.
    Stream,
    /// `dgram.Native`.
    Datagram,
}

/// An address to bind to.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Host {
    /// All of them: dual-stack `::` or, where there is no IPv6, `0.0.0.0`.
    Any,
    V4(Ipv4Addr),
    /// With the zone of a link-local address: `eth0` in `fe80::1%eth0`.
    V6(Ipv6Addr, Option<String>),
}

/// A socket to bind.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Spec {
    Tcp {
        address: Host,
        port: u16,
        v6only: bool,
    },
    Udp {
        address: Host,
        port: u16,
        v6only: bool,
        reuse_address: bool,
    },
    /// A unix socket at an absolute path.
    Unix {
        path: String,
    },
    /// A socket that restartinit was given or made: the descriptor's number, as the app was told it. Nothing else may be handed out
    /// for it than 0, 1, 2 and what `--listen` opened.
    Inherited {
        fd: i32,
        kind: Kind,
    },
}

impl Spec {
    /// Whether each generation gets the same address: not where the kernel chooses the port.
    pub fn is_fixed(&self) -> bool {
        !matches!(self, Spec::Tcp { port: 0, .. } | Spec::Udp { port: 0, .. })
    }

    /// Reads a query.
    ///
    /// # Errors
    /// What the app gets for an answer: EINVAL where it makes no sense, ENAMETOOLONG.
    pub fn of(query: &Object<'_>) -> Result<Spec, Errno> {
        let datagram = matches!(query.address_type.text(), Some("udp4" | "udp6"));
        let flags = query.flags.number().unwrap_or(0);
        let v6only = flags & IPV6ONLY != 0;
        match query.fd.number() {
            Some(fd) if fd > 0 || (fd == 0 && !datagram) => {
                let kind = if datagram { Kind::Datagram } else { Kind::Stream };
                return Ok(Spec::Inherited { fd: i32::try_from(fd).map_err(|_| Errno::EINVAL)?, kind });
            }
            _ => {}
        }
        if query.address.text().is_some_and(|address| address.len() > LONGEST_ADDRESS) {
            return Err(Errno::ENAMETOOLONG);
        }
        if query.port.number() == Some(-1) && query.address_type.number() == Some(-1) {
            let path = query.address.text().filter(|path| path.starts_with('/') && !path.contains('\0'));
            return Ok(Spec::Unix { path: path.ok_or(Errno::EINVAL)?.to_owned() });
        }
        let port = if query.port.is_absent() { Some(0) } else { query.port.number() };
        let port = port.and_then(|port| u16::try_from(port).ok()).ok_or(Errno::EINVAL)?;
        let mut address = match query.address.text().filter(|address| !address.is_empty()) {
            Some(address) => Host::parse(address).ok_or(Errno::EINVAL)?,
            None if query.address.is_absent() || query.address.text().is_some() => Host::Any,
            None => return Err(Errno::EINVAL),
        };
        if !datagram {
            return Ok(Spec::Tcp { address, port, v6only });
        }
        let four = query.address_type.text() == Some("udp4");
        if address == Host::Any {
            address = if four { Host::V4(Ipv4Addr::UNSPECIFIED) } else { Host::V6(Ipv6Addr::UNSPECIFIED, None) };
        }
        if matches!(address, Host::V4(_)) != four {
            return Err(Errno::EINVAL);
        }
        Ok(Spec::Udp { address, port, v6only, reuse_address: flags & UDP_REUSEADDR != 0 })
    }

    pub fn kind(&self) -> Kind {
        match self {
            Spec::Tcp { .. } | Spec::Unix { .. } => Kind::Stream,
            Spec::Udp { .. } => Kind::Datagram,
            Spec::Inherited { kind, .. } => *kind,
        }
    }

    /// The port that is asked for by number; `None`: any free one, or no port at all.
    pub fn fixed_port(&self) -> Option<u16> {
        match self {
            Spec::Tcp { port, .. } | Spec::Udp { port, .. } => Some(*port).filter(|port| *port != 0),
            Spec::Unix { .. } | Spec::Inherited { .. } => None,
        }
    }

    /// Whether one of them may stand in the other's way.
    pub fn may_collide(&self, other: &Spec) -> bool {
        match (self, other) {
            (Spec::Unix { path }, Spec::Unix { path: others }) => path == others,
            _ => self.kind() == other.kind() && self.fixed_port().is_some() && self.fixed_port() == other.fixed_port(),
        }
    }
}

impl Host {
    fn parse(text: &str) -> Option<Host> {
        let (bare, zone) = match text.split_once('%') {
            Some((bare, zone)) => (bare, Some(zone.to_owned())),
            None => (text, None),
        };
        match (bare.parse().ok()?, zone) {
            (IpAddr::V4(address), None) => Some(Host::V4(address)),
            (IpAddr::V4(_), Some(_)) => None,
            (IpAddr::V6(address), zone) => Some(Host::V6(address, zone)),
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Host::Any => out.write_str("*"),
            Host::V4(address) => write!(out, "{address}"),
            Host::V6(address, None) => write!(out, "[{address}]"),
            Host::V6(address, Some(zone)) => write!(out, "[{address}%{zone}]"),
        }
    }
}

/// For people: `*:3000`, `127.0.0.1:53/udp`, `unix:/run/app.sock`, `fd 3`.
impl fmt::Display for Spec {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Spec::Tcp { address, port, .. } => write!(out, "{address}:{port}"),
            Spec::Udp { address, port, .. } => write!(out, "{address}:{port}/udp"),
            Spec::Unix { path } => write!(out, "unix:{}", path.escape_debug()),
            Spec::Inherited { fd, .. } => write!(out, "fd {fd}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::json;
    use super::*;

    fn spec(fields: &str) -> Result<Spec, Errno> {
        Spec::of(&json::read(format!("{{{fields}}}").as_bytes()).unwrap())
    }

    fn shown(fields: &str) -> String {
        spec(fields).map_or_else(|errno| format!("errno {errno}"), |spec| spec.to_string())
    }

    #[test]
    fn what_node_asks_for() {
        for (fields, text) in [
            (r#""address":null,"port":3000,"addressType":4"#, "*:3000"),
            (r#""address":null,"port":0,"addressType":4,"backlog":0"#, "*:0"),
            (r#""address":"127.0.0.1","port":80,"addressType":4"#, "127.0.0.1:80"),
            (r#""address":"::1","port":80,"addressType":6,"flags":0"#, "[::1]:80"),
            (r#""address":"fe80::1%eth0","port":80,"addressType":6"#, "[fe80::1%eth0]:80"),
            (r#""address":"/run/app.sock","port":-1,"addressType":-1"#, "unix:/run/app.sock"),
            (r#""address":null,"port":null,"addressType":null,"fd":3"#, "fd 3"),
            (r#""address":"0.0.0.0","port":53,"addressType":"udp4","fd":-1,"flags":4"#, "0.0.0.0:53/udp"),
            (r#""address":"0.0.0.0","addressType":"udp4","fd":-1,"flags":0"#, "0.0.0.0:0/udp"),
            (r#""address":"::","port":53,"addressType":"udp6","fd":-1,"flags":1"#, "[::]:53/udp"),
            (r#""address":"","port":80,"addressType":4"#, "*:80"),
            (r#""address":null,"port":53,"addressType":"udp4""#, "0.0.0.0:53/udp"),
            (r#""address":null,"port":53,"addressType":"udp6""#, "[::]:53/udp"),
            (r#""fd":0,"addressType":null"#, "fd 0"),
            // dgram has no descriptor 0: it stands for none.
            (r#""fd":0,"port":53,"addressType":"udp4""#, "0.0.0.0:53/udp"),
            (r#""fd":3,"addressType":"udp4""#, "fd 3"),
        ] {
            assert_eq!(shown(fields), text);
        }
    }

    #[test]
    fn flags_are_libuvs() {
        let udp = spec(r#""address":"::","port":53,"addressType":"udp6","fd":-1,"flags":5"#);
        assert!(matches!(udp, Ok(Spec::Udp { v6only: true, reuse_address: true, .. })));
        let tcp = |flags: u8| spec(&format!(r#""address":"::","port":53,"addressType":6,"flags":{flags}"#));
        assert!(matches!((tcp(1), tcp(0)), (Ok(Spec::Tcp { v6only: true, .. }), Ok(Spec::Tcp { v6only: false, .. }))));
        let udp = |flags: u8| match spec(&format!(r#""port":53,"addressType":"udp6","flags":{flags}"#)) {
            Ok(Spec::Udp { v6only, reuse_address, .. }) => (v6only, reuse_address),
            other => panic!("{other:?}"),
        };
        assert_eq!([0, 1, 2, 4].map(udp), [(false, false), (true, false), (false, false), (false, true)]);
    }

    #[test]
    fn nonsense_is_refused() {
        let of_length = |length: usize| format!(r#""address":"/{}","port":-1,"addressType":-1"#, "x".repeat(length - 1));
        let long = of_length(LONGEST_ADDRESS + 1);
        assert!(spec(&of_length(LONGEST_ADDRESS)).is_ok());
        for (fields, errno) in [
            (r#""port":65536"#, Errno::EINVAL),
            (r#""port":-1"#, Errno::EINVAL),
            (r#""port":"80""#, Errno::EINVAL),
            (r#""port":80,"address":"nowhere""#, Errno::EINVAL),
            (r#""port":80,"address":5"#, Errno::EINVAL),
            (r#""port":80,"address":"1.2.3.4%x""#, Errno::EINVAL),
            (r#""port":80,"address":"::1","addressType":"udp4""#, Errno::EINVAL),
            (r#""port":80,"address":"127.0.0.1","addressType":"udp6""#, Errno::EINVAL),
            (r#""port":-1,"address":"/a","addressType":4"#, Errno::EINVAL),
            (r#""port":80,"address":"/a","addressType":-1"#, Errno::EINVAL),
            (r#""port":-1,"addressType":-1"#, Errno::EINVAL),
            (r#""port":-1,"addressType":-1,"address":"relative""#, Errno::EINVAL),
            (r#""port":-1,"addressType":-1,"address":"/a\u0000b""#, Errno::EINVAL),
            (r#""fd":99999999999"#, Errno::EINVAL),
            (long.as_str(), Errno::ENAMETOOLONG),
        ] {
            assert_eq!(spec(fields), Err(errno), "{fields}");
        }
    }

    #[test]
    fn what_may_collide() {
        let of = |fields| spec(fields).unwrap();
        let any = of(r#""port":80,"addressType":4"#);
        assert!(any.may_collide(&of(r#""port":80,"address":"127.0.0.1","addressType":4"#)));
        assert!(!any.may_collide(&of(r#""port":81,"addressType":4"#)));
        assert!(!any.may_collide(&of(r#""port":80,"addressType":"udp4","address":"0.0.0.0""#)));
        assert!(!of(r#""port":0"#).may_collide(&of(r#""port":0"#)));
        let path = of(r#""port":-1,"addressType":-1,"address":"/a""#);
        assert!(path.may_collide(&path) && !path.may_collide(&any));
        assert!(!path.may_collide(&of(r#""port":-1,"addressType":-1,"address":"/b""#)));
    }

    #[test]
    fn connections_or_datagrams() {
        for (fields, kind) in [
            (r#""port":80"#, Kind::Stream),
            (r#""port":-1,"addressType":-1,"address":"/a""#, Kind::Stream),
            (r#""port":53,"addressType":"udp4""#, Kind::Datagram),
            (r#""fd":3"#, Kind::Stream),
            (r#""fd":3,"addressType":"udp6""#, Kind::Datagram),
        ] {
            assert_eq!(spec(fields).unwrap().kind(), kind, "{fields}");
        }
    }
}
