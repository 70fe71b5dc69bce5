//! The supervisor: what has happened goes in as events, what is to be done comes out as actions. Pure: it makes no system call and
//! reads no clock, so that every state can be reached in a test without a process.

mod blocked;
mod channel;
mod command_kind;
mod crash;
pub mod event;
pub mod exit;
mod forwarding;
pub mod generation;
pub mod hang;
mod held_signals;
mod leftovers;
mod letting_go;
pub mod listening;
mod memory;
mod overlap;
mod planned_restart;
pub mod policy;
mod reach;
mod readiness;
pub mod report;
pub mod rest;
pub mod spawn_failure;
mod standby;
pub mod stop_request;
mod stopping;
pub mod sweep;
pub mod view;

#[cfg(test)]
mod addressees;
#[cfg(test)]
mod bench;
#[cfg(test)]
mod exploration;
#[cfg(test)]
mod launchers;
#[cfg(test)]
mod out_of_reach;
#[cfg(test)]
mod overlaps;
#[cfg(test)]
mod scenarios;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod ways_to_stop;

use std::collections::VecDeque;

use crate::config::Config;
use crate::generation_number::GenerationNumber;
use crate::time::Moment;
use command_kind::CommandKind;
use crash::Spawning;
use event::{Action, Actions, Event, Next, Phase};
use exit::LastExit;
use generation::{Duty, Generation};
use held_signals::HeldSignals;
use listening::Expected;
use memory::MemoryWatch;
use overlap::Overlap;
use planned_restart::{Planned, Wanted};
use policy::{Restarts, Tally};
use standby::StandbyPlan;
use stopping::StopAsked;

/// The state machine. Its owner, the event loop, keeps to this:
///
/// - **Events.** [`Supervisor::handle`] is called with each event as it happens, and with a `now` that never goes back. Its first event is a
///   [`Event::Tick`], as the first spawn is due at once.
/// - **Actions.** All actions that it adds are carried out, in their order, before the next event is told. An action that is answered (its doc
///   names the event) is answered at once, before the next action: so no pid is signalled once its exit is known.
/// - **Exits.** Each child that is reaped and may be a command's is told by [`Event::Exited`]; when no more can be reaped now,
///   [`Event::Reaped`] follows. Only then is it known whether there are leftovers, and only then can a spawn be due.
/// - **Signals** are told in the order in which they arrived. Where some are pending at a tick, it says so, and they are told before the next.
/// - **Deadlines.** Not later than [`Supervisor::next_deadline`], an [`Event::Tick`] is told; `None` means never, and the owner may sleep for ever. A tick
///   that is early does nothing. After each one, no deadline lies at `now` or before, but for the tick that waits for pending signals.
/// - **The end.** [`Action::Finish`] is the last action; whatever is told afterwards is ignored.
///
/// ARCHITECTURE.md has its phases as a picture and a table, which a test compares with what it does.
#[derive(Clone, Debug)]
pub struct Supervisor {
    config: Config,
    command: String,
    /// Whether a command that is stopped at the terminal stops restartinit as well.
    job_control: bool,
    /// Whether it is PID 1: with it, all else ends.
    is_init: bool,
    phase: Phase,
    generations: Vec<Generation>,
    /// The number of the latest generation.
    latest: GenerationNumber,
    spawning: Spawning,
    restarts: Restarts,
    held: HeldSignals,
    last_exits: VecDeque<LastExit>,
    /// The planned restart that is under way.
    planned: Option<Planned>,
    wanted: Option<Wanted>,
    /// A stop that waits for a look at the active generation, which is at once.
    stop_awaits_look: Option<StopAsked>,
    standby: StandbyPlan,
    overlap: Overlap,
    kind: CommandKind,
    /// Where the next generation is expected to listen.
    expected: Expected,
    memory: Option<MemoryWatch>,
    tally: Tally,
    silence_told: bool,
    told_not_held: bool,
    /// It was told that requests were cut off by a stop, or none will be.
    settled_cut_off: bool,
}

/// Where restartinit runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Surroundings {
    /// A command that is stopped at the terminal stops restartinit as well.
    pub job_control: bool,
    /// It is PID 1: with it, all else ends.
    pub is_init: bool,
}

