//! The settings: what they are, and how a command line and an environment become them. Pure: both come in as arguments.

pub mod address;
pub mod check_url;
mod environment;
mod foreign;
pub mod numbers;
pub mod options;
mod settings;
pub mod size;
pub mod values;
mod verb;

use std::ffi::{OsStr, OsString};

use lexopt::Arg;

use environment::Environment;
use options::{LOG, OPTIONS, OptionSpec};
pub use settings::Config;
pub use verb::{Inspection, Subject, Verb};

/// What every environment variable of restartinit's begins with.
pub const PREFIX: &str = "RESTARTINIT_";
/// Where Kubernetes looks for the reason of an end, unless told otherwise.
pub const TERMINATION_LOG: &str = "/dev/termination-log";
/// Told to the command: which run of it this is, from 1.
pub const GENERATION: &str = "RESTARTINIT_GENERATION";
/// Told to the command from the second generation on: how the one before ended.
pub const LAST_EXIT: &str = "RESTARTINIT_LAST_EXIT";
/// Told to the command under `--standby`: whether it is started to serve or to wait.
pub const ROLE: &str = "RESTARTINIT_ROLE";

/// What the command line asks for.
#[derive(PartialEq, Eq, Debug)]
pub enum Request {
    Supervise {
        config: Box<Config>,
        command: Vec<OsString>,
        /// Lines to log once there is a logger.
        warnings: Vec<String>,
        /// The variables that are settings of ours: none of the command's, which may be a restartinit itself.
        settings_read: Vec<String>,
    },
    /// Print this on stdout and exit 0.
    Print(String),
    /// Ask a restartinit of this container, or its command.
    Verb {
        verb: Verb,
        /// Which one; `None`: the one there is.
        pid: Option<i32>,
    },
}

/// A command line or an environment that cannot be followed: one line for a person.
#[derive(PartialEq, Eq, Debug)]
pub struct UsageError(pub String);

impl std::fmt::Display for UsageError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for UsageError {}

/// A value as it was given: by which flag or variable, and the text.
struct Given {
    by: String,
    text: String,
}

#[derive(Default)]
struct Flags {
    /// One place for each of [`OPTIONS`].
    values: Vec<Option<Given>>,
    log: Option<Given>,
    print_config: bool,
}

impl Flags {
    /// An option that means nothing to a verb, if one was given. The level may be: an alias has it for all uses.
    fn first_given(&self) -> Option<&str> {
        let given = self.values.iter().flatten().map(|given| given.by.as_str()).next();
        given.or(self.print_config.then_some("--print-config"))
    }
}

/// Reads the arguments (without the program's name) and the environment.
///
/// # Errors
/// One line that names the option or variable, the value, and what is accepted.
pub fn read<N, V>(args: impl IntoIterator<Item = OsString>, env: impl IntoIterator<Item = (N, V)>) -> Result<Request, UsageError>
where
    N: AsRef<OsStr>,
    V: AsRef<OsStr>,
{
    let mut flags = Flags { values: OPTIONS.iter().map(|_| None).collect(), ..Flags::default() };
    let mut parser = lexopt::Parser::from_args(args);
    let mut command = Vec::new();
    loop {
        // After `--`, even `status` is a command.
        let verbs = parser.try_raw_args().is_none_or(|raw| raw.peek() != Some(OsStr::new("--")));
        let Some(arg) = parser.next().map_err(usage)? else { break };
        match arg {
            Arg::Short('h') | Arg::Long("help") => return Ok(Request::Print(options::help())),
            Arg::Short('V') | Arg::Long("version") => {
                return Ok(Request::Print(format!("restartinit {}\n", env!("CARGO_PKG_VERSION"))));
            }
            Arg::Short('v') => {
                let debug = flags.log.as_ref().is_some_and(|given| given.text != "error");
                flags.log = Some(Given { by: "-v".to_owned(), text: (if debug { "debug" } else { "info" }).to_owned() });
            }
            Arg::Short('q') => flags.log = Some(Given { by: "-q".to_owned(), text: "error".to_owned() }),
            Arg::Long("print-config") => flags.print_config = true,
            Arg::Long(name) => {
                let name = name.to_owned();
                read_option(&name, &mut parser, &mut flags)?;
            }
            Arg::Short(letter) => {
                let known = foreign::hint(letter.encode_utf8(&mut [0; 4]));
                return Err(UsageError(known.unwrap_or_else(|| format!("unknown option -{letter} (see restartinit -h)"))));
            }
            Arg::Value(first) => {
                let rest = parser.raw_args().map_err(usage)?;
                if verbs && let Some(verb) = verb::known(&first) {
                    return verb::read(verb, flags.first_given(), rest);
                }
                command.push(first);
                command.extend(rest);
                break;
            }
        }
    }
    let Environment { warnings, settings_read } = environment::read(env, &mut flags)?;
    let mut config = Config::default();
    for (option, given) in OPTIONS.iter().zip(&flags.values).chain([(&LOG, &flags.log)]) {
        if let Some(Given { by, text }) = given {
            (option.set)(&mut config, text).map_err(|accepted| UsageError(format!("{by}: bad value {text:?}: expected {accepted}")))?;
        }
    }
    conflict(&config)?;
    if flags.print_config {
        return Ok(Request::Print(print_config(&config, &flags)));
    }
    if command.is_empty() {
        return Err(UsageError("no command to run: restartinit [OPTIONS] [--] COMMAND [ARG...] (see restartinit -h)".to_owned()));
    }
    Ok(Request::Supervise { config: Box::new(config), command, warnings, settings_read })
}

