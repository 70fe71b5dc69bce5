//! Frameworks as they are deployed, built for production, under load: a crash, a planned restart and a stop of each, and the tables of
//! docs/frameworks.md. `--nocapture` shows times and memory. What clients that keep connections do to it: `connections`.

mod apps;
mod connections;

use crate::serving;
use crate::support;

use apps::{ADONIS, FASTIFY, Framework, NEST, NEST_WITH_HOOKS, NEXT, SOCKET_IO, SOCKET_IO_WITH_HANDLER, SVELTEKIT, TSX, YOGA, majors};
use serde_json::Value;
use serving::load::{FRESH, KEPT, Load, Tally};
use serving::{connect, ends_the_unheard, free_port, hang_up, last_answers, send_request};
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};
use support::{Node, Running, Scratch, children};

const HOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// Beyond any wait of a test.
const LIMIT: Duration = Duration::from_secs(60);
const DEFAULT: &[&str] = &[];
const HEADLINE: &[&str] = &["--hold-port", "--watchdog", "10s", "--max-memory", "80%"];
const STANDBY: &[&str] = &["--standby"];
const MESSAGE: &[&str] = &["--ready-when", "message"];
const PAGE: &str = include_str!("../../docs/frameworks.md");
const DRAIN: &[&str] = &["--stop-by", "drain"];

struct Scene<'a> {
    framework: &'a Framework,
    port: u16,
    init: Running,
    /// How many processes there are when nothing is under way.
    processes: usize,
    what: String,
}

impl<'a> Scene<'a> {
    fn open(framework: &'a Framework, node: &Node, options: &[&[&str]], node_options: &str) -> Self {
        let port = free_port();
        let options = options.concat();
        let what = format!("{:34} {:9} {} {node_options}", framework.name, node.version, options.join(" "));
        let all = [&["-v", "--backoff", "0", "--ready-when", "listening"], options.as_slice()].concat();
        // A page that ends with the app must not be answered first, however late the app hears of its stop.
        let finishes = framework.drains || options.contains(&"drain");
        let bench = framework.bench(&all, port).variable("NODE_OPTIONS", node_options);
        let bench = if finishes { bench } else { bench.variable("SLOW_MS", LIMIT.as_millis().to_string()) };
        let began = Instant::now();
        let mut init = bench.command([node.binary.as_str()].iter().chain(framework.command));
        init.allow(LIMIT);
        let mut scene = Self { framework, port, init, processes: if options.contains(&"--standby") { 2 } else { 1 }, what };
        scene.ready(1);
        let ready = began.elapsed();
        let first = scene.time_to_answer();
        scene.tell(&format!("ready after {ready:?}, first answer in {first:?}, another in {:?}", scene.time_to_answer()));
        scene.settled();
        scene
    }

    fn tell(&self, what: &str) {
        println!("{}: {what}", self.what);
    }

    /// That generation is the one that serves, or a later one.
    fn ready(&mut self, generation: u64) -> Value {
        let serves = |status: &Value| status["ready"] == true && status["generation"].as_u64() >= Some(generation);
        self.init.status_with("it is ready", serves)
    }

    /// Whoever was asked to go has gone, and whoever waits waits.
    fn settled(&mut self) {
        if self.processes > 1 {
            self.init.log("waits as standby");
        }
        let processes = self.processes;
        let generations = |status: &Value| status["generations"].as_array().map_or(0, Vec::len) == processes;
        self.init.status_with("all have gone that were asked to", generations);
    }

    fn answers(&self) -> bool {
        connect((HOST, self.port)).and_then(|stream| serving::ask(stream, self.framework.page.path)).is_ok()
    }

    fn time_to_answer(&self) -> Duration {
        let began = Instant::now();
        assert!(self.answers(), "{}: no answer", self.what);
        began.elapsed()
    }

    /// What clients see while that happens.
    fn under_load(&mut self, name: &str, happens: impl FnOnce(&mut Self)) -> Tally {
        let load = Load::of_page(self.framework.page, self.port);
        assert!(load.goes_on(20, Instant::now() + LIMIT), "{}: the load stands still", self.what);
        happens(self);
        assert!(load.goes_on(20, Instant::now() + LIMIT), "{}: the load stands still after the {name}", self.what);
        let tally = load.end();
        self.tell(&format!("{name}: {tally}"));
        assert_eq!((tally.hung, tally.wrong), (0, 0), "{}: {name}: {tally}", self.what);
        tally
    }

    fn crash(&mut self) -> Tally {
        let tally = self.under_load("crash", |scene| {
            let status = scene.init.status();
            let (pid, generation) = (status["pid"].to_string(), status["generation"].as_u64().expect("a number"));
            let pid = serving::outside(&mut scene.init, &pid);
            let began = Instant::now();
            // SAFETY: no pointer is passed. The command is a child of an init that lives, and was seen there just now.
            unsafe { libc::kill(pid, libc::SIGKILL) };
            while !scene.answers() {
                assert!(!scene.init.late(), "the deadline passed: it serves again");
                std::thread::sleep(Duration::from_millis(1));
            }
            scene.tell(&format!("SIGKILL to an answer of the next: {:?}", began.elapsed()));
            scene.ready(generation + 1);
        });
        self.settled();
        tally
    }

