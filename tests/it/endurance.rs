//! It goes on: a fork that fails ends nothing, a thousand restarts gain nothing, and idle it does not even wake.

use crate::support;

use support::web::{get, loopback};
use support::{Bench, FREELY, Running, Scratch, children, descriptors, fixture, init, status_field};

#[test]
fn nothing_is_gained_over_many_restarts() {
    let mut init = Bench::new(&FREELY).run(&["up", "at 50 obey", "at 500 obey", "exit 1"]);
    let pid = init.init_pid();
    // Memory is counted to the byte in tests/it/allocations.rs.
    let measure = || (descriptors(pid), children(pid).len());
    init.out("up 50");
    let early = measure();
    init.tell("exit 1");
    init.out("up 500");
    assert_eq!(measure(), early, "descriptors, children");
    init.signal(libc::SIGTERM);
    assert_eq!(init.exit_code(), 143);
}

/// An init that cannot fork any more once its command has ended. A kept descendant of the command sets that limit, and lifts it
/// when it is told to. The limit does not count for root, so the init runs as another user; in the user namespace of an
/// ordinary user it counts as it is.
fn unable_to_fork(scratch: &Scratch) -> Running {
    let program = scratch.copy(&init(), "restartinit");
    let command = scratch.copy(&fixture(), "fixture");
    let options = ["-v", "--max-restarts", "1", "--leftovers", "keep"];
    let mut bench = Bench::new(&options).program(program);
    // SAFETY: no precondition.
    if unsafe { libc::geteuid() } == 0 {
        bench = bench.scene(&["user 54321"]);
    }
    let helper = "at 1 child daemon spare-processes 1 / obey";
    let mut init = bench.command([command.as_str(), "up", helper, "at 1 exit 3", "exit 0"]);
    init.out("up 1");
    init.log("restart 1 of 1 now");
    let line = init.log("generation 2");
    assert!(!line.contains("exiting"), "{line}");
    assert_eq!(children(init.init_pid()).len(), 1, "only the helper");
    init
}

#[test]
fn a_fork_that_fails_is_tried_again_and_is_no_crash() {
    let scratch = Scratch::new();
    let mut init = unable_to_fork(&scratch);
    init.tell("spare-processes all");
    init.out("up 2");
    let end = init.end();
    assert_eq!(end.code, Some(0));
    assert_eq!(end.generations(), 2);
}

#[test]
fn a_stop_while_forks_fail_is_a_stop() {
    let scratch = Scratch::new();
    let mut init = unable_to_fork(&scratch);
    init.signal(libc::SIGTERM);
    let end = init.end();
    assert_eq!(end.code, Some(3), "the last exit's");
    assert_eq!(end.generations(), 1);
    assert_eq!(end.logged("stopped: ").len(), 1, "{:?}", end.log);
}

/// The command sleeps for a while in which nothing happens: however long that is, the init may not wake. It is counted by how
/// often it has given up the processor. On a busy machine the first of these whiles may have the end of what came before it.
#[test]
fn idle_it_never_wakes() {
    let (address, scratch) = (loopback(), Scratch::new());
    let settings = scratch.path("settings");
    std::fs::write(&settings, "one").expect("a file");
    for options in [
        &[][..],
        &["--restart", "always", "--grace-period", "1h", "--stable-after", "300ms"],
        &["--http", &address, "--termination-log", "/dev/null"],
        &["--restart-on-change", &settings, "--change-jitter", "1h", "--max-age", "1h"],
    ] {
        let mut init = Bench::new(options).run(&["catch TERM USR1", "up", "at 1 exit 1", "obey"]);
        init.out("up 2");
        // The control socket is always there. Whoever has asked, there or over HTTP, leaves no deadline behind.
        init.await_door();
        let said = init.verb(&["health"]);
        assert_eq!(said.code, Some(0), "{options:?}: {said:?}");
        if options.contains(&"--http") {
            assert_eq!(get(&address, "/metrics").status, 200);
        }
        let pid = init.init_pid();
        let wakings = || status_field(pid, "voluntary_ctxt_switches").expect("it lives");
        let asleep = || status_field(pid, "State").is_some_and(|state| state.starts_with('S'));
        for signal in [libc::SIGUSR1, libc::SIGTERM] {
            init.signal(signal);
            init.out("got");
            init.until("it sleeps", asleep);
            let mut slept_through = || {
                let before = wakings();
                init.tell("sleep 1200");
                init.tell("say rested");
                init.out("rested");
                wakings() == before
            };
            assert!((0..3).any(|_| slept_through()), "{options:?}: it wakes in each of three whiles");
        }
        init.tell("exit 0");
        assert_eq!(init.exit_code(), 0);
    }
}
