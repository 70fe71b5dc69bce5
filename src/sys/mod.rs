//! The kernel: one subject a file. These functions do what they are asked and return what they saw; they take no decision, and the files do
//! not know of one another. `unsafe` lives in `allocator`, `credentials`, `environment`, `poll`, `processes`, `signals`, `spawn`, `stderr`, `stderr::way`,
//! `stdio`, `wait` and `worker` alone.

pub mod allocator;
pub mod cgroup;
pub mod channel;
pub mod credentials;
pub mod environment;
pub mod file_tree;
pub mod listeners;
pub mod listening;
pub mod main_thread;
pub mod poll;
pub mod processes;
pub mod signals;
pub mod sockets;
pub mod spawn;
pub mod stderr;
pub mod stdio;
pub mod terminal;
pub mod wait;
pub mod worker;
