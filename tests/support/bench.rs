//! Sets a test up: which options and variables, what goes before the init, where it runs; then starts it.

use super::paths::{check_namespaces, fixture, init, is_restartinit, namespace_options};
use super::running::Running;
use super::terminal::open_terminal;
use super::transcript::{Stream, Transcript};
use std::ffi::OsString;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// PID 1 of a namespace, standard streams on pipes: `docker run -i`.
    Pid1,
    /// An ordinary process whose parent tells how it ended and what it left behind.
    Hosted,
    /// PID 1 with a controlling terminal on all three streams: `docker run -it`.
    Terminal,
    /// The same with only its input on the terminal, so that what it says is heard after a hang-up too.
    TerminalInput,
}

/// Every way in which the fixture's descendants get away from it.
pub const KINDS: [&str; 6] = ["plain", "group", "session", "orphan", "daemon", "thread"];

/// Restarts at once and without an end.
pub const FREELY: [&str; 6] = ["--max-restarts", "1000", "--restart-window", "0", "--backoff", "0"];

pub struct Bench {
    program: PathBuf,
    arguments: Vec<OsString>,
    scene: Vec<String>,
    variables: Vec<(OsString, OsString)>,
    folder: Option<PathBuf>,
    bare: bool,
    user_namespace: bool,
    place: Place,
    input: Option<Stdio>,
    output: Option<Stdio>,
    errors: Option<Stdio>,
}

/// The init as a plain one, which tini and its like are anyway.
pub fn plain() -> Bench {
    Bench::new(if is_restartinit() { &["--restart", "never"] } else { &[] })
}

impl Bench {
    pub fn new(options: &[&str]) -> Self {
        Self {
            program: init(),
            arguments: options.iter().map(OsString::from).collect(),
            scene: Vec::new(),
            variables: Vec::new(),
            folder: None,
            bare: false,
            user_namespace: false,
            place: Place::Pid1,
            input: None,
            output: None,
            errors: None,
        }
    }

    /// An interactive shell on a terminal, in the place of the init: for what happens under a shell.
    pub fn shell() -> Self {
        let shell = Self::new(&["--norc", "--noprofile", "-i"]).variable("PS1", "prompt> ").variable("TERM", "dumb");
        Self { program: "/bin/bash".into(), place: Place::Terminal, ..shell }
    }

    pub fn option(mut self, option: impl Into<OsString>) -> Self {
        self.arguments.push(option.into());
        self
    }

    pub fn variable(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.variables.push((name.into(), value.into()));
        self
    }

    pub fn variables(self, variables: &[(&str, &str)]) -> Self {
        variables.iter().fold(self, |bench, (name, value)| bench.variable(*name, *value))
    }

