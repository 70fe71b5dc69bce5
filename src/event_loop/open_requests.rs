//! How many requests a command has open: those that are lost if it dies of a stop.

use nix::unistd::Pid;

use crate::sys::{listening, processes};

/// So many connections are looked at: the stop waits meanwhile.
const MOST: usize = 4096;

/// As far as can be seen, and within some ten milliseconds.
pub(super) fn count(pid: Pid) -> usize {
    let Ok(listeners) = listening::sockets(pid) else { return 0 };
    let mut connections = Vec::new();
    let searched = processes::sockets_of(pid, 0, |descriptor| {
        let inode = descriptor.map(|descriptor| descriptor.inode);
        connections.extend(inode.filter(|inode| !listeners.iter().any(|listener| listener.inode == *inode)));
        connections.len() >= MOST
    });
    // What it does not hold was not accepted yet, or is another's. Without any the kernel need not be asked.
    if searched.is_err() || connections.is_empty() {
        return 0;
    }
    listening::open_requests(pid, &connections, &listeners).unwrap_or(0)
}
