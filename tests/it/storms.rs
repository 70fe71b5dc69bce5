//! Storms of signals: whoever sends them, of whatever number, so that what PID 1 has to take never runs out. They withhold no exit, no
//! deadline, no stop and no answer. How long each takes is measured by tests/torture/storms.py, not here.

use crate::support;

use support::storm::{Storm, turn};
use support::{Bench, FREELY, Place, RTMAX, RTMIN, is_restartinit, web};

const STOPS: [i32; 3] = [libc::SIGTERM, libc::SIGINT, libc::SIGQUIT];
/// As an ordinary process an init is stopped by these, as a job is.
const JOB_CONTROL: [i32; 3] = [libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU];
const FAULTS: [i32; 4] = [libc::SIGILL, libc::SIGFPE, libc::SIGSEGV, libc::SIGBUS];

/// Numbers from that of CHLD on, which tells of the end of a child: the kernel hands out the lower number first.
fn of_high_numbers() -> Vec<Storm> {
    let real_time: Vec<i32> = (RTMIN..=RTMAX).collect();
    let four = [&[RTMAX][..], &[RTMIN, RTMIN + 1], &real_time, &[libc::SIGCHLD]];
    four.map(|signals| Storm::of(4, signals)).into_iter().chain([Storm::of(1, &[RTMIN])]).collect()
}

/// Numbers below those of TERM and of CHLD, alone and among all that neither stop nor end an init.
fn of_low_numbers() -> Vec<Storm> {
    let not = [&STOPS[..], &JOB_CONTROL, &FAULTS, &[libc::SIGKILL, libc::SIGSTOP]].concat();
    let all: Vec<i32> = (1..=RTMAX).filter(|signal| !not.contains(signal)).collect();
    let four = [&[libc::SIGHUP][..], &[libc::SIGUSR1], &[libc::SIGHUP, libc::SIGUSR1, RTMIN], &all];
    four.map(|signals| Storm::of(4, signals)).into_iter().chain([Storm::of(1, &all)]).collect()
}

fn storms() -> Vec<Storm> {
    of_high_numbers().into_iter().chain(of_low_numbers()).collect()
}

/// As PID 1 it meets all of them; an ordinary process, which does the same by the same calls, these.
fn storms_in(place: Place) -> Vec<Storm> {
    let few = [&[RTMAX][..], &[RTMIN, RTMIN + 1], &[libc::SIGHUP, libc::SIGUSR1, RTMIN]];
    if place == Place::Pid1 { storms() } else { few.map(|signals| Storm::of(4, signals)).into() }
}

/// The storm is the command's leftovers: restartinit waits for them, but not long.
fn plain() -> Bench {
    Bench::new(if is_restartinit() { &["--restart", "never", "--leftover-timeout", "20ms"] } else { &[] })
}

fn the_end_is_noticed(storms: Vec<Storm>, place: Place) {
    let _turn = turn();
    for storm in storms {
        let mut init = storm.by_command(plain().place(place), &["up", "obey"]);
        init.out("up");
        init.tell("exit 3");
        assert_eq!(init.exit_code(), 3, "{storm}");
    }
}

fn both_stops_arrive(storms: Vec<Storm>, place: Place) {
    let _turn = turn();
    for storm in storms {
        let mut init = storm.by_command(plain().place(place), &["catch TERM", "on INT exit 4", "up", "pause"]);
        init.out("up");
        init.signal(libc::SIGTERM);
        init.out("got SIGTERM 1");
        init.signal(libc::SIGINT);
        assert_eq!(init.exit_code(), 4, "{storm}");
    }
}

/// What tini, dumb-init and catatonit promise too.
mod common {
    use super::*;

    #[test]
    fn the_end_of_the_command_is_noticed_in_a_storm() {
        the_end_is_noticed(of_high_numbers(), Place::Pid1);
    }

    #[test]
    fn a_stop_and_another_one_are_forwarded_in_a_storm() {
        both_stops_arrive(of_high_numbers(), Place::Pid1);
    }
}

/// Below TERM and CHLD, where the peers, which take one signal a turn and the lowest number first, keep the promise by luck alone.
#[test]
fn the_end_of_the_command_is_noticed_in_a_storm_of_low_numbers() {
    the_end_is_noticed(of_low_numbers(), Place::Pid1);
}

