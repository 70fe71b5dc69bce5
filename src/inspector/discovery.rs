//! What the inspector's HTTP server says: where its WebSocket is. Pure.

use crate::json_scan::{Scanner, Sink};

/// A longer answer is none.
pub const LONGEST: usize = 64 * 1024;
/// Node's are of 37.
const LONGEST_PATH: usize = 200;

/// The question; the answer ends with the connection, or with as many bytes as it says.
pub fn request(port: u16) -> String {
    format!("GET /json/list HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n")
}

/// What has come of an answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer {
    Partial,
    /// The path of the WebSocket. The address before it is what the server believes; whoever asked knows better.
    Found(String),
    /// It is no inspector.
    Wrong,
}

/// Reads what has come up to now.
pub fn read(bytes: &[u8]) -> Answer {
    let is_http = bytes.iter().zip(b"HTTP/1.").all(|(byte, expected)| byte == expected);
    let mut found = Found(None);
    if let Some(end) = head_end(bytes) {
        Scanner::default().feed(bytes.get(end..).unwrap_or_default(), &mut found);
        if status(bytes) != Some(200) {
            return Answer::Wrong;
        }
    }
    match found.0 {
        Some(Some(path)) if is_http => Answer::Found(path),
        None if is_http && bytes.len() < LONGEST => Answer::Partial,
        _ => Answer::Wrong,
    }
}

/// Where the head of an answer ends.
pub fn head_end(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|window| window == b"\r\n\r\n").map(|at| at + 4)
}

/// The status of an answer.
pub fn status(head: &[u8]) -> Option<u16> {
    let line = head.split(|byte| *byte == b'\r').next()?;
    crate::procfs::number(line.split(|byte| *byte == b' ').nth(1)?)
}

/// The first one; one that makes no sense counts.
struct Found(Option<Option<String>>);

impl Sink for Found {
    fn value(&mut self, path: &str, text: &[u8]) {
        if path == "[].webSocketDebuggerUrl" && self.0.is_none() {
            self.0 = Some(path_of(text));
        }
    }
}

fn path_of(url: &[u8]) -> Option<String> {
    let (_, path) = std::str::from_utf8(url).ok()?.strip_prefix("ws://")?.split_once('/')?;
    // It becomes a line of a request.
    let is_plain = path.len() <= LONGEST_PATH && path.bytes().all(|byte| byte.is_ascii_graphic());
    is_plain.then(|| format!("/{path}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ANSWER: &str = "HTTP/1.0 200 OK\r\nContent-Type: application/json; charset=UTF-8\r\nContent-Length: 9\r\n\r\n[ {\n  \"description\": \"node.js instance\",\n  \
        \"id\": \"a-b\",\n  \"webSocketDebuggerUrl\": \"ws://127.0.0.1:9229/a-b\"\n} ]\n\n";

    #[test]
    fn the_path_is_found_as_soon_as_it_has_come() {
        assert_eq!(read(ANSWER.as_bytes()), Answer::Found("/a-b".to_owned()));
        let end = ANSWER.find("a-b\"\n}").unwrap() + 4;
        for length in 0..end {
            assert_eq!(read(&ANSWER.as_bytes()[..length]), Answer::Partial, "{length}");
        }
        assert_eq!(read(&ANSWER.as_bytes()[..end]), Answer::Found("/a-b".to_owned()));
    }

    #[test]
    fn what_is_no_inspector_is_told_apart() {
        let path = |url: &str| read(ANSWER.replace("ws://127.0.0.1:9229/a-b", url).as_bytes());
        for url in ["http://x/a", "ws://x", "ws://x/a b", "ws://x/a\\r\\nHost: y", &format!("ws://x/{}", "a".repeat(201))] {
            assert_eq!(path(url), Answer::Wrong, "{url}");
        }
        assert_eq!(path("ws://x/"), Answer::Found("/".to_owned()));
        assert_eq!(read(ANSWER.replace("200", "404").as_bytes()), Answer::Wrong);
        assert_eq!((read(b"SSH-2.0-x\r\n"), read(b"HTTP/1.1 200 OK\r\n\r\n[]")), (Answer::Wrong, Answer::Partial));
        assert_eq!(read(&[b"HTTP/1.1 200 OK\r\n".as_slice(), &[b'x'; LONGEST]].concat()), Answer::Wrong);
        assert_eq!(read(&[b"HTTP/1.1 200 OK\r\n\r\n".as_slice(), &[b' '; LONGEST]].concat()), Answer::Wrong);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&bytes);
        }
    }
}
