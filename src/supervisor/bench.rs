//! The state machine without a process: a bench to drive it by hand.

use std::time::Duration;

use nix::unistd::Pid;

use super::event::{Action, Actions, Event};
use super::report::Report;
use super::*;
use crate::config::size::Size;
use crate::config::values::ReadyWhen;
use crate::inspector::stack::Frame;
use crate::procfs::listeners::{ListenAddress, Listener, Listeners};
use crate::procfs::node_loop::Left;
use crate::signal::{Signal, SignalSet};
use event::{ChannelEvent, Recipient, StartRole};
use exit::Exit;
use hang::Hang;
use sweep::{Found, Order};

pub(super) const HUP: i32 = 1;

pub(super) fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// So many milliseconds after the start.
pub(super) fn at(n: u64) -> Moment {
    Moment::START + ms(n)
}

pub(super) fn signal(number: i32) -> Event {
    Event::Signal { signal: Signal::new(number).unwrap(), command_has_it: false }
}

/// Time has passed, and no signal is pending.
pub(super) const TICK: Event = Event::Tick { signals_pending: false };

/// A look at the memory that is used, of 1000 bytes.
pub(super) fn used(bytes: u64) -> Event {
    Event::Memory { used: Some(bytes), limit: Some(1000) }
}

pub(super) fn pid(number: i32) -> Pid {
    Pid::from_raw(number)
}

pub(super) fn generation(number: u32) -> GenerationNumber {
    GenerationNumber::new(number)
}

/// A generation listens on these held ports.
pub(super) fn listens_at(ports: &[u16]) -> ChannelEvent {
    ChannelEvent::Listening(listeners(ports))
}

pub(super) fn listeners(ports: &[u16]) -> Vec<Listener> {
    let any = std::net::Ipv4Addr::UNSPECIFIED;
    ports.iter().map(|port| Listener { address: ListenAddress::Tcp((any, *port).into()), is_fixed: true }).collect()
}

/// So many leftovers, none of a launcher's.
pub(super) fn found(number: u32, others: usize) -> Event {
    Event::Leftovers { generation: generation(number), found: Some(Found { launched: 0, others, refused: None }) }
}

/// An event loop has not turned.
pub(super) fn blocked() -> ChannelEvent {
    ChannelEvent::Blocked(Hang { verdict: "running".to_owned(), ..Hang::default() })
}

pub(super) const TERM: i32 = 15;
pub(super) const INT: i32 = 2;

/// A supervisor with a clock that is set by hand, and spawns that work: each command gets the next pid, from 101.
pub(super) struct Bench {
    pub(super) supervisor: Supervisor,
    pub(super) now: Moment,
    next_pid: i32,
    log: Vec<String>,
    /// What was told of readiness, and of what is not done any more.
    reports: Vec<String>,
    /// What a look at listeners shows.
    pub(super) listens: Option<Listeners>,
    /// What looks at what an app has left to do show.
    pub(super) left: Option<Left>,
    /// How many requests a stop finds open.
    pub(super) open_requests: usize,
    /// What a look for a stack brings at once; `None`: nobody answers.
    pub(super) stack: Option<Vec<Frame>>,
    /// Whether the commands may be signalled.
    pub(super) in_reach: bool,
    /// What the commands are prepared for.
    pub(super) prepared: Option<SignalSet>,
}

impl Bench {
    pub(super) fn new(config: Config) -> Bench {
        // What runs is ready, unless a test is about that.
        let by_start = config.wait_ready.is_none().then_some(ReadyWhen::Started);
        let config = Config { max_memory: Some(Size::Bytes(1000)), ready_when: config.ready_when.clone().or(by_start), ..config };
        // Waits are exact, unless a test is about that.
        let backoff_jitter = if config.backoff_jitter == Config::default().backoff_jitter { 0 } else { config.backoff_jitter };
        let config = Config { backoff_jitter, ..config };
        let supervisor =
            Supervisor::new(config, "cmd".to_owned(), Surroundings { job_control: false, is_init: true, is_notified: false, seed: 0 });
        Bench {
            supervisor,
            now: Moment::START,
            next_pid: 101,
            log: Vec::new(),
            reports: Vec::new(),
            listens: Some(Listeners::Found(Vec::new())),
            left: Some(Left::Work),
            open_requests: 0,
            stack: Some(Vec::new()),
            in_reach: true,
            prepared: Some(SignalSet::default()),
        }
    }

    pub(super) fn running(config: Config) -> Bench {
        let mut bench = Bench::new(config);
        bench.tell(TICK);
        bench.take_log();
        bench
    }

