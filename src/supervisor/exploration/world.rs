//! The world of the exploration: a supervisor, and what may happen to it next. Moments are taken relative
//! to now and pids by their order, so that what differs by a shift is one state.

use std::collections::VecDeque;
use std::time::Duration;

use nix::errno::Errno;
use nix::unistd::Pid;

use crate::config::Config;
use crate::config::values::{ReadyWhen, StopBy};
use crate::generation_number::GenerationNumber;
use crate::procfs::listeners::Listeners;
use crate::procfs::node_loop::Left;
use crate::signal::Signal;
use crate::signal::SignalSet;
use crate::supervisor::bench::{HUP, INT, TERM, blocked, listeners, listens_at, ms, pid, signal};
use crate::supervisor::event::{Actions, ChannelEvent, Event, Next, Phase};
use crate::supervisor::exit::{Exit, LastExit};
use crate::supervisor::fault::Fault;
use crate::supervisor::generation::{Duty, Generation, Life};
use crate::supervisor::report::Ending;
use crate::supervisor::spawn_failure::{Problem, SpawnFailure, SpawnStep};
use crate::supervisor::sweep::Found;
use crate::supervisor::sweep::{LAUNCHER_DIES_WITHIN, Sweep};
use crate::supervisor::{Supervisor, Surroundings};
use crate::time::Moment;

/// What the explored world may answer, and what must hold in it.
#[derive(Clone)]
pub(super) struct World {
    pub(super) supervisor: Supervisor,
    pub now: Moment,
    pub(super) next_pid: i32,
    pub(super) alive: Vec<Pid>,
    pub spawn_asked: bool,
    /// Generations whose leftovers are to be counted.
    pub(super) asked: Vec<GenerationNumber>,
    /// What else is asked about commands, in order.
    pub(super) questions: VecDeque<Question>,
    /// The commands that the last event had signalled: a refusal may follow.
    pub(super) forwarded: Vec<Pid>,
    /// The kernel may refuse to let us signal a command, and the commands may be launchers.
    pub(super) harsh: bool,
    /// Commands that are prepared for HUP, as far as anybody has looked.
    pub(super) prepared: Vec<Pid>,
    /// Commands that listen at held sockets, and at their own, as they told and as was seen last.
    holding: Vec<Pid>,
    listening: Vec<Pid>,
    /// Launchers speak for these.
    pub(super) spoken_for: Vec<Pid>,
    /// Commands that had work to do when they were last looked at.
    pub(super) busy: Vec<Pid>,
    pub stopped: bool,
    pub finished: Option<Ending>,
    /// The generations that served, or made room for another, when they ended.
    pub(super) served: Vec<GenerationNumber>,
    /// Those that have ended and may have left something behind.
    pub(super) unswept: Vec<GenerationNumber>,
    /// Somebody waits for the outcome of a planned restart.
    pub(super) restart_awaited: bool,
}

/// What is asked about a command, by its pid. It is answered before anything else is told.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Question {
    MayKill(Pid),
    MaySignal(Pid),
    Prepared(Pid),
    Listeners(Pid),
    Work(Pid),
}

/// A second after a spawn and after a stop another rule holds.
pub(super) const SECOND: Duration = LAUNCHER_DIES_WITHIN;

impl World {
    pub(super) fn new(config: Config, harsh: bool) -> World {
        let surroundings = Surroundings { job_control: true, is_init: true, is_notified: false, seed: 0 };
        let mut supervisor = Supervisor::new(config, "cmd".to_owned(), surroundings);
        // One line more or less: it is enough to look for it where little else happens.
        supervisor.told_not_held = harsh || supervisor.config.standby;
        // One line, which changes nothing else.
        supervisor.settled_cut_off = true;
        World {
            supervisor,
            now: Moment::START,
            next_pid: 101,
            alive: Vec::new(),
            spawn_asked: false,
            asked: Vec::new(),
            questions: VecDeque::new(),
            forwarded: Vec::new(),
            harsh,
            prepared: Vec::new(),
            holding: Vec::new(),
            listening: Vec::new(),
            spoken_for: Vec::new(),
            busy: Vec::new(),
            stopped: false,
            finished: None,
            served: Vec::new(),
            unswept: Vec::new(),
            restart_awaited: false,
        }
    }

