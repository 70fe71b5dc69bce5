//! Before the first spawn: which of the options for Node work for this command. The others are off, with a line that says what to do.

use std::ffi::{CStr, OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use crate::config::Config;
use crate::config::values::{ReadyWhen, StopBy};
use crate::node::script::{self, Unfit};
use crate::sys::spawn;

/// So much of a script is looked at, in bytes.
const LONGEST_SCRIPT: u64 = 256 * 1024;

/// Turns off what would do nothing, or harm.
pub(super) fn adapt(config: &mut Config, command: &[OsString], environment: &[&CStr]) {
    if !config.listen.is_empty() && script::takes_sockets_in_part(command) {
        log::warn!(
            "bun's HTTP servers bind a socket of their own in place of one of --listen: only node:net takes it (listen({{ fd: 3 }}))"
        );
    }
    if !config.has_channel() {
        return;
    }
    // Only whether it can be a worker is read off files.
    let script = script::of_command(command).filter(|_| config.holds_ports());
    let folder = script.and_then(|path| std::path::absolute(path).ok());
    let package = folder.iter().flat_map(|path| path.ancestors().skip(1)).find_map(|folder| text(&folder.join("package.json")));
    let unfit = script::unfit(command, script.and_then(text).as_deref(), package.as_deref(), &|name| entry_script(name, environment));
    let Some(unfit) = unfit else { return };
    let mut off = Vec::new();
    without_held_ports(config, &mut off);
    match &unfit {
        Unfit::HasLauncher(_) => without_channel(config, &mut off),
        Unfit::OtherRuntime { answers_pings: false, .. } => {
            without_watchdog(config, &mut off);
            // Whoever neither answers nor says that it is ready is not known to read anything.
            if *config.ready_when() != ReadyWhen::Message {
                without_message(config, &mut off);
            }
        }
        Unfit::ForksACluster { .. } | Unfit::HasNoFile | Unfit::OtherRuntime { .. } => {}
    }
    if !off.is_empty() {
        log::warn!("{}", line(&unfit, &off.join(", ")));
    }
}

/// Which options restart the command by plan though no port is held meanwhile; empty: none. `has_memory_limit`: that of `--max-memory` is known.
fn options_with_a_gap(config: &Config, has_memory_limit: bool) -> Vec<&'static str> {
    if config.holds_ports() || !config.listen.is_empty() {
        return Vec::new();
    }
    let given = [
        ("--max-age", config.max_age.is_some()),
        ("--restart-on-change", !config.restart_on_change.is_empty()),
        ("--max-memory", has_memory_limit),
    ];
    given.into_iter().filter_map(|(option, is_given)| is_given.then_some(option)).collect()
}

/// Says before the first of them that restarts have a gap, where one need not be.
pub(super) fn tell_of_gap(config: &Config, has_memory_limit: bool) {
    let options = options_with_a_gap(config, has_memory_limit);
    if !options.is_empty() {
        log::warn!(
            "restarts by {} have a gap here: the command ends before the next one starts (with --hold-port for Node, or --listen, no \
             connection is refused)",
            options.join(", ")
        );
    }
}

fn line(unfit: &Unfit, off: &str) -> String {
    match unfit {
        Unfit::ForksACluster { library } => {
            let by = library.map_or_else(String::new, |library| format!(" (by {library})"));
            format!(
                "the app forks a cluster of its own{by}: it runs without {off}, which one server without cluster in each container can have"
            )
        }
        Unfit::HasNoFile => format!("the app's script is no file: it runs without {off} (put the script into a file: node app.js)"),
        Unfit::HasLauncher(launcher) => {
            let instead = launcher.instead(text(Path::new("package.json")).as_deref());
            format!("{} stands between restartinit and the app, and passes nothing on: it runs without {off} ({instead})", launcher.name)
        }
        Unfit::OtherRuntime { name, .. } => format!("{name} does not speak Node's words for {off}: it runs without"),
    }
}

fn without_held_ports(config: &mut Config, off: &mut Vec<&'static str>) {
    off.extend(std::mem::take(&mut config.standby).then_some("--standby"));
    off.extend(std::mem::take(&mut config.hold_port).then_some("--hold-port"));
    if config.stop_by == StopBy::Drain {
        config.stop_by = StopBy::Signal;
        off.push("--stop-by drain");
    }
}

fn without_watchdog(config: &mut Config, off: &mut Vec<&'static str>) {
    // What was implied by it stays: a limit for a boot.
    let (rule, limit) = (config.ready_when().clone(), config.ready_limit());
    if config.watchdog.take().is_some() {
        (config.ready_when, config.wait_ready) = (Some(rule), limit);
        off.push("--watchdog");
    }
}

