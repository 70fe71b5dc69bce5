//! Readiness in words, for people. Pure.

use super::Supervisor;
use super::exit::Awaited;
use super::generation::Generation;
use crate::config::values::ReadyWhen;
use crate::time::{Moment, human};

impl Supervisor {
    /// Why the active generation is not ready: one phrase for people.
    pub(super) fn why_unready(&self, now: Moment, active: &Generation) -> String {
        let Generation { number, pid, .. } = active;
        if let Some(reason) = active.kill_reason {
            return format!("generation {number} (pid {pid}) is being ended: {}", reason.text());
        }
        let boots = |what: &str| format!("generation {number} boots since {}, {what}", human(now.since(active.started)));
        match self.awaited(active) {
            Some(Awaited::Unready) => format!("generation {number} (pid {pid}) took its readiness back by process.send('unready')"),
            Some(Awaited::Message) => boots("it has not sent process.send('ready') yet"),
            Some(Awaited::Listener) if active.readiness.was_ready => format!("generation {number} (pid {pid}) listens no more"),
            Some(Awaited::Listener) => boots("nothing listens yet"),
            Some(Awaited::Ports) => {
                let ports = match self.config.ready_when() {
                    ReadyWhen::Listening(ports) => active.listening.missing_ports(ports),
                    ReadyWhen::Message | ReadyWhen::Started => Vec::new(),
                };
                boots(&format!("it does not listen on {} yet", ports.iter().map(|port| format!(":{port}")).collect::<Vec<_>>().join(", ")))
            }
            None => {
                let missing: Vec<String> = self.expected.missing(&active.listening).map(ToString::to_string).collect();
                boots(&format!("it does not listen on {} yet, as the one before did", missing.join(", ")))
            }
        }
    }

    /// What makes it ready, where that is not what was asked for.
    pub(super) fn readiness_note(&self) -> Option<&'static str> {
        let is_unknowable = self.active().is_some_and(|active| active.listening.is_unknowable);
        match self.config.ready_when() {
            ReadyWhen::Listening(_) if self.kind.is_worker => Some("taken for a worker, as it has not listened: ready as soon as it runs"),
            ReadyWhen::Listening(_) if is_unknowable => Some("its listeners cannot be seen here: ready as soon as it runs"),
            ReadyWhen::Listening(_) | ReadyWhen::Message | ReadyWhen::Started => None,
        }
    }
}