    pub(super) fn events(&self) -> Vec<Event> {
        let refused = self.forwarded.iter().filter(|pid| self.alive.contains(pid));
        let mut events: Vec<Event> = refused.map(|pid| Event::SignalRefused { pid: *pid }).collect();
        // Questions are answered before anything else is told.
        if let Some(question) = self.questions.front() {
            events.extend(self.answers(*question));
            return events;
        }
        if let Some(generation) = self.asked.first() {
            let found = |launched, others| Some(Found { launched, others, refused: None });
            let mut answers = vec![found(0, 0), found(0, 2), None];
            if self.is_apart(*generation) {
                answers.extend([found(1, 0), found(1, 1)]);
            }
            events.extend(answers.into_iter().map(|found| Event::Leftovers { generation: *generation, found }));
            return events;
        }
        let config = &self.supervisor.config;
        if self.spawn_asked {
            let failed = |errno| Event::SpawnFailed(SpawnFailure { step: SpawnStep::Exec, errno, problem: Problem::NotFound });
            let passing = Event::SpawnFailed(SpawnFailure::fork(Errno::EAGAIN));
            events.extend([Event::Spawned { pid: pid(self.next_pid) }, passing, failed(Errno::ENOENT)]);
            return events;
        }
        // Two ports, one of which may come late, matter where listening is what makes it ready.
        let by_listening = matches!(config.ready_when(), ReadyWhen::Listening(_));
        events.extend([TERM, INT, HUP].map(signal));
        events.push(Event::RestartAsked);
        events.extend((config.hold_port && !config.standby && !self.harsh).then_some(Event::RestartForced));
        for pid in &self.alive {
            events.extend([0, 1, 78].map(|code| Event::Exited { pid: *pid, exit: Exit::Code(code), reason: None }));
            if self.harsh {
                events.push(Event::Exited { pid: *pid, exit: Exit::Code(128 + TERM as u8), reason: None });
            }
            let mut from_channel = Vec::new();
            if config.stop_by != StopBy::Signal {
                from_channel.extend([ChannelEvent::Answered, ChannelEvent::Gone, ChannelEvent::NotSent]);
                from_channel.extend((!config.standby).then_some(ChannelEvent::RequestAnswered));
            }
            if *config.ready_when() == ReadyWhen::Message {
                from_channel.extend([ChannelEvent::Ready, ChannelEvent::Unready]);
            }
            if config.standby {
                from_channel.push(ChannelEvent::AtListen);
            }
            if config.watchdog.is_some() {
                from_channel.push(blocked());
            }
            if config.watchdog_stack && self.supervisor.running().any(|generation| generation.pid == *pid && generation.stack_by.is_some())
            {
                events.push(Event::StackTold { pid: *pid, stack: Vec::new() });
            }
            if config.holds_ports() {
                from_channel.extend([listens_at(&[3000]), ChannelEvent::Closed]);
                from_channel.extend(by_listening.then(|| listens_at(&[3000, 3001])));
                from_channel.extend((!self.harsh && !config.standby).then_some(ChannelEvent::AnotherSpeaks));
                // In some of the worlds is enough: the others get the further for it.
                let has_drain = !config.drain_delay.is_zero();
                from_channel.extend((self.harsh && config.standby && has_drain).then_some(ChannelEvent::LauncherSpeaks));
            }
            events.extend(from_channel.into_iter().map(|event| Event::Channel { pid: *pid, event }));
        }
        events.extend([true, false].map(|children| Event::Reaped { children }));
        if by_listening {
            events.push(Event::ReadinessAsked);
        }
        if by_listening && config.holds_ports() {
            events.push(Event::SocketsReleased(listeners(&[3001]).into_iter().map(|listener| listener.address).collect()));
        }
        events.extend(self.observations());
        if self.supervisor.memory.is_some() {
            events.extend([500, 2000].map(|used| Event::Memory { used: Some(used), limit: Some(1000) }));
        }
        // In a storm there is always a signal that was not told yet.
        events.extend([false, true].map(|signals_pending| Event::Tick { signals_pending }));
        events
    }

    /// What comes when it comes: answers to checks, changes of files.
    fn observations(&self) -> Vec<Event> {
        let mut events = Vec::new();
        let asked = self.supervisor.check.filter(|watch| watch.key().0);
        if let Some(pid) = self.supervisor.active().filter(|_| asked.is_some()).map(|active| active.pid) {
            events.extend([Ok(ms(3)), Err(Fault::Status(503))].map(|answer| Event::Checked { pid, answer }));
        }
        if self.supervisor.changes.is_some() {
            events.push(Event::FilesStirred);
            events.extend([None, Some(vec![1]), Some(vec![2])].map(Event::FilesSeen));
        }
        events
    }

