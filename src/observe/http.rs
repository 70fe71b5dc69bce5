//! HTTP as far as it is spoken here: the head of one request in, one answer out, both ways of a verb's exchange. Pure: bytes to values and
//! back. A body is never looked at.

use httparse::{EMPTY_HEADER, Error, Request, Status};

/// The longest head of a request, in bytes.
pub const LONGEST_HEAD: usize = 8 * 1024;
/// Far more than any client sends.
const MOST_HEADERS: usize = 64;

/// Where a request came in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Interface {
    /// The abstract unix socket: trusted peers only.
    Control,
    /// `--http`: anybody, so nothing that changes anything.
    Http,
}

/// What a request asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Route {
    Livez,
    Readyz,
    Metrics,
    Status,
    StatusText,
    Restart {
        /// Without an overlap, if it cannot be had.
        is_forced: bool,
    },
}

const READING: [(&str, Route); 4] =
    [("/livez", Route::Livez), ("/readyz", Route::Readyz), ("/metrics", Route::Metrics), ("/status", Route::Status)];
/// The status for people, on the control socket.
pub const STATUS_TEXT: &str = "/status.txt";
/// POST, on the control socket.
pub const RESTART: &str = "/restart";
/// Where the same is asked for without an overlap, if it cannot be had.
pub const RESTART_BY_FORCE: &str = "/restart/force";

/// What the bytes of a head come to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Head {
    /// More bytes are needed.
    Partial,
    /// The answer to HEAD goes out without its body.
    Asks { route: Route, with_body: bool },
    /// It is answered without asking anybody.
    Refused { answer: Response, with_body: bool },
}

/// An answer, before it is bytes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Response {
    pub status: u16,
    pub content_type: &'static str,
    /// With 405: the methods that would do.
    pub allow: Option<&'static str>,
    pub body: String,
}

impl Response {
    /// One or more lines; the last needs no line's end.
    pub fn text(status: u16, line: String) -> Response {
        Response { status, content_type: "text/plain; charset=utf-8", allow: None, body: line + "\n" }
    }

    pub fn json(object: String) -> Response {
        Response { status: 200, content_type: "application/json", allow: None, body: object + "\n" }
    }

    pub fn metrics(page: String) -> Response {
        Response { status: 200, content_type: "text/plain; version=0.0.4; charset=utf-8", allow: None, body: page }
    }

    /// To whoever the control socket does not serve.
    pub fn forbidden() -> Response {
        Response::text(403, "only root and restartinit's own user are answered here".to_owned())
    }

    /// Every answer is the last of its connection.
    pub fn render(&self, with_body: bool) -> Vec<u8> {
        let Response { status, content_type, allow, body } = self;
        let allow = allow.map_or(String::new(), |methods| format!("Allow: {methods}\r\n"));
        let reason = reason_phrase(*status);
        let length = body.len();
        let mut bytes = format!(
            "HTTP/1.1 {status} {reason}\r\n{allow}Content-Type: {content_type}\r\nContent-Length: {length}\r\n\
             Cache-Control: no-store\r\nConnection: close\r\n\r\n"
        );
        if with_body {
            bytes.push_str(body);
        }
        bytes.into_bytes()
    }
}

fn reason_phrase(status: u16) -> &'static str {
    match status {
        200 => "OK",
        400 => "Bad Request",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        431 => "Request Header Fields Too Large",
        503 => "Service Unavailable",
        505 => "HTTP Version Not Supported",
        _ => "Unknown",
    }
}

/// Reads a head from the beginning of a connection's bytes. Only the first [`LONGEST_HEAD`] bytes count.
pub fn read(interface: Interface, bytes: &[u8]) -> Head {
    let head = bytes.get(..LONGEST_HEAD).unwrap_or(bytes);
    let refused = |status, line: &str| Head::Refused { answer: Response::text(status, line.to_owned()), with_body: true };
    let mut headers = [EMPTY_HEADER; MOST_HEADERS];
    let mut request = Request::new(&mut headers);
    match request.parse(head) {
        Ok(Status::Complete(_)) => route(interface, request.method.unwrap_or_default(), request.path.unwrap_or_default()),
        Ok(Status::Partial) if head.len() < LONGEST_HEAD => Head::Partial,
        Ok(Status::Partial) => refused(431, "the head of the request is longer than 8 KiB"),
        Err(Error::TooManyHeaders) => refused(431, "the request has more than 64 header fields"),
        Err(Error::Version) if names_http(head) => refused(505, "HTTP/1.0 and HTTP/1.1 are spoken here"),
        Err(_) => refused(400, "this is no HTTP request"),
    }
}

