//! Spawning: vfork semantics by clone(2), with everything that can be computed computed before. The child borrows our memory until it
//! executes the command, so no page table is copied, and a failure is told through that memory rather than a pipe.

#![expect(unsafe_code, reason = "clone(2), its child until execve(2), and what the two share")]

mod file;

use std::cell::UnsafeCell;
use std::ffi::{CStr, CString, OsString};
use std::fmt::Write as _;
use std::io;
use std::iter;
use std::os::fd::{AsRawFd as _, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStringExt as _;
use std::ptr;

use libc::{c_char, c_int, c_void};
use nix::errno::Errno;
use nix::sys::wait::waitpid;
use nix::unistd::{Pid, getpid};

use crate::config::{GENERATION, LAST_EXIT, ROLE};
use crate::generation_number::GenerationNumber;
use crate::node::{CHANNEL_FD, UNIQUE_ID};
use crate::supervisor::event::StartRole;
use crate::supervisor::exit::Exit;
use crate::supervisor::spawn_failure::{SpawnFailure, SpawnStep};
pub use file::{beginning, candidates};

/// The most variables that are added for a generation, and the null pointer after them.
const MOST_ADDED: usize = 8;
/// Their bytes come to less: no memory is taken between a death and the next spawn.
const LONGEST_ADDED: usize = 256;
/// Where the sockets begin that are passed on.
pub const FIRST_SOCKET: c_int = 3;
const LISTEN_PID: &str = "LISTEN_PID=";
/// The same as a number that is used once only: newer versions of sd_listen_fds(3) want it to fit the process too.
const LISTEN_PIDFDID: &[u8] = b"LISTEN_PIDFDID=";
/// In bytes; a page without access lies below.
const STACK_SIZE: usize = 64 * 1024;

/// What holds for every generation alike.
pub struct ChildSetup {
    /// The command gets a process group of its own.
    pub own_group: bool,
    /// The command dies when we do: the kernel sees to that for PID 1 only.
    pub die_with_us: bool,
    /// Called last in the child of a generation, by its number, while all signals are blocked: to unblock them, and to leave what is shared
    /// with the commands as the first one found it. Must be async-signal-safe.
    pub prepare: Box<dyn Fn(GenerationNumber)>,
}

/// What a generation is given beside what all are given.
#[derive(Clone, Copy, Debug)]
pub struct SpawnParams<'a> {
    pub generation: GenerationNumber,
    /// Told to the command, if it is to know.
    pub role: Option<StartRole>,
    pub last_exit: Option<Exit>,
    pub channel: Option<CommandEnd<'a>>,
    /// The command is to be a worker of Node's cluster, whose ports are held.
    pub worker: bool,
}

/// The command's end of a Node channel.
#[derive(Clone, Copy, Debug)]
pub struct CommandEnd<'a> {
    pub fd: BorrowedFd<'a>,
    /// The number that it has in the command: `Spawner::channel_number`.
    pub number: RawFd,
}

/// The command, ready to be executed any number of times.
pub struct Spawner {
    setup: ChildSetup,
    own_pid: Pid,
    /// The files to try, in the order of PATH.
    candidates: Vec<CString>,
    /// Owns what `argv` points to.
    _args: Vec<CString>,
    argv: Vec<*const c_char>,
    /// The environment that all are given: entries of our own, and those in `_own`.
    env: Vec<*const c_char>,
    _own: Vec<CString>,
    /// The variables that are added for a generation, each with a NUL.
    added: String,
    envp: Vec<*const c_char>,
    /// The upper end of the child's stack.
    stack: *mut c_void,
    /// What the command finds from descriptor 3 on.
    sockets: Vec<OwnedFd>,
    /// The command is told its pid in LISTEN_PID.
    tells_pid: bool,
    /// `LISTEN_PID=`, and room for the command's pid, which it alone knows and writes.
    listen_pid: UnsafeCell<[u8; 32]>,
}

/// What the child reads, and where it leaves its errno.
struct ChildArgs<'a> {
    spawner: &'a Spawner,
    generation: GenerationNumber,
    channel: Option<CommandEnd<'a>>,
    errno: c_int,
}

