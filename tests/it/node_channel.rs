//! The Node channel of an unmodified app, on every major: readiness, what the app may do with the channel, and who else must not have it.
//! How it is stopped and watched is in `node_channel/stopping.rs` and `node_channel/watching.rs`.

use crate::support;

mod readiness;
mod stopping;
mod watching;
mod wrapped;

use std::collections::BTreeSet;
use std::net::TcpStream;
use std::path::Path;
use support::web::{get, loopback};
use support::{Bench, Running, children, newest_node, on_every_node};

/// Every question that the command had answered by now has reached restartinit, once it has answered one that came later.
fn settled(init: &mut Running) {
    init.verb(&["health"]);
}

/// The command's pid, outside its namespace.
fn command_pid(init: &mut Running) -> i32 {
    let pid = init.init_pid();
    children(pid)[0]
}

/// A sample of the metrics page.
fn sample(address: &str, name: &str) -> f64 {
    get(address, "/metrics").sample(name)
}

fn killed_for(address: &str, reason: &str) -> f64 {
    sample(address, &format!("restartinit_restarts_total{{reason=\"{reason}\"}}"))
}

/// What a process's descriptors are, those that are sockets.
fn sockets(pid: i32) -> BTreeSet<String> {
    let entries = std::fs::read_dir(format!("/proc/{pid}/fd")).expect("its descriptors");
    let links = entries.flatten().filter_map(|entry| std::fs::read_link(entry.path()).ok());
    links.map(|link| link.display().to_string()).filter(|link| link.starts_with("socket:")).collect()
}

fn environ(pid: i32) -> Vec<String> {
    let bytes = std::fs::read(format!("/proc/{pid}/environ")).expect("its environment");
    bytes.split(|byte| *byte == 0).map(|variable| String::from_utf8_lossy(variable).into_owned()).collect()
}

fn names(variables: &[String], name: &str) -> bool {
    variables.iter().any(|variable| variable.split('=').next() == Some(name))
}

#[test]
fn there_is_a_channel_only_where_it_is_asked_for() {
    on_every_node(|node| {
        for (options, kind) in [
            (&[][..], "undefined"),
            (&["--ipc"], "function"),
            (&["--wait-ready", "1h"], "function"),
            (&["--watchdog", "1h"], "function"),
            (&["--stop-by", "message"], "function"),
        ] {
            let end = Bench::new(options).node(node, "say(typeof process.send, typeof process.env.NODE_CHANNEL_FD);").end();
            assert!(end.said(&format!("{kind} undefined")), "{options:?}: {end:?}");
            assert_eq!((end.code, end.log.len()), (Some(0), 0), "{options:?}: {end:?}");
        }
    });
}

#[test]
fn what_the_app_sends_beside_is_read_and_dropped() {
    on_every_node(|node| {
        let address = loopback();
        let mut init = Bench::new(&["--ipc", "--http", &address]).node(
            node,
            "const all = ['', 0, null, [], {}, 'text', { cmd: 'x' }, { cmd: 'NODE_UNKNOWN' }, { a: 'x'.repeat(5000) }, 'line\\n\\u{1f600}'];
             all.forEach((message, at) => process.send(message, () => at + 1 == all.length && up()));
             told(() => process.exit(0));",
        );
        init.out("up 1");
        init.until("they are counted", || sample(&address, "restartinit_channel_messages_dropped_total") >= 9.0);
        init.tell("end");
        let end = init.end();
        assert_eq!((end.code, end.log.len()), (Some(0), 0), "{end:?}");
    });
}

#[test]
fn an_app_that_disconnects_is_supervised_like_any_other() {
    on_every_node(|node| {
        let mut init = Bench::new(&["--watchdog", "400ms", "--stop-by", "message", "--max-restarts", "1"]).node(
            node,
            "process.disconnect(); caught('SIGTERM', 3); caught('SIGUSR2'); stay(); up();
             told(() => { spin(1500); say('spun'); process.exit(generation == 1 ? 7 : 8); });",
        );
        for generation in ["up 1", "up 2"] {
            init.out(generation);
            settled(&mut init);
            init.signal(libc::SIGUSR2);
            init.out("got SIGUSR2");
            if generation == "up 1" {
                init.tell("crash");
                init.out("spun");
                init.log("exited with code 7");
            }
        }
        init.signal(libc::SIGTERM);
        init.out("got SIGTERM");
        let end = init.end();
        assert_eq!(end.code, Some(3), "{end:?}");
        assert_eq!(end.logged("blocked").len(), 0, "nobody can tell any more: {end:?}");
    });
}

/// As under any Node parent: a channel that nobody listens on holds no loop open, pings or not.
#[test]
fn an_app_whose_work_is_done_exits_by_itself() {
    on_every_node(|node| {
        for options in [&["--ipc"][..], &["--watchdog", "200ms"], &["--wait-ready", "1h", "--watchdog", "1h", "--stop-by", "message"]] {
            let end = Bench::new(options).node(node, "process.send('ready'); setTimeout(() => say('done'), 300);").end();
            assert!(end.said("done"), "{options:?}: {end:?}");
            assert_eq!((end.code, end.log.len()), (Some(0), 0), "{options:?}: {end:?}");
        }
    });
}

#[test]
fn what_it_says_with_its_last_breath_is_heard() {
    on_every_node(|node| {
        let mut init = Bench::new(&["-v", "--wait-ready", "1h"]).node(node, "process.send({ type: 'ready' }); process.exit(0);");
        let end = init.end();
        assert_eq!(end.code, Some(0), "{end:?}");
    });
}

