//! Whatever the container may not do, and whoever is PID 1: crash, clean up, stop.

use crate::container::{Container, Spec};

/// A server under these options of `docker run` crashes, loses its leftovers, has its zombies reaped, and stops with 0.
fn works_under(options: &str) -> Container {
    let container = Container::serving(Spec::example().options(options));
    let leftover = container.get_number("/leftover");
    container.crash(1);
    assert!(!container.has_process(leftover), "{options}: {}", container.exec(&["ps"]));
    let orphan = container.get_number("/zombie");
    container.wait_until_gone(orphan);
    container
}

fn stops(container: &Container) {
    assert_eq!(container.stop(), 0, "{}", container.everything_said());
}

fn user_of_first_process(container: &Container) -> String {
    container.exec(&["stat", "-c", "%u:%g", "/proc/1"])
}

#[test]
fn as_the_users_of_the_example() {
    let container = works_under("");
    assert!(user_of_first_process(&container).starts_with("1000:"));
    stops(&container);
}

#[test]
fn as_root() {
    let container = works_under("--user 0");
    assert_eq!(user_of_first_process(&container), "0:0");
    stops(&container);
}

#[test]
fn as_a_user_that_the_image_does_not_know() {
    let container = works_under("--user 12345:54321");
    assert_eq!(user_of_first_process(&container), "12345:54321");
    stops(&container);
}

#[test]
fn with_a_read_only_root_and_no_capabilities() {
    let container = works_under("--read-only --cap-drop ALL --security-opt no-new-privileges");
    let status = container.exec(&["cat", "/proc/1/status"]);
    for line in ["CapEff:\t0000000000000000", "CapBnd:\t0000000000000000", "NoNewPrivs:\t1"] {
        assert!(status.contains(line), "{status}");
    }
    assert_eq!(container.exec(&["sh", "-c", "touch /tmp/x 2>/dev/null || echo read-only"]), "read-only");
    stops(&container);
}

#[test]
fn as_root_without_capabilities() {
    stops(&works_under("--user 0 --cap-drop ALL"));
}

#[test]
fn under_dockers_own_init() {
    let container = works_under("--init");
    assert_eq!(container.exec(&["cat", "/proc/1/comm"]), "docker-init");
    stops(&container);
}

#[test]
fn among_the_processes_of_the_host() {
    let container = works_under("--pid host");
    assert_ne!(container.exec(&["cat", "/proc/1/comm"]), "restartinit");
    stops(&container);
}
