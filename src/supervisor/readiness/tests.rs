use std::time::Duration;

use crate::config::Config;
use crate::config::values::ReadyWhen;
use crate::procfs::listeners::Listeners;
use crate::supervisor::bench::{Bench, TERM, at, killed_by, listeners, listens_at, ms, pid, signal};
use crate::supervisor::event::{ChannelEvent, Event};
use crate::supervisor::exit::Exit;

impl Bench {
    /// A command that listens nowhere yet, and whose listening is what makes it ready.
    fn booting(config: Config) -> Bench {
        let ready_when = config.ready_when.clone().or(Some(ReadyWhen::Listening(Vec::new())));
        Bench::running(Config { ready_when, ..config })
    }

    /// The command listens on these ports from now on, as a look shows.
    pub(in crate::supervisor) fn listens_on(&mut self, ports: &[u16]) -> &mut Bench {
        self.listens = Some(Listeners::Found(listeners(ports)));
        self
    }

    /// What somebody who asks is told: nothing where it is ready.
    fn asked(&mut self) -> Option<String> {
        self.tell(Event::ReadinessAsked);
        let view = self.supervisor.view(self.now);
        let not_ready = view.why_not_ready().map(str::to_owned);
        assert_eq!(view.ready, not_ready.is_none());
        not_ready
    }

    pub(in crate::supervisor) fn at(&mut self, milliseconds: u64) -> &mut Bench {
        self.now = at(milliseconds);
        self
    }

    /// Lets the clock run until that moment, deadline by deadline.
    fn runs_until(&mut self, milliseconds: u64) -> &mut Bench {
        while self.supervisor.next_deadline().is_some_and(|due| due <= at(milliseconds)) {
            self.tick();
        }
        self.at(milliseconds)
    }
}

fn none() -> Config {
    Config { restart_window: Duration::from_secs(60), ..Config::default() }
}

/// `node --watch` passes the app's message on, and waits for a changed file when the app has crashed.
#[test]
fn a_launcher_that_is_left_alone_is_not_ready() {
    let mut bench = Bench::booting(Config { ready_when: Some(ReadyWhen::Message), ..none() });
    let says = |event| Event::Channel { pid: pid(101), event };
    bench.tell(says(ChannelEvent::LauncherSpeaks)).tell(says(ChannelEvent::Ready));
    assert_eq!(bench.listens_on(&[]).asked(), None, "it may be a worker, which says so");
    assert_eq!(bench.listens_on(&[3000]).asked(), None);
    assert_eq!(bench.listens_on(&[]).asked().as_deref(), Some("generation 1 (pid 101) listens no more"));
}

#[test]
fn it_is_ready_when_it_listens_and_only_who_asks_costs_a_look() {
    let mut bench = Bench::booting(none());
    assert_eq!(bench.supervisor.next_deadline(), Some(at(2000)), "only the look at memory: nobody waits");
    assert_eq!(bench.at(1200).asked().as_deref(), Some("generation 1 boots since 1.2 s, nothing listens yet"));
    bench.says(&["look where 101 listens"]);
    assert_eq!(bench.listens_on(&[3000]).asked(), None);
    assert_eq!(bench.listens_on(&[]).asked().as_deref(), Some("generation 1 (pid 101) listens no more"));
    assert_eq!(bench.listens_on(&[3001]).asked(), None);
    bench.listens = None;
    assert_eq!(bench.asked(), None, "a look that shows nothing changes nothing");
    assert_eq!(bench.take_reports(), [""; 0], "nobody waited for it");
}

#[test]
fn after_a_crash_it_is_looked_for_until_it_is_ready() {
    let mut bench = Bench::booting(none());
    assert_eq!(bench.listens_on(&[3000]).asked(), None);
    bench.listens_on(&[]).runs_until(5000).exit(101, Exit::Code(1)).tick();
    bench.take_log();
    assert_eq!(bench.supervisor.view(bench.now).why_not_ready(), Some("generation 2 boots since 0 ms, nothing listens yet"));
    for after in [10, 30, 70, 150, 310, 630] {
        assert_eq!(bench.tick(), at(5000 + after));
        bench.says(&["look where 102 listens"]);
    }
    bench.listens_on(&[3000]).runs_until(5000 + 3270);
    assert_eq!(bench.take_reports(), ["generation 2 serves within 1.2 s"]);
    bench.take_log();
    bench.runs_until(60_000);
    assert!(bench.take_log().iter().all(|line| line == "look at 102"), "nobody waits any more");
}

