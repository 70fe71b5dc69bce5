//! What an exit leads to: the restart policy, the restart window and the backoff. Pure.

use std::collections::VecDeque;
use std::time::Duration;

use super::exit::{Exit, Outcome, Reason, Run};
use crate::config::Config;
use crate::config::values::RestartPolicy;
use crate::time::Moment;

/// What follows an exit that no stop was behind.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    Restart { wait: Duration, used: u32, allowed: u32 },
    HandOver(Outcome),
}

/// Whether the exit counts as a success, which `on-failure` does not restart.
pub fn is_success(config: &Config, exit: Exit) -> bool {
    exit == Exit::Code(0) || config.exit_zero_on.contains(exit.code())
}

/// The exit code that restartinit ends with, given the command's last exit and why it came to that.
pub fn exit_code(config: &Config, outcome: Outcome, exit: Exit, reason: Option<Reason>) -> u8 {
    let code = if is_success(config, exit) { 0 } else { exit.code() };
    match outcome {
        // The orchestrator must see that something is wrong, even when `always` restarted a command that keeps ending well.
        Outcome::RestartsExhausted => config.exhausted_code.unwrap_or(code.max(1)),
        // Likewise where a command ended well only since it was asked to.
        Outcome::Completed | Outcome::NoRestartCode if reason.is_some_and(Reason::is_fault) => code.max(1),
        _ => code,
    }
}

/// How many restarts there were, by what led to them.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Tally([u64; Tally::NAMES.len()]);

impl Tally {
    /// Reasons by name, and what an exit without one is.
    pub const NAMES: [&'static str; 10] = [
        "exit code",
        "signal",
        "out of memory",
        "event loop blocked",
        "not ready in time",
        "check failed",
        "memory limit",
        "max age",
        "files changed",
        "asked",
    ];

    /// Counts a restart after this exit.
    pub fn count(&mut self, exit: Exit, reason: Option<Reason>) {
        let name = match (reason, exit) {
            // What is not certain is counted as what it is for sure.
            (None | Some(Reason::OutOfMemory { certain: false }), Exit::Code(_)) => "exit code",
            (None | Some(Reason::OutOfMemory { certain: false }), Exit::Signal { .. }) => "signal",
            (Some(reason), _) => reason.name(),
        };
        for (known, count) in Self::NAMES.iter().zip(&mut self.0) {
            *count += u64::from(*known == name);
        }
    }

    /// Every name with its count.
    pub fn each(&self) -> impl Iterator<Item = (&'static str, u64)> {
        Self::NAMES.into_iter().zip(self.0)
    }
}

/// How many restarts there were lately, and how long the next one waits.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Restarts {
    window: Window,
    /// Restarts since the last run that was stable: the exponent of the wait.
    in_a_row: u32,
}

impl Restarts {
    /// Decides what follows a run that ended at `now`; a restart is entered in the window.
    pub fn decide(&mut self, config: &Config, now: Moment, run: &Run) -> Verdict {
        let Run { exit, uptime, reason, .. } = *run;
        let wanted = match config.restart {
            RestartPolicy::Never => false,
            // However it went when it was asked to: it was due to be killed.
            RestartPolicy::OnFailure => !is_success(config, exit) || reason.is_some_and(Reason::is_fault),
            RestartPolicy::Always => true,
        };
        if !wanted || config.max_restarts == 0 {
            return Verdict::HandOver(Outcome::Completed);
        }
        if config.no_restart_on.contains(exit.code()) {
            return Verdict::HandOver(Outcome::NoRestartCode);
        }
        if uptime >= config.stable_after {
            self.in_a_row = 0;
        }
        if self.used(config, now) >= config.max_restarts {
            return Verdict::HandOver(Outcome::RestartsExhausted);
        }
        if config.restart_window.is_zero() {
            self.window.total = self.window.total.saturating_add(1);
            self.window.kept = self.window.kept.saturating_add(1);
        } else {
            self.window.enter(now, config.max_restarts);
        }
        let wait = self.wait(config);
        self.in_a_row = self.in_a_row.saturating_add(1);
        Verdict::Restart { wait, used: self.window.total, allowed: config.max_restarts }
    }

