//! What a turn costs in memory, counted by an allocator in the place of restartinit's own: to the byte, where the kernel's figures are in
//! pages and depend on how an allocator lays things out.

mod support;

use support::{Bench, Running, Scratch, counting, status_field};

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

    /// Once it sleeps: whatever a turn took is given back then.
    fn figures(&mut self) -> Figures {
        let pid = self.init.init_pid();
        self.init.until("the init sleeps", || status_field(pid, "State").is_some_and(|state| state.starts_with('S')));
        let bytes = std::fs::read(self.scratch.path("figures")).expect("the figures");
        let number = |index: usize| u64::from_ne_bytes(bytes[index * 8..][..8].try_into().expect("eight bytes"));
        Figures { calls: number(0), bytes: number(1) }
    }
}

const FREELY: [&str; 6] = ["--max-restarts", "1000", "--restart-window", "0", "--backoff", "0"];

#[test]
fn a_forwarded_signal_and_an_orphan_take_none() {
    let mut counted = Counted::run(&["--http", &support::web::loopback()], &["catch USR1", "up", "obey"]);
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
    assert_eq!(counted.figures(), before);
}

#[test]
fn a_restart_gives_back_what_it_takes() {
    for options in [&["-q"][..], &[], &["--log-format", "json"], &["--ipc"], &["--hold-port"]] {
        let mut counted = Counted::run(&[options, &FREELY].concat(), &["up", "obey"]);
        let mut figures = Vec::new();
        for generation in 1..=120 {
            counted.init.out(&format!("up {generation}"));
            if generation >= 20 {
                figures.push(counted.figures());
            }
            counted.init.tell("exit 1");
        }
        let first = figures[0];
        if options == ["-q"] {
            // All of the rest is the line in the log, which is written once the next generation runs.
            assert_eq!(figures[99].calls, first.calls, "{figures:?}");
        }
        assert!(figures.iter().all(|later| later.bytes == first.bytes), "{options:?}: {figures:?}");
    }
}
