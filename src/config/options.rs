//! The one table of options: the command line, the environment twins, the help and `--print-config` are all read off it.

use std::time::Duration;

use super::Config;
use super::address::Address;
use super::check_url::CheckUrl;
use super::numbers::{self, show_duration};
use super::size::Size;
use super::values::{self, Accepted, Choice, CodeSet, ReadyWhen, Rewrites, show_signals};

/// An option that sets something. Its default is what [`Config::default`] holds.
pub struct OptionSpec {
    /// Without the dashes; the environment twin is made of it.
    pub name: &'static str,
    /// What it takes; `None` for a switch.
    pub value: Option<&'static str>,
    /// Given more than once, the values add up, as with commas.
    pub repeatable: bool,
    /// Empty: it stands behind the option before it in the help.
    pub help: &'static str,
    pub set: fn(&mut Config, &str) -> Result<(), Accepted>,
    pub get: fn(&Config) -> String,
}

impl OptionSpec {
    /// `RESTARTINIT_MAX_RESTARTS` for `max-restarts`.
    pub fn twin(&self) -> String {
        format!("{}{}", super::PREFIX, self.name.to_ascii_uppercase().replace('-', "_"))
    }
}

/// An option whose value one parser reads, one field holds and one formatter writes.
macro_rules! option {
    ($name:literal, $value:expr, $help:literal, $field:ident, $parse:expr, $show:expr) => {
        OptionSpec {
            name: $name,
            value: $value,
            repeatable: false,
            help: $help,
            set: |config, text| {
                config.$field = $parse(text)?;
                Ok(())
            },
            get: |config| $show(config.$field.clone()),
        }
    };
}

pub static OPTIONS: &[OptionSpec] = &[
    option!("restart", Some("POLICY"), "restart on-failure, always or never", restart, Choice::parse, Choice::name),
    option!("max-restarts", Some("N"), "crash restarts inside the window (Kubernetes: 10)", max_restarts, numbers::number, shown),
    option!("restart-window", Some("D"), "the sliding window; 0: the container's life", restart_window, numbers::duration, show_duration),
    option!("backoff", Some("D"), "wait before the 2nd restart, then doubled", backoff, numbers::duration, show_duration),
    option!("backoff-max", Some("D"), "cap of that wait", backoff_max, numbers::duration, show_duration),
    option!("backoff-jitter", Some("PERCENT"), "each wait up to so much longer", backoff_jitter, numbers::percent, shown),
    option!("stable-after", Some("D"), "a run this long resets the wait", stable_after, numbers::duration, show_duration),
    option!("no-restart-on", Some("CODES"), "exits that hand over at once", no_restart_on, CodeSet::parse, shown),
    OptionSpec {
        name: "exhausted-code",
        value: Some("N"),
        repeatable: false,
        help: "the exit code when the restarts are used up",
        set: |config, text| {
            config.exhausted_code = Some(values::own_code(text)?);
            Ok(())
        },
        get: |config| config.exhausted_code.map_or_else(String::new, shown),
    },
    option!("max-age", Some("D"), "at this age, restart gracefully", max_age, some_duration, shown_duration),
    OptionSpec {
        repeatable: true,
        ..option!("restart-on-change", Some("PATH"), "restart gracefully when it changes", restart_on_change, values::paths, shown_paths)
    },
    option!("change-jitter", Some("D"), "", change_jitter, numbers::duration, show_duration),
    OptionSpec {
        name: "check",
        value: Some("URL"),
        repeatable: false,
        help: "ask it: http://HOST:PORT/PATH or tcp://HOST:PORT; no answer is a crash",
        set: |config, text| {
            config.check = Some(CheckUrl::parse(text)?);
            Ok(())
        },
        get: |config| config.check.as_ref().map(shown).unwrap_or_default(),
    },
    option!("check-interval", Some("D"), "", check_interval, numbers::positive_duration, show_duration),
    option!("check-timeout", Some("D"), "", check_timeout, numbers::positive_duration, show_duration),
    option!("check-failures", Some("N"), "", check_failures, numbers::count, shown),
    OptionSpec {
        name: "max-memory",
        value: Some("SIZE|PERCENT"),
        repeatable: false,
        help: "above this, restart gracefully",
        set: |config, text| {
            config.max_memory = Some(Size::parse(text)?);
            Ok(())
        },
        get: |config| config.max_memory.map_or_else(String::new, shown),
    },
    option!("stop-signals", Some("SIGS"), "forwarded, and no restart follows", stop_signals, values::signals, show_signals),
    OptionSpec {
        repeatable: true,
        ..option!("rewrite", Some("FROM:TO"), "forward TO in place of FROM; 0 drops it", rewrite, Rewrites::parse, shown)
    },
    option!("grace-period", Some("D"), "from the forwarded stop to SIGKILL; 0: never", grace_period, numbers::duration, show_duration),
    option!("drain-delay", Some("D"), "on a stop, wait this long before forwarding", drain_delay, numbers::duration, show_duration),
    option!("leftovers", Some("kill|keep"), "descendants that outlive it", leftovers, Choice::parse, Choice::name),
    option!("leftover-timeout", Some("D"), "", leftover_timeout, numbers::duration, show_duration),
    option!("exit-zero-on", Some("CODES"), "exits that are successes, reported as 0", exit_zero_on, CodeSet::parse, shown),
    option!("group", None, "forward to the command's process group", group, Choice::parse, Choice::name),
    OptionSpec {
        get: |config| config.has_channel().name(),
        ..option!("ipc", None, "give the command a Node IPC channel", ipc, Choice::parse, Choice::name)
    },
    OptionSpec {
        name: "ready-when",
        value: Some("WHAT"),
        repeatable: false,
        help: "listening[:PORT,...], message or started",
        set: |config, text| {
            config.ready_when = Some(ReadyWhen::parse(text)?);
            Ok(())
        },
        get: |config| config.ready_when().to_string(),
    },
    option!("wait-ready", Some("D"), "not ready within D is a crash; 0: no limit", wait_ready, any_duration, shown_duration),
    option!("stop-by", Some("HOW"), "signal, message or drain (Node)", stop_by, Choice::parse, Choice::name),
    option!("watchdog", Some("D"), "an event loop blocked for D is a crash", watchdog, some_duration, shown_duration),
    option!("watchdog-stack", Some("on|off"), "", watchdog_stack, Choice::parse, Choice::name),
    OptionSpec {
        get: |config| config.holds_ports().name(),
        ..option!("hold-port", None, "keep the command's ports open (Node)", hold_port, Choice::parse, Choice::name)
    },
    option!("standby", None, "keep a second process waiting (Node)", standby, Choice::parse, Choice::name),
    OptionSpec { repeatable: true, ..option!("listen", Some("ADDR"), "bind and pass as fd 3, 4, ...", listen, addresses, shown_addresses) },
    OptionSpec {
        name: "http",
        value: Some("ADDR"),
        repeatable: false,
        help: "serve /livez /readyz /metrics /status",
        set: |config, text| {
            config.http = Some(Address::parse_tcp(text)?);
            Ok(())
        },
        get: |config| config.http.as_ref().map(shown).unwrap_or_default(),
    },
    OptionSpec {
        name: "termination-log",
        value: Some("PATH"),
        repeatable: false,
        help: "why it ended, if this exists",
        set: |config, text| {
            config.termination_log = Some(text.into());
            Ok(())
        },
        get: |config| match &config.termination_log {
            Some(path) => path.display().to_string(),
            None => super::TERMINATION_LOG.to_owned(),
        },
    },
    option!("log-format", Some("text|json"), "restartinit's own lines, on stderr", log_format, Choice::parse, Choice::name),
];

