//! What a process may do, read from `/proc`: user, group, capabilities, user namespace. Judges nothing.

use std::fs;
use std::io;

use nix::unistd::{Gid, Pid, Uid, geteuid, setgid, setgroups, setuid};

use crate::node::permission::Credentials;

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
        let told = fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start").unwrap();
        assert_eq!(first_free_port().to_string(), told.trim());
    }
}
