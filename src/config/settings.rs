//! Every setting and its default. Pure.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use super::address::Address;
use super::check_url::CheckUrl;
use super::size::Size;
use super::values::{CodeSet, Leftovers, LogFormat, ReadyWhen, RestartPolicy, Rewrites, StopBy};
use crate::signal::{Signal, SignalSet};

/// Every setting.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config {
    pub restart: RestartPolicy,
    pub max_restarts: u32,
    pub restart_window: Duration,
    pub backoff: Duration,
    pub backoff_max: Duration,
    /// In percent, by which each wait is longer at most, and each `max_age` shorter.
    pub backoff_jitter: u32,
    pub stable_after: Duration,
    pub no_restart_on: CodeSet,
    /// What restartinit exits with when the restarts are used up; `None`: the command's code.
    pub exhausted_code: Option<u8>,
    /// `None`: a generation may be as old as it likes.
    pub max_age: Option<Duration>,
    /// Files and folders whose change leads to a planned restart.
    pub restart_on_change: Vec<PathBuf>,
    /// By how much such a restart is put off at most, by chance.
    pub change_jitter: Duration,
    /// `None`: the app is not asked.
    pub check: Option<CheckUrl>,
    pub check_interval: Duration,
    pub check_timeout: Duration,
    /// So many failures in a row are a crash.
    pub check_failures: NonZeroU32,
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
    /// `None`: what [`Config::ready_when`] makes of the other settings.
    pub ready_when: Option<ReadyWhen>,
    /// `None`: what [`Config::ready_limit`] makes of the other settings. Zero: no limit.
    pub wait_ready: Option<Duration>,
    pub stop_by: StopBy,
    /// `None`: nobody looks whether the event loop turns.
    pub watchdog: Option<Duration>,
    /// Before it kills, the watchdog learns where the event loop was.
    pub watchdog_stack: bool,
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
            backoff_jitter: 25,
            stable_after: Duration::from_secs(10),
            no_restart_on: CodeSet::default(),
            exhausted_code: None,
            max_age: None,
            restart_on_change: Vec::new(),
            change_jitter: Duration::ZERO,
            check: None,
            check_interval: Duration::from_secs(10),
            check_timeout: Duration::from_secs(2),
            check_failures: NonZeroU32::MIN.saturating_add(2),
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
            ready_when: None,
            wait_ready: None,
            stop_by: StopBy::Signal,
            watchdog: None,
            watchdog_stack: true,
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
    /// How long a generation has until it is ready, where something waits for that and no setting says it.
    const READY_LIMIT: Duration = Duration::from_secs(300);

    /// Whether the command gets a Node channel: asked for, or implied.
    pub fn has_channel(&self) -> bool {
        let by_message = *self.ready_when() == ReadyWhen::Message;
        self.ipc || by_message || self.watchdog.is_some() || self.stop_by == StopBy::Message || self.holds_ports()
    }

    /// What makes a generation ready: what was asked for, or what the other settings imply.
    pub fn ready_when(&self) -> &ReadyWhen {
        static LISTENING: ReadyWhen = ReadyWhen::Listening(Vec::new());
        match (&self.ready_when, self.wait_ready) {
            (Some(rule), _) => rule,
            (None, Some(limit)) if !limit.is_zero() => &ReadyWhen::Message,
            (None, _) if !self.listen.is_empty() => &ReadyWhen::Started,
            (None, _) => &LISTENING,
        }
    }

    /// How long a generation has until it is ready; `None`: as long as it likes.
    pub fn ready_limit(&self) -> Option<Duration> {
        match self.wait_ready {
            Some(limit) => Some(limit).filter(|limit| !limit.is_zero()),
            None => (self.watchdog.is_some() || self.check.is_some()).then_some(Self::READY_LIMIT),
        }
    }

    /// How long a command has to stop; `otherwise` where no grace period is set.
    pub fn grace_or(&self, otherwise: Duration) -> Duration {
        if self.grace_period.is_zero() { otherwise } else { self.grace_period }
    }

    /// Whether ports are held for the command: asked for, or implied.
    pub fn holds_ports(&self) -> bool {
        self.hold_port || self.standby || self.stop_by == StopBy::Drain
    }
}