    /// The folder that it starts in.
    pub fn folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder = Some(folder.into());
        self
    }

    /// Only the variables that the test names, none of the machine's.
    pub fn bare(mut self) -> Self {
        self.bare = true;
        self
    }

    /// In a user namespace in any case, as root of that alone; whoever runs the tests without root is in one anyway.
    pub fn user_namespace(mut self) -> Self {
        self.user_namespace = true;
        self
    }

    /// Statements of the fixture that run in the process which then becomes the init.
    pub fn scene(mut self, statements: &[&str]) -> Self {
        self.scene.extend(statements.iter().map(|statement| (*statement).to_owned()));
        self
    }

    pub fn place(mut self, place: Place) -> Self {
        self.place = place;
        self
    }

    /// Another program as the init: a copy that other users reach.
    pub fn program(mut self, program: impl Into<PathBuf>) -> Self {
        self.program = program.into();
        self
    }

    pub fn input(mut self, input: impl Into<Stdio>) -> Self {
        self.input = Some(input.into());
        self
    }

    pub fn errors(mut self, errors: impl Into<Stdio>) -> Self {
        self.errors = Some(errors.into());
        self
    }

    /// Starts the init with the fixture as its command.
    pub fn run(self, statements: &[&str]) -> Running {
        let command = std::iter::once(fixture().into_os_string()).chain(statements.iter().map(OsString::from));
        self.command(command)
    }

    /// Starts the init with any command.
    pub fn command(mut self, command: impl IntoIterator<Item = impl Into<OsString>>) -> Running {
        // Most tests are not about readiness, and their command listens nowhere.
        let says_itself = ["ready", "hold-port", "standby", "listen", "hold_port"];
        let names =
            || self.arguments.iter().chain(self.variables.iter().map(|(name, _)| name)).map(|name| name.to_string_lossy().to_lowercase());
        let is_open = !names().any(|name| name == "drain" || says_itself.iter().any(|word| name.contains(word)));
        if is_open && is_restartinit() && self.program.file_name() == init().file_name() {
            self.arguments.extend(["--ready-when", "started"].map(OsString::from));
        }
        self.arguments.push("--".into());
        self.arguments.extend(command.into_iter().map(Into::into));
        self.start()
    }

    /// Starts the program with what it was given and no more.
    pub fn start(mut self) -> Running {
        check_namespaces();
        let mut unshare = Command::new("unshare");
        self.set_variables(&mut unshare);
        if let Some(folder) = &self.folder {
            unshare.current_dir(folder);
        }
        let options = namespace_options();
        if self.user_namespace && !options.contains(&"--user") {
            unshare.args(["--user", "--map-root-user"]);
        }
        unshare.args(options).arg("--").args(self.line());
        // SAFETY: it only makes system calls that are async-signal-safe.
        unsafe { unshare.pre_exec(clean) };
        let transcript = Arc::new(Transcript::default());
        let on_terminal = matches!(self.place, Place::Terminal | Place::TerminalInput);
        let terminal = on_terminal.then(open_terminal);
        let programs = || terminal.as_ref().map(|terminal| terminal.programs.try_clone().expect("a duplicate"));
        let all = self.place == Place::Terminal;
        unshare.stdin(self.input.take().or(programs().map(Stdio::from)).unwrap_or_else(Stdio::piped));
        for (stream, given) in [(Stream::Out, self.output.take()), (Stream::Log, self.errors.take())] {
            let given = given.or(programs().filter(|_| all).map(Stdio::from));
            let end = given.unwrap_or_else(|| listen(&transcript, stream));
            match stream {
                Stream::Out => unshare.stdout(end),
                _ => unshare.stderr(end),
            };
        }
        let child = unshare.spawn().expect("unshare starts");
        let person = terminal.map(|terminal| terminal.person);
        if let Some(person) = person.as_ref().filter(|_| all) {
            transcript.listen(Stream::Screen, person.try_clone().expect("a duplicate"));
        }
        Running::new(child, person, transcript, self.program, self.place)
    }

    fn set_variables(&self, unshare: &mut Command) {
        if self.bare {
            unshare.env_clear();
        }
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("RESTARTINIT_") {
                unshare.env_remove(name);
            }
        }
        unshare.envs(self.variables.iter().map(|(name, value)| (name, value)));
    }

    fn line(&self) -> Vec<OsString> {
        let mut scene: Vec<OsString> = self.scene.iter().map(OsString::from).collect();
        if matches!(self.place, Place::Terminal | Place::TerminalInput) {
            scene.push("controlling-terminal".into());
        }
        let mut line = Vec::new();
        if !scene.is_empty() || self.place == Place::Hosted {
            line.push(fixture().into_os_string());
            line.extend(scene);
            line.push(if self.place == Place::Hosted { "host" } else { "exec" }.into());
        }
        line.push(self.program.clone().into_os_string());
        line.extend(self.arguments.iter().cloned());
        line
    }
}

/// A pipe of our own making, as the standard library's would be, and a listener at its other end.
fn listen(transcript: &Arc<Transcript>, stream: Stream) -> Stdio {
    let (read, write) = std::io::pipe().expect("a pipe");
    transcript.listen(stream, File::from(OwnedFd::from(read)));
    Stdio::from(write)
}

/// Whoever runs the tests may have left descriptors open or signals ignored or blocked: a test begins without. It has a session of
/// its own, so that no terminal of a person is in reach, nor the group of the tests for an init that signals too much. And
/// the namespace dies with the test's thread, however that ends.
fn clean() -> std::io::Result<()> {
    // SAFETY: plain system calls; a set that sigemptyset has filled is valid. Signals that cannot be set stay as they are.
    unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
        libc::setsid();
        libc::syscall(libc::SYS_close_range, 3, u32::MAX, libc::CLOSE_RANGE_CLOEXEC);
        for signal in 1..=libc::SIGRTMAX() {
            libc::signal(signal, libc::SIG_DFL);
        }
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut());
    }
    Ok(())
}
