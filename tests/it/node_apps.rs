//! Real apps, unchanged: written for pm2's `wait_ready` and `shutdown_with_message`, and Express and Fastify servers under load, whose
//! loop hangs, or is only heavy. `bench/watchdog` is the long run of the last.

use crate::serving::node_apps;
use crate::support;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::time::Duration;
use support::web::{free_port, get, loopback};
use support::{Bench, Running, Stream, newest_node, on_every_node};

const FRAMEWORKS: [&str; 2] = ["express.js", "fastify.js"];
/// Requests that are under way at a time.
const CLIENTS: u32 = 4;

fn app(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/node/apps").join(name)
}

/// Starts an app as a command line would.
fn start(node: &Path, name: &str, port: u16, options: &[&str]) -> Running {
    let bench = Bench::new(options).variable("PORT", port.to_string()).variable("NODE_PATH", node_apps());
    bench.command([node, app(name).as_path()])
}

/// Sends a request on a connection of its own, in the version that knows neither chunks nor reuse.
fn send(port: u16, path: &str, field: &str) -> std::io::Result<TcpStream> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: x\r\n{field}\r\n").as_bytes())?;
    Ok(stream)
}

/// What comes back, if the server lives to answer.
fn receive(stream: std::io::Result<TcpStream>) -> Option<String> {
    let mut text = String::new();
    stream.and_then(|mut stream| stream.read_to_string(&mut text)).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    head.starts_with("HTTP/1.1 200").then(|| body.to_owned())
}

fn ask(port: u16, path: &str) -> Option<String> {
    receive(send(port, path, ""))
}

/// Clients that ask for these paths in turn until so many were answered; gives back how many were.
fn load(port: u16, paths: &[&str], enough: &(impl Fn(u32) -> bool + Sync)) -> u32 {
    let answered = AtomicU32::new(0);
    std::thread::scope(|clients| {
        for client in 0..CLIENTS as usize {
            let answered = &answered;
            clients.spawn(move || {
                for path in paths.iter().cycle().skip(client) {
                    if enough(answered.load(Relaxed)) {
                        return;
                    }
                    match ask(port, path) {
                        Some(_) => answered.fetch_add(1, Relaxed),
                        None => {
                            // Nobody listens at the moment: no need to ask a thousand times what will not have changed.
                            std::thread::sleep(Duration::from_millis(5));
                            0
                        }
                    };
                }
            });
        }
    });
    answered.into_inner()
}

#[test]
fn an_app_for_wait_ready_works_unchanged() {
    on_every_node(|node| {
        let (address, port) = (loopback(), free_port());
        let mut init = start(node, "wait_ready.js", port, &["-v", "--wait-ready", "20s", "--http", &address]);
        init.log("is ready after");
        assert_eq!(get(&address, "/readyz").status, 200);
        assert_eq!(init.verb(&["health"]).code, Some(0));
        assert_eq!(ask(port, "/").as_deref(), Some("hey"));
        init.signal(libc::SIGTERM);
        assert_eq!(init.exit_code(), 143, "it has no handler");
    });
}

/// With everything else that makes a channel as well: the app's first word finds it there.
#[test]
fn an_app_for_shutdown_with_message_works_unchanged() {
    on_every_node(|node| {
        let port = free_port();
        let options = ["-v", "--stop-by", "message", "--wait-ready", "20s", "--watchdog", "10s", "--grace-period", "20s"];
        let mut init = start(node, "shutdown_with_message.js", port, &options);
        init.log("is ready after");
        let stream = send(port, "/slow", "X-Takes: 700\r\n");
        init.out("Request /slow");
        assert_eq!(init.verb(&["health"]).code, Some(0));
        init.signal(libc::SIGTERM);
        init.out("Closing all connections...");
        assert_eq!(receive(stream).as_deref(), Some("finished"), "what was in flight is answered");
        init.out("Finished closing connections");
        assert_eq!(init.exit_code(), 0);
    });
}

#[test]
fn a_planned_restart_of_it_is_as_graceful() {
    on_every_node(|node| {
        let port = free_port();
        let options = ["-v", "--stop-by", "message", "--wait-ready", "20s", "--watchdog", "10s"];
        let mut init = start(node, "shutdown_with_message.js", port, &options);
        init.log("is ready after");
        let stream = send(port, "/slow", "X-Takes: 500\r\n");
        init.out("Request /slow");
        let restart = init.ask(&["restart"]);
        init.out("Finished closing connections");
        assert_eq!(receive(stream).as_deref(), Some("finished"));
        init.log("generation 2 ");
        init.log("serves after");
        let said = restart.end();
        assert_eq!(said.code, Some(0), "{said:?}");
        let status = init.status();
        assert_eq!((&status["generation"], &status["restarts"]["used"]), (&2.into(), &0.into()), "{status}");
        assert_eq!(receive(send(port, "/", "")).as_deref(), Some("finished"));
        init.signal(libc::SIGTERM);
        assert_eq!(init.exit_code(), 0);
    });
}

