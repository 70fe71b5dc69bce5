//! One option under one runtime: whether it does what it promises.

use std::ffi::OsString;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::time::Duration;

use crate::support::web::free_port;
use crate::support::{Bench, Running, Scratch, Stream};

/// It listens once its generation may, and does what a path asks it to.
const APP: &str = "import http from 'node:http';
import net from 'node:net';
import fs from 'node:fs';
import process from 'node:process';
const { PORT, GATE, RESTARTINIT_GENERATION: generation, LISTENS, SAYS_READY, FINISHES } = process.env;
const say = (...words) => console.log(words.join(' '));
const answer = (request, response) => {
  if (request.url === '/crash') process.exit(1);
  if (request.url === '/block') while (true);
  if (request.url !== '/slow') return response.end('x');
  say('slow');
  setTimeout(() => response.end('finished'), 1200);
};
const server = LISTENS === 'net' ? net.createServer((client) => client.end('HTTP/1.0 200 OK\\r\\n\\r\\nx')) : http.createServer(answer);
if (FINISHES) process.on('SIGTERM', () => { say('got SIGTERM'); process.exit(1); });
if (process.send && !FINISHES) process.on('message', (word) => { say('got', word); process.exit(0); });
const serving = () => {
  say('serving', generation);
  if (SAYS_READY) setTimeout(() => process.send('ready'), 300);
};
const begin = () => {
  if (!fs.existsSync(GATE + generation)) return setTimeout(begin, 10);
  server.listen(LISTENS ? { fd: 3 } : { port: Number(PORT), host: '127.0.0.1' }, serving);
};
if (process.env.CHANNEL) process.send('word', () => say('sent'));
say('up', generation);
begin();
";

/// A Node, Bun or Deno.
#[derive(Debug)]
pub struct Runtime {
    /// As the head of the table has it.
    pub name: String,
    pub program: PathBuf,
    /// What goes between it and the script.
    pub arguments: &'static [&'static str],
}

pub struct Stage {
    pub port: u16,
    pub init: Running,
    scratch: Scratch,
}

impl Stage {
    /// The app has begun, and may not listen yet.
    pub fn open(runtime: &Runtime, options: &[&str], variables: &[(&str, &str)]) -> Stage {
        let (scratch, port) = (Scratch::new(), free_port());
        let script = scratch.path("app.mjs");
        std::fs::write(&script, APP).expect("the app");
        let listen = format!("127.0.0.1:{port}");
        let options: Vec<&str> = options.iter().map(|option| if *option == "ADDRESS" { listen.as_str() } else { option }).collect();
        let mut bench = Bench::new(&options)
            .variable("PORT", port.to_string())
            .variable("GATE", scratch.path("gate"))
            .variable("HOME", scratch.path(""))
            .variable("DENO_NO_UPDATE_CHECK", "1");
        for (name, value) in variables {
            bench = bench.variable(*name, *value);
        }
        let command = std::iter::once(runtime.program.clone().into_os_string());
        let command = command.chain(runtime.arguments.iter().map(OsString::from)).chain([OsString::from(script)]);
        let mut init = bench.command(command);
        init.allow(Duration::from_secs(30));
        init.out("up 1");
        Stage { port, init, scratch }
    }

    /// The app serves.
    pub fn serving(runtime: &Runtime, options: &[&str], variables: &[(&str, &str)]) -> Stage {
        let mut stage = Stage::open(runtime, options, variables);
        stage.let_listen(1);
        assert_eq!(stage.ask("/").as_deref(), Some("x"), "{} {options:?}", runtime.name);
        stage.await_ready();
        stage
    }

    /// That generation may listen.
    pub fn allow(&self, generation: u32) {
        std::fs::write(self.scratch.path(&format!("gate{generation}")), "").expect("a file");
    }

    pub fn let_listen(&self, generation: u32) {
        self.allow(generation);
        self.init.out(&format!("serving {generation}"));
    }

    /// A connection, if it is not refused.
    pub fn connect(&self) -> Option<TcpStream> {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(30))).ok()?;
        Some(stream)
    }

    /// The body of an answer, if there is one.
    pub fn ask(&self, path: &str) -> Option<String> {
        body(self.connect()?, path)
    }

    pub fn health(&mut self) -> Option<i32> {
        self.init.verb(&["health"]).code
    }

    pub fn await_ready(&mut self) {
        while self.health() != Some(0) {
            assert!(!self.init.late(), "it serves, and is not ready");
        }
    }

    /// The line before the first spawn that says that an option does nothing here.
    pub fn is_off(&self, option: &str) -> bool {
        let lines = self.init.lines(Stream::Log);
        let told = lines.iter().filter(|line| line.ends_with("it runs without") && line.contains(option)).count();
        assert!(told <= 1, "{lines:?}");
        told == 1
    }
}

pub fn body(mut stream: TcpStream, path: &str) -> Option<String> {
    stream.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes()).ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    text.split_once("\r\n\r\n").map(|(_, body)| body.to_owned())
}
