//! Signals by name and number, and sets of them. Pure: what is sent or caught is `sys::signals`' business.

use std::fmt;

use nix::sys::signal::Signal as Named;

/// The first real-time signal as the kernel, glibc and Docker count. musl counts from 35, but the number is what travels.
pub const RTMIN: u8 = 34;
/// The last signal Linux has.
pub const MAX: u8 = 64;

/// A signal number, 1 to [`MAX`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Signal(u8);

impl Signal {
    pub const INT: Signal = Signal::of(libc::SIGINT);
    pub const QUIT: Signal = Signal::of(libc::SIGQUIT);
    pub const KILL: Signal = Signal::of(libc::SIGKILL);
    pub const USR1: Signal = Signal::of(libc::SIGUSR1);
    pub const TERM: Signal = Signal::of(libc::SIGTERM);
    pub const CONT: Signal = Signal::of(libc::SIGCONT);
    pub const TSTP: Signal = Signal::of(libc::SIGTSTP);
    pub const TTIN: Signal = Signal::of(libc::SIGTTIN);
    pub const TTOU: Signal = Signal::of(libc::SIGTTOU);
    pub const WINCH: Signal = Signal::of(libc::SIGWINCH);

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "they are 1 to 64")]
    const fn of(number: i32) -> Signal {
        Signal(number as u8)
    }

    /// The signal of that number, if Linux has one.
    pub fn new(number: i32) -> Option<Signal> {
        u8::try_from(number).ok().filter(|n| (1..=MAX).contains(n)).map(Signal)
    }

    /// `TERM`, `SIGTERM`, `15`, `RTMIN+3`, `RTMAX-1`, in either case.
    pub fn parse(text: &str) -> Option<Signal> {
        if text.bytes().all(|b| b.is_ascii_digit()) {
            return text.parse().ok().and_then(Signal::new);
        }
        let upper = text.to_ascii_uppercase();
        let name = upper.strip_prefix("SIG").unwrap_or(&upper);
        let offset = |rest: &str, sign: char| match rest.strip_prefix(sign) {
            Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => digits.parse::<u8>().ok(),
            _ => rest.is_empty().then_some(0),
        };
        let number = match (name.strip_prefix("RTMIN"), name.strip_prefix("RTMAX")) {
            (Some(rest), _) => RTMIN.checked_add(offset(rest, '+')?)?,
            (_, Some(rest)) => MAX.checked_sub(offset(rest, '-')?).filter(|n| *n >= RTMIN)?,
            _ => format!("SIG{name}").parse::<Named>().ok().map(|named| named as u8)?,
        };
        Signal::new(number.into())
    }

    /// The number, as kill(2) takes it.
    pub fn number(self) -> i32 {
        self.0.into()
    }

    /// The exit code that a shell reports for a process that it has ended.
    pub fn exit_code(self) -> u8 {
        128 + self.0
    }

    /// Whether the kernel stops a process that does not handle it, for job control.
    pub fn stops_a_job(self) -> bool {
        [Signal::TSTP, Signal::TTIN, Signal::TTOU].contains(&self)
    }

    /// Whether a terminal sends it, to its whole foreground process group.
    pub fn comes_from_terminals(self) -> bool {
        self.stops_a_job() || [Signal::INT, Signal::QUIT, Signal::WINCH].contains(&self)
    }

    /// Whether restartinit can catch it and forwards it: not KILL, STOP, CHLD, nor those that report a fault.
    pub fn is_forwarded(self) -> bool {
        use libc::{SIGBUS, SIGCHLD, SIGFPE, SIGILL, SIGKILL, SIGSEGV, SIGSTOP};
        ![SIGKILL, SIGSTOP, SIGCHLD, SIGILL, SIGFPE, SIGSEGV, SIGBUS].contains(&self.number())
    }

    /// Whether it ends a process that neither handles, blocks nor ignores it. KILL apart, whose sender means it, and ABRT, which is sent
    /// for the core dump.
    pub fn ends_the_unprepared(self) -> bool {
        use libc::{SIGABRT, SIGCHLD, SIGCONT, SIGKILL, SIGSTOP, SIGURG};
        let spares = [SIGABRT, SIGCHLD, SIGCONT, SIGKILL, SIGSTOP, SIGURG].contains(&self.number());
        !spares && !self.stops_a_job() && self != Signal::WINCH
    }

    fn bit(self) -> u64 {
        1 << (self.0 - 1)
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (Named::try_from(self.number()), self.0.checked_sub(RTMIN)) {
            (Ok(named), _) => f.write_str(named.as_str()),
            (Err(_), Some(0)) => f.write_str("SIGRTMIN"),
            (Err(_), Some(above)) => write!(f, "SIGRTMIN+{above}"),
            (Err(_), None) => write!(f, "signal {}", self.0),
        }
    }
}

impl fmt::Debug for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A set of signals.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub struct SignalSet(u64);

impl SignalSet {
    /// As the kernel writes a set: signal 1 is the lowest bit.
    pub fn of_bits(bits: u64) -> SignalSet {
        SignalSet(bits)
    }

    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub fn insert(&mut self, signal: Signal) {
        self.0 |= signal.bit();
    }

    pub fn contains(self, signal: Signal) -> bool {
        self.0 & signal.bit() != 0
    }

