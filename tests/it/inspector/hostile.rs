//! An app that is Node by its executable, and answers for its own inspector: whatever it sends, and however, the verb ends in time, with one line.

use super::bench;
use crate::support::{Scratch, newest_node};

/// What it does with a connection: JavaScript that has `socket`, and `upgraded` to call with what comes after a good handshake.
const TRICKS: [(&str, &str); 12] = [
    ("says nothing", ""),
    ("hangs up", "socket.end()"),
    ("is no HTTP", "socket.end('SSH-2.0-x\\r\\n')"),
    ("has a head without an end", "socket.write('HTTP/1.1 200 OK\\r\\n'); pour(socket, 'x: ' + 'y'.repeat(1e5) + '\\r\\n')"),
    ("has a list without an end", "socket.write('HTTP/1.1 200 OK\\r\\n\\r\\n'); pour(socket, '['.repeat(1e5))"),
    ("leads elsewhere", "list(socket, 'ws://x/a\\\\r\\\\nHost: evil')"),
    ("sends one frame without an end", "upgraded(() => { socket.write(head(2 ** 40)); pour(socket, 'x'.repeat(1e5)); })"),
    ("sends depth", "upgraded(() => { socket.write(head(2 ** 40)); pour(socket, '[{\"a\":'.repeat(1e4)); })"),
    ("answers everything but what was asked", "upgraded(() => pour(socket, frame('{\"id\":999,\"result\":{}}')))"),
    ("pings", "upgraded(() => pour(socket, Buffer.concat(Array(1000).fill(Buffer.from([0x89, 1, 65])))))"),
    ("is slow", "upgraded(() => setInterval(() => socket.write(frame('{}').subarray(0, 1)), 100))"),
    ("breaks the protocol", "upgraded(() => socket.write(Buffer.from([0xff, 0xff, 0xff])))"),
];

const APP: &str = r#"
const net = require('net');
const pour = (socket, what) => { const on = () => { while (!socket.destroyed && socket.write(what)); }; socket.on('drain', on); on(); };
const head = (length) => { const h = Buffer.alloc(10); h[0] = 0x81; h[1] = 127; h.writeBigUInt64BE(BigInt(length), 2); return h; };
const frame = (text) => Buffer.concat([head(text.length), Buffer.from(text)]);
const list = (socket, url) => socket.end('HTTP/1.1 200 OK\r\n\r\n[{"webSocketDebuggerUrl":"' + url + '"}]');
const server = net.createServer((socket) => {
  socket.on('error', () => {});
  const upgraded = (then) => socket.once('data', (request) => {
    if (String(request).startsWith('GET /json/list')) return list(socket, 'ws://127.0.0.1/x');
    socket.write('HTTP/1.1 101 Switching Protocols\r\n\r\n');
    then();
  });
  trick(socket, upgraded);
});
process.on('SIGUSR1', () => { if (!server.listening) server.listen(0, '127.0.0.1'); });
setInterval(() => {}, 1e6);
console.log('up');
"#;

#[test]
fn whatever_the_app_sends_the_verb_ends_in_time() {
    let scratch = Scratch::new();
    std::thread::scope(|threads| {
        for (number, (name, trick)) in TRICKS.iter().enumerate() {
            let scratch = &scratch;
            threads.spawn(move || {
                let script = scratch.path(&format!("{number}.js"));
                std::fs::write(&script, format!("const trick = (socket, upgraded) => {{ {trick} }};{APP}")).expect("a script");
                let mut init = bench().command([newest_node().as_os_str(), script.as_ref()]);
                init.out("up");
                let program = crate::support::init().display().to_string();
                init.await_door();
                // With less memory than that it would wait for more, and be killed.
                let line = format!("ulimit -v 60000; exec '{program}' profile 100ms");
                let said = init.enter(&["sh", "-c", &line]).end();
                let why = said.complaint(1);
                let expected = ["no answer in time", "does not answer as Node's inspector would"];
                assert!(expected.iter().any(|text| why.ends_with(text)), "{name}: {said:?}");
                assert_eq!(init.status()["generation"], 1, "{name}");
            });
        }
    });
}

/// What is passed on to a file is the app's, and so is its length: but not its name on a terminal.
#[test]
fn names_steer_no_terminal() {
    let node = newest_node();
    let name = "evil\\x1b[2J\\u202e\\n".to_owned() + &"x".repeat(10_000);
    let script = format!("const o = {{ ['{name}']() {{ say('there'); for (;;); }} }}; setTimeout(o['{name}'], 1)");
    let mut init = bench().node(node, &script);
    init.out("there");
    let said = init.verb(&["stack"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    let frame = said.out.lines().nth(1).expect("a frame");
    assert!(frame.starts_with("  at evil?[2J??xxx") && frame.len() < 400, "{frame}");
    assert!(said.out.chars().all(|c| c == '\n' || !c.is_control()), "{said:?}");
}
