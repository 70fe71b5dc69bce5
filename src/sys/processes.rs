//! The process table, `/proc`.

use std::io::{self, Read as _};

use nix::dir::Dir;
use nix::fcntl::OFlag;
use nix::sys::stat::Mode;

use crate::supervisor::family::{Process, read_stat};

/// Every process that `/proc` shows.
///
/// # Errors
/// That of reading `/proc`: not mounted, of another PID namespace, or no descriptor left.
pub fn list() -> io::Result<Vec<Process>> {
    // A /proc of another PID namespace speaks of pids that are somebody else's here.
    let own = std::fs::read_link("/proc/self")?;
    if own.to_str().and_then(|pid| pid.parse().ok()) != Some(std::process::id()) {
        return Err(io::Error::other("it shows another PID namespace"));
    }
    let mut processes = Vec::new();
    // Not std's: that one panics where closedir(3) fails.
    let mut folder = Dir::open("/proc", OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())?;
    for entry in folder.iter() {
        let entry = entry?;
        let name = entry.file_name().to_str().unwrap_or_default();
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_digit()) {
            continue;
        }
        // A process that ends between the listing and the reading is no error.
        match std::fs::read(format!("/proc/{name}/stat")) {
            Ok(stat) => processes.extend(read_stat(&stat)),
            Err(error) if matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM)) => return Err(error),
            Err(_) => {}
        }
    }
    Ok(processes)
}

/// Whether a process is stopped by a signal or held by a debugger.
pub fn is_stopped(pid: i32) -> bool {
    let stat = std::fs::read(format!("/proc/{pid}/stat"));
    stat.ok().and_then(|stat| read_stat(&stat)).is_some_and(|process| process.stopped)
}

/// `/proc/PID/environ`; `None` where it cannot be read, as of another user's process.
pub fn environ(pid: i32) -> Option<Vec<u8>> {
    std::fs::read(format!("/proc/{pid}/environ")).ok()
}

/// `/proc/PID/status`, read into `buffer`: as much of it as that holds.
pub fn status(pid: i32, buffer: &mut [u8]) -> Option<&str> {
    let length = std::fs::File::open(format!("/proc/{pid}/status")).and_then(|mut file| file.read(buffer)).ok()?;
    std::str::from_utf8(buffer.get(..length)?).ok()
}
