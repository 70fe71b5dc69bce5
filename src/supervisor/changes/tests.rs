use super::*;
use crate::config::Config;
use crate::supervisor::bench::{Bench, TERM, at, killed_by, listens_at, ms, pid, signal};
use crate::supervisor::event::{ChannelEvent, Event};
use crate::supervisor::exit::Exit;

fn config() -> Config {
    Config { restart_on_change: vec!["/tls".into(), "/app.json".into()], ..Config::default() }
}

/// A server whose files have been looked at.
fn watching(config: Config) -> Bench {
    let mut bench = Bench::listening(config);
    bench.tell(Event::FilesSeen(Some(vec![1, 1]))).says(&[]);
    bench
}

impl Bench {
    /// Something happens at this time, in ms, and this is what is there then.
    fn change(&mut self, moment: u64, seen: [u64; 2]) -> &mut Bench {
        self.until(moment);
        self.tell(Event::FilesStirred).until(moment + 1000);
        self.tell(Event::Tick { signals_pending: false });
        assert!(self.take_log().contains(&"look at files".to_owned()), "at {moment} ms");
        self.tell(Event::FilesSeen(Some(seen.to_vec())))
    }

    /// Lets the clock run up to that time, in ms.
    fn until(&mut self, moment: u64) -> &mut Bench {
        while self.supervisor.next_deadline().is_some_and(|next| next < at(moment)) {
            self.tick();
        }
        self.now = at(moment);
        self
    }

    /// What has begun since the last time.
    fn begins(&mut self, lines: &[&str]) -> &mut Bench {
        let log: Vec<String> = self.take_log().into_iter().filter(|line| line.starts_with("spawn ")).collect();
        assert_eq!(log, lines);
        self
    }

    /// The successor serves, and the old one ends.
    fn replaced(&mut self, old: i32, new: i32) -> &mut Bench {
        self.events(new, &[ChannelEvent::Answered, listens_at(&[3000])]).exit(old, Exit::Code(0));
        self.take_log();
        self
    }
}

#[test]
fn changed_content_leads_to_a_planned_restart() {
    let mut bench = watching(config());
    bench.change(60_000, [1, 1]).until(100_000).begins(&[]);
    bench.change(100_000, [1, 2]).tell(Event::Tick { signals_pending: false });
    bench.begins(&["spawn 2 -"]).replaced(101, 102);
    assert!(bench.supervisor.view(bench.now).restarts_total.contains(&("files changed", 1)));
    bench.until(200_000).begins(&[]);
}

#[test]
fn a_burst_is_one_change_and_cannot_go_on_for_ever() {
    let mut bench = watching(config());
    for moment in (60_000..69_900).step_by(300) {
        bench.until(moment).tell(Event::FilesStirred);
    }
    bench.begins(&[]);
    assert_eq!(bench.supervisor.change_due(), Some(at(70_000)));
    bench.until(70_000).tell(Event::Tick { signals_pending: false });
    assert!(bench.take_log().contains(&"look at files".to_owned()));
    assert_eq!(bench.supervisor.change_due(), None, "one look at a time");
}

#[test]
fn at_most_one_in_half_a_minute() {
    let mut bench = watching(config());
    bench.change(60_000, [2, 1]).tell(Event::Tick { signals_pending: false });
    bench.begins(&["spawn 2 -"]).replaced(101, 102);
    bench.change(75_000, [3, 1]).change(78_000, [4, 1]).until(90_999).begins(&[]);
    bench.tick_at(ms(91_000)).begins(&["spawn 3 0"]);
}

/// Whoever has been spawned since has read it as it is.
#[test]
fn a_new_process_is_not_replaced_for_what_it_has_read() {
    let mut bench = watching(config());
    bench.change(60_000, [2, 1]).tell(Event::Tick { signals_pending: false });
    bench.begins(&["spawn 2 -"]).replaced(101, 102);
    bench.change(75_000, [3, 1]).begins(&[]);
    bench.exit(102, Exit::Code(1)).until(200_000);
    bench.begins(&["spawn 3 1"]);
    // It was spawned in the same moment, before the look and after it.
    let mut bench = watching(config());
    bench.until(60_000).tell(Event::FilesStirred).exit(101, Exit::Code(1)).tick_at(ms(60_000)).begins(&["spawn 2 1"]);
    bench.until(61_000).tell(Event::Tick { signals_pending: false }).tell(Event::FilesSeen(Some(vec![2, 1])));
    assert_eq!(bench.supervisor.change_due(), None);
    let mut bench = watching(config());
    bench.until(60_000).tell(Event::FilesSeen(Some(vec![2, 1])));
    assert_eq!(bench.supervisor.change_due(), Some(at(60_000)));
    bench.exit(101, Exit::Code(1)).tick_at(ms(60_000)).begins(&["spawn 2 1"]);
    assert_eq!(bench.supervisor.change_due(), None);
}

