//! Node behind a shell, behind npm, and what is no Node at all.

use super::settled;
use crate::serving::{ask, connect};
use crate::support::web::free_port;
use crate::support::{Bench, Running, Scratch, newest_node, on_every_node};
use std::path::Path;
use std::time::Duration;

/// A shell's line with the app in the place of `@`.
fn shell(options: &[&str], line: &str, node: &Path, script: &str) -> Running {
    let script = format!(
        "const say = (...words) => console.log(words.join(' '));
         const up = () => setImmediate(() => say('up', process.env.RESTARTINIT_GENERATION)); {script}"
    );
    let line = line.replace('@', "\"$0\" -e \"$1\"");
    let command: [&std::ffi::OsStr; 5] = ["sh".as_ref(), "-c".as_ref(), line.as_ref(), node.as_os_str(), script.as_ref()];
    Bench::new(options).command(command)
}

const LINES: [&str; 3] = ["exec @", "@", "@; exit $?"];

#[test]
fn a_shell_that_starts_node_passes_the_channel_on() {
    on_every_node(|node| {
        for line in LINES {
            let script = "process.send('ready'); process.on('message', (word) => { say('message', word); process.exit(5); }); up();";
            let mut init = shell(&["-v", "--wait-ready", "1h", "--stop-by", "message", "--watchdog", "1h"], line, node, script);
            init.log("is ready after");
            init.out("up 1");
            settled(&mut init);
            init.signal(libc::SIGTERM);
            init.out("message shutdown");
            assert_eq!(init.exit_code(), 5, "{line}");
        }
    });
}

#[test]
fn a_hang_behind_a_shell_is_noticed() {
    on_every_node(|node| {
        for line in LINES {
            let options = ["--watchdog", "700ms", "--max-restarts", "1", "--backoff", "0", "--leftover-timeout", "500ms"];
            let end = shell(&options, line, node, "up(); setTimeout(() => { for (;;); }, 300);").end();
            assert_eq!(end.code, Some(137), "{line}: {end:?}");
            assert_eq!(end.logged("event loop blocked for 700 ms").len(), 2, "{line}: {end:?}");
        }
    });
}

/// A wrapper that closes the descriptor, as npm does, loses the app its channel and nothing else; so does a command that never heard of
/// Node. After a while one line says so. A Node that does answer gets no such line.
#[test]
fn where_nobody_answers_one_line_says_so() {
    let options = ["--watchdog", "1s", "--stop-by", "message", "--max-restarts", "1"];
    let node = newest_node();
    let closed = "unset NODE_CHANNEL_FD; exec @";
    let script = "process.on('SIGTERM', () => { say('got SIGTERM'); process.exit(3); }); setInterval(() => {}, 1e6); up();";
    let commands = [
        Bench::new(&options).run(&["catch TERM", "up", "wait TERM", "exit 3"]),
        shell(&options, closed, node, script),
        shell(&options, "@", node, &script.replace("process.on('SIGTERM'", "process.on('message'")),
    ];
    for (at, mut init) in commands.into_iter().enumerate().collect::<Vec<_>>() {
        init.allow(Duration::from_secs(40));
        init.out("up 1");
        if at < 2 {
            let line = init.log("Node channel");
            assert!(line.contains("generation 1 "), "{line}");
        }
        assert_eq!(init.verb(&["health"]).code, Some(0));
        init.signal(libc::SIGTERM);
        init.out("got SIGTERM");
        let end = init.end();
        assert_eq!(end.code, Some(3), "{end:?}");
        assert_eq!(end.logged("Node channel").len(), usize::from(at < 2), "{end:?}");
        assert_eq!(end.logged("restart ").len(), 0, "{end:?}");
    }
}

/// The wait of the test above is not needed for the rest: such a command runs, crashes, restarts and stops as ever.
#[test]
fn what_is_no_node_is_not_harmed() {
    let options = ["--watchdog", "100ms", "--stop-by", "message", "--max-restarts", "1", "--backoff", "0"];
    let mut init = Bench::new(&options).run(&["catch TERM USR1", "up", "at 1 sleep 500", "at 1 exit 9", "obey"]);
    init.log("exited with code 9");
    init.out("up 2");
    init.signal(libc::SIGUSR1);
    init.out("got SIGUSR1");
    init.signal(libc::SIGTERM);
    init.out("got SIGTERM");
    init.tell("exit 4");
    let end = init.end();
    assert_eq!(end.code, Some(4), "{end:?}");
    assert_eq!(end.logged("blocked").len(), 0, "{end:?}");
}

/// An app that is loaded by what is known as ts-node, in its own process.
const LAUNCHER: &str = "node_modules/ts-node/dist/bin.js";
/// A launcher that listens at a pipe of its own while it runs something else.
const BEFORE: &str = "node_modules/tsx/dist/cli.mjs";
const FILES: [(&str, &str); 3] = [
    (
        "app.js",
        "require('http').createServer((request, response) => response.end(process.env.RESTARTINIT_GENERATION))
      .listen(Number(process.env.PORT), '127.0.0.1', () => console.log('serving ' + process.env.RESTARTINIT_GENERATION));",
    ),
    (LAUNCHER, "require('../../../app.js');"),
    (
        BEFORE,
        "import net from 'node:net';
      const server = net.createServer();
      server.listen(process.cwd() + '/' + process.pid + '.pipe', () => server.close(() => process.exit(0)));",
    ),
];

/// A shell's line under `--standby`, beside those files, with Node in the place of `@`; and the port that the app listens on.
fn with_standby(line: &str, node: &Path) -> (Running, Scratch, u16) {
    let (scratch, port) = (Scratch::new(), free_port());
    for (name, text) in FILES {
        let path = scratch.path(name);
        std::fs::create_dir_all(Path::new(&path).parent().expect("its folder")).expect("a folder");
        std::fs::write(path, text).expect("a file");
    }
    let line = line.replace('@', "\"$0\"");
    let command: [&std::ffi::OsStr; 4] = ["sh".as_ref(), "-c".as_ref(), line.as_ref(), node.as_os_str()];
    let bench = Bench::new(&["--standby", "-v"]).folder(scratch.path("")).variable("PORT", port.to_string());
    (bench.command(command), scratch, port)
}

fn answer(port: u16) -> String {
    ask(connect(([127, 0, 0, 1], port)).expect("nobody is refused"), "/").expect("an answer")
}

/// It would not be known whether it waits.
#[test]
fn behind_a_launcher_there_is_no_standby() {
    on_every_node(|node| {
        let (mut init, _scratch, port) = with_standby(&format!("exec @ {LAUNCHER}"), node);
        init.out("serving 1");
        let status = init.status_with("there is no standby", |status| !status["standby_note"].is_null());
        assert_eq!(status["generations"].as_array().map(Vec::len), Some(1), "{status}");
        assert_eq!(answer(port), "1");
        init.signal(libc::SIGTERM);
        let end = init.end();
        assert!(!end.said("serving 2"), "{end:?}");
    });
}

#[test]
fn a_standby_waits_though_a_launcher_runs_before_the_app() {
    on_every_node(|node| {
        let (mut init, _scratch, port) = with_standby(&format!("@ {BEFORE} && exec @ app.js"), node);
        init.out("serving 1");
        let line = init.log("waits as standby");
        assert!(line.contains("generation 2 "), "{line}");
        (0..20).for_each(|_| assert_eq!(answer(port), "1"));
        init.signal(libc::SIGTERM);
        let end = init.end();
        assert!(!end.said("serving 2"), "{end:?}");
    });
}
