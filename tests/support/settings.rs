//! The options that a test can go through, and what `--print-config` and a refusal must show. Knows names, values and exit codes
//! only: how the lines look is the program's.

use super::{Bench, End};

pub const DURATIONS: [&str; 8] =
    ["restart-window", "backoff", "backoff-max", "stable-after", "grace-period", "drain-delay", "leftover-timeout", "change-jitter"];

/// Each option with values that are accepted and values that are not.
pub fn options() -> Vec<(&'static str, Vec<&'static str>, Vec<&'static str>)> {
    let mut options = vec![
        ("restart", vec!["always", "never"], vec!["sometimes", "1"]),
        ("max-restarts", vec!["0", "1", "1000"], vec!["x", "-1", "1.5", "99999999999999999999"]),
        ("no-restart-on", vec!["78", "78,100-110", "0-255"], vec!["256", "x", "110-100", "1-", "1,,2"]),
        ("stop-signals", vec!["HUP", "SIGUSR1,15", "RTMIN+3", "64"], vec!["NOPE", "65", "0", "RTMIN+31", "TERM,"]),
        (
            "rewrite",
            vec!["TERM:QUIT", "15:3", "SIGHUP:0", "RTMIN+3:TERM"],
            vec!["TERM", "TERM:", ":TERM", "NOPE:TERM", "TERM:NOPE", "TERM:QUIT:INT", "0:TERM"],
        ),
        ("leftovers", vec!["keep"], vec!["maybe", "0"]),
        ("exit-zero-on", vec!["143", "1,2,3-5"], vec!["300", "-5", "five"]),
        (
            "http",
            vec!["3000", "127.0.0.1:3000", "[::1]:8080", "0.0.0.0:80"],
            vec!["x", "0", "65536", "-1", "localhost:3000", "127.0.0.1", "127.0.0.1:0", "unix:/run/x.sock"],
        ),
        ("termination-log", vec!["/tmp/no/such/place"], vec![]),
        ("log-format", vec!["json"], vec!["xml", "JSON5"]),
        ("wait-ready", vec!["30s", "500ms"], vec!["x", "-1s"]),
        ("backoff-jitter", vec!["0", "50", "100%"], vec!["x", "-1", "101", "1.5", "%"]),
        ("max-age", vec!["24h", "90s"], vec!["x", "0", "-1s", "10x"]),
        ("restart-on-change", vec!["/run/secrets/tls", "/a,b/c"], vec!["/a,,/b", ","]),
        (
            "check",
            vec!["http://127.0.0.1:3000/healthz", "tcp://[::1]:3000", "http://localhost"],
            vec!["x", "https://127.0.0.1/", "http://a.b/"],
        ),
        ("check-failures", vec!["1", "10"], vec!["0", "x", "-1"]),
        ("stop-by", vec!["message", "drain"], vec!["kill", "SIGTERM", "Message "]),
        ("watchdog", vec!["10s", "500ms"], vec!["x", "10x"]),
    ];
    let bad = ["x", "10x", "s", "-1s", "10 parsecs", "99999999999999999999h"];
    for name in ["check-interval", "check-timeout"] {
        options.push((name, vec!["7ms", "17s", "33"], [&bad[..], &["0"]].concat()));
    }
    for name in DURATIONS {
        options.push((name, vec!["7ms", "17s", "3m", "2h", "33"], bad.to_vec()));
    }
    options
}

pub fn flag(name: &str) -> String {
    format!("--{name}")
}

pub fn twin(name: &str) -> String {
    format!("RESTARTINIT_{}", name.to_uppercase().replace('-', "_"))
}

pub fn printed(bench: Bench) -> End {
    let end = bench.option("--print-config").command(["/no/such/command"]).end();
    assert_eq!(end.code, Some(0), "{end:?}");
    end
}

/// The line of `--print-config` about an option, whatever it looks like otherwise.
pub fn setting(end: &End, name: &str) -> String {
    let is_name = |word: &str| word.trim_start_matches("--") == name;
    let about = |line: &&String| line.split(|letter: char| letter.is_whitespace() || "=:,\"".contains(letter)).any(is_name);
    end.out.iter().find(about).unwrap_or_else(|| panic!("no line about {name}: {end:?}")).clone()
}

/// One line, with what is named in it, and 125.
pub fn refused(end: &End, named: &[&str]) {
    assert_eq!(end.code, Some(125), "{named:?}: {end:?}");
    assert_eq!(end.log.len(), 1, "{named:?}: {end:?}");
    assert!(end.log[0].starts_with("restartinit: "), "{end:?}");
    for name in named {
        assert!(end.log[0].contains(name), "{name:?} is not named: {end:?}");
    }
    assert!(end.out.is_empty(), "{end:?}");
}
