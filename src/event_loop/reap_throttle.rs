//! Orphans that die by the thousand: between two looks at the children there is a rest, so that each look finds many. A look that finds
//! none costs as much as there are children, and keeps those that die from doing so. Pure.

use std::time::Duration;

use crate::time::Moment;

/// See the module. A few orphans are reaped at once.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ReapThrottle {
    /// When orphans were reaped last, or the rest after that was over.
    last: Moment,
    /// Looks in a row that found some.
    looks: u32,
    rest_until: Option<Moment>,
}

impl ReapThrottle {
    /// How close two looks must be to be of one flood.
    const CLOSE: Duration = Duration::from_millis(2);
    /// The rest is so many times as long as the look was: most of the time is left to those that die.
    const SHARE: u32 = 4;
    /// The shortest and the longest rest. A command that dies meanwhile is noticed so much later.
    const REST: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(16));
    /// So many looks in a row are a flood.
    const LOOKS: u32 = 32;

    /// A look at the children, begun at `since`, is over: orphans were reaped.
    pub(super) fn looked(&mut self, since: Moment, now: Moment) {
        let goes_on = since.since(self.last) < Self::CLOSE;
        self.looks = if goes_on { self.looks.saturating_add(1) } else { 1 };
        let rest = now.since(since).saturating_mul(Self::SHARE).clamp(Self::REST.0, Self::REST.1);
        self.rest_until = (self.looks >= Self::LOOKS).then(|| now + rest);
        self.last = self.rest_until.unwrap_or(now);
    }

    /// Until when nobody is to look.
    pub(super) fn rest(&self, now: Moment) -> Option<Moment> {
        self.rest_until.filter(|until| *until > now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_flood_is_rested_in() {
        let at = |micros| Moment::START + Duration::from_micros(micros);
        let mut flood = ReapThrottle::default();
        for look in 1..ReapThrottle::LOOKS {
            let now = at(100 * u64::from(look));
            flood.looked(now, now);
            assert_eq!(flood.rest(now), None, "a few");
        }
        flood.looked(at(3100), at(3200));
        assert_eq!(flood.rest(at(3200)), Some(at(4200)), "the shortest rest");
        assert_eq!(flood.rest(at(4200)), None, "it is over");
        flood.looked(at(4201), at(5201));
        assert_eq!(flood.rest(at(5201)), Some(at(9201)), "four times the look");
        flood.looked(at(9202), at(29202));
        assert_eq!(flood.rest(at(29202)), Some(at(45202)), "the longest rest");
        assert_eq!(flood.rest(at(45203)), None, "it is over");
        flood.looked(at(90000), at(90001));
        assert_eq!(flood.rest(at(90001)), None, "a lone one, later");
    }
}
