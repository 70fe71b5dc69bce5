//! Leftovers that restartinit may not signal: left, told once and counted. They delay nothing, and never end the container.

use super::{confined, last_word, says_why};
use crate::support::{Bench, End, FREELY, Place, Running, Scratch, Stream, children, fixture, init, status_field};
use std::os::unix::fs::PermissionsExt;

/// A wait for leftovers of an hour would be noticed.
const PATIENT: [&str; 2] = ["--leftover-timeout", "1h"];

/// restartinit and its command as an ordinary user, by copies that this user reaches.
fn unprivileged(scratch: &Scratch, options: &[&str]) -> (Bench, String) {
    // SAFETY: no precondition.
    assert_eq!(unsafe { libc::geteuid() }, 0, "this needs root: an ordinary user has no stranger to leave");
    let bench = Bench::new(&[&FREELY[..], &PATIENT, options].concat()).scene(&["user 1000"]);
    (bench.program(scratch.copy(&init(), "restartinit")), scratch.copy(&fixture(), "fixture"))
}

/// What a root session leaves in the container, as `docker exec -u 0 ... &`: root's, and a child of PID 1. Its pids outside and inside.
fn leave_a_stranger(init: &mut Running) -> (i32, String) {
    let known = children(init.init_pid());
    let said = init.enter(&["sh", "-c", "setsid -f sleep 10000 </dev/null >/dev/null 2>&1"]).end();
    assert_eq!(said.code, Some(0), "{said:?}");
    let pid = init.init_pid();
    let stranger =
        || children(pid).into_iter().find(|child| !known.contains(child) && status_field(*child, "Name").as_deref() == Some("sleep"));
    init.until("the stranger is PID 1's", || stranger().is_some());
    let outside = stranger().expect("it was there");
    let pids = status_field(outside, "NSpid").expect("it lives");
    (outside, last_word(pids.replace('\t', " ").trim()).to_owned())
}

/// The lines that say that leftovers are left, and nothing untrue beside them.
fn told(end: &End) -> Vec<&str> {
    assert!(end.logged("cannot-signal").is_empty() && end.logged("SIGKILL sent").is_empty(), "{end:?}");
    end.log.iter().map(String::as_str).filter(|line| line.contains("leftover") && line.contains("CAP_KILL")).collect()
}

/// `status` has a line about leftovers, with their number; and so has its JSON.
fn counted(init: &mut Running, count: usize) {
    let text = init.verb(&["status"]).out;
    let line = text.lines().find(|line| line.contains("leftover")).unwrap_or_else(|| panic!("nothing of leftovers:\n{text}"));
    assert!(line.split(|letter: char| !letter.is_ascii_digit()).any(|number| number == count.to_string()), "{line}");
    let status = init.status();
    let fields = status.as_object().into_iter().flatten().chain(status["counters"].as_object().into_iter().flatten());
    let mut numbers = fields.filter(|(name, _)| name.contains("leftover")).map(|(_, value)| value);
    assert!(numbers.any(|value| value == count), "{status}");
}

#[test]
fn one_of_another_user_is_left_and_delays_nothing() {
    let scratch = Scratch::new();
    let (bench, command) = unprivileged(&scratch, &[]);
    let mut init = bench.command([&command, "up", "obey"]);
    init.out("up 1");
    let (stranger, _) = leave_a_stranger(&mut init);
    for generation in 2..=4 {
        init.tell("exit 3");
        init.out(&format!("up {generation}"));
    }
    assert_eq!(status_field(stranger, "State").map(|state| state.starts_with('S')), Some(true), "it is left");
    counted(&mut init, 1);
    assert_eq!(init.verb(&["health"]).code, Some(0));
    init.tell("exit 0");
    let end = init.end();
    assert_eq!(end.code, Some(0), "{end:?}");
    assert_eq!(told(&end).len(), 1, "once: {end:?}");
}

