//! Where to listen: a port, an address and a port, or a path. Pure.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use nix::errno::Errno;

use super::values::Accepted;
use crate::errno;

/// `3000`, `127.0.0.1:3000`, `[::]:3000`, `unix:/run/app.sock`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Address {
    /// A bare port: every interface, IPv6 and IPv4.
    Port(u16),
    Tcp(SocketAddr),
    Unix(PathBuf),
}

impl Address {
    /// Any address.
    ///
    /// # Errors
    /// What is accepted.
    pub fn parse(text: &str) -> Result<Address, Accepted> {
        const ACCEPTED: Accepted = "a port such as 3000, an address such as 127.0.0.1:3000 or [::1]:3000, or unix:/path";
        match text.strip_prefix("unix:") {
            Some(path) if path.starts_with('/') && !path.contains('\0') => Ok(Address::Unix(path.into())),
            Some(_) => Err(ACCEPTED),
            None => Address::parse_tcp(text).map_err(|_| ACCEPTED),
        }
    }

    /// One on TCP.
    ///
    /// # Errors
    /// What is accepted.
    pub fn parse_tcp(text: &str) -> Result<Address, Accepted> {
        const ACCEPTED: Accepted = "a port from 1 to 65535 such as 3000, or an address such as 127.0.0.1:3000 or [::1]:3000";
        let address = match text.parse::<SocketAddr>() {
            Ok(address) => Some(Address::Tcp(address)),
            Err(_) if text.bytes().all(|byte| byte.is_ascii_digit()) => text.parse().ok().map(Address::Port),
            Err(_) => None,
        };
        // Nobody could find out which port 0 has become.
        address.filter(|address| address.port() != Some(0)).ok_or(ACCEPTED)
    }

    pub fn port(&self) -> Option<u16> {
        match self {
            Address::Port(port) => Some(*port),
            Address::Tcp(address) => Some(address.port()),
            Address::Unix(_) => None,
        }
    }

    /// The address to bind, and the one to fall back to where there is no IPv6, as Node's `listen` does. A path has none.
    pub fn candidates(&self) -> impl Iterator<Item = SocketAddr> + use<> {
        let (first, second) = match self {
            Address::Port(port) => {
                let any = |ip: IpAddr| Some(SocketAddr::new(ip, *port));
                (any(std::net::Ipv6Addr::UNSPECIFIED.into()), any(std::net::Ipv4Addr::UNSPECIFIED.into()))
            }
            Address::Tcp(address) => (Some(*address), None),
            Address::Unix(_) => (None, None),
        };
        first.into_iter().chain(second)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Port(port) => write!(f, "{port}"),
            Address::Tcp(address) => write!(f, "{address}"),
            Address::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// Why an address cannot be bound, and what to do. `option` has named it.
pub fn advice(errno: Errno, option: &str) -> String {
    match errno {
        Errno::EACCES => {
            "permission denied (ports below 1024 need CAP_NET_BIND_SERVICE; a path, a folder that may be written to)".to_owned()
        }
        Errno::EADDRINUSE => format!("address in use (give {option} one that neither the command nor anybody else here listens on)"),
        Errno::EADDRNOTAVAIL => "address not available (is it one of this container's? 0.0.0.0 is all of them)".to_owned(),
        other => errno::text(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn addresses_are_shown_as_they_are_given() {
        for text in ["3000", "1", "65535", "127.0.0.1:3000", "0.0.0.0:80", "[::]:3000", "[::1]:3000", "unix:/run/app.sock"] {
            assert_eq!(Address::parse(text).map(|address| address.to_string()), Ok(text.to_owned()));
            assert_eq!(Address::parse_tcp(text).is_ok(), !text.starts_with("unix:"), "{text}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in [
            "",
            "0",
            "65536",
            "-1",
            "+80",
            " 80",
            "x",
            ":3000",
            "localhost:3000",
            "127.0.0.1",
            "127.0.0.1:0",
            "::1:80",
            "::",
            "unix:",
            "unix:a",
            "unix:/a\0b",
            "http://x",
        ] {
            assert!(Address::parse(text).is_err() && Address::parse_tcp(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_bare_port_is_every_interface() {
        let all = |text: &str| Address::parse(text).unwrap().candidates().map(|address| address.to_string()).collect::<Vec<_>>();
        assert_eq!(all("3000"), ["[::]:3000", "0.0.0.0:3000"]);
        assert_eq!(all("127.0.0.1:3000"), ["127.0.0.1:3000"]);
        assert!(all("unix:/x").is_empty());
    }

    #[test]
    fn a_port_is_told_where_there_is_one() {
        let port = |text: &str| Address::parse(text).unwrap().port();
        assert_eq!((port("3000"), port("[::1]:80"), port("unix:/x")), (Some(3000), Some(80), None));
    }

    #[test]
    fn whoever_cannot_bind_is_told_what_to_do() {
        for (errno, what) in [
            (Errno::EACCES, "need CAP_NET_BIND_SERVICE"),
            (Errno::EADDRINUSE, "give --http one that neither"),
            (Errno::EADDRNOTAVAIL, "0.0.0.0 is all of them"),
            (Errno::ENOMEM, "cannot allocate memory"),
        ] {
            assert!(advice(errno, "--http").contains(what), "{}", advice(errno, "--http"));
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_fall_over(text in "\\PC*") {
            let _ = (Address::parse(&text), Address::parse_tcp(&text));
        }
    }
}
