//! Ready means that it serves: what probes say from the start, over a crash and a planned restart, beside what clients find. How it is decided
//! is in src/supervisor/readiness/tests.rs.

use crate::support;

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use support::nodes;
use support::web::{connect, free_port, get, loopback};
use support::{Bench, Running, Scratch, is_long};

/// An app that boots for 5 s, as the table in docs/readiness.md has it.
const SLOW: &str =
    "setTimeout(() => require('http').createServer((_, response) => response.end('x')).listen(Number(process.argv[2]), () => {
  if (process.send) process.send('ready');
  console.log('serving');
}), 5000);";
const PAUSE: Duration = Duration::from_millis(200);
/// What a busy machine may take for an answer; less than the boot, so that who comes early is not answered.
const ANSWERS_WITHIN: Duration = Duration::from_secs(2);
/// Far more than any part of a row takes.
const LONGEST: Duration = Duration::from_secs(90);

/// One row of the table.
struct Row {
    options: &'static [&'static str],
    is_node: bool,
    shown: &'static str,
}

const ROWS: [Row; 6] = [
    Row { options: &[], is_node: true, shown: "none" },
    Row { options: &["--hold-port"], is_node: true, shown: "`--hold-port`" },
    Row { options: &["--standby"], is_node: true, shown: "`--standby`" },
    Row { options: &["--wait-ready", "60s"], is_node: true, shown: "`--wait-ready 60s`" },
    Row { options: &["--ready-when", "listening"], is_node: false, shown: "not Node" },
    Row { options: &["--ready-when", "started"], is_node: false, shown: "`--ready-when started` (a worker)" },
];

fn active_generation(http: &str) -> f64 {
    get(http, "/metrics").sample("restartinit_generation")
}

/// Whether a client is answered now: under a held port the kernel takes connections that nobody reads.
fn is_served(port: u16, is_node: bool) -> bool {
    let Ok(mut stream) = TcpStream::connect_timeout(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)), ANSWERS_WITHIN) else { return false };
    if !is_node {
        return true;
    }
    let _ = stream.set_read_timeout(Some(ANSWERS_WITHIN));
    let mut answer = [0; 12];
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").is_ok() && stream.read_exact(&mut answer).is_ok()
}

/// A probe beside two clients, one before it and one after.
#[derive(Debug)]
struct Sample {
    /// The active one before the clients: what they see is of this one or of a later one.
    generation: f64,
    before: bool,
    ready: bool,
    after: bool,
}

impl Sample {
    fn take(http: &str, port: u16, is_node: bool) -> Sample {
        let generation = active_generation(http);
        let before = is_served(port, is_node);
        let ready = get(http, "/readyz").status == 200;
        Sample { generation, before, ready, after: is_served(port, is_node) }
    }

    /// Where both clients agree, the probe has to as well.
    fn is_wrong(&self) -> bool {
        self.before == self.after && self.ready != self.before
    }
}

/// Samples until somebody is served who was not, or for as long as `goes_on`; gives back whether a probe said that it is not ready.
fn was_unready(http: &str, port: u16, row: &Row, wrong: &mut Vec<Sample>, mut goes_on: impl FnMut(&Sample) -> bool) -> bool {
    let mut was_unready = false;
    let until = Instant::now() + LONGEST;
    loop {
        assert!(Instant::now() < until, "{}: the deadline passed", row.shown);
        let sample = Sample::take(http, port, row.is_node);
        was_unready |= !sample.ready;
        let done = !goes_on(&sample);
        if sample.is_wrong() && !row.options.contains(&"started") {
            wrong.push(sample);
        }
        if done {
            return was_unready;
        }
        std::thread::sleep(PAUSE);
    }
}

