//! The verbs: words that, as the first operand, ask the restartinit of this container, or its command, instead of starting one. Pure. The
//! environment is not looked at: it is there for the restartinit that is asked.

use std::ffi::{OsStr, OsString};
use std::time::Duration;

use super::{Request, UsageError, numbers, options};

/// What the restartinit of this container is asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verb {
    Status { json: bool },
    Health,
    Restart { is_forced: bool },
    Inspect(Inspection),
}

/// What a Node of this container is asked by its own inspector.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Inspection {
    pub subject: Subject,
    /// Of which generation; `None`: the active one.
    pub generation: Option<u32>,
    /// Of which process, whatever its generation: nobody is asked who runs.
    pub process: Option<i32>,
    /// How long a stack may take, and whatever is to be closed after it; `None`: a few seconds, and then as long as that takes.
    pub within: Option<Duration>,
}

/// What is asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Subject {
    Stack { json: bool },
    Profile { over: Duration },
    Heap { is_forced: bool },
}

impl Inspection {
    /// With nothing said but that.
    const fn verb(subject: Subject) -> Verb {
        Verb::Inspect(Inspection { subject, generation: None, process: None, within: None })
    }
}

const VERBS: [(&str, Verb); 6] = [
    ("status", Verb::Status { json: false }),
    ("health", Verb::Health),
    ("restart", Verb::Restart { is_forced: false }),
    ("stack", Inspection::verb(Subject::Stack { json: false })),
    ("profile", Inspection::verb(Subject::Profile { over: Duration::from_secs(5) })),
    ("heap", Inspection::verb(Subject::Heap { is_forced: false })),
];

/// A snapshot or a profile of longer is no use to anybody.
const LONGEST_PROFILE: Duration = Duration::from_secs(3600);

/// The verb that this word is.
pub(super) fn known(word: &OsStr) -> Option<(&'static str, Verb)> {
    VERBS.into_iter().find(|(name, _)| *name == word)
}

/// A verb with what stands before and after it.
///
/// # Errors
/// One line that names what does not belong, and how to run a command of that name.
pub(super) fn read(
    (name, mut verb): (&'static str, Verb),
    before: Option<&str>,
    after: impl IntoIterator<Item = OsString>,
) -> Result<Request, UsageError> {
    let takes = match verb {
        Verb::Status { .. } => "nothing but --json and --pid N",
        Verb::Restart { .. } => "nothing but --force and --pid N",
        Verb::Health => "nothing but --pid N",
        Verb::Inspect(Inspection { subject: Subject::Stack { .. }, .. }) => {
            "nothing but --json, --generation N, --process N, --within D and --pid N"
        }
        Verb::Inspect(Inspection { subject: Subject::Profile { .. }, .. }) => {
            "nothing but a duration, --generation N, --process N and --pid N"
        }
        Verb::Inspect(Inspection { subject: Subject::Heap { .. }, .. }) => "nothing but --force, --generation N, --process N and --pid N",
    };
    let wrong =
        |what: String| UsageError(format!("{name}: {what}: {name} takes {takes}; to run a command of that name: restartinit -- {name}"));
    if let Some(option) = before {
        return Err(wrong(format!("unexpected {option}")));
    }
    let mut pid = None;
    let mut after = after.into_iter();
    while let Some(word) = after.next() {
        let text = word.to_string_lossy();
        let (option, mut value) = match text.split_once('=') {
            Some((option, value)) if option.starts_with("--") => (option, Some(value.to_owned())),
            _ => (text.as_ref(), None),
        };
        let unexpected = || wrong(format!("unexpected {text:?}"));
        let mut value = |expected: &str| {
            let value = value.take().unwrap_or_else(|| after.next().unwrap_or_default().to_string_lossy().into_owned());
            let bad = wrong(format!("{option}: bad value {value:?}: expected {expected}"));
            (value, bad)
        };
        match (&mut verb, option) {
            (_, "-h" | "--help") => return Ok(Request::Print(options::help())),
            (_, "--pid") => {
                let (value, bad) = value("the pid of a restartinit");
                pid = Some(number(&value).ok_or(bad)?);
            }
            (Verb::Inspect(asked), "--generation") => {
                let (value, bad) = value("the number of a generation that runs");
                asked.generation = Some(number(&value).ok_or(bad)?.unsigned_abs());
            }
            (Verb::Inspect(asked), "--process") => {
                let (value, bad) = value("the pid of a Node");
                asked.process = Some(number(&value).ok_or(bad)?);
            }
            (Verb::Inspect(Inspection { subject: Subject::Stack { .. }, within, .. }), "--within") => {
                let (value, bad) = value("a duration above 0 such as 2s");
                *within = Some(duration(&value).ok_or(bad)?);
            }
            _ if text.contains('=') => return Err(unexpected()),
            (Verb::Status { json } | Verb::Inspect(Inspection { subject: Subject::Stack { json }, .. }), "--json") => *json = true,
            (Verb::Restart { is_forced } | Verb::Inspect(Inspection { subject: Subject::Heap { is_forced }, .. }), "--force") => {
                *is_forced = true
            }
            (Verb::Inspect(Inspection { subject: Subject::Profile { over }, .. }), text) => {
                *over = duration(text).ok_or_else(unexpected)?
            }
            _ => return Err(unexpected()),
        }
    }
    Ok(Request::Verb { verb, pid })
}

fn number(text: &str) -> Option<i32> {
    text.parse().ok().filter(|number| *number > 0)
}

fn duration(text: &str) -> Option<Duration> {
    numbers::positive_duration(text).ok().filter(|duration| *duration <= LONGEST_PROFILE)
}
