//! examples/deploy/compose.yml, as `docker-compose up` runs it.

use std::process::Command;

use crate::engine::{DEADLINE, docker, run, succeed};
use crate::images;
use crate::outside::{crash, crash_until_it_hands_over, get, repository, until, wait_for_generation};

/// A project of the example's Compose file, on a port of its own.
struct Project {
    name: String,
    port: u16,
}

impl Project {
    fn up(port: u16) -> Self {
        let project = Self { name: format!("restartinit-{}-{port}", run()), port };
        succeed(&mut project.compose(&["up", "-d"]));
        project
    }

    fn compose(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("timeout");
        command.arg(DEADLINE.as_secs().to_string());
        command.args(["docker-compose", "-p", &self.name, "-f", &repository("examples/deploy/compose.yml")]).args(arguments);
        command.env("WEB_IMAGE", images::example()).env("WEB_PORT", self.port.to_string());
        command
    }

    fn container(&self) -> String {
        let label = format!("label=com.docker.compose.project={}", self.name);
        docker(["ps", "-aq", "--no-trunc", "--filter", &label])
    }

    fn inspect(&self, format: &str) -> String {
        docker(["inspect", "--format", format, &self.container()])
    }

    fn wait_until_healthy(&self) {
        until("the container is healthy", || (self.inspect("{{.State.Health.Status}}") == "healthy").then_some(()));
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        let _ = self.compose(&["down", "-v", "-t", "1"]).output();
    }
}

#[test]
fn it_is_healthy_restarts_in_place_and_stops_with_the_servers_code() {
    let project = Project::up(3001);
    project.wait_until_healthy();
    let container = project.container();

    crash(project.port, 1);
    wait_for_generation(project.port, 2);
    assert_eq!(project.container(), container);
    assert_eq!(project.inspect("{{.RestartCount}} {{.State.Health.Status}}"), "0 healthy");

    succeed(&mut project.compose(&["stop"]));
    assert_eq!(project.inspect("{{.State.Status}} {{.State.ExitCode}}"), "exited 0");
    assert_eq!(get(project.port, "/"), None);
}

#[test]
fn docker_starts_it_anew_after_the_hand_over() {
    let project = Project::up(3002);
    crash_until_it_hands_over(project.port);
    until("Docker has restarted the container", || (project.inspect("{{.RestartCount}}") == "1").then_some(()));
    wait_for_generation(project.port, 1);
    project.wait_until_healthy();
}

#[test]
fn a_server_that_waits_for_its_restart_is_not_healthy() {
    let project = Project { name: format!("restartinit-{}-3003", run()), port: 3003 };
    // The second crash is followed by a wait that outlasts the test.
    let wait = ["-e", "RESTARTINIT_BACKOFF=1h", "-e", "RESTARTINIT_BACKOFF_MAX=1h"];
    let command = [&["run", "-d"], &wait[..], &["web", "node", "-e", "process.exit(1)"]].concat();
    let said = succeed(&mut project.compose(&command));
    let container = said.lines().last().expect("the container's name");
    let checks = until("a health check has been made", || {
        let checks = docker(["inspect", "--format", "{{json .State.Health.Log}}", container]);
        checks.contains("ExitCode").then_some(checks)
    });
    assert!(checks.contains(r#""ExitCode":1,"#), "{checks}");
    docker(["rm", "-f", container]);
}
