//! All tests but those that need a container engine (`docker`, `orchestrators`): one program, a module for each promise. CONTRIBUTING.md says where
//! a new test goes.

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

mod allocations;
mod between;
mod cgroup_limits;
mod config;
mod denied;
mod endurance;
mod exit_codes;
mod held_ports;
mod held_signals;
mod hostile_apps;
mod hostile_clients;
mod hostile_files;
mod house;
mod http;
mod job_control;
mod launchers;
mod left_alone;
mod leftovers;
mod listen;
mod logs;
mod long_ports;
mod memory;
mod metrics;
mod no_gap;
mod node_apps;
mod node_channel;
mod node_flood;
mod node_wire;
mod planned_restarts;
mod races;
mod reaping;
mod reasons;
mod restart_timing;
mod restarting;
mod rewriting;
mod rights;
mod serving;
mod shop_front;
mod shut_doors;
mod signals;
mod spawning;
mod standby;
mod starting;
mod stderr;
mod stop_timing;
mod stopping;
mod storms;
#[path = "../support/mod.rs"]
mod support;
mod system_calls;
mod terminal;
mod termination_log;
mod torture;
mod usage;
mod verbs;
mod who_may_ask;
