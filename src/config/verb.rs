//! The verbs: words that, as the first operand, ask the restartinit of this container instead of starting one. Pure. The environment is
//! not looked at: it is there for the restartinit that is asked.

use std::ffi::{OsStr, OsString};

use super::{Request, UsageError, Verb, options};

const VERBS: [(&str, Verb); 3] = [("status", Verb::Status { json: false }), ("health", Verb::Health), ("restart", Verb::Restart)];

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
    let takes = if name == "status" { "nothing but --json" } else { "nothing" };
    let usage = |extra: &str| {
        let line = format!("{name}: unexpected {extra}: {name} takes {takes}; to run a command of that name: restartinit -- {name}");
        Err(UsageError(line))
    };
    if let Some(option) = before {
        return usage(option);
    }
    for word in after {
        match (&mut verb, word.to_str()) {
            (Verb::Status { json }, Some("--json")) => *json = true,
            (_, Some("-h" | "--help")) => return Ok(Request::Print(options::help())),
            _ => return usage(&format!("{:?}", word.to_string_lossy())),
        }
    }
    Ok(Request::Verb(verb))
}
