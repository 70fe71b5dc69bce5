//! strace on a running init, from when it sleeps.

use super::{Running, Scratch, status_field};
use std::cell::RefCell;
use std::process::{Child, Command, Stdio};

pub struct Trace {
    strace: RefCell<Child>,
    folder: Scratch,
    pub pid: i32,
}

pub fn asleep(pid: i32) -> bool {
    status_field(pid, "State").is_some_and(|state| state.starts_with('S'))
}

impl Trace {
    /// With these options beside the pid and the file that strace writes to.
    pub fn attach(init: &mut Running, options: &[&str]) -> Self {
        let pid = init.init_pid();
        init.until("the init sleeps", || asleep(pid));
        let folder = Scratch::new();
        let mut strace = Command::new("strace");
        strace.args(options).args(["-qq", "-o", &folder.path("calls"), "-p", &pid.to_string()]);
        let strace = strace.stdin(Stdio::null()).spawn().expect("strace (Debian: strace) starts");
        let trace = Self { strace: RefCell::new(strace), folder, pid };
        init.until("strace sees the init sleep (does it need root, or kernel.yama.ptrace_scope=0?)", || {
            assert_eq!(trace.strace.borrow_mut().try_wait().expect("its status"), None, "strace has ended");
            std::fs::read_to_string(trace.folder.path("calls")).is_ok_and(|text| text.contains('('))
        });
        trace
    }

    /// What it has written up to now.
    pub fn lines(&self) -> Vec<String> {
        self.folder.read("calls").lines().map(str::to_owned).collect()
    }

    /// Lets go of an init that sleeps again; what was written.
    pub fn end(self, init: &Running) -> Vec<String> {
        init.until("the init sleeps again", || asleep(self.pid));
        let strace = i32::try_from(self.strace.borrow().id()).expect("a pid");
        // SAFETY: a plain system call; the child has not been collected, so the pid is its own.
        unsafe { libc::kill(strace, libc::SIGINT) };
        init.until("strace has let go", || self.strace.borrow_mut().try_wait().expect("its status").is_some());
        self.lines()
    }
}

impl Drop for Trace {
    fn drop(&mut self) {
        let _ = self.strace.get_mut().kill();
        let _ = self.strace.get_mut().wait();
    }
}
