//! A client of the HTTP side, as raw as a test needs it, and ports for it to be on.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

/// No read waits longer; a test that gets here has failed.
const DEADLINE: Duration = Duration::from_secs(30);

/// A port that nobody is on. Below those that the kernel hands out by itself, and each one once in a process: tests run side by side.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = std::process::id() as u16 % 500 * 40;
    loop {
        let port = 10_000 + (first + NEXT.fetch_add(1, Ordering::Relaxed)) % 20_000;
        if TcpListener::bind(("0.0.0.0", port)).is_ok() && TcpListener::bind(("::", port)).is_ok() {
            return port;
        }
    }
}

/// An address of that kind on the loopback interface.
pub fn loopback() -> String {
    format!("127.0.0.1:{}", free_port())
}

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    /// The header fields, their names in lower case.
    pub fields: Vec<(String, String)>,
    pub body: String,
}

impl Answer {
    /// The value of a field; empty where there is none.
    pub fn field(&self, name: &str) -> &str {
        self.fields.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    /// The value of a sample on a metrics page, by its name and labels.
    pub fn sample(&self, name: &str) -> f64 {
        let line = self.body.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("no sample {name}:\n{}", self.body))
    }
}

pub fn connect(address: &str) -> TcpStream {
    let address: SocketAddr = address.parse().expect("an address");
    let stream = TcpStream::connect_timeout(&address, DEADLINE).unwrap_or_else(|error| panic!("{address}: {error}"));
    stream.set_read_timeout(Some(DEADLINE)).expect("a time limit");
    stream.set_write_timeout(Some(DEADLINE)).expect("a time limit");
    stream
}

/// All that comes until the server closes, which it must. A reset counts as a close.
pub fn read_to_close(mut stream: impl Read) -> Vec<u8> {
    let (mut bytes, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return bytes,
            Ok(count) => bytes.extend_from_slice(&buffer[..count]),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return bytes,
            Err(error) => panic!("the server has not closed: {error}; it said {:?}", String::from_utf8_lossy(&bytes)),
        }
    }
}

/// Sends these bytes and reads the answer.
pub fn send(address: &str, request: &[u8]) -> Answer {
    let mut stream = connect(address);
    stream.write_all(request).expect("the server reads");
    answer(&read_to_close(stream))
}

/// A request as curl makes it.
pub fn request(address: &str, method: &str, path: &str) -> Answer {
    send(address, format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\nAccept: */*\r\n\r\n").as_bytes())
}

pub fn get(address: &str, path: &str) -> Answer {
    request(address, "GET", path)
}

/// Whether somebody else is on that address' other side: nothing is sent.
pub fn is_open(address: &str) -> bool {
    let open = TcpStream::connect_timeout(&address.parse().expect("an address"), DEADLINE);
    open.is_ok_and(|stream| stream.shutdown(Shutdown::Both).is_ok())
}

/// Reads an answer: one, whole, of the length that it says.
pub fn answer(bytes: &[u8]) -> Answer {
    let text = String::from_utf8_lossy(bytes).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text:?}"));
    let mut lines = head.split("\r\n");
    let first = lines.next().unwrap_or_default();
    let status = first.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)?.parse().ok());
    let status = status.unwrap_or_else(|| panic!("no status: {text:?}"));
    let fields = lines.map(|line| {
        let (name, value) = line.split_once(": ").unwrap_or_else(|| panic!("no field: {line:?}"));
        (name.to_lowercase(), value.to_owned())
    });
    Answer { status, fields: fields.collect(), body: body.to_owned() }
}
