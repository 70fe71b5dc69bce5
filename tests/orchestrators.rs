//! What is in examples/deploy, run as it stands by the orchestrators that can be had on one machine: Compose and Swarm;
//! and the first minute with restartinit, as README.md has it.
//!
//! Run as `tests/docker/with-engine --own cargo test --features docker-tests --test orchestrators`: an engine of its own, since it
//! becomes a Swarm node, in a network namespace of its own, since ports are published.

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
#[path = "orchestrators/first_minute.rs"]
mod first_minute;
#[path = "orchestrators/swarm.rs"]
mod swarm;