/// Whether the third word of the first line is a version of HTTP.
fn names_http(head: &[u8]) -> bool {
    let line = head.trim_ascii_start().split(|byte| *byte == b'\n').next().unwrap_or_default();
    line.split(|byte| *byte == b' ').nth(2).is_some_and(|word| word.starts_with(b"HTTP/"))
}

fn route(interface: Interface, method: &str, target: &str) -> Head {
    let with_body = method != "HEAD";
    let path = path(target);
    let control = interface == Interface::Control;
    let reading = READING.iter().find(|(known, _)| *known == path).map(|(_, route)| *route);
    let reading = reading.or((control && path == STATUS_TEXT).then_some(Route::StatusText));
    let changing = match path {
        RESTART if control => Some(Route::Restart { is_forced: false }),
        RESTART_BY_FORCE if control => Some(Route::Restart { is_forced: true }),
        _ => None,
    };
    let wrong_method = |methods: &'static str| {
        let answer = Response::text(405, format!("{path} takes {methods}"));
        Head::Refused { answer: Response { allow: Some(methods), ..answer }, with_body }
    };
    match (reading, changing, method) {
        (Some(route), _, "GET" | "HEAD") | (None, Some(route), "POST") => Head::Asks { route, with_body },
        (Some(_), _, _) => wrong_method("GET, HEAD"),
        (None, Some(_), _) => wrong_method("POST"),
        (None, None, _) => {
            let paths: Vec<&str> =
                READING.iter().map(|(path, _)| *path).chain([STATUS_TEXT, RESTART].into_iter().filter(|_| control)).collect();
            Head::Refused { answer: Response::text(404, format!("not found; there are: {}", paths.join(" "))), with_body }
        }
    }
}

/// The path of a request's target: without a query, and of the whole address that a proxy's client sends.
fn path(target: &str) -> &str {
    let target = match target.strip_prefix("http://") {
        Some(address) => address.find('/').and_then(|slash| address.get(slash..)).unwrap_or("/"),
        None => target,
    };
    target.split(['?', '#']).next().unwrap_or_default()
}

/// What a verb sends.
pub fn request(method: &str, path: &str) -> Vec<u8> {
    format!("{method} {path} HTTP/1.1\r\nHost: restartinit\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").into_bytes()
}

