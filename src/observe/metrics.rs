//! The metrics page, in Prometheus' text format 0.0.4: HELP and TYPE for each name, base units, and no series for what is not known. Pure.

use super::snapshot::Snapshot;
use crate::json::{Value, seconds};
use crate::time::Moment;

/// All metrics.
pub fn page(snapshot: &Snapshot) -> String {
    let Snapshot { counters, memory, event_loop, .. } = snapshot;
    let active = snapshot.view.active();
    let mut page = Page(String::with_capacity(4096));

    page.family("restartinit_info", "gauge", "The version of restartinit that is running.");
    page.sample("restartinit_info", &format!("{{version=\"{}\"}}", snapshot.version), 1.into());
    page.gauge(
        "restartinit_start_time_seconds",
        "When restartinit started, in seconds since 1970.",
        seconds(snapshot.unix_time(Moment::START)),
    );

    page.family("restartinit_restarts_total", "counter", "Restarts of the command by the reason of each.");
    for (reason, count) in &snapshot.view.restarts_total {
        page.sample("restartinit_restarts_total", &format!("{{reason=\"{reason}\"}}"), (*count).into());
    }
    page.gauge("restartinit_restarts_allowed", "Crash restarts allowed inside the window.", snapshot.view.restarts_allowed);
    page.gauge(
        "restartinit_restarts_remaining",
        "Crash restarts left inside the window before the hand-over.",
        snapshot.view.restarts_remaining(),
    );
    let window = Value::Seconds(snapshot.view.restart_window);
    page.gauge("restartinit_restart_window_seconds", "The restart window; 0 is the whole life of the container.", window);
    page.gauge(
        "restartinit_generation",
        "The generation that serves, from 1; between two, the latest.",
        active.map_or(snapshot.view.latest_generation, |active| active.number),
    );

    page.gauge("restartinit_child_up", "Whether the command runs.", u8::from(active.is_some()));
    page.gauge("restartinit_child_ready", "Whether the command is ready for traffic, as /readyz tells it.", u8::from(snapshot.view.ready));
    if let Some(started) = active.map(|generation| seconds(snapshot.unix_time(generation.started))) {
        page.gauge("restartinit_child_start_time_seconds", "When this generation started, in seconds since 1970.", started);
    }
    page.bytes("restartinit_child_resident_memory_bytes", "Resident memory of the command's process.", memory.resident);
    let limit = memory.limit.as_ref().and_then(|limit| limit.bytes);
    page.bytes("restartinit_memory_limit_bytes", "Above this the command is restarted gracefully (--max-memory).", limit);
    page.bytes("restartinit_cgroup_working_set_bytes", "Working set of the container's memory cgroup.", memory.cgroup_working_set);
    page.bytes("restartinit_cgroup_memory_limit_bytes", "Limit of the container's memory cgroup.", memory.cgroup_limit);
    if let Some(lag) = event_loop {
        let (last, largest) = (Value::Seconds(lag.last), Value::Seconds(lag.largest));
        page.gauge("restartinit_event_loop_lag_seconds", "How long the event loop let the latest ping wait.", last);
        page.gauge("restartinit_event_loop_lag_max_seconds", "The longest such wait since the last scrape.", largest);
    }
    if let Some(check) = &snapshot.view.check {
        if let Some(last) = &check.last {
            page.gauge("restartinit_check_ok", "Whether the command passed the latest check.", u8::from(last.is_ok()));
        }
        if let Some(Ok(took)) = check.last {
            page.gauge("restartinit_check_seconds", "How long the answer to the latest check took.", Value::Seconds(took));
        }
        page.counter("restartinit_check_failures_total", "Checks that the command did not pass.", check.failures_total);
    }

    page.counter("restartinit_orphans_reaped_total", "Orphans that were adopted and reaped.", counters.orphans_reaped);
    page.counter("restartinit_spawn_failures_total", "Spawns that failed and were tried again.", counters.spawn_failures);
    let help = "Lines of restartinit's own that stderr did not take.";
    page.counter("restartinit_log_lines_dropped_total", help, counters.log_lines_dropped);
    let help = "Messages on the command's channel that were dropped.";
    page.counter("restartinit_channel_messages_dropped_total", help, counters.channel_messages_dropped);
    page.0
}

