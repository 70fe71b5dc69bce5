//! An event loop that does not turn: the line says what its main thread did and where in the app it was, and time in which the app had no
//! processor is not held against it.

use crate::serving;
use crate::support;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serving::load::{Load, Protocol};
use serving::{commands, connect, frameworks, free_port, hang_up, send_request};
use support::{Bench, ProcessorCgroup, Running, Scratch, newest_node, on_every_node};

/// Blocks as its path says. The numbers of the lines are in what is expected below.
const APP: &str = "const { execSync } = require('child_process'), crypto = require('crypto'), fs = require('fs');
function burnTheCpu(ms) { const end = Date.now() + ms; while (Date.now() < end); }
const ways = {
  spin() { burnTheCpu(1e9); },
  regex() { /^(a+)+$/.test('a'.repeat(40) + 'b'); },
  child() { execSync('sleep 1000'); },
  fifo() { fs.readSync(fs.openSync(process.env.FIFO, 'r+'), Buffer.alloc(1)); },
  lock() { Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0); },
  promises() { const again = () => Promise.resolve().then(again); again(); },
  crypto() { crypto.pbkdf2Sync('a', 'b', 1e9, 64, 'sha512'); },
  json() { const text = '[' + '[1,2],'.repeat(1e5) + '0]'; for (;;) JSON.parse(text); },
  work() { const from = process.cpuUsage(); while (process.cpuUsage(from).user < 100_000); },
};
function handler(path, done) {
  const way = ways[path.slice(1)];
  if (way) way();
  done(way ? 'done' : 'ok 1');
}
const port = +process.env.PORT, listening = () => console.log('listening', process.env.RESTARTINIT_GENERATION);
const servers = {
  http: () => require('http').createServer((request, response) => handler(request.url, (text) => response.end(text))).listen(port, listening),
  express: () => require('express')().get(/.*/, (request, response) => handler(request.url, (text) => response.send(text))).listen(port, listening),
  fastify: () => require('fastify')().get('/*', (request, reply) => handler(request.url, (text) => reply.send(text))).listen({ port, host: '0.0.0.0' }).then(listening),
};
servers[process.env.SERVER]();";

struct Scene {
    init: Running,
    port: u16,
    script: PathBuf,
    scratch: Scratch,
}

fn start(node: &Path, options: &[&str]) -> Scene {
    start_server("http", node, options)
}

fn start_server(server: &str, node: &Path, options: &[&str]) -> Scene {
    let scratch = Scratch::new();
    let (script, port) = (PathBuf::from(scratch.path("app.js")), free_port());
    std::fs::write(&script, APP).expect("the app");
    let fifo = scratch.path("fifo");
    nix::unistd::mkfifo(Path::new(&fifo), nix::sys::stat::Mode::S_IRWXU).expect("a FIFO");
    let bench = Bench::new(&[&["-v", "--ready-when", "listening"], options].concat()).variable("PORT", port.to_string());
    let bench = bench.variable("FIFO", &fifo).variable("SERVER", server).variable("NODE_PATH", frameworks());
    // Others of this network namespace have the usual port.
    let init = bench.command([node.as_os_str(), "--inspect-port=0".as_ref(), script.as_os_str()]);
    init.out("listening 1");
    // It is watched from here on.
    init.log("is ready ");
    Scene { init, port, script, scratch }
}

impl Scene {
    fn ask(&self, way: &str) -> std::net::TcpStream {
        let mut stream = connect((std::net::Ipv4Addr::LOCALHOST, self.port)).expect("a connection");
        send_request(&mut stream, &format!("/{way}")).expect("it is sent");
        stream
    }

    /// Where a line of the app is, in the words of a stack.
    fn at(&self, function: &str, line: u32) -> String {
        format!("{function} ({}:{line}:", self.script.display())
    }
}

