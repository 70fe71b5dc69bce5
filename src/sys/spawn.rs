//! Spawning: vfork semantics by clone(2), with everything that can be computed computed before. The child borrows our memory until it
//! executes the command, so no page table is copied, and a failure is told through that memory rather than a pipe.

#![allow(unsafe_code)]

use std::ffi::{CString, OsStr, OsString};
use std::fmt::Write as _;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::ptr;

use libc::{c_char, c_int, c_void};

use crate::config::{GENERATION, LAST_EXIT, ROLE};
use crate::supervisor::event::Role;
use crate::supervisor::exit::{Exit, SpawnFailure, SpawnStep};

/// Where a command without a slash is looked for when PATH is not set.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const STACK_SIZE: usize = 32 * 1024;

/// What holds for every generation alike.
#[derive(Clone, Copy, Debug)]
pub struct Hygiene {
    /// The command gets a process group of its own.
    pub own_group: bool,
    /// The command dies when we do: the kernel sees to that for PID 1 only.
    pub die_with_us: bool,
    /// SIGHUP was ignored when we were started, as nohup(1) has it, and stays ignored.
    pub ignore_hup: bool,
    /// Sets dispositions and mask to what a command expects, given `ignore_hup`; must be async-signal-safe.
    pub reset_signals: fn(bool),
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
    envp: Vec<*const c_char>,
    stack: *mut c_void,
    /// The command is told its role.
    tells_role: bool,
}

/// What the child reads, and where it leaves its errno.
struct Orders<'a> {
    launcher: &'a Launcher,
    errno: c_int,
}

impl Launcher {
    /// Prepares to execute `command` (the first is the file) with this environment.
    ///
    /// # Errors
    /// That of mmap(2), for the child's stack; or a NUL byte in an argument.
    pub fn new(
        command: Vec<OsString>,
        environment: impl Iterator<Item = (OsString, OsString)>,
        hygiene: Hygiene,
        tells_role: bool,
    ) -> io::Result<Launcher> {
        let file = command.first().cloned().unwrap_or_default();
        let mut path = OsString::from(DEFAULT_PATH);
        let mut env = Vec::new();
        for (name, value) in environment.filter(|(name, _)| ![GENERATION, LAST_EXIT, ROLE].iter().any(|own| name == own)) {
            if name == "PATH" {
                path.clone_from(&value);
            }
            let pair = [name.as_bytes(), b"=", value.as_bytes()].concat();
            env.push(CString::new(pair)?);
        }
        let candidates = candidates(&file, &path).into_iter().map(CString::new).collect::<Result<Vec<_>, _>>()?;
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
        let envp = Vec::with_capacity(env.len() + 4);
        Ok(Launcher { hygiene, own_pid: std::process::id() as c_int, candidates, _args: args, argv, env, envp, stack, tells_role })
    }

    /// Starts the command as this generation; gives back its pid.
    ///
    /// # Errors
    /// The errno of clone(2), or that of execve(2) in the child, which is reaped already then.
    pub fn spawn(&mut self, generation: u32, role: Role, last_exit: Option<Exit>) -> Result<i32, SpawnFailure> {
        let mut added = [format!("{GENERATION}={generation}\0"), String::new(), String::new()];
        let [_, last, its_role] = &mut added;
        if let Some(exit) = last_exit {
            let _ = write!(last, "{LAST_EXIT}={}\0", exit.short());
        }
        if self.tells_role {
            let _ = write!(its_role, "{ROLE}={}\0", role.name());
        }
        self.envp.clear();
        self.envp.extend(self.env.iter().map(|pair| pair.as_ptr()));
        self.envp.extend(added.iter().filter(|pair| !pair.is_empty()).map(|pair| pair.as_ptr().cast::<c_char>()));
        self.envp.push(ptr::null());
        let mut orders = Orders { launcher: self, errno: 0 };
        // SAFETY: `child` runs on a stack of its own, in our memory while we are suspended, and touches nothing but `orders`.
        // CLONE_VFORK keeps all that it reads alive until it has executed the command or is gone.
        let pid = unsafe {
            let top = self.stack.byte_add(STACK_SIZE);
            libc::clone(child, top, libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD, (&raw mut orders).cast())
        };
        // SAFETY: the child wrote it, if at all, before it let us go on; the compiler cannot know.
        let errno = unsafe { ptr::read_volatile(&raw const orders.errno) };
        if pid < 0 {
            let errno = io::Error::last_os_error().raw_os_error().unwrap_or(libc::EAGAIN);
            return Err(SpawnFailure { step: SpawnStep::Fork, errno, file_exists: false });
        }
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

/// The files that execvp(3) would try.
fn candidates(file: &OsStr, path: &OsStr) -> Vec<Vec<u8>> {
    let file = file.as_bytes();
    if file.is_empty() || file.contains(&b'/') {
        return vec![file.to_vec()];
    }
    let folders = path.as_bytes().split(|byte| *byte == b':');
    folders.map(|folder| if folder.is_empty() { file.to_vec() } else { [folder, b"/", file].concat() }).collect()
}

/// The child, between clone and execve: async-signal-safe calls only, all signals blocked until the dispositions are default.
extern "C" fn child(orders: *mut c_void) -> c_int {
    // SAFETY: `spawn` passes its Orders, which outlive us; it is suspended, so nobody else uses them.
    let orders = unsafe { &mut *orders.cast::<Orders<'_>>() };
    let Launcher { hygiene, own_pid, candidates, argv, envp, .. } = orders.launcher;
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
        (hygiene.reset_signals)(hygiene.ignore_hup);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_looked_for_as_execvp_does() {
        let tried = |file: &str, path: &str| {
            let files = candidates(OsStr::new(file), OsStr::new(path));
            files.into_iter().map(|file| String::from_utf8(file).unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(tried("node", "/a:/b"), ["/a/node", "/b/node"]);
        assert_eq!(tried("node", "/a::"), ["/a/node", "node", "node"]);
        assert_eq!(tried("./node", "/a"), ["./node"]);
        assert_eq!(tried("", "/a"), [""]);
    }
}