impl Supervisor {
    /// How many of the last runs are remembered.
    pub const LAST_EXITS: usize = 8;

    pub fn new(config: Config, command: String, surroundings: Surroundings) -> Supervisor {
        let Surroundings { job_control, is_init } = surroundings;
        let memory = config.max_memory.map(|_| MemoryWatch::new());
        Supervisor {
            config,
            command,
            job_control,
            is_init,
            phase: Phase::Supervising(Next::Spawn { due: Moment::START }),
            generations: Vec::with_capacity(4),
            latest: GenerationNumber::NONE,
            spawning: Spawning::default(),
            restarts: Restarts::default(),
            held: HeldSignals::default(),
            last_exits: VecDeque::with_capacity(Self::LAST_EXITS),
            planned: None,
            wanted: None,
            stop_awaits_look: None,
            kind: CommandKind::default(),
            expected: Expected::default(),
            standby: StandbyPlan::default(),
            overlap: Overlap::default(),
            memory,
            tally: Tally::default(),
            silence_told: false,
            told_not_held: false,
            settled_cut_off: false,
        }
    }

    /// The generations whose command runs: their pids may be signalled.
    pub fn running(&self) -> impl Iterator<Item = &Generation> {
        self.generations.iter().filter(|generation| generation.is_running())
    }

    /// The last runs of the command, the latest first.
    pub fn last_exits(&self) -> impl Iterator<Item = &LastExit> {
        self.last_exits.iter()
    }

    /// Whether a generation that was replaced, or what is left of one, has not ended yet. Meanwhile none is started beside the active one:
    /// else there would be ever more of them.
    fn is_replacing(&self) -> bool {
        self.generations.iter().any(|generation| !generation.is_running() || generation.is_retiring())
    }

    /// The generation that serves.
    fn active(&self) -> Option<&Generation> {
        self.running().find(|generation| generation.duty == Duty::Active)
    }

    fn with_duty(&mut self, duty: Duty) -> Option<&mut Generation> {
        self.generations.iter_mut().find(|generation| generation.is_running() && generation.duty == duty)
    }

    /// The moment at which [`Event::Tick`] is due, unless something happens before.
    pub fn next_deadline(&self) -> Option<Moment> {
        let phase = match self.phase {
            Phase::Supervising(next) => self.spawn_due(next).into_iter().chain(self.standby_due()).chain(self.memory_due()).min(),
            Phase::Draining { forward_at, .. } => Some(forward_at),
            Phase::Stopping { kill_at, .. } => kill_at,
            Phase::Ended => return None,
        };
        let generations = self.generations.iter().filter_map(Generation::deadline);
        let plan = self.planned.and_then(Planned::give_up_at);
        let others =
            [self.held_signals_due(), self.look_due(), self.rest_due(), self.signals_after_requests_due(), self.kills_without_stack_due()];
        generations.chain(phase).chain(others.into_iter().flatten()).chain(plan).min()
    }

