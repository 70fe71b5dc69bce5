//! What a process may do: user, group, capabilities, user namespace; read from `/proc`, our own capabilities by one call. Judges nothing.

#![expect(unsafe_code, reason = "capget(2), which has no wrapper")]

use std::fs;
use std::io;

use libc::c_int;
use nix::unistd::{Gid, Pid, Uid, geteuid, setgid, setgroups, setuid};

use crate::node::permission::Credentials;

/// The kernel's structs for capget(2).
#[repr(C)]
struct CapabilityHeader {
    version: u32,
    pid: c_int,
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct CapabilitySets {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

const CAPABILITY_VERSION_3: u32 = 0x2008_0522;
const CAP_SYS_PTRACE: u32 = 1 << 19;

/// Reads those of a process; our own are those of pid `self`.
///
/// # Errors
/// That of reading `/proc/PID/status`, or InvalidData where it is not as expected.
pub fn of(pid: &str) -> io::Result<Credentials> {
    let status = fs::read(format!("/proc/{pid}/status"))?;
    let credentials = Credentials::parse(&status).ok_or(io::ErrorKind::InvalidData)?;
    let namespace = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/user")).ok();
    let same_user_namespace = namespace(pid).zip(namespace("self")).map(|(its, ours)| its == ours);
    Ok(Credentials { same_user_namespace, ..credentials })
}

/// Makes root another process' user, for good: what it may see of that, root may not in a container without CAP_SYS_PTRACE. Whoever is no root stays
/// who it is.
pub fn take(pid: Pid) {
    let Ok(theirs) = of(&pid.to_string()) else { return };
    if geteuid().is_root() && theirs.euid != 0 {
        // Where one is refused, as without CAP_SETUID, root looks as root.
        let group = Gid::from_raw(theirs.egid);
        let _ = setgroups(&[]).and_then(|()| setgid(group)).and_then(|()| setuid(Uid::from_raw(theirs.euid)));
    }
}

/// Whether we are root, and may not look into the processes of others: without CAP_SYS_PTRACE, as in a container of Docker's.
pub fn is_root_that_may_not_trace() -> bool {
    geteuid().is_root() && effective_capabilities().is_none_or(|effective| effective & CAP_SYS_PTRACE == 0)
}

/// Our own capabilities that are in force, the first 32 of them.
fn effective_capabilities() -> Option<u32> {
    let header = CapabilityHeader { version: CAPABILITY_VERSION_3, pid: 0 };
    let mut sets = [CapabilitySets::default(); 2];
    // SAFETY: the kernel reads the header, and writes two structs of its version 3.
    let code = unsafe { libc::syscall(libc::SYS_capget, &raw const header, sets.as_mut_ptr()) };
    (code == 0).then_some(sets[0].effective)
}

/// The first port that needs no capability.
pub fn first_free_port() -> u16 {
    let read = fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start");
    read.ok().and_then(|text| text.trim().parse().ok()).unwrap_or(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_are_seen() {
        let own = of("self").unwrap();
        assert_eq!(own.euid, std::os::unix::fs::MetadataExt::uid(&fs::metadata("/proc/self").unwrap()));
        assert_eq!(own.same_user_namespace, Some(true));
        assert_eq!(of(&std::process::id().to_string()).unwrap(), own);
        assert!(of("0").is_err());
        assert_eq!(effective_capabilities().map(u64::from), Some(own.effective & u64::from(u32::MAX)));
        let told = fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start").unwrap();
        assert_eq!(first_free_port().to_string(), told.trim());
    }
}
