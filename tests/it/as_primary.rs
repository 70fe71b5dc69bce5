//! What an app sees of `--hold-port` and `--standby`, beside what it sees of a primary of Node's own: the table of docs/node.md.

use crate::support;

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use support::web::{connect, free_port};
use support::{Bench, Scratch, nodes, on_every_node};

/// Node's own primary, for one worker: it is stopped once it listens, and killed if it lives on for so long after its last word, in ms.
const PRIMARY: &str = "const cluster = require('cluster');
const [, , exec, stop, patience] = process.argv;
cluster.setupPrimary({ exec, silent: true });
const worker = cluster.fork();
if (stop === 'stop') worker.on('listening', () => worker.process.kill('SIGTERM'));
let timer;
worker.process.stdout.on('data', (said) => {
  process.stdout.write(said);
  if (String(said).endsWith('listening\\n')) return;
  clearTimeout(timer);
  timer = setTimeout(() => { console.log('lives on'); worker.process.kill('SIGKILL'); }, +patience);
});
worker.process.on('close', (code) => { clearTimeout(timer); if (code !== null) console.log('exit', code); });";

/// After a garbage collection V8 keeps a timer that holds nothing, and cannot be told from an app's for so long (Node 26).
const TIMERS_OF_THE_ENGINE: Duration = Duration::from_secs(60);

/// A standby is stopped too, where there is one by then, and says the same.
const ONLY_THE_ACTIVE_ONE_SPEAKS: &str = "if (process.env.RESTARTINIT_ROLE === 'standby') console.log = () => {};";

struct Situation {
    name: &'static str,
    script: &'static str,
    /// It is stopped once it listens; else it ends by itself.
    stop: bool,
    /// What it says and how it ends: under a primary of Node's own, and under restartinit.
    own_primary: &'static str,
    expected: &'static str,
}

const SITUATIONS: [Situation; 6] = [
    Situation {
        name: "clean-up after `server.close()`, with a listener for `disconnect`",
        script: "process.on('disconnect', () => process.exit(7));
const server = require('http').createServer().listen(+process.env.PORT, () => console.log('listening'));
process.on('SIGTERM', () => server.close(() => setTimeout(() => { console.log('saved'); process.exit(0); }, 700)));",
        stop: true,
        own_primary: "saved, exit 0",
        expected: "saved, exit 0",
    },
    Situation {
        name: "`process.send()` in clean-up",
        script: "const server = require('http').createServer().listen(+process.env.PORT, () => console.log('listening'));
process.on('SIGTERM', () => server.close(() => setTimeout(() => process.send('bye', () => { console.log('sent'); process.exit(0); }), 300)));",
        stop: true,
        own_primary: "sent, exit 0",
        expected: "sent, exit 0",
    },
    Situation {
        name: "`cluster.worker.disconnect()` in clean-up",
        script: "const cluster = require('cluster');
const server = require('http').createServer().listen(+process.env.PORT, () => console.log('listening'));
process.on('SIGTERM', () => server.close(() => setTimeout(() => { cluster.worker.disconnect(); console.log('let go'); }, 300)));",
        stop: true,
        own_primary: "let go, exit 0",
        expected: "let go, exit 0",
    },
    Situation {
        name: "a handler that closes the server and no more",
        script: "const server = require('http').createServer().listen(+process.env.PORT, () => console.log('listening'));
process.on('SIGTERM', () => server.close(() => console.log('closed')));",
        stop: true,
        own_primary: "closed, lives on",
        expected: "closed, exit 0",
    },
    Situation {
        name: "a script without a server",
        script: "setTimeout(() => console.log('migrated'), 600);",
        stop: false,
        own_primary: "migrated, lives on",
        expected: "migrated, exit 0",
    },
    Situation {
        name: "`cluster.worker.id`",
        script: "console.log('worker', require('cluster').worker.id); process.exit(0);",
        stop: false,
        own_primary: "worker 1, exit 0",
        expected: "worker 1, exit 0",
    },
];

