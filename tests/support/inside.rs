//! A program in the namespaces of a running init, as `docker exec` starts one: the verbs, mostly.

use super::paths::init;
use super::running::Running;
use serde_json::Value;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Beyond what any program of a test needs, unless the test allows for more; SIGKILL then, and the test fails.
const LIMIT: Duration = Duration::from_secs(30);

/// How it ended and what it said.
#[derive(Debug)]
pub struct Said {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Said {
    /// One line on standard error and nothing else, with this code; returns the line.
    pub fn complaint(&self, code: i32) -> &str {
        assert_eq!(self.code, Some(code), "{self:?}");
        assert!(self.out.is_empty() && self.err.lines().count() == 1 && self.err.ends_with('\n'), "{self:?}");
        let line = self.err.trim_end();
        assert!(line.starts_with("restartinit: ") && line.len() > "restartinit: ".len(), "{self:?}");
        line
    }
}

/// A program that still runs in there.
pub struct Inside(pub Child);

impl Inside {
    pub fn end(self) -> Said {
        let output = self.0.wait_with_output().expect("its end");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        // timeout(1) ends itself as it ended what it ran.
        let is_killed = output.status.code() == Some(137) || output.status.signal() == Some(libc::SIGKILL);
        assert!(!is_killed, "it did not end in time: {}{}", text(&output.stdout), text(&output.stderr));
        // timeout(1) warns where the tests of storms have used up the user's queued signals: it is not the verb's word.
        let err = text(&output.stderr).split_inclusive('\n').filter(|line| !line.starts_with("timeout: warning: ")).collect();
        Said { code: output.status.code(), out: text(&output.stdout), err }
    }
}

impl Running {
    /// Starts a program inside.
    pub fn enter(&mut self, line: &[&str]) -> Inside {
        let pid = self.init_pid().to_string();
        let limit = self.left().max(LIMIT).as_secs().to_string();
        let mut nsenter = Command::new("timeout");
        nsenter.args(["--signal", "KILL", &limit, "nsenter", "--target", &pid, "--pid", "--mount"]);
        // SAFETY: no precondition.
        if unsafe { libc::geteuid() } != 0 {
            nsenter.args(["--user", "--preserve-credentials"]);
        }
        // No twin of whoever runs the tests: it would be a setting of the verb.
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("RESTARTINIT_")) {
            nsenter.env_remove(name);
        }
        nsenter.arg("--").args(line).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Inside(nsenter.spawn().expect("timeout and nsenter (Debian: coreutils, util-linux)"))
    }

    /// Starts a verb inside, once there is somebody to answer it.
    pub fn ask(&mut self, verb: &[&str]) -> Inside {
        self.await_door();
        self.ask_anyway(verb)
    }

    /// Starts a verb inside, whether or not there is somebody to answer it.
    pub fn ask_anyway(&mut self, verb: &[&str]) -> Inside {
        let program = init().display().to_string();
        self.enter(&[&[program.as_str()], verb].concat())
    }

    /// What the abstract name of its control socket ends in: the numbers of its PID and its mount namespace.
    pub fn namespaces(&mut self) -> String {
        let pid = self.init_pid();
        let number = |kind: &str| {
            let namespace = std::fs::read_link(format!("/proc/{pid}/ns/{kind}")).expect("its namespace");
            namespace.to_string_lossy().chars().filter(char::is_ascii_digit).collect::<String>()
        };
        format!("{}/{}", number("pid"), number("mnt"))
    }

    /// Waits for the control socket, and returns its abstract name.
    pub fn await_door(&mut self) -> String {
        let number = self.namespaces();
        let found = || {
            let sockets = std::fs::read_to_string("/proc/net/unix").expect("the sockets");
            let mut names = sockets.lines().filter_map(|line| Some(line.split_once('@')?.1.to_owned()));
            names.find(|name| name.ends_with(&number))
        };
        self.until("the control socket is there", || found().is_some());
        found().expect("it was there")
    }

    /// What a verb says.
    pub fn verb(&mut self, verb: &[&str]) -> Said {
        self.ask(verb).end()
    }

    /// What the program says when another user runs it. Only root can become somebody else.
    pub fn enter_as(&mut self, user: u32, line: &[&str]) -> Said {
        // SAFETY: no precondition.
        assert_eq!(unsafe { libc::geteuid() }, 0, "this needs root: to an ordinary user's namespace no second user belongs");
        let [uid, gid] = [format!("--reuid={user}"), format!("--regid={user}")];
        self.enter(&[&["setpriv", &uid, &gid, "--clear-groups", "--"], line].concat()).end()
    }

    /// `status --json`, parsed.
    pub fn status(&mut self) -> Value {
        let mut said = self.verb(&["status", "--json"]);
        // A machine that has other work may leave PID 1 without a processor for seconds, and the verb gives up then.
        while said.err.contains("no answer within") && !self.late() {
            said = self.verb(&["status", "--json"]);
        }
        assert_eq!(said.code, Some(0), "{said:?}");
        assert!(said.err.is_empty(), "{said:?}");
        serde_json::from_str(&said.out).unwrap_or_else(|error| panic!("{error}: {said:?}"))
    }

    /// The status, once it satisfies this.
    pub fn status_with(&mut self, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
        loop {
            let status = self.status();
            if fits(&status) {
                return status;
            }
            assert!(!self.late(), "the deadline passed: {what}: {status}");
        }
    }
}
