//! `--max-age`: a generation that has been active for so long is replaced by a planned restart. Pure.

use std::time::Duration;

use super::Supervisor;
use super::event::Actions;
use super::exit::Reason;
use super::planned_restart::Because;
use crate::generation_number::GenerationNumber;
use crate::time::Moment;

/// When the active generation is as old as it may become.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct AgeWatch {
    of: GenerationNumber,
    due: Moment,
}

#[cfg(test)]
impl AgeWatch {
    pub(super) fn due(self) -> Moment {
        self.due
    }
}

impl Supervisor {
    /// After a restart that failed the next attempt comes a tenth of the age later, within these bounds.
    const AGE_AGAIN: [Duration; 2] = [Duration::from_secs(30), Duration::from_secs(3600)];

    pub(super) fn age_due(&self) -> Option<Moment> {
        let watch = self.age?;
        self.undisturbed().filter(|active| active.number == watch.of)?;
        Some(watch.due)
    }

    /// Another generation may be the active one by now: its time begins.
    pub(super) fn note_age(&mut self, now: Moment) {
        let Some(limit) = self.config.max_age else { return };
        let Some(of) = self.active().map(|active| active.number) else { return };
        if self.age.is_none_or(|watch| watch.of != of) {
            // A fleet that started together must not be replaced together.
            let earlier = self.random.share(limit, self.config.backoff_jitter);
            self.age = Some(AgeWatch { of, due: now + limit.saturating_sub(earlier) });
        }
    }

    pub(super) fn tick_age(&mut self, now: Moment, actions: &mut Actions) {
        let (Some(limit), Some(due)) = (self.config.max_age, self.age_due()) else { return };
        if due > now {
            return;
        }
        let [least, most] = Self::AGE_AGAIN;
        if let Some(watch) = &mut self.age {
            watch.due = now + (limit / 10).clamp(least, most);
        }
        self.plan(Reason::MaxAge { limit }, Because::Itself, actions);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::random::Random;
    use crate::supervisor::bench::{Bench, at, listens_at, ms};
    use crate::supervisor::event::{ChannelEvent, Event, Next, Phase};
    use crate::supervisor::exit::Exit;

    const HOUR: u64 = 3_600_000;

    /// Lets the clock run to the end of an age.
    fn grow_old(bench: &mut Bench) {
        while bench.supervisor.age_due().is_some_and(|due| due > bench.now) {
            bench.tick();
        }
        bench.take_log();
    }

    #[test]
    fn one_that_is_old_is_replaced() {
        let mut bench = Bench::listening(Config { max_age: Some(ms(HOUR)), ..Config::default() });
        assert_eq!(bench.supervisor.age_due(), Some(at(HOUR)));
        grow_old(&mut bench);
        assert!(bench.supervisor.planned.is_some() && bench.now == at(HOUR));
        bench.now = at(HOUR + 500);
        bench.events(102, &[ChannelEvent::Answered, listens_at(&[3000])]).exit(101, Exit::Code(0));
        assert_eq!(bench.supervisor.age_due(), Some(at(2 * HOUR + 500)), "that of the new one");
        let view = bench.supervisor.view(bench.now);
        assert!(view.restarts_total.contains(&("max age", 1)) && view.restarts_used == 0, "{view:?}");
    }

    #[test]
    fn a_crash_begins_it_anew() {
        let mut bench = Bench::running(Config { max_age: Some(ms(HOUR)), ..Config::default() });
        bench.now = at(HOUR / 2);
        bench.exit(101, Exit::Code(1));
        assert_eq!(bench.supervisor.age_due(), None);
        bench.tick();
        assert_eq!((bench.supervisor.age_due(), bench.supervisor.phase), (Some(at(HOUR + HOUR / 2)), Phase::Supervising(Next::Undecided)));
    }

    #[test]
    fn a_successor_that_fails_is_tried_again_later() {
        for (age, again) in [(HOUR, HOUR / 10), (60_000, 30_000), (100 * HOUR, HOUR)] {
            let mut bench = Bench::listening(Config { max_age: Some(ms(age)), ..Config::default() });
            grow_old(&mut bench);
            bench.exit(102, Exit::Code(1));
            assert_eq!(bench.supervisor.age_due(), Some(at(age + again)));
            assert!(bench.supervisor.planned.is_none() && bench.supervisor.active().is_some());
        }
    }

    #[test]
    fn a_fleet_is_spread() {
        let due = |seed| {
            let mut bench = Bench::new(Config { max_age: Some(ms(HOUR)), backoff_jitter: 50, ..Config::default() });
            bench.supervisor.random = Random::new(seed);
            bench.tell(Event::Tick { signals_pending: false });
            bench.supervisor.age_due().unwrap()
        };
        let due: Vec<Moment> = (0..20).map(due).collect();
        assert!(due.iter().all(|due| (at(HOUR / 2)..=at(HOUR)).contains(due)), "{due:?}");
        assert!(due.iter().any(|due| *due < at(HOUR * 2 / 3)) && due.iter().any(|due| *due > at(HOUR * 5 / 6)), "{due:?}");
    }

    /// The first restart stays immediate; each wait after that is longer by chance, and never shorter.
    #[test]
    fn waits_are_spread() {
        let waits = |seed| {
            let mut bench = Bench::new(Config { backoff_jitter: 50, backoff: ms(1000), ..Config::default() });
            bench.supervisor.random = Random::new(seed);
            bench.tell(Event::Tick { signals_pending: false });
            [101, 102].map(|number| {
                bench.exit(number, Exit::Code(1));
                let began = bench.now;
                let due = match bench.supervisor.phase {
                    Phase::Supervising(Next::Spawn { due }) => due,
                    other => panic!("{other:?}"),
                };
                bench.now = due;
                bench.tell(Event::Tick { signals_pending: false });
                due.since(began)
            })
        };
        let waits: Vec<[Duration; 2]> = (0..20).map(waits).collect();
        assert!(waits.iter().all(|[first, second]| first.is_zero() && (ms(1000)..=ms(1500)).contains(second)), "{waits:?}");
        assert!(waits.iter().any(|[_, second]| *second < ms(1200)) && waits.iter().any(|[_, second]| *second > ms(1300)), "{waits:?}");
    }
}
