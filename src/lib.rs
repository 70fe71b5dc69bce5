//! restartinit's rooms. `run` and `verbs` are the halls, the only places that know both thought and hands. Thought (`config`, `node`, `observe`,
//! `procfs`, `signal`, `supervisor`) makes no system call and reads no clock; hands (`sys`) take no decision. ARCHITECTURE.md has the floor plan.

#![deny(unsafe_code)]
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::todo,
    clippy::unreachable,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::dbg_macro
)]
#![cfg_attr(test, allow(clippy::print_stderr, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

pub mod config;
pub mod logger;
pub mod node;
pub mod observe;
pub mod porch;
pub mod procfs;
pub mod run;
pub mod signal;
pub mod supervisor;
pub mod sys;
pub mod verbs;
