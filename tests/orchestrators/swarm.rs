//! examples/deploy/stack.yml on a Swarm of one node: what is handed over is replaced, what is updated drains first.

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use crate::engine::{command, docker, output, run, succeed};
use crate::images;
use crate::outside::{crash_until_it_hands_over, get, repository, until, wait_for_generation};

/// The ports that the stack publishes: the server's, and restartinit's own.
const SERVER: u16 = 3000;
const DOOR: u16 = 9464;

/// The example's stack with one task. The node has each port once, so there is one stack at a time.
struct Stack {
    name: String,
    _alone: MutexGuard<'static, ()>,
}

impl Stack {
    fn deploy() -> Self {
        static ALONE: Mutex<()> = Mutex::new(());
        static SWARM: OnceLock<String> = OnceLock::new();
        assert!(
            std::env::var_os("RESTARTINIT_TEST_NETNS").is_some(),
            "nobody's engine is made a Swarm node: tests/docker/with-engine --own"
        );
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        SWARM.get_or_init(|| docker(["swarm", "init", "--advertise-addr", "127.0.0.1", "--listen-addr", "127.0.0.1:2377"]));
        let stack = Self { name: format!("restartinit-{}", run()), _alone: alone };
        // The image is on this node alone: no registry is asked about it.
        let file = repository("examples/deploy/stack.yml");
        let mut deploy = command(["stack", "deploy", "--resolve-image", "never", "-c", &file, &stack.name]);
        succeed(deploy.env("WEB_IMAGE", images::example()).env("WEB_REPLICAS", "1"));
        stack
    }

    fn service(&self) -> String {
        format!("{}_web", self.name)
    }

    /// The id of the task that runs and is to run. Healthy, then: until it is, Swarm says that it is starting.
    fn running_task(&self) -> Option<String> {
        let format = "{{.ID}} {{.CurrentState}}";
        let tasks = docker(["service", "ps", "--no-trunc", "--filter", "desired-state=running", "--format", format, &self.service()]);
        let running = tasks.lines().find(|line| line.contains(" Running "))?;
        running.split(' ').next().map(str::to_owned)
    }

    fn wait_for_task_other_than(&self, old: &str) -> String {
        until("Swarm runs a new task", || self.running_task().filter(|task| task != old))
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        let label = format!("label=com.docker.stack.namespace={}", self.name);
        // It drains and frees its ports and its network; the next stack needs both. Swarm refuses to remove a network for as long as a
        // task is in it, and does not come back to that by itself.
        until("the stack is gone", || {
            output(["stack", "rm", &self.name]);
            let left = [output(["ps", "-aq", "--filter", &label]), output(["network", "ls", "-q", "--filter", &label])];
            left.iter().all(|listed| listed.stdout.is_empty()).then_some(())
        });
    }
}

/// The value of a metric without labels.
fn metric(name: &str) -> f64 {
    let (_, page) = get(DOOR, "/metrics").expect("/metrics answers");
    let value = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("no {name} in\n{page}"))
}

fn task(id: &str, format: &str) -> String {
    docker(["inspect", "--type", "task", "--format", format, id])
}

#[test]
fn a_task_that_hands_over_is_replaced() {
    let stack = Stack::deploy();
    let old = stack.wait_for_task_other_than("");

    crash_until_it_hands_over(SERVER);

    let new = stack.wait_for_task_other_than(&old);
    wait_for_generation(SERVER, 1);
    assert_eq!(task(&old, "{{.Status.State}} {{.Status.ContainerStatus.ExitCode}} {{.Status.Err}}"), "failed 1 task: non-zero exit (1)");
    let container = "{{.Status.ContainerStatus.ContainerID}}";
    assert_ne!(task(&old, container), task(&new, container));
    let said = output(["logs", &task(&old, container)]).stderr;
    let said = String::from_utf8_lossy(&said);
    assert!(said.contains("restartinit: restarts-exhausted: generation 6 "), "{said}");
}

#[test]
fn its_metrics_know_the_tasks_memory_limit() {
    let stack = Stack::deploy();
    stack.wait_for_task_other_than("");
    let limit = f64::from(256 << 20);
    assert_eq!(metric("restartinit_cgroup_memory_limit_bytes"), limit);
    assert_eq!(metric("restartinit_memory_limit_bytes"), (limit * 0.8).floor());
    let used = metric("restartinit_cgroup_working_set_bytes");
    assert!(used > 0.0 && used < limit, "{used}");
}

#[test]
fn an_update_drains_the_old_task_before_it_stops_it() {
    let stack = Stack::deploy();
    let old = stack.wait_for_task_other_than("");
    let ready = || get(DOOR, "/readyz").map(|(status, _)| status);
    assert_eq!(ready(), Some(200));

    docker(["service", "update", "--detach", "--force", &stack.service()]);

    // For the drain delay a load balancer sees that no more is wanted, and what it still sends is served.
    until("the task drains", || (ready() == Some(503)).then_some(()));
    let (status, page) = get(SERVER, "/").expect("the server still answers");
    assert!(status == 200 && page.contains("generation  1\n"), "{page}");

    stack.wait_for_task_other_than(&old);
    wait_for_generation(SERVER, 1);
    assert_eq!(ready(), Some(200));
    assert_eq!(task(&old, "{{.Status.State}} {{.Status.ContainerStatus.ExitCode}}"), "shutdown 0");
}
