//! A server of three ports, the third of which comes late: nobody is refused on any of them, across crashes and planned restarts under
//! load. Some of each here, with a third port that is a second late; a hundred, 12 s late, with `RESTARTINIT_LONG=1`.

use crate::serving;
use crate::support;

use serving::load::{Load, Protocol, Tally};
use serving::{app, free_port, kill};
use std::time::{Duration, Instant};
use support::{Bench, Running, children, is_long, newest_node};

const OPTIONS: [&str; 7] = ["--hold-port", "--max-restarts", "100000", "--restart-window", "0", "--backoff", "0"];
/// Beyond any wait of a test.
const LIMIT: Duration = Duration::from_secs(30);

struct Scene {
    init: Running,
    loads: Vec<Load>,
    /// The latest generation and what it said first.
    generation: u32,
    up: String,
}

impl Scene {
    fn open() -> Self {
        let ports: Vec<String> = (0..3).map(|_| free_port().to_string()).collect();
        let late = if is_long() { "12000" } else { "1000" };
        let node = newest_node().to_str().expect("its path").to_owned();
        let command = [node.clone(), app("node/servers/ports.js"), late.to_owned()].into_iter().chain(ports.iter().cloned());
        let mut init = Bench::new(&OPTIONS).command(command);
        if is_long() {
            init.allow(Duration::from_secs(7200));
        }
        let up = init.out("first 1");
        init.out("third 1");
        let load = |port: &String| Load::start(Protocol::Http, port.parse().expect("a port"), &node);
        let scene = Self { init, loads: ports.iter().map(load).collect(), generation: 1, up };
        scene.serves();
        scene
    }

    /// Each port is under load, and the load is served.
    fn serves(&self) {
        for load in &self.loads {
            assert!(load.goes_on(10, Instant::now() + LIMIT), "the load of a port stands still");
        }
    }

    /// The active generation is killed, and the next one says that it listens on this port.
    fn crash(&mut self, until: &str) {
        kill(&mut self.init, &self.up);
        self.generation += 1;
        self.up = self.init.out(&format!("first {}", self.generation));
        self.init.out(&format!("{until} {}", self.generation));
    }

    fn restart(&mut self) {
        let said = self.init.verb(&["restart"]);
        assert_eq!(said.code, Some(0), "{said:?}");
        self.generation += 1;
        // It takes over only once it is whole.
        self.init.out(&format!("third {}", self.generation));
        let pid = self.init.init_pid();
        self.init.until("the old one has gone by itself", || children(pid).len() == 1);
        self.serves();
    }

    fn close(mut self, what: &str) -> Tally {
        let mut total = Tally::default();
        for (number, load) in self.loads.drain(..).enumerate() {
            let tally = load.end();
            println!("port {} {what}: {tally}", number + 1);
            total += tally;
        }
        self.init.signal(libc::SIGTERM);
        let end = self.init.end();
        assert_eq!(end.code, Some(0), "{:?}", end.log.iter().rev().take(5).collect::<Vec<_>>());
        total
    }
}

#[test]
fn crashes_before_and_after_the_last_port() {
    let count = if is_long() { 100 } else { 6 };
    let mut scene = Scene::open();
    for number in 0..count {
        // Every third one falls again before it is whole.
        let until = if number % 3 == 1 { "second" } else { "third" };
        scene.crash(until);
        if until == "third" {
            scene.serves();
        }
    }
    let tally = scene.close(&format!("{count} crashes"));
    assert_eq!((tally.refused, tally.hung, tally.wrong), (0, 0, 0), "{tally}");
}

#[test]
fn planned_restarts() {
    let count = if is_long() { 100 } else { 3 };
    let mut scene = Scene::open();
    for _ in 0..count {
        scene.restart();
    }
    let tally = scene.close(&format!("{count} planned restarts"));
    assert_eq!(tally.faults(), Tally::default(), "{tally}");
}
