//! restartinit as it is, but for an allocator that counts. The figures lie in a file beside the executable, mapped and shared, so that they
//! can be read while it runs: the calls so far, and the bytes that are in use, two native u64.

use std::alloc::{GlobalAlloc, Layout, System};
use std::fs::OpenOptions;
use std::os::fd::AsRawFd as _;
use std::process::ExitCode;
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering::Relaxed};

struct Counting;

struct Figures {
    calls: AtomicU64,
    bytes: AtomicU64,
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;
static FIGURES: AtomicPtr<Figures> = AtomicPtr::new(ptr::null_mut());

fn count(taken: usize, given_back: usize) {
    // SAFETY: null, or the mapping that `main` made, which stays.
    if let Some(figures) = unsafe { FIGURES.load(Relaxed).as_ref() } {
        figures.calls.fetch_add(u64::from(taken > 0), Relaxed);
        figures.bytes.fetch_add((taken as u64).wrapping_sub(given_back as u64), Relaxed);
    }
}

// SAFETY: every call is the system allocator's, with the caller's own arguments.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 0);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size, layout.size());
        // SAFETY: as the caller promises.
        unsafe { System.realloc(memory, layout, size) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        count(0, layout.size());
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(memory, layout) }
    }
}

fn main() -> ExitCode {
    let path = std::env::current_exe().expect("its own path").with_file_name("figures");
    let file = OpenOptions::new().read(true).write(true).open(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    // SAFETY: a new mapping of a file, which the test has made as long as the figures are.
    let figures = unsafe {
        let access = libc::PROT_READ | libc::PROT_WRITE;
        libc::mmap(ptr::null_mut(), size_of::<Figures>(), access, libc::MAP_SHARED, file.as_raw_fd(), 0)
    };
    assert_ne!(figures, libc::MAP_FAILED, "{}", std::io::Error::last_os_error());
    drop((path, file));
    FIGURES.store(figures.cast(), Relaxed);
    restartinit::cli::main(std::env::args_os().skip(1)).into()
}
