//! restartinit's rooms. `run` is the hall, the only place that knows both thought and hands. Thought (`config`, `node`,
//! `signal`, `supervisor`) makes no system call and reads no clock; hands (`sys`) take no decision. ARCHITECTURE.md has the floor plan.

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
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

pub mod config;
pub mod logger;
pub mod node;
pub mod run;
pub mod signal;
pub mod supervisor;
pub mod sys;
