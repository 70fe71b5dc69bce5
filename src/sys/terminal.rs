//! The controlling terminal, if there is one: who is in its foreground.

use std::fs::{File, OpenOptions};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;

use nix::errno::Errno;
use nix::sys::signal::killpg;
use nix::sys::termios::{SetArg, Termios, tcgetattr, tcsetattr};
use nix::unistd::{Pid, getpgid, getpgrp, getpid, getsid, tcgetpgrp, tcsetpgrp};

use crate::errno;

/// The controlling terminal. The command shares our process group there: only so does a Ctrl-C reach both of us.
#[derive(Debug)]
pub struct Terminal {
    device: Device,
    /// We were in the foreground when we started; a background job must not steal the terminal.
    ours: bool,
    /// Its modes at that time.
    modes: Option<Termios>,
}

#[derive(Debug)]
enum Device {
    Standard(BorrowedFd<'static>),
    Opened(File),
}

impl AsFd for Device {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Device::Standard(fd) => *fd,
            Device::Opened(file) => file.as_fd(),
        }
    }
}

impl Terminal {
    /// The controlling terminal, by whichever name it can be had; `None` if there is none. `standard`: descriptors 0 to 2.
    pub fn find(standard: [BorrowedFd<'static>; 3]) -> Option<Terminal> {
        let open = || {
            let flags = libc::O_NOCTTY | libc::O_NONBLOCK;
            OpenOptions::new().read(true).write(true).custom_flags(flags).open("/dev/tty").ok().map(Device::Opened)
        };
        // tcgetpgrp is refused for a terminal that is not the controlling one.
        let controls = |device: &Device| tcgetpgrp(device).is_ok();
        let device = standard.into_iter().map(Device::Standard).find(controls).or_else(|| open().filter(controls))?;
        let ours = tcgetpgrp(&device) == Ok(getpgrp());
        let modes = tcgetattr(&device).ok();
        Some(Terminal { device, ours, modes })
    }

    /// Leaves it to the next generation as the first one found it: with our group in the foreground, and with its modes, since a command
    /// that is killed in raw mode leaves a terminal on which Ctrl-C is a letter.
    pub fn prepare(&self) {
        self.retake();
        // In the background it is somebody else's.
        if self.ours
            && tcgetpgrp(&self.device) == Ok(getpgrp())
            && let Some(modes) = &self.modes
            && let Err(error) = tcsetattr(&self.device, SetArg::TCSANOW, modes)
        {
            log::debug!("cannot restore the terminal's modes: {}", errno::text(error));
        }
    }

    /// Puts our group back into the foreground, if it was there at first and the group that is there now is none of somebody else's:
    /// it is dead, as that of a shell that was the generation before; or the session is our own, as in a container. All signals are blocked here, TTOU as well, or this would stop us.
    fn retake(&self) {
        let Ok(foreground) = tcgetpgrp(&self.device) else { return };
        if !self.ours || foreground == getpgrp() {
            return;
        }
        let dead = foreground.as_raw() <= 0 || killpg(foreground, None) == Err(Errno::ESRCH);
        let own_session = getsid(None) == Ok(getpid());
        if (dead || own_session)
            && let Err(error) = tcsetpgrp(&self.device, getpgrp())
        {
            log::debug!("cannot put the command into the terminal's foreground: {}", errno::text(error));
        }
    }
}

/// Whether a process is in our own process group.
pub fn has_own_group(pid: Pid) -> bool {
    getpgid(Some(pid)) == Ok(getpgrp())
}