/// Settings that are good by themselves, but not together.
fn conflict(config: &Config) -> Result<(), UsageError> {
    let Some(url) = config.check.as_ref().filter(|url| url.is_tcp()) else { return Ok(()) };
    let (option, why) = match () {
        () if config.holds_ports() => ("--hold-port", "the port is held, and takes connections while the app is gone"),
        () if !config.listen.is_empty() => ("--listen", "the socket is restartinit's, and takes connections while the app is gone"),
        () => return Ok(()),
    };
    Err(UsageError(format!("--check: {url} tells nothing with {option}: {why} (give it http://, which the app must answer)")))
}

fn usage(error: lexopt::Error) -> UsageError {
    UsageError(format!("{error} (see restartinit -h)"))
}

fn read_option(name: &str, parser: &mut lexopt::Parser, flags: &mut Flags) -> Result<(), UsageError> {
    let Some((option, slot)) = OPTIONS.iter().zip(&mut flags.values).find(|(option, _)| option.name == name) else {
        return Err(UsageError(match (foreign::hint(name), nearest(name)) {
            (Some(known), _) => known,
            (None, (apart, near)) if apart <= 1 + near.len() / 3 => {
                format!("unknown option --{name}: did you mean --{near}? (see restartinit -h)")
            }
            _ => format!("unknown option --{name} (see restartinit -h)"),
        }));
    };
    let by = format!("--{name}");
    let text = match option.value {
        Some(value) => {
            let missing = |_| UsageError(format!("{by}: a value is missing: {by} {value} (see restartinit -h)"));
            utf8(&by, parser.value().map_err(missing)?)?
        }
        None => match parser.optional_value() {
            Some(value) => utf8(&by, value)?,
            None => "on".to_owned(),
        },
    };
    let text = match slot.take() {
        Some(before) if option.repeatable => format!("{},{text}", before.text),
        _ => text,
    };
    *slot = Some(Given { by, text });
    Ok(())
}

fn utf8(by: &str, value: OsString) -> Result<String, UsageError> {
    value.into_string().map_err(|raw| UsageError(format!("{by}: the value {:?} is not UTF-8", raw.to_string_lossy())))
}

/// The option whose name is nearest to a mistaken one, and how many letters apart they are.
fn nearest(name: &str) -> (usize, &'static str) {
    let names = OPTIONS.iter().map(|option| option.name).chain(["print-config", LOG.name]);
    names.map(|option| (strsim::levenshtein(name, option), option)).min().unwrap_or_default()
}

fn print_config(config: &Config, flags: &Flags) -> String {
    let defaults = Config::default();
    let line = |(option, given): (&OptionSpec, &Option<Given>)| {
        let implied = (option.get)(config) != (option.get)(&defaults);
        let source = given.as_ref().map_or(if implied { "implied" } else { "default" }, |given| given.by.as_str());
        format!("{:<18} {:<32} ({source})\n", option.name, (option.get)(config))
    };
    OPTIONS.iter().zip(&flags.values).chain([(&LOG, &flags.log)]).map(line).collect()
}

#[cfg(test)]
mod tests;
