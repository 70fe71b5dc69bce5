//! Whether an event loop still turns: when to ask, how long an answer has been missing, how late the answers were. Counts time that
//! was watched, and that the app had, only. Pure: the questions themselves are `channel`'s.

use std::time::Duration;

use crate::procfs::main_thread::Had;
use crate::time::Moment;

/// More often would be work for the app without telling more.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(10);
/// Where the kernel does not tell what the app had of the time, this share of it counts: one in so many.
const UNKNOWN_SHARE: u32 = 3;

/// What a tick calls for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Turn {
    Wait,
    /// Ask the loop now; then tell [`Watchdog::asked`].
    Ask,
    /// The loop has not turned for the limit, but not all of that was the app's own time. Told once for each question.
    Late,
    /// The loop has not turned for the limit, all of it the app's own time.
    Blocked,
}

/// How long an answer has been missing, of what was watched.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub struct Overdue {
    /// The app's own time.
    pub own: Duration,
    /// All of it: with the time in which the app had no processor.
    pub wall: Duration,
}

/// The watch over one event loop.
#[derive(Clone, Debug)]
pub struct Watchdog {
    limit: Duration,
    interval: Duration,
    last_tick: Moment,
    next_ask: Moment,
    /// A question is open.
    asked: Option<Moment>,
    /// Time watched since then.
    overdue: Overdue,
    /// What the app had of the last slice was less than all of it, or is not known.
    starved: bool,
    is_unknown: bool,
    late_told: bool,
    /// The child was stopped, or restartinit was late: the answer's time says nothing of the loop.
    disturbed: bool,
    stopped: bool,
    /// The loop has answered once: somebody is there who does.
    has_answered: bool,
    /// The app is ready: from then on silence counts. A slow boot is no hang.
    begun: bool,
    last: Option<Duration>,
    largest: Option<Duration>,
}

impl Watchdog {
    /// Watches from `now` on, and asks at once; silence for `limit` is a blocked loop.
    pub fn new(now: Moment, limit: Duration) -> Watchdog {
        Watchdog {
            limit,
            interval: (limit / 4).max(SHORTEST_INTERVAL),
            last_tick: now,
            next_ask: now,
            asked: None,
            overdue: Overdue::default(),
            starved: false,
            is_unknown: false,
            late_told: false,
            disturbed: false,
            stopped: false,
            has_answered: false,
            begun: false,
            last: None,
            largest: None,
        }
    }

    /// Time has passed. However late it comes, one interval counts at most: what restartinit slept through (a paused container, a
    /// suspended machine), the child slept through as well. `had`: what the child had of the time since the last tick.
    pub fn tick(&mut self, now: Moment, had: Had) -> Turn {
        let slice = now.since(self.last_tick);
        self.last_tick = now;
        self.stopped = had == Had::Nothing;
        self.is_unknown = had == Had::Unknown;
        if self.asked.is_none() {
            return if now >= self.next_ask && !self.is_left_alone() { Turn::Ask } else { Turn::Wait };
        }
        self.disturbed |= self.stopped || slice > self.interval * 2;
        if !self.counts() || self.stopped {
            return Turn::Wait;
        }
        let slice = slice.min(self.interval);
        let own = match had {
            Had::Nothing => Duration::ZERO,
            Had::AllBut(lost) => slice.saturating_sub(lost),
            Had::Unknown => slice / UNKNOWN_SHARE,
        };
        self.starved = own < slice / 2;
        self.overdue.own = self.overdue.own.saturating_add(own);
        self.overdue.wall = self.overdue.wall.saturating_add(slice);
        if self.overdue.own >= self.limit {
            Turn::Blocked
        // What is lost to noise is no news.
        } else if self.overdue.wall >= self.limit && self.overdue.own < self.overdue.wall / 4 * 3 {
            if std::mem::replace(&mut self.late_told, true) { Turn::Wait } else { Turn::Late }
        } else {
            Turn::Wait
        }
    }