    fn restart(&mut self) -> Tally {
        self.under_load("planned restart", |scene| {
            let began = Instant::now();
            let said = scene.init.verb(&["restart"]);
            assert_eq!(said.code, Some(0), "{}: {said:?}", scene.what);
            let ready = began.elapsed();
            scene.settled();
            scene.tell(&format!("restart: ready after {ready:?}, the old one gone after {:?}", began.elapsed()));
        })
    }

    /// Who was refused in a crash and in a planned restart, as the page writes it; what else became of the latter's requests.
    fn crash_and_restart(&mut self) -> (String, Tally) {
        let crash = self.crash();
        // What a dying process had accepted dies with it: one request of each client at most.
        assert!(crash.reset + crash.lost <= FRESH + KEPT, "{}: {crash}", self.what);
        let restart = self.restart();
        (format!("{} | {}", crash.refused, restart.refused), restart)
    }

    fn is_told(&self, row: &str) {
        assert!(PAGE.contains(row), "{}: docs/frameworks.md has not this row:\n{row}", self.what);
    }

    /// A TERM while a request is under way: what became of that, and the exit code.
    fn stop(mut self) -> (bool, Option<i32>) {
        for pid in children(self.init.init_pid()) {
            self.tell(&format!("PSS of a process: {} MiB", pss(pid) / 1024));
        }
        let mut stream = connect((HOST, self.port)).expect("a connection");
        send_request(&mut stream, self.framework.slow).expect("it is sent");
        self.init.out("slow");
        let began = Instant::now();
        self.init.signal(libc::SIGTERM);
        let answer = hang_up(stream);
        let end = self.init.end();
        let answered = answer.is_ok_and(|text| text.contains("ok slow"));
        self.tell(&format!("TERM: answered: {answered}, exit code {:?} after {:?}", end.code, began.elapsed()));
        (answered, end.code)
    }
}

/// What the process has in memory, shares of what it shares with others, in KiB.
fn pss(pid: i32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).expect("smaps_rollup: needs root or the same user");
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:")).expect("Pss");
    line.trim().trim_end_matches(" kB").parse().expect("an amount")
}

fn try_out(framework: &Framework) {
    framework.built();
    std::thread::scope(|threads| {
        for node in majors() {
            std::thread::Builder::new().name(node.version.clone()).spawn_scoped(threads, || on_one(framework, node)).expect("a thread");
        }
    });
    let row = framework.row();
    assert!(PAGE.contains(&row), "docs/frameworks.md has not this row:\n{row}");
}

fn on_one(framework: &Framework, node: &Node) {
    let mut scene = Scene::open(framework, node, &[DEFAULT], "");
    scene.crash();
    scene.restart();
    assert_eq!(scene.stop(), (framework.drains, Some(framework.code)), "{}", framework.name);

    let drain: &[&str] = if framework.drains { &[] } else { DRAIN };
    let ready: &[&str] = if framework.says_ready { MESSAGE } else { &[] };
    let code = if framework.drains { framework.code } else { 0 };
    let major = node.version.split('.').next().unwrap_or_default().replace('v', "Node ");
    let cuts_off = ends_the_unheard(node);
    for options in [HEADLINE, STANDBY] {
        let mut scene = Scene::open(framework, node, &[options, drain, ready], "");
        let (refused, Tally { reset, lost, .. }) = scene.crash_and_restart();
        let cut_off = if cuts_off { "those that Node cuts off".to_owned() } else { format!("{reset}, {lost}") };
        scene.is_told(&format!("| `{}`, {major} | {refused} | {cut_off} |", options.join(" ")));
        assert!(reset + lost <= FRESH + KEPT, "{}: more than one request of each client", scene.what);
        assert_eq!(scene.stop(), (true, Some(code)), "{}", framework.name);
        if !cuts_off {
            continue;
        }
        let scratch = Scratch::new();
        let import = format!("--import {}", last_answers(&scratch));
        let mut scene = Scene::open(framework, node, &[options, drain, ready], &import);
        let (refused, Tally { reset, lost, .. }) = scene.crash_and_restart();
        let link = "[last-answers.mjs](#clients-that-keep-connections)";
        scene.is_told(&format!("| either, {major}, with {link} | {refused} | {reset}, {lost} |"));
        assert_eq!(scene.stop(), (true, Some(code)), "{} with that file", framework.name);
    }
}

macro_rules! frameworks {
    ($($name:ident: $($framework:expr),+;)*) => {
        $(#[test] fn $name() { $(try_out(&$framework);)+ })*
    };
}

frameworks! {
    next: NEXT;
    nest: NEST, NEST_WITH_HOOKS;
    fastify: FASTIFY;
    socket_io: SOCKET_IO, SOCKET_IO_WITH_HANDLER;
    sveltekit: SVELTEKIT;
    yoga: YOGA;
    adonis: ADONIS;
    tsx: TSX;
}
