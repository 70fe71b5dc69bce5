//! Apps that serve, real Node of every major among them, and the clients that ask them. Knows no option of the program under test.
#![allow(dead_code, unused_imports, reason = "each test file uses the part that it needs")]

mod clients;
pub mod load;
mod nodes;
mod tls;

pub use clients::{ask, connect, free_port, get, get_unix, hang_up, is_refused, send_request};
pub use nodes::{Node, app, frameworks, nodes};
pub use tls::Certificate;

use crate::support::{Running, children, status_field};

/// The pids of the commands that run under an init, as this side sees them.
pub fn commands(init: &mut Running) -> Vec<i32> {
    children(init.init_pid())
}

/// The pid on this side of the process that has this one in the namespace.
pub fn outside(init: &mut Running, inside: &str) -> i32 {
    let has = |pid: &i32| status_field(*pid, "NSpid").is_some_and(|pids| pids.split_whitespace().last() == Some(inside));
    let found = commands(init).into_iter().find(has);
    found.unwrap_or_else(|| panic!("no command with pid {inside} runs"))
}

/// The last word of a line, such as the pid of `up 1 pid 7`.
pub fn last_word(line: &str) -> &str {
    line.rsplit(' ').next().unwrap_or_default()
}

/// SIGKILL to the command that said this line, from outside.
pub fn kill(init: &mut Running, up: &str) {
    let pid = outside(init, last_word(up));
    // SAFETY: no pointer is passed. The command is a child of an init that lives, and was seen there just now.
    unsafe { libc::kill(pid, libc::SIGKILL) };
}
