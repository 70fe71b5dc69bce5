//! What one generation did to the standard streams is not the next one's affair: it finds the terminal's modes and the streams' flags
//! as the first one did. Both belong to the open file, and nobody else puts them right after a command that was killed.

use crate::support;

use support::web::free_port;
use support::{Bench, Place, Running};

const CTRL_C: &str = "\x03";

/// What each generation said of this, on the screen.
fn shown(init: &Running, what: &str) -> Vec<String> {
    init.screen_lines().into_iter().filter(|line| line.starts_with(what)).collect()
}

fn same_in_both(init: &Running, what: &str) {
    let shown = shown(init, what);
    assert_eq!(shown.len(), 2, "{shown:?}");
    assert_eq!(shown[0], shown[1], "the second generation");
}

#[test]
fn the_terminals_modes_are_those_of_the_first_generation() {
    for ending in ["die KILL", "exit 3"] {
        let ending = format!("at 1 {ending}");
        let mut init = Bench::new(&[]).place(Place::Terminal).run(&["show modes", "at 1 raw", &ending, "exit 0"]);
        assert_eq!(init.exit_code(), 0);
        same_in_both(&init, "modes: ");
    }
}

#[test]
fn they_are_also_after_a_planned_restart() {
    let listen = format!("listen {}", free_port());
    let mut init = Bench::new(&[]).place(Place::Terminal).run(&["on TERM exit 0", "show modes", "at 1 raw", &listen, "up", "pause"]);
    init.screen("up 1");
    assert_eq!(init.verb(&["restart"]).code, Some(0));
    init.screen("up 2");
    same_in_both(&init, "modes: ");
}

#[test]
fn they_are_where_only_the_input_is_a_terminal() {
    let mut init = Bench::new(&[]).place(Place::TerminalInput).run(&["show modes", "at 1 raw", "at 1 die KILL", "exit 0"]);
    let [first, second] = [1, 2].map(|_| init.out("modes:"));
    assert_eq!(first, second, "the second generation");
    assert_eq!(init.exit_code(), 0);
}

/// A command that was killed in raw mode leaves a terminal on which no key is a signal.
#[test]
fn ctrl_c_is_a_stop_after_a_command_that_died_in_raw_mode() {
    let mut init = Bench::new(&["--restart", "always"]).place(Place::Terminal).run(&["up", "at 1 raw", "at 1 die KILL", "pause"]);
    init.screen("up 2");
    init.keys(CTRL_C);
    assert_eq!(init.exit_code(), 130);
    assert_eq!(shown(&init, "up ").len(), 2, "no restart");
}

/// Who writes to a pipe that does not wait loses what does not fit, and who reads from one finds no input: the next generation would,
/// without having asked for it. And the other way round.
#[test]
fn the_streams_wait_or_do_not_as_they_did() {
    for (scene, change, expected) in [
        ("blocking 0 1 2", "nonblocking 0 1 2", "yes yes yes"),
        ("nonblocking 0 1 2", "blocking 0 1 2", "no no no"),
        ("nonblocking 1", "nonblocking 0 2", "yes no yes"),
    ] {
        for ending in ["die KILL", "exit 3"] {
            let [change, ending] = [change, ending].map(|statement| format!("at 1 {statement}"));
            let mut init = Bench::new(&[]).scene(&[scene]).run(&["show blocking", &change, &ending, "exit 0"]);
            for generation in [1, 2] {
                assert_eq!(init.out("blocking:"), format!("blocking: {expected}"), "generation {generation}");
            }
            assert_eq!(init.exit_code(), 0);
        }
    }
}