    /// A generation has worked: the restarts before it leave the window as time passes.
    pub fn forgive(&mut self) {
        self.window.kept = 0;
    }

    /// Whether there were restarts since the last generation that worked.
    pub fn awaits_a_run_that_works(&self) -> bool {
        self.window.kept > 0
    }

    /// Restarts inside the window that ends at `now`, and those since the last generation that worked.
    pub fn used(&mut self, config: &Config, now: Moment) -> u32 {
        let forget = now.checked_sub(config.restart_window).filter(|_| !config.restart_window.is_zero());
        if let Some(moment) = forget {
            self.window.forget_until(moment);
        }
        self.window.total
    }

    /// The first restart is immediate.
    fn wait(&self, config: &Config) -> Duration {
        doubled(config.backoff, self.in_a_row, config.backoff_max)
    }
}

#[cfg(test)]
impl Restarts {
    /// What tells it from another, seen from `now`.
    pub(super) fn key(&self, config: &Config, now: Moment) -> impl std::hash::Hash {
        let ages: Vec<Duration> = self.window.entries.iter().map(|(at, _)| now.since(*at)).collect();
        (self.clone().used(config, now), self.in_a_row.min(7), ages, self.window.kept)
    }
}

/// Nothing at 0 times, `first` at 1, twice as long at each next one, up to `most`.
pub fn doubled(first: Duration, times: u32, most: Duration) -> Duration {
    match times.checked_sub(1) {
        None => Duration::ZERO,
        Some(doublings) => first.saturating_mul(1u32.checked_shl(doublings).unwrap_or(u32::MAX)).min(most),
    }
}

/// The moments of the latest restarts. Its memory is bounded: beyond [`Window::PLACES`] the oldest two share the younger's
/// moment, so that a restart may count for longer than the window, never for less.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
struct Window {
    entries: VecDeque<(Moment, u32)>,
    total: u32,
    /// So many of the latest stay, however long ago they are: no generation has worked since.
    kept: u32,
}

impl Window {
    const PLACES: usize = 1024;

    /// Enters a restart; there are never more than `most` of them, so that this is all the memory it will take.
    fn enter(&mut self, now: Moment, most: u32) {
        self.entries.reserve_exact(if self.entries.is_empty() { Window::PLACES.min(most as usize) } else { 0 });
        if self.entries.len() >= Window::PLACES
            && let Some((_, count)) = self.entries.pop_front()
            && let Some((_, next)) = self.entries.front_mut()
        {
            *next += count;
        }
        self.entries.push_back((now, 1));
        self.total = self.total.saturating_add(1);
        self.kept = self.kept.saturating_add(1);
    }