fn under_own_primary(node: &Path, script: &str, situation: &Situation) -> String {
    let scratch = Scratch::new();
    let primary = scratch.path("primary.js");
    std::fs::write(&primary, PRIMARY).expect("the primary");
    let stop = if situation.stop { "stop" } else { "wait" };
    let patience = if situation.own_primary.ends_with("lives on") { "2000" } else { "60000" };
    let output = Command::new(node)
        .args([&primary, script, stop, patience])
        .env("PORT", free_port().to_string())
        .stdin(Stdio::null())
        .output()
        .expect("Node runs");
    let out = String::from_utf8_lossy(&output.stdout).into_owned();
    out.lines().filter(|line| *line != "listening").collect::<Vec<_>>().join(", ")
}

fn under(options: &[&str], node: &Path, script: &str, situation: &Situation) -> String {
    let bench = Bench::new(options).variable("PORT", free_port().to_string());
    let mut init = bench.command([node.as_os_str(), script.as_ref()]);
    init.allow(TIMERS_OF_THE_ENGINE);
    if situation.stop {
        init.out("listening");
        init.signal(libc::SIGTERM);
    }
    let end = init.end();
    let said = end.out.iter().filter(|line| *line != "listening").cloned();
    said.chain([end.code.map_or("killed".to_owned(), |code| format!("exit {code}"))]).collect::<Vec<_>>().join(", ")
}

#[test]
fn an_app_sees_what_it_sees_of_its_own_primary() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/node.md")).expect("the page");
    let mut rows = Vec::new();
    for situation in &SITUATIONS {
        let scratch = Scratch::new();
        let script = scratch.path("app.js");
        std::fs::write(&script, format!("{ONLY_THE_ACTIVE_ONE_SPEAKS}\n{}", situation.script)).expect("the app");
        on_every_node(|node| {
            let seen = under_own_primary(node, &script, situation);
            assert_eq!(seen, situation.own_primary, "{}: under a primary of Node's own", situation.name);
            for option in ["--hold-port", "--standby"] {
                assert_eq!(under(&[option], node, &script, situation), situation.expected, "{}: {option}", situation.name);
            }
        });
        rows.push(format!("| {} | {} | {} |", situation.name, situation.own_primary, situation.expected));
    }
    for row in rows {
        assert!(page.contains(&row), "docs/node.md has not this row:\n{row}");
    }
}

/// A cron job that only the first worker starts, as apps with a cluster do it.
#[test]
fn each_generation_is_the_first_worker() {
    on_every_node(|node| {
        let scratch = Scratch::new();
        let script = scratch.path("app.js");
        let text = "const generation = process.env.RESTARTINIT_GENERATION;
console.log('worker', require('cluster').worker.id, 'of', generation);
if (generation === '3') process.exit(0);
require('http').createServer().listen(+process.env.PORT, () => process.exit(1));";
        std::fs::write(&script, text).expect("the app");
        let bench = Bench::new(&["--hold-port", "--backoff", "0"]).variable("PORT", free_port().to_string());
        let end = bench.command([node.as_os_str(), script.as_ref()]).end();
        assert_eq!(end.out, ["worker 1 of 1", "worker 1 of 2", "worker 1 of 3"], "{end:?}");
    });
}

/// Code that runs a migration and then the server, each of them a Node on the same channel.
#[test]
fn a_server_follows_a_script() {
    on_every_node(|node| {
        let (scratch, port) = (Scratch::new(), free_port());
        let (migrate, server) = (scratch.path("migrate.js"), scratch.path("server.js"));
        // As much as a script that does something, so that V8 collects garbage.
        let work = "let rows = []; for (let row = 0; row < 2e6; row++) rows.push({ row }); rows = null;
setTimeout(() => console.log('migrated'), 300);";
        std::fs::write(&migrate, work).expect("the script");
        let text = "process.on('SIGTERM', () => process.exit(0));
require('http').createServer((_, response) => response.end('x')).listen(+process.env.PORT, () => console.log('serving'));";
        std::fs::write(&server, text).expect("the server");
        let line = format!("\"$0\" {migrate} && exec \"$0\" {server}");
        let bench = Bench::new(&["--hold-port", "--watchdog", "2s"]).variable("PORT", port.to_string());
        let mut init = bench.command(["sh".as_ref(), "-c".as_ref(), line.as_ref(), node.as_os_str()] as [&std::ffi::OsStr; 4]);
        init.allow(TIMERS_OF_THE_ENGINE);
        init.out("migrated");
        init.out("serving");
        drop(connect(&format!("127.0.0.1:{port}")));
        init.status_with("the server is watched", |status| !status["event_loop"].is_null());
        init.signal(libc::SIGTERM);
        assert_eq!(init.exit_code(), 0);
    });
}