    pub(super) fn answers(&self, question: Question) -> Vec<Event> {
        let ways: &[bool] = if self.harsh { &[true, false] } else { &[true] };
        if let Question::Listeners(pid) = question {
            let found = |ports: &[u16]| Some(Listeners::Found(listeners(ports)));
            let mut seen = vec![found(&[]), found(&[3000]), None];
            // Where ports are held, what else an app listens on is a rare thing; what cannot be seen belongs to the harsh world.
            if !self.supervisor.config.holds_ports() {
                seen.push(found(&[3000, 3001]));
            }
            if self.harsh {
                seen.push(Some(Listeners::Unknowable));
            }
            return seen.into_iter().map(|seen| Event::ListenersSeen { pid, seen }).collect();
        }
        if let Question::Work(pid) = question {
            // In the harsh world it is refusals that matter, beside a standby who takes over.
            let is_plain = self.harsh || self.supervisor.config.standby;
            let seen: &[Option<Left>] = if is_plain { &[Some(Left::Nothing)] } else { &[Some(Left::Nothing), Some(Left::Work), None] };
            return seen.iter().copied().map(|left| Event::WorkSeen { pid, left }).collect();
        }
        let answer = |way: &bool| match question {
            Question::MayKill(pid) => Event::KillSent { pid, allowed: *way },
            Question::MaySignal(pid) => Event::Probed { pid, allowed: *way },
            Question::Prepared(pid) | Question::Listeners(pid) | Question::Work(pid) => {
                Event::SignalsSeen { pid, survived: Some(Signal::new(HUP).filter(|_| *way).into_iter().collect()) }
            }
        };
        match question {
            // A command installs its handlers in its own time.
            Question::Prepared(_) => [true, false].iter().map(answer).collect(),
            Question::MayKill(_) | Question::MaySignal(_) | Question::Listeners(_) | Question::Work(_) => ways.iter().map(answer).collect(),
        }
    }

    /// Whether what a launcher started is being told apart.
    pub(super) fn is_apart(&self, generation: GenerationNumber) -> bool {
        let is_apart = |g: &Generation| matches!(g.life, Life::Ended { sweep: Sweep::AskedApart { .. }, .. });
        self.supervisor.generations.iter().any(|g| g.number == generation && is_apart(g))
    }

    /// Nothing is asked that is not answered yet.
    pub(super) fn is_quiet(&self) -> bool {
        self.asked.is_empty() && self.questions.is_empty() && !self.spawn_asked
    }

    /// The moments at which the clock may be looked at next: the earliest deadline, or any later one, where the machine was slow.
    pub(super) fn moments(&self) -> Vec<Moment> {
        let next = self.supervisor.next_deadline().unwrap_or(self.now).max(self.now);
        self.deadlines().into_iter().filter(|at| *at > next).chain([next]).collect()
    }

    /// Where listening is what makes a command ready, nobody is told that it is who was not told that it listens.
    fn is_told_ready_rightly(&self) -> bool {
        let supervisor = &self.supervisor;
        let by_listening = matches!(supervisor.config.ready_when(), ReadyWhen::Listening(_));
        let Some(active) = supervisor.active().filter(|active| by_listening && !supervisor.counts_from_its_start(active)) else {
            return true;
        };
        !supervisor.view(self.now).ready || self.holding.contains(&active.pid) || self.listening.contains(&active.pid)
    }

    /// Whoever serves undisturbed is asked whether it is well, or will be.
    fn is_checked(&self) -> bool {
        let supervisor = &self.supervisor;
        let serves = supervisor.undisturbed().is_some_and(Generation::is_ready);
        let is_asked = supervisor.check.is_some_and(|watch| watch.key().0);
        supervisor.config.check.is_none() || !serves || is_asked || supervisor.check_due().is_some()
    }

    /// The new generation of a planned restart serves alone, and whoever waits for it has no end in sight.
    fn plan_waits_for_ever(&self) -> bool {
        let supervisor = &self.supervisor;
        let is_new = |active: &&Generation| supervisor.planned.is_some_and(|planned| planned.is_new(active.number));
        let active = supervisor.active().filter(is_new).filter(|active| active.kill_reason.is_none());
        active.is_some() && self.is_quiet() && supervisor.next_deadline().is_none()
    }

    pub(super) fn step(&self, event: Event, at: Moment) -> World {
        let mut world = self.clone();
        world.now = at;
        world.tell(event);
        world
    }

