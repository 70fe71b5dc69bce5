//! What is in examples/deploy, run as it stands by the orchestrators that can be had on one machine: Compose and Swarm.
//!
//! Run as `tests/docker/with-engine --own cargo test --features docker-tests --test orchestrators`: an engine of its own, since it
//! becomes a Swarm node, in a network namespace of its own, since ports are published.

#![allow(
    unsafe_code,
    unreachable_pub,
    clippy::cast_lossless,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::unreachable,
    clippy::unwrap_used,
    reason = "a test that fails may panic, and tests call the kernel by themselves"
)]

#[allow(dead_code, reason = "the Docker suite uses the rest")]
#[path = "docker/engine.rs"]
mod engine;
#[allow(dead_code, reason = "the Docker suite uses the rest")]
#[path = "docker/images.rs"]
mod images;
#[path = "orchestrators/outside.rs"]
mod outside;

#[path = "orchestrators/compose.rs"]
mod compose;
#[path = "orchestrators/swarm.rs"]
mod swarm;