#[test]
fn the_next_generation_is_ready_where_its_predecessor_was() {
    let mut bench = Bench::booting(none());
    assert_eq!(bench.listens_on(&[3000, 9090]).asked(), None);
    bench.at(1000).exit(101, Exit::Code(1)).listens_on(&[3000]).tick();
    let why = "generation 2 boots since 100 ms, it does not listen on 0.0.0.0:9090 yet, as the one before did";
    assert_eq!(bench.at(1100).asked().as_deref(), Some(why));
    assert_eq!(bench.listens_on(&[3000, 9090]).asked(), None);
    assert_eq!(bench.listens_on(&[3000]).asked(), None, "once it was whole, it may close what it likes");
}

#[test]
fn an_address_that_never_comes_back_has_its_time() {
    let mut bench = Bench::booting(none());
    assert_eq!(bench.listens_on(&[3000, 9090]).asked(), None);
    bench.at(1000).exit(101, Exit::Code(1)).listens_on(&[3000]).tick();
    bench.runs_until(60_999);
    assert!(bench.asked().is_some());
    bench.runs_until(61_000);
    let missing = "generation 2 (pid 102) does not listen on 0.0.0.0:9090, as the one before it did: it counts as ready without";
    assert_eq!((bench.asked(), bench.take_reports().first().map(String::as_str)), (None, Some(missing)));
    bench.exit(102, Exit::Code(1)).tick();
    assert_eq!(bench.asked(), None, "of the next one it is not expected any more");
}

#[test]
fn named_ports_are_what_it_must_listen_on() {
    let ready_when = Some(ReadyWhen::Listening(vec![3000, 9090]));
    let mut bench = Bench::booting(Config { ready_when: ready_when.clone(), ..none() });
    let why = |ports: &str| format!("generation 1 boots since 0 ms, it does not listen on {ports} yet");
    assert_eq!(bench.listens_on(&[8080]).asked(), Some(why(":3000, :9090")));
    assert_eq!(bench.listens_on(&[9090, 8080]).asked(), Some(why(":3000")));
    assert_eq!(bench.listens_on(&[3000, 9090]).asked(), None);
    let mut bench = Bench::booting(Config { ready_when, wait_ready: Some(ms(500)), ..none() });
    bench.listens_on(&[3000]).runs_until(500);
    let reason = bench.exit(101, killed_by(9)).supervisor.last_exits().next().and_then(|last| last.run.reason);
    assert_eq!(
        reason.map(|reason| reason.text()).as_deref(),
        Some("not ready in time: it did not listen on each port of --ready-when within 500 ms")
    );
}

#[test]
fn a_command_that_never_listens_is_taken_for_a_worker() {
    let mut bench = Bench::booting(none());
    assert!(bench.at(44_999).asked().is_some());
    assert_eq!(bench.at(45_000).asked(), None);
    let told = bench.take_reports();
    assert!(told.len() == 1 && told[0].contains("--ready-when started"), "{told:?}");
    assert!(bench.supervisor.view(bench.now).readiness_note.is_some());
    bench.exit(101, Exit::Code(1)).tick();
    assert!(bench.supervisor.view(bench.now).ready, "later generations are ready at once");
    assert_eq!(bench.take_reports(), [""; 0], "told once");
    // The guess ends the moment that one listens.
    assert_eq!(bench.listens_on(&[3000]).asked(), None);
    bench.exit(102, Exit::Code(1)).listens_on(&[]).tick();
    assert!(bench.at(100_000).asked().is_some());
    assert_eq!(bench.supervisor.view(bench.now).readiness_note, None);
}

