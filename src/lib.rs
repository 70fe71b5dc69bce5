//! restartinit's modules. The pure core (`config`, `node`, `observe`, `procfs`, `signal`, `supervisor`, `time`) makes no system call and reads no
//! clock; `sys` takes no decision; `event_loop` and `control` know both. ARCHITECTURE.md has the plan.

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

pub mod cli;
pub mod config;
pub mod control;
pub mod event_loop;
pub mod generation_number;
pub mod logger;
pub mod node;
pub mod observe;
pub mod procfs;
pub mod signal;
pub mod supervisor;
pub mod sys;
pub mod time;
