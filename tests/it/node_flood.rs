//! An app that says too much, nothing that makes sense, or never reads: memory stays bounded, the app gets on, signals get through.

use crate::support;

use std::path::Path;
use std::time::Duration;
use support::web::{get, loopback};
use support::{Bench, Running, Stream, children, kilobytes, newest_node, on_every_node};

/// What restartinit may have gained, in KiB: a line of 64 KiB, what it is read into, and pages that the allocator keeps.
const MOST_GAINED: u64 = 512;

/// Node without its own end of the channel: the script writes what it likes to `channel`.
fn raw(bench: Bench, node: &Path, script: &str) -> Running {
    let shell = "RAW=$NODE_CHANNEL_FD; export RAW; unset NODE_CHANNEL_FD; exec \"$0\" -e \"$1\"";
    let script = format!(
        "const fs = require('fs'); const channel = Number(process.env.RAW);
         const write = (text) => {{ const bytes = Buffer.from(text); for (let at = 0; at < bytes.length;) at += fs.writeSync(channel, bytes, at); }};
         const say = (...words) => console.log(words.join(' ')); const generation = process.env.RESTARTINIT_GENERATION;
         const told = (action) => process.stdin.once('data', (line) => action(String(line).trim())); {script}"
    );
    let command: [&std::ffi::OsStr; 5] = ["sh".as_ref(), "-c".as_ref(), shell.as_ref(), node.as_os_str(), script.as_ref()];
    bench.command(command)
}

/// Resident and private memory of restartinit, in KiB: now, and the most that ever was resident.
#[derive(Debug)]
struct Memory {
    data: u64,
    most: u64,
}

fn memory(init: &mut Running) -> Memory {
    let pid = init.init_pid();
    Memory { data: kilobytes(pid, "VmData"), most: kilobytes(pid, "VmHWM") }
}

/// Asks a verb first, so that what the control door needs is there before it is measured.
fn before(init: &mut Running) -> Memory {
    assert_eq!(init.verb(&["status"]).code, Some(0));
    memory(init)
}

fn assert_bounded(init: &mut Running, before: &Memory) {
    let after = memory(init);
    assert!(after.data <= before.data + MOST_GAINED, "{before:?} {after:?}");
    assert!(after.most <= before.most + MOST_GAINED, "{before:?} {after:?}");
}

fn warnings(init: &Running) -> Vec<String> {
    init.lines(Stream::Log)
}

#[test]
fn a_million_messages() {
    let address = loopback();
    let mut init = Bench::new(&["--watchdog", "10s", "--http", &address]).node(
        newest_node(),
        "process.on('SIGUSR2', () => say('got SIGUSR2')); up();
         let sent = 0;
         const batch = () => {
             for (let i = 0; i < 999; i++) process.send({ type: 'process:msg', data: { at: sent + i } });
             process.send('last', () => { sent += 1000; if (sent % 200000 == 0) say('sent', sent); sent < 1e6 ? setImmediate(batch) : say('done'); });
         };
         told(() => { batch(); told(() => process.exit(0)); });",
    );
    // Node alone takes its time for a million.
    init.allow(Duration::from_secs(90));
    init.out("up 1");
    let start = before(&mut init);
    init.tell("flood");
    for sent in [200_000, 400_000, 600_000, 800_000, 1_000_000] {
        init.out(&format!("sent {sent}"));
        init.signal(libc::SIGUSR2);
        init.out("got SIGUSR2");
        assert_bounded(&mut init, &start);
    }
    let dropped = || get(&address, "/metrics").sample("restartinit_channel_messages_dropped_total");
    init.until("each is counted", || dropped() >= 1e6);
    init.tell("end");
    let end = init.end();
    assert_eq!((end.code, end.log.len()), (Some(0), 0), "{end:?}");
}

