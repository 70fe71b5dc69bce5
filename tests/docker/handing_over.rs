//! When restarts do not help, the container ends with the code that tells why, and Docker goes on from there.

use crate::container::{Container, Spec};
use crate::engine::docker;

#[test]
fn the_sixth_crash_ends_the_container() {
    let container = Container::serving(Spec::example());
    for generation in 1..=5 {
        container.crash(generation);
        let page = container.get("/");
        assert!(page.contains(&format!("generation  {}", generation + 1)), "{page}");
    }

    container.get("/crash");

    assert_eq!(container.wait(), 1);
    assert_eq!(container.inspect("{{.RestartCount}}"), "0");
    let said = container.everything_said();
    assert!(said.contains("restartinit: restarts-exhausted: generation 6 "), "{said}");
    assert!(said.contains("exiting with code 1"), "{said}");
}

#[test]
fn dockers_own_restart_policy_takes_over() {
    let spec = Spec::probe("exit 3").options("--restart on-failure:1 -e RESTARTINIT_MAX_RESTARTS=1");
    let container = spec.start();
    container.wait_until_inspect("{{.State.Status}} {{.RestartCount}} {{.State.ExitCode}}", "exited 1 3");
    let said = container.everything_said();
    // Two lives of the container with two generations each.
    assert_eq!(said.matches("probe: generation 1,").count(), 2, "{said}");
    assert_eq!(said.matches("probe: generation 2,").count(), 2, "{said}");
    assert_eq!(said.matches("restarts-exhausted").count(), 2, "{said}");
}

#[test]
fn a_completed_command_needs_no_restart_by_docker() {
    let container = Spec::probe("exit 0").options("--restart on-failure").start();
    assert_eq!(container.wait(), 0);
    assert_eq!(container.inspect("{{.RestartCount}}"), "0");
}

#[test]
fn a_death_by_signal_is_what_docker_takes_it_for() {
    let (code, said) = Spec::probe("raise 11").options("-e RESTARTINIT_MAX_RESTARTS=1").run_to_end();
    assert_eq!(code, 139, "{said}");
    assert!(said.contains("was killed by SIGSEGV"), "{said}");
}

#[test]
fn a_code_that_is_not_to_be_restarted_ends_the_container_at_once() {
    let (code, said) = Spec::probe("exit 78").options("-e RESTARTINIT_NO_RESTART_ON=78").run_to_end();
    assert_eq!(code, 78, "{said}");
    assert!(said.contains("restartinit: no-restart-code: ") && !said.contains("probe: generation 2"), "{said}");
}

#[test]
fn a_command_that_cannot_run_ends_the_container_at_once() {
    let example = || Spec::example().options("-e RESTARTINIT_LOG=info");
    for (command, code) in [("/no/such/server", 127), ("/app/server.js", 126)] {
        let (found, said) = example().command(command).run_to_end();
        assert_eq!(found, code, "{command}: {said}");
        assert!(said.contains("restartinit: cannot-execute: ") && said.contains(command), "{said}");
        assert!(!said.contains(" restart 1 of "), "{said}");
    }
}

#[test]
fn a_bad_setting_ends_the_container_before_anything_runs() {
    let (code, said) = Spec::probe("exit 0").options("-e RESTARTINIT_MAX_RESTARTS=many").run_to_end();
    assert_eq!(code, 125, "{said}");
    assert!(said.contains("RESTARTINIT_MAX_RESTARTS") && said.contains("many"), "{said}");
    assert!(!said.contains("probe:"), "{said}");
}

#[test]
fn the_reason_is_left_behind_in_the_container() {
    let spec = Spec::probe("exit 3").options("-e RESTARTINIT_MAX_RESTARTS=1 -e RESTARTINIT_TERMINATION_LOG=/reason");
    let container = spec.start();
    assert_eq!(container.wait(), 3);
    // A tar stream, but of one small file, which tar leaves as it is.
    let reason = docker(["cp", &format!("{}:/reason", container.name()), "-"]);
    assert!(reason.contains(r#""outcome":"restarts-exhausted""#), "{reason}");
    assert!(reason.contains(r#""exit_code":3"#), "{reason}");
}