#[test]
fn nobody_is_taken_for_a_worker_who_has_listened_or_has_a_limit() {
    let mut bench = Bench::booting(none());
    assert_eq!(bench.listens_on(&[3000]).asked(), None);
    bench.exit(101, Exit::Code(1)).listens_on(&[]).tick();
    assert!(bench.at(100_000).asked().is_some());
    let mut bench = Bench::booting(Config { wait_ready: Some(Duration::from_secs(200)), ..none() });
    assert!(bench.at(100_000).asked().is_some());
    let mut bench = Bench::booting(Config { ready_when: Some(ReadyWhen::Listening(vec![80])), ..none() });
    assert!(bench.at(100_000).asked().is_some(), "a port that was named is waited for");
}

#[test]
fn where_listeners_cannot_be_seen_it_is_ready_as_it_runs() {
    let mut bench = Bench::booting(none());
    bench.listens = Some(Listeners::Unknowable);
    assert_eq!(bench.asked(), None);
    let told = bench.take_reports();
    assert!(told.len() == 1 && told[0].contains("CAP_SYS_PTRACE"), "{told:?}");
    assert!(bench.supervisor.view(bench.now).readiness_note.is_some());
    bench.take_log();
    assert_eq!(bench.asked(), None);
    bench.says(&[]);
}

#[test]
fn an_app_takes_its_readiness_back() {
    let mut bench = Bench::booting(Config { ipc: true, ..none() });
    assert_eq!(bench.listens_on(&[3000]).asked(), None);
    bench.events(101, &[ChannelEvent::Unready]);
    assert!(bench.asked().is_some_and(|why| why.contains("process.send('unready')")));
    bench.events(101, &[ChannelEvent::Ready]);
    assert_eq!(bench.asked(), None);
}

#[test]
fn what_is_never_ready_is_handed_over_however_slowly_it_fails() {
    let mut bench = Bench::booting(Config { wait_ready: Some(Duration::from_secs(15)), ..none() });
    for number in 1..=6 {
        bench.runs_until(1000 * 16 * number as u64);
        let killed = format!("SIGKILL to {}", 100 + number);
        assert!(bench.take_log().contains(&killed), "{killed}");
        bench.exit(100 + number, killed_by(9));
    }
    assert!(bench.take_log().contains(&"finish restarts-exhausted 137".to_owned()));
}

#[test]
fn what_was_ready_for_long_enough_has_worked() {
    let mut bench = Bench::booting(Config { max_restarts: 1, stable_after: Duration::from_secs(10), ..none() });
    bench.listens_on(&[3000]).exit(101, Exit::Code(1)).runs_until(70_000);
    assert_eq!(bench.supervisor.view(bench.now).restarts_used, 0, "ready since the first look");
    bench.exit(102, Exit::Code(1)).listens_on(&[]).runs_until(200_000);
    assert_eq!(bench.supervisor.view(bench.now).restarts_used, 1, "the third one has not been ready");
    bench.exit(103, Exit::Code(1));
    assert!(bench.take_log().contains(&"finish restarts-exhausted 1".to_owned()));
}

#[test]
fn what_was_ready_for_long_enough_has_worked_though_it_took_that_back() {
    for (ready_for, has_worked) in [(9_999, false), (10_000, true)] {
        let mut bench = Bench::booting(Config { max_restarts: 1, stable_after: Duration::from_secs(10), ipc: true, ..none() });
        bench.listens_on(&[3000]).exit(101, Exit::Code(1)).tick();
        assert_eq!(bench.asked(), None);
        bench.at(ready_for).events(102, &[ChannelEvent::Unready]).at(100_000).exit(102, Exit::Code(1));
        assert_eq!(bench.take_log().contains(&"finish restarts-exhausted 1".to_owned()), !has_worked, "{ready_for}");
    }
}