/// Without an end, as fast as a pipe can be filled, from a process beside the command.
#[test]
fn a_flood_holds_up_neither_signals_nor_probes_nor_the_stop() {
    let address = loopback();
    for line in ["{\"type\":\"x\",\"data\":[1,2,3]}", "\"ready\"", "", "no JSON"] {
        let script = "trap 'echo got SIGUSR2' USR2; trap 'exit 6' TERM; yes \"$LINE\" >&$NODE_CHANNEL_FD & echo up; while :; do wait; done";
        let mut init = Bench::new(&["--watchdog", "1h", "--http", &address]).variable("LINE", line).command(["bash", "-c", script]);
        init.out("up");
        let pid = init.init_pid();
        init.until("the flood is on", || children(pid).iter().any(|command| !children(*command).is_empty()));
        let start = before(&mut init);
        for _ in 0..20 {
            init.signal(libc::SIGUSR2);
            init.out("got SIGUSR2");
            assert_eq!(get(&address, "/livez").status, 200);
            assert_eq!(init.verb(&["health"]).code, Some(0));
        }
        assert_bounded(&mut init, &start);
        init.signal(libc::SIGTERM);
        let end = init.end();
        assert_eq!(end.code, Some(6), "{line:?}: {end:?}");
        assert!(end.logged("restartinit: ").len() <= 2, "said once, and how it ended: {:?}", end.log);
    }
}

#[test]
fn a_line_of_a_hundred_megabytes() {
    let script = "process.on('SIGUSR2', () => say('got SIGUSR2')); setInterval(() => {}, 1e6); say('up', generation);
         told(() => {
             const piece = 'x'.repeat(1 << 20); let left = 100;
             const next = () => { write(piece); left-- ? setImmediate(next) : (write('\\n\"ready\"\\n'), say('done')); };
             write('{\"type\":\"'); next();
         });";
    let mut init = raw(Bench::new(&["-v", "--wait-ready", "1h"]), newest_node(), script);
    init.out("up 1");
    let start = before(&mut init);
    init.tell("write");
    init.signal(libc::SIGUSR2);
    init.out("got SIGUSR2");
    init.out("done");
    init.log("is ready after");
    assert_bounded(&mut init, &start);
    let told: Vec<String> = warnings(&init).into_iter().filter(|line| line.contains("64 KiB")).collect();
    assert_eq!(told.len(), 1, "said once: {told:?}");
}

/// The same by Node's own hand, on every major: it is one message, and the next one is understood.
#[test]
fn a_message_of_a_hundred_megabytes() {
    for node in support::nodes() {
        let script = "up(); told(() => process.send('x'.repeat(1e8), () => { say('sent'); process.send('ready'); })); stay();";
        let mut init = Bench::new(&["-v", "--wait-ready", "1h"]).node(node.binary.as_ref(), script);
        init.out("up 1");
        let start = before(&mut init);
        init.tell("send");
        init.out("sent");
        init.log("is ready after");
        assert_bounded(&mut init, &start);
    }
}

/// Every message here calls for an answer that nobody takes.
#[test]
fn an_app_that_asks_and_never_reads() {
    for line in [
        "{\"cmd\":\"NODE_HANDLE\",\"type\":\"net.Socket\",\"msg\":{}}",
        "{\"cmd\":\"NODE_CLUSTER\",\"act\":\"exitedAfterDisconnect\",\"seq\":1}",
    ] {
        let script = "process.on('SIGTERM', () => { say('got SIGTERM'); process.exit(3); }); setInterval(() => {}, 1e6); say('up', generation);
             told(() => { const lines = (process.env.LINE + '\\n').repeat(1000); for (let i = 0; i < 200; i++) write(lines); say('done'); });";
        let options = ["--watchdog", "1h", "--stop-by", "message"];
        let mut init = raw(Bench::new(&options).variable("LINE", line), newest_node(), script);
        init.out("up 1");
        let start = before(&mut init);
        init.tell("ask");
        init.out("done");
        assert_eq!(init.verb(&["health"]).code, Some(0));
        assert_bounded(&mut init, &start);
        // It has answered nothing, so nothing tells that it would hear a message.
        init.signal(libc::SIGTERM);
        init.out("got SIGTERM");
        assert_eq!(init.exit_code(), 3, "{line}");
    }
}

