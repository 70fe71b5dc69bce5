//! What a turn costs in memory, counted by an allocator in the place of restartinit's own: to the byte, where the kernel's figures are in
//! pages and depend on how an allocator lays things out.

use crate::support;

use support::clinic::{Clinic, WELL};
use support::strace::asleep;
use support::{Bench, FREELY, Running, Scratch, counting};

struct Counted {
    init: Running,
    scratch: Scratch,
}

/// Calls of the allocator so far, and bytes in use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Figures {
    calls: u64,
    bytes: u64,
}

impl Counted {
    fn run(options: &[&str], command: &[&str]) -> Self {
        let scratch = Scratch::new();
        std::fs::write(scratch.path("figures"), [0; 16]).expect("a file of zeros");
        let program = scratch.copy(&counting(), "restartinit");
        Self { init: Bench::new(options).program(program).run(command), scratch }
    }

    fn figures(&self) -> Figures {
        let bytes = std::fs::read(self.scratch.path("figures")).expect("the figures");
        let number = |index: usize| u64::from_ne_bytes(bytes[index * 8..][..8].try_into().expect("eight bytes"));
        Figures { calls: number(0), bytes: number(1) }
    }

    /// The same once the turn is over: in the middle of one, what comes next is taken or not.
    fn at_rest(&mut self) -> Figures {
        let pid = self.init.init_pid();
        self.init.until("the init sleeps", || asleep(pid));
        self.figures()
    }

    fn until(&self, what: &str, is_so: impl Fn(Figures) -> bool) {
        self.init.until(what, || is_so(self.figures()));
    }
}

/// After the command's first second, in which it is looked at before a signal that would end it.
#[test]
fn a_forwarded_signal_and_an_orphan_take_none() {
    let mut counted = Counted::run(&["--http", &support::web::loopback()], &["catch USR1", "sleep 1200", "up", "obey"]);
    let round = |counted: &mut Counted| {
        counted.init.signal(libc::SIGUSR1);
        counted.init.out("got SIGUSR1");
        counted.init.tell("orphans 20");
        counted.init.tell("await-alone");
        counted.init.out("alone");
    };
    counted.init.out("up");
    round(&mut counted);
    let before = counted.figures();
    assert!(before.calls > 0 && before.bytes > 0, "{before:?}");
    for _ in 0..20 {
        round(&mut counted);
    }
    counted.until("nothing taken, nothing given back", |figures| figures == before);
}

#[test]
fn a_check_takes_none() {
    let clinic = Clinic::open(WELL);
    let mut counted = Counted::run(&["--check", &clinic.url(), "--check-interval", "20ms", "--ready-when", "started"], &["up", "obey"]);
    counted.init.out("up 1");
    let asked = |more: usize| {
        let before = clinic.asked().len();
        counted.init.until("it was asked", || clinic.asked().len() > before + more);
    };
    asked(3);
    let before = counted.figures();
    asked(50);
    assert_eq!(counted.figures(), before, "nothing taken, nothing given back");
    counted.init.tell("exit 0");
    assert_eq!(counted.init.exit_code(), 0);
}

#[test]
fn a_restart_gives_back_what_it_takes() {
    for options in [&["-q"][..], &[], &["--log-format", "json"], &["--ipc"], &["--hold-port"]] {
        let mut counted = Counted::run(&[options, &FREELY].concat(), &["up", "obey"]);
        let restart = |counted: &mut Counted, generation: usize| {
            counted.init.tell("exit 1");
            counted.init.out(&format!("up {generation}"));
        };
        counted.init.out("up 1");
        // The first look for who listens, and the first line in the log, make what all later ones use.
        counted.init.verb(&["health"]);
        (2..20).for_each(|generation| restart(&mut counted, generation));
        // What had no room once keeps that room, and a slow machine comes to it late. What each restart takes, it takes in each hundred.
        let mut figures = vec![counted.at_rest()];
        while figures.len() < 2 || (figures.len() < 4 && figures[figures.len() - 2].bytes != figures[figures.len() - 1].bytes) {
            let first = 100 * figures.len() - 80;
            (first..first + 100).for_each(|generation| restart(&mut counted, generation));
            figures.push(counted.at_rest());
        }
        let [.., early, late] = &figures[..] else { panic!("two at least") };
        assert_eq!(late.bytes, early.bytes, "{options:?}: as many bytes in use as before a hundred restarts: {figures:?}");
        if options == ["-q"] {
            // All of the rest is the line in the log, which is written once the next generation runs.
            assert_eq!(late.calls, early.calls, "as many calls of the allocator as before a hundred restarts");
        }
    }
}
