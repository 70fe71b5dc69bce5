//! Options of other inits and process managers, for whoever comes from there with an old command line. Pure.

/// An option of another program.
struct Foreign {
    /// Without the dashes.
    name: &'static str,
    whose: &'static str,
    /// What to write here; or, where it begins with no dash, why there is nothing to write.
    here: &'static str,
}

const fn foreign(name: &'static str, whose: &'static str, here: &'static str) -> Foreign {
    Foreign { name, whose, here }
}

const ONE_CHILD: &str = "not needed: signals go to the command alone";
const BY_AGE: &str = "--max-age";
const IN_COMMAND: &str = "part of the command: node ARGS server.js";
const LICENCE: &str = "not there: the licence is MIT or Apache-2.0";
const MORE: &str = "the orchestrator's: one server in each container";

/// The single letters of tini, dumb-init and catatonit before those of pm2. What means the same here is missing.
static ALL: [Foreign; 29] = [
    foreign("g", "tini and catatonit", "--group"),
    foreign("e", "tini", "--exit-zero-on"),
    foreign("s", "tini", "not needed: it is a subreaper where it is not PID 1"),
    foreign("p", "tini", "not there: stop it by a signal"),
    foreign("w", "tini", "not there: status counts what was reaped"),
    foreign("l", "tini", LICENCE),
    foreign("c", "dumb-init", ONE_CHILD),
    foreign("single-child", "dumb-init", ONE_CHILD),
    foreign("r", "dumb-init", "--rewrite"),
    foreign("verbose", "dumb-init", "-v"),
    foreign("L", "catatonit", LICENCE),
    foreign("P", "catatonit", "not there: it needs a command"),
    foreign("i", "pm2", MORE),
    foreign("instances", "pm2", MORE),
    foreign("max-memory-restart", "pm2", "--max-memory"),
    foreign("no-autorestart", "pm2", "--restart never"),
    foreign("stop-exit-codes", "pm2", "--no-restart-on"),
    foreign("kill-timeout", "pm2", "--grace-period"),
    foreign("listen-timeout", "pm2", "--wait-ready"),
    foreign("shutdown-with-message", "pm2", "--stop-by message"),
    foreign("restart-delay", "pm2", "--backoff"),
    foreign("exp-backoff-restart-delay", "pm2", "--backoff"),
    foreign("min-uptime", "pm2", "--stable-after"),
    foreign("cron", "pm2", BY_AGE),
    foreign("cron-restart", "pm2", BY_AGE),
    foreign("json", "pm2", "--log-format json"),
    foreign("node-args", "pm2", IN_COMMAND),
    foreign("interpreter", "pm2", "part of the command: python3 app.py"),
    foreign("env", "pm2", "the container's environment"),
];

/// What an option that is not ours is called here, if it is one of theirs.
pub(super) fn hint(name: &str) -> Option<String> {
    let dashes = if name.len() == 1 { "-" } else { "--" };
    let Foreign { whose, here, .. } = ALL.iter().find(|foreign| foreign.name == name)?;
    let at = if here.starts_with('-') { " here" } else { "" };
    Some(format!("unknown option {dashes}{name}: that of {whose} is {here}{at} (see restartinit -h)"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::options::{LOG, OPTIONS};

    #[test]
    fn whoever_comes_from_another_init_is_told() {
        for (name, told) in [
            ("g", "unknown option -g: that of tini and catatonit is --group here (see restartinit -h)"),
            (
                "single-child",
                "unknown option --single-child: that of dumb-init is not needed: signals go to the command alone (see restartinit -h)",
            ),
            ("i", "unknown option -i: that of pm2 is the orchestrator's: one server in each container (see restartinit -h)"),
        ] {
            assert_eq!(hint(name).as_deref(), Some(told));
        }
        assert_eq!(hint("nothing-like-it"), None);
    }

    #[test]
    fn what_is_told_to_be_here_is() {
        let ours = |name: &str| OPTIONS.iter().chain([&LOG]).any(|option| option.name == name);
        for Foreign { name, here, .. } in &ALL {
            assert!(!ours(name) && !["v", "q", "h", "V", "help", "version", "print-config"].contains(name), "{name} means something here");
            if let Some(option) = here.strip_prefix("--") {
                assert!(ours(option.split(' ').next().unwrap()), "{here}");
            }
        }
    }
}