/// The level, set by -v, -vv, -q or `RESTARTINIT_LOG`: an option of several spellings.
pub static LOG: OptionSpec = option!("log", None, "the level of restartinit's own lines", log_filter, values::log_filter, shown);

fn any_duration(text: &str) -> Result<Option<Duration>, Accepted> {
    numbers::duration(text).map(Some)
}

/// A time that is no time would never let a command live.
fn some_duration(text: &str) -> Result<Option<Duration>, Accepted> {
    numbers::positive_duration(text).map(Some)
}

fn shown_duration(duration: Option<Duration>) -> String {
    duration.map_or_else(String::new, show_duration)
}

fn shown_paths(paths: Vec<std::path::PathBuf>) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(",")
}

fn addresses(text: &str) -> Result<Vec<Address>, Accepted> {
    text.split(',').map(|address| Address::parse(address.trim())).collect()
}

fn shown_addresses(addresses: Vec<Address>) -> String {
    addresses.iter().map(Address::to_string).collect::<Vec<_>>().join(",")
}

fn shown(value: impl ToString) -> String {
    value.to_string()
}

/// Columns of a screen.
const WIDTH: usize = 99;

/// The help: it fits a screen.
pub fn help() -> String {
    let mut text = String::from(
        "Usage: restartinit [OPTIONS] [--] COMMAND [ARG...]\n\
         Run COMMAND as PID 1 would: reap, forward signals, restart it on a crash.\n\n\
         In its container, also from docker exec:\n\
         \x20 restartinit status [--json]   what it is doing\n\
         \x20 restartinit health            exit 0 if the command is ready, else 1\n\
         \x20 restartinit restart [--force] restart the command gracefully, and wait for it\n\
         \x20 restartinit stack [--json]    where its event loop is now, even if blocked (Node)\n\
         \x20 restartinit profile [D]       a CPU profile over D [5s]: > app.cpuprofile (Node)\n\
         \x20 restartinit heap [--force]    a heap snapshot: > app.heapsnapshot (Node)\n\n",
    );
    let defaults = Config::default();
    for option in OPTIONS {
        let default = match (option.get)(&defaults) {
            default if default.is_empty() || option.value.is_none() => String::new(),
            default => format!(" [{default}]"),
        };
        let left = option.value.map_or(format!("--{}", option.name), |value| format!("--{} {value}", option.name));
        if option.help.is_empty() {
            let line = text.trim_end_matches('\n').rsplit('\n').next().unwrap_or_default();
            let begin = match line.len() + left.len() + default.len() {
                0..WIDTH if line.starts_with("   ") => " ".to_owned(),
                0..WIDTH => "; ".to_owned(),
                _ => format!("\n{:29}", ""),
            };
            text.truncate(text.trim_end_matches('\n').len());
            text.push_str(&format!("{begin}{left}{default}\n"));
        } else {
            text.push_str(&format!("  {left:<26} {}{default}\n", option.help));
        }
    }
    text.push_str(
        "  --print-config             show all settings and where they came from\n\
         \x20 -v, -vv, -q                more or less on stderr [warn], RESTARTINIT_LOG; -h, -V: help, version\n\n\
         Each option has an environment twin: RESTARTINIT_MAX_RESTARTS=3. Durations: 500ms, 10s, 2m, 1h.\n\
         Exit codes of its own: 125 usage, 126 cannot execute, 127 not found; else the command's.\n",
    );
    text
}
