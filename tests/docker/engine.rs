//! The `docker` client: every call has one hard deadline, and says all that it knows when it fails.

use std::process::{Command, Output, Stdio};
use std::time::Duration;

/// What no call, wait or line may exceed. A test that gets here has failed; none waits for it.
pub const DEADLINE: Duration = Duration::from_secs(40);

/// The label that marks whatever a run of the suite makes, for `with-engine` to find and remove.
pub fn label() -> String {
    format!("restartinit.test={}", run())
}

/// The name of this run, from `with-engine`.
pub fn run() -> String {
    std::env::var("RESTARTINIT_TEST_RUN")
        .expect("these tests need a Docker engine, and someone who tidies up: run them through tests/docker/with-engine")
}

/// A `docker` command under the deadline, its output piped.
pub fn command<S: AsRef<std::ffi::OsStr>>(args: impl IntoIterator<Item = S>) -> Command {
    // The client has no deadline of its own, and a stuck one would hold the suite for ever.
    let mut command = Command::new("timeout");
    command.arg(DEADLINE.as_secs().to_string()).arg("docker").args(args);
    // The classic builder takes an image for a missing stage, and needs no plugin.
    command.env("DOCKER_BUILDKIT", "0").stdin(Stdio::null());
    command
}

/// Runs `docker ARGS` to its end, whatever that is.
pub fn output<S: AsRef<std::ffi::OsStr>>(args: impl IntoIterator<Item = S>) -> Output {
    command(args).output().expect("docker and timeout can be run")
}

/// Runs `docker ARGS`, which must succeed; returns what it printed, trimmed.
pub fn docker<S: AsRef<std::ffi::OsStr>>(args: impl IntoIterator<Item = S>) -> String {
    succeed(&mut command(args))
}

/// Runs `command`, which must succeed; returns what it printed, trimmed.
pub fn succeed(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}: {}\n{out}{err}", output.status);
    out.trim().to_owned()
}
