//! Clients, as plain as can be: one connection, one request, the answer's body.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// No read waits longer; a test that gets here has failed.
pub const LIMIT: Duration = Duration::from_secs(20);

pub fn connect(to: impl Into<SocketAddr>) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&to.into(), LIMIT)?;
    stream.set_read_timeout(Some(LIMIT))?;
    stream.set_write_timeout(Some(LIMIT))?;
    Ok(stream)
}

/// Whether nobody listens on that port.
pub fn is_refused(port: u16) -> bool {
    connect((Ipv4Addr::LOCALHOST, port)).is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
}

pub fn send_request(stream: &mut impl Write, path: &str) -> io::Result<()> {
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").as_bytes())
}

/// Sends a request, and gives back the answer's body.
pub fn ask(mut stream: impl Read + Write, path: &str) -> io::Result<String> {
    send_request(&mut stream, path)?;
    hang_up(stream)
}

/// The body of the answer to a request that was sent.
pub fn hang_up(mut stream: impl Read) -> io::Result<String> {
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let (head, body) = text.split_once("\r\n\r\n").ok_or(ErrorKind::UnexpectedEof)?;
    // Bodies of the tests are short: one chunk.
    let chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
    Ok(if chunked { body.split("\r\n").nth(1).unwrap_or_default() } else { body }.to_owned())
}

/// One request to a port of this machine; for an answer that must come.
pub fn get(ip: impl Into<IpAddr>, port: u16, path: &str) -> String {
    let address = SocketAddr::new(ip.into(), port);
    connect(address).and_then(|stream| ask(stream, path)).unwrap_or_else(|error| panic!("{address}{path}: {error}"))
}

pub fn get_unix(socket: &str, path: &str) -> String {
    let answer = UnixStream::connect(socket).and_then(|stream| {
        stream.set_read_timeout(Some(LIMIT))?;
        ask(stream, path)
    });
    answer.unwrap_or_else(|error| panic!("{socket}: {error}"))
}