    /// Its signals, the lowest number first, as the kernel delivers them.
    pub fn iter(self) -> impl Iterator<Item = Signal> {
        let mut left = self.0;
        std::iter::from_fn(move || {
            let lowest = u8::try_from(left.trailing_zeros()).ok()?;
            left &= left.checked_sub(1)?;
            Some(Signal(lowest + 1))
        })
    }

    pub fn union(self, other: SignalSet) -> SignalSet {
        SignalSet(self.0 | other.0)
    }

    /// Takes out all that are in `other` as well.
    pub fn take_common(&mut self, other: SignalSet) -> SignalSet {
        let common = SignalSet(self.0 & other.0);
        self.0 &= !other.0;
        common
    }

    /// Takes all signals out.
    pub fn take(&mut self) -> SignalSet {
        std::mem::take(self)
    }
}

impl FromIterator<Signal> for SignalSet {
    fn from_iter<I: IntoIterator<Item = Signal>>(signals: I) -> Self {
        let mut set = SignalSet::default();
        signals.into_iter().for_each(|signal| set.insert(signal));
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_means_the_same() {
        for text in ["TERM", "SIGTERM", "15", "term", "sigterm"] {
            assert_eq!(Signal::parse(text), Some(Signal::TERM), "{text}");
        }
        for (text, number) in [("RTMIN", 34), ("RTMIN+3", 37), ("SIGRTMAX", 64), ("RTMAX-1", 63), ("34", 34)] {
            assert_eq!(Signal::parse(text).map(Signal::number), Some(number), "{text}");
        }
    }

    #[test]
    fn what_is_no_signal_is_refused() {
        for text in [
            "",
            "0",
            "65",
            "-1",
            "FOO",
            "SIG",
            "RTMIN-1",
            "RTMIN+31",
            "RTMIN+",
            "RTMAX-31",
            "RTMIN+x",
            "RTMIN++3",
            "1e1",
            "999999999999",
            " TERM",
        ] {
            assert_eq!(Signal::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_name_reads_back_as_itself() {
        for number in (1..=31).chain(34..=64) {
            let signal = Signal::new(number).unwrap();
            assert_eq!(Signal::parse(&signal.to_string()), Some(signal));
        }
    }

    #[test]
    fn signals_are_shown_by_name_where_they_have_one() {
        for (number, name) in
            [(15, "SIGTERM"), (32, "signal 32"), (33, "signal 33"), (34, "SIGRTMIN"), (35, "SIGRTMIN+1"), (64, "SIGRTMIN+30")]
        {
            let signal = Signal::new(number).unwrap();
            assert_eq!((signal.to_string(), format!("{signal:?}")), (name.to_owned(), name.to_owned()));
        }
        assert_eq!([0, 65, -1, 271].map(Signal::new), [None; 4]);
    }

    /// signal(7): what the kernel does with each, and who sends it.
    #[test]
    fn what_the_kernel_does_with_each_signal() {
        let those = |holds: fn(Signal) -> bool| (1..=64).filter_map(Signal::new).filter(|signal| holds(*signal)).collect::<SignalSet>();
        let named = |names: &str| names.split(' ').map(|name| Signal::parse(name).unwrap()).collect::<SignalSet>();
        let all = those(|_| true);
        let but = |names: &str| {
            let mut set = all;
            set.take_common(named(names));
            set
        };
        assert_eq!(those(Signal::stops_a_job), named("TSTP TTIN TTOU"));
        assert_eq!(those(Signal::comes_from_terminals), named("INT QUIT TSTP TTIN TTOU WINCH"));
        assert_eq!(those(Signal::is_forwarded), but("KILL STOP CHLD ILL FPE SEGV BUS"));
        assert_eq!(those(Signal::ends_the_unprepared), but("KILL ABRT STOP TSTP TTIN TTOU CONT CHLD URG WINCH"));
    }

    #[test]
    fn sets_of_signals() {
        let set = |signals: &[Signal]| signals.iter().copied().collect::<SignalSet>();
        let (mut left, right) = (set(&[Signal::INT, Signal::TERM, Signal(64)]), set(&[Signal::TERM, Signal::QUIT]));
        assert_eq!(left.union(right), set(&[Signal::INT, Signal::QUIT, Signal::TERM, Signal(64)]));
        assert_eq!((left.take_common(right), left), (set(&[Signal::TERM]), set(&[Signal::INT, Signal(64)])));
        assert_eq!(set(&[Signal::INT, Signal::INT]), set(&[Signal::INT]));
        assert!(left.contains(Signal::INT) && !left.contains(Signal::TERM) && !left.is_empty() && SignalSet::default().is_empty());
        assert_eq!((set(&[Signal(1)]), set(&[Signal(64)])), (SignalSet::of_bits(1), SignalSet::of_bits(1 << 63)));
    }

    #[test]
    fn a_set_gives_back_what_was_put_in_lowest_first() {
        let mut set: SignalSet = [Signal::TERM, Signal::INT, Signal(64), Signal(1)].into_iter().collect();
        assert_eq!(set.take().iter().map(Signal::number).collect::<Vec<_>>(), [1, 2, 15, 64]);
        assert_eq!(set, SignalSet::default());
    }
}
