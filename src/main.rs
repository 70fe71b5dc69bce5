//! The executable: the command line (`cli`), and the allocator, which a library must leave to its user. It has a C `main`: Rust's own start ends the
//! process where descriptor 0, 1 or 2 is closed and there is no /dev/null, and sets up what an init has no use for.

#![cfg_attr(not(test), no_main)]
#![deny(unsafe_code)]
#![cfg_attr(not(test), expect(unsafe_code, reason = "a C `main` is exported by its name"))]

use restartinit::sys::allocator::Patient;

#[global_allocator]
static ALLOCATOR: Patient = Patient;

/// What it is made of, as scanners of images read it (`packaging/dependencies`).
#[cfg(lists_dependencies)]
#[used]
#[unsafe(link_section = ".dep-v0")]
static DEPENDENCIES: [u8; include_bytes!("../packaging/dependencies.zlib").len()] = *include_bytes!("../packaging/dependencies.zlib");

/// # Safety
/// Only the C runtime calls it.
#[cfg(not(test))]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn main(count: libc::c_int, arguments: *const *const libc::c_char) -> libc::c_int {
    // SAFETY: the C runtime passes `count` strings.
    let arguments = unsafe { restartinit::sys::environment::arguments(count, arguments) };
    restartinit::cli::main(arguments).into()
}
