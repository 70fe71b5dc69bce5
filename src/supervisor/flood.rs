//! Orphans that die by the thousand: between two looks at the children there is a rest, so that each look finds many. A look that finds
//! none costs as much as there are children, and keeps those that die from doing so. Pure.

use std::time::Duration;

use super::time::Moment;

/// See the module. A few orphans are reaped at once.
#[derive(Clone, Copy, Debug, Default)]
pub struct Flood {
    /// When orphans were reaped last.
    last: Moment,
    /// Looks in a row that found some.
    looks: u32,
    rest_until: Option<Moment>,
}

impl Flood {
    /// How close two looks must be to be of one flood, and how long the rest is then. A command that dies meanwhile is noticed so much later.
    const REST: Duration = Duration::from_millis(1);
    /// So many looks in a row are a flood.
    const LOOKS: u32 = 32;

    /// A look at the children is over: so many orphans were reaped.
    pub fn looked(&mut self, now: Moment, orphans: u64) {
        self.rest_until = None;
        if orphans > 0 {
            let goes_on = now.saturating_sub(self.last) < Self::REST * 2;
            self.looks = if goes_on { self.looks.saturating_add(1) } else { 1 };
            self.last = now;
            self.rest_until = (self.looks >= Self::LOOKS).then(|| now.saturating_add(Self::REST));
        }
    }

    /// Until when nobody is to look.
    pub fn rest(&mut self, now: Moment) -> Option<Moment> {
        self.rest_until.take_if(|until| *until <= now);
        self.rest_until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_flood_is_rested_in() {
        let at = Duration::from_micros;
        let mut flood = Flood::default();
        for look in 1..Flood::LOOKS {
            flood.looked(at(100 * u64::from(look)), 1);
            assert_eq!(flood.rest(at(100 * u64::from(look))), None, "a few");
        }
        flood.looked(at(3200), 1);
        assert_eq!(flood.rest(at(3200)), Some(at(4200)));
        assert_eq!(flood.rest(at(4200)), None, "it is over");
        flood.looked(at(4201), 500);
        assert_eq!(flood.rest(at(4201)), Some(at(5201)), "it goes on");
        flood.looked(at(5202), 0);
        assert_eq!(flood.rest(at(5202)), None, "nobody died");
        flood.looked(at(9000), 1);
        assert_eq!(flood.rest(at(9000)), None, "a lone one, later");
    }
}