fn start(row: &Row, http: &str, port: u16, scratch: &Scratch) -> Running {
    let options = [&["-v", "--http", http, "--max-restarts", "1000"], row.options].concat();
    let bench = Bench::new(&options);
    if row.is_node {
        let app = scratch.path("slow.js");
        std::fs::write(&app, SLOW).expect("the app");
        // What makes it ready is what the row is about, and so the default where it says nothing.
        let bench = if row.options.is_empty() { bench.option("--ready-when=listening") } else { bench };
        return bench.command([nodes()[0].binary.as_str(), &app, &port.to_string()]);
    }
    let listen = format!("listen {port}");
    let serve: &[&str] = if row.options.contains(&"started") { &[] } else { &["sleep 5000", &listen] };
    bench.run(&[&["on TERM exit 0", "up"], serve, &["obey"]].concat())
}

/// What one row says.
fn measure(row: &Row) -> String {
    let (http, port, scratch) = (loopback(), free_port(), Scratch::new());
    let mut init = start(row, &http, port, &scratch);
    init.allow(Duration::from_secs(120));
    init.log("generation 1");
    let is_worker = row.options.contains(&"started");
    let cell = |unready: bool| if unready { "not ready" } else { "ready" };
    let mut wrong = Vec::new();
    let boots = was_unready(&http, port, row, &mut wrong, |sample| !is_worker && !sample.after);
    // It serves: ten looks.
    let mut looks = 0;
    let serves = was_unready(&http, port, row, &mut wrong, |_| {
        looks += 1;
        looks < 10
    });
    if row.options == ["--standby"] {
        init.log("waits as standby");
    }
    let pid = |init: &mut Running| init.status()["pid"].as_i64().expect("a pid");
    let crashed = pid(&mut init);
    // SAFETY: a plain system call on integers: the status has the pid of the namespace.
    let killed = init.enter(&["kill", "-KILL", &crashed.to_string()]).end();
    assert_eq!(killed.code, Some(0), "{killed:?}");
    init.log("restart 1 of");
    let crash = was_unready(&http, port, row, &mut wrong, |sample| !is_worker && !sample.after);
    init.until("it is ready again", || get(&http, "/readyz").status == 200);
    let generation = active_generation(&http);
    let asked = init.ask(&["restart"]);
    if is_worker {
        // Within milliseconds, in which nobody is ready.
        init.until("it is replaced", || active_generation(&http) > generation);
    }
    let replaced = was_unready(&http, port, row, &mut wrong, |sample| sample.generation <= generation || !(sample.after || is_worker));
    let said = asked.end();
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(wrong.is_empty(), "{}: {wrong:?}", row.shown);
    init.signal(libc::SIGTERM);
    init.end();
    format!("| {} | {} | {} | {} | {} |", row.shown, cell(boots), cell(serves), cell(crash), cell(replaced))
}

/// The table of docs/readiness.md, by probes of an app that boots 5 s: none of them says what clients find otherwise.
#[test]
fn what_a_probe_says() {
    let rows: Vec<String> = std::thread::scope(|threads| {
        let running: Vec<_> = ROWS.iter().map(|row| threads.spawn(|| measure(row))).collect();
        running.into_iter().map(|row| row.join().expect("a row")).collect()
    });
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/readiness.md")).expect("the page");
    for row in rows {
        assert!(page.contains(&row), "docs/readiness.md has not this row:\n{row}");
    }
}

/// An app that boots for 100 ms, and crashes when it is told to.
const CRASHES: &str = "setTimeout(() => require('http').createServer((request, response) => {
  if (request.url === '/crash') process.exit(1);
  response.end('x');
}).listen(Number(process.argv[2]), () => process.send && process.send('ready')), 100);";

