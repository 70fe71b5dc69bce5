//! The process table, `/proc`.

#![allow(unsafe_code)]

use std::io::{self, Read as _};
use std::os::fd::AsRawFd as _;

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
    let folder = std::fs::File::open("/proc")?;
    let mut buffer = [0; 8192];
    loop {
        let length = entries(&folder, &mut buffer)?;
        let mut left = buffer.get(..length).unwrap_or_default();
        if left.is_empty() {
            break;
        }
        while let Some((name, rest)) = first_entry(left) {
            left = rest;
            if name.is_empty() || !name.iter().all(u8::is_ascii_digit) {
                continue;
            }
            let name = String::from_utf8_lossy(name);
            // A process that ends between the listing and the reading is no error.
            match std::fs::read(format!("/proc/{name}/stat")) {
                Ok(stat) => processes.extend(read_stat(&stat)),
                Err(error) if matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM)) => return Err(error),
                Err(_) => {}
            }
        }
    }
    Ok(processes)
}

/// getdents64(2) itself: std panics where closedir(3) fails, and others leak.
fn entries(folder: &std::fs::File, buffer: &mut [u8]) -> io::Result<usize> {
    // SAFETY: the kernel writes at most `buffer.len()` bytes to it.
    let length = unsafe { libc::syscall(libc::SYS_getdents64, folder.as_raw_fd(), buffer.as_mut_ptr(), buffer.len()) };
    usize::try_from(length).map_err(|_| io::Error::last_os_error())
}

/// The first name in what [`entries`] has read, and what comes after it.
fn first_entry(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    const LENGTH_AT: usize = 16;
    const NAME_AT: usize = 19;
    let length = u16::from_ne_bytes(*bytes.get(LENGTH_AT..)?.first_chunk()?);
    let (entry, rest) = bytes.split_at_checked(length.into())?;
    let name = entry.get(NAME_AT..)?;
    Some((name.split(|byte| *byte == 0).next()?, rest))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_has_this_process_and_its_parent() {
        let pids: Vec<i32> = list().unwrap().iter().map(|process| process.pid).collect();
        for pid in [std::process::id(), std::os::unix::process::parent_id()] {
            assert!(pids.contains(&(pid as i32)), "{pids:?}");
        }
        let mut sorted = pids.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(sorted.len(), pids.len(), "each once");
    }

    #[test]
    fn torn_entries_are_no_entries() {
        for bytes in [&[][..], &[0; 16], &[0; 18], &[255; 40]] {
            assert_eq!(first_entry(bytes), None);
        }
    }
}
