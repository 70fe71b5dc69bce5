//! `docker stop` ends the container in the app's own time, with the app's own code. Docker's SIGKILL would leave 137.

use crate::container::{Container, Removal, Spec};
use crate::engine::docker;
use crate::images;
use crate::transcript::Transcript;
use std::process::{Command, Stdio};

/// Stops a server that answers a request of this path: the code, the answer, and all that was said.
fn stop_in_flight(spec: Spec, path: &str) -> (i32, String, String) {
    let server = Container::serving(spec);
    // In a container of its own that shares nothing but the network: the end of the server's container would take an exec along.
    let request = format!("wget -q -O - http://127.0.0.1:3000{path}");
    let (name, mut arguments) = Spec::image(images::base()).command(&request).arguments("--attach=STDOUT");
    let network = arguments.iter().position(|part| part == "none").expect("the network of every container");
    arguments[network] = format!("container:{}", server.name());
    let client = Removal { name };
    let mut docker_run = Command::new("docker").args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("docker");
    let answer = Transcript::default();
    answer.follow(docker_run.stdout.take().expect("piped"));
    answer.wait_for("started");

    let code = server.stop();

    let answer = answer.wait_for_end();
    docker_run.wait().expect("a child of ours");
    assert_eq!(docker(["inspect", "--format", "{{.State.ExitCode}}", &client.name]), "0");
    (code, answer, server.everything_said())
}

/// The answer ends only once the server was asked to stop.
#[test]
fn what_is_in_flight_is_answered_first() {
    let (code, answer, said) = stop_in_flight(Spec::example().options("-e RESTARTINIT_LOG=info"), "/slow");
    assert_eq!((code, answer.as_str()), (0, "started\nfinished\n"));
    assert!(said.contains("restartinit: stop asked by SIGTERM"), "{said}");
    assert!(said.contains("restartinit: stopped: ") && !said.contains("generation 2"), "{said}");
}

/// The shell dies of the stop: the server behind it is asked, and has longer than leftovers have.
#[test]
fn what_is_in_flight_behind_a_shell_is_answered_too() {
    let (code, answer, said) = stop_in_flight(Spec::example().words(&["sh", "-c", "node server.js; true"]), "/slow?ms=4000");
    assert_eq!((code, answer.as_str()), (143, "started\nfinished\n"), "{said}");
    assert!(said.contains("stopped\n") && !said.contains("SIGKILL"), "{said}");
}

#[test]
fn the_code_is_the_commands_own() {
    let container = Spec::probe("wait 42 15").start();
    container.log.wait_for("probe: generation 1");
    assert_eq!(container.stop(), 42);
    let said = container.everything_said();
    assert!(said.contains("restartinit: stopped: ") && !said.contains("generation 2,"), "{said}");
}

#[test]
fn a_stop_right_after_the_start_is_not_lost() {
    for _ in 0..5 {
        let container = Spec::example().start();
        // Node has no handler yet, or it has: both are a stop.
        let code = container.stop();
        let said = container.everything_said();
        assert!(code == 0 || code == 143, "{code}: {said}");
        assert!(!said.contains("generation 2"), "{said}");
    }
}

#[test]
fn a_stop_while_waiting_for_the_next_restart_starts_nothing() {
    let container = Spec::probe("exit 3").options("-e RESTARTINIT_BACKOFF=1h -e RESTARTINIT_BACKOFF_MAX=1h").start();
    container.log.wait_for("restart 2 of 5 in");
    assert_eq!(container.stop(), 3);
    let said = container.everything_said();
    assert!(said.contains("restartinit: stopped: ") && !said.contains("probe: generation 3"), "{said}");
}

#[test]
fn a_server_that_hangs_is_killed_after_the_grace_period() {
    let container = Container::serving(Spec::example().options("-e RESTARTINIT_GRACE_PERIOD=200ms"));
    container.get("/hang");
    assert_eq!(container.stop(), 137);
    // Docker's SIGKILL leaves the same code, but no word.
    container.log.wait_for("did not end within the grace period");
    container.log.wait_for("restartinit: stopped: ");
}

#[test]
fn the_images_stop_signal_is_forwarded_as_it_is() {
    let container = Spec::probe("wait 5 3").options("--stop-signal SIGQUIT").start();
    container.log.wait_for("probe: generation 1");
    assert_eq!(container.stop(), 5);
    let said = container.everything_said();
    assert!(said.contains("probe: signal 3\n") && !said.contains("probe: generation 2"), "{said}");
}

#[test]
fn a_stop_signal_of_ones_own_can_be_named() {
    let spec = Spec::probe("wait 5 37").options("--stop-signal RTMIN+3 -e RESTARTINIT_STOP_SIGNALS=RTMIN+3");
    let container = spec.start();
    container.log.wait_for("probe: generation 1");
    assert_eq!(container.stop(), 5);
    let said = container.everything_said();
    assert!(said.contains("probe: signal 37\n") && !said.contains("probe: generation 2"), "{said}");
}

#[test]
fn a_stop_signal_that_is_not_named_is_no_stop() {
    let container = Spec::probe("wait 5 37").options("--stop-signal RTMIN+3").start();
    container.log.wait_for("probe: generation 1");
    container.kill("RTMIN+3");
    container.log.wait_for("probe: generation 2");
    container.kill("KILL");
    assert_eq!(container.wait(), 137);
}

#[test]
fn the_stop_signal_can_be_another_one_for_the_command() {
    let container = Spec::probe("wait 6 3").options("-e RESTARTINIT_REWRITE=TERM:QUIT").start();
    container.log.wait_for("probe: generation 1");
    assert_eq!(container.stop(), 6);
    let said = container.everything_said();
    assert!(said.contains("probe: signal 3\n") && !said.contains("probe: signal 15\n"), "{said}");
}
