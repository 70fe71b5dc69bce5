//! The process table, `/proc`.

#![expect(unsafe_code, reason = "getdents64(2) and pidfds by the raw calls")]

mod left_to_do;

use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd, RawFd};

use nix::unistd::Pid;

use crate::procfs::process_tree::{self, Process, read_stat};
use crate::procfs::status::{self, SignalStatus};
use crate::procfs::{listeners, number};
use crate::signal::Signal;

pub use left_to_do::left_to_do;

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
    for pid in numbers("/proc")? {
        // A process that ends between the listing and the reading is no error.
        match look(pid) {
            Ok(process) => processes.extend(process),
            Err(error) if is_short(&error) => return Err(error),
            Err(_) => {}
        }
    }
    Ok(processes)
}

/// The names in a folder that are numbers.
fn numbers(folder: &str) -> io::Result<Vec<Pid>> {
    let folder = std::fs::File::open(folder)?;
    let (mut found, mut buffer) = (Vec::new(), [0; 8192]);
    while read_numbers(&folder, &mut buffer, |number| found.push(Pid::from_raw(number)))? {}
    Ok(found)
}

/// The threads of a process.
fn threads(pid: Pid) -> io::Result<Vec<Pid>> {
    numbers(&format!("/proc/{pid}/task"))
}

/// The descriptors of a process.
fn descriptors(pid: Pid) -> io::Result<Vec<i32>> {
    Ok(numbers(&format!("/proc/{pid}/fd"))?.into_iter().map(Pid::as_raw).collect())
}

/// Some of the names in a folder that are numbers; false: there are no more.
fn read_numbers(folder: &std::fs::File, buffer: &mut [u8], mut each: impl FnMut(i32)) -> io::Result<bool> {
    let length = entries(folder, buffer)?;
    let mut left = buffer.get(..length).unwrap_or_default();
    let is_more = !left.is_empty();
    while let Some((name, rest)) = first_entry(left) {
        left = rest;
        number(name).into_iter().for_each(&mut each);
    }
    Ok(is_more)
}

/// A descriptor of a process that is a socket.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SocketDescriptor {
    pub number: i32,
    pub inode: u64,
}

/// Goes through the descriptors of a process that are sockets, from `first` on, until `is_done` says so of one, or has it stop in between.
/// Gives back which descriptor comes next; `None`: all were seen.
///
/// # Errors
/// That of `/proc/PID/fd`: gone, or another user's.
pub fn sockets_of(pid: Pid, first: i32, mut is_done: impl FnMut(Option<SocketDescriptor>) -> bool) -> io::Result<Option<i32>> {
    /// The kernel's first two names there are `.` and `..`, and a position is a descriptor's number after those.
    const DOTS: i64 = 2;
    let mut folder = std::fs::File::open(format!("/proc/{pid}/fd"))?;
    if first > 0 {
        folder.seek(SeekFrom::Start((i64::from(first) + DOTS).unsigned_abs()))?;
    }
    let (mut numbers, mut buffer) = (Vec::new(), [0; 2048]);
    while read_numbers(&folder, &mut buffer, |number| numbers.push(number))? {
        for number in numbers.drain(..) {
            let inode = match socket_at(pid, number) {
                // Who may override file modes sees the names of another user's descriptors, and not what they are.
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Err(error),
                // It was closed meanwhile.
                inode => inode.ok().flatten(),
            };
            let descriptor = inode.map(|inode| SocketDescriptor { number, inode });
            if (descriptor.is_some() && is_done(descriptor)) || (number % 64 == 0 && is_done(None)) {
                return Ok(Some(number + 1));
            }
        }
    }
    Ok(None)
}

/// The inode of the socket that a descriptor of a process is.
///
/// # Errors
/// That of readlink(2): it is closed, or another user's.
pub fn socket_at(pid: Pid, descriptor: i32) -> io::Result<Option<u64>> {
    let name = std::fs::read_link(format!("/proc/{pid}/fd/{descriptor}"))?;
    Ok(listeners::of_descriptor(name.as_os_str().as_encoded_bytes()))
}

/// The first and the last port of those that the kernel chooses from.
pub fn ephemeral_ports() -> Option<(u16, u16)> {
    listeners::ephemeral_ports(&std::fs::read("/proc/sys/net/ipv4/ip_local_port_range").ok()?)
}

/// What a process calls itself, fit to be shown on a terminal; `None`: it cannot be seen.
pub fn name(pid: Pid) -> Option<String> {
    let name = std::fs::read(format!("/proc/{pid}/comm")).ok()?;
    Some(String::from_utf8_lossy(name.trim_ascii_end()).chars().map(|c| if c.is_control() { '?' } else { c }).collect())
}

/// `/proc/PID/cmdline`; empty where it cannot be read.
pub fn command_line(pid: Pid) -> Vec<u8> {
    std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default()
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

/// One process; `None`: what its file says makes no sense.
fn look(pid: Pid) -> io::Result<Option<Process>> {
    std::fs::read(format!("/proc/{pid}/stat")).map(|stat| read_stat(&stat))
}

/// One process; `None`: it is gone, or cannot be seen now.
pub fn one(pid: Pid) -> Option<Process> {
    look(pid).ok().flatten()
}

/// Whether a process is there, and has not ended.
pub fn lives(pid: Pid) -> bool {
    one(pid).is_some_and(|process| !process.ended)
}

/// Whether a process has ended, or is about to. One that may not be looked at at all (hidepid=1) lives, as far as anybody can tell.
pub fn is_ending(pid: Pid) -> bool {
    match std::fs::read(format!("/proc/{pid}/stat")) {
        Ok(stat) => process_tree::is_ending(&stat),
        Err(error) => error.kind() != io::ErrorKind::PermissionDenied && proc_is_mounted(),
    }
}

/// What became of a signal to a process.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Delivery {
    Sent,
    Gone,
    /// We may not signal it.
    Refused,
    /// The machine is short of something now: it may be there.
    Unknown,
}

