//! Whatever the container may not do, and whoever is PID 1: crash, clean up, take over, answer, restart, stop.

use crate::container::{Container, Spec};

/// All that asks something of the kernel beyond a plain init.
const EVERYTHING: &str = "-e RESTARTINIT_HTTP=127.0.0.1:9000 -e RESTARTINIT_HOLD_PORT=1 -e RESTARTINIT_STANDBY=1";

/// Crashes the server and asks it on at once: as long as somebody holds the port, no connection is refused. One that the dying server
/// had accepted is reset, and asked again.
const CRASH_AND_ASK: &str = "
    const http = require('node:http')
    const get = (path) => new Promise((resolve, reject) => {
      http.get({ port: 3000, path, agent: false }, (answer) => answer.resume().on('end', resolve)).on('error', reject)
    })
    const ask = (path) => get(path).catch((error) => { if (error.code === 'ECONNREFUSED') throw error })
    const asks = async () => { await ask('/crash'); for (let n = 0; n < 30; n++) await ask('/') }
    asks().then(() => console.log('never refused'))";

/// A server under these options of `docker run` crashes without a refused connection, loses its leftovers, has its zombies reaped,
/// is asked for its status, and restarted by hand.
fn works_under(options: &str) -> Container {
    let container = Container::serving(Spec::example().options(EVERYTHING).options(options));
    let leftover = container.get_number("/leftover");
    assert_eq!(container.exec(&["node", "-e", CRASH_AND_ASK]), "never refused");
    container.wait_for_server(2);
    assert!(!container.has_process(leftover), "{options}: {}", container.exec(&["ps"]));
    let orphan = container.get_number("/zombie");
    container.wait_until_gone(orphan);
    answers(&container, 2);
    let told = container.exec(&["/restartinit", "restart"]);
    assert!(told.contains(" is ready after "), "{options}: {told}");
    assert!(generation(&container) > 2, "{options}");
    container
}

/// The verbs and the server of `--http` say the same of the container.
fn answers(container: &Container, expected: u32) {
    assert_eq!(generation(container), expected);
    container.exec(&["/restartinit", "health"]);
    let get = |path: &str| container.exec(&["wget", "-q", "-O", "-", &format!("http://127.0.0.1:9000{path}")]);
    get("/readyz");
    let metrics = get("/metrics");
    assert!(metrics.contains("restartinit_restarts_total{reason=\"exit code\"} 1"), "{metrics}");
    let refused = ["wget", "-q", "-O", "-", "--post-data=", "http://127.0.0.1:9000/restart"].join(" ");
    assert_eq!(container.exec(&["sh", "-c", &format!("{refused} || echo refused")]), "refused", "no restart over TCP");
}

fn generation(container: &Container) -> u32 {
    let text = container.exec(&["/restartinit", "status", "--json"]);
    let status: serde_json::Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    status["generation"].as_u64().and_then(|number| number.try_into().ok()).unwrap_or_else(|| panic!("{text}"))
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