/// Crashes of one row's app, each followed by a client that comes as soon as a probe says ready.
fn crash_often(row: &Row, crashes: u32) {
    let (http, port, scratch) = (loopback(), free_port(), Scratch::new());
    let limits = ["-v", "--http", &http, "--max-restarts", "1000", "--restart-window", "0", "--backoff", "0"];
    let bench = Bench::new(&[&limits, row.options].concat());
    let bench = if row.options.is_empty() { bench.option("--ready-when=listening") } else { bench };
    let mut init = if row.is_node {
        let app = scratch.path("crashes.js");
        std::fs::write(&app, CRASHES).expect("the app");
        bench.command([nodes()[0].binary.as_str(), &app, &port.to_string()])
    } else {
        bench.run(&["up", &format!("listen {port}"), "obey"])
    };
    init.allow(Duration::from_secs(300));
    init.log("generation 1");
    let address = format!("127.0.0.1:{port}");
    let mut serving = 0.0;
    for _ in 0..crashes {
        init.until("the next generation", || active_generation(&http) > serving);
        serving = active_generation(&http);
        init.until("ready", || get(&http, "/readyz").status == 200);
        let mut client = connect(&address);
        if row.is_node {
            let mut answer = String::new();
            let asked = client.write_all(b"GET / HTTP/1.0\r\n\r\n").and_then(|()| client.read_to_string(&mut answer));
            assert!(asked.is_ok() && answer.starts_with("HTTP/1.1 200"), "{}: {asked:?}: {answer}", row.shown);
            let _ = connect(&address).write_all(b"GET /crash HTTP/1.0\r\n\r\n");
        } else {
            init.tell("exit 1");
        }
    }
    init.log(&format!("restart {crashes} of 1000"));
    init.signal(libc::SIGTERM);
    init.end();
}

/// Nobody is refused whom a probe has sent.
#[test]
fn who_comes_when_it_is_ready_is_not_refused() {
    let crashes = if is_long() { 100 } else { 10 };
    std::thread::scope(|threads| {
        for row in ROWS.iter().filter(|row| !row.options.contains(&"started")) {
            threads.spawn(move || crash_often(row, crashes));
        }
    });
}

#[test]
fn a_descendant_may_be_the_one_that_listens() {
    let (http, port) = (loopback(), free_port());
    let mut init = Bench::new(&["--http", &http, "--ready-when", "listening"]).run(&[
        "up",
        &format!("child plain listen {port} / say listens / pause"),
        "obey",
    ]);
    init.out("listens");
    init.until("ready", || get(&http, "/readyz").status == 200);
    init.signal(libc::SIGTERM);
    init.end();
}

/// Docker's default with gosu: root without CAP_SYS_PTRACE, and a command of another user.
#[test]
fn a_command_of_another_user_is_known_by_its_user() {
    let (http, port, scratch) = (loopback(), free_port(), Scratch::new());
    let command = scratch.copy(&support::fixture(), "fixture");
    let scene = ["without-capability 19"];
    let mut init = Bench::new(&["--http", &http, "--ready-when", "listening", "-v"]).scene(&scene).command([
        command.as_str(),
        "user 54321",
        "up",
        "await-line",
        &format!("listen {port}"),
        "say listens",
        "obey",
    ]);
    init.out("up 1");
    let said = get(&http, "/readyz");
    assert!(said.status == 503 && said.body.contains("nothing listens yet"), "{said:?}");
    init.tell("go on");
    init.out("listens");
    init.until("ready", || get(&http, "/readyz").status == 200);
    let note = init.status()["readiness_note"].clone();
    assert!(note.is_null(), "it is known, not guessed: {note}");
    init.signal(libc::SIGTERM);
    init.end();
}

#[test]
fn what_is_never_ready_is_handed_over() {
    let mut init = Bench::new(&[
        "--ready-when",
        "listening",
        "--wait-ready",
        "300ms",
        "--restart-window",
        "1s",
        "--max-restarts",
        "3",
        "--backoff",
        "0",
    ])
    .run(&["up", "obey"]);
    for number in 1..=4 {
        init.out(&format!("up {number}"));
    }
    init.log("nothing listened within 300 ms");
    let end = init.end();
    assert_eq!((end.code, end.generations()), (Some(137), 4), "{end:?}");
}
