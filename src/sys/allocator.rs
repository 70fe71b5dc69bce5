//! The allocator: the system's, but that it waits where there is no memory. An init that ends for want of a few bytes takes the container
//! with it; one that is late does not.

#![expect(unsafe_code, reason = "GlobalAlloc is an unsafe trait")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::thread::sleep;
use std::time::Duration;

/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(5);

#[derive(Clone, Copy, Debug, Default)]
pub struct Patient;

/// Tries until there is memory.
fn insist(mut attempt: impl FnMut() -> *mut u8) -> *mut u8 {
    loop {
        let memory = attempt();
        if !memory.is_null() {
            return memory;
        }
        sleep(PAUSE);
    }
}

// SAFETY: every call is the system allocator's, with the caller's own arguments.
unsafe impl GlobalAlloc for Patient {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as the caller promises.
        insist(|| unsafe { System.alloc(layout) })
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as the caller promises.
        insist(|| unsafe { System.alloc_zeroed(layout) })
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: as the caller promises; a failed attempt leaves the memory as it was.
        insist(|| unsafe { System.realloc(memory, layout, size) })
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_tries_until_there_is_memory() {
        let mut byte = 0u8;
        let mut left = 3;
        let memory = insist(|| {
            left -= 1;
            if left > 0 { std::ptr::null_mut() } else { &raw mut byte }
        });
        assert_eq!((memory, left), (&raw mut byte, 0));
    }
}
