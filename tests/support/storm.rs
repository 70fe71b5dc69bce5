//! A storm of signals at the init, by processes of the command's or by an exec session's.

use super::paths::fixture;
use super::{Bench, Inside, Running, name};
use std::fmt;
use std::io::{BufRead, BufReader};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// More than an init takes before the next ones come, and far less than the user's quota of queued signals: everybody else's would be
/// refused, those of the timers of `timeout` too.
const QUEUE: &str = "queued-signals 10000";

/// Storms come one after another: of two at a time, one could fill the queue for both, since the kernel counts by user.
pub fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

pub struct Storm {
    senders: u32,
    signals: Vec<i32>,
}

impl Storm {
    pub fn of(senders: u32, signals: &[i32]) -> Self {
        Self { senders, signals: signals.to_vec() }
    }

    /// Starts the init with a command that storms it in its first generation, by children that outlive it. The command itself ignores
    /// these signals, or it would die of what is forwarded.
    pub fn by_command(&self, bench: Bench, statements: &[&str]) -> Running {
        println!("{self}");
        bench.scene(&[QUEUE]).run(&[&[self.ignored().as_str(), &format!("until 1 {self}")], statements].concat())
    }

    /// Starts the init, and once its command is up an exec session that storms it: processes that are nobody's descendants.
    pub fn by_exec_session(&self, bench: Bench, statements: &[&str]) -> (Running, Inside) {
        println!("{self}, by an exec session");
        let mut init = bench.scene(&[QUEUE]).run(&[&[self.ignored().as_str()], statements].concat());
        init.out("up");
        let mut session = init.enter(&[&fixture().display().to_string(), &self.to_string(), "pause"]);
        let mut line = String::new();
        BufReader::new(session.0.stdout.take().expect("a pipe")).read_line(&mut line).expect("a line");
        assert_eq!(line, "storming\n");
        (init, session)
    }

    fn ignored(&self) -> String {
        format!("ignore {}", self.names())
    }

    fn names(&self) -> String {
        self.signals.iter().map(|signal| name(*signal)).collect::<Vec<_>>().join(" ")
    }
}

/// As the statement that makes it.
impl fmt::Display for Storm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "storm {} {}", self.senders, self.names())
    }
}
