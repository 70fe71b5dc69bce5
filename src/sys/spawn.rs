//! Spawning: vfork semantics by clone(2), with everything that can be computed computed before. The child borrows our memory until it
//! executes the command, so no page table is copied, and a failure is told through that memory rather than a pipe.

#![allow(unsafe_code)]

mod clone;
mod path;

use std::cell::{Cell, UnsafeCell};
use std::ffi::{CString, OsStr, OsString};
use std::fmt::Write as _;
use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::ptr;

use libc::{c_char, c_int, c_void};

use crate::config::{GENERATION, LAST_EXIT, ROLE};
use crate::node::{CHANNEL_FD, UNIQUE_ID};
use crate::supervisor::event::Role;
use crate::supervisor::exit::{Exit, SpawnFailure, SpawnStep};

const STACK_SIZE: usize = 32 * 1024;
/// The most variables that are added for a generation, and the null pointer after them.
const MOST_ADDED: usize = 8;
/// Their bytes come to less: no memory is taken between a death and the next spawn.
const LONGEST_ADDED: usize = 256;
/// Where the sockets begin that are passed on.
pub const FIRST_SOCKET: c_int = 3;
const LISTEN_PID: &str = "LISTEN_PID=";

/// What holds for every generation alike.
#[derive(Clone, Copy, Debug)]
pub struct Hygiene {
    /// The command gets a process group of its own.
    pub own_group: bool,
    /// The command dies when we do: the kernel sees to that for PID 1 only.
    pub die_with_us: bool,
    /// SIGHUP was ignored when we were started, as nohup(1) has it, and stays ignored.
    pub ignore_hup: bool,
    /// Sets dispositions and mask to what a command expects, given `ignore_hup` and whether handlers are gone already; must be async-signal-safe.
    pub reset_signals: fn(bool, bool),
}

/// What a generation is given beside what all are given.
#[derive(Clone, Copy, Debug)]
pub struct Gifts<'a> {
    pub generation: u32,
    /// Told to the command, if it is to know.
    pub role: Option<Role>,
    pub last_exit: Option<Exit>,
    /// The command's end of a Node channel.
    pub channel: Option<BorrowedFd<'a>>,
    /// The command is to be a worker of Node's cluster, whose ports are held.
    pub worker: bool,
}

/// The command, ready to be executed any number of times.
pub struct Launcher {
    hygiene: Hygiene,
    own_pid: c_int,
    /// The files to try, in the order of PATH.
    candidates: Vec<CString>,
    /// Owns what `argv` points to.
    _args: Vec<CString>,
    argv: Vec<*const c_char>,
    env: Vec<CString>,
    /// The variables that are added for a generation, each with a NUL.
    added: String,
    envp: Vec<*const c_char>,
    stack: *mut c_void,
    /// The kernel has clone3(2), as far as is known.
    clone3_works: Cell<bool>,
    /// What the command finds from descriptor 3 on.
    sockets: Vec<OwnedFd>,
    /// `LISTEN_PID=`, and room for the command's pid, which it alone knows and writes.
    listen_pid: UnsafeCell<[u8; 32]>,
}

/// What the child reads, and where it leaves its errno.
struct Orders<'a> {
    launcher: &'a Launcher,
    /// A descriptor that the command keeps, or -1.
    channel: c_int,
    /// Where its pid goes, or null.
    listen_pid: *mut u8,
    /// The child began without handlers.
    handlers_cleared: bool,
    errno: c_int,
}

impl Launcher {
    /// Prepares to execute `command` (the first is the file) with this environment, but for the variables in `without`.
    ///
    /// # Errors
    /// That of mmap(2), for the child's stack; or a NUL byte in an argument.
    pub fn new(
        command: Vec<OsString>,
        environment: impl Iterator<Item = (OsString, OsString)>,
        without: &[&str],
        hygiene: Hygiene,
    ) -> io::Result<Launcher> {
        let file = command.first().cloned().unwrap_or_default();
        let mut path = OsString::from(path::DEFAULT);
        let mut env = Vec::new();
        for (name, value) in environment.filter(|(name, _)| !without.iter().any(|own| name == own)) {
            if name == "PATH" {
                path.clone_from(&value);
            }
            let pair = [name.as_bytes(), b"=", value.as_bytes()].concat();
            env.push(CString::new(pair)?);
        }
        let candidates = path::candidates(&file, &path).into_iter().map(CString::new).collect::<Result<Vec<_>, _>>()?;
        let args = command.into_iter().map(|arg| CString::new(arg.into_vec())).collect::<Result<Vec<_>, _>>()?;
        let argv = args.iter().map(|arg| arg.as_ptr()).chain([ptr::null()]).collect();
        // SAFETY: a new private mapping; nothing else refers to it.
        let stack = unsafe {
            let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_STACK | libc::MAP_NORESERVE;
            libc::mmap(ptr::null_mut(), STACK_SIZE, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0)
        };
        if stack == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let envp = Vec::with_capacity(env.len() + MOST_ADDED);
        let (own_pid, sockets, listen_pid) = (std::process::id() as c_int, Vec::new(), UnsafeCell::new([0; 32]));
        Ok(Launcher {
            hygiene,
            own_pid,
            candidates,
            _args: args,
            argv,
            env,
            added: String::with_capacity(LONGEST_ADDED),
            envp,
            stack,
            clone3_works: Cell::new(true),
            sockets,
            listen_pid,
        })
    }

