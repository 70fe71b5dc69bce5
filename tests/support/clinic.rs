//! A server of the test's own that a check can ask: each connection gets what the test has it say, and what it asked is kept.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What it says to whoever asks.
#[derive(Clone, Copy, Debug)]
pub enum Reply {
    /// These bytes, and closes.
    Says(&'static str),
    /// The same, a byte at a time.
    Slowly(&'static str),
    /// The same, after so many milliseconds.
    After(u64, &'static str),
    /// Ever more header fields, without an end.
    Floods,
    /// Takes the request and never answers.
    Hangs,
    /// Closes the connection.
    Closes,
}

pub const WELL: Reply = Reply::Says("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
pub const BUSY: Reply = Reply::Says("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n");

struct State {
    reply: Reply,
    /// What the next so many are told before that.
    first: (usize, Reply),
    asked: Vec<String>,
}

#[derive(Clone)]
pub struct Clinic {
    pub port: u16,
    state: Arc<Mutex<State>>,
}

impl Clinic {
    pub fn open(reply: Reply) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let state = State { reply, first: (0, reply), asked: Vec::new() };
        let clinic = Self { port, state: Arc::new(Mutex::new(state)) };
        let served = clinic.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (Ok(stream), served) = (stream, served.clone()) else { return };
                // Whoever hangs up on it has had enough.
                std::thread::spawn(move || served.serve(stream));
            }
        });
        clinic
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/healthz", self.port)
    }

    pub fn says(&self, reply: Reply) {
        self.state.lock().expect("no test has failed").reply = reply;
    }

    /// The next `count` are told that, and whoever comes later what was said before.
    pub fn says_first(&self, count: usize, reply: Reply) {
        self.state.lock().expect("no test has failed").first = (count, reply);
    }

    /// The heads of all requests up to now.
    pub fn asked(&self) -> Vec<String> {
        self.state.lock().expect("no test has failed").asked.clone()
    }

    fn serve(&self, mut stream: TcpStream) -> std::io::Result<()> {
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte)? == 1 {
            head.push(byte[0]);
        }
        let reply = {
            let mut state = self.state.lock().expect("no test has failed");
            state.asked.push(String::from_utf8_lossy(&head).into_owned());
            match &mut state.first {
                (0, _) => state.reply,
                (count, reply) => {
                    *count -= 1;
                    *reply
                }
            }
        };
        match reply {
            Reply::Says(text) => stream.write_all(text.as_bytes()),
            Reply::Slowly(text) => text.bytes().try_for_each(|byte| {
                std::thread::sleep(Duration::from_millis(1));
                stream.write_all(&[byte])
            }),
            Reply::After(millis, text) => {
                std::thread::sleep(Duration::from_millis(millis));
                stream.write_all(text.as_bytes())
            }
            Reply::Floods => {
                stream.write_all(b"HTTP/1.1 103 Early Hints\r\n")?;
                loop {
                    stream.write_all(b"X-Endless: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n")?;
                }
            }
            // Until the other side has had enough.
            Reply::Hangs => stream.read(&mut byte).map(drop),
            Reply::Closes => Ok(()),
        }
    }
}
