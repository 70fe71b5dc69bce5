//! Nobody is refused: real servers under load, on every major of Node, across crashes and planned restarts. A few of each here, a hundred
//! with `RESTARTINIT_LONG=1`; `--nocapture` shows the figures.

use crate::serving;
use crate::support;

use serving::load::{FRESH, KEPT, Load, Protocol, Tally};
use serving::{Certificate, Node, app, connect, ends_the_unheard, frameworks, free_port, kill, last_answers, nodes};
use std::io::Read;
use std::net::Ipv4Addr;
use std::process::Command;
use std::time::{Duration, Instant};
use support::{Bench, Running, Scratch, children, is_long};

const OPTIONS: [&str; 8] = ["--hold-port", "--max-restarts", "100000", "--restart-window", "0", "--backoff", "0", "-v"];
/// Beyond any wait of a test.
const LIMIT: Duration = Duration::from_secs(30);

struct Scene<'a> {
    framework: &'a str,
    node: &'a Node,
    port: u16,
    init: Running,
    load: Load,
    /// The latest generation and what it said.
    generation: u32,
    up: String,
    /// For as long as the server needs it.
    _scratch: Scratch,
}

impl<'a> Scene<'a> {
    fn open(framework: &'a str, node: &'a Node, options: &[&str], variables: &[(&str, &str)]) -> Self {
        let scratch = Scratch::new();
        let port = free_port();
        let (protocol, certificate) = match framework {
            "https" => (Protocol::Https, Some(Certificate::new(&scratch))),
            "ws" => (Protocol::WebSocket, None),
            _ => (Protocol::Http, None),
        };
        let mut command = vec![node.binary.clone(), app("node/servers/server.js"), framework.to_owned(), port.to_string()];
        command.extend(certificate.into_iter().flat_map(|certificate| [certificate.key, certificate.cert]));
        let options: Vec<&str> = OPTIONS.iter().copied().chain(options.iter().copied()).collect();
        let mut init = Bench::new(&options).variable("NODE_PATH", frameworks()).variables(variables).command(command);
        if is_long() {
            init.allow(Duration::from_secs(3600));
        }
        let up = init.out("up 1");
        init.out("serving 1");
        let load = Load::start(protocol, port, &node.binary);
        let scene = Self { framework, node, port, init, load, generation: 1, up, _scratch: scratch };
        scene.serves();
        scene
    }

    /// It is under load, and the load is served.
    fn serves(&self) {
        assert!(self.load.goes_on(20, Instant::now() + LIMIT), "the load stands still");
    }

    fn next(&mut self) {
        self.generation += 1;
        self.up = self.init.out(&format!("up {}", self.generation));
        self.init.out(&format!("serving {}", self.generation));
        self.serves();
    }

    fn crash(&mut self, how: &str) {
        match how {
            "SIGKILL" => kill(&mut self.init, &self.up),
            "exit" | "throw" if self.framework == "https" => {
                // No answer comes.
                let curl = Command::new("curl").args(["-sk", &format!("https://127.0.0.1:{}/crash/{how}", self.port)]).output();
                assert!(!curl.expect("curl (Debian: curl)").status.success());
            }
            _ => {
                let mut stream = connect((Ipv4Addr::LOCALHOST, self.port)).expect("a connection");
                serving::send_request(&mut stream, &format!("/crash/{how}")).expect("it is sent");
                assert!(!matches!(stream.read(&mut [0; 1]), Ok(1..)), "there is no answer to that");
            }
        }
        self.next();
    }

    fn restart(&mut self) {
        let said = self.init.verb(&["restart"]);
        assert_eq!(said.code, Some(0), "{said:?}");
        self.next();
        let pid = self.init.init_pid();
        self.init.until("the old one has gone by itself", || children(pid).len() == 1);
    }

    fn close(mut self, what: &str) -> Tally {
        let tally = self.load.end();
        println!("{:8} {:9} {what}: {tally}", self.framework, self.node.version);
        self.init.signal(libc::SIGTERM);
        let end = self.init.end();
        assert_eq!(end.code, Some(0), "{:?}", end.log.iter().rev().take(5).collect::<Vec<_>>());
        assert!(end.logged("grace period").is_empty());
        tally
    }
}

/// Nothing went wrong, with anybody.
fn spotless(tally: Tally) {
    assert_eq!(tally.faults(), Tally::default());
}

fn crashes(framework: &str) {
    let count = if is_long() { 100 } else { 6 };
    for node in nodes() {
        let mut scene = Scene::open(framework, node, &[], &[]);
        for how in ["SIGKILL", "exit", "throw"].iter().cycle().take(count) {
            scene.crash(how);
        }
        let tally = scene.close(&format!("{count} crashes"));
        assert_eq!((tally.refused, tally.hung, tally.wrong), (0, 0, 0), "{framework} on {}", node.version);
        // What a dying process had accepted dies with it: one request of each client at most.
        let in_flight = tally.reset + tally.lost;
        assert!(in_flight <= count as u64 * (FRESH + KEPT), "{tally}");
    }
}

fn planned(framework: &str) {
    let count = if is_long() { 100 } else { 5 };
    for node in nodes() {
        let mut scene = Scene::open(framework, node, &[], &[]);
        for _ in 0..count {
            scene.restart();
        }
        let status = scene.init.status();
        assert_eq!(status["restarts"]["used"], 0, "{status}");
        spotless(scene.close(&format!("{count} planned restarts")));
    }
}

/// An app that calls `server.close()` and no more: how many of whom Node ends there, docs/restarts.md tells; with the file that it names, none.
#[test]
fn a_plain_close() {
    let count = if is_long() { 100 } else { 5 };
    let scratch = Scratch::new();
    let import = format!("--import {}", last_answers(&scratch));
    for node in nodes() {
        let restarts = |variables: &[(&str, &str)]| {
            let mut scene = Scene::open("plain", node, &[], variables);
            for _ in 0..count {
                scene.restart();
            }
            scene.close(&format!("{count} planned restarts {variables:?}"))
        };
        let tally = restarts(&[]);
        let cut_off = tally.reset + tally.lost;
        assert!(if ends_the_unheard(node) { cut_off <= count * FRESH } else { cut_off == 0 }, "{}: {tally}", node.version);
        assert_eq!((tally.refused, tally.hung, tally.wrong), (0, 0, 0), "{}: {tally}", node.version);
        if ends_the_unheard(node) {
            spotless(restarts(&[("NODE_OPTIONS", &import)]));
        }
    }
}

/// The limit is looked at every few seconds, and restarts for it are half a minute apart.
fn leaking(framework: &str) {
    let count = if is_long() { 3 } else { 1 };
    for node in nodes() {
        let mut scene = Scene::open(framework, node, &["--max-memory", "180M"], &[("LEAKS", "220")]);
        for _ in 0..count {
            scene.init.log("memory limit");
            scene.next();
        }
        let pid = scene.init.init_pid();
        scene.init.until("the old one has gone by itself", || children(pid).len() == 1);
        let status = scene.init.status();
        assert_eq!(status["restarts"]["used"], 0, "{status}");
        spotless(scene.close(&format!("{count} restarts for memory")));
    }
}

macro_rules! scenes {
    ($($framework:ident)*) => {
        mod crash { $(#[test] fn $framework() { super::crashes(stringify!($framework)); })* }
        mod planned_restart { $(#[test] fn $framework() { super::planned(stringify!($framework)); })* }
    };
}

scenes! { express fastify koa ws https }

#[test]
fn a_leak_under_the_memory_limit() {
    leaking("express");
}
