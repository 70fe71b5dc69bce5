//! Spawning: vfork semantics by clone(2), with everything that can be computed computed before. The child borrows our memory until it
//! executes the command, so no page table is copied, and a failure is told through that memory rather than a pipe.

#![expect(unsafe_code, reason = "what clone(2) shares with its child")]

mod child;
mod path;

use std::cell::UnsafeCell;
use std::ffi::{CStr, CString, OsStr, OsString};
use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::{self, Read as _};
use std::os::fd::{BorrowedFd, OwnedFd, RawFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;
use std::ptr;

use libc::{c_char, c_int, c_void};
use nix::errno::Errno;
use nix::sys::statvfs::{FsFlags, statvfs};
use nix::sys::wait::waitpid;
use nix::unistd::{Pid, getpid};

use crate::config::{GENERATION, LAST_EXIT, ROLE};
use crate::generation_number::GenerationNumber;
use crate::node::{CHANNEL_FD, UNIQUE_ID};
use crate::supervisor::event::StartRole;
use crate::supervisor::exit::Exit;
use crate::supervisor::spawn_failure::{FileFacts, Problem, SpawnFailure, SpawnStep};
use child::ChildArgs;

/// The most variables that are added for a generation, and the null pointer after them.
const MOST_ADDED: usize = 8;
/// Their bytes come to less: no memory is taken between a death and the next spawn.
const LONGEST_ADDED: usize = 256;
/// Where the sockets begin that are passed on.
pub const FIRST_SOCKET: c_int = 3;
const LISTEN_PID: &str = "LISTEN_PID=";
/// The same as a number that is used once only: newer versions of sd_listen_fds(3) want it to fit the process too.
const LISTEN_PIDFDID: &[u8] = b"LISTEN_PIDFDID=";
/// As much of a file as the kernel looks at, in bytes.
const BEGINNING: u64 = 256;

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
            stack: child::stack()?,
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
        let started = child::start(&mut args);
        // SAFETY: the child wrote it, if at all, before it let us go on; the compiler cannot know.
        let errno = unsafe { ptr::read_volatile(&raw const args.errno) };
        let pid = started.map_err(SpawnFailure::fork)?;
        if errno != 0 {
            let errno = Errno::from_raw(errno);
            // This child alone, which is on its way out; it never was the command.
            while waitpid(pid, None) == Err(Errno::EINTR) {}
            return Err(SpawnFailure { step: SpawnStep::Exec, errno, problem: self.problem(errno) });
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

    /// What is wrong with the file, as far as it shows: the one of the candidates that is there.
    fn problem(&self, errno: Errno) -> Problem {
        let mut paths = self.candidates.iter().map(|path| Path::new(OsStr::from_bytes(path.as_bytes())));
        let Some((path, metadata)) = paths.find_map(|path| path.metadata().ok().map(|metadata| (path, metadata))) else {
            return if matches!(errno, Errno::ENOENT | Errno::ENOTDIR) { Problem::NotFound } else { Problem::Unknown };
        };
        let beginning = beginning(path, BEGINNING);
        Problem::of(
            errno,
            FileFacts {
                is_directory: metadata.is_dir(),
                has_execute_bit: metadata.permissions().mode() & 0o111 != 0,
                mounted_noexec: statvfs(path).is_ok_and(|mount| mount.flags().contains(FsFlags::ST_NOEXEC)),
                beginning: beginning.as_deref().ok(),
            },
        )
    }
}

/// The files that execvp(3) would try for a command with this environment.
pub fn candidates(file: &OsStr, environment: &[&CStr]) -> Vec<Vec<u8>> {
    let path = environment.iter().find_map(|entry| entry.to_bytes().strip_prefix(b"PATH="));
    path::candidates(file, path.map_or(OsStr::new(path::DEFAULT), OsStr::from_bytes))
}

/// The beginning of a file that is to be executed, of at most so many bytes.
///
/// # Errors
/// That of opening or reading it.
#[inline(never)]
pub fn beginning(path: &Path, bytes: u64) -> io::Result<Vec<u8>> {
    let mut beginning = Vec::new();
    // A pipe in its place must not hold us up.
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    file.take(bytes).read_to_end(&mut beginning)?;
    Ok(beginning)
}
