//! The executable: the porch, and the allocator, which a library must leave to its user.

#![deny(unsafe_code)]

use std::process::ExitCode;

use restartinit::porch;
use restartinit::sys::allocator::Patient;

#[global_allocator]
static ALLOCATOR: Patient = Patient;

fn main() -> ExitCode {
    porch::main()
}