    /// Forgets what happened at `moment` or before, but for what is kept.
    fn forget_until(&mut self, moment: Moment) {
        while let Some((at, count)) = self.entries.front().copied() {
            let rest = self.total.saturating_sub(count);
            if at > moment || rest < self.kept {
                break;
            }
            self.total = rest;
            self.entries.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::values::CodeSet;
    use crate::generation_number::GenerationNumber;
    use crate::supervisor::exit::Awaited;
    use crate::supervisor::fault::Fault;
    use nix::unistd::Pid;
    use proptest::prelude::*;

    const SHORT: Duration = Duration::from_millis(10);

    const EARLY: Moment = Moment::after_start(SHORT);

    fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    fn at(seconds: u64) -> Moment {
        Moment::START + Duration::from_secs(seconds)
    }

    fn run(exit: Exit, uptime: Duration) -> Run {
        Run { generation: GenerationNumber::FIRST, pid: Pid::from_raw(7), exit, reason: None, uptime }
    }

    fn waits(config: &Config, uptimes: &[Duration]) -> Vec<u64> {
        let mut restarts = Restarts::default();
        let wait = |uptime: &Duration| match restarts.decide(config, EARLY, &run(Exit::Code(1), *uptime)) {
            Verdict::Restart { wait, .. } => wait.as_millis() as u64,
            other => panic!("{other:?}"),
        };
        uptimes.iter().map(wait).collect()
    }

    #[test]
    fn the_first_restart_is_immediate_and_the_waits_double_up_to_the_cap() {
        let config = Config { max_restarts: 100, ..Config::default() };
        assert_eq!(waits(&config, &[SHORT; 9]), [0, 100, 200, 400, 800, 1600, 3200, 5000, 5000]);
        let long_row = waits(&config, &[SHORT; 90]);
        assert_eq!(long_row.last(), Some(&5000));
    }

    #[test]
    fn a_stable_run_resets_the_wait_but_not_the_window() {
        let config = Config { max_restarts: 4, ..Config::default() };
        assert_eq!(waits(&config, &[SHORT, SHORT, seconds(10), SHORT]), [0, 100, 0, 100]);
        let mut restarts = Restarts::default();
        for _ in 0..4 {
            restarts.decide(&config, EARLY, &run(Exit::Code(1), seconds(10)));
        }
        assert_eq!(restarts.decide(&config, EARLY, &run(Exit::Code(1), seconds(10))), Verdict::HandOver(Outcome::RestartsExhausted));
    }

    #[test]
    fn the_window_slides_unless_it_is_the_whole_life() {
        let config = Config { max_restarts: 2, restart_window: seconds(60), ..Config::default() };
        let life = Config { restart_window: Duration::ZERO, ..config.clone() };
        let outcomes = |config: &Config, crashes: &[u64]| -> Vec<bool> {
            let mut restarts = Restarts::default();
            let restarted = |s: &u64| {
                restarts.forgive();
                matches!(restarts.decide(config, at(*s), &run(Exit::Code(1), SHORT)), Verdict::Restart { .. })
            };
            crashes.iter().map(restarted).collect()
        };
        assert_eq!(outcomes(&config, &[1, 50, 60]), [true, true, false]);
        assert_eq!(outcomes(&config, &[1, 50, 61, 62, 110]), [true, true, true, false, true]);
        assert_eq!(outcomes(&life, &[1, 50_000, 500_000]), [true, true, false]);
    }

    #[test]
    fn restarts_since_the_last_run_that_worked_stay() {
        let config = Config { max_restarts: 2, restart_window: seconds(60), ..Config::default() };
        let mut restarts = Restarts::default();
        let mut crash = |after: u64, worked: bool| {
            if worked {
                restarts.forgive();
            }
            match restarts.decide(&config, at(after), &run(Exit::Code(1), SHORT)) {
                Verdict::Restart { used, .. } => used,
                Verdict::HandOver(_) => 0,
            }
        };
        assert_eq!([crash(1, true), crash(1000, false), crash(2000, false)], [1, 2, 0], "however slowly it fails");
        assert_eq!([crash(3000, true), crash(4000, false)], [1, 2], "one that worked lets those before it go");
        assert_eq!([crash(4010, true), crash(4100, true)], [2, 1], "as time passes");
    }

    #[test]
    fn what_each_policy_restarts() {
        let exits =
            [Exit::Code(0), Exit::Code(1), Exit::Code(78), Exit::Code(3), Exit::Signal { signal: Signal::KILL, core_dumped: false }];
        let with = |restart, max_restarts| Config {
            restart,
            max_restarts,
            no_restart_on: CodeSet::parse("78").unwrap(),
            exit_zero_on: CodeSet::parse("3").unwrap(),
            ..Config::default()
        };
        let outcomes = |config: Config| {
            exits.map(|exit| match Restarts::default().decide(&config, EARLY, &run(exit, SHORT)) {
                Verdict::Restart { .. } => "restart",
                Verdict::HandOver(outcome) => outcome.name(),
            })
        };
        assert_eq!(outcomes(with(RestartPolicy::OnFailure, 5)), ["completed", "restart", "no-restart-code", "completed", "restart"]);
        assert_eq!(outcomes(with(RestartPolicy::Always, 5)), ["restart", "restart", "no-restart-code", "restart", "restart"]);
        assert_eq!(outcomes(with(RestartPolicy::Never, 5)), ["completed"; 5]);
        assert_eq!(outcomes(with(RestartPolicy::OnFailure, 0)), ["completed"; 5]);
    }

    #[test]
    fn the_code_of_an_exhausted_budget_is_never_zero() {
        let config = Config { exit_zero_on: CodeSet::parse("143").unwrap(), ..Config::default() };
        assert_eq!(exit_code(&config, Outcome::RestartsExhausted, Exit::Code(0), None), 1);
        assert_eq!(exit_code(&config, Outcome::RestartsExhausted, Exit::Code(9), None), 9);
        assert_eq!(exit_code(&config, Outcome::Stopped, Exit::Signal { signal: Signal::TERM, core_dumped: false }, None), 0);
        assert_eq!(exit_code(&config, Outcome::Stopped, Exit::Code(4), None), 4);
    }

    use crate::signal::Signal;

    #[test]
    fn every_reason_is_counted_under_its_name() {
        let mut tally = Tally::default();
        let limit = Duration::from_secs(10);
        let reasons = [
            Reason::OutOfMemory { certain: true },
            Reason::EventLoopBlocked { limit },
            Reason::NotReady { limit, awaited: Awaited::Message },
            Reason::CheckFailed { failures: 3, last: Fault::Closed },
            Reason::MemoryLimit,
            Reason::MaxAge { limit },
            Reason::FilesChanged,
            Reason::Asked,
        ];
        reasons.into_iter().for_each(|reason| tally.count(Exit::Code(1), Some(reason)));
        tally.count(Exit::Code(1), None);
        tally.count(Exit::Signal { signal: Signal::KILL, core_dumped: false }, Some(Reason::OutOfMemory { certain: false }));
        assert!(tally.each().eq(Tally::NAMES.map(|name| (name, 1))), "{tally:?}");
        assert_eq!(Reason::EventLoopBlocked { limit }.text(), "event loop blocked for 10 s");
    }

    #[test]
    fn beyond_its_places_the_oldest_restarts_of_a_window_leave_together() {
        let at = |millis: usize| Moment::START + Duration::from_millis(millis as u64);
        let mut window = Window::default();
        (0..Window::PLACES + 3).for_each(|n| window.enter(at(n), u32::MAX));
        window.kept = 0;
        for (moment, left) in [(2, Window::PLACES + 3), (3, Window::PLACES - 1), (Window::PLACES + 2, 0)] {
            window.forget_until(at(moment));
            assert_eq!(window.total as usize, left, "{moment}");
        }
    }

    proptest! {
        /// However the crashes fall, no window of that length holds more restarts than allowed; nor do there come to be more between two runs
        /// that work; and below the number of places the count is exact: a crash is only refused when the window really is full.
        #[test]
        fn no_window_holds_more_than_is_allowed(
            crashes in proptest::collection::vec((0u64..40, any::<bool>()), 1..200), max in 1u32..12, window in 1u64..60,
        ) {
            let config = Config { max_restarts: max, restart_window: seconds(window), ..Config::default() };
            let mut restarts = Restarts::default();
            let (mut now, mut made, mut kept_from): (u64, Vec<u64>, usize) = (0, Vec::new(), 0);
            for (gap, worked) in crashes {
                now += gap;
                if worked {
                    restarts.forgive();
                    kept_from = made.len();
                }
                let counts = |(place, at): (usize, &u64)| place >= kept_from || at + window > now;
                let inside = made.iter().enumerate().filter(|one| counts(*one)).count() as u32;
                let restarted = matches!(restarts.decide(&config, at(now), &run(Exit::Code(1), SHORT)), Verdict::Restart { .. });
                prop_assert_eq!(restarted, inside < max);
                if restarted {
                    made.push(now);
                }
            }
        }

        /// Beyond its places the window forgets nothing too early, and its memory does not grow.
        #[test]
        fn a_crowded_window_errs_on_the_strict_side(crashes in 1025usize..4000) {
            let mut window = Window::default();
            (0..crashes).for_each(|n| window.enter(Moment::START + Duration::from_millis(n as u64), u32::MAX));
            window.kept = 0;
            prop_assert!(window.entries.len() <= Window::PLACES);
            prop_assert_eq!(window.total as usize, crashes);
            let half = Duration::from_millis(crashes as u64 / 2);
            window.forget_until(Moment::START + half);
            prop_assert!(window.total as usize >= crashes - crashes / 2 - 1);
        }
    }
}