#[test]
fn a_handler_that_loops_for_ever_under_load_is_noticed() {
    for name in FRAMEWORKS {
        on_every_node(|node| {
            let (address, port) = (loopback(), free_port());
            let options = ["--wait-ready", "30s", "--watchdog", "2s", "--http", &address];
            let mut init = start(node, name, port, &options);
            init.out("Listening on port");
            assert_eq!(ask(port, "/").as_deref(), Some("hello"));
            let served_again = AtomicBool::new(false);
            std::thread::scope(|threads| {
                let clients = threads.spawn(|| load(port, &["/"], &|answered| answered > 0 && served_again.load(Relaxed)));
                let stream = send(port, "/hang", "");
                assert_eq!(receive(stream), None, "the connection ends with the process");
                // It boots under load.
                init.out("Listening on port");
                init.until("it serves again", || ask(port, "/").as_deref() == Some("hello"));
                served_again.store(true, Relaxed);
                assert!(clients.join().expect("the clients") > 0);
            });
            let line = init.log("event loop blocked for 2 s");
            assert!(line.contains("generation 1 ") && line.contains("restart 1 of 5 now"), "{line}");
            let metrics = get(&address, "/metrics");
            assert_eq!(metrics.sample("restartinit_restarts_total{reason=\"event loop blocked\"}"), 1.0, "{}", metrics.body);
            assert_eq!(metrics.sample("restartinit_restarts_remaining"), 4.0);
            assert_eq!(metrics.sample("restartinit_generation"), 2.0);
            let status = init.status();
            assert_eq!(status["last_exits"][0]["reason"], "event loop blocked", "{status}");
            assert_eq!(init.verb(&["health"]).code, Some(0));
        });
    }
}

/// Each of them holds the loop for a while, several are queued all the time, and the loop turns between them.
#[test]
fn a_heavy_loop_that_turns_is_never_shot() {
    const REQUESTS: u32 = 60;
    for name in FRAMEWORKS {
        let (address, port) = (loopback(), free_port());
        let mut init = start(newest_node(), name, port, &["--wait-ready", "30s", "--watchdog", "3s", "--http", &address]);
        init.out("Listening on port");
        let answered = load(port, &["/heavy?ms=150", "/", "/heavy?ms=250"], &|answered| answered >= REQUESTS);
        assert!(answered >= REQUESTS, "{answered}");
        let metrics = get(&address, "/metrics");
        assert_eq!(metrics.sample("restartinit_generation"), 1.0);
        assert_eq!(metrics.sample("restartinit_restarts_total{reason=\"event loop blocked\"}"), 0.0);
        assert!(metrics.sample("restartinit_event_loop_lag_max_seconds") > 0.01, "it was measured under load: {}", metrics.body);
        init.signal(libc::SIGTERM);
        let end = init.end();
        assert_eq!((end.code, end.log.len()), (Some(143), 0), "{end:?}");
    }
}

/// npm is Node too and takes the channel for itself: the app under it has none, runs all the same, and is stopped with it.
#[test]
fn under_npm_start_the_channel_does_no_harm() {
    let port = free_port();
    let folder = app("..").display().to_string();
    let mut init = Bench::new(&["--ipc", "--watchdog", "20s", "--grace-period", "20s"])
        .variable("PORT", port.to_string())
        .variable("NODE_PATH", node_apps())
        .command(["npm", "--prefix", &folder, "start"]);
    init.out("Listening on port");
    assert_eq!(ask(port, "/").as_deref(), Some("hello"));
    assert_eq!(init.verb(&["health"]).code, Some(0));
    init.signal(libc::SIGTERM);
    let end = init.end();
    assert_eq!(end.code, Some(143), "{end:?}");
    assert_eq!(ask(port, "/"), None, "nothing of it is left");
    assert!(!end.logged("restartinit: ").iter().any(|line| line.contains("restart ")), "{end:?}");
}

/// An ordinary crash, with the channel there: the next generation has a channel and a limit of its own.
#[test]
fn an_app_that_throws_in_a_handler_is_restarted_and_ready_again() {
    on_every_node(|node| {
        let script = "const server = require('http').createServer(() => { throw new Error('on purpose'); });
             server.listen(process.env.PORT, () => { say('Listening'); process.send('ready'); });";
        let port = free_port();
        let options = ["-v", "--wait-ready", "30s", "--watchdog", "20s", "--backoff", "0"];
        let init = Bench::new(&options).variable("PORT", port.to_string()).node(node, script);
        for generation in 1..=3 {
            init.log(&format!("generation {generation} "));
            init.log(if generation == 1 { "is ready after" } else { "serves after" });
            assert_eq!(ask(port, "/"), None);
            init.log("exited with code 1");
        }
        assert!(init.lines(Stream::Log).iter().any(|line| line.contains("on purpose")));
    });
}
