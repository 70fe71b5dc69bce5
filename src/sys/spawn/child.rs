//! The child's side of a spawn: its stack, and what it does between clone(2) and execve(2).

#![expect(unsafe_code, reason = "clone(2), and the child between it and execve(2)")]

use std::io;
use std::os::fd::AsRawFd as _;
use std::ptr;

use libc::{c_int, c_void};
use nix::errno::Errno;
use nix::unistd::Pid;

use super::{CommandEnd, FIRST_SOCKET, LISTEN_PID, Spawner};
use crate::generation_number::GenerationNumber;

/// In bytes; a page without access lies below.
const STACK_SIZE: usize = 64 * 1024;

/// What the child reads, and where it leaves its errno.
pub(super) struct ChildArgs<'a> {
    pub(super) spawner: &'a Spawner,
    pub(super) generation: GenerationNumber,
    pub(super) channel: Option<CommandEnd<'a>>,
    pub(super) errno: c_int,
}

/// Memory for the child's stack; gives back its upper end. Whoever used more would run into the page below, and not into other memory.
pub(super) fn stack() -> io::Result<*mut c_void> {
    // SAFETY: a new private mapping, which nothing else refers to; its lowest page is made inaccessible before anybody uses it.
    unsafe {
        let page = usize::try_from(libc::sysconf(libc::_SC_PAGESIZE)).unwrap_or(STACK_SIZE);
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_STACK | libc::MAP_NORESERVE;
        let bottom = libc::mmap(ptr::null_mut(), page + STACK_SIZE, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0);
        if bottom == libc::MAP_FAILED || libc::mprotect(bottom, page, libc::PROT_NONE) != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(bottom.byte_add(page + STACK_SIZE))
    }
}

/// Starts the child with vfork semantics. clone(2) itself, not clone3(2): there are no handlers for the kernel to clear, and it is known to
/// every kernel and seccomp profile.
pub(super) fn start(args: &mut ChildArgs<'_>) -> nix::Result<Pid> {
    let stack = args.spawner.stack;
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
    // SAFETY: `child` does not return and makes system calls only; it runs in our memory, on a stack that nobody else uses and that is
    // aligned to a page, while we are suspended (CLONE_VFORK), and touches nothing but `args` and what that refers to, which live until it
    // has executed the command or is gone.
    let pid = unsafe { libc::clone(child, stack, flags, ptr::from_mut(args).cast()) };
    Errno::result(pid).map(Pid::from_raw)
}

/// The child, between clone and execve: async-signal-safe calls only, all signals blocked.
extern "C" fn child(args: *mut c_void) -> c_int {
    // SAFETY: `spawn` passes its ChildArgs, which outlive us; it is suspended, so nobody else uses them.
    let args = unsafe { &mut *args.cast::<ChildArgs<'_>>() };
    let Spawner { setup, own_pid, candidates, argv, envp, sockets, tells_pid, listen_pid, .. } = args.spawner;
    // SAFETY: system calls on integers and on null-terminated arrays that the spawner keeps alive; LISTEN_PID has room for a pid.
    unsafe {
        if setup.die_with_us {
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
            // We may have been orphaned before the kernel was told. 0: our parent is of another PID namespace, and there all the same.
            if ![own_pid.as_raw(), 0].contains(&libc::getppid()) {
                libc::_exit(0);
            }
        }
        if setup.own_group {
            libc::setpgid(0, 0);
        }
        // The table of descriptors is a copy: restartinit's own stay as they are.
        for (to, socket) in (FIRST_SOCKET..).zip(sockets) {
            libc::dup2(socket.as_raw_fd(), to);
        }
        if let Some(CommandEnd { fd, number }) = args.channel {
            // dup2(2) leaves one that has its number already as it is: close-on-exec.
            if fd.as_raw_fd() == number {
                libc::fcntl(number, libc::F_SETFD, 0);
            } else {
                libc::dup2(fd.as_raw_fd(), number);
            }
        }
        if *tells_pid {
            write_pid(listen_pid.get().cast::<u8>().add(LISTEN_PID.len()));
        }
        (setup.prepare)(args.generation);
        let mut errno = libc::ENOENT;
        for file in candidates {
            libc::execve(file.as_ptr(), argv.as_ptr(), envp.as_ptr());
            match *libc::__errno_location() {
                libc::ENOENT | libc::ENOTDIR => {}
                libc::EACCES => errno = libc::EACCES,
                failed => {
                    errno = failed;
                    break;
                }
            }
        }
        ptr::write_volatile(&raw mut args.errno, errno);
        libc::_exit(127)
    }
}

/// Writes our pid in decimal, and a NUL.
///
/// # Safety
/// There is room for 11 bytes.
unsafe fn write_pid(mut to: *mut u8) {
    // SAFETY: no precondition. A pid has at most ten digits, and the caller has made room for them.
    unsafe {
        let pid = libc::getpid().unsigned_abs();
        let mut place = 1_000_000_000;
        while place > 0 {
            if pid >= place || place == 1 {
                to.write(b'0' + (pid / place % 10) as u8);
                to = to.add(1);
            }
            place /= 10;
        }
        to.write(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pid_is_written_without_a_leading_zero() {
        let mut text = [b'x'; 12];
        // SAFETY: twelve bytes of room.
        unsafe { write_pid(text.as_mut_ptr()) };
        let end = text.iter().position(|byte| *byte == 0).unwrap();
        assert_eq!(std::str::from_utf8(&text[..end]).unwrap(), std::process::id().to_string());
    }
}
