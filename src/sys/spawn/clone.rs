//! clone3(2) with vfork semantics: the child runs a function on a stack of its own, in our memory, while we are suspended, and begins
//! without any of our signal handlers. libc has no wrapper for it, and a plain call of the kernel would return on the child's empty stack.

#![allow(unsafe_code)]

use std::arch::asm;
use std::io;

use libc::{c_int, c_void};

/// The kernel's `struct clone_args`, as first published (Linux 5.3).
#[repr(C)]
#[derive(Default)]
struct CloneArgs {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
}

/// Handlers become default dispositions in the child (Linux 5.5); what is ignored stays ignored.
const CLONE_CLEAR_SIGHAND: u64 = 0x1_0000_0000;
const SYS_CLONE3: i64 = 435;

/// Starts `function(argument)` as a child process; gives back its pid once it has executed a program or is gone.
///
/// # Errors
/// That of clone3(2): ENOSYS, EINVAL or, under an old seccomp profile, EPERM where the kernel does not know it.
///
/// # Safety
/// `function` must not return, and must do nothing that is not async-signal-safe. `stack` is `size` bytes, aligned to 16, that nobody else
/// uses. What `argument` points to must live until the call is over.
pub unsafe fn vfork(
    function: extern "C" fn(*mut c_void) -> c_int,
    argument: *mut c_void,
    stack: *mut c_void,
    size: usize,
) -> io::Result<i32> {
    let flags = (libc::CLONE_VM | libc::CLONE_VFORK) as u64 | CLONE_CLEAR_SIGHAND;
    let args = CloneArgs { flags, exit_signal: libc::SIGCHLD as u64, stack: stack as u64, stack_size: size as u64, ..CloneArgs::default() };
    // SAFETY: the kernel reads `args`. In the child only the registers and the new stack are used; it calls `function` and never comes back.
    // In the parent nothing but the result and what the system call may change is different, as declared.
    let result = unsafe { clone3(&args, function, argument) };
    match i32::try_from(result) {
        Ok(pid) if pid > 0 => Ok(pid),
        _ => Err(io::Error::from_raw_os_error((-result).try_into().unwrap_or(libc::EINVAL))),
    }
}

#[cfg(target_arch = "x86_64")]
unsafe fn clone3(args: &CloneArgs, function: extern "C" fn(*mut c_void) -> c_int, argument: *mut c_void) -> i64 {
    let mut result = SYS_CLONE3;
    // SAFETY: see `vfork`.
    unsafe {
        asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "xor ebp, ebp",
            "mov rdi, {argument}",
            "call {function}",
            "ud2",
            "2:",
            argument = in(reg) argument,
            function = in(reg) function,
            inout("rax") result,
            in("rdi") std::ptr::from_ref(args),
            in("rsi") size_of::<CloneArgs>(),
            out("rcx") _,
            out("r11") _,
        );
    }
    result
}

#[cfg(target_arch = "aarch64")]
unsafe fn clone3(args: &CloneArgs, function: extern "C" fn(*mut c_void) -> c_int, argument: *mut c_void) -> i64 {
    let result: i64;
    // SAFETY: see `vfork`.
    unsafe {
        asm!(
            "svc 0",
            "cbnz x0, 2f",
            "mov x29, xzr",
            "mov x0, {argument}",
            "blr {function}",
            "brk #1",
            "2:",
            argument = in(reg) argument,
            function = in(reg) function,
            in("x8") SYS_CLONE3,
            inlateout("x0") std::ptr::from_ref(args) => result,
            in("x1") size_of::<CloneArgs>(),
        );
    }
    result
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
compile_error!("restartinit runs on x86_64 and aarch64: clone3 here and the kernel's sigaction in signals.rs are written for those");

#[cfg(test)]
mod tests {
    use super::*;

    /// Ends with the number that it is given, after it has left a trace in the memory of its parent.
    extern "C" fn child(number: *mut c_void) -> c_int {
        // SAFETY: the test passes an int that outlives the child, which alone uses it meanwhile.
        unsafe {
            let number = number.cast::<c_int>();
            *number += 1;
            libc::_exit(*number)
        }
    }

    #[test]
    fn a_child_runs_on_a_stack_of_its_own_and_is_waited_for() {
        let mut stack = vec![0u128; 2048];
        let mut number: c_int = 41;
        // SAFETY: `child` does not return and makes one system call; stack and number outlive it.
        let pid = unsafe { vfork(child, (&raw mut number).cast(), stack.as_mut_ptr().cast(), 2048 * 16) }.unwrap();
        let mut status = 0;
        // SAFETY: the kernel writes one int.
        assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, 0) }, pid);
        assert_eq!((number, libc::WEXITSTATUS(status)), (42, 42));
    }
}