    /// Takes in what happened at `now`; what is to be done is added to `actions`, to be done in that order.
    pub fn handle(&mut self, now: Moment, event: Event, actions: &mut Actions) {
        match (self.phase, event) {
            (Phase::Ended, _) => return,

            (_, Event::Exited { pid, exit, reason }) => self.exited(now, pid, exit, reason, actions),
            // Nothing is left of those that have ended.
            (_, Event::Reaped { children: false }) => self.generations.retain(Generation::is_running),
            (_, Event::Reaped { children: true }) => self.look_for_leftovers(now, actions),
            (_, Event::Leftovers { generation, found }) => self.leftovers(now, generation, found, actions),
            (_, Event::ChildStopped { pid, signal }) => {
                let is_ours = self.job_control && signal.stops_a_job() && self.running().any(|generation| generation.pid == pid);
                actions.extend(is_ours.then_some(Action::Suspend));
            }
            (_, Event::Channel { pid, event }) => self.channel_event(now, pid, event, actions),

            (Phase::Supervising(_), Event::Signal { signal, command_has_it }) => {
                let Some(forwarded) = self.rewrite(signal, command_has_it) else { return };
                if self.config.stop_signals.contains(signal) {
                    self.stop(now, StopAsked { arrived: signal, forwarded }, command_has_it, actions);
                } else if !command_has_it {
                    self.forward_or_hold(now, forwarded, actions);
                }
            }
            (Phase::Draining { signal: first, .. }, Event::Signal { signal, command_has_it }) => {
                let Some(forwarded) = self.rewrite(signal, command_has_it) else { return };
                if self.config.stop_signals.contains(signal) {
                    self.forward_stop(now, first, actions);
                }
                if !command_has_it {
                    self.forward(forwarded, actions);
                }
            }
            (Phase::Stopping { .. }, Event::Signal { signal, command_has_it }) => {
                let Some(forwarded) = self.rewrite(signal, command_has_it) else { return };
                if self.config.stop_signals.contains(signal) {
                    self.stop_sent(now, forwarded, command_has_it, actions);
                }
                if !command_has_it {
                    self.forward(forwarded, actions);
                    self.forward_to_launched(forwarded, actions);
                }
            }

            (_, Event::Spawned { pid }) => self.spawned(now, pid, actions),
            (Phase::Supervising(_), Event::SpawnFailed(failure)) => self.spawn_failed(now, failure, actions),

            (_, Event::ReadinessAsked) => self.readiness_asked(actions),
            (_, Event::ListenersSeen { pid, seen }) => self.listeners_seen(now, pid, seen, actions),
            (_, Event::SocketsReleased(addresses)) => self.sockets_released(now, &addresses, actions),
            (_, Event::RequestsSeen { pid, open }) => self.requests_seen(pid, open),
            (_, Event::WorkSeen { pid, left }) => self.work_seen(now, pid, left, actions),
            (_, Event::StackTold { pid, stack }) => self.stack_told(pid, stack, actions),
            (_, Event::RestartAsked) => self.restart_asked(now, false, actions),
            (_, Event::RestartForced) => self.restart_asked(now, true, actions),
            (_, Event::SignalRefused { pid }) => self.signal_refused(now, pid, actions),
            (_, Event::KillSent { pid, allowed }) => self.kill_sent(now, pid, allowed, actions),
            (Phase::Supervising(_), Event::Probed { pid, allowed }) => self.probed(now, pid, allowed, actions),
            (Phase::Supervising(_), Event::SignalsSeen { pid, survived }) => self.signals_seen(now, pid, survived, actions),
            (Phase::Supervising(next), Event::Memory { used, limit }) => self.memory_seen(now, next, used, limit, actions),
            (_, Event::SpawnFailed(_) | Event::Probed { .. } | Event::SignalsSeen { .. } | Event::Memory { .. }) => {}
            (Phase::Supervising(next), Event::Tick { signals_pending }) => {
                self.tick_generations(now, actions);
                self.tick_held_signals(now, actions);
                self.tick_spawning(now, next, signals_pending, actions);
                if self.memory_due().is_some_and(|due| due <= now) {
                    self.look_at_memory(now, actions);
                }
            }
            (Phase::Draining { signal, forward_at }, Event::Tick { .. }) => {
                self.tick_generations(now, actions);
                if forward_at <= now {
                    self.forward_stop(now, signal, actions);
                }
            }
            (Phase::Stopping { signal, kill_at }, Event::Tick { .. }) => {
                if kill_at.is_some_and(|kill_at| kill_at <= now) {
                    self.phase = Phase::Stopping { signal, kill_at: None };
                    self.grace_expired(now, actions);
                }
                self.tick_generations(now, actions);
            }
        }
        self.settle(now, actions);
    }

    /// Time has passed for the generations: leftovers, those that retire, those that should be ready.
    fn tick_generations(&mut self, now: Moment, actions: &mut Actions) {
        self.tick_leftovers(now, actions);
        self.tick_retiring(now, actions);
        self.tick_readiness(now, actions);
        self.tick_planned_restart(now, actions);
        self.tick_rest(now, actions);
        self.tick_stop_requests(now, actions);
        self.tick_blocked(now, actions);
    }
}