fn without_message(config: &mut Config, off: &mut Vec<&'static str>) {
    if config.stop_by == StopBy::Message {
        config.stop_by = StopBy::Signal;
        off.push("--stop-by message");
    }
}

/// Nobody at the other end speaks for the app.
fn without_channel(config: &mut Config, off: &mut Vec<&'static str>) {
    let rule = config.ready_when().clone();
    if rule == ReadyWhen::Message {
        off.push(if config.wait_ready.is_some() { "the message 'ready' that --wait-ready waits for" } else { "--ready-when message" });
        config.ready_when = Some(ReadyWhen::Listening(Vec::new()));
    } else {
        config.ready_when = Some(rule);
    }
    without_watchdog(config, off);
    without_message(config, off);
    off.extend(std::mem::take(&mut config.ipc).then_some("--ipc"));
}

/// The text of a script that is executed by this name, if it begins as one.
fn entry_script(name: &str, environment: &[&CStr]) -> Option<String> {
    for path in spawn::candidates(OsStr::new(name), environment) {
        let path = Path::new(OsStr::from_bytes(&path));
        // The word of a script may name a device, which is not to be opened.
        if !path.is_file() {
            continue;
        }
        if let Ok(beginning) = spawn::beginning(path, 2) {
            return if beginning == b"#!" { text(path) } else { None };
        }
    }
    None
}

/// It need not be UTF-8.
fn text(path: &Path) -> Option<String> {
    spawn::beginning(path, LONGEST_SCRIPT).ok().map(|text| String::from_utf8_lossy(&text).into_owned())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::address::Address;
    use crate::config::size::Size;

    const LIMIT: Duration = Duration::from_secs(15);

    fn all() -> Config {
        Config {
            hold_port: true,
            standby: true,
            ipc: true,
            watchdog: Some(LIMIT),
            wait_ready: Some(LIMIT),
            stop_by: StopBy::Message,
            ..Config::default()
        }
    }

    fn adapted(command: &[&str], mut config: Config) -> Config {
        adapt(&mut config, &command.iter().map(OsString::from).collect::<Vec<_>>(), &[]);
        config
    }

    #[test]
    fn behind_a_launcher_nothing_needs_the_channel() {
        let config = adapted(&["npm", "start"], all());
        assert!(!config.has_channel());
        assert_eq!((config.ready_when(), config.ready_limit()), (&ReadyWhen::Listening(Vec::new()), Some(LIMIT)), "the limit stays");
        let config = adapted(&["npm", "start"], Config { watchdog: Some(LIMIT), wait_ready: None, ..Config::default() });
        assert_eq!((config.has_channel(), config.ready_limit()), (false, Some(Duration::from_secs(300))));
        let ports = ReadyWhen::Listening(vec![80]);
        let config = adapted(&["npx", "serve"], Config { ready_when: Some(ports.clone()), ipc: true, ..Config::default() });
        assert_eq!((config.ready_when(), config.has_channel()), (&ports, false));
    }

    #[test]
    fn other_runtimes_have_what_they_speak() {
        let bun = adapted(&["bun", "server.ts"], all());
        assert!(!bun.holds_ports() && bun.watchdog.is_some() && bun.stop_by == StopBy::Message && bun.wait_ready.is_some());
        let deno = adapted(&["deno", "run", "server.ts"], all());
        assert!(!deno.holds_ports() && deno.watchdog.is_none() && *deno.ready_when() == ReadyWhen::Message);
        assert_eq!(deno.stop_by, StopBy::Message, "it says that it is ready");
        let silent = adapted(&["deno", "run", "server.ts"], Config { stop_by: StopBy::Message, ..Config::default() });
        assert_eq!(silent.stop_by, StopBy::Signal);
    }

    #[test]
    fn who_restarts_with_a_gap_is_told() {
        let age = Config { max_age: Some(LIMIT), ..Config::default() };
        assert_eq!(options_with_a_gap(&age, false), ["--max-age"]);
        let both = Config { restart_on_change: vec!["/tls".into()], max_memory: Some(Size::Bytes(1)), ..Config::default() };
        assert_eq!(options_with_a_gap(&both, true), ["--restart-on-change", "--max-memory"]);
        assert_eq!(options_with_a_gap(&both, false), ["--restart-on-change"], "what is off restarts nothing");
        for config in [Config { hold_port: true, ..age.clone() }, Config { listen: vec![Address::Port(80)], ..age }, Config::default()] {
            assert!(options_with_a_gap(&config, false).is_empty());
        }
    }

    #[test]
    fn an_app_has_all() {
        let config = adapted(&["node", "no-such-file.js"], all());
        assert!(config.holds_ports() && config.standby && config.ipc && config.watchdog.is_some());
        let plain = adapted(&["npm", "start"], Config::default());
        assert!(plain.ready_when.is_none(), "no option, nothing to adapt");
    }
}
