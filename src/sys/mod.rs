//! Hands: one kernel subject a file. They do what they are told and tell what they saw; they take no decision and do not know of one
//! another. `unsafe` lives in `allocator`, `environment`, `poll`, `processes`, `signals`, `spawn`, `spawn::child`, `stderr`, `stdio` and `wait` alone.

pub mod allocator;
pub mod cgroup;
pub mod channel;
pub mod credentials;
pub mod doors;
pub mod environment;
pub mod listeners;
pub mod poll;
pub mod processes;
pub mod signals;
pub mod spawn;
pub mod stderr;
pub mod stdio;
pub mod terminal;
pub mod wait;
