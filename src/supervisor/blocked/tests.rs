use std::time::Duration;

use crate::config::Config;
use crate::inspector::stack::Frame;
use crate::supervisor::bench::{Bench, TERM, blocked, killed_by, ms, pid, signal};
use crate::supervisor::event::Event;
use crate::supervisor::exit::Reason;

fn frames() -> Vec<Frame> {
    vec![Frame { function: "burn".to_owned(), url: "file:///app/x.js".to_owned(), line: 2, column: 34 }]
}

fn watched(stack: bool) -> Bench {
    let mut bench = Bench::running(Config { watchdog: Some(ms(900)), watchdog_stack: stack, ..Config::default() });
    bench.stack = None;
    bench
}

fn hang_of_last_exit(bench: &Bench) -> (Option<Reason>, usize) {
    let last = bench.supervisor.last_exits().next().expect("an exit");
    (last.run.reason, last.hang.as_ref().map_or(0, |hang| hang.stack.len()))
}

const BLOCKED: Option<Reason> = Some(Reason::EventLoopBlocked { limit: Duration::from_millis(900) });

#[test]
fn the_kill_waits_for_the_stack() {
    let mut bench = watched(true);
    bench.events(101, &[blocked()]).says(&["ask for the stack of 101"]);
    bench.tell(Event::StackTold { pid: pid(101), stack: frames() }).says(&["SIGKILL to 101"]);
    bench.tell(Event::StackTold { pid: pid(101), stack: Vec::new() }).says(&[]);
    bench.exit(101, killed_by(9));
    assert_eq!(hang_of_last_exit(&bench), (BLOCKED, 1));
}

#[test]
fn the_kill_does_not_wait_for_ever() {
    let mut bench = watched(true);
    bench.events(101, &[blocked()]).says(&["ask for the stack of 101"]);
    bench.tick_at(ms(2000)).says(&["SIGKILL to 101"]);
    bench.tell(Event::StackTold { pid: pid(101), stack: frames() }).says(&[]);
    bench.exit(101, killed_by(9));
    assert_eq!(hang_of_last_exit(&bench), (BLOCKED, 0));
}

#[test]
fn without_the_stack_it_is_killed_at_once() {
    let mut bench = watched(false);
    bench.events(101, &[blocked()]).says(&["SIGKILL to 101"]);
}

/// A stop meanwhile waits for nothing, and changes nothing of what is due.
#[test]
fn a_stop_meanwhile_is_forwarded_and_the_kill_follows() {
    let mut bench = watched(true);
    bench.events(101, &[blocked()]).tell(signal(TERM)).says(&["ask for the stack of 101", "SIGTERM to 101"]);
    bench.tell(Event::StackTold { pid: pid(101), stack: frames() }).says(&["SIGKILL to 101"]);
}

/// One that ends meanwhile is no longer there to be killed.
#[test]
fn an_answer_for_one_that_has_ended_is_nobodys() {
    let mut bench = watched(true);
    bench.events(101, &[blocked()]).says(&["ask for the stack of 101"]);
    bench.exit(101, killed_by(9));
    bench.take_log();
    bench.tell(Event::StackTold { pid: pid(101), stack: frames() }).says(&[]);
    assert_eq!(hang_of_last_exit(&bench), (BLOCKED, 0));
}
