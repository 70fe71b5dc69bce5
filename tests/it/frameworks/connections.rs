//! Clients that keep a connection: one that is busy on it while its server closes, and those of socket.io.

use super::apps::{ADONIS, FASTIFY, Framework, NEST_WITH_HOOKS, NEXT, SOCKET_IO, SOCKET_IO_WITH_HANDLER, majors};
use super::{DRAIN, HOST, LIMIT};
use crate::serving::{connect, free_port, last_answers};
use crate::support::{Node, Running, Scratch};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, ChildStdout, Command, Stdio};

fn start(framework: &Framework, node: &Node, options: &[&[&str]], before: &[&str]) -> (Running, u16) {
    let port = free_port();
    let options = [&["-v"], options.concat().as_slice()].concat();
    let mut init = framework.bench(&options, port).command([node.binary.as_str()].iter().chain(before).chain(framework.command));
    init.allow(LIMIT);
    init.status_with("it is ready", |status| status["ready"] == true);
    (init, port)
}

/// One answer to a request on a connection that is kept, in whole; false: the server has closed it.
fn next_answer(stream: &mut TcpStream, path: &str) -> bool {
    let sent = write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
    sent.is_ok() && hear(stream)
}

fn hear(stream: &mut TcpStream) -> bool {
    let (mut heard, mut buffer) = (Vec::new(), [0; 4096]);
    while !heard.windows(7).any(|word| word == b"ok slow") {
        match stream.read(&mut buffer) {
            Ok(count @ 1..) => heard.extend_from_slice(&buffer[..count]),
            _ => return false,
        }
    }
    true
}

/// A client that asks again as soon as it has its answer, on one connection, while its server is asked to stop. The exit code.
fn stop_with_a_busy_client(framework: &Framework, node: &Node, before: &[&str]) -> Option<i32> {
    let drain: &[&str] = if framework.drains { &[] } else { DRAIN };
    let (mut init, port) = start(framework, node, &[&["--hold-port", "--grace-period", "5s"], drain], before);
    let mut stream = connect((HOST, port)).expect("a connection");
    write!(stream, "GET {} HTTP/1.1\r\nHost: x\r\n\r\n", framework.slow).expect("it is sent");
    init.out("slow");
    init.signal(libc::SIGTERM);
    assert!(hear(&mut stream), "{}: the request that was under way", framework.name);
    while next_answer(&mut stream, framework.slow) {}
    let end = init.end();
    println!("{:36} {:9} {before:?}: {:?}", framework.name, node.version, end.code);
    end.code
}

/// The file of the page ends it; without, only the grace period does.
#[test]
fn a_busy_connection_does_not_hold_a_server_that_closes() {
    let scratch = Scratch::new();
    let file = last_answers(&scratch);
    for node in majors() {
        assert_eq!(stop_with_a_busy_client(&NEXT, node, &[]), Some(143), "its instrumentation.js does the same");
        assert_eq!(stop_with_a_busy_client(&NEST_WITH_HOOKS, node, &[]), Some(137));
        for framework in [&NEST_WITH_HOOKS, &ADONIS, &FASTIFY] {
            let code = if framework.drains { framework.code } else { 0 };
            assert_eq!(stop_with_a_busy_client(framework, node, &["--import", &file]), Some(code), "{}", framework.name);
        }
    }
}

struct Client {
    child: Child,
    lines: BufReader<ChildStdout>,
    heard: Vec<String>,
}

impl Client {
    fn start(node: &Node, port: u16, transport: &str) -> Self {
        let mut client = Command::new(&node.binary);
        client.arg(SOCKET_IO.built().join("client.js")).args([&port.to_string(), transport]);
        let mut child = client.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("a client");
        let lines = BufReader::new(child.stdout.take().expect("its output"));
        Self { child, lines, heard: Vec::new() }
    }

    /// Reads on until a line that begins so.
    fn until(&mut self, wanted: &str) {
        loop {
            let mut line = String::new();
            assert_ne!(self.lines.read_line(&mut line).expect("a line"), 0, "waited for {wanted:?}: {:?}", self.heard);
            self.heard.push(line.trim_end().to_owned());
            if line.starts_with(wanted) {
                return;
            }
        }
    }

    /// What its user saw.
    fn end(mut self) -> Vec<String> {
        self.child.stdin = None;
        self.until("answered");
        assert!(self.child.wait().expect("its end").success());
        self.heard
    }
}

/// They connect again by themselves, and nobody is refused.
#[test]
fn what_clients_of_socket_io_see() {
    for node in majors() {
        for framework in [&SOCKET_IO_WITH_HANDLER, &SOCKET_IO] {
            for transport in ["websocket", "polling"] {
                let drain: &[&str] = if framework.drains { &[] } else { DRAIN };
                let (mut init, port) = start(framework, node, &[&["--hold-port", "--grace-period", "5s"], drain], &[]);
                let mut client = Client::start(node, port, transport);
                client.until("generation 1");
                let said = init.verb(&["restart"]);
                assert_eq!(said.code, Some(0), "{said:?}");
                client.until("generation 2");
                let seen = client.end();
                println!("{} {} {transport}: {seen:?}", framework.name, node.version);
                let [connect, one, disconnect, attempts @ .., again, two, counts] = seen.as_slice() else { panic!("{seen:?}") };
                assert_eq!([connect, one, again, two], ["connect", "generation 1", "connect", "generation 2"]);
                assert!(disconnect.starts_with("disconnect transport "), "{seen:?}");
                // Each poll is a request: while both generations serve, a new session's second one may reach the one that does not know it.
                let is_of_a_poll = |line: &String| ["error xhr p", "disconnect transport "].iter().any(|start| line.starts_with(start));
                assert!(attempts.is_empty() || transport == "polling" && attempts.iter().all(is_of_a_poll), "{seen:?}");
                // A word that was under way: socket.io says it again only where `retries` is set.
                assert!(counts.ends_with(" lost 0") || counts.ends_with(" lost 1"), "{seen:?}");
            }
        }
    }
}
