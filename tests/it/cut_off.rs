//! Requests that a stop cuts off, as the app does not handle the signal: one line says how many, and what to do about it.

use crate::serving;
use crate::support;

use std::io::Write as _;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;

use serving::{connect, free_port, hang_up, send_request};
use support::{Bench, End, Running, Scratch, children, on_every_node};

/// Has heard from another server, to which it is connected, and answers `/now` at once and `/later` in a second.
const APP: &str = "const upstream = require('net').connect(+process.env.UPSTREAM, '127.0.0.1').once('data', () => {
  upstream.unref();
  require('http').createServer((request, response) => {
    console.log('asked', request.url);
    setTimeout(() => response.end('answered'), request.url === '/later' ? 1000 : 0);
  }).listen(+process.env.PORT, () => console.log('listening', process.env.RESTARTINIT_GENERATION));
});";
const HANDLER: &str = "process.on('SIGTERM', () => setTimeout(() => process.exit(0), 1500));";

struct Scene {
    init: Running,
    port: u16,
    _scratch: Scratch,
}

/// The port of a server that tells everybody the news, and keeps their connections.
fn upstream() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let port = listener.local_addr().expect("its address").port();
    std::thread::spawn(move || {
        let tell = |stream: std::io::Result<TcpStream>| stream.and_then(|mut stream| stream.write_all(b"news").map(|()| stream));
        listener.incoming().map(tell).collect::<Vec<_>>()
    });
    port
}

fn start(node: &Path, options: &[&str], more: &str) -> Scene {
    let scratch = Scratch::new();
    let (script, port) = (scratch.path("app.js"), free_port());
    std::fs::write(&script, format!("{more}\n{APP}")).expect("the app");
    let bench = Bench::new(options).variable("PORT", port.to_string()).variable("UPSTREAM", upstream().to_string());
    let init = bench.command([node.as_os_str(), script.as_ref()]);
    init.out("listening 1");
    Scene { init, port, _scratch: scratch }
}

impl Scene {
    /// A connection on which this was asked.
    fn ask(&mut self, path: &str) -> TcpStream {
        let mut stream = connect((Ipv4Addr::LOCALHOST, self.port)).expect("a connection");
        send_request(&mut stream, path).expect("it is sent");
        self.init.out(&format!("asked {path}"));
        stream
    }
}

fn told(end: &End) -> Vec<String> {
    end.log.iter().filter(|line| line.contains(" open: the app does not handle")).cloned().collect()
}

#[test]
fn a_stop_tells_how_many() {
    on_every_node(|node| {
        for options in [&[][..], &["--hold-port"], &["--standby"]] {
            let mut scene = start(node, options, "");
            let later = [scene.ask("/later"), scene.ask("/later")];
            // Neither one that has its answer nor one that has asked for nothing is cut off from anything.
            hang_up(scene.ask("/now")).expect("an answer");
            let mut silent = connect((Ipv4Addr::LOCALHOST, scene.port)).expect("a connection");
            silent.flush().expect("nothing");
            scene.init.signal(libc::SIGTERM);
            let end = scene.init.end();
            let lines = told(&end);
            assert!(lines.len() == 1 && lines[0].contains("died of SIGTERM with 2 requests open"), "{options:?}: {end:?}");
            assert!(lines[0].contains("--stop-by drain"), "{lines:?}");
            assert_eq!(end.code, Some(143), "{options:?}: {end:?}");
            drop((later, silent));
        }
    });
}

#[test]
fn a_planned_restart_tells_it_once() {
    on_every_node(|node| {
        let mut scene = start(node, &["--hold-port"], "");
        for generation in 2..4 {
            let later = scene.ask("/later");
            let said = scene.init.verb(&["restart"]);
            assert_eq!(said.code, Some(0), "{said:?}");
            scene.init.out(&format!("listening {generation}"));
            let pid = scene.init.init_pid();
            scene.init.until("the old one has died", || children(pid).len() == 1);
            drop(later);
        }
        scene.init.signal(libc::SIGTERM);
        let lines = told(&scene.init.end());
        assert!(lines.len() == 1 && lines[0].contains("generation 1 ") && lines[0].contains("with 1 request open"), "{lines:?}");
    });
}

#[test]
fn nothing_is_told_where_nothing_is_cut_off() {
    on_every_node(|node| {
        for (options, more, asked) in [(&[][..], HANDLER, true), (&["--stop-by", "drain"], "", true), (&[], "", false)] {
            let mut scene = start(node, options, more);
            let later = asked.then(|| scene.ask("/later"));
            scene.init.signal(libc::SIGTERM);
            let answer = later.map(hang_up);
            let end = scene.init.end();
            assert!(
                answer.as_ref().is_none_or(|answer| answer.as_deref().is_ok_and(|text| text == "answered")),
                "{options:?}: {answer:?}, {end:?}"
            );
            assert_eq!(told(&end), [""; 0], "{options:?}: {end:?}");
        }
    });
}
