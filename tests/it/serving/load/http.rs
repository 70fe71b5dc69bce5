//! A client of plain HTTP.

use super::{Client, Fault, Page};
use crate::serving::connect;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpStream};

pub struct Asker {
    port: u16,
    page: Page,
    keeps: bool,
    kept: Option<TcpStream>,
}

impl Asker {
    pub fn new(port: u16, page: Page, keeps: bool) -> Self {
        Self { port, page, keeps, kept: None }
    }
}

impl Client for Asker {
    fn request(&mut self) -> Result<(), Fault> {
        let (mut stream, is_kept) = match self.kept.take() {
            Some(stream) => (stream, true),
            None => (connect((Ipv4Addr::LOCALHOST, self.port)).map_err(Fault::Refused)?, false),
        };
        let connection = if self.keeps { "keep-alive" } else { "close" };
        let mut heard = Vec::new();
        let request = format!("GET {} HTTP/1.1\r\nHost: x\r\nConnection: {connection}\r\n\r\n", self.page.path);
        let exchanged = stream.write_all(request.as_bytes()).and_then(|()| answer(&mut stream, &mut heard));
        match exchanged {
            Ok(()) => {}
            Err(error) => {
                return Err(match Fault::of(&error) {
                    Fault::Lost | Fault::Reset if is_kept && heard.is_empty() => Fault::Stale,
                    fault => fault,
                });
            }
        }
        let text = String::from_utf8_lossy(&heard);
        let is_whole = text.split_once("\r\n\r\n").is_some_and(|(_, body)| body.contains(self.page.says));
        if !text.starts_with("HTTP/1.1 200 ") || !is_whole {
            return Err(Fault::Wrong(text.into_owned()));
        }
        let closes = text.to_ascii_lowercase().contains("\r\nconnection: close");
        self.kept = (self.keeps && !closes).then_some(stream);
        Ok(())
    }
}

/// Reads one whole answer, with a length or in chunks; without either it has no body.
pub fn answer(stream: &mut impl Read, heard: &mut Vec<u8>) -> io::Result<()> {
    let mut buffer = [0; 4096];
    loop {
        if let Some(head) = heard.windows(4).position(|window| window == b"\r\n\r\n") {
            let text = String::from_utf8_lossy(&heard[..head]).to_ascii_lowercase();
            let is_chunked = text.contains("transfer-encoding: chunked");
            let length = text.split_once("content-length: ").and_then(|(_, rest)| rest.split("\r\n").next()?.parse::<usize>().ok());
            if if is_chunked { heard.ends_with(b"\r\n0\r\n\r\n") } else { heard.len() >= head + 4 + length.unwrap_or(0) } {
                return Ok(());
            }
        }
        match stream.read(&mut buffer)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => heard.extend_from_slice(&buffer[..count]),
        }
    }
}
