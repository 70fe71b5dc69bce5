//! restartinit's own lines: one event, as text for people or as JSON for programs, through `log` and env_logger.

use std::cell::OnceCell;
use std::fmt::{self, Write as _};
use std::io::Write as _;
use std::time::SystemTime;

use env_logger::Target;
use log::kv::{Error, Key, Source, Value as KvValue, VisitSource};
use log::{Level, Record};
use serde_json::Value;

use crate::config::Config;
use crate::config::values::LogFormat;
use crate::supervisor::report::{Fields, Report, at_most, json_object};
use crate::sys::stderr::Stderr;

/// The key under which an event's name travels; lines without one are a "log".
const EVENT: &str = "event";
/// As long as most lines, in bytes.
const USUAL_LINE: usize = 160;
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

/// A warning that would be the same each time: told once.
macro_rules! warn_once {
    ($($argument:tt)*) => {{
        static TOLD: std::sync::atomic::AtomicBool = std::sync::atomic::AtomicBool::new(false);
        if !TOLD.swap(true, std::sync::atomic::Ordering::Relaxed) {
            log::warn!($($argument)*);
        }
    }};
}
pub(crate) use warn_once;

/// Whether its level is logged at all.
pub fn is_told(report: &Report) -> bool {
    log::log_enabled!(report.level())
}

/// Tells people and programs of an event.
pub fn log_report(report: &Report) {
    let message = report.message();
    log::logger().log(&record(report, format_args!("{message}"), &EventFields { report, fields: OnceCell::new() }));
}

fn record<'a>(report: &Report, message: fmt::Arguments<'a>, event: &'a EventFields<'_>) -> Record<'a> {
    Record::builder().level(report.level()).target(module_path!()).key_values(event).args(message).build()
}

/// Its fields are made only when they are asked for: a line of text has none.
struct EventFields<'a> {
    report: &'a Report,
    fields: OnceCell<Fields>,
}

impl Source for EventFields<'_> {
    fn visit<'kvs>(&'kvs self, visitor: &mut dyn VisitSource<'kvs>) -> Result<(), Error> {
        visitor.visit_pair(Key::from(EVENT), KvValue::from(self.report.event()))?;
        for (key, value) in self.fields.get_or_init(|| self.report.fields()) {
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

/// A line is one line, whatever a command or an option is called, and of a bounded length.
pub fn one_line(mut text: String) -> String {
    text.truncate(at_most(&text, LONGEST_MESSAGE).len());
    // Nearly every line is plain ASCII: it need not be taken apart into characters.
    let is_plain = text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    if is_plain { text } else { text.replace(char::is_control, " ") }
}

fn text_line(record: &Record<'_>) -> String {
    let mut line = String::with_capacity(USUAL_LINE);
    let _ = write!(line, "restartinit: {}", record.args());
    let mut line = one_line(line);
    line.push('\n');
    line
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
    fields.push(("message", one_line(record.args().to_string()).into()));
    json_object(&fields) + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generation_number::GenerationNumber;
    use crate::signal::Signal;
    use nix::unistd::Pid;
    use std::time::Duration;

    fn line_of(report: &Report) -> Value {
        let event = EventFields { report, fields: OnceCell::new() };
        serde_json::from_str(&json_line(&record(report, format_args!("{}", report.message()), &event))).unwrap()
    }

    #[test]
    fn an_event_keeps_its_types_in_json() {
        let line = line_of(&Report::GraceExpired {
            generation: GenerationNumber::new(2),
            pid: Pid::from_raw(7),
            grace: Duration::from_millis(1500),
        });
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
