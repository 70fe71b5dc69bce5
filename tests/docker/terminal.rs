//! A person at `docker run -it`: a terminal to type at, and a screen to read.

use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::process::{Child, Command};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::pty::{grantpt, posix_openpt, ptsname_r, unlockpt};

use crate::container::{Removal, Spec};
use crate::engine::docker;
use crate::transcript::Transcript;

pub const CTRL_C: &str = "\x03";
pub const CTRL_Z: &str = "\x1a";

pub struct Terminal {
    /// What is to be seen on the terminal, echo included.
    pub screen: Transcript,
    keyboard: File,
    client: Child,
    removal: Removal,
}

impl Terminal {
    /// `docker run -it`, on a terminal of its own.
    pub fn open(spec: &Spec) -> Self {
        let (keyboard, terminal) = pseudo_terminal().expect("a pseudo terminal");
        let screen = Transcript::default();
        let (name, arguments) = spec.arguments("-it");
        let removal = Removal { name };
        let end = || terminal.try_clone().expect("a descriptor");
        // No deadline by `timeout` here, which would stand between the terminal and the client: the waits have theirs.
        let client = Command::new("docker").args(arguments).stdin(end()).stdout(end()).stderr(end()).spawn();
        let client = client.expect("docker can be run");
        screen.follow(keyboard.try_clone().expect("a descriptor"));
        Self { screen, keyboard, client, removal }
    }

    pub fn press(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).expect("the terminal is open");
    }

    /// Types a line for a shell, and waits until it has printed `answer`.
    pub fn enter(&mut self, line: &str, answer: &str) {
        self.press(&format!("{line}\n"));
        self.screen.wait_for(answer);
    }

    pub fn signal(&self, signal: &str) {
        docker(["kill", "--signal", signal, &self.removal.name]);
    }

    /// Waits for the end of `docker run`; returns its exit code and the whole screen.
    pub fn close(mut self) -> (Option<i32>, String) {
        // Its end closes the terminal, and so the screen: that wait has the deadline.
        let screen = self.screen.wait_for_end();
        (self.client.wait().expect("a child of ours").code(), screen)
    }
}

/// The two ends. Unlike those of openpty(3) they are close-on-exec from the start: a client that another test starts at the same
/// moment would hold the terminal open otherwise.
fn pseudo_terminal() -> nix::Result<(File, File)> {
    let user = posix_openpt(OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC)?;
    grantpt(&user)?;
    unlockpt(&user)?;
    let mut terminal = File::options();
    terminal.read(true).write(true).custom_flags(OFlag::O_NOCTTY.bits());
    let terminal = terminal.open(ptsname_r(&user)?).map_err(|_| Errno::last())?;
    Ok((File::from(OwnedFd::from(user)), terminal))
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.client.kill();
        let _ = self.client.wait();
    }
}
