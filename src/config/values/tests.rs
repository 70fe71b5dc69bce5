use std::time::Duration;

use super::*;
use crate::config::numbers::*;
use proptest::prelude::*;

#[test]
fn durations() {
    for (text, millis) in [
        ("500ms", 500),
        ("10s", 10_000),
        ("2m", 120_000),
        ("1h", 3_600_000),
        ("7", 7000),
        ("0", 0),
        ("1m30s", 90_000),
        ("30s1m2ms", 90_002),
    ] {
        assert_eq!(duration(text), Ok(Duration::from_millis(millis)), "{text}");
    }
    for text in [
        "",
        "-1",
        "1.5s",
        "10x",
        "10M",
        "1month",
        "2d",
        "ms",
        "s",
        "99999999999999999999",
        "99999999999999999h",
        "1 0",
        "10 s",
        "10s5",
        "18446744073709551615s1s",
    ] {
        assert!(duration(text).is_err(), "{text:?}");
    }
}

#[test]
fn durations_are_shown_as_people_say_them() {
    for text in ["0", "1ms", "1500ms", "1s", "60s", "61s", "2m", "90m", "1h", "48h"] {
        assert_eq!(duration(text).map(show_duration).as_deref(), Ok(text));
    }
}

#[test]
fn numbers() {
    assert_eq!((number("0"), number("007"), number("4294967295")), (Ok(0), Ok(7), Ok(u32::MAX)));
    for text in ["", "+7", "-1", "4294967296", "1e3", " 1"] {
        assert!(number(text).is_err(), "{text:?}");
    }
}

#[test]
fn lists_are_shown_as_they_are_given() {
    for text in ["78,100-110,255", "0-1,3", "0-255"] {
        assert_eq!(CodeSet::parse(text).unwrap().to_string(), text);
    }
    assert_eq!(signals("quit, SIGINT,TERM").map(show_signals).as_deref(), Ok("TERM,INT,QUIT"));
    assert_eq!(Rewrites::parse("TERM : SIGQUIT,hup:0").unwrap().to_string(), "TERM:QUIT,HUP:0");
    for text in ["", "KILL", "TERM,,INT", "STOP", "0"] {
        assert!(signals(text).is_err(), "{text:?}");
    }
}

#[test]
fn code_sets() {
    let set = CodeSet::parse("78,100-110,255").unwrap();
    assert!(set.contains(78) && set.contains(100) && set.contains(110) && set.contains(255));
    assert!(!set.contains(77) && !set.contains(99) && !set.contains(111) && !set.contains(0));
    let middle = CodeSet::parse("127-129").unwrap();
    assert_eq!((0..=255).filter(|code| middle.contains(*code)).collect::<Vec<_>>(), [127, 128, 129]);
    for text in ["", "256", "-1", "5-", "9-3", "a", "1,,2", "1-2-3"] {
        assert!(CodeSet::parse(text).is_err(), "{text:?}");
    }
}

#[test]
fn the_last_rewrite_of_a_signal_holds() {
    let rewrites = Rewrites::parse("TERM:QUIT,HUP:0,TERM:INT").unwrap();
    assert_eq!(rewrites.apply(Signal::TERM), Some(Signal::INT));
    assert_eq!(rewrites.apply(Signal::new(1).unwrap()), None);
    assert_eq!(rewrites.apply(Signal::WINCH), Some(Signal::WINCH));
    for text in ["", "TERM", "TERM:", ":TERM", "0:TERM", "TERM:FOO", "TERM:QUIT,", "KILL:TERM", "CHLD:0"] {
        assert!(Rewrites::parse(text).is_err(), "{text:?}");
    }
}

#[test]
fn log_filters() {
    for text in ["warn", "debug", "OFF", "warn,restartinit::sys=trace"] {
        assert!(log_filter(text).is_ok(), "{text}");
    }
    for text in ["", "loud", "restartinit=", "warn,,info"] {
        assert!(log_filter(text).is_err(), "{text:?}");
    }
}

proptest! {
    #[test]
    fn a_duration_reads_back_as_itself(millis in 0u64..10_000_000_000) {
        let value = Duration::from_millis(millis);
        prop_assert_eq!(duration(&show_duration(value)), Ok(value));
    }

    #[test]
    fn a_code_set_reads_back_as_itself(codes in proptest::collection::vec(any::<u8>(), 1..40)) {
        let mut set = CodeSet::default();
        codes.iter().for_each(|code| set.insert(*code));
        prop_assert_eq!(CodeSet::parse(&set.to_string()), Ok(set));
    }

    #[test]
    fn no_text_makes_a_parser_fall_over(text in "\\PC*") {
        let _ = (duration(&text), CodeSet::parse(&text), Rewrites::parse(&text), signals(&text), number(&text), log_filter(&text));
    }
}
