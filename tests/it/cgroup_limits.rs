//! `--max-memory 80%`: of the limit that the cgroup has, where it is seen, and when. A limit may come, rise and fall while the container
//! runs (`docker update`, Kubernetes' in-place resize), and mounts may lie over one another.

use crate::support;

use serde_json::Value;
use support::{Bench, MemoryCgroup, Running, Scratch, Stream};

const PERCENT: [&str; 2] = ["--max-memory", "80%"];

/// What the status says that 80 % come to, in MiB.
fn allows(status: &Value, mebibytes: u64) -> bool {
    status["memory"]["limit_bytes"].as_u64().is_some_and(|bytes| bytes.abs_diff(mebibytes << 20) < 1 << 20)
}

/// Grows by 100 MiB in its first generation, when it is told to.
fn start(scene: &[&str]) -> Running {
    let init = Bench::new(&PERCENT).scene(scene).run(&["on TERM exit 0", "up", "obey"]);
    init.out("up 1");
    init
}

fn grows(init: &mut Running) {
    init.tell("allocate 100");
    init.out("allocated 100");
}

/// In MiB. Of the first, 80 % are less than what it grows by; of the second, more.
const TIGHT: u64 = 120;
const WIDE: u64 = 400;

#[test]
fn a_limit_that_rises_and_falls_is_followed() {
    let cgroup = MemoryCgroup::limited(TIGHT);
    let mut init = start(&[&cgroup.enter()]);
    init.status_with("the first limit holds", |status| allows(status, TIGHT / 5 * 4));
    cgroup.limit(WIDE);
    init.status_with("the raised limit holds", |status| allows(status, WIDE / 5 * 4));
    grows(&mut init);
    // It is looked at every few seconds: in this time more than once.
    init.tell("sleep 11000");
    init.tell("say rested");
    init.out("rested");
    assert_eq!(init.signal_count(), 0, "below the raised limit nothing happens");
    cgroup.limit(TIGHT);
    init.restarts_for_memory();
}

/// Nobody has asked for the status in between: the next look is enough.
#[test]
fn a_limit_that_falls_is_seen_at_the_next_look() {
    let cgroup = MemoryCgroup::limited(WIDE);
    let mut init = start(&[&cgroup.enter()]);
    grows(&mut init);
    cgroup.limit(TIGHT);
    init.restarts_for_memory();
}

/// One line at the start that says what has no effect yet, and why.
fn is_warned_of(init: &Running) {
    let line = init.log("80%");
    assert!(line.contains("--max-memory") && line.contains("limit"), "{line}");
    assert_eq!(init.lines(Stream::Log), [line]);
}

fn is_off(init: &mut Running) {
    let text = init.verb(&["status"]).out;
    assert!(text.contains("off: no limit"), "{text}");
    let status = init.status();
    assert_eq!(status["memory"]["limit_bytes"], Value::Null, "{status}");
}

#[test]
fn a_percentage_of_no_limit_is_a_warning_until_there_is_one() {
    let cgroup = MemoryCgroup::new();
    let mut init = start(&[&cgroup.enter()]);
    is_warned_of(&init);
    is_off(&mut init);
    grows(&mut init);
    cgroup.limit(WIDE);
    init.status_with("the limit holds", |status| allows(status, WIDE / 5 * 4));
    let text = init.verb(&["status"]).out;
    assert!(!text.contains("off: no limit"), "{text}");
    cgroup.limit(TIGHT);
    init.restarts_for_memory();
}

/// The cgroup's files are hidden, so that whatever limit the machine of the tests has is not there.
#[test]
fn where_no_cgroup_is_seen_it_is_a_warning_too() {
    let mut init = start(&["empty /sys/fs/cgroup"]);
    is_warned_of(&init);
    is_off(&mut init);
    init.tell("exit 3");
    init.out("up 2");
    init.tell("exit 0");
    let end = init.end();
    assert_eq!((end.code, end.logged("80%").len()), (Some(0), 1), "said once: {end:?}");
}

/// Whoever has set the variable has no option to look for.
#[test]
fn the_warning_names_the_variable_too() {
    let bench = Bench::new(&[]).variable("RESTARTINIT_MAX_MEMORY", "80%").scene(&["empty /sys/fs/cgroup"]);
    let end = bench.run(&["up", "exit 0"]).end();
    assert_eq!((end.code, end.logged("RESTARTINIT_MAX_MEMORY").len(), end.log.len()), (Some(0), 1, 1), "{end:?}");
}

/// As Docker mounts it on cgroup v1: the container's own folder over the whole hierarchy.
#[test]
fn a_folder_bound_over_its_hierarchy_is_the_one_that_counts() {
    let cgroup = MemoryCgroup::limited(TIGHT);
    let mut init = start(&[&cgroup.enter(), &format!("bind {} {}", cgroup.path(), cgroup.mount())]);
    init.status_with("the limit holds", |status| allows(status, TIGHT / 5 * 4));
    grows(&mut init);
    init.restarts_for_memory();
}

/// The last one lies on top, whatever came before it.
#[test]
fn of_several_mounts_over_one_another_the_topmost_counts() {
    let (cgroup, other) = (MemoryCgroup::limited(TIGHT), MemoryCgroup::limited(WIDE));
    let mount = cgroup.mount();
    let scratch = Scratch::new();
    let kept = scratch.path("");
    // The first bind hides the folder that the second one needs.
    let keep = format!("bind {} {kept}", cgroup.path());
    let [under, over] = [format!("bind {} {mount}", other.path()), format!("bind {kept} {mount}")];
    let mut init = start(&[&cgroup.enter(), &keep, &under, &over]);
    init.status_with("the limit holds", |status| allows(status, TIGHT / 5 * 4));
    grows(&mut init);
    init.restarts_for_memory();
}

/// A tmpfs over the usual place hides it; the hierarchy is seen elsewhere.
#[test]
fn a_hidden_mount_does_not_count_where_another_is_seen() {
    let cgroup = MemoryCgroup::limited(TIGHT);
    let scratch = Scratch::new();
    let elsewhere = format!("bind {} {}", cgroup.mount(), scratch.path(""));
    let mut init = start(&[&cgroup.enter(), &elsewhere, "empty /sys/fs/cgroup"]);
    init.status_with("the limit holds", |status| allows(status, TIGHT / 5 * 4));
    grows(&mut init);
    init.restarts_for_memory();
}

#[test]
fn a_hidden_mount_is_no_mount() {
    let cgroup = MemoryCgroup::limited(TIGHT);
    let mut init = start(&[&cgroup.enter(), &format!("empty {}", cgroup.mount())]);
    is_warned_of(&init);
    is_off(&mut init);
    init.tell("exit 0");
    assert_eq!(init.exit_code(), 0);
}
