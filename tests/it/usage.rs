//! The command line: bad input gets one line that names it, and 125; where options end; help and version.

use crate::support;

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use support::Bench;
use support::settings::{flag, options, refused, twin};

#[test]
fn a_bad_value_is_named_with_its_option() {
    for (name, _, bad) in options() {
        for value in bad.into_iter().chain((name != "termination-log").then_some("")) {
            refused(&Bench::new(&[&format!("--{name}={value}")]).command(["true"]).end(), &[&flag(name), value]);
        }
    }
}

#[test]
fn a_bad_value_is_named_with_its_variable() {
    for (name, _, bad) in options() {
        for value in bad {
            refused(&Bench::new(&[]).variable(twin(name), value).command(["true"]).end(), &[&twin(name), value]);
        }
    }
    for (name, value) in [("RESTARTINIT_GROUP", "maybe"), ("RESTARTINIT_LOG", "loud")] {
        refused(&Bench::new(&[]).variable(name, value).command(["true"]).end(), &[name, value]);
    }
}

#[test]
fn a_refusal_says_what_is_accepted() {
    for (name, value, accepted) in [
        ("restart", "sometimes", &["on-failure", "always", "never"][..]),
        ("leftovers", "maybe", &["kill", "keep"]),
        ("log-format", "xml", &["text", "json"]),
        ("backoff", "10x", &["ms"]),
        ("no-restart-on", "256", &["255"]),
        ("stop-signals", "NOPE", &["TERM"]),
    ] {
        refused(&Bench::new(&[&flag(name), value]).command(["true"]).end(), accepted);
    }
}

#[test]
fn bad_input_of_every_other_kind() {
    let refused_with = |options: &[&str], named: &[&str]| refused(&Bench::new(options).start().end(), named);
    refused_with(&[], &["command"]);
    refused_with(&["--"], &["command"]);
    refused_with(&["--restart", "always"], &["command"]);
    refused_with(&["--no-such-option", "true"], &["--no-such-option"]);
    refused_with(&["--max-restart", "3", "true"], &["--max-restart"]);
    refused_with(&["--two\nlines", "true"], &["--two lines"]);
    refused_with(&["--stop-signals", "KILL", "true"], &["--stop-signals", "KILL"]);
    refused_with(&["--rewrite", "CHLD:TERM", "true"], &["--rewrite", "CHLD:TERM"]);
    refused_with(&["-x", "true"], &["-x"]);
    refused_with(&["--max-restarts"], &["--max-restarts"]);
    for bytes in [&b"--\xff"[..], b"--restart=\xff", b"--backoff=1\xffs", b"--max-restarts=\xc3"] {
        let end = Bench::new(&[]).option(OsStr::from_bytes(bytes)).command(["true"]).end();
        refused(&end, &[]);
    }
    refused(&Bench::new(&["--restart"]).option(OsStr::from_bytes(b"\xff")).command(["true"]).end(), &["--restart"]);
    let not_text = OsStr::from_bytes(b"1\xff");
    refused(&Bench::new(&[]).variable("RESTARTINIT_BACKOFF", not_text).command(["true"]).end(), &["RESTARTINIT_BACKOFF"]);
}

#[test]
fn an_unknown_twin_is_warned_of_and_the_nearest_named() {
    for (name, nearest) in [
        ("RESTARTINIT_MAX_RESTART", "RESTARTINIT_MAX_RESTARTS"),
        ("RESTARTINIT_BACKOF", "RESTARTINIT_BACKOFF"),
        ("RESTARTINIT_GRACEPERIOD", "RESTARTINIT_GRACE_PERIOD"),
    ] {
        let end = Bench::new(&[]).variable(name, "3").run(&["up", "exit 0"]).end();
        assert_eq!(end.code, Some(0), "a warning, and no more: {end:?}");
        assert_eq!(end.log.len(), 1, "{end:?}");
        let named = |name: &str| end.log[0].split(|letter: char| !(letter.is_ascii_uppercase() || letter == '_')).any(|word| word == name);
        let flag = flag(&nearest["RESTARTINIT_".len()..].to_lowercase().replace('_', "-"));
        assert!(named(name), "{end:?}");
        assert!(named(nearest) || end.log[0].contains(&flag), "{end:?}");
    }
}

#[test]
fn options_end_at_the_first_operand() {
    let mut init = Bench::new(&["--restart", "never", "sh", "-c", "exit $1", "sh", "5", "--restart", "always"]).start();
    assert_eq!(init.exit_code(), 5);
    let end = Bench::new(&["echo", "--print-config", "-h", "--", "-V"]).start().end();
    assert_eq!(end.out, ["--print-config -h -- -V"]);
    // After `--` even a verb or an option is the command.
    for command in ["status", "health", "restart", "--print-config", "-h"] {
        let end = Bench::new(&["--", command]).variable("PATH", "/usr/bin:/bin").start().end();
        assert_eq!(end.code, Some(127), "{end:?}");
        assert!(end.log.iter().any(|line| line.contains(command)), "{end:?}");
    }
}

#[test]
fn help_fits_a_screen_and_names_every_option() {
    let end = Bench::new(&["-h"]).start().end();
    assert_eq!(end.code, Some(0));
    assert!(end.log.is_empty(), "{end:?}");
    for (name, _, _) in options() {
        assert!(end.out.iter().any(|line| line.contains(&flag(name))), "{name}");
    }
    assert!(end.out.len() <= 50, "{} lines", end.out.len());
    assert!(end.out.iter().all(|line| line.chars().count() <= 100));
}

#[test]
fn the_version_is_the_crates() {
    let end = Bench::new(&["-V"]).start().end();
    assert_eq!(end.code, Some(0));
    assert_eq!(end.out, [concat!("restartinit ", env!("CARGO_PKG_VERSION"))]);
}