    pub(super) fn tell(&mut self, event: Event) -> &mut Bench {
        let mut actions = Actions::new();
        self.supervisor.handle(self.now, event, &mut actions);
        while let Some(action) = actions.pop_front() {
            match action {
                Action::Spawn { generation, role, last_exit } => {
                    let role = if role == StartRole::Standby { " standby" } else { "" };
                    self.log
                        .push(format!("spawn {generation} {}{role}", last_exit.map_or("-".to_owned(), |exit| exit.short().to_string())));
                    let pid = pid(self.next_pid);
                    self.next_pid += 1;
                    self.supervisor.handle(self.now, Event::Spawned { pid }, &mut actions);
                }
                Action::Forward { pid, signal, recipient, .. } => {
                    self.log.push(format!("{signal} to {pid}{}", if recipient == Recipient::ItsGroup { " group" } else { "" }));
                    if !self.in_reach {
                        self.supervisor.handle(self.now, Event::SignalRefused { pid }, &mut actions);
                    }
                }
                Action::Kill { pid } => {
                    self.log.push(format!("SIGKILL to {pid}"));
                    self.supervisor.handle(self.now, Event::KillSent { pid, allowed: self.in_reach }, &mut actions);
                }
                Action::Probe { pid } => {
                    self.supervisor.handle(self.now, Event::Probed { pid, allowed: self.in_reach }, &mut actions);
                }
                Action::LookAtSignals { pid } => {
                    self.supervisor.handle(self.now, Event::SignalsSeen { pid, survived: self.prepared }, &mut actions);
                }
                Action::ForwardToLaunched { generation, signal } => self.log.push(format!("leftovers {generation} forward {signal}")),
                Action::LookForListeners { pid, .. } => {
                    self.log.push(format!("look where {pid} listens"));
                    let seen = self.listens.clone();
                    self.supervisor.handle(self.now, Event::ListenersSeen { pid, seen }, &mut actions);
                }
                Action::ReleaseMissing { generation } => self.log.push(format!("release what {generation} does not use")),
                Action::NoteFamily { .. } | Action::KeepSockets { .. } | Action::ReleaseSockets => {}
                Action::KillAll => self.log.push("kill all".to_owned()),
                Action::EndLeftovers { generation, order, .. } => {
                    let order = match order {
                        Order::Nothing => "count".to_owned(),
                        Order::All(signal) => signal.to_string(),
                        Order::Apart { signal, others, admit } => format!("{signal} {others:?} {admit:?}"),
                    };
                    self.log.push(format!("leftovers {generation} {order}"));
                }
                Action::Request { pid, request } => self.log.push(format!("{request:?} to {pid}").to_lowercase()),
                Action::LookForWork { pid } => {
                    self.log.push(format!("look whether {pid} is done"));
                    let left = self.left;
                    self.supervisor.handle(self.now, Event::WorkSeen { pid, left }, &mut actions);
                }
                Action::LookForRequests { pid } => {
                    let open = self.open_requests;
                    self.supervisor.handle(self.now, Event::RequestsSeen { pid, open }, &mut actions);
                }
                Action::AskForStack { pid, .. } => match self.stack.clone() {
                    Some(stack) => self.supervisor.handle(self.now, Event::StackTold { pid, stack }, &mut actions),
                    None => self.log.push(format!("ask for the stack of {pid}")),
                },
                Action::LookAtFiles => self.log.push("look at files".to_owned()),
                Action::Check { pid } => self.log.push(format!("check {pid}")),
                Action::Watch { pid } => self.log.push(format!("watch {pid}")),
                Action::Promote { pid } => self.log.push(format!("promote {pid}")),
                Action::LookAtMemory { pid } => self.log.push(format!("look at {pid}")),
                Action::RestartDone(done) => self.log.push(format!("done {}", if done.is_ok() { "well" } else { "badly" })),
                Action::Suspend => self.log.push("suspend".to_owned()),
                Action::Report(Report::SignalDropped { signal }) => self.log.push(format!("{signal} dropped")),
                Action::Report(
                    report @ (Report::AddressesMissing { .. }
                    | Report::TakenForWorker { .. }
                    | Report::ListenersUnknowable { .. }
                    | Report::WithoutOverlap { .. }
                    | Report::StandbyGivenUp { .. }
                    | Report::NotHeld { .. }
                    | Report::ChangesOff { .. }
                    | Report::CutOff { .. }
                    | Report::Ready { .. }),
                ) => self.reports.push(report.message()),
                Action::Report(_) => {}
                Action::Finish(ending) => self.log.push(format!("finish {} {}", ending.outcome.name(), ending.code)),
            }
        }
        self
    }

    /// Lets the clock run up to the next deadline, and gives back when that is.
    pub(super) fn tick(&mut self) -> Moment {
        self.now = self.supervisor.next_deadline().unwrap();
        self.tell(TICK);
        self.now
    }

    /// The same; it must be so long after the start.
    pub(super) fn tick_at(&mut self, after_start: Duration) -> &mut Bench {
        self.now = Moment::START + after_start;
        assert_eq!(self.supervisor.next_deadline(), Some(self.now));
        self.tell(TICK)
    }

    pub(super) fn exit(&mut self, number: i32, exit: Exit) -> &mut Bench {
        self.tell(Event::Exited { pid: pid(number), exit, reason: None }).tell(Event::Reaped { children: false })
    }

    /// The reports that are kept, since the last time.
    pub(super) fn take_reports(&mut self) -> Vec<String> {
        std::mem::take(&mut self.reports)
    }

    pub(super) fn take_log(&mut self) -> Vec<String> {
        std::mem::take(&mut self.log)
    }

    pub(super) fn events(&mut self, number: i32, events: &[ChannelEvent]) -> &mut Bench {
        for event in events {
            self.tell(Event::Channel { pid: pid(number), event: event.clone() });
        }
        self
    }

    pub(super) fn says(&mut self, lines: &[&str]) -> &mut Bench {
        assert_eq!(self.take_log(), lines);
        self
    }

    /// A server that listens on a held port.
    pub(super) fn listening(config: Config) -> Bench {
        let mut bench = Bench::running(Config { hold_port: true, ..config });
        bench.events(101, &[ChannelEvent::Answered, listens_at(&[3000])]);
        bench
    }

    /// The same with a standby that waits.
    pub(super) fn with_standby(config: Config) -> Bench {
        let mut bench = Bench::listening(Config { standby: true, ..config });
        bench.tick_at(ms(0)).events(102, &[ChannelEvent::Answered, ChannelEvent::AtListen]).says(&["spawn 2 - standby"]);
        bench
    }
}

pub(super) fn killed_by(number: i32) -> Exit {
    Exit::Signal { signal: Signal::new(number).unwrap(), core_dumped: false }
}
