//! restartinit's own lines: one event, as text for people or as JSON for programs, through `log` and env_logger.

use std::io::Write;
use std::time::SystemTime;

use env_logger::Target;
use log::kv::{Error, Key, Source, Value as KvValue, VisitSource};
use log::{Level, Record};
use serde_json::Value;

use crate::config::Config;
use crate::config::values::LogFormat;
use crate::supervisor::report::{Report, at_most, json_object};
use crate::sys::stderr::Stderr;

/// The key under which an event's name travels; lines without one are a "log".
const EVENT: &str = "event";
/// The longest message in a line, in bytes: escaped and with an event's fields around it, it still fits a pipe in one piece.
const LONGEST_MESSAGE: usize = 1500;

/// Sets the logger up; a second call changes nothing.
pub fn init(config: &Config) {
    let json = config.log_format == LogFormat::Json;
    let mut builder = env_logger::Builder::new();
    builder.parse_filters(&config.log_filter).target(Target::Pipe(Box::new(Stderr)));
    builder.format(move |out, record| {
        let line = if json { json_line(record) } else { text_line(record) };
        out.write_all(line.as_bytes())
    });
    let _ = builder.try_init();
}

/// Tells people and programs of an event.
pub fn tell(report: &Report) {
    if log::log_enabled!(report.level()) {
        let fields = Event(report.event(), report.fields());
        let message = report.message();
        log::logger().log(
            &Record::builder().level(report.level()).target(module_path!()).key_values(&fields).args(format_args!("{message}")).build(),
        );
    }
}

struct Event(&'static str, Vec<(&'static str, Value)>);

impl Source for Event {
    fn visit<'kvs>(&'kvs self, visitor: &mut dyn VisitSource<'kvs>) -> Result<(), Error> {
        visitor.visit_pair(Key::from(EVENT), KvValue::from(self.0))?;
        for (key, value) in &self.1 {
            let value = match value {
                Value::String(text) => KvValue::from(text.as_str()),
                other => KvValue::from_display(other),
            };
            visitor.visit_pair(Key::from(*key), value)?;
        }
        Ok(())
    }
}

/// The pairs of a record as JSON values: what is not a string was written as JSON already.
#[derive(Default)]
struct Pairs(Vec<(String, Value)>);

impl<'kvs> VisitSource<'kvs> for Pairs {
    fn visit_pair(&mut self, key: Key<'kvs>, value: KvValue<'kvs>) -> Result<(), Error> {
        let value = match value.to_borrowed_str() {
            Some(text) => Value::from(text),
            None => serde_json::from_str(&value.to_string()).unwrap_or_default(),
        };
        self.0.push((key.to_string(), value));
        Ok(())
    }
}

/// A line is one line, whatever a command or an option is called.
pub fn one_line(text: &str) -> String {
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    at_most(&text, LONGEST_MESSAGE).to_owned()
}

fn message(record: &Record<'_>) -> String {
    one_line(&record.args().to_string())
}

fn text_line(record: &Record<'_>) -> String {
    format!("restartinit: {}\n", message(record))
}

fn json_line(record: &Record<'_>) -> String {
    let mut pairs = Pairs::default();
    let _ = record.key_values().visit(&mut pairs);
    let level = match record.level() {
        Level::Error => "error",
        Level::Warn => "warn",
        Level::Info => "info",
        Level::Debug => "debug",
        Level::Trace => "trace",
    };
    let time = humantime::format_rfc3339_millis(SystemTime::now()).to_string();
    let mut fields = vec![("time", Value::from(time)), ("level", level.into())];
    if pairs.0.is_empty() {
        fields.push((EVENT, "log".into()));
    }
    fields.extend(pairs.0.iter().map(|(key, value)| (key.as_str(), value.clone())));
    fields.push(("message", message(record).into()));
    json_object(&fields) + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signal::Signal;
    use std::time::Duration;

    fn line_of(report: &Report) -> Value {
        let fields = Event(report.event(), report.fields());
        let text = report.message();
        serde_json::from_str(&json_line(&Record::builder().level(report.level()).key_values(&fields).args(format_args!("{text}")).build()))
            .unwrap()
    }

    #[test]
    fn an_event_keeps_its_types_in_json() {
        let line = line_of(&Report::GraceExpired { generation: 2, pid: 7, grace: Duration::from_millis(1500) });
        assert_eq!((&line["event"], &line["generation"], &line["grace_seconds"]), (&"grace-expired".into(), &2.into(), &1.5.into()));
        assert_eq!(line["level"], "warn");
        let line = line_of(&Report::StopAsked { signal: Signal::TERM, forwarded: Signal::TERM, drain: Duration::ZERO });
        assert_eq!((&line["signal"], &line["message"]), (&"SIGTERM".into(), &"stop asked by SIGTERM".into()));
    }

    #[test]
    fn a_line_is_one_line() {
        let line = text_line(&Record::builder().args(format_args!("a\nb\u{7}{}", "\u{20ac}".repeat(9000))).build());
        assert!(line.starts_with("restartinit: a b \u{20ac}") && line.len() < 2000 && line.matches('\n').count() == 1);
    }
}