    pub(super) fn tell(&mut self, event: Event) {
        let mut actions = Actions::new();
        self.forwarded.retain(|forwarded| matches!(event, Event::SignalRefused { pid } if pid != *forwarded));
        match &event {
            Event::Signal { signal, .. } if self.supervisor.config.stop_signals.contains(*signal) => self.stopped = true,
            Event::Spawned { pid } => {
                self.spawn_asked = false;
                self.alive.push(*pid);
                self.next_pid += 1;
            }
            Event::SpawnFailed(_) => self.spawn_asked = false,
            Event::Exited { pid, .. } => {
                self.alive.retain(|alive| alive != pid);
                if let Some(ended) = self.supervisor.running().find(|generation| generation.pid == *pid) {
                    self.unswept.push(ended.number);
                    self.served.extend(matches!(ended.duty, Duty::Active | Duty::Retiring { .. }).then_some(ended.number));
                }
            }
            Event::Reaped { children: false } => self.unswept.clear(),
            Event::Leftovers { generation, found } => {
                self.asked.remove(0);
                let none = found.is_some_and(|found| (found.launched, found.others) == (0, 0));
                self.unswept.retain(|unswept| unswept != generation || !none);
            }
            Event::KillSent { .. } | Event::Probed { .. } => drop(self.questions.pop_front()),
            Event::ListenersSeen { pid, seen } => {
                self.questions.pop_front();
                if let Some(Listeners::Found(found)) = seen {
                    self.listening.retain(|known| known != pid);
                    self.listening.extend((!found.is_empty()).then_some(*pid));
                }
            }
            Event::WorkSeen { pid, left } => {
                self.questions.pop_front();
                self.busy.retain(|known| known != pid);
                self.busy.extend((*left == Some(Left::Work)).then_some(*pid));
            }
            Event::Channel { pid, event: ChannelEvent::Listening(_) } => self.holding.push(*pid),
            Event::Channel { pid, event: ChannelEvent::LauncherSpeaks } => self.spoken_for.push(*pid),
            Event::Channel { pid, event: ChannelEvent::Closed | ChannelEvent::AnotherSpeaks } => self.holding.retain(|known| known != pid),
            Event::SignalsSeen { pid, survived } => {
                self.questions.pop_front();
                self.prepared.retain(|known| known != pid);
                let is_prepared = |set: &SignalSet| Signal::new(HUP).is_some_and(|hup| set.contains(hup));
                self.prepared.extend(survived.filter(is_prepared).map(|_| *pid));
            }
            Event::RestartAsked | Event::RestartForced => self.restart_awaited = true,
            _ => {}
        }
        let is_tick = matches!(event, Event::Tick { .. });
        let refused = if let Event::SignalRefused { pid } = event { Some(pid) } else { None };
        let was_delayed = self.supervisor.spawning.is_delayed();
        self.supervisor.handle(self.now, event, &mut actions);
        let acted = !actions.is_empty();
        for action in actions {
            self.check(action);
        }
        let active = self.supervisor.running().filter(|generation| generation.duty == Duty::Active).count();
        assert!(active <= 1, "two generations serve");
        let makes_room = self.supervisor.running().any(|generation| Some(generation.pid) == refused && generation.is_retiring());
        let is_settled = self.supervisor.phase == Phase::Supervising(Next::Undecided);
        assert!(!makes_room || !is_settled || active == 1, "one that cannot be asked to make room serves no more");
        let served = |last: &LastExit| self.served.contains(&last.run.generation);
        assert!(self.supervisor.last_exits().all(served), "the code would be that of one that never served");
        let planned = self.supervisor.planned.is_some() || self.supervisor.wanted.is_some();
        assert!(planned || !self.restart_awaited, "whoever asked for a restart waits for ever");
        assert!(self.finished.is_some() || self.is_told_ready_rightly(), "ready, and nothing listens: {}", self.key());
        assert!(self.finished.is_some() || self.is_checked(), "one that serves, and is asked no more: {}", self.key());
        assert!(self.finished.is_some() || !self.plan_waits_for_ever(), "a plan without an end: {}", self.key());
        let used = self.supervisor.restarts.clone().used(&self.supervisor.config, self.now);
        assert!(used <= self.supervisor.config.max_restarts, "more restarts than allowed");
        // What is due is done: a deadline that passes without effect would have the loop spin.
        let due = self.supervisor.next_deadline().is_some_and(|at| at <= self.now);
        let delays = self.supervisor.spawning.is_delayed() && !was_delayed;
        assert!(!is_tick || acted || delays || !due, "a tick that changes nothing: {}", self.key());
        // Nor is anything done over and over, or withheld in a storm: what was due at this moment is over after a few ticks.
        let mut again = self.supervisor.clone();
        let is_due = |supervisor: &Supervisor| supervisor.next_deadline().is_some_and(|at| at <= self.now);
        let ticks = (0..8).take_while(|_| {
            is_tick && is_due(&again).then(|| again.handle(self.now, Event::Tick { signals_pending: true }, &mut Actions::new())).is_some()
        });
        assert!(ticks.count() < 8, "a tick that is never done: {}", self.key());
    }
}
