//! The supervisor: what has happened goes in as events, what is to be done comes out as actions. Pure: it makes no system call and
//! reads no clock, so that every state can be reached in a test without a process.

mod age;
mod blocked;
mod changes;
mod channel;
pub mod check;
mod command_kind;
mod crash;
mod dispatch;
pub mod event;
pub mod exit;
pub mod fault;
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
mod retiring;
pub mod spawn_failure;
mod standby;
pub mod stop_request;
mod stopping;
pub mod sweep;
mod unready;
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
use crate::random::Random;
use crate::time::Moment;
use age::AgeWatch;
use changes::ChangeWatch;
use check::CheckWatch;
use command_kind::CommandKind;
use crash::Spawning;
use event::{Next, Phase};
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
    is_notified: bool,
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
    age: Option<AgeWatch>,
    changes: Option<ChangeWatch>,
    check: Option<CheckWatch>,
    /// Checks that were not passed, of all generations.
    check_failures_total: u64,
    random: Random,
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
    /// Somebody is to be told when the command is ready.
    pub is_notified: bool,
    /// Another one for each container, so that not all wait for the same time.
    pub seed: u64,
}

impl Supervisor {
    /// How many of the last runs are remembered.
    pub const LAST_EXITS: usize = 8;

    pub fn new(config: Config, command: String, surroundings: Surroundings) -> Supervisor {
        let Surroundings { job_control, is_init, is_notified, seed } = surroundings;
        let changes = (!config.restart_on_change.is_empty()).then(ChangeWatch::default);
        let memory = config.max_memory.map(|_| MemoryWatch::new());
        Supervisor {
            config,
            command,
            job_control,
            is_init,
            is_notified,
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
            age: None,
            changes,
            check: None,
            check_failures_total: 0,
            random: Random::new(seed),
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

    /// The generation that serves, while nothing else goes on: no restart of it, no end of another one.
    fn undisturbed(&self) -> Option<&Generation> {
        let is_quiet =
            self.phase == Phase::Supervising(Next::Undecided) && self.planned.is_none() && !self.is_replacing() && !self.is_spawning();
        self.active().filter(|active| is_quiet && active.kill_reason.is_none())
    }

    fn with_duty(&mut self, duty: Duty) -> Option<&mut Generation> {
        self.generations.iter_mut().find(|generation| generation.is_running() && generation.duty == duty)
    }

    /// The moment at which [`Event::Tick`] is due, unless something happens before.
    pub fn next_deadline(&self) -> Option<Moment> {
        let phase = match self.phase {
            Phase::Supervising(next) => {
                let looks = [self.memory_due(), self.age_due(), self.check_due(), self.change_due()];
                self.spawn_due(next).into_iter().chain(self.standby_due()).chain(looks.into_iter().flatten()).min()
            }
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
}