/// A standby that was started before the change does not know it.
#[test]
fn a_standby_from_before_is_replaced_too() {
    let mut bench = Bench::with_standby(config());
    bench.tell(Event::FilesSeen(Some(vec![1, 1]))).change(60_000, [2, 1]);
    bench.exit(101, killed_by(9)).events(102, &[listens_at(&[3000])]);
    assert!(bench.take_log().contains(&"promote 102".to_owned()));
    bench.until(60_000 + 1000).tell(Event::Tick { signals_pending: false });
    assert!(bench.take_log().iter().any(|line| line.starts_with("spawn 3")));
}

#[test]
fn a_successor_that_fails_leaves_the_old_one_until_the_next_change() {
    let mut bench = watching(config());
    bench.change(60_000, [2, 1]).tell(Event::Tick { signals_pending: false });
    bench.begins(&["spawn 2 -"]);
    bench.exit(102, Exit::Code(1)).until(300_000);
    assert_eq!(bench.supervisor.active().map(|active| active.pid), Some(pid(101)));
    bench.begins(&[]);
    bench.change(300_000, [3, 1]).tell(Event::Tick { signals_pending: false });
    bench.begins(&["spawn 3 -"]);
}

#[test]
fn an_app_that_writes_there_itself_is_found_out() {
    let mut bench = watching(config());
    let mut content = 1;
    let mut moment = 5000;
    for generation in [2, 3] {
        content += 1;
        bench.change(moment, [content, 1]);
        // Again and again counts once.
        content += 1;
        bench.change(moment + 2000, [content, 1]);
        while bench.supervisor.running().count() == 1 {
            bench.tick();
        }
        let new = 100 + generation;
        bench.replaced(new - 1, new);
        moment = u64::try_from(bench.now.since_start().as_millis()).unwrap() + 2000;
    }
    bench.change(moment, [content + 1, 1]).until(moment + 500_000).begins(&[]);
    assert!(bench.supervisor.view(bench.now).change_note.is_some_and(|note| note.starts_with("off: ")));
    assert!(bench.take_reports().iter().any(|line| line.contains("/tls")), "which of them");
    bench.tell(Event::FilesStirred);
    assert_eq!(bench.supervisor.change_due(), None);
}

#[test]
fn one_that_changes_later_is_none_of_those() {
    let mut bench = watching(config());
    for (content, moment) in [(2, 40_000), (3, 80_000), (4, 120_000), (5, 160_000)] {
        bench.change(moment, [content, 1]).tell(Event::Tick { signals_pending: false });
        let old = 99 + i32::try_from(content).unwrap();
        bench.replaced(old, old + 1);
    }
    assert_eq!(bench.supervisor.view(bench.now).change_note, None);
}

#[test]
fn what_cannot_be_looked_at_is_looked_at_again() {
    let mut bench = watching(config());
    bench.until(60_000).tell(Event::FilesStirred).until(61_000).tell(Event::Tick { signals_pending: false }).tell(Event::FilesSeen(None));
    assert_eq!(bench.supervisor.change_due(), Some(at(67_000)));
}

#[test]
fn a_fleet_is_spread() {
    let spread = |seed| {
        let mut bench = watching(Config { change_jitter: ms(60_000), ..config() });
        bench.supervisor.random = crate::random::Random::new(seed);
        bench.change(60_000, [2, 1]);
        bench.supervisor.change_due().unwrap()
    };
    let due: Vec<Moment> = (0..20).map(spread).collect();
    assert!(due.iter().all(|due| (at(61_000)..=at(121_000)).contains(due)), "{due:?}");
    assert!(due.iter().any(|due| *due < at(81_000)) && due.iter().any(|due| *due > at(101_000)), "{due:?}");
}

#[test]
fn a_stop_wins() {
    let mut bench = watching(Config { drain_delay: ms(9000), ..config() });
    bench.until(60_000).tell(Event::FilesStirred).tell(signal(TERM));
    assert_eq!(bench.supervisor.next_deadline(), Some(at(69_000)));
}