/// The numbers are written as in JSON, which Prometheus reads as well.
struct Page(String);

impl Page {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        self.0.push_str(&format!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
    }

    fn sample(&mut self, name: &str, labels: &str, value: Value) {
        self.0.push_str(&format!("{name}{labels} {value}\n"));
    }

    fn gauge(&mut self, name: &str, help: &str, value: impl Into<Value>) {
        self.family(name, "gauge", help);
        self.sample(name, "", value.into());
    }

    fn bytes(&mut self, name: &str, help: &str, bytes: Option<u64>) {
        if let Some(bytes) = bytes {
            self.gauge(name, help, bytes);
        }
    }

    fn counter(&mut self, name: &str, help: &str, count: u64) {
        self.family(name, "counter", help);
        self.sample(name, "", count.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;
    use std::process::{Command, Stdio};

    /// promtool is in Debian's package prometheus.
    fn promtool_accepts(page: &str) {
        let mut promtool = Command::new("promtool");
        promtool.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut promtool = promtool.spawn().expect("promtool: install the package prometheus");
        promtool.stdin.take().unwrap().write_all(page.as_bytes()).unwrap();
        let told = promtool.wait_with_output().unwrap();
        assert!(told.status.success() && told.stdout.is_empty() && told.stderr.is_empty(), "{told:?}\n{page}");
    }

    #[test]
    fn promtool_has_nothing_to_say() {
        let mut snapshot = Snapshot::example();
        promtool_accepts(&page(&snapshot));
        snapshot.view.generations.clear();
        (snapshot.memory, snapshot.event_loop) = (Default::default(), None);
        promtool_accepts(&page(&snapshot));
    }

    #[test]
    fn values_are_in_base_units() {
        let page = page(&Snapshot::example());
        for line in [
            "restartinit_info{version=\"0.1.0\"} 1",
            "restartinit_restarts_total{reason=\"out of memory\"} 1",
            "restartinit_restarts_total{reason=\"asked\"} 0",
            "restartinit_restarts_remaining 4",
            "restartinit_generation 3",
            "restartinit_child_up 1",
            "restartinit_child_ready 1",
            "restartinit_child_start_time_seconds 1764003003.25",
            "restartinit_child_resident_memory_bytes 222744576",
            "restartinit_event_loop_lag_seconds 0.002",
            "restartinit_event_loop_lag_max_seconds 0.041",
            "restartinit_orphans_reaped_total 4",
        ] {
            assert!(page.lines().any(|present| present == line), "{line}\n{page}");
        }
    }

    #[test]
    fn every_series_comes_after_its_help_and_type() {
        let page = page(&Snapshot::example());
        let mut known = Vec::new();
        for line in page.lines() {
            if let Some(help) = line.strip_prefix("# HELP ") {
                let (name, text) = help.split_once(' ').unwrap();
                assert!(text.ends_with('.') && !known.contains(&name), "{line}");
                known.push(name);
            } else if let Some(kind) = line.strip_prefix("# TYPE ") {
                let name = *known.last().unwrap();
                let kinds = if name.ends_with("_total") { "counter" } else { "gauge" };
                assert_eq!(kind, format!("{name} {kinds}"));
            } else {
                assert_eq!(line.split(['{', ' ']).next(), known.last().copied(), "{line}");
            }
        }
        assert!(known.len() > 15, "{page}");
    }

    #[test]
    fn what_is_not_known_has_no_series() {
        let mut snapshot = Snapshot::example();
        snapshot.view.generations.clear();
        (snapshot.memory, snapshot.event_loop) = (Default::default(), None);
        let page = page(&snapshot);
        for name in ["child_start_time", "_memory_", "event_loop", "cgroup"] {
            assert!(!page.contains(name), "{page}");
        }
        assert!(page.contains("\nrestartinit_child_up 0\n"), "{page}");
    }
}
