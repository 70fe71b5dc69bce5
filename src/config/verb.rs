//! The verbs: words that, as the first operand, ask the restartinit of this container instead of starting one. Pure. The environment is
//! not looked at: it is there for the restartinit that is asked.

use std::ffi::{OsStr, OsString};

use super::{Request, UsageError, Verb, options};

const VERBS: [(&str, Verb); 3] =
    [("status", Verb::Status { json: false }), ("health", Verb::Health), ("restart", Verb::Restart { is_forced: false })];

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
    };
    let wrong = |what: &str| {
        let line = format!("{name}: {what}: {name} takes {takes}; to run a command of that name: restartinit -- {name}");
        Err(UsageError(line))
    };
    if let Some(option) = before {
        return wrong(&format!("unexpected {option}"));
    }
    let mut pid = None;
    let mut after = after.into_iter();
    while let Some(word) = after.next() {
        let text = word.to_string_lossy();
        match (&mut verb, text.as_ref()) {
            (Verb::Status { json }, "--json") => *json = true,
            (Verb::Restart { is_forced }, "--force") => *is_forced = true,
            (_, "-h" | "--help") => return Ok(Request::Print(options::help())),
            (_, "--pid") => {
                let value = after.next().unwrap_or_default();
                match number(&value.to_string_lossy()) {
                    Some(number) => pid = Some(number),
                    None => return wrong(&format!("--pid: bad value {value:?}: expected the pid of a restartinit")),
                }
            }
            (_, text) => match text.strip_prefix("--pid=") {
                Some(value) if number(value).is_some() => pid = number(value),
                Some(value) => return wrong(&format!("--pid: bad value {value:?}: expected the pid of a restartinit")),
                None => return wrong(&format!("unexpected {text:?}")),
            },
        }
    }
    Ok(Request::Verb { verb, pid })
}

fn number(text: &str) -> Option<i32> {
    text.parse().ok().filter(|number| *number > 0)
}
