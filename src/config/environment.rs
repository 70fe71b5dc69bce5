//! The variables that are settings, and what else an environment tells: whose container it is. Pure.

use std::ffi::{OsStr, OsString};

use super::options::{LOG, OPTIONS};
use super::{Flags, GENERATION, Given, LAST_EXIT, PREFIX, ROLE, UsageError, nearest, utf8, values};

/// The kubelet has every container know the API server by this.
const KUBERNETES: &str = "KUBERNETES_SERVICE_HOST";
/// `--max-restarts` there: what is handed over waits for 10 s and more, so that what is away for seconds had better be bridged in place.
const MAX_RESTARTS_ON_KUBERNETES: &str = "10";

/// What an environment has in it.
#[derive(Default)]
pub(super) struct Environment {
    /// About names that mean nothing.
    pub warnings: Vec<String>,
    pub settings_read: Vec<String>,
}

/// Fills in what no flag has set.
///
/// # Errors
/// One line that names the variable, the value, and what is accepted.
pub(super) fn read<N, V>(env: impl IntoIterator<Item = (N, V)>, flags: &mut Flags) -> Result<Environment, UsageError>
where
    N: AsRef<OsStr>,
    V: AsRef<OsStr>,
{
    let (mut found, mut is_kubernetes) = (Environment::default(), false);
    for (name, value) in env {
        let (name, value) = (name.as_ref(), value.as_ref());
        is_kubernetes |= name == KUBERNETES && !value.is_empty();
        let Some(name) = name.to_str().filter(|name| name.starts_with(PREFIX)) else { continue };
        // An outer restartinit has told us about our own generation.
        if [GENERATION, LAST_EXIT, ROLE].contains(&name) || is_service_link(name, value) {
            continue;
        }
        if name == "RESTARTINIT_PRINT_CONFIG" {
            found.settings_read.push(name.to_owned());
            flags.print_config |= !value.is_empty() && switch(name, value.to_owned())?;
            continue;
        }
        let slots = OPTIONS.iter().zip(&mut flags.values).chain([(&LOG, &mut flags.log)]);
        match slots.into_iter().find(|(option, _)| option.twin() == name) {
            // Compose and Kubernetes pass an unset variable on as an empty one.
            Some(_) if value == OsStr::new("") => {}
            Some((_, slot)) if slot.is_none() => {
                *slot = Some(Given { by: name.to_owned(), text: utf8(name, value.to_owned())? });
            }
            Some(_) => {}
            None => {
                found.warnings.push(unknown_variable(name));
                continue;
            }
        }
        found.settings_read.push(name.to_owned());
    }
    if is_kubernetes {
        suit_kubernetes(flags);
    }
    Ok(found)
}

/// What is not set has the defaults that suit Kubernetes.
fn suit_kubernetes(flags: &mut Flags) {
    if let Some((_, slot)) = OPTIONS.iter().zip(&mut flags.values).find(|(option, _)| option.name == "max-restarts") {
        slot.get_or_insert_with(|| Given { by: "default on Kubernetes".to_owned(), text: MAX_RESTARTS_ON_KUBERNETES.to_owned() });
    }
}

/// Whether Kubernetes made this variable for a Service whose name begins with `restartinit`.
fn is_service_link(name: &str, value: &OsStr) -> bool {
    const PROTOCOLS: [&str; 3] = ["TCP", "UDP", "SCTP"];
    let is_address = ["tcp://", "udp://", "sctp://"].iter().any(|scheme| value.as_encoded_bytes().starts_with(scheme.as_bytes()));
    let of_port = |rest: &str| {
        let (port, rest) = rest.split_once('_').unwrap_or((rest, ""));
        let (protocol, what) = rest.split_once('_').unwrap_or((rest, ""));
        port.parse::<u16>().is_ok() && PROTOCOLS.contains(&protocol) && ["", "ADDR", "PORT", "PROTO"].contains(&what)
    };
    name.match_indices('_').filter_map(|(at, _)| name.get(at..)).any(|tail| match tail {
        "_SERVICE_HOST" | "_SERVICE_PORT" => true,
        "_PORT" => is_address,
        _ => tail.starts_with("_SERVICE_PORT_") || tail.strip_prefix("_PORT_").is_some_and(of_port),
    })
}

