//! Chance, so that a fleet which fell together does not come back together. Pure: the seed comes from outside.

use std::time::Duration;

/// SplitMix64: even enough to spread moments, and nothing secret hangs on it.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Random {
        Random(seed)
    }

    /// A duration from zero to `most`; nothing is drawn where there is no choice.
    pub fn up_to(&mut self, most: Duration) -> Duration {
        if most.is_zero() {
            return Duration::ZERO;
        }
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let parts = most.as_nanos().saturating_add(1).min(u64::MAX.into());
        // The quotient is below `parts`, which fits.
        Duration::from_nanos((u128::from(mixed ^ (mixed >> 31)).wrapping_mul(parts) >> 64) as u64)
    }

    /// Up to so many percent of a duration.
    pub fn share(&mut self, duration: Duration, percent: u32) -> Duration {
        self.up_to(duration.saturating_mul(percent) / 100)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn it_spreads_evenly() {
        let mut random = Random::new(7);
        let mut tenths = [0u32; 10];
        for _ in 0..10_000 {
            let drawn = random.share(Duration::from_secs(40), 25);
            tenths[(drawn.as_millis() / 1000).min(9) as usize] += 1;
        }
        assert!(tenths.iter().all(|count| (850..1150).contains(count)), "{tenths:?}");
    }

    /// The first numbers of the seed 0, as its authors' own program gives them, each less one: the largest duration is one less than 2^64 ns.
    #[test]
    fn the_numbers_are_those_of_splitmix64() {
        let mut random = Random::new(0);
        let drawn = [(); 3].map(|()| random.up_to(Duration::MAX).as_nanos() + 1);
        assert_eq!(drawn, [0xe220_a839_7b1d_cdaf, 0x6e78_9e6a_a1b9_65f4, 0x06c4_5d18_8009_454f]);
    }

    #[test]
    fn without_a_choice_nothing_is_drawn() {
        let mut random = Random::new(7);
        assert_eq!((random.share(Duration::from_secs(9), 0), random.share(Duration::ZERO, 25)), (Duration::ZERO, Duration::ZERO));
        assert_eq!(random.0, 7);
    }

    proptest! {
        #[test]
        fn it_stays_within_bounds(seed: u64, most: Duration, percent in 0u32..=100) {
            let mut random = Random::new(seed);
            prop_assert!(random.up_to(most) <= most);
            prop_assert!(random.share(most, percent) <= most);
        }
    }
}