#[test]
fn what_is_ready_as_soon_as_it_runs_has_worked_after_a_whole_window() {
    for (lived, has_worked) in [(40_000, false), (59_999, false), (60_000, true)] {
        let mut bench = Bench::running(Config { max_restarts: 2, ..none() });
        bench.exit(101, Exit::Code(1)).tick();
        bench.at(30_000).exit(102, Exit::Code(1)).tick();
        assert_eq!(bench.now, at(30_000));
        bench.at(30_000 + lived).exit(103, Exit::Code(1));
        assert_eq!(bench.take_log().contains(&"finish restarts-exhausted 1".to_owned()), !has_worked, "{lived}");
    }
}

#[test]
fn a_drain_delay_is_for_an_app_that_was_ready() {
    let config = || Config { drain_delay: Duration::from_secs(5), ..none() };
    let mut bench = Bench::booting(config());
    bench.tell(signal(TERM)).says(&["look where 101 listens", "SIGTERM to 101"]);
    let mut bench = Bench::booting(config());
    bench.listens_on(&[3000]).tell(signal(TERM)).says(&["look where 101 listens"]);
    bench.tick_at(ms(5000)).says(&["SIGTERM to 101"]);
    let mut bench = Bench::booting(config());
    bench.tell(Event::RestartAsked).says(&["look where 101 listens", "SIGTERM to 101"]);
    let mut bench = Bench::booting(config());
    assert_eq!(bench.listens_on(&[3000]).asked(), None);
    bench.listens_on(&[]).take_log();
    bench.tell(signal(TERM)).says(&[]);
    bench.tick_at(ms(5000)).says(&["SIGTERM to 101"]);
}

#[test]
fn a_planned_restart_is_done_when_the_new_one_listens() {
    let mut bench = Bench::booting(none());
    bench.listens_on(&[3000, 9090]).at(1000).tell(Event::RestartAsked).exit(101, Exit::Code(0)).listens_on(&[]).tick();
    bench.take_log();
    bench.listens_on(&[3000]).runs_until(1400).listens_on(&[3000, 9090]).runs_until(2200);
    assert!(bench.take_log().contains(&"done well".to_owned()));
    assert_eq!(bench.take_reports(), ["generation 2 serves within 630 ms"]);
}

#[test]
fn whoever_waits_for_a_planned_restart_does_not_wait_for_ever() {
    let mut bench = Bench::booting(none());
    bench.listens_on(&[3000]).tell(Event::RestartAsked).exit(101, Exit::Code(0)).listens_on(&[]).tick();
    bench.runs_until(59_999);
    assert!(!bench.take_log().contains(&"done badly".to_owned()));
    bench.runs_until(60_000);
    assert!(bench.take_log().contains(&"done badly".to_owned()));
    assert!(bench.supervisor.refuses_restart().is_none(), "it can be tried again");
}

/// A server of two held ports, and its successor.
fn with_successor() -> Bench {
    let mut bench = Bench::running(Config { hold_port: true, ready_when: Some(ReadyWhen::Listening(Vec::new())), ..none() });
    bench.events(101, &[ChannelEvent::Answered, listens_at(&[3000, 3001])]).at(1000).tell(Event::RestartAsked);
    bench.says(&["spawn 2 -"]);
    bench
}

#[test]
fn a_successor_takes_over_when_it_is_whole() {
    let mut bench = with_successor();
    bench.events(102, &[listens_at(&[3000])]).says(&[]);
    bench.runs_until(60_000).take_log();
    bench.events(102, &[listens_at(&[3000, 3001])]).says(&["SIGTERM to 101", "done well"]);
}

#[test]
fn a_successor_that_is_never_whole_takes_over_without() {
    let mut bench = with_successor();
    bench.events(102, &[listens_at(&[3000])]).runs_until(60_999).take_log();
    bench.runs_until(61_000).says(&["SIGTERM to 101", "done well", "release what 2 does not use"]);
    assert!(bench.take_reports().iter().any(|told| told.contains("0.0.0.0:3001")));
}

