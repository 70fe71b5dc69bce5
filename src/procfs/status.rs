//! `/proc/PID/status` and `/proc/PID/statm`. Pure.

use super::{field, number, words};
use crate::signal::{Signal, SignalSet};

/// Resident memory in bytes, off `/proc/PID/statm`, which is short and of numbers only.
pub fn resident(statm: &[u8], page_size: u64) -> Option<u64> {
    number::<u64>(words(statm).nth(1)?)?.checked_mul(page_size)
}

/// What becomes of signals that a process gets, off `/proc/PID/status`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SignalStatus {
    caught: SignalSet,
    blocked: SignalSet,
    ignored: SignalSet,
}

impl SignalStatus {
    pub fn parse(status: &[u8]) -> Option<SignalStatus> {
        let set = |name| {
            let hex = std::str::from_utf8(field(status, name)?.trim_ascii()).ok()?;
            u64::from_str_radix(hex, 16).ok().map(SignalSet::of_bits)
        };
        Some(SignalStatus { caught: set("SigCgt:")?, blocked: set("SigBlk:")?, ignored: set("SigIgn:")? })
    }

    /// The same of a process that waits for signals in `sigwait(3)` or the like: while it does, those that it blocks show as not blocked, and
    /// which ones cannot be seen. It has set itself up.
    pub fn waiting(self) -> SignalStatus {
        SignalStatus { blocked: SignalSet::of_bits(u64::MAX), ..self }
    }

    /// Those that do not end it.
    pub fn survived(self) -> SignalSet {
        self.caught.union(self.blocked).union(self.ignored)
    }

    pub fn catches(self, signal: Signal) -> bool {
        self.caught.contains(signal)
    }

    pub fn ignores(self, signal: Signal) -> bool {
        self.ignored.contains(signal)
    }
}

/// Whether a process is in that system call, off `/proc/PID/syscall`.
pub fn is_in_call(text: &[u8], call: i64) -> bool {
    words(text).next().and_then(number) == Some(call)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const STATUS: &[u8] =
        b"Name:\tx\xe6\x97\nUmask:\t0022\nSigQ:\t0/1\nSigBlk:\t0000000000000001\nSigIgn:\t0000000000001000\nSigCgt:\t0000000000004002\n";

    #[test]
    fn a_broken_name_does_not_hide_the_rest() {
        let status = SignalStatus::parse(STATUS).unwrap();
        assert_eq!(status.survived().iter().map(Signal::number).collect::<Vec<_>>(), [1, 2, 13, 15]);
        let ignores = |number| status.ignores(Signal::new(number).unwrap());
        assert_eq!((ignores(1), ignores(2), ignores(13)), (false, false, true));
        let catches = |number| status.catches(Signal::new(number).unwrap());
        assert_eq!((catches(1), catches(2), catches(15), catches(13)), (false, true, true, false));
        assert_eq!((SignalStatus::parse(b"Name:\tx\n"), SignalStatus::parse(b"")), (None, None));
    }

    #[test]
    fn whoever_waits_for_signals_is_prepared_for_them() {
        let status = SignalStatus::parse(STATUS).unwrap().waiting();
        assert!(status.survived().contains(Signal::new(34).unwrap()) && status.ignores(Signal::new(13).unwrap()));
        assert!(is_in_call(b"128 0x7ffd 0x0 0x0 0x8 0x0 0x0 0x7ffd 0x7f01\n", 128));
        for other in [&b""[..], b"running\n", b"-1 0x7ffd 0x7f01\n", b"271 0x0\n"] {
            assert!(!is_in_call(other, 128));
        }
    }

    #[test]
    fn memory_is_read_in_pages() {
        assert_eq!(resident(b"300 50 20 1 0 40 0\n", 4096), Some(204_800));
        for bad in [&b""[..], b"300", b"300 x", b"1 18446744073709551615"] {
            assert_eq!(resident(bad, 4096), None);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = (resident(&bytes, 4096), SignalStatus::parse(&bytes));
        }
    }
}