/// Awaits, and then a long piece of work before it listens.
#[test]
fn no_boot_is_a_blocked_event_loop() {
    on_every_node(|node| {
        let script = "setTimeout(() => { const end = Date.now() + 1500; while (Date.now() < end); say('worked');
             require('http').createServer().listen(0, () => setTimeout(() => { say('hangs'); for (;;); }, 700)); }, 300);";
        let options = ["--watchdog", "600ms", "--max-restarts", "0", "--ready-when", "listening"];
        let end = Bench::new(&options).node(node, script).end();
        assert_eq!(end.out, ["worked", "hangs"], "{end:?}");
        assert_eq!(end.logged("event loop blocked for 600 ms").len(), 1, "{end:?}");
    });
}

/// An app that forks workers of its own runs as without the option: with its workers, and with a line.
#[test]
fn an_own_cluster_forks_its_workers() {
    let node = &nodes()[0].binary;
    let scratch = Scratch::new();
    let script = scratch.path("app.js");
    let text = "const cluster = require('cluster');
if (cluster.isPrimary) { const worker = cluster.fork(); worker.on('exit', (code) => process.exit(code)); }
else { console.log('worker of its own'); process.exit(5); }";
    std::fs::write(&script, text).expect("the app");
    let end = Bench::new(&["--standby", "--no-restart-on", "5"]).command([node.as_str(), script.as_str()]).end();
    assert_eq!((end.code, end.out.as_slice()), (Some(5), &["worker of its own".to_owned()][..]), "{end:?}");
    assert_eq!(end.logged("it runs without --standby").len(), 1, "{end:?}");
}

/// Each launcher with each option for Node: the app serves, is ready and stopped by the signal, and one line says what to write.
#[test]
fn behind_a_launcher_no_option_does_harm() {
    let node = nodes().iter().find(|node| node.version.starts_with("v22")).expect("Node 22");
    let scratch = Scratch::new();
    let text = "process.on('SIGTERM', () => { console.log('got SIGTERM'); process.exit(0); });
require('http').createServer((_, response) => response.end('x')).listen(+process.env.PORT, () => console.log('serving'));";
    std::fs::write(scratch.path("server.js"), text).expect("the server");
    std::fs::write(scratch.path("package.json"), r#"{"scripts":{"start":"node server.js"}}"#).expect("the package");
    let folder = Path::new(&node.binary).parent().expect("its folder").display().to_string();
    let lines = [
        "node --watch server.js",
        "node --run start",
        "sh -c 'if true; then node --run start; fi; true'",
        "sh -c 'node --watch server.js; true'",
        "npm start",
        "sh -c 'npm start; true'",
    ];
    for line in lines {
        for options in [
            &["--hold-port"][..],
            &["--standby"],
            &["--watchdog", "500ms"],
            &["--stop-by", "message"],
            &["--stop-by", "drain"],
            &["--wait-ready", "20s"],
        ] {
            let port = free_port();
            let all = [&["--ready-when", "listening"], options].concat();
            let all = if options[0] == "--wait-ready" { options.to_vec() } else { all };
            let path = format!("{folder}:{}", std::env::var("PATH").unwrap_or_default());
            let bench = Bench::new(&all).variable("PORT", port.to_string()).variable("PATH", path).folder(scratch.path(""));
            let mut init = bench.command(shell_words(line));
            init.out("serving");
            init.until("it serves", || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
            let what = format!("{line} {options:?}");
            while init.verb(&["health"]).code != Some(0) {}
            init.signal(libc::SIGTERM);
            init.out("got SIGTERM");
            let end = init.end();
            assert!(matches!(end.code, Some(0 | 143)) && end.generations() <= 1, "{what}: {end:?}");
            let told = end.log.iter().filter(|line| line.contains("passes nothing on")).count();
            assert_eq!(told, 1, "{what}: {end:?}");
        }
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
