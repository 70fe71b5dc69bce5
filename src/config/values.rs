//! The values that options take, but for numbers: choices, codes, signals, rewrites; and how each is written back. Pure.

use std::fmt;
use std::path::PathBuf;

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

/// What makes a generation ready.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ReadyWhen {
    /// It listens: on these TCP ports; where none is named, anywhere.
    Listening(Vec<u16>),
    /// It says `ready` on its Node channel.
    Message,
    /// It runs.
    Started,
}

impl ReadyWhen {
    /// `listening`, `listening:3000,9090`, `message`, `started`.
    ///
    /// # Errors
    /// What is accepted.
    pub fn parse(text: &str) -> Result<ReadyWhen, Accepted> {
        const ACCEPTED: Accepted = "listening, listening:PORT,... with ports from 1 to 65535, message or started";
        let port = |text: &str| text.trim().parse().ok().filter(|port| *port != 0).ok_or(ACCEPTED);
        match text.split_once(':') {
            None if text == "listening" => Ok(ReadyWhen::Listening(Vec::new())),
            None if text == "message" => Ok(ReadyWhen::Message),
            None if text == "started" => Ok(ReadyWhen::Started),
            Some(("listening", ports)) => ports.split(',').map(port).collect::<Result<_, _>>().map(ReadyWhen::Listening),
            _ => Err(ACCEPTED),
        }
    }
}

impl fmt::Display for ReadyWhen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReadyWhen::Listening(ports) if ports.is_empty() => f.write_str("listening"),
            ReadyWhen::Listening(ports) => write!(f, "listening:{}", ports.iter().map(u16::to_string).collect::<Vec<_>>().join(",")),
            ReadyWhen::Message => f.write_str("message"),
            ReadyWhen::Started => f.write_str("started"),
        }
    }
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

    /// Reads a value.
    ///
    /// # Errors
    /// What is accepted.
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

/// `/run/secrets/tls,/etc/app.json`.
///
/// # Errors
/// What is accepted.
pub fn paths(text: &str) -> Result<Vec<PathBuf>, Accepted> {
    let parts: Vec<&str> = text.split(',').map(str::trim).collect();
    if parts.iter().any(|part| part.is_empty() || part.contains('\0')) {
        return Err("paths, separated by commas");
    }
    Ok(parts.iter().map(PathBuf::from).collect())
}

/// A set of exit codes, 0 to 255.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct CodeSet([u128; 2]);

/// An exit code that restartinit may end with in place of the command's: none that says something else already.
///
/// # Errors
/// What is accepted.
pub fn own_code(text: &str) -> Result<u8, Accepted> {
    let code = text.trim().parse().ok().filter(|code| !matches!(code, 0 | 125..=127));
    code.ok_or("an exit code from 1 to 255, but not 125, 126 or 127, which have a meaning already")
}

impl CodeSet {
    /// `78,100-110`.
    ///
    /// # Errors
    /// What is accepted.
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
        let mut comma = "";
        let mut codes = (0..=u8::MAX).filter(|code| self.contains(*code)).peekable();
        while let Some(first) = codes.next() {
            let mut last = first;
            while let Some(next) = codes.next_if(|code| code.checked_sub(1) == Some(last)) {
                last = next;
            }
            if last == first {
                write!(f, "{comma}{first}")?;
            } else {
                write!(f, "{comma}{first}-{last}")?;
            }
            comma = ",";
        }
        Ok(())
    }
}

/// A comma-separated list of signals that can arrive.
///
/// # Errors
/// What is accepted.
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
    ///
    /// # Errors
    /// What is accepted.
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
///
/// # Errors
/// What is accepted.
pub fn log_filter(text: &str) -> Result<String, Accepted> {
    let level = |part: &str| part.rsplit('=').next().is_some_and(|level| level.trim().parse::<log::LevelFilter>().is_ok());
    let valid = text.split(',').all(level);
    if valid { Ok(text.to_owned()) } else { Err("error, warn, info, debug, trace or off, also target=level, separated by commas") }
}

#[cfg(test)]
mod tests;