    /// Something was sent that the loop answers by itself.
    pub fn asked(&mut self, now: Moment) {
        if self.asked.is_none() {
            self.asked = Some(now);
            self.last_tick = now;
            (self.overdue, self.starved, self.late_told) = (Overdue::default(), false, false);
            self.disturbed = false;
            self.next_ask = now + self.interval;
        }
    }

    /// The loop has turned. Tells how late it was: `None` while the app boots, and where the time says nothing.
    pub fn answered(&mut self, now: Moment) -> Option<Duration> {
        let asked = self.asked.take()?;
        let first = !std::mem::replace(&mut self.has_answered, true);
        if first || !self.begun || self.disturbed {
            return None;
        }
        let lag = now.since(asked);
        self.last = Some(lag);
        self.largest = self.largest.max(Some(lag));
        Some(lag)
    }

    /// It stands still for a reason that is none of its own: what it owes is counted anew.
    pub fn excuse(&mut self) {
        (self.overdue, self.late_told, self.disturbed) = (Overdue::default(), false, true);
    }

    /// What was asked could not be sent: it is asked again after an interval.
    pub fn withdrawn(&mut self) {
        self.asked = None;
        self.next_ask = self.next_ask.max(self.last_tick + self.interval);
    }

    /// When to tick next.
    pub fn deadline(&self) -> Moment {
        match self.asked {
            None if self.is_left_alone() => self.last_tick + self.interval,
            None => self.next_ask,
            Some(_) if !self.counts() || self.stopped => self.last_tick + self.interval,
            // How little of the next slice it will have is not known either.
            Some(_) if self.starved && !self.is_unknown => self.last_tick + self.interval,
            Some(_) => {
                let left = self.limit.saturating_sub(self.overdue.own);
                let is_all_its_own = self.overdue.own == self.overdue.wall;
                let left = if is_all_its_own { left } else { left.max(SHORTEST_INTERVAL) };
                self.last_tick + self.interval.min(if self.is_unknown { left * UNKNOWN_SHARE } else { left })
            }
        }
    }

    /// How long the answer to an open question has been missing.
    pub fn overdue(&self) -> Option<Overdue> {
        self.asked.map(|_| self.overdue)
    }

    /// The app is ready: from now on its loop has to turn. What is asked already has the boot in it.
    pub fn begin(&mut self) {
        if !std::mem::replace(&mut self.begun, true) {
            self.disturbed = true;
        }
    }

    /// It answers, and nothing that it answers before it is ready counts: a question would only wake it.
    fn is_left_alone(&self) -> bool {
        self.has_answered && !self.begun
    }

    fn counts(&self) -> bool {
        self.begun && self.has_answered
    }

    /// The latest lag.
    pub fn last(&self) -> Option<Duration> {
        self.last
    }

    /// The largest lag since it was last taken.
    pub fn largest(&self) -> Option<Duration> {
        self.largest
    }

