//! Signal names and numbers, as the kernel and glibc count them. Shared with the fixture. Owns no other knowledge.

/// Of the signals from 1 to 31.
pub const NAMES: [&str; 31] = [
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE", "ALRM", "TERM", "STKFLT", "CHLD",
    "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
];

/// The first real-time signal a program may use. Literal, since libc calls differ: musl says 35.
pub const RTMIN: i32 = 34;

/// The last one.
pub const RTMAX: i32 = 64;

/// `SIGTERM` for 15, `RTMIN+3` for 37.
pub fn name(signal: i32) -> String {
    match usize::try_from(signal - 1).ok().and_then(|at| NAMES.get(at)) {
        Some(name) => format!("SIG{name}"),
        None => format!("RTMIN+{}", signal - RTMIN),
    }
}
