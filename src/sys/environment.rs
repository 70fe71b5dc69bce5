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
    // Its size first: what grows takes memory and gives it back, page by page.
    let mut found = Vec::with_capacity(pointers().count());
    found.extend(iter());
    found
}

fn iter() -> impl Iterator<Item = &'static CStr> {
    // SAFETY: each points to a string, which stays as it is: nothing in this program changes the environment.
    pointers().map(|entry| unsafe { CStr::from_ptr(entry) })
}

fn pointers() -> impl Iterator<Item = *const c_char> {
    // SAFETY: written by nobody meanwhile: nothing in this program changes the environment.
    let mut next = unsafe { environ };
    std::iter::from_fn(move || {
        // SAFETY: the C library's pointer is null, or that of an array of strings that ends with a null pointer, where this stops.
        unsafe {
            if next.is_null() || (*next).is_null() {
                return None;
            }
            let entry = *next;
            next = next.add(1);
            Some(entry)
        }
    })
}

/// The variables: name and value of each entry that has a `=`, not at its beginning.
pub fn variables() -> impl Iterator<Item = (&'static OsStr, &'static OsStr)> {
    let split = |entry: &'static CStr| {
        let bytes = entry.to_bytes();
        let at = bytes.iter().skip(1).position(|byte| *byte == b'=')? + 1;
        let (name, value) = bytes.split_at_checked(at)?;
        Some((OsStr::from_bytes(name), OsStr::from_bytes(value.get(1..)?)))
    };
    iter().filter_map(split)
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
