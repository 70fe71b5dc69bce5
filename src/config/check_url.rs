//! `--check URL`: what is asked, and where. Pure.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::values::Accepted;

/// `http://127.0.0.1:3000/healthz`, `tcp://127.0.0.1:3000`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CheckUrl {
    text: String,
    /// Tried in this order: `localhost` is either.
    pub addresses: Vec<SocketAddr>,
    /// The request that is sent, in bytes; `None`: a connection is enough.
    pub request: Option<String>,
}

impl CheckUrl {
    /// # Errors
    /// What is accepted.
    pub fn parse(text: &str) -> Result<CheckUrl, Accepted> {
        const ACCEPTED: Accepted = "http://HOST[:PORT]/PATH or tcp://HOST:PORT, where HOST is an IP address or localhost";
        if text.starts_with("https://") {
            return Err("http:// or tcp://: restartinit speaks no TLS (let the app answer its check on a plain port of loopback)");
        }
        if text.bytes().any(|byte| byte.is_ascii_whitespace() || byte.is_ascii_control()) || !text.is_ascii() {
            return Err(ACCEPTED);
        }
        let (is_http, rest) = match (text.strip_prefix("http://"), text.strip_prefix("tcp://")) {
            (Some(rest), _) => (true, rest),
            (None, Some(rest)) => (false, rest),
            (None, None) => return Err(ACCEPTED),
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (place, path) = rest.split_at_checked(end).ok_or(ACCEPTED)?;
        let addresses = addresses(place, is_http).ok_or(ACCEPTED)?;
        let request = match path.split('#').next().unwrap_or_default() {
            path if is_http => {
                let slash = if path.starts_with('/') { "" } else { "/" };
                let agent = concat!("restartinit/", env!("CARGO_PKG_VERSION"));
                Some(format!(
                    "GET {slash}{path} HTTP/1.1\r\nHost: {place}\r\nUser-Agent: {agent}\r\nAccept: */*\r\nConnection: close\r\n\r\n"
                ))
            }
            "" | "/" => None,
            _ => return Err(ACCEPTED),
        };
        Ok(CheckUrl { text: text.to_owned(), addresses, request })
    }

    /// Whether a connection is all that it looks for.
    pub fn is_tcp(&self) -> bool {
        self.request.is_none()
    }
}

/// Where `HOST:PORT` is.
fn addresses(place: &str, is_http: bool) -> Option<Vec<SocketAddr>> {
    let (host, port) = match place.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, port)) => (host, port.strip_prefix(':').or(port.is_empty().then_some(""))?),
        None => place.split_once(':').unwrap_or((place, "")),
    };
    let port = match port {
        "" if is_http && !place.ends_with(':') => 80,
        digits if digits.bytes().all(|byte| byte.is_ascii_digit()) => digits.parse().ok().filter(|port| *port != 0)?,
        _ => return None,
    };
    let hosts: Vec<IpAddr> = match host {
        "localhost" => vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()],
        host if place.starts_with('[') => vec![host.parse::<Ipv6Addr>().ok()?.into()],
        host => vec![host.parse::<Ipv4Addr>().ok()?.into()],
    };
    Some(hosts.into_iter().map(|host| SocketAddr::new(host, port)).collect())
}

impl fmt::Display for CheckUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn good_ones_say_where_and_what() {
        for (text, places, head) in [
            ("http://127.0.0.1:3000/healthz", &["127.0.0.1:3000"][..], Some("GET /healthz HTTP/1.1\r\nHost: 127.0.0.1:3000\r\n")),
            ("http://localhost:3000", &["127.0.0.1:3000", "[::1]:3000"], Some("GET / HTTP/1.1\r\nHost: localhost:3000\r\n")),
            ("http://[::1]:8080/a?b=c#d", &["[::1]:8080"], Some("GET /a?b=c HTTP/1.1\r\nHost: [::1]:8080\r\n")),
            ("http://10.0.0.7?x", &["10.0.0.7:80"], Some("GET /?x HTTP/1.1\r\nHost: 10.0.0.7\r\n")),
            ("http://[::1]/", &["[::1]:80"], Some("GET / HTTP/1.1\r\nHost: [::1]\r\n")),
            ("tcp://127.0.0.1:3000", &["127.0.0.1:3000"], None),
            ("tcp://localhost:1/", &["127.0.0.1:1", "[::1]:1"], None),
        ] {
            let url = CheckUrl::parse(text).unwrap();
            assert_eq!(url.addresses.iter().map(ToString::to_string).collect::<Vec<_>>(), places, "{text}");
            assert_eq!((url.to_string(), url.is_tcp()), (text.to_owned(), head.is_none()));
            assert!(url.request.as_deref().unwrap_or_default().starts_with(head.unwrap_or_default()), "{text}: {:?}", url.request);
            assert!(url.request.is_none_or(|request| request.ends_with("\r\n\r\n")));
        }
    }

    #[test]
    fn bad_ones_are_refused() {
        for text in [
            "",
            "3000",
            "127.0.0.1:3000",
            "ftp://127.0.0.1",
            "http://",
            "http://:3000",
            "http://example.com/",
            "http://user@127.0.0.1/",
            "http://127.0.0.1:0/",
            "http://127.0.0.1:65536/",
            "http://127.0.0.1:/",
            "http://127.0.0.1:+80/",
            "http://::1/",
            "http://[::1",
            "http://[::1]x/",
            "http://[127.0.0.1]/",
            "http://127.0.0.1/a b",
            "http://127.0.0.1/a\r\nX: y",
            "http://127.0.0.1/\u{e9}",
            "tcp://127.0.0.1",
            "tcp://127.0.0.1:80/path",
            "HTTP://127.0.0.1/",
        ] {
            assert!(CheckUrl::parse(text).is_err(), "{text:?}");
        }
        assert!(CheckUrl::parse("https://127.0.0.1/").unwrap_err().contains("no TLS"));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_fall_over(text in "(http|tcp)://\\PC*") {
            if let Ok(url) = CheckUrl::parse(&text) {
                prop_assert!(!url.addresses.is_empty());
                prop_assert!(url.request.is_none_or(|request| request.matches("\r\n\r\n").count() == 1));
            }
        }
    }
}
