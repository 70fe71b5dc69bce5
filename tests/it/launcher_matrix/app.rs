//! One launcher with one option: the app behind it, from its start over a crash to a stop.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use crate::support::programs::{bun, native_pnpm, programs};
use crate::support::web::free_port;
use crate::support::{Bench, Running, Scratch, Stream, newest_node};

/// It listens once it may, and finishes what is in flight when it is told to stop.
const APP: &str = "const fs = require('fs'), http = require('http');
const { PORT, GATE, SLOW_MS, RESTARTINIT_GENERATION } = process.env;
const say = (...words) => console.log(words.join(' '));
const server = http.createServer((request, response) => {
  const [, path, argument] = request.url.split('/');
  if (path === 'crash') process.exit(1);
  if (path === 'block') Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, Number(argument));
  if (path !== 'slow') return response.end('x');
  say('slow');
  setTimeout(() => response.end('finished'), Number(SLOW_MS));
});
let serves = false;
const stop = (word) => {
  if (!serves) process.exit(0);
  say('got', word);
  if (server.listening) server.close(() => process.exit(0));
};
process.on('SIGTERM', () => stop('SIGTERM'));
process.on('message', (word) => stop(word));
const serving = () => {
  serves = true;
  say('serving');
  if (process.send) process.send('ready');
};
const begin = () => fs.existsSync(GATE) ? server.listen(Number(PORT), serving) : setTimeout(begin, 10);
say('up', RESTARTINIT_GENERATION);
begin();
";

const FILES: [(&str, &str); 5] = [
    ("server.js", APP),
    ("server.ts", APP),
    ("package.json", r#"{"private":true,"scripts":{"start":"node server.js"}}"#),
    ("tsconfig.json", r#"{"compilerOptions":{"module":"commonjs","moduleResolution":"node"},"ts-node":{"transpileOnly":true}}"#),
    ("entry.sh", "#!/bin/sh\nexec node server.js\n"),
];

/// What a launcher that does not start the app again says.
const WAITS: [&str; 2] = ["waiting for file changes", "Waiting for file changes"];

/// How the launcher is started.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    /// As the command.
    Command,
    /// By a script that ends in `exec`, as those of images do.
    Script,
}

#[derive(Clone, Copy, Debug)]
pub struct Cell {
    pub line: &'static str,
    /// Where it comes from: pnpm is there twice.
    pub package: &'static str,
    pub form: Form,
    pub options: &'static [&'static str],
    /// How long a request in flight takes.
    pub slow: Duration,
    /// Whether the options do something.
    pub passes_on: bool,
    /// Whether the launcher may kill the app before that has heard of the stop.
    pub is_killed: bool,
}

/// What was seen of it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Seen {
    /// The launcher's name and what to write, as the line has them.
    pub told: Vec<(String, String)>,
    /// What becomes of a request in flight, and the exit code.
    pub stop: String,
    pub crash: String,
    /// How the stop went, for whoever has to find out why it was otherwise than expected.
    pub course: String,
}

struct Stage {
    cell: Cell,
    port: u16,
    init: Running,
    _scratch: Scratch,
}

/// The body of an answer, if there is one.
fn ask(port: u16, path: &str) -> Option<String> {
    attempt(port, path).ok()
}

/// The body of an answer, or what came in its place.
fn attempt(port: u16, path: &str) -> Result<String, String> {
    let mut text = String::new();
    let mut converse = || {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        stream.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes())?;
        stream.read_to_string(&mut text)
    };
    let ended = converse();
    match (ended, text.split_once("\r\n\r\n")) {
        (Ok(_), Some((_, body))) => Ok(body.to_owned()),
        (ended, _) => Err(format!("{ended:?} after {text:?}")),
    }
}