#[test]
fn a_stop_and_another_one_are_forwarded_in_a_storm_of_low_numbers() {
    both_stops_arrive(of_low_numbers(), Place::Pid1);
}

#[test]
fn an_ordinary_process_notices_the_end_of_the_command_in_a_storm() {
    the_end_is_noticed(storms_in(Place::Hosted), Place::Hosted);
}

#[test]
fn an_ordinary_process_forwards_a_stop_and_another_one_in_a_storm() {
    both_stops_arrive(storms_in(Place::Hosted), Place::Hosted);
}

/// The storm is the crashed generation's leftovers, deaf to TERM. What is queued may still end a generation that has not ignored it yet.
fn the_next_generation_starts(place: Place) {
    let _turn = turn();
    for storm in storms_in(place) {
        let bench = FREELY.into_iter().fold(Bench::new(&["--leftover-timeout", "20ms"]), Bench::option).place(place);
        let mut init = storm.by_command(bench, &["up", "at 1 obey", "exit 0"]);
        init.out("up 1");
        init.tell("exit 3");
        init.log("of generation 1: SIGKILL sent");
        init.out("up");
        assert_eq!(init.exit_code(), 0, "{storm}");
    }
}

#[test]
fn leftovers_that_storm_are_killed_and_the_next_generation_starts() {
    the_next_generation_starts(Place::Pid1);
}

#[test]
fn as_an_ordinary_process_too_leftovers_that_storm_are_killed() {
    the_next_generation_starts(Place::Hosted);
}

/// The storm goes on. The new generation may die of it before it has said a word: the line tells that it was started.
#[test]
fn the_next_generation_starts_in_a_storm_that_goes_on() {
    let _turn = turn();
    for storm in storms() {
        let bench = FREELY.into_iter().fold(Bench::new(&["-v", "--leftovers", "keep"]), Bench::option);
        let mut init = storm.by_command(bench, &["up", "at 1 obey", "pause"]);
        init.out("up 1");
        init.tell("exit 3");
        init.log("generation 2 (pid");
    }
}

/// These kill nobody by default: the new generation lives in the storm, and says so.
#[test]
fn the_next_generation_lives_in_a_storm_that_does_not_kill() {
    let _turn = turn();
    for place in [Place::Pid1, Place::Hosted] {
        let storm = Storm::of(4, &[libc::SIGWINCH, libc::SIGURG, libc::SIGCONT]);
        let mut init = storm.by_command(Bench::new(&["--leftovers", "keep"]).place(place), &["up", "until 2 obey", "pause"]);
        for generation in 1..=2 {
            init.out(&format!("up {generation}"));
            init.tell("exit 3");
        }
        init.out("up 3");
    }
}

/// The command is deaf to TERM.
fn the_grace_period_is_enforced(storm: &Storm, place: Place) {
    let mut init = storm.by_command(Bench::new(&["--grace-period", "20ms"]).place(place), &["ignore TERM", "up", "pause"]);
    init.out("up 1");
    init.signal(libc::SIGTERM);
    assert_eq!(init.exit_code(), 137, "{storm}");
}

#[test]
fn the_grace_period_is_enforced_in_a_storm() {
    let _turn = turn();
    for place in [Place::Pid1, Place::Hosted] {
        storms_in(place).iter().for_each(|storm| the_grace_period_is_enforced(storm, place));
    }
}

/// What can be caught and ignored, 32 and 33 too, which the C library keeps for itself.
#[test]
fn the_grace_period_is_enforced_in_a_storm_of_each_number() {
    let _turn = turn();
    let not = [&STOPS[..], &FAULTS, &[libc::SIGKILL, libc::SIGSTOP]].concat();
    for signal in (1..=RTMAX).filter(|signal| !not.contains(signal)) {
        the_grace_period_is_enforced(&Storm::of(2, &[signal]), Place::Pid1);
    }
}

/// The storm asks for the stop itself, and goes on asking: that does not put off the end of the grace period.
#[test]
fn the_grace_period_is_enforced_in_a_storm_of_stops() {
    let _turn = turn();
    for signals in [&[libc::SIGTERM][..], &STOPS] {
        let storm = Storm::of(4, signals);
        let mut init = storm.by_command(Bench::new(&["--grace-period", "20ms"]), &["pause"]);
        assert_eq!(init.exit_code(), 137, "{storm}");
    }
}

