//! The simulated fleet of bench/fleet: that it models restartinit as it is, and runs.

use crate::support;

use std::process::Command;

/// What it says is shown when it fails.
fn runs(script: &str, arguments: &[&str]) {
    let script = format!("{}/bench/fleet/{script}", env!("CARGO_MANIFEST_DIR"));
    let output = Command::new("python3").arg(&script).args(arguments).env("INIT_UNDER_TEST", support::init()).output();
    let output = output.expect("python3 (Debian: python3) starts");
    let said = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).join("\n");
    assert!(output.status.success(), "{script}: {said}");
}

#[test]
fn the_simulation_does_as_restartinit_and_arithmetic_do() {
    runs("check.py", &[]);
}

#[test]
fn a_small_fleet_is_simulated_and_drawn() {
    runs("run.py", &["--quick"]);
}
