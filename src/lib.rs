//! restartinit's modules. The pure core (`config`, `errno`, `inspector`, `json_scan`, `node`, `observe`, `procfs`, `random`, `signal`, `supervisor`, `time`) makes no system call and reads no
//! clock; `sys` takes no decision; `event_loop` and `control` know both. ARCHITECTURE.md has the plan.

#![warn(unreachable_pub)]
// Each file that has some says why.
#![deny(unsafe_code)]
// A PID 1 has no panic path, and says nothing past its logger.
#![deny(
    clippy::dbg_macro,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::todo,
    clippy::unreachable,
    clippy::unwrap_used
)]
// What a cast cuts off is an error, or cannot be.
#![warn(
    clippy::cast_lossless,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss
)]
#![cfg_attr(
    test,
    allow(
        clippy::cast_possible_truncation,
        clippy::cast_possible_wrap,
        clippy::cast_sign_loss,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::print_stderr,
        clippy::unwrap_used,
        reason = "a test that fails may panic"
    )
)]

pub mod cli;
pub mod config;
pub mod control;
pub mod errno;
pub mod event_loop;
pub mod generation_number;
pub mod inspector;
pub mod json;
pub mod json_scan;
pub mod logger;
pub mod node;
pub mod observe;
pub mod procfs;
pub mod random;
pub mod signal;
pub mod supervisor;
pub mod sys;
pub mod time;
