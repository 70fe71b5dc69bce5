//! Why a check was not passed. Pure data.

use std::fmt;
use std::time::Duration;

use nix::errno::Errno;

use crate::errno;
use crate::time::human;

/// Why a check was not passed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Fault {
    /// It answered with this status.
    Status(u16),
    /// What it sent is no answer.
    NoHttp,
    /// It closed the connection before it had answered.
    Closed,
    NoAnswer {
        within: Duration,
    },
    /// It did not answer in time while somebody was attached to its inspector, and may have stood still for that.
    Inspected,
    /// The kernel said so, by this errno.
    Refused(i32),
}

impl Fault {
    /// It is none of the app's: there is no room for a connection here, or the app was held up. `has_passed`: an earlier check was passed, so that
    /// the address is there, and EADDRNOTAVAIL says that every local port is in use.
    pub fn is_excused(self, has_passed: bool) -> bool {
        match self {
            Fault::Refused(errno) => match Errno::from_raw(errno) {
                Errno::EMFILE | Errno::ENFILE | Errno::ENOMEM | Errno::ENOBUFS => true,
                Errno::EADDRNOTAVAIL => has_passed,
                _ => false,
            },
            fault => fault == Fault::Inspected,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Status(status) => write!(f, "it answered {status}"),
            Fault::NoHttp => f.write_str("what it answered is no HTTP"),
            Fault::Closed => f.write_str("it closed the connection without an answer"),
            Fault::NoAnswer { within } => write!(f, "no answer within {}", human(*within)),
            Fault::Inspected => f.write_str("no answer while somebody is attached to its inspector"),
            Fault::Refused(errno) => f.write_str(&errno::text(Errno::from_raw(*errno))),
        }
    }
}