    /// Has every generation find these from descriptor 3 on, as systemd passes them (sd_listen_fds(3)). Their own numbers must lie beyond
    /// those, and the environment must have been prepared without systemd's variables.
    pub fn pass_on(&mut self, sockets: Vec<OwnedFd>, names: &str) {
        let mut variables = vec![format!("LISTEN_FDS={}", sockets.len()), format!("LISTEN_FDNAMES={names}")];
        self.env.extend(variables.drain(..).filter_map(|pair| CString::new(pair).ok()));
        self.envp.reserve(self.env.len() + MOST_ADDED);
        self.listen_pid.get_mut().iter_mut().zip(LISTEN_PID.bytes()).for_each(|(to, from)| *to = from);
        self.sockets = sockets;
    }

    /// Starts the command as this generation; gives back its pid.
    ///
    /// # Errors
    /// The errno of clone(2), or that of execve(2) in the child, which is reaped already then.
    pub fn spawn(&mut self, gifts: Gifts<'_>) -> Result<i32, SpawnFailure> {
        let channel = gifts.channel.map_or(-1, |channel| channel.as_raw_fd());
        let added = &mut self.added;
        added.clear();
        let _ = write!(added, "{GENERATION}={}\0", gifts.generation);
        if let Some(exit) = gifts.last_exit {
            let _ = write!(added, "{LAST_EXIT}={}\0", exit.short());
        }
        if let Some(role) = gifts.role {
            let _ = write!(added, "{ROLE}={}\0", role.name());
        }
        if channel >= 0 {
            let _ = write!(added, "{CHANNEL_FD}={channel}\0");
        }
        if gifts.worker {
            let _ = write!(added, "{UNIQUE_ID}={}\0", gifts.generation);
        }
        self.envp.clear();
        self.envp.extend(self.env.iter().map(|pair| pair.as_ptr()));
        self.envp.extend(self.added.split_inclusive('\0').map(|pair| pair.as_ptr().cast::<c_char>()));
        let mut listen_pid = ptr::null_mut();
        if !self.sockets.is_empty() {
            listen_pid = self.listen_pid.get().cast::<u8>();
            self.envp.push(listen_pid.cast::<c_char>());
        }
        self.envp.push(ptr::null());
        let mut orders = Orders { launcher: self, channel, listen_pid, handlers_cleared: true, errno: 0 };
        let started = start(&mut orders);
        // SAFETY: the child wrote it, if at all, before it let us go on; the compiler cannot know.
        let errno = unsafe { ptr::read_volatile(&raw const orders.errno) };
        let pid = started.map_err(|error| {
            let errno = error.raw_os_error().unwrap_or(libc::EAGAIN);
            SpawnFailure { step: SpawnStep::Fork, errno, file_exists: false }
        })?;
        if errno != 0 {
            // SAFETY: waits for this child alone, which is on its way out; it never was the command.
            while unsafe { libc::waitpid(pid, ptr::null_mut(), 0) } < 0 && io::Error::last_os_error().kind() == io::ErrorKind::Interrupted {
            }
            let exists = |path: &CString| Path::new(OsStr::from_bytes(path.as_bytes())).exists();
            let file_exists = self.candidates.iter().any(exists);
            return Err(SpawnFailure { step: SpawnStep::Exec, errno, file_exists });
        }
        Ok(pid)
    }
}

/// Starts the child with vfork semantics.
fn start(orders: &mut Orders<'_>) -> io::Result<i32> {
    let Launcher { stack, clone3_works, .. } = orders.launcher;
    orders.handlers_cleared = clone3_works.get();
    if orders.handlers_cleared {
        // SAFETY: `child` does not return and makes system calls only; it runs in our memory while we are suspended, and touches nothing but
        // `orders` and what that refers to, which live until it has executed the command or is gone.
        let started = unsafe { clone::vfork(child, ptr::from_mut(orders).cast(), *stack, STACK_SIZE) };
        match started.as_ref().map_err(io::Error::raw_os_error) {
            // An old kernel, or a seccomp profile that has not heard of it.
            Err(Some(libc::ENOSYS | libc::EINVAL | libc::EPERM)) => clone3_works.set(false),
            _ => return started,
        }
    }
    orders.handlers_cleared = false;
    // SAFETY: as above. CLONE_VFORK suspends us.
    let pid = unsafe {
        let top = stack.byte_add(STACK_SIZE);
        libc::clone(child, top, libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD, ptr::from_mut(orders).cast())
    };
    if pid < 0 { Err(io::Error::last_os_error()) } else { Ok(pid) }
}

/// The child, between clone and execve: async-signal-safe calls only, all signals blocked until the dispositions are default.
extern "C" fn child(orders: *mut c_void) -> c_int {
    // SAFETY: `spawn` passes its Orders, which outlive us; it is suspended, so nobody else uses them.
    let orders = unsafe { &mut *orders.cast::<Orders<'_>>() };
    let Launcher { hygiene, own_pid, candidates, argv, envp, sockets, .. } = orders.launcher;
    // SAFETY: system calls on integers and on null-terminated arrays that the launcher keeps alive.
    unsafe {
        if hygiene.die_with_us {
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
            // We may have been orphaned before the kernel was told.
            if libc::getppid() != *own_pid {
                libc::_exit(0);
            }
        }
        if hygiene.own_group {
            libc::setpgid(0, 0);
        }
        // The table of descriptors is a copy: restartinit's own stay as they are.
        for (to, socket) in (FIRST_SOCKET..).zip(sockets) {
            libc::dup2(socket.as_raw_fd(), to);
        }
        if orders.channel >= 0 {
            libc::fcntl(orders.channel, libc::F_SETFD, 0);
        }
        if !orders.listen_pid.is_null() {
            write_pid(orders.listen_pid.add(LISTEN_PID.len()));
        }
        (hygiene.reset_signals)(hygiene.ignore_hup, orders.handlers_cleared);
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
        ptr::write_volatile(&raw mut orders.errno, errno);
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
