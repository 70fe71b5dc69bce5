//! Each option for Node on every Node, on Bun and on Deno: it does what it promises, or one line before the first spawn says that it is off. The
//! table of docs/node.md.

mod scenes;

use std::path::Path;

use crate::support::programs::{bun, deno, version};
use crate::support::{Stream, nodes};
use scenes::{Runtime, Stage, body};

const WORKS: &str = "works";
const OFF: &str = "off, with a line";

/// How a row of the table is measured.
type Scene = fn(&Runtime) -> &'static str;

const ROWS: [(&str, Scene); 10] = [
    ("`--hold-port`", hold_port),
    ("`--standby`", standby),
    ("`--watchdog`", watchdog),
    ("`--stop-by message`", stop_by_message),
    ("`--stop-by message` with `--wait-ready`", stop_by_message_once_ready),
    ("`--stop-by drain`", stop_by_drain),
    ("`--wait-ready`, by the message `ready`", wait_ready),
    ("`--ready-when listening`", ready_when_listening),
    ("`--ipc`", ipc),
    ("`--listen`", listen),
];

fn runtimes() -> Vec<Runtime> {
    let node = |node: &crate::support::Node| Runtime {
        name: format!("Node {}", node.version.trim_start_matches('v').split('.').next().expect("a major")),
        program: node.binary.clone().into(),
        arguments: &[],
    };
    let other = |name: &str, package: &Path, program: &str, arguments| Runtime {
        name: format!("{name} {}", version(package)),
        program: package.join(program),
        arguments,
    };
    let others = [other("Bun", &bun(), "bin/bun", &[]), other("Deno", &deno(), "deno", &["run", "-A"])];
    nodes().iter().map(node).chain(others).collect()
}

/// What comes between a crash and the next generation's `listen()` is served by that.
fn is_not_refused(stage: &Stage) {
    assert_eq!(stage.ask("/crash"), None);
    stage.init.out("up 2");
    let client = stage.connect().expect("nobody is refused");
    stage.let_listen(2);
    assert_eq!(body(client, "/").as_deref(), Some("x"));
}

fn hold_port(runtime: &Runtime) -> &'static str {
    let stage = Stage::serving(runtime, &["--hold-port"], &[]);
    if stage.is_off("--hold-port") {
        return OFF;
    }
    is_not_refused(&stage);
    WORKS
}

fn standby(runtime: &Runtime) -> &'static str {
    let mut stage = Stage::serving(runtime, &["--standby", "-v"], &[]);
    if stage.is_off("--standby") {
        return OFF;
    }
    stage.init.out("up 2");
    stage.allow(2);
    let waits = stage.init.log("waits as standby");
    assert_eq!(stage.ask("/crash"), None);
    assert_eq!(stage.ask("/").as_deref(), Some("x"));
    let status = stage.init.status();
    let active = format!("generation {} (pid {}) waits", status["generation"], status["pid"]);
    assert!(waits.contains(&active), "the standby has taken over: {waits}: {status}");
    WORKS
}

fn watchdog(runtime: &Runtime) -> &'static str {
    let mut stage = Stage::serving(runtime, &["--watchdog", "800ms", "--ready-when", "listening"], &[]);
    if stage.is_off("--watchdog") {
        assert_eq!(stage.ask("/slow").as_deref(), Some("finished"));
        return OFF;
    }
    stage.init.status_with("its event loop is watched", |status| !status["event_loop"].is_null());
    assert_eq!(stage.ask("/slow").as_deref(), Some("finished"), "longer than the limit, and nobody is killed");
    assert_eq!(stage.init.status()["generation"], 1);
    assert_eq!(stage.ask("/block"), None);
    stage.init.log("event loop blocked for 800 ms");
    stage.let_listen(2);
    assert_eq!(stage.ask("/").as_deref(), Some("x"));
    WORKS
}

fn stop_by_message(runtime: &Runtime) -> &'static str {
    is_stopped_by_message(Stage::serving(runtime, &["--stop-by", "message", "--ready-when", "listening"], &[]))
}

fn stop_by_message_once_ready(runtime: &Runtime) -> &'static str {
    is_stopped_by_message(Stage::serving(runtime, &["--stop-by", "message", "--wait-ready", "20s"], &[("SAYS_READY", "1")]))
}

fn is_stopped_by_message(mut stage: Stage) -> &'static str {
    if stage.is_off("--stop-by message") {
        return OFF;
    }
    stage.init.signal(libc::SIGTERM);
    let end = stage.init.end();
    assert!(end.said("got shutdown") && end.code == Some(0), "{end:?}");
    WORKS
}

