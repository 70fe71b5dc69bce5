//! The porch: arguments and environment to a request, a request to an exit code. The only home of anyhow.

use std::io::Write as _;
use std::process::ExitCode;

use crate::config::{self, Request};
use crate::supervisor::exit::USAGE;
use crate::sys::{signals, stderr};
use crate::{logger, run, verbs};

/// The whole program, but for its allocator.
pub fn main() -> ExitCode {
    // Before anything else: PID 1 loses a signal that it neither handles nor blocks.
    signals::block_all();
    stderr::prepare();
    match serve() {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            let line = logger::one_line(format!("restartinit: {error:#}"));
            stderr::write_line(format!("{line}\n").as_bytes());
            ExitCode::from(USAGE)
        }
    }
}

fn serve() -> anyhow::Result<u8> {
    match config::read(std::env::args_os().skip(1), std::env::vars_os())? {
        Request::Print(text) => {
            // Whoever asked has closed stdout: nobody is left to be told.
            let _ = std::io::stdout().write_all(text.as_bytes());
            Ok(0)
        }
        Request::Supervise { config, command, warnings } => {
            logger::init(&config);
            for warning in warnings {
                log::warn!("{warning}");
            }
            run::supervise(*config, command).map_err(with_words)
        }
        Request::Verb(verb) => Ok(verbs::run(verb)),
    }
}

/// An error with words of its own, such as a port that cannot be bound, needs no more; a bare errno does.
fn with_words(error: std::io::Error) -> anyhow::Error {
    let speaks = error.get_ref().is_some();
    let error = anyhow::Error::from(error);
    if speaks { error } else { error.context("cannot start supervising") }
}