/// Sends a signal to a process of a list: to this one, never to a later one that was given its pid. `own_pid`: children of ours keep
/// theirs until we reap them.
pub fn send(process: &Process, signal: Signal, own_pid: Pid) -> Delivery {
    if process.parent == own_pid {
        return delivery(kill(process.pid, signal));
    }
    // Whoever has the pid when this is opened keeps it for us. Where the kernel has no such thing, a look before the call has to do.
    let descriptor = pidfd(process.pid);
    match look(process.pid) {
        Ok(Some(now)) if now.is(process) => {}
        Err(error) if is_short(&error) => return Delivery::Unknown,
        _ => return Delivery::Gone,
    }
    let Some(descriptor) = descriptor else { return delivery(kill(process.pid, signal)) };
    let none = std::ptr::null::<libc::siginfo_t>();
    // SAFETY: a null siginfo is allowed and means what kill(2) sends.
    let sent = unsafe { libc::syscall(libc::SYS_pidfd_send_signal, descriptor.as_raw_fd(), signal.number(), none, 0) };
    match delivery(sent) {
        // That may be a seccomp profile's word on the call itself.
        Delivery::Refused | Delivery::Unknown => delivery(kill(process.pid, signal)),
        delivery => delivery,
    }
}

/// Whether the machine is short of something now, and the same may succeed later.
pub fn is_short(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM))
}

fn pidfd(pid: Pid) -> Option<OwnedFd> {
    // SAFETY: a plain system call on integers.
    let fd = RawFd::try_from(unsafe { libc::syscall(libc::SYS_pidfd_open, pid.as_raw(), 0) }).ok().filter(|fd| *fd >= 0)?;
    // SAFETY: the kernel has just opened it for us: it is nobody else's. It is closed on exec.
    Some(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn kill(pid: Pid, signal: Signal) -> i64 {
    // SAFETY: a plain system call on integers.
    i64::from(unsafe { libc::kill(pid.as_raw(), signal.number()) })
}

fn delivery(result: i64) -> Delivery {
    match (result, io::Error::last_os_error().raw_os_error()) {
        (0, _) => Delivery::Sent,
        (_, Some(libc::EPERM)) => Delivery::Refused,
        (_, Some(libc::ESRCH)) => Delivery::Gone,
        _ => Delivery::Unknown,
    }
}

/// `/proc/PID/environ`; `None` where it cannot be read, as of another user's process.
pub fn environ(pid: Pid) -> Option<Vec<u8>> {
    std::fs::read(format!("/proc/{pid}/environ")).ok()
}

/// What becomes of signals that a process gets; `None`: it cannot be read.
pub fn signal_status(pid: Pid) -> Option<SignalStatus> {
    let read = |file| std::fs::read(format!("/proc/{pid}/{file}")).ok();
    let waits = read("syscall").is_some_and(|text| status::is_in_call(&text, libc::SYS_rt_sigtimedwait));
    let status = SignalStatus::parse(&read("status")?)?;
    Some(if waits { status.waiting() } else { status })
}

/// The resident memory of a process, in bytes.
pub fn resident(pid: Pid) -> Option<u64> {
    let mut buffer = [0; 256];
    let length = std::fs::File::open(format!("/proc/{pid}/statm")).and_then(|mut file| file.read(&mut buffer)).ok()?;
    // SAFETY: no precondition.
    let page_size = u64::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).ok()?;
    status::resident(buffer.get(..length)?, page_size)
}

/// Whether what we spawn comes into another PID namespace than our own: whoever called unshare(2) is still in the old one. While that has
/// no process, the kernel shows no name for it.
pub fn spawns_elsewhere() -> bool {
    const CHILDREN: &str = "/proc/self/ns/pid_for_children";
    let own = std::fs::read_link("/proc/self/ns/pid").ok();
    // Kernels before 4.12 do not show it.
    own.is_some() && std::fs::symlink_metadata(CHILDREN).is_ok() && std::fs::read_link(CHILDREN).ok() != own
}

/// Whether there is a /proc at all.
pub fn proc_is_mounted() -> bool {
    std::path::Path::new("/proc/self").symlink_metadata().is_ok()
}

#[cfg(test)]
mod tests {
    use nix::unistd::{getpid, getppid};

    use super::*;

    #[test]
    fn the_list_has_this_process_and_its_parent() {
        let pids: Vec<Pid> = list().unwrap().iter().map(|process| process.pid).collect();
        for pid in [getpid(), getppid()] {
            assert!(pids.contains(&pid), "{pids:?}");
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

    #[test]
    fn no_signal_reaches_another_process_of_the_same_pid() {
        let mut child = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
        let this = one(Pid::from_raw(child.id() as i32)).unwrap();
        let nobody = Pid::from_raw(0);
        let earlier = Process { start: this.start - 1, ..this };
        assert_eq!(send(&earlier, Signal::KILL, nobody), Delivery::Gone, "whoever had the pid before is gone");
        assert!(child.try_wait().unwrap().is_none(), "and this one lives");
        assert_eq!(send(&this, Signal::KILL, nobody), Delivery::Sent);
        child.wait().unwrap();
        assert_eq!(send(&this, Signal::KILL, nobody), Delivery::Gone);
    }
}