fn stop_by_drain(runtime: &Runtime) -> &'static str {
    let mut stage = Stage::serving(runtime, &["--stop-by", "drain"], &[("FINISHES", "1")]);
    if stage.is_off("--stop-by drain") {
        return OFF;
    }
    std::thread::scope(|threads| {
        let stream = stage.connect().expect("it serves");
        let client = threads.spawn(move || body(stream, "/slow"));
        stage.init.out("slow");
        stage.init.signal(libc::SIGTERM);
        assert_eq!(client.join().expect("a client").as_deref(), Some("finished"));
    });
    let end = stage.init.end();
    assert!(!end.said("got SIGTERM") && end.code == Some(0), "{end:?}");
    WORKS
}

fn wait_ready(runtime: &Runtime) -> &'static str {
    let mut stage = Stage::open(runtime, &["-v", "--wait-ready", "20s"], &[("SAYS_READY", "1")]);
    if stage.is_off("--wait-ready") {
        return OFF;
    }
    stage.let_listen(1);
    let seen = stage.init.log("is ready after");
    assert!(seen.contains("generation 1 "), "{seen}");
    assert_eq!(stage.health(), Some(0));
    let mut silent = Stage::open(runtime, &["--wait-ready", "1s", "--max-restarts", "0"], &[]);
    silent.allow(1);
    let end = silent.init.end();
    assert!(end.code == Some(137) && end.logged("not ready in time").len() == 1, "{end:?}");
    WORKS
}

fn ready_when_listening(runtime: &Runtime) -> &'static str {
    let mut stage = Stage::open(runtime, &["--ready-when", "listening"], &[]);
    assert_eq!(stage.health(), Some(1), "it does not listen yet");
    stage.let_listen(1);
    stage.await_ready();
    assert_eq!(stage.ask("/crash"), None);
    stage.init.out("up 2");
    assert_eq!(stage.health(), Some(1), "the next one does not listen yet");
    WORKS
}

fn ipc(runtime: &Runtime) -> &'static str {
    let stage = Stage::open(runtime, &["--ipc"], &[("CHANNEL", "1")]);
    if stage.is_off("--ipc") {
        return OFF;
    }
    stage.init.out("sent");
    WORKS
}

/// By an HTTP server where it can, else by one of `node:net`.
fn listen(runtime: &Runtime) -> &'static str {
    let stage = Stage::open(runtime, &["--listen", "ADDRESS"], &[("LISTENS", "http")]);
    stage.let_listen(1);
    let lines = stage.init.lines(Stream::Log);
    if lines.iter().any(|line| line.contains("--listen") && line.contains("node:net")) {
        let stage = Stage::open(runtime, &["--listen", "ADDRESS"], &[("LISTENS", "net")]);
        stage.let_listen(1);
        assert_eq!(stage.ask("/").as_deref(), Some("x"), "{}", runtime.name);
        return "`node:net` only, with a line";
    }
    assert_eq!(stage.ask("/").as_deref(), Some("x"), "{}", runtime.name);
    is_not_refused(&stage);
    WORKS
}

/// The cells of one row, measured side by side.
fn cells(runtimes: &[Runtime], name: &str, scene: Scene) -> Vec<&'static str> {
    std::thread::scope(|threads| {
        let mut running = Vec::new();
        for runtime in runtimes {
            let named = std::thread::Builder::new().name(format!("{name} {}", runtime.name));
            running.push(named.spawn_scoped(threads, move || scene(runtime)).expect("a thread"));
        }
        running.into_iter().map(|cell| cell.join().expect("a cell")).collect()
    })
}

/// The cells of a row of the section, the first of which is this.
fn row_of<'a>(section: &'a str, first: &str) -> Vec<&'a str> {
    let row = section.lines().find(|line| line.strip_prefix("| ").is_some_and(|line| line.starts_with(&format!("{first} |"))));
    let row = row.unwrap_or_else(|| panic!("docs/node.md has no row {first}"));
    row.trim_matches('|').split('|').map(str::trim).collect()
}

#[test]
fn every_option_works_or_says_that_it_is_off() {
    let runtimes = runtimes();
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/node.md")).expect("the page");
    let section = page.split("\n## ").find(|section| section.starts_with("Bun and Deno\n")).expect("the section");
    let head = row_of(section, "option");
    let mut wrong = Vec::new();
    for (name, scene) in ROWS {
        let row = row_of(section, name);
        for (runtime, measured) in runtimes.iter().zip(cells(&runtimes, name, scene)) {
            let column = head.iter().position(|cell| *cell == runtime.name);
            let column = column.unwrap_or_else(|| panic!("docs/node.md has no column {}", runtime.name));
            if row.get(column) != Some(&measured) {
                wrong.push(format!("{name}, {}: measured: {measured}, docs/node.md: {:?}", runtime.name, row.get(column)));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