/// Whoever reads it has to find it.
#[test]
fn its_pid_is_told() {
    let scratch = Scratch::new();
    let (bench, command) = unprivileged(&scratch, &[]);
    let mut init = bench.command([&command, "up", "at 1 obey", "exit 0"]);
    init.out("up 1");
    let (_, pid) = leave_a_stranger(&mut init);
    init.tell("exit 3");
    says_why(&init.log("leftover"), &pid);
    assert_eq!(init.exit_code(), 0);
}

#[test]
fn several_are_each_told_once() {
    let scratch = Scratch::new();
    let (bench, command) = unprivileged(&scratch, &[]);
    let mut init = bench.command([&command, "up", "obey"]);
    init.out("up 1");
    for generation in 2..=4 {
        if generation < 4 {
            leave_a_stranger(&mut init);
        }
        init.tell("exit 3");
        init.out(&format!("up {generation}"));
    }
    counted(&mut init, 2);
    init.tell("exit 0");
    let end = init.end();
    assert_eq!(told(&end).len(), 2, "{end:?}");
}

/// Those beside it have their signal and their time as ever.
#[test]
fn the_others_are_ended_as_ever() {
    let scratch = Scratch::new();
    let (bench, command) = unprivileged(&scratch, &[]);
    let mut init =
        bench.command([&command, "at 1 child daemon catch TERM / wait TERM / sleep 300 / say asked", "up", "show processes", "obey"]);
    init.out("processes:");
    let (_, stranger) = leave_a_stranger(&mut init);
    init.tell("exit 3");
    init.out("got SIGTERM 1 from pid 1");
    init.out("asked");
    init.out("up 2");
    assert_eq!(init.out("processes:"), format!("processes: {stranger}(S)"));
    init.tell("exit 0");
    assert_eq!(init.exit_code(), 0);
}

/// The command's own descendants too, where those have changed their user and it has not.
#[test]
fn a_descendant_of_another_user_is_left() {
    let mut init =
        confined(&PATIENT).run(&["at 1 child daemon user 1000 / say in / pause", "up", "at 1 exit 3", "show processes", "exit 0"]);
    init.out("up 2");
    assert_ne!(init.out("processes:"), "processes: none");
    let end = init.end();
    assert_eq!((end.code, told(&end).len()), (Some(0), 1), "{end:?}");
}

/// With the grace period all descendants are due to be killed: it is the command's end that counts.
#[test]
fn a_grace_period_that_is_over_is_no_reason_to_give_up() {
    let scratch = Scratch::new();
    let (bench, command) = unprivileged(&scratch, &["--grace-period", "200ms"]);
    let mut init = bench.command([&command, "ignore TERM", "up", "pause"]);
    init.out("up 1");
    leave_a_stranger(&mut init);
    init.signal(libc::SIGTERM);
    let end = init.end();
    assert_eq!((end.code, end.logged("restartinit: stopped: ").len()), (Some(137), 1), "{end:?}");
    told(&end);
}

#[test]
fn a_stop_does_not_wait_for_it() {
    let scratch = Scratch::new();
    for (place, left) in [(Place::Pid1, ""), (Place::Hosted, "left behind: ")] {
        let (bench, command) = unprivileged(&scratch, &[]);
        // A setuid program is root's once it has made the most of it.
        let setuid = scratch.copy(&fixture(), "setuid");
        std::fs::set_permissions(&setuid, std::fs::Permissions::from_mode(0o4755)).expect("its permissions");
        let script = format!("'{setuid}' 'user 0' 'say in' pause & exec '{command}' 'on TERM exit 7' up obey");
        let mut init = bench.place(place).command(["sh", "-c", &script]);
        init.either("up 1", "in");
        init.either("up 1", "in");
        init.signal(libc::SIGTERM);
        init.out("got SIGTERM 1");
        if place == Place::Hosted {
            init.out("init exited with 7");
            assert_ne!(init.out(left.trim_end()), "left behind: none");
        } else {
            assert_eq!(init.exit_code(), 7);
        }
        let untrue = ["SIGKILL sent", "cannot-signal"];
        assert!(!init.lines(Stream::Log).iter().any(|line| untrue.iter().any(|word| line.contains(word))));
    }
}