#[test]
fn one_that_is_whole_has_as_long_to_ask_for_the_other_held_sockets() {
    let mut bench = with_successor();
    bench.events(102, &[listens_at(&[3000, 3001])]).exit(101, Exit::Code(0)).runs_until(60_999);
    assert!(!bench.take_log().iter().any(|line| line.starts_with("release")));
    bench.runs_until(61_000).says(&["release what 2 does not use"]);
}

#[test]
fn a_successor_need_not_listen_where_the_old_one_does_no_more() {
    let mut bench = with_successor();
    bench.events(102, &[listens_at(&[3000])]).events(101, &[listens_at(&[3000])]).says(&[]);
    let closed = listeners(&[3001]).into_iter().map(|listener| listener.address).collect();
    bench.tell(Event::SocketsReleased(closed)).says(&["SIGTERM to 101", "done well"]);
}

#[test]
fn the_held_ports_of_a_crash_are_kept_until_they_are_all_asked_for() {
    let mut bench = with_successor();
    bench.events(102, &[listens_at(&[3000, 3001])]).exit(101, Exit::Code(0)).at(2000).exit(102, Exit::Code(1)).tick();
    bench.take_log();
    bench.events(103, &[listens_at(&[3000])]).runs_until(61_999);
    assert!(!bench.supervisor.view(bench.now).ready && !bench.take_log().iter().any(|line| line.starts_with("release")));
    bench.runs_until(62_000);
    assert!(bench.supervisor.view(bench.now).ready && bench.take_log().contains(&"release what 3 does not use".to_owned()));
}

#[test]
fn a_standby_is_ready_once_it_listens_where_the_active_one_did() {
    let ready_when = Some(ReadyWhen::Listening(Vec::new()));
    let mut bench = Bench::running(Config { hold_port: true, standby: true, ready_when, ..none() });
    bench.events(101, &[ChannelEvent::Answered, listens_at(&[3000, 3001])]).tick_at(ms(0)).events(102, &[ChannelEvent::AtListen]);
    bench.exit(101, Exit::Code(1));
    assert!(!bench.supervisor.view(bench.now).ready);
    bench.events(102, &[listens_at(&[3000])]);
    assert!(!bench.supervisor.view(bench.now).ready);
    bench.events(102, &[listens_at(&[3000, 3001])]);
    assert!(bench.supervisor.view(bench.now).ready);
    bench.events(102, &[ChannelEvent::Closed]);
    assert!(!bench.supervisor.view(bench.now).ready);
}

#[test]
fn a_standby_that_says_that_it_is_ready_is_so_once_it_serves() {
    let mut bench = Bench::listening(Config { standby: true, wait_ready: Some(ms(700)), ..none() });
    bench.events(101, &[ChannelEvent::Ready]).tick_at(ms(0)).take_reports();
    bench.events(102, &[ChannelEvent::AtListen, ChannelEvent::Ready]);
    assert_eq!(bench.take_reports(), [""; 0]);
    bench.at(100).exit(101, Exit::Code(1));
    assert_eq!(bench.take_reports(), ["generation 2 serves after 0 ms"]);
}

#[test]
fn the_watchdog_has_a_boot_end_some_time_unless_that_is_lifted() {
    let mut bench = Bench::booting(Config { watchdog: Some(ms(900)), ..none() });
    assert_eq!(bench.listens_on(&[3000]).asked(), None);
    bench.exit(101, Exit::Code(1)).listens_on(&[]).tick();
    bench.take_log();
    bench.runs_until(299_999);
    assert!(!bench.take_log().iter().any(|line| line.starts_with("SIGKILL")));
    bench.runs_until(300_000);
    assert!(bench.take_log().contains(&"SIGKILL to 102".to_owned()));
    let mut bench = Bench::booting(Config { watchdog: Some(ms(900)), wait_ready: Some(Duration::ZERO), ..none() });
    bench.runs_until(1_000_000);
    assert!(!bench.take_log().iter().any(|line| line.starts_with("SIGKILL")));
    let worker = Bench::booting(Config { watchdog: Some(ms(900)), ..none() }).runs_until(1_000_000).take_log();
    assert!(!worker.iter().any(|line| line.starts_with("SIGKILL")), "workers excepted");
}