impl Stage {
    fn open(cell: Cell) -> Stage {
        let (scratch, port) = (Scratch::new(), free_port());
        let folder = scratch.path("app");
        std::fs::create_dir(&folder).expect("a folder");
        let write = |name: &str, text: &str| scratch.executable(&format!("app/{name}"), text.as_bytes());
        for (name, text) in FILES {
            write(name, text);
        }
        write("start.sh", &format!("#!/bin/sh\nexec {}\n", cell.line));
        std::os::unix::fs::symlink(programs(), Path::new(&folder).join("node_modules")).expect("a link");
        let node = newest_node().parent().expect("its folder").to_owned();
        let pnpm = (cell.package == "@pnpm/exe").then(native_pnpm);
        let path = pnpm.into_iter().chain([programs().join(".bin"), node, bun().join("bin")]);
        let path: String = path.map(|folder| format!("{}:", folder.display())).collect();
        let words = match cell.form {
            Form::Command => shell_words(cell.line),
            Form::Script => vec!["./start.sh".to_owned()],
        };
        let rule: &[&str] = if cell.options.contains(&"--wait-ready") { &[] } else { &["--ready-when", "listening"] };
        let mut init = Bench::new(&[cell.options, rule].concat())
            .folder(&folder)
            .variable("PATH", path + &std::env::var("PATH").unwrap_or_default())
            .variable("HOME", scratch.path(""))
            // tsx has a socket there that is called after its pid: that of another PID namespace is in its way.
            .variable("TMPDIR", scratch.path(""))
            .variable("npm_config_update_notifier", "false")
            .variable("NO_COLOR", "1")
            .variable("PORT", port.to_string())
            .variable("GATE", scratch.path("gate"))
            .variable("SLOW_MS", cell.slow.as_millis().to_string())
            .command(words);
        init.allow(Duration::from_secs(90));
        init.out("up 1");
        assert_eq!(init.verb(&["health"]).code, Some(1), "{cell:?}: it does not listen yet");
        std::fs::write(scratch.path("gate"), "").expect("a file");
        init.out("serving");
        assert_eq!(ask(port, "/").as_deref(), Some("x"), "{cell:?}");
        while init.verb(&["health"]).code != Some(0) {
            assert!(!init.late(), "{cell:?}: it serves, and is not ready");
        }
        if cell.form == Form::Script && !cell.passes_on && cell.options.contains(&"--standby") {
            let status = init.status();
            assert_eq!(status["standby_note"], "off: a launcher speaks for this generation", "{cell:?}: {status}");
        }
        Stage { cell, port, init, _scratch: scratch }
    }

    fn has(&self, option: &str) -> bool {
        self.cell.options.contains(&option)
    }

    /// A loop that nobody watches may stand still; one that is watched is killed, and the app serves again.
    fn block(&mut self) {
        if self.cell.passes_on {
            self.init.status_with("the app's event loop is watched", |status| !status["event_loop"].is_null());
        }
        let milliseconds = if self.cell.passes_on { 60_000 } else { 2500 };
        let answer = ask(self.port, &format!("/block/{milliseconds}"));
        assert_eq!(answer.is_some(), !self.cell.passes_on, "{:?}: {answer:?}", self.cell);
        if self.cell.passes_on {
            self.init.log("event loop blocked for 1 s");
            self.init.out("serving");
        }
    }

