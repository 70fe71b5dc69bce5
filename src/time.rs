//! Time as the pure core sees it: moments come in as arguments, durations go out to people. Pure.

use std::ops::{Add, AddAssign};
use std::time::Duration;

/// A moment on the monotonic clock, as the time since restartinit started. Arithmetic stops at either end: a deadline beyond the clock's
/// range is never due.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Moment(Duration);

impl Moment {
    /// When restartinit started.
    pub const START: Moment = Moment(Duration::ZERO);

    /// So long after restartinit started.
    pub const fn after_start(elapsed: Duration) -> Moment {
        Moment(elapsed)
    }

    /// The time since restartinit started.
    pub fn since_start(self) -> Duration {
        self.0
    }

    /// The time since an earlier moment; zero where that is later.
    pub fn since(self, earlier: Moment) -> Duration {
        self.0.saturating_sub(earlier.0)
    }

    /// So long before; `None`: restartinit had not started.
    pub fn checked_sub(self, duration: Duration) -> Option<Moment> {
        self.0.checked_sub(duration).map(Moment)
    }
}

impl Add<Duration> for Moment {
    type Output = Moment;

    fn add(self, duration: Duration) -> Moment {
        Moment(self.0.saturating_add(duration))
    }
}

impl AddAssign<Duration> for Moment {
    fn add_assign(&mut self, duration: Duration) {
        *self = *self + duration;
    }
}

/// A duration for a person: `12 ms`, `3.2 s`, `2 min 5 s`, `3 h 5 min`, `4 d 3 h`.
pub fn human(duration: Duration) -> String {
    let (seconds, millis) = (duration.as_secs(), duration.subsec_millis());
    match seconds {
        0 => format!("{millis} ms"),
        1..120 if millis < 100 => format!("{seconds} s"),
        1..120 => format!("{seconds}.{} s", millis / 100),
        120..3600 => two(seconds, 60, "min", 1, "s"),
        3600..86_400 => two(seconds, 3600, "h", 60, "min"),
        _ => two(seconds, 86_400, "d", 3600, "h"),
    }
}

fn two(seconds: u64, large: u64, large_name: &str, small: u64, small_name: &str) -> String {
    match seconds % large / small {
        0 => format!("{} {large_name}", seconds / large),
        rest => format!("{} {large_name} {rest} {small_name}", seconds / large),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_for_people() {
        for (millis, text) in [
            (0, "0 ms"),
            (12, "12 ms"),
            (999, "999 ms"),
            (1000, "1 s"),
            (1099, "1 s"),
            (1100, "1.1 s"),
            (3200, "3.2 s"),
            (60_000, "60 s"),
            (119_900, "119.9 s"),
            (120_000, "2 min"),
            (125_900, "2 min 5 s"),
            (3_599_000, "59 min 59 s"),
            (3_600_000, "1 h"),
            (11_100_000, "3 h 5 min"),
            (86_399_000, "23 h 59 min"),
            (86_400_000, "1 d"),
            (356_400_000, "4 d 3 h"),
        ] {
            assert_eq!(human(Duration::from_millis(millis)), text);
        }
    }
}