#[test]
fn malformed_lines_are_dropped_and_said_once() {
    let script = "const lines = ['', '{', '}', 'undefined', '{\"cmd\":', '[1,', '\"ready', 'ready', '\\u0000', ' ', '\\r', 'NaN', '{\"type\":\"ready\"}}',
             '['.repeat(60000), '{\"a\":'.repeat(10000), '\"\\\\ud800', '1e999999', '-', '{\"type\":\"ready\",}'];
         const blind = Buffer.from([0xff, 0xfe, 0x0a, 0xc3, 0x0a, 0x22, 0x80, 0x22, 0x0a]);
         setInterval(() => {}, 1e6); say('up', generation);
         told(() => {
             for (let i = 0; i < 50; i++) { lines.forEach((line) => write(line + '\\n')); write(blind); }
             say('done');
             told(() => { write('\"ready\"\\n{\"type\":\"half'); told(() => process.exit(0)); });
         });";
    let mut init = raw(Bench::new(&["-v", "--wait-ready", "1h"]), newest_node(), script);
    init.out("up 1");
    let start = before(&mut init);
    init.tell("write");
    init.out("done");
    assert_eq!(init.verb(&["health"]).code, Some(1), "none of it is ready");
    assert_bounded(&mut init, &start);
    init.tell("go on");
    init.log("is ready after");
    assert_eq!(init.verb(&["health"]).code, Some(0));
    init.tell("end");
    let end = init.end();
    assert_eq!(end.code, Some(0), "{end:?}");
    assert_eq!(end.logged("JSON").len(), 1, "said once: {end:?}");
}

#[test]
fn bytes_may_be_split_anywhere() {
    // A message before it with letters of two, three and four bytes, and an escape.
    let text = "{\"type\":\"gr\u{fc}\u{df}e \u{20ac} \u{1f600} \\\"ready\\\"\"}\n{\"type\":\"ready\",\"at\":\"\u{1f600}\"}\n";
    for size in 1..=5 {
        let script = format!(
            "const bytes = Buffer.from(process.env.TEXT); let at = 0; setInterval(() => {{}}, 1e6);
             const next = () => {{ fs.writeSync(channel, bytes, at, Math.min({size}, bytes.length - at)); at += {size}; at < bytes.length ? setTimeout(next, 0) : say('done'); }};
             next();"
        );
        let init = raw(Bench::new(&["-v", "--wait-ready", "1h"]).variable("TEXT", text), newest_node(), &script);
        init.out("done");
        init.log("is ready after");
        let log = warnings(&init);
        assert!(!log.iter().any(|line| line.contains("JSON")), "{log:?}");
    }
}

/// What an app has to say keeps nobody from being heard.
#[test]
fn an_app_that_floods_gets_the_word_to_stop() {
    on_every_node(|node| {
        let script = "process.on('message', (word) => { say('message', word); process.exit(5); });
             const flood = () => { for (let i = 0; i < 500; i++) process.send({ i }); setImmediate(flood); };
             up(); told(() => { say('flooding'); flood(); });";
        let mut init = Bench::new(&["--stop-by", "message", "--watchdog", "1h"]).node(node, script);
        init.out("up 1");
        init.verb(&["health"]);
        init.tell("flood");
        init.out("flooding");
        init.signal(libc::SIGTERM);
        init.out("message shutdown");
        assert_eq!(init.exit_code(), 5);
    });
}

/// What one generation left unread is gone with it.
#[test]
fn memory_does_not_grow_with_generations() {
    let script = "write('{\"x\":\"' + 'y'.repeat(60000)); say('up', generation); told(() => process.exit(1));";
    let options = ["--watchdog", "1h", "--max-restarts", "1000", "--backoff", "0"];
    let mut init = raw(Bench::new(&options), newest_node(), script);
    init.out("up 1");
    let start = before(&mut init);
    for generation in 2..=20 {
        init.tell("crash");
        init.out(&format!("up {generation}"));
    }
    assert_bounded(&mut init, &start);
}