fn switch(name: &str, value: OsString) -> Result<bool, UsageError> {
    let text = utf8(name, value)?;
    <bool as values::Choice>::parse(&text).map_err(|accepted| UsageError(format!("{name}: bad value {text:?}: expected {accepted}")))
}

fn unknown_variable(name: &str) -> String {
    let option = name.trim_start_matches(PREFIX).to_ascii_lowercase().replace('_', "-");
    let near = nearest(&option).1.to_ascii_uppercase().replace('-', "_");
    format!("unknown variable {name} is ignored: did you mean {PREFIX}{near}?")
}

#[cfg(test)]
mod tests {
    use super::super::tests::{config, read_with};
    use super::super::{Config, Request};
    use super::*;

    #[test]
    fn an_outer_restartinits_variables_are_no_mistake() {
        let Ok(Request::Supervise { warnings, .. }) = read_with(&["x"], &[(GENERATION, "3"), (LAST_EXIT, "SIGKILL")]) else { panic!() };
        assert!(warnings.is_empty());
    }

    #[test]
    fn settings_are_taken_out_of_the_commands_environment() {
        let env = [
            ("RESTARTINIT_BACKOFF", "1s"),
            ("RESTARTINIT_LOG", ""),
            ("RESTARTINIT_NONE", "1"),
            ("RESTARTINIT_GENERATION", "7"),
            ("PATH", "/"),
        ];
        let Ok(Request::Supervise { settings_read, .. }) = read_with(&["--backoff=2s", "x"], &env) else { panic!() };
        assert_eq!(settings_read, ["RESTARTINIT_BACKOFF", "RESTARTINIT_LOG"]);
    }

    #[test]
    fn kubernetes_has_a_default_of_its_own() {
        let there = ("KUBERNETES_SERVICE_HOST", "10.96.0.1");
        let restarts = |args: &[&str], env: &[(&str, &str)]| config(args, env).max_restarts;
        assert_eq!(restarts(&[], &[there]), 10);
        assert_eq!(restarts(&[], &[("KUBERNETES_SERVICE_HOST", "")]), 5);
        for env in [[("RESTARTINIT_MAX_RESTARTS", "3"), there], [there, ("RESTARTINIT_MAX_RESTARTS", "3")]] {
            assert_eq!((restarts(&[], &env), restarts(&["--max-restarts", "5"], &env)), (3, 5));
        }
        let Ok(Request::Print(text)) = read_with(&["--print-config"], &[there]) else { panic!() };
        assert!(text.contains("(default on Kubernetes)"), "{text}");
        let Ok(Request::Supervise { settings_read, .. }) = read_with(&["x"], &[there]) else { panic!() };
        assert!(settings_read.is_empty(), "the command has the variable too");
    }

    /// Kubernetes gives each container the addresses of the Services of its namespace, under names made of theirs.
    #[test]
    fn the_variables_of_a_service_are_no_settings() {
        let links = [
            ("RESTARTINIT_SERVICE_HOST", "10.0.0.1"),
            ("RESTARTINIT_SERVICE_PORT", "80"),
            ("RESTARTINIT_SERVICE_PORT_HTTP", "80"),
            ("RESTARTINIT_PORT", "tcp://10.0.0.1:80"),
            ("RESTARTINIT_PORT_80_TCP", "tcp://10.0.0.1:80"),
            ("RESTARTINIT_PORT_80_TCP_PROTO", "tcp"),
            ("RESTARTINIT_PORT_80_TCP_PORT", "80"),
            ("RESTARTINIT_PORT_53_UDP_ADDR", "10.0.0.1"),
            ("RESTARTINIT_HOLD_PORT", "tcp://10.0.0.1:80"),
            ("RESTARTINIT_HTTP_SERVICE_HOST", "10.0.0.1"),
        ];
        let Ok(Request::Supervise { config: found, warnings, settings_read, .. }) = read_with(&["x"], &links) else { panic!() };
        assert_eq!((*found, warnings, settings_read), (Config::default(), vec![], vec![]));
        assert!(config(&[], &[("RESTARTINIT_HOLD_PORT", "1")]).hold_port, "a setting is one");
        let Ok(Request::Supervise { warnings, .. }) = read_with(&["x"], &[("RESTARTINIT_PORT", "80"), ("RESTARTINIT_PORT_X_TCP", "1")])
        else {
            panic!()
        };
        assert_eq!(warnings.len(), 2, "what has another shape is a mistake");
    }
}
