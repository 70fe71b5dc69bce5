//! The command line: arguments and environment to a request, a request to an exit code. The only home of anyhow.

use std::ffi::OsString;
use std::io::Write as _;
use std::time::Duration;

use anyhow::Context as _;
use nix::unistd::Pid;

use crate::config::{self, Request};
use crate::supervisor::exit::USAGE;
use crate::sys::{environment, signals, stderr, stdio};
use crate::{control, event_loop, logger};

/// How long the line of a usage error may take to be read.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// The whole program, but for its allocator. `arguments` are those after the program's name; gives back the exit code.
pub fn main(arguments: impl Iterator<Item = OsString>) -> u8 {
    // Before anything else: PID 1 loses a signal that it neither handles nor blocks.
    signals::block_all();
    let filled = stdio::fill_closed();
    stderr::prepare();
    let filled = filled.context("descriptors 0 to 2 are not all open, and nothing can be opened in their place");
    filled.and_then(|()| serve(arguments)).unwrap_or_else(|error| {
        let line = logger::one_line(format!("restartinit: {error:#}"));
        stderr::write_line(format!("{line}\n").as_bytes());
        stderr::flush_within(LAST_WORDS);
        USAGE
    })
}

fn serve(arguments: impl Iterator<Item = OsString>) -> anyhow::Result<u8> {
    match config::read(arguments, environment::variables())? {
        Request::Print(text) => {
            let mut out = std::io::stdout();
            // Whoever asked has closed stdout: nobody is left to be told.
            let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
            Ok(0)
        }
        Request::Supervise { config, command, warnings, settings_read } => {
            logger::init(&config);
            for warning in warnings {
                log::warn!("{warning}");
            }
            event_loop::supervise(*config, command, &settings_read).map_err(with_words)
        }
        Request::Verb { verb, pid } => Ok(control::run(verb, pid.map(Pid::from_raw))),
    }
}

/// An error with words of its own, such as a port that cannot be bound, needs no more; a bare errno does.
fn with_words(error: std::io::Error) -> anyhow::Error {
    let speaks = error.get_ref().is_some();
    let error = anyhow::Error::from(error);
    if speaks { error } else { error.context("cannot start supervising") }
}