/// What a verb got by the connection's end: the status and the body. `None`: no answer, or half of one.
pub fn read_answer(bytes: &[u8]) -> Option<(u16, &str)> {
    let (head, body) = std::str::from_utf8(bytes).ok()?.split_once("\r\n\r\n")?;
    let status = head.strip_prefix("HTTP/1.1 ")?.split(' ').next()?.parse().ok()?;
    let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "))?;
    (length.parse() == Ok(body.len())).then_some((status, body))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn status(interface: Interface, bytes: &str) -> u16 {
        match read(interface, bytes.as_bytes()) {
            Head::Refused { answer, .. } => answer.status,
            other => panic!("{bytes:?}: {other:?}"),
        }
    }

    fn asks(interface: Interface, bytes: &str) -> (Route, bool) {
        match read(interface, bytes.as_bytes()) {
            Head::Asks { route, with_body } => (route, with_body),
            other => panic!("{bytes:?}: {other:?}"),
        }
    }

    #[test]
    fn what_is_read_is_read_on_both_doors() {
        for interface in [Interface::Http, Interface::Control] {
            for (path, route) in READING {
                assert_eq!(asks(interface, &format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n")), (route, true));
                assert_eq!(asks(interface, &format!("HEAD {path}?a=b HTTP/1.0\r\n\r\n")), (route, false));
                assert_eq!(status(interface, &format!("POST {path} HTTP/1.1\r\n\r\n")), 405);
            }
        }
        assert_eq!(asks(Interface::Http, "GET http://host:1/livez HTTP/1.1\r\n\r\n"), (Route::Livez, true));
        assert_eq!(asks(Interface::Http, "GET /livez HTTP/1.1\n\n"), (Route::Livez, true));
    }

    #[test]
    fn a_restart_can_only_be_posted_to_the_control_door() {
        assert_eq!(asks(Interface::Control, "POST /restart HTTP/1.1\r\n\r\n"), (Route::Restart { is_forced: false }, true));
        for method in ["GET", "HEAD", "PUT", "DELETE"] {
            assert_eq!(status(Interface::Control, &format!("{method} /restart HTTP/1.1\r\n\r\n")), 405);
        }
        for method in ["GET", "HEAD", "POST", "PUT", "OPTIONS"] {
            for target in ["/restart", "http://x/restart", "/restart?x", "//restart", "/livez/../restart", "/%72estart", "/status.txt"] {
                assert_eq!(status(Interface::Http, &format!("{method} {target} HTTP/1.1\r\n\r\n")), 404, "{method} {target}");
            }
        }
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for (bytes, expected) in [
            ("GET / HTTP/1.1\r\n\r\n", 404),
            ("GET /metrics/ HTTP/1.1\r\n\r\n", 404),
            ("OPTIONS * HTTP/1.1\r\n\r\n", 404),
            ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
            ("GET / HTTP/3", 505),
            ("GET / FTP/1.0\r\n\r\n", 400),
            ("GET /livez\r\n\r\n", 400),
            ("\u{16}\u{3}\u{1}\u{2}", 400),
            ("GET /livez HTTP/1.1\r\nno colon\r\n\r\n", 400),
        ] {
            assert_eq!(status(Interface::Http, bytes), expected, "{bytes:?}");
        }
        assert_eq!(status(Interface::Http, &format!("GET /livez HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(65))), 431);
        assert_eq!(status(Interface::Http, &format!("GET /{}", "a".repeat(LONGEST_HEAD))), 431);
        assert_eq!(asks(Interface::Http, &format!("GET /livez HTTP/1.1\r\nCookie: {}\r\n\r\n", "a".repeat(8000))).0, Route::Livez);
    }

    #[test]
    fn a_refusal_says_what_there_is() {
        let Head::Refused { answer, .. } = read(Interface::Http, b"GET / HTTP/1.1\r\n\r\n") else { panic!() };
        assert_eq!(answer.body, "not found; there are: /livez /readyz /metrics /status\n");
        let Head::Refused { answer, with_body } = read(Interface::Control, b"HEAD /restart HTTP/1.1\r\n\r\n") else { panic!() };
        assert_eq!(answer.allow, Some("POST"));
        let bytes = String::from_utf8(answer.render(with_body)).unwrap();
        assert!(bytes.starts_with("HTTP/1.1 405 Method Not Allowed\r\nAllow: POST\r\n") && bytes.ends_with("close\r\n\r\n"), "{bytes}");
    }

    #[test]
    fn an_answer_names_its_status_as_http_does() {
        for (status, line) in [
            (200, "200 OK"),
            (400, "400 Bad Request"),
            (403, "403 Forbidden"),
            (404, "404 Not Found"),
            (405, "405 Method Not Allowed"),
            (431, "431 Request Header Fields Too Large"),
            (503, "503 Service Unavailable"),
            (505, "505 HTTP Version Not Supported"),
        ] {
            let bytes = String::from_utf8(Response::text(status, "x".to_owned()).render(true)).unwrap();
            assert!(
                bytes.starts_with(&format!("HTTP/1.1 {line}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 2\r\n")),
                "{bytes}"
            );
            assert!(bytes.ends_with("\r\nConnection: close\r\n\r\nx\n"), "{bytes}");
        }
        assert_eq!(Response::forbidden(), Response::text(403, "only root and restartinit's own user are answered here".to_owned()));
    }

    #[test]
    fn a_verb_reads_back_what_is_answered() {
        let bytes = Response::text(503, "not ready: caf\u{e9}".to_owned()).render(true);
        assert_eq!(read_answer(&bytes), Some((503, "not ready: caf\u{e9}\n")));
        (0..bytes.len()).for_each(|cut| assert_eq!(read_answer(&bytes[..cut]), None));
        assert_eq!(
            asks(Interface::Control, &String::from_utf8(request("POST", RESTART)).unwrap()),
            (Route::Restart { is_forced: false }, true)
        );
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_fall_over(bytes in proptest::collection::vec(any::<u8>(), 0..9000)) {
            let _ = (read(Interface::Http, &bytes), read_answer(&bytes));
        }
    }
}
