//! The verbs where there is no restartinit to ask, and what they do not take. What they answer otherwise is in the tests of what is seen.

mod support;

use support::Bench;
use support::settings::refused;

const VERBS: [&[&str]; 4] = [&["status"], &["status", "--json"], &["health"], &["restart"]];

#[test]
fn without_restartinit_a_verb_says_so() {
    for verb in VERBS {
        // PID 1 of its own namespace: nobody else is there.
        let end = Bench::new(verb).start().end();
        assert_eq!(end.code, Some(1), "{verb:?}: {end:?}");
        assert_eq!(end.log, ["restartinit: no restartinit in this container: is it the entrypoint?"], "{verb:?}");
        assert!(end.out.is_empty(), "{end:?}");
    }
}

#[test]
fn the_containers_settings_are_not_the_verbs() {
    for verb in VERBS {
        let bench = Bench::new(verb).variable("RESTARTINIT_MAX_RESTARTS", "nonsense").variable("RESTARTINIT_PRINT_CONFIG", "1");
        assert_eq!(bench.start().end().code, Some(1), "{verb:?}");
    }
}

#[test]
fn a_verb_takes_nothing_else() {
    for (arguments, named) in [
        (&["status", "foo"][..], ["status", "foo"]),
        (&["health", "--json"], ["health", "--json"]),
        (&["restart", "--", "x"], ["restart", "--"]),
        (&["--max-restarts", "3", "restart"], ["restart", "--max-restarts"]),
        (&["--print-config", "health"], ["health", "--print-config"]),
    ] {
        let end = Bench::new(arguments).start().end();
        refused(&end, &named);
        refused(&end, &["restartinit -- "]);
    }
}