    /// The largest lag since this was last asked.
    pub fn take_largest(&mut self) -> Option<Duration> {
        self.largest.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    /// All of the time was its own.
    const ALL: Had = Had::AllBut(Duration::ZERO);

    /// So many milliseconds after the start.
    fn at(millis: u64) -> Moment {
        Moment::START + ms(millis)
    }

    /// A watchdog of 1 s whose loop has answered at 100 ms, having booted so long.
    fn begun() -> Watchdog {
        let mut dog = Watchdog::new(at(0), ms(1000));
        assert_eq!((dog.deadline(), dog.tick(at(0), ALL)), (at(0), Turn::Ask));
        dog.asked(at(0));
        assert_eq!(dog.answered(at(100)), None, "the boot is no lag");
        dog.begin();
        dog
    }

    /// Ticks at every deadline until something is called for.
    fn run(dog: &mut Watchdog, had: Had, until: Moment) -> (Moment, Turn) {
        loop {
            let now = dog.deadline();
            if now > until {
                return (until, Turn::Wait);
            }
            match dog.tick(now, had) {
                Turn::Wait => {}
                turn => return (now, turn),
            }
        }
    }

    #[test]
    fn a_loop_that_turns_is_asked_four_times_within_the_limit() {
        let mut dog = begun();
        for millis in [250, 500, 750, 1000] {
            assert_eq!(run(&mut dog, ALL, at(9999)), (at(millis), Turn::Ask));
            dog.asked(at(millis));
            assert_eq!(dog.answered(at(millis + 3)), Some(ms(3)));
        }
        assert_eq!((dog.last(), dog.largest(), dog.take_largest()), (Some(ms(3)), Some(ms(3)), Some(ms(3))));
        assert_eq!((dog.last(), dog.largest(), dog.take_largest()), (Some(ms(3)), None, None));
    }

    #[test]
    fn silence_for_the_limit_is_a_blocked_loop() {
        let mut dog = begun();
        assert_eq!(run(&mut dog, ALL, at(9999)), (at(250), Turn::Ask));
        dog.asked(at(250));
        assert_eq!(run(&mut dog, ALL, at(9999)), (at(1250), Turn::Blocked));
    }

    #[test]
    fn a_slow_boot_is_no_hang() {
        let mut dog = Watchdog::new(at(0), ms(1000));
        dog.asked(at(0));
        assert_eq!(run(&mut dog, ALL, at(60_000)).1, Turn::Wait);
        assert!(!dog.has_answered);
    }

    /// A boot of awaits and then a long piece of work: it has answered before.
    #[test]
    fn silence_counts_from_the_moment_it_is_ready() {
        let mut dog = Watchdog::new(at(0), ms(1000));
        dog.asked(at(0));
        assert_eq!(dog.answered(at(100)), None);
        dog.asked(at(250));
        assert_eq!(run(&mut dog, ALL, at(60_000)).1, Turn::Wait);
        dog.begin();
        let (blocked_at, turn) = run(&mut dog, ALL, at(90_000));
        assert!(turn == Turn::Blocked && blocked_at >= at(60_750), "{blocked_at:?}");
        assert_eq!(dog.answered(at(61_500)), None, "the boot is no lag");
    }

    #[test]
    fn one_that_answers_is_asked_again_once_it_is_ready() {
        let mut dog = Watchdog::new(at(0), ms(1000));
        dog.asked(at(0));
        dog.answered(at(100));
        assert_eq!(run(&mut dog, ALL, at(20_000)).1, Turn::Wait, "it boots");
        dog.begin();
        assert!(dog.deadline() <= at(20_000));
        assert_eq!(dog.tick(at(20_000), ALL), Turn::Ask);
    }

    #[test]
    fn a_stopped_child_is_not_counted() {
        let mut dog = begun();
        dog.asked(at(250));
        assert_eq!(run(&mut dog, Had::Nothing, at(60_000)).1, Turn::Wait);
        let (blocked_at, turn) = run(&mut dog, ALL, at(90_000));
        assert_eq!(turn, Turn::Blocked);
        assert!(blocked_at >= at(60_750), "its own second begins when it goes on: {blocked_at:?}");
        assert_eq!(dog.answered(at(70_000)), None, "no lag of the loop's making");
    }

    #[test]
    fn time_in_which_it_had_no_processor_is_not_its_own() {
        let mut dog = begun();
        dog.asked(at(250));
        let starved = Had::AllBut(ms(225));
        assert_eq!(run(&mut dog, starved, at(9999)), (at(1250), Turn::Late), "a second has passed");
        let (blocked_at, turn) = run(&mut dog, starved, at(60_000));
        assert_eq!((blocked_at, turn), (at(10_250), Turn::Blocked), "a second of its own");
        assert_eq!(dog.overdue(), Some(Overdue { own: ms(1000), wall: ms(10_000) }));
        dog.answered(at(10_251));
        assert_eq!(dog.overdue(), None);
        dog.asked(at(11_000));
        assert_eq!(dog.overdue(), Some(Overdue::default()));
        assert_eq!(run(&mut dog, ALL, at(60_000)), (at(12_000), Turn::Blocked));
    }

    #[test]
    fn what_is_not_counted_counts_a_third() {
        let mut dog = begun();
        dog.asked(at(250));
        assert_eq!(run(&mut dog, Had::Unknown, at(9999)), (at(1250), Turn::Late));
        let (blocked_at, turn) = run(&mut dog, Had::Unknown, at(9999));
        assert!(turn == Turn::Blocked && (at(3250)..at(3350)).contains(&blocked_at), "{blocked_at:?}");
    }

    /// No machine gives all of its time to one process: what is lost to noise makes no kill late by an interval.
    #[test]
    fn a_little_lost_is_made_up_for_soon() {
        let mut dog = begun();
        dog.asked(at(250));
        let (blocked_at, turn) = {
            let mut turns = std::iter::repeat_with(|| {
                let now = dog.deadline();
                (now, dog.tick(now, Had::AllBut(ms(2))))
            });
            turns.find(|(_, turn)| *turn == Turn::Blocked).expect("some time")
        };
        assert!(turn == Turn::Blocked && (at(1250)..at(1300)).contains(&blocked_at), "{blocked_at:?}");
    }

    #[test]
    fn what_could_not_be_sent_is_asked_again_after_an_interval() {
        for (tick, again) in [(250, 500), (400, 650)] {
            let mut dog = begun();
            dog.asked(at(250));
            assert_eq!(dog.tick(at(tick), ALL), Turn::Wait);
            dog.withdrawn();
            assert_eq!(run(&mut dog, ALL, at(9999)), (at(again), Turn::Ask), "{tick}");
        }
    }

    #[test]
    fn a_late_tick_counts_one_interval() {
        let mut dog = begun();
        dog.asked(at(250));
        assert_eq!(dog.tick(at(3_600_000), ALL), Turn::Wait);
        assert_eq!(dog.answered(at(3_600_001)), None);
    }

    #[test]
    fn an_answer_tells_the_lag_unless_restartinit_was_late_itself() {
        for (tick, lag) in [(750, Some(ms(501))), (751, None)] {
            let mut dog = begun();
            dog.asked(at(250));
            assert_eq!(dog.tick(at(tick), ALL), Turn::Wait);
            assert_eq!(dog.answered(at(751)), lag, "{tick}");
        }
    }

    #[test]
    fn a_tiny_limit_is_asked_every_ten_milliseconds() {
        let mut dog = Watchdog::new(at(0), ms(1));
        dog.asked(at(0));
        assert_eq!((dog.deadline(), dog.has_answered), (at(10), false), "it boots: nothing counts yet");
        dog.answered(at(1));
        dog.begin();
        assert_eq!((dog.deadline(), dog.has_answered), (at(10), true));
        dog.asked(at(10));
        assert_eq!(dog.deadline(), at(11));
        dog.tick(at(11), Had::Nothing);
        assert_eq!(dog.deadline(), at(21), "it is stopped: nothing counts meanwhile");
    }

    proptest! {
        /// Whatever happens, no deadline makes the event loop spin: time gets on by an interval in a bounded number of ticks.
        #[test]
        fn ticking_at_deadlines_gets_on(lost in proptest::collection::vec(proptest::option::of(0u64..4), 200), limit in 1u64..5000) {
            let mut dog = Watchdog::new(at(0), ms(limit));
            dog.asked(at(0));
            dog.answered(at(0));
            dog.begin();
            let mut blocked = false;
            for lost in &lost {
                let slice = dog.deadline().since(dog.last_tick);
                let had = match lost {
                    None => Had::Nothing,
                    Some(3) => Had::Unknown,
                    Some(thirds) => Had::AllBut(slice * u32::try_from(*thirds).unwrap_or_default() / 3),
                };
                match dog.tick(dog.deadline(), had) {
                    Turn::Ask => dog.asked(dog.last_tick),
                    Turn::Blocked => { blocked = true; break }
                    Turn::Wait | Turn::Late => {}
                }
            }
            prop_assert!(blocked || dog.last_tick.since_start() >= dog.interval * 10);
        }
    }
}