/// The leftovers' own time-out is far away, and they are deaf to TERM. On a busy machine the command itself may not end in time.
#[test]
fn the_grace_period_bounds_leftovers_that_storm() {
    let _turn = turn();
    for storm in storms() {
        let options = ["--grace-period", "20ms", "--leftover-timeout", "1h"];
        let mut init = storm.by_command(Bench::new(&options), &["on TERM exit 3", "up", "pause"]);
        init.out("up 1");
        init.signal(libc::SIGTERM);
        assert!([3, 137].contains(&init.exit_code()), "{storm}");
    }
}

#[test]
fn the_drain_delay_ends_in_a_storm() {
    let _turn = turn();
    for storm in storms() {
        let options = ["--drain-delay", "20ms", "--leftover-timeout", "20ms"];
        let mut init = storm.by_command(Bench::new(&options), &["on TERM exit 3", "up", "pause"]);
        init.out("up 1");
        init.signal(libc::SIGTERM);
        assert_eq!(init.exit_code(), 3, "{storm}");
    }
}

/// The second generation ends by itself, or dies of the storm: either way the third one is due a little later.
#[test]
fn the_backoff_ends_in_a_storm() {
    let _turn = turn();
    for storm in storms() {
        let options = ["-v", "--backoff", "20ms", "--leftovers", "keep"];
        let mut init = storm.by_command(Bench::new(&options), &["up", "at 1 obey", "until 2 exit 4", "pause"]);
        init.out("up 1");
        init.tell("exit 3");
        init.log("restart 2 of 5 in");
        init.log("generation 3 (pid");
    }
}

#[test]
fn a_stop_ends_a_backoff_in_a_storm() {
    let _turn = turn();
    for storm in storms() {
        let options = ["-v", "--backoff", "1h", "--backoff-max", "1h", "--leftovers", "keep"];
        let mut init = storm.by_command(Bench::new(&options), &["up", "at 1 obey", "exit 4"]);
        init.out("up 1");
        init.tell("exit 3");
        init.log("restart 2 of 5 in");
        init.signal(libc::SIGTERM);
        let end = init.end();
        assert!(end.code.is_some_and(|code| code != 0), "{storm}: {end:?}");
        assert_eq!(end.logged("stopped: ").len(), 1, "{storm}: {end:?}");
        assert!(end.logged("generation 3 (pid").is_empty(), "{storm}: {end:?}");
    }
}

#[test]
fn a_storm_from_an_exec_session_withholds_nothing() {
    let _turn = turn();
    for storm in [Storm::of(4, &[libc::SIGUSR1]), Storm::of(4, &[RTMAX]), Storm::of(4, &[libc::SIGHUP, libc::SIGUSR1, RTMIN])] {
        let (mut init, mut session) = storm.by_exec_session(Bench::new(&["--restart", "never"]), &["up", "obey"]);
        init.tell("exit 3");
        assert_eq!(init.exit_code(), 3, "{storm}");
        session.0.wait().expect("its end");
        let (mut init, mut session) = storm.by_exec_session(Bench::new(&["--grace-period", "500ms"]), &["catch TERM", "up", "pause"]);
        init.signal(libc::SIGTERM);
        init.out("got SIGTERM 1");
        assert_eq!(init.exit_code(), 137, "{storm}");
        session.0.wait().expect("its end");
    }
}

#[test]
fn observers_are_answered_in_a_storm() {
    let _turn = turn();
    for storm in storms() {
        let address = web::loopback();
        let options = ["--restart", "never", "--leftover-timeout", "20ms", "--http", &address];
        let mut init = storm.by_command(Bench::new(&options), &["up", "obey"]);
        init.out("up 1");
        let status = init.status();
        assert_eq!(status["generation"], 1, "{storm}: {status}");
        let healthy = status["ready"] == true;
        assert_eq!(init.verb(&["health"]).code, Some(if healthy { 0 } else { 1 }), "{storm}");
        assert_eq!(web::get(&address, "/livez").status, 200, "{storm}");
        init.tell("exit 0");
        assert_eq!(init.exit_code(), 0, "{storm}");
    }
}
