//! Every setting and its default. Pure.

use std::path::PathBuf;
use std::time::Duration;

use super::address::Address;
use super::size::Size;
use super::values::{CodeSet, Leftovers, LogFormat, RestartPolicy, Rewrites, StopBy};
use crate::signal::{Signal, SignalSet};

/// Every setting.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config {
    pub restart: RestartPolicy,
    pub max_restarts: u32,
    pub restart_window: Duration,
    pub backoff: Duration,
    pub backoff_max: Duration,
    pub stable_after: Duration,
    pub no_restart_on: CodeSet,
    /// `None`: no limit of restartinit's own.
    pub max_memory: Option<Size>,
    pub stop_signals: SignalSet,
    pub rewrite: Rewrites,
    /// Zero: no limit of restartinit's own.
    pub grace_period: Duration,
    pub drain_delay: Duration,
    pub leftovers: Leftovers,
    pub leftover_timeout: Duration,
    pub exit_zero_on: CodeSet,
    pub group: bool,
    pub ipc: bool,
    /// `None`: a command is ready once it runs.
    pub wait_ready: Option<Duration>,
    pub stop_by: StopBy,
    /// `None`: nobody looks whether the event loop turns.
    pub watchdog: Option<Duration>,
    pub hold_port: bool,
    pub standby: bool,
    /// Passed to the command from descriptor 3 on.
    pub listen: Vec<Address>,
    /// `None`: no such server.
    pub http: Option<Address>,
    /// `None`: [`super::TERMINATION_LOG`] if it exists.
    pub termination_log: Option<PathBuf>,
    pub log_format: LogFormat,
    pub log_filter: String,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            restart: RestartPolicy::OnFailure,
            max_restarts: 5,
            restart_window: Duration::from_secs(60),
            backoff: Duration::from_millis(100),
            backoff_max: Duration::from_secs(5),
            stable_after: Duration::from_secs(10),
            no_restart_on: CodeSet::default(),
            max_memory: None,
            stop_signals: [Signal::TERM, Signal::INT, Signal::QUIT].into_iter().collect(),
            rewrite: Rewrites::default(),
            grace_period: Duration::ZERO,
            drain_delay: Duration::ZERO,
            leftovers: Leftovers::Kill,
            leftover_timeout: Duration::from_secs(2),
            exit_zero_on: CodeSet::default(),
            group: false,
            ipc: false,
            wait_ready: None,
            stop_by: StopBy::Signal,
            watchdog: None,
            hold_port: false,
            standby: false,
            listen: Vec::new(),
            http: None,
            termination_log: None,
            log_format: LogFormat::Text,
            log_filter: "warn".to_owned(),
        }
    }
}

impl Config {
    /// Whether the command gets a Node channel: asked for, or implied.
    pub fn has_channel(&self) -> bool {
        self.ipc || self.wait_ready.is_some() || self.watchdog.is_some() || self.stop_by == StopBy::Message || self.holds_ports()
    }

    /// Whether ports are held for the command: asked for, or implied.
    pub fn holds_ports(&self) -> bool {
        self.hold_port || self.standby || self.stop_by == StopBy::Drain
    }
}
