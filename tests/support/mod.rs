//! The test bench: starts the init under test (`INIT_UNDER_TEST`, or restartinit as built) in a PID namespace of its own, talks
//! to it over pipes or a terminal, and waits for lines and ends with one hard deadline. Nothing outlives a test.
//!
//! It needs root or unprivileged user namespaces, and says so when it has neither.
mod bench;
mod cgroup;
pub mod clinic;
mod inside;
mod names;
mod nodes;
mod paths;
mod procfs;
pub mod programs;
mod running;
pub mod settings;
pub mod storm;
pub mod strace;
mod terminal;
mod transcript;
pub mod web;

pub use bench::{Bench, FREELY, KINDS, Place, plain};
pub use cgroup::{MemoryCgroup, ProcessorCgroup};
pub use inside::{Inside, Said};
pub use names::{RTMAX, RTMIN, name};
pub use nodes::{Node, lines_of, newest_node, nodes, on_every_node};
pub use paths::{Scratch, counting, fixture, init, is_restartinit, manual};
pub use procfs::{children, descriptors, kilobytes, sockets, status_field};
pub use running::{End, Running};
pub use transcript::Stream;

/// Whether what takes long is done in full: `RESTARTINIT_LONG=1`.
pub fn is_long() -> bool {
    std::env::var_os("RESTARTINIT_LONG").is_some()
}
