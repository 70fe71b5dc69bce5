//! A client that talks over a WebSocket: a word, its answer; a new connection for each, or one for many.

use super::http::answer;
use super::{Client, Fault};
use crate::serving::connect;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpStream};

const TEXT: u8 = 1;
const CLOSE: u8 = 8;

pub struct Talker {
    port: u16,
    keeps: bool,
    kept: Option<TcpStream>,
}

impl Talker {
    pub fn new(port: u16, keeps: bool) -> Self {
        Self { port, keeps, kept: None }
    }

    fn open(&self) -> Result<TcpStream, Fault> {
        let mut stream = connect((Ipv4Addr::LOCALHOST, self.port)).map_err(Fault::Refused)?;
        let upgrade = "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
        let mut heard = Vec::new();
        let agreed = stream.write_all(upgrade.as_bytes()).and_then(|()| answer(&mut stream, &mut heard));
        agreed.map_err(|error| Fault::of(&error))?;
        let text = String::from_utf8_lossy(&heard);
        if text.starts_with("HTTP/1.1 101 ") { Ok(stream) } else { Err(Fault::Wrong(text.into_owned())) }
    }
}

impl Client for Talker {
    fn request(&mut self) -> Result<(), Fault> {
        let (mut stream, is_kept) = match self.kept.take() {
            Some(stream) => (stream, true),
            None => (self.open()?, false),
        };
        let heard = say(&mut stream, TEXT, b"word").and_then(|()| hear(&mut stream));
        match heard {
            Ok((TEXT, text)) if text.starts_with(b"ok ") => {}
            // Closed in good order before it could see the word: it says the word again to somebody else.
            Ok((CLOSE, _)) if is_kept => {
                let _ = say(&mut stream, CLOSE, &[3, 232]);
                return Err(Fault::Stale);
            }
            Ok((kind, text)) => return Err(Fault::Wrong(format!("frame {kind}: {}", String::from_utf8_lossy(&text)))),
            Err(error) => return Err(Fault::of(&error)),
        }
        if self.keeps {
            self.kept = Some(stream);
        } else {
            let _ = say(&mut stream, CLOSE, &[3, 232]);
        }
        Ok(())
    }
}

/// A short frame, masked by zeros.
fn say(stream: &mut TcpStream, kind: u8, text: &[u8]) -> io::Result<()> {
    let mut frame = vec![0x80 | kind, 0x80 | u8::try_from(text.len()).expect("a short text"), 0, 0, 0, 0];
    frame.extend_from_slice(text);
    stream.write_all(&frame)
}

/// A short frame.
fn hear(stream: &mut TcpStream) -> io::Result<(u8, Vec<u8>)> {
    let mut head = [0; 2];
    stream.read_exact(&mut head)?;
    let mut text = vec![0; usize::from(head[1] & 0x7f)];
    stream.read_exact(&mut text)?;
    Ok((head[0] & 0x0f, text))
}
