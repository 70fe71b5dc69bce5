//! The values that options take: durations, codes, rewrites, and how each is written back. Pure.

use std::fmt;
use std::time::Duration;

use crate::signal::{Signal, SignalSet};

/// What an option accepts, for the message about a value that it does not.
pub type Accepted = &'static str;

/// When an exit leads to a restart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RestartPolicy {
    OnFailure,
    Always,
    Never,
}

/// What becomes of descendants that outlive the command.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Leftovers {
    Kill,
    Keep,
}

/// What asks the command to stop.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum StopBy {
    Signal,
    /// The message `shutdown`, as pm2 sends it.
    Message,
    /// Node's own drain.
    Drain,
}

/// How restartinit's own lines are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LogFormat {
    Text,
    Json,
}

/// An enumerated value: every spelling beside what it means.
pub trait Choice: Copy + PartialEq + Sized + 'static {
    const ACCEPTED: Accepted;
    const CHOICES: &'static [(&'static str, Self)];

    fn parse(text: &str) -> Result<Self, Accepted> {
        Self::CHOICES.iter().find(|(name, _)| *name == text).map(|(_, value)| *value).ok_or(Self::ACCEPTED)
    }

    fn name(self) -> String {
        Self::CHOICES.iter().find(|(_, value)| *value == self).map_or_else(String::new, |(name, _)| (*name).to_owned())
    }
}

impl Choice for RestartPolicy {
    const ACCEPTED: Accepted = "on-failure, always or never";
    const CHOICES: &'static [(&'static str, Self)] = &[("on-failure", Self::OnFailure), ("always", Self::Always), ("never", Self::Never)];
}

impl Choice for Leftovers {
    const ACCEPTED: Accepted = "kill or keep";
    const CHOICES: &'static [(&'static str, Self)] = &[("kill", Self::Kill), ("keep", Self::Keep)];
}

impl Choice for StopBy {
    const ACCEPTED: Accepted = "signal, message or drain";
    const CHOICES: &'static [(&'static str, Self)] = &[("signal", Self::Signal), ("message", Self::Message), ("drain", Self::Drain)];
}

impl Choice for LogFormat {
    const ACCEPTED: Accepted = "text or json";
    const CHOICES: &'static [(&'static str, Self)] = &[("text", Self::Text), ("json", Self::Json)];
}

impl Choice for bool {
    const ACCEPTED: Accepted = "1, true, yes, on, or 0, false, no, off";
    const CHOICES: &'static [(&'static str, Self)] =
        &[("on", true), ("off", false), ("1", true), ("true", true), ("yes", true), ("0", false), ("false", false), ("no", false)];
}

/// `500ms`, `10s`, `2m`, `1h`, `1m30s`; a bare number is seconds.
pub fn duration(text: &str) -> Result<Duration, Accepted> {
    const ACCEPTED: Accepted = "a duration such as 500ms, 10s, 2m or 1h; a bare number is seconds";
    if text.bytes().all(|b| b.is_ascii_digit()) {
        return text.parse().map(Duration::from_secs).map_err(|_| ACCEPTED);
    }
    // humantime also knows months as M and years: too close to 2m for a container's settings.
    let known = |unit: &str| matches!(unit, "" | "ms" | "s" | "m" | "h");
    if !text.split(|c: char| c.is_ascii_digit()).all(known) {
        return Err(ACCEPTED);
    }
    humantime::parse_duration(text).map_err(|_| ACCEPTED)
}

/// A duration in the shortest form that [`duration`] reads back.
pub fn show_duration(duration: Duration) -> String {
    let millis = duration.as_millis();
    match millis {
        0 => "0".to_owned(),
        m if m % 3_600_000 == 0 => format!("{}h", m / 3_600_000),
        m if m % 60_000 == 0 && m > 60_000 => format!("{}m", m / 60_000),
        m if m % 1000 == 0 => format!("{}s", m / 1000),
        m => format!("{m}ms"),
    }
}

