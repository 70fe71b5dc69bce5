//! Backoff, its reset, and the sliding window. The log tells what was decided; times are only checked from below.

use crate::support;

use std::time::{Duration, Instant};
use support::{Bench, Running};

fn restarts(init: &Running, expected: &[&str]) {
    for line in expected {
        init.log(line);
    }
}

#[test]
fn the_first_restart_is_immediate_and_each_wait_is_twice_the_last_up_to_the_cap() {
    let begun = Instant::now();
    let options = ["--backoff", "50ms", "--backoff-max", "150ms", "--backoff-jitter", "0"];
    let mut init = Bench::new(&options).run(&["up", "exit 1"]);
    restarts(
        &init,
        &[
            "restart 1 of 5 now",
            "restart 2 of 5 in 50 ms",
            "restart 3 of 5 in 100 ms",
            "restart 4 of 5 in 150 ms",
            "restart 5 of 5 in 150 ms",
            "restarts-exhausted",
        ],
    );
    assert_eq!(init.exit_code(), 1);
    assert!(begun.elapsed() >= Duration::from_millis(50 + 100 + 150 + 150), "the waits were waited");
}

#[test]
fn the_defaults_are_a_tenth_of_a_second_doubled() {
    let init = Bench::new(&["--backoff-jitter", "0"]).run(&["up", "exit 1"]);
    restarts(
        &init,
        &[
            "restart 1 of 5 now",
            "restart 2 of 5 in 100 ms",
            "restart 3 of 5 in 200 ms",
            "restart 4 of 5 in 400 ms",
            "restart 5 of 5 in 800 ms",
        ],
    );
}

/// A fleet that fell together does not come back together: each wait is up to a quarter longer, by chance, and the first restart immediate.
#[test]
fn waits_are_spread_by_default() {
    let waits = || {
        let end = Bench::new(&["--log-format", "json", "--max-restarts", "3"]).run(&["up", "exit 1"]).end();
        let lines = end.log.iter().map(|line| serde_json::from_str::<serde_json::Value>(line).expect("an object"));
        lines.filter_map(|line| line["wait_seconds"].as_f64()).collect::<Vec<f64>>()
    };
    let (one, other) = (waits(), waits());
    for waits in [&one, &other] {
        let within = |wait: f64, least: f64| (least..=least * 1.25).contains(&wait);
        assert!(waits.len() == 3 && waits[0] == 0.0 && within(waits[1], 0.1) && within(waits[2], 0.2), "{waits:?}");
    }
    assert_ne!(one, other);
}

#[test]
fn the_cap_is_five_seconds_by_default() {
    let init = Bench::new(&["--backoff", "1h", "--backoff-jitter", "0"]).run(&["up", "exit 1"]);
    let line = init.log("restart 2 of 5 in ");
    assert!(line.ends_with("restart 2 of 5 in 5 s") || line.ends_with("restart 2 of 5 in 5.0 s"), "{line}");
}

#[test]
fn no_backoff_is_no_wait() {
    let mut init = Bench::new(&["--backoff", "0", "--max-restarts", "20", "--restart-window", "0"]).run(&["up", "exit 1"]);
    let end = init.end();
    assert_eq!(end.generations(), 21);
    assert_eq!(end.logged(" now").len(), 20, "{:?}", end.log);
}

#[test]
fn a_stable_run_resets_the_wait_but_not_the_window() {
    let options = ["--backoff", "20ms", "--backoff-jitter", "0", "--stable-after", "3s", "--max-restarts", "5"];
    // Whoever does not sleep must end within that, on a busy machine too.
    let mut init = Bench::new(&options).run(&["up", "at 3 sleep 3100", "exit 1"]);
    restarts(
        &init,
        &["restart 1 of 5 now", "restart 2 of 5 in 20 ms", "restart 3 of 5 now", "restart 4 of 5 in 20 ms", "restart 5 of 5 in 40 ms"],
    );
    assert_eq!(init.exit_code(), 1);
}

#[test]
fn a_shorter_run_resets_nothing() {
    let options = ["--backoff", "20ms", "--backoff-jitter", "0", "--stable-after", "1h"];
    let init = Bench::new(&options).run(&["up", "at 3 sleep 300", "exit 1"]);
    restarts(&init, &["restart 2 of 5 in 20 ms", "restart 3 of 5 in 40 ms"]);
}

/// What is older than the window counts no more.
#[test]
fn restarts_fall_out_of_the_window() {
    let options = ["--max-restarts", "2", "--restart-window", "3s", "--backoff", "0"];
    let mut init = Bench::new(&options).run(&["up", "at 3 sleep 3100", "from 4 exit 0", "exit 1"]);
    restarts(&init, &["restart 1 of 2 now", "restart 2 of 2 now", "restart 1 of 2 now"]);
    init.out("up 4");
    assert_eq!(init.exit_code(), 0);
}

/// It slides: it does not begin anew. Of two earlier restarts, only the one that is too old is forgotten. A start may take three seconds here.
#[test]
fn the_window_slides() {
    let options = ["--max-restarts", "5", "--restart-window", "7s", "--backoff", "0"];
    // A run as long as the window has worked: those before it leave the window.
    let init = Bench::new(&options).run(&["up", "at 2 sleep 3600", "at 3 sleep 7100", "from 4 pause", "exit 1"]);
    restarts(&init, &["restart 1 of 5 now", "restart 2 of 5 now", "restart 1 of 5 now"]);
}

#[test]
fn inside_the_window_the_limit_holds() {
    let options = ["--max-restarts", "2", "--restart-window", "1h", "--backoff", "0"];
    let end = Bench::new(&options).run(&["up", "at 3 sleep 300", "exit 1"]).end();
    assert_eq!(end.code, Some(1));
    assert_eq!(end.generations(), 3);
}

/// A window of 0 is the whole life, not no time at all.
#[test]
fn a_window_of_zero_forgets_nothing() {
    let options = ["--max-restarts", "2", "--restart-window", "0", "--backoff", "0"];
    let end = Bench::new(&options).run(&["up", "sleep 100", "exit 1"]).end();
    assert_eq!(end.code, Some(1));
    assert_eq!(end.generations(), 3);
}