    /// What becomes of the app after it has ended by itself.
    fn crash(&mut self) -> String {
        let serving = |init: &Running| init.lines(Stream::Out).iter().filter(|line| *line == "serving").count();
        let before = serving(&self.init);
        let generation = self.init.status()["generation"].as_u64().expect("a number");
        let pid = self.init.init_pid();
        assert_eq!(ask(self.port, "/crash"), None, "{:?}", self.cell);
        let has_ended = || !Path::new(&format!("/proc/{pid}")).exists();
        let waits = |init: &Running| {
            let lines = [init.lines(Stream::Out), init.lines(Stream::Log)].concat();
            lines.iter().any(|line| WAITS.iter().any(|words| line.contains(words)))
        };
        self.init.until("what becomes of a crash", || serving(&self.init) > before || has_ended() || waits(&self.init));
        if serving(&self.init) > before {
            assert_eq!(ask(self.port, "/").as_deref(), Some("x"), "{:?}", self.cell);
            assert_eq!(self.init.status()["generation"], generation + 1, "{:?}: it is restartinit that restarts it", self.cell);
            return "served again".to_owned();
        }
        if has_ended() {
            let end = self.init.end();
            return format!("ends with {}", end.code.expect("a code"));
        }
        while self.init.verb(&["health"]).code != Some(1) {
            assert!(!self.init.late(), "{:?}: it does not listen, and is ready", self.cell);
        }
        "waits for a changed file".to_owned()
    }

    /// A stop while a request is in flight: what becomes of that, the exit code, and what was told of the launcher.
    fn stop(mut self) -> (String, Vec<(String, String)>, String) {
        let (cell, port) = (self.cell, self.port);
        let answer = std::thread::scope(|threads| {
            let client = threads.spawn(move || attempt(port, "/slow"));
            self.init.out("slow");
            self.init.signal(libc::SIGTERM);
            client.join().expect("a client")
        });
        let end = self.init.end();
        let got: BTreeSet<&str> = end.out.iter().filter_map(|line| line.strip_prefix("got ")).collect();
        let expected: &[&str] = match cell.options {
            ["--stop-by", "message"] if cell.passes_on => &["shutdown"],
            ["--stop-by", "drain"] if cell.passes_on => &[],
            _ => &["SIGTERM"],
        };
        let finishes = answer.as_deref() == Ok("finished");
        let is_killed = cell.is_killed && got.is_empty() && !finishes;
        assert!(is_killed || got.iter().eq(expected), "{cell:?}: {got:?}: {end:?}");
        let told: Vec<(String, String)> = end.logged("passes nothing on").into_iter().map(names).collect();
        assert_eq!(told.len(), usize::from(!cell.passes_on && !cell.options.is_empty()), "{cell:?}: {end:?}");
        assert!(finishes || !cell.is_stopped_otherwise(), "{cell:?}: {end:?}");
        let stop = format!("{}, {}", if finishes { "finishes" } else { "is cut off" }, end.code.expect("a code"));
        (stop, told, format!("{answer:?}: {end:?}"))
    }
}

/// The launcher that a line names, and what it says to write.
fn names(line: &str) -> (String, String) {
    let line = line.strip_prefix("restartinit: ").unwrap_or(line);
    let name = match line.split_once(" stands between") {
        Some((name, _)) => name,
        None => line.split_once("spoken for by ").and_then(|(_, rest)| rest.split_once(" (pid")).map_or(line, |(name, _)| name),
    };
    let instead = line.rsplit_once("(write ").map_or("", |(_, instead)| instead.trim_end_matches(')'));
    let instead = instead.strip_prefix("what it runs: ").map_or(instead.to_owned(), |command| format!("`{command}`"));
    (name.to_owned(), instead)
}

impl Cell {
    /// Whether it is by the message or by the drain that the app is stopped.
    pub fn is_stopped_otherwise(self) -> bool {
        self.passes_on && self.options.contains(&"--stop-by")
    }

    pub fn run(self) -> Seen {
        let mut stage = Stage::open(self);
        if stage.has("--watchdog") {
            stage.block();
        }
        let crash = stage.crash();
        if crash != "served again" {
            stage = Stage::open(self);
        }
        let (stop, told, course) = stage.stop();
        Seen { told, stop, crash, course }
    }
}

/// The words of a line in which only single quotes stand for anything.
fn shell_words(line: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    for (at, part) in line.split('\'').enumerate() {
        if at % 2 == 1 { words.push(part.to_owned()) } else { words.extend(part.split_whitespace().map(str::to_owned)) }
    }
    words
}
