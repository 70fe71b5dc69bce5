//! A pseudo-terminal. Both sides are opened close-on-exec in one step: tests run side by side, and a descriptor that leaks
//! into another test's processes would keep a terminal open after its end.

use nix::fcntl::{OFlag, open};
use nix::pty::{grantpt, posix_openpt, ptsname_r, unlockpt};
use nix::sys::stat::Mode;
use nix::sys::termios::{LocalFlags, OutputFlags, SetArg, tcgetattr, tcsetattr};
use std::fs::File;
use std::os::fd::OwnedFd;

pub struct Terminal {
    /// The side of the person.
    pub person: File,
    /// The side of the programs.
    pub programs: OwnedFd,
}

/// Without echo and newline translation, so that the screen shows what programs wrote and nothing else.
pub fn open_terminal() -> Terminal {
    let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    let person = posix_openpt(flags).expect("a terminal");
    grantpt(&person).expect("grantpt");
    unlockpt(&person).expect("unlockpt");
    let name = ptsname_r(&person).expect("ptsname");
    let programs = open(name.as_str(), flags, Mode::empty()).expect("the terminal's other side");
    let mut settings = tcgetattr(&programs).expect("tcgetattr");
    settings.local_flags.remove(LocalFlags::ECHO);
    settings.output_flags.remove(OutputFlags::OPOST);
    tcsetattr(&programs, SetArg::TCSANOW, &settings).expect("tcsetattr");
    let person = File::from(OwnedFd::from(person));
    Terminal { person, programs }
}
