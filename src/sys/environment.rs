//! The arguments and the environment, as the kernel left them on the stack. Rust's own reading of the environment leaves out entries
//! without `=`, and it knows the arguments only where its own start has run.

#![expect(unsafe_code, reason = "the C runtime's arguments and environment are raw pointers")]

use std::ffi::{CStr, OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;

use libc::{c_char, c_int};

unsafe extern "C" {
    static environ: *const *const c_char;
}

/// Every entry of the environment, in order; what it points to is never changed or freed.
pub fn entries() -> Vec<&'static CStr> {
    let mut found = Vec::new();
    // SAFETY: the C library's pointer is null, or that of an array of strings that ends with a null pointer. Nothing in this program changes
    // the environment, so they stay as they are.
    unsafe {
        let mut next = environ;
        while !next.is_null() && !(*next).is_null() {
            found.push(CStr::from_ptr(*next));
            next = next.add(1);
        }
    }
    found
}

/// The variables: name and value of each entry that has a `=`, not at its beginning.
pub fn variables() -> impl Iterator<Item = (OsString, OsString)> {
    let split = |entry: &CStr| {
        let bytes = entry.to_bytes();
        let at = bytes.iter().skip(1).position(|byte| *byte == b'=')? + 1;
        let (name, value) = bytes.split_at_checked(at)?;
        Some((OsStr::from_bytes(name).to_owned(), OsStr::from_bytes(value.get(1..)?).to_owned()))
    };
    entries().into_iter().filter_map(split)
}

/// Eight bytes of chance that the kernel has given this process, the same at each call; where it has given none, zero.
pub fn random_bytes() -> u64 {
    // SAFETY: the kernel's entry is null, or the address of 16 bytes that stay as they are.
    unsafe {
        let bytes = libc::getauxval(libc::AT_RANDOM) as *const u64;
        if bytes.is_null() { 0 } else { bytes.read_unaligned() }
    }
}

/// The arguments, given what C's `main` is given; without the first, the program's name.
///
/// # Safety
/// `arguments` is an array of `count` strings.
pub unsafe fn arguments(count: c_int, arguments: *const *const c_char) -> impl Iterator<Item = OsString> {
    let count = usize::try_from(count).unwrap_or(0);
    (1..count).map(move |at| {
        // SAFETY: as the caller promises.
        let argument = unsafe { CStr::from_ptr(*arguments.add(at)) };
        OsStr::from_bytes(argument.to_bytes()).to_owned()
    })
}