/// What it is called, the verdict, and the call that is told with its line.
type Way = (&'static str, &'static str, Option<(&'static str, u32)>);

/// A loop that is blocked in that way, and the line that tells of it. Where the app had to wait for a processor, so had who asked for its stack,
/// and that has a limit; and its main thread waits for threads that have none: then it is tried again.
fn blocked(node: &Path, way: &str, verdict: &str, has_stack: bool) -> (Scene, String) {
    for _ in 0..5 {
        let scene = start(node, &["--watchdog", "500ms"]);
        let _stream = scene.ask(way);
        let line = scene.init.log("(event loop blocked for 500 ms");
        let is_whole = line.contains(&format!(": {verdict}")) && (!has_stack || line.contains(", in "));
        if is_whole || !line.contains(" of its own in ") {
            return (scene, line);
        }
    }
    panic!("{way}: this machine has no processor for it, five times");
}

#[test]
fn the_line_says_what_the_loop_did_and_where_it_was() {
    // The verdict, and a call of the app with its line, the innermost but for Node's own; none: no JavaScript can be interrupted there.
    let ways: [Way; 8] = [
        ("spin", "running", Some(("burnTheCpu", 2))),
        ("regex", "running", Some(("regex", 5))),
        ("child", "waiting for its child \"sleep\"", None),
        ("fifo", "asleep in read of ", None),
        ("lock", "asleep until another thread wakes it", Some(("lock", 8))),
        ("promises", "running", Some(("again", 9))),
        ("crypto", "running", None),
        // V8 looks for an interrupt every so many instructions, and a long parse is one of them.
        ("json", "running", None),
    ];
    on_every_node(|node| {
        for (way, verdict, call) in ways {
            let (scene, line) = blocked(node, way, verdict, call.is_some());
            assert!(line.contains(&format!(": {verdict}")), "{way}: {line}");
            if way == "fifo" {
                assert!(line.contains(&scene.scratch.path("fifo")), "{line}");
            }
            match call {
                // Between two promises it is in none of them.
                Some(("again", _)) if line.contains(", in processTicksAndRejections (node:internal/") => {}
                Some((function, number)) => assert!(line.contains(&scene.at(function, number)), "{way}: {line}"),
                None => assert!(!line.contains(", in "), "{way}: {line}"),
            }
        }
    });
}

/// Beside clients that ask all the time, it is one request that is told.
#[test]
fn the_handler_of_a_framework_is_told_under_load() {
    on_every_node(|node| {
        for server in ["express", "fastify"] {
            let scene = start_server(server, node, &["--watchdog", "500ms", "--hold-port"]);
            let load = Load::start(Protocol::Http, scene.port, &node.display().to_string());
            assert!(load.goes_on(50, Instant::now() + Duration::from_secs(30)), "the load stands still");
            let _stream = scene.ask("spin");
            let line = scene.init.log("(event loop blocked for 500 ms");
            let (inner, outer) = (scene.at("burnTheCpu", 2), scene.at("spin", 4));
            assert!(line.contains(": running") && line.contains(&inner) && line.contains(&outer), "{server}: {line}");
            scene.init.out("listening 2");
            assert!(load.goes_on(50, Instant::now() + Duration::from_secs(30)), "the next generation serves");
            assert_eq!(load.end().refused, 0, "{server}");
        }
    });
}

#[test]
fn programs_are_told_the_whole_stack() {
    let node = newest_node();
    let scratch = Scratch::new();
    let log = scratch.path("log");
    std::fs::write(&log, "").expect("the termination log");
    let mut scene = start(node, &["--watchdog", "500ms", "--log-format", "json", "--termination-log", &log, "--max-restarts", "1"]);
    let _first = scene.ask("spin");
    scene.init.log("\"event\":\"restart\"");
    scene.init.out("listening 2");
    scene.init.log("\"event\":\"ready\"");
    let status = scene.init.status();
    let file = scene.script.display().to_string();
    let is_told = |exit: &serde_json::Value| {
        let frames = exit["stack"].as_array().expect("a list");
        let innermost = (&frames[0]["function"], &frames[0]["file"], &frames[0]["line"]);
        assert_eq!(innermost, (&"burnTheCpu".into(), &file.as_str().into(), &2.into()), "{exit}");
        assert!(frames.iter().any(|frame| frame["function"] == "handler" && frame["column"].as_u64().is_some()), "{exit}");
        assert_eq!(exit["reason"], "event loop blocked", "{exit}");
        // With a share of a processor, where the machine has other work.
        assert!(exit["verdict"].as_str().is_some_and(|verdict| verdict.starts_with("running")), "{exit}");
    };
    is_told(&status["last_exits"][0]);
    let _second = scene.ask("spin");
    let end = scene.init.end();
    assert_eq!(end.code, Some(137), "{end:?}");
    for event in ["restart", "end"] {
        let line = end.log.iter().find(|line| line.contains(&format!("\"event\":\"{event}\""))).expect("its line");
        is_told(&serde_json::from_str(line).expect("an object"));
    }
    let left: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(&log).expect("the termination log")).expect("an object");
    is_told(&left["last_exits"][0]);
    assert!(left["message"].as_str().is_some_and(|message| message.contains("in burnTheCpu (")), "{left}");
}

#[test]
fn without_the_stack_nobody_opens_an_inspector() {
    on_every_node(|node| {
        let scene = start(node, &["--watchdog", "500ms", "--watchdog-stack", "off"]);
        let _stream = scene.ask("spin");
        let line = scene.init.log("(event loop blocked for 500 ms");
        assert!(line.contains(": running)"), "{line}");
        let told = scene.init.lines(support::Stream::Log);
        assert!(!told.iter().any(|line| line.contains("Debugger")), "{told:?}");
    });
}

/// A container that has used up its share of a processor is not made worse.
#[test]
fn one_that_is_throttled_is_late_and_lives() {
    on_every_node(|node| {
        let mut scene = start(node, &["--watchdog", "500ms"]);
        let cgroup = ProcessorCgroup::throttled(5);
        commands(&mut scene.init).into_iter().for_each(|pid| cgroup.put(pid));
        let stream = scene.ask("work");
        let line = scene.init.log("the event loop is late, starved: no answer for ");
        assert!(line.contains("waiting for a processor (starved: ") && line.contains("cgroup throttled "), "{line}");
        let late = scene.init.status()["event_loop"]["late"].clone();
        assert!(late["late_seconds"].as_f64() > late["own_seconds"].as_f64(), "{late}");
        // A tenth of a second of its own takes two.
        assert_eq!(hang_up(stream).expect("an answer"), "done");
        assert_eq!(scene.init.status()["restarts"]["used"], 0);
        drop(scene);
    });
}