/// A whole number from 0 to `u32::MAX`.
pub fn number(text: &str) -> Result<u32, Accepted> {
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    let parsed = if digits { text.parse().ok() } else { None };
    parsed.ok_or("a whole number from 0 to 4294967295")
}

/// A set of exit codes, 0 to 255.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct CodeSet([u128; 2]);

impl CodeSet {
    /// `78,100-110`.
    pub fn parse(text: &str) -> Result<CodeSet, Accepted> {
        const ACCEPTED: Accepted = "exit codes from 0 to 255 such as 78,100-110";
        let code = |text: &str| text.trim().parse::<u8>().map_err(|_| ACCEPTED);
        let mut set = CodeSet::default();
        for part in text.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last) = (code(first)?, code(last)?);
            if first > last {
                return Err(ACCEPTED);
            }
            (first..=last).for_each(|code| set.insert(code));
        }
        Ok(set)
    }

    fn insert(&mut self, code: u8) {
        let [low, high] = &mut self.0;
        *(if code < 128 { low } else { high }) |= 1 << (code % 128);
    }

    pub fn contains(self, code: u8) -> bool {
        let [low, high] = self.0;
        (if code < 128 { low } else { high }) & (1 << (code % 128)) != 0
    }
}

impl fmt::Display for CodeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut next = 0u16;
        let mut comma = "";
        while next <= 255 {
            let first = next;
            while next <= 255 && self.contains(next as u8) {
                next += 1;
            }
            match next - first {
                0 => next += 1,
                1 => write!(f, "{comma}{first}")?,
                _ => write!(f, "{comma}{first}-{}", next - 1)?,
            }
            if self.contains(first as u8) {
                comma = ",";
            }
        }
        Ok(())
    }
}

/// A comma-separated list of signals that can arrive.
pub fn signals(text: &str) -> Result<SignalSet, Accepted> {
    let parse = |part: &str| Signal::parse(part.trim()).filter(|signal| signal.is_forwarded());
    text.split(',').map(parse).collect::<Option<_>>().ok_or("signals that can be caught, such as TERM,SIGINT,15,RTMIN+3")
}

/// TERM before the others, as people say it.
pub fn show_signals(set: SignalSet) -> String {
    let (term, others): (Vec<_>, Vec<_>) = set.iter().partition(|signal| *signal == Signal::TERM);
    let names: Vec<String> = term.iter().chain(&others).map(|signal| signal.to_string().replacen("SIG", "", 1)).collect();
    names.join(",")
}

/// What is forwarded in place of which signal; the last rule for a signal holds.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Rewrites(Vec<(Signal, Option<Signal>)>);

impl Rewrites {
    /// `TERM:QUIT,HUP:0`.
    pub fn parse(text: &str) -> Result<Rewrites, Accepted> {
        const ACCEPTED: Accepted = "FROM:TO with signals such as TERM:QUIT, or FROM:0 to drop it";
        let rule = |part: &str| {
            let (from, to) = part.split_once(':')?;
            let to = if to.trim() == "0" { None } else { Some(Signal::parse(to.trim())?) };
            Some((Signal::parse(from.trim()).filter(|from| from.is_forwarded())?, to))
        };
        text.split(',').map(rule).collect::<Option<_>>().map(Rewrites).ok_or(ACCEPTED)
    }

    /// What to forward when `signal` arrives; `None`: nothing.
    pub fn apply(&self, signal: Signal) -> Option<Signal> {
        let rule = self.0.iter().rev().find(|(from, _)| *from == signal);
        rule.map_or(Some(signal), |(_, to)| *to)
    }
}

impl fmt::Display for Rewrites {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let short = |signal: &Signal| signal.to_string().replacen("SIG", "", 1);
        let rules: Vec<String> =
            self.0.iter().map(|(from, to)| format!("{}:{}", short(from), to.as_ref().map_or("0".to_owned(), short))).collect();
        f.write_str(&rules.join(","))
    }
}