/// A family of every kind, which outlives the app that is told to crash.
const FAMILY: &str = "const { spawn, fork } = require('child_process');
     up(); stay();
     told((word) => {
         if (word === 'crash') process.exit(1);
         spawn('sleep', ['1000'], { stdio: 'inherit' });
         spawn('sh', ['-c', 'sleep 1000; true'], { stdio: 'inherit', detached: true });
         spawn(process.execPath, ['-e', 'setInterval(() => {}, 1e6)'], { stdio: ['ignore', 'inherit', 'inherit'], env: process.env });
         say('spawned', typeof process.env.NODE_CHANNEL_FD);
     });";

#[test]
fn a_grandchild_has_neither_variable_nor_channel() {
    on_every_node(|node| {
        let mut init = Bench::new(&["--ipc", "--watchdog", "1h"]).node(node, FAMILY);
        init.out("up 1");
        assert_family_without_channel(&mut init);
    });
}

/// Node closes for its children what it finds from descriptor 0 to the first gap: the channel must not lie beyond.
#[test]
fn nor_where_restartinit_itself_has_many_descriptors() {
    on_every_node(|node| {
        let address = loopback();
        let mut init = Bench::new(&["--ipc", "--http", &address]).node(node, FAMILY);
        init.out("up 1");
        let clients: Vec<TcpStream> = (0..16).map(|_| TcpStream::connect(&address).expect("it listens")).collect();
        let pid = init.init_pid();
        init.until("restartinit has them all", || sockets(pid).len() >= clients.len());
        init.tell("crash");
        init.out("up 2");
        assert_family_without_channel(&mut init);
    });
}

fn assert_family_without_channel(init: &mut Running) {
    let app = command_pid(init);
    let channel = sockets(app);
    assert_eq!(channel.len(), 1, "the channel, and no socket of restartinit's: {channel:?}");
    init.tell("spawn");
    init.out("spawned undefined");
    init.until("all three run something else than a copy of the app", || {
        let family = children(app);
        family.len() == 3 && family.iter().all(|pid| command_line(*pid) != command_line(app) && !command_line(*pid).is_empty())
    });
    for pid in children(app).into_iter().chain(children(app).into_iter().flat_map(children)) {
        let variables = environ(pid);
        assert!(!names(&variables, "NODE_CHANNEL_FD"), "{variables:?}");
        assert!(!names(&variables, "NODE_CHANNEL_SERIALIZATION_MODE"), "{variables:?}");
        assert!(sockets(pid).is_empty(), "{:?} beside the channel {channel:?}", sockets(pid));
    }
}

fn command_line(pid: i32) -> Vec<u8> {
    std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default()
}

/// A child that the app forks has a channel of its own, and not this one.
#[test]
fn a_forked_child_has_the_apps_channel_not_ours() {
    on_every_node(|node| {
        let mut init = Bench::new(&["-v", "--wait-ready", "1h"]).node(
            node,
            "if (process.argv.includes('child')) { process.send('ready'); process.on('message', () => process.exit(0)); }
             else {
                 const child = require('child_process').fork('', ['child'], { execArgv: [...process.execArgv] });
                 child.on('message', (message) => { say('child says', message); up(); });
                 told(() => { process.send('ready'); child.send('end'); child.on('exit', stay); });
             }",
        );
        init.out("child says ready");
        init.out("up 1");
        let app = command_pid(&mut init);
        let pid = init.init_pid();
        let child = children(app)[0];
        assert!(sockets(child).is_disjoint(&sockets(app)), "{:?} {:?}", sockets(child), sockets(app));
        assert!(sockets(child).is_disjoint(&sockets(pid)));
        assert_eq!(init.verb(&["health"]).code, Some(1), "the child's word is not the app's");
        init.tell("ready");
        init.log("is ready after");
        assert_eq!(init.verb(&["health"]).code, Some(0));
    });
}

/// Another parent's settings must not become this one's.
#[test]
fn inherited_variables_of_another_channel_are_not_passed_on() {
    on_every_node(|node| {
        let mut init = Bench::new(&["-v", "--wait-ready", "1h", "--stop-by", "message", "--watchdog", "1h"])
            .variable("NODE_CHANNEL_SERIALIZATION_MODE", "advanced")
            .variable("NODE_CHANNEL_FD", "77")
            .node(node, "process.send('ready'); process.on('message', (message) => { say('message', message); process.exit(4); }); up();");
        init.out("up 1");
        init.log("is ready after");
        settled(&mut init);
        init.signal(libc::SIGTERM);
        init.out("message shutdown");
        assert_eq!(init.exit_code(), 4);
    });
}

#[test]
fn without_a_channel_the_environment_is_left_alone() {
    let bench = || Bench::new(&[]).variable("NODE_CHANNEL_SERIALIZATION_MODE", "advanced").variable("NODE_CHANNEL_FD", "77");
    let end = bench().command(["env"]).end();
    assert!(end.out.contains(&"NODE_CHANNEL_FD=77".to_owned()), "{end:?}");
    assert!(!names(&end.out, "NODE_CHANNEL_SERIALIZATION_MODE"), "{end:?}");
}

/// Each generation has a channel of its own, and none is left over.
#[test]
fn no_descriptor_is_gained_over_restarts() {
    let node: &Path = newest_node();
    let options = ["--ipc", "--watchdog", "1h", "--max-restarts", "100", "--backoff", "0"];
    let mut init = Bench::new(&options).node(node, "process.send('x', () => {}); up(); told(() => process.exit(1));");
    let mut counts = Vec::new();
    for generation in 1..=6 {
        init.out(&format!("up {generation}"));
        settled(&mut init);
        let pid = init.init_pid();
        init.until("the verb's connection is closed", || sockets(pid).len() <= 2);
        counts.push(support::descriptors(pid));
        init.tell("crash");
    }
    assert!(counts.iter().all(|count| *count == counts[0]), "{counts:?}");
}
