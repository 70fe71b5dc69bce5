//! The short form of `make torture`: a few faults, surroundings, stops, signals and storms, and a hundredth of the long run. The whole is in tests/torture.

use crate::support;

use std::process::Command;

/// Its table is shown when something fell over; a part that cannot be tried here fails and says what it needs.
fn holds(section: &str) {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/torture/run.py");
    let line = [script, "--short", "--only", section];
    let output = Command::new("python3").args(line).env("INIT_UNDER_TEST", support::init()).output();
    let output = output.expect("python3 (Debian: python3) starts");
    let said = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).join("\n");
    assert!(output.status.success(), "{said}");
}

#[test]
fn every_fault_passes() {
    holds("faults");
}

#[test]
fn it_lives_in_any_surroundings() {
    holds("surroundings");
}

#[test]
fn no_stop_is_lost_nor_followed_by_a_spawn() {
    holds("races");
}

#[test]
fn no_kind_of_signal_goes_unseen() {
    holds("signals");
}

#[test]
fn no_storm_delays_what_is_due() {
    holds("storms");
}

#[test]
fn the_long_run_gains_nothing() {
    holds("long");
}