/// `warn`, or env_logger's form: `debug`, `warn,restartinit::sys=trace`.
pub fn log_filter(text: &str) -> Result<String, Accepted> {
    let level = |part: &str| part.rsplit('=').next().is_some_and(|level| level.trim().parse::<log::LevelFilter>().is_ok());
    let valid = text.split(',').all(level);
    if valid { Ok(text.to_owned()) } else { Err("error, warn, info, debug, trace or off, also target=level, separated by commas") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations() {
        for (text, millis) in
            [("500ms", 500), ("10s", 10_000), ("2m", 120_000), ("1h", 3_600_000), ("7", 7000), ("0", 0), ("1m30s", 90_000)]
        {
            assert_eq!(duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "-1", "1.5s", "10x", "10M", "1month", "2d", "ms", "s", "99999999999999999999", "99999999999999999h", "1 0", "10 s"]
        {
            assert!(duration(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn durations_are_shown_as_people_say_them() {
        for text in ["0", "1ms", "1500ms", "1s", "60s", "61s", "2m", "90m", "1h", "48h"] {
            assert_eq!(duration(text).map(show_duration).as_deref(), Ok(text));
        }
    }

    #[test]
    fn numbers() {
        assert_eq!((number("0"), number("007"), number("4294967295")), (Ok(0), Ok(7), Ok(u32::MAX)));
        for text in ["", "+7", "-1", "4294967296", "1e3", " 1"] {
            assert!(number(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn lists_are_shown_as_they_are_given() {
        for text in ["78,100-110,255", "0-1,3", "0-255"] {
            assert_eq!(CodeSet::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(signals("quit, SIGINT,TERM").map(show_signals).as_deref(), Ok("TERM,INT,QUIT"));
        assert_eq!(Rewrites::parse("TERM : SIGQUIT,hup:0").unwrap().to_string(), "TERM:QUIT,HUP:0");
        for text in ["", "KILL", "TERM,,INT", "STOP", "0"] {
            assert!(signals(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn code_sets() {
        let set = CodeSet::parse("78,100-110,255").unwrap();
        assert!(set.contains(78) && set.contains(100) && set.contains(110) && set.contains(255));
        assert!(!set.contains(77) && !set.contains(99) && !set.contains(111) && !set.contains(0));
        for text in ["", "256", "-1", "5-", "9-3", "a", "1,,2", "1-2-3"] {
            assert!(CodeSet::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn the_last_rewrite_of_a_signal_holds() {
        let rewrites = Rewrites::parse("TERM:QUIT,HUP:0,TERM:INT").unwrap();
        assert_eq!(rewrites.apply(Signal::TERM), Some(Signal::INT));
        assert_eq!(rewrites.apply(Signal::new(1).unwrap()), None);
        assert_eq!(rewrites.apply(Signal::WINCH), Some(Signal::WINCH));
        for text in ["", "TERM", "TERM:", ":TERM", "0:TERM", "TERM:FOO", "TERM:QUIT,", "KILL:TERM", "CHLD:0"] {
            assert!(Rewrites::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn log_filters() {
        for text in ["warn", "debug", "OFF", "warn,restartinit::sys=trace"] {
            assert!(log_filter(text).is_ok(), "{text}");
        }
        for text in ["", "loud", "restartinit=", "warn,,info"] {
            assert!(log_filter(text).is_err(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn a_duration_reads_back_as_itself(millis in 0u64..10_000_000_000) {
            let value = Duration::from_millis(millis);
            prop_assert_eq!(duration(&show_duration(value)), Ok(value));
        }

        #[test]
        fn a_code_set_reads_back_as_itself(codes in proptest::collection::vec(any::<u8>(), 1..40)) {
            let mut set = CodeSet::default();
            codes.iter().for_each(|code| set.insert(*code));
            prop_assert_eq!(CodeSet::parse(&set.to_string()), Ok(set));
        }

        #[test]
        fn no_text_makes_a_parser_fall_over(text in "\\PC*") {
            let _ = (duration(&text), CodeSet::parse(&text), Rewrites::parse(&text), signals(&text), number(&text), log_filter(&text));
        }
    }
}
