//! Options and their environment twins, as `--print-config` shows them. Bad input is in usage.rs.

use crate::support;

use support::Bench;
use support::settings::{DURATIONS, flag, options, printed, setting, twin};

#[test]
fn a_good_value_is_taken_from_the_flag_and_from_the_twin() {
    let defaults = printed(Bench::new(&[]));
    for (name, good, _) in options() {
        let default = setting(&defaults, name);
        for value in good {
            let by_flag = setting(&printed(Bench::new(&[&flag(name), value])), name);
            let by_equals = setting(&printed(Bench::new(&[&format!("--{name}={value}")])), name);
            let by_twin = setting(&printed(Bench::new(&[]).variable(twin(name), value)), name);
            assert_ne!(by_flag, default, "--{name} {value}");
            assert_eq!(by_flag, by_equals, "--{name}={value}");
            assert_ne!(by_twin, default, "{name}={value}");
            assert_ne!(by_twin, by_flag, "where it came from");
            assert!(by_twin.contains(&twin(name)) || by_twin.contains("environment"), "{by_twin}");
        }
    }
}

#[test]
fn a_flag_wins_over_its_twin() {
    for (name, first, second) in [("restart", "always", "never"), ("max-restarts", "3", "4"), ("backoff", "3s", "4s")] {
        let both = printed(Bench::new(&[&flag(name), first]).variable(twin(name), second));
        let alone = printed(Bench::new(&[&flag(name), first]));
        assert_eq!(setting(&both, name), setting(&alone, name));
    }
    let mut init = Bench::new(&["--restart", "never"]).variable("RESTARTINIT_RESTART", "always").run(&["exit 3"]);
    assert_eq!(init.exit_code(), 3);
    let mut init = Bench::new(&[]).variable("RESTARTINIT_RESTART", "never").run(&["exit 3"]);
    assert_eq!(init.exit_code(), 3);
}

#[test]
fn an_empty_twin_is_none() {
    let defaults = printed(Bench::new(&[]));
    for (name, _, _) in options() {
        let empty = printed(Bench::new(&[]).variable(twin(name), ""));
        assert_eq!(setting(&empty, name), setting(&defaults, name));
    }
}

#[test]
fn durations_have_units_and_bare_numbers_are_seconds() {
    for same in [&["90s", "90", "90000ms"][..], &["2m", "120s", "120"], &["1h", "60m", "3600"], &["0", "0s", "0ms"]] {
        for name in DURATIONS {
            let shown: Vec<String> = same.iter().map(|value| setting(&printed(Bench::new(&[&flag(name), value])), name)).collect();
            assert!(shown.iter().all(|line| *line == shown[0]), "{shown:?}");
        }
    }
}

#[test]
fn signals_have_three_spellings() {
    let shown =
        ["TERM,RTMIN+3", "SIGTERM,37", "15,RTMIN+3"].map(|value| setting(&printed(Bench::new(&["--stop-signals", value])), "stop-signals"));
    assert_eq!(shown[0], shown[1]);
    assert_eq!(shown[0], shown[2]);
}

#[test]
fn switches_have_four_spellings_each_way() {
    let shown = |value: &str| setting(&printed(Bench::new(&[]).variable("RESTARTINIT_GROUP", value)), "group");
    for same in [["1", "true", "yes", "on"], ["0", "false", "no", "off"]] {
        assert!(same.iter().all(|value| shown(value) == shown(same[0])), "{same:?}");
    }
    assert_ne!(shown("1"), shown("0"));
    let by_flag = setting(&printed(Bench::new(&["--group"])), "group");
    assert_ne!(by_flag, setting(&printed(Bench::new(&[])), "group"));
}

#[test]
fn what_is_printed_says_where_it_came_from() {
    let end = printed(Bench::new(&["--backoff", "3s"]).variable("RESTARTINIT_GRACE_PERIOD", "4s"));
    assert!(setting(&end, "max-restarts").contains("default"), "{end:?}");
    assert!(setting(&end, "max-restarts").contains('5'), "{end:?}");
    for name in ["backoff", "grace-period"] {
        assert!(!setting(&end, name).contains("default"), "{end:?}");
    }
    for (name, _, _) in options() {
        setting(&end, name);
    }
}
