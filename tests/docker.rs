//! restartinit in real containers: what Docker sees of it, and what it sees of Docker.
//!
//! Run as `tests/docker/with-engine cargo test --features docker-tests --test docker`: that finds or starts an engine, and tidies up.
//! The binary in the images is the static one: `RESTARTINIT_STATIC`, or what `make static` has built.
//! Each file is one promise; `engine`, `images`, `container`, `terminal` and `transcript` are what they stand on.

#[path = "docker/container.rs"]
mod container;
#[path = "docker/engine.rs"]
mod engine;
#[path = "docker/images.rs"]
mod images;
#[path = "docker/terminal.rs"]
mod terminal;
#[path = "docker/transcript.rs"]
mod transcript;

#[path = "docker/confined.rs"]
mod confined;
#[path = "docker/day_two.rs"]
mod day_two;
#[path = "docker/documents.rs"]
mod documents;
#[path = "docker/exec_sessions.rs"]
mod exec_sessions;
#[path = "docker/handing_over.rs"]
mod handing_over;
#[path = "docker/interactive.rs"]
mod interactive;
#[path = "docker/leftovers.rs"]
mod leftovers;
#[path = "docker/memory.rs"]
mod memory;
#[path = "docker/restarting.rs"]
mod restarting;
#[path = "docker/rights.rs"]
mod rights;
#[path = "docker/scratch.rs"]
mod scratch;
#[path = "docker/signals.rs"]
mod signals;
#[path = "docker/stopping.rs"]
mod stopping;
#[path = "docker/verbs.rs"]
mod verbs;