impl Spawner {
    /// Prepares to execute `command` (the first is the file) with this environment, but for the variables in `without`. Where it says
    /// that sockets were passed on to us, they are the command's.
    ///
    /// # Errors
    /// That of mmap(2), for the child's stack; or a NUL byte in an argument.
    pub fn new(command: Vec<OsString>, environment: &[&'static CStr], without: &[&str], setup: ChildSetup) -> io::Result<Spawner> {
        let own_pid = getpid();
        let file = command.first().cloned().unwrap_or_default();
        let value_of = |name: &str| environment.iter().find_map(|entry| entry.to_bytes().strip_prefix(name.as_bytes()));
        let tells_pid = value_of(LISTEN_PID) == Some(own_pid.to_string().as_bytes());
        let is_dropped = |entry: &&&CStr| {
            let entry = entry.to_bytes();
            let is = |name: &str| entry.strip_prefix(name.as_bytes()).is_some_and(|rest| rest.first() == Some(&b'='));
            let names_us = tells_pid && (entry.starts_with(LISTEN_PID.as_bytes()) || entry.starts_with(LISTEN_PIDFDID));
            names_us || without.iter().any(|name| is(name))
        };
        let mut env: Vec<*const c_char> = Vec::with_capacity(environment.len());
        env.extend(environment.iter().filter(|entry| !is_dropped(entry)).map(|entry| entry.as_ptr()));
        let candidates = candidates(&file, environment).into_iter().map(CString::new).collect::<Result<Vec<_>, _>>()?;
        let args = command.into_iter().map(|arg| CString::new(arg.into_vec())).collect::<Result<Vec<_>, _>>()?;
        let argv = args.iter().map(|arg| arg.as_ptr()).chain([ptr::null()]).collect();
        let mut spawner = Spawner {
            setup,
            own_pid,
            candidates,
            _args: args,
            argv,
            envp: Vec::with_capacity(env.len() + MOST_ADDED),
            env,
            _own: Vec::new(),
            added: String::with_capacity(LONGEST_ADDED),
            stack: stack()?,
            sockets: Vec::new(),
            tells_pid,
            listen_pid: UnsafeCell::new([0; 32]),
        };
        spawner.listen_pid.get_mut().iter_mut().zip(LISTEN_PID.bytes()).for_each(|(to, from)| *to = from);
        Ok(spawner)
    }

    /// Has every generation find these from descriptor 3 on, as systemd passes them (sd_listen_fds(3)). Their own numbers must lie beyond
    /// those, and the environment must have been prepared without systemd's variables.
    pub fn pass_on(&mut self, sockets: Vec<OwnedFd>, names: &str) {
        let variables = [format!("LISTEN_FDS={}", sockets.len()), format!("LISTEN_FDNAMES={names}")];
        self._own.extend(variables.into_iter().filter_map(|pair| CString::new(pair).ok()));
        self.env.extend(self._own.iter().map(|pair| pair.as_ptr()));
        self.envp.reserve(self.env.len() + MOST_ADDED);
        self.sockets = sockets;
        self.tells_pid = true;
    }

    /// The number of a channel's end in the command: the lowest that nothing has there. What lies beyond a gap, Node hands on to each of
    /// its children: it looks through its descriptors from 0 to the first that is closed, of the first sixteen all (libuv).
    pub fn channel_number(&self) -> RawFd {
        // SAFETY: a plain system call on integers.
        let is_inherited = |fd: &c_int| unsafe { libc::fcntl(*fd, libc::F_GETFD) } == 0;
        let first = (FIRST_SOCKET..).zip(&self.sockets).last().map_or(FIRST_SOCKET, |(fd, _)| fd + 1);
        (first..).find(|fd| !is_inherited(fd)).unwrap_or(first)
    }

    /// Starts the command as this generation; gives back its pid.
    ///
    /// # Errors
    /// The errno of clone(2), or that of execve(2) in the child, which is reaped already then.
    pub fn spawn(&mut self, params: SpawnParams<'_>) -> Result<Pid, SpawnFailure> {
        self.set_environment(params);
        let mut args = ChildArgs { spawner: self, generation: params.generation, channel: params.channel, errno: 0 };
        let started = start(&mut args);
        // SAFETY: the child wrote it, if at all, before it let us go on; the compiler cannot know.
        let errno = unsafe { ptr::read_volatile(&raw const args.errno) };
        let pid = started.map_err(SpawnFailure::fork)?;
        if errno != 0 {
            let errno = Errno::from_raw(errno);
            // This child alone, which is on its way out; it never was the command.
            while waitpid(pid, None) == Err(Errno::EINTR) {}
            return Err(SpawnFailure { step: SpawnStep::Exec, errno, problem: file::problem(&self.candidates, errno) });
        }
        Ok(pid)
    }

    /// The environment of a generation.
    fn set_environment(&mut self, params: SpawnParams<'_>) {
        let SpawnParams { generation, role, last_exit, channel, worker } = params;
        let added = &mut self.added;
        added.clear();
        let _ = write!(added, "{GENERATION}={generation}\0");
        if let Some(exit) = last_exit {
            let _ = write!(added, "{LAST_EXIT}={}\0", exit.short());
        }
        if let Some(role) = role {
            let _ = write!(added, "{ROLE}={}\0", role.name());
        }
        if let Some(channel) = channel {
            let _ = write!(added, "{CHANNEL_FD}={}\0", channel.number);
        }
        if worker {
            // Always the first worker: apps start in that one what only one of them may do.
            let _ = write!(added, "{UNIQUE_ID}=1\0");
        }
        self.envp.clear();
        self.envp.extend_from_slice(&self.env);
        self.envp.extend(self.added.split_inclusive('\0').map(|pair| pair.as_ptr().cast::<c_char>()));
        if self.tells_pid {
            self.envp.push(self.listen_pid.get().cast::<c_char>());
        }
        self.envp.push(ptr::null());
    }
}

/// Memory for the child's stack; gives back its upper end. Whoever used more would run into the page below, and not into other memory.
fn stack() -> io::Result<*mut c_void> {
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
fn start(args: &mut ChildArgs<'_>) -> nix::Result<Pid> {
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
    // SAFETY: system calls on integers and on null-terminated arrays that the spawner keeps alive; nobody else refers to LISTEN_PID
    // meanwhile, as restartinit is suspended.
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
            write_pid((*listen_pid.get()).iter_mut().skip(LISTEN_PID.len()));
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

/// Writes our pid in decimal, and a NUL, as far as there is room.
fn write_pid<'a>(room: impl Iterator<Item = &'a mut u8>) {
    let pid = std::process::id();
    let places = iter::successors(Some(1_000_000_000), |place| Some(place / 10)).take(10).skip_while(|place| *place > pid);
    let digits = places.map(|place| b'0' + (pid / place % 10) as u8);
    room.zip(digits.chain([0])).for_each(|(to, digit)| *to = digit);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pid_is_written_without_a_leading_zero() {
        let mut text = [b'x'; 12];
        write_pid(text.iter_mut());
        let end = text.iter().position(|byte| *byte == 0).unwrap();
        assert_eq!(std::str::from_utf8(&text[..end]).unwrap(), std::process::id().to_string());
    }
}
