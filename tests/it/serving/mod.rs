//! Apps that serve, real Node of every major among them, and the clients that ask them. Knows no option of the program under test.
#![allow(dead_code, unused_imports, reason = "each test file uses the part that it needs")]

mod apps;
mod clients;
pub mod load;
mod tls;

pub use crate::support::web::free_port;
pub use crate::support::{Node, nodes};
pub use apps::{app, ends_the_unheard, frameworks, last_answers, node_apps};
pub use clients::{ask, connect, get, get_unix, hang_up, is_refused, send_request};
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
