//! What an app answers to a check: bytes to its status. Pure.

use httparse::{EMPTY_HEADER, Response, Status};

use crate::supervisor::fault::Fault;

/// So much of an answer is looked at, in bytes: its status stands in front.
pub const LONGEST_HEAD: usize = 4096;
/// Far more than any app sends.
const MOST_HEADERS: usize = 64;

/// The status of the answer that begins here; `None`: more bytes are needed. Those that only announce another one are taken away.
pub fn status(head: &mut Vec<u8>) -> Option<Result<u16, Fault>> {
    loop {
        let mut headers = [EMPTY_HEADER; MOST_HEADERS];
        let mut response = Response::new(&mut headers);
        let parsed = response.parse(head);
        match (response.code, parsed) {
            (Some(100..200), Ok(Status::Complete(length))) => {
                head.drain(..length.min(head.len()));
            }
            (Some(100..200), Ok(Status::Partial)) | (None, Ok(_)) if head.len() < LONGEST_HEAD => return None,
            (Some(status @ 200..), _) => return Some(Ok(status)),
            _ => return Some(Err(Fault::NoHttp)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_status_stands_in_front() {
        for (head, expected) in [
            (&b"HTTP/1.1 200 OK\r\n"[..], Some(Ok(200))),
            (b"HTTP/1.0 503 Busy\r\nX: y\r\n\r\nbody", Some(Ok(503))),
            (b"HTTP/1.1 204 \r\n\r\n", Some(Ok(204))),
            (b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 302 Found\r\n", Some(Ok(302))),
            (b"HTTP/1.1 100 Continue\r\n\r\n", None),
            (b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n", None),
            (b"HTTP/1.1 2", None),
            (b"", None),
            (b"SSH-2.0-OpenSSH\r\n", Some(Err(Fault::NoHttp))),
            (b"\x15\x03\x03\x00\x02\x02", Some(Err(Fault::NoHttp))),
        ] {
            assert_eq!(status(&mut head.to_vec()), expected, "{}", head.escape_ascii());
        }
        let endless = [&b"HTTP/1.1 103 x\r\nA: "[..], &[b'a'; LONGEST_HEAD]].concat();
        assert_eq!(status(&mut endless[..LONGEST_HEAD].to_vec()), Some(Err(Fault::NoHttp)));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_fall_over(bytes: Vec<u8>, begin in 0usize..3) {
            let begin = [&b""[..], b"HTTP/1.1 ", b"HTTP/1.1 100 a\r\n\r\n"][begin];
            let mut head = [begin, &bytes].concat();
            head.truncate(LONGEST_HEAD);
            let _ = status(&mut head);
        }
    }
}
