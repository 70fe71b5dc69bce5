//! A server that leaks, in a container with a memory limit: the kernel's killer is told apart, and `--max-memory` comes before it.

use serde_json::json;

use crate::container::{Container, Spec};
use crate::engine::docker;

const LIMITS: &str = "--memory 128m --memory-swap 128m -e RESTARTINIT_HTTP=127.0.0.1:9000";

/// How often the kernel has killed in this container's cgroup, by whichever version of cgroups is there.
fn kills(container: &Container) -> u64 {
    let files = "cat /sys/fs/cgroup/memory.events /sys/fs/cgroup/memory/memory.oom_control 2>/dev/null || true";
    let text = container.exec(&["sh", "-c", files]);
    let count = text.lines().find_map(|line| line.strip_prefix("oom_kill "));
    count.and_then(|count| count.parse().ok()).unwrap_or_else(|| panic!("no count of kills: {text:?}"))
}

fn metrics(container: &Container) -> String {
    container.exec(&["wget", "-q", "-O", "-", "http://127.0.0.1:9000/metrics"])
}

/// Leaks until the server of this generation has been replaced.
fn leak_until_replaced(container: &Container, generation: u64) {
    container.wait_until("the server has been replaced", || {
        // It may be down just then, or die in the midst of its answer.
        let leak = "http://127.0.0.1:3000/leak?mb=32";
        container.try_exec(&[], &["wget", "-q", "-O", "-", leak]);
        container.status()["generation"].as_u64().is_some_and(|now| now > generation)
    });
}

#[test]
fn the_kernels_killer_is_named_and_counted() {
    let container = Container::serving(Spec::example().options(LIMITS));
    leak_until_replaced(&container, 1);
    container.wait_for_server(2);
    container.log.wait_for("was killed by SIGKILL (out of memory) after");
    let status = container.status();
    assert_eq!(status["last_exits"][0]["reason"], "out of memory", "{status}");
    assert_eq!(status["last_exits"][0]["signal"], "SIGKILL", "{status}");
    assert_eq!((&status["restarts"]["used"], &status["restarts"]["total"]["out of memory"]), (&json!(1), &json!(1)), "{status}");
    assert_eq!(status["memory"]["cgroup_limit_bytes"], 128 << 20, "{status}");
    let page = metrics(&container);
    assert!(page.contains("restartinit_restarts_total{reason=\"out of memory\"} 1\n"), "{page}");
    assert!(kills(&container) >= 1);
    let text = container.exec(&["/restartinit", "status"]);
    assert!(text.contains("out of memory") && text.contains("1 of 5"), "{text}");
    assert_eq!(container.stop(), 0);
}

#[test]
fn the_memory_limit_comes_before_the_killer() {
    let container = Container::serving(Spec::example().options(LIMITS).options("-e RESTARTINIT_MAX_MEMORY=80%"));
    leak_until_over(&container, 1);
    container.wait_for_server(2);
    container.log.wait_for("memory limit");
    let status = container.status();
    assert_eq!((&status["restarts"]["used"], &status["restarts"]["total"]["memory limit"]), (&json!(0), &json!(1)), "{status}");
    assert_eq!(status["last_exits"][0]["reason"], "memory limit", "{status}");
    // 80 % of 128 MiB, but for rounding.
    let limit = status["memory"]["limit_bytes"].as_u64().expect("a limit");
    assert!(limit.abs_diff((128 << 20) / 10 * 8) < 4096, "{status}");
    assert_eq!(kills(&container), 0, "never the killer");
    let page = metrics(&container);
    assert!(page.contains("restartinit_restarts_total{reason=\"memory limit\"} 1\n"), "{page}");
    assert!(page.contains("restartinit_restarts_total{reason=\"out of memory\"} 0\n"), "{page}");
    assert!(page.contains("restartinit_restarts_remaining 5\n"), "{page}");
    // The server had the time that it needs: it was asked, and ended by itself.
    assert_eq!((&status["last_exits"][0]["code"], &status["last_exits"][0]["signal"]), (&json!(0), &json!(null)), "{status}");
    assert_eq!(container.stop(), 0);
}

/// Leaks to just above 80 %, and then waits to be replaced: a leak in real life is slower than the look every few seconds.
fn leak_until_over(container: &Container, generation: u64) {
    let working_set = || container.status()["memory"]["cgroup_working_set_bytes"].as_u64().unwrap_or(0);
    container.wait_until("the server has been replaced", || {
        if container.status()["generation"].as_u64().is_some_and(|now| now > generation) {
            return true;
        }
        let missing = (106_u64 << 20).saturating_sub(working_set()) >> 20;
        if missing > 0 {
            // Half of what is missing: what else grows by it is not known.
            let leak = format!("http://127.0.0.1:3000/leak?mb={}", missing.div_ceil(2));
            container.try_exec(&[], &["wget", "-q", "-O", "-", &leak]);
        }
        false
    });
}

/// What 80 % come to, in MiB, but for rounding; none where it is off.
fn allowed(container: &Container) -> Option<u64> {
    container.status()["memory"]["limit_bytes"].as_u64().map(|bytes| bytes.div_ceil(1 << 20))
}

/// `docker update`, as Kubernetes' in-place resize does it.
fn update(container: &Container, limit: &str) {
    docker(["update", "--memory", limit, "--memory-swap", limit, container.name()]);
}

#[test]
fn a_changed_limit_holds() {
    let container = Container::serving(Spec::example().options(LIMITS).options("-e RESTARTINIT_MAX_MEMORY=80%"));
    assert_eq!(allowed(&container), Some(103));
    update(&container, "256m");
    container.wait_until("the raised limit holds", || allowed(&container) == Some(205));
    update(&container, "160m");
    container.wait_until("the lowered limit holds", || allowed(&container) == Some(128));
    assert_eq!(container.stop(), 0);
}

/// Without a limit in the container there is nothing to take a percentage of, until there is. (The machine's own limit, if any, is not
/// the container's.)
#[test]
fn a_percentage_without_a_limit_is_a_warning_until_there_is_one() {
    let container = Container::serving(Spec::example().options("-e RESTARTINIT_MAX_MEMORY=80%"));
    let is_warned_of = |line: &str| ["80%", "RESTARTINIT_MAX_MEMORY", "--memory"].iter().all(|word| line.contains(word));
    container.log.wait_until("it is warned of", |said| said.lines().any(is_warned_of));
    let status = container.exec(&["/restartinit", "status"]);
    assert!(status.contains("off: no limit"), "{status}");
    update(&container, "256m");
    container.wait_until("the limit holds", || allowed(&container) == Some(205));
    assert_eq!(container.stop(), 0);
}
