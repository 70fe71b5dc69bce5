//! restartinit's own lines: one event, as text for people or as JSON for programs, through `log` and env_logger.

use std::cell::OnceCell;
use std::fmt::{self, Write as _};
use std::io::Write as _;
use std::time::SystemTime;

use env_logger::Target;
use log::Record;
use log::kv::{Error, Key, Source, Value as KvValue, VisitSource};

use crate::config::Config;
use crate::config::values::LogFormat;
use crate::json;
use crate::supervisor::report::{Report, at_most};
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

/// Its fields are made only when they are asked for: a line of text has none. Each is JSON already, the event's name first.
struct EventFields<'a> {
    report: &'a Report,
    fields: OnceCell<Vec<(&'static str, String)>>,
}

impl Source for EventFields<'_> {
    fn visit<'kvs>(&'kvs self, visitor: &mut dyn VisitSource<'kvs>) -> Result<(), Error> {
        let fields = self.fields.get_or_init(|| {
            let named = [(EVENT, self.report.event().into())];
            named.into_iter().chain(self.report.fields()).map(|(key, value)| (key, value.to_string())).collect()
        });
        for (key, json) in fields {
            visitor.visit_pair(Key::from(*key), KvValue::from(json.as_str()))?;
        }
        Ok(())
    }
}

/// Writes a record's pairs into a JSON object that is open.
struct JsonPairs<'a> {
    line: &'a mut String,
    /// Its name came first: what follows is JSON.
    is_event: bool,
}

impl<'kvs> VisitSource<'kvs> for JsonPairs<'_> {
    fn visit_pair(&mut self, key: Key<'kvs>, value: KvValue<'kvs>) -> Result<(), Error> {
        self.is_event |= key.as_str() == EVENT;
        // Numbers and the like are written by nobody but events, as texts: to have `log` write any brings in 7 KiB for fractions.
        if let Some(value) = value.to_borrowed_str() {
            let value = if self.is_event { value } else { &json::text(value) };
            let _ = write!(self.line, ",{}:{value}", json::text(key.as_str()));
        }
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
    let time = humantime::format_rfc3339_millis(SystemTime::now());
    let level = record.level().as_str().to_ascii_lowercase();
    let mut line = String::with_capacity(2 * USUAL_LINE);
    let _ = write!(line, "{{\"time\":\"{time}\",\"level\":\"{level}\"");
    let mut pairs = JsonPairs { line: &mut line, is_event: false };
    let _ = record.key_values().visit(&mut pairs);
    if !pairs.is_event {
        let _ = write!(line, ",\"{EVENT}\":\"log\"");
    }
    let message = json::text(&one_line(record.args().to_string()));
    let _ = writeln!(line, ",\"message\":{message}}}");
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generation_number::GenerationNumber;
    use crate::signal::Signal;
    use nix::unistd::Pid;
    use std::time::Duration;

    fn line_of(report: &Report) -> serde_json::Value {
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
