//! What observers may see of the supervisor. Pure.

use std::time::Duration;

use nix::unistd::Pid;

use super::Supervisor;
use super::check::CheckView;
use super::event::{Next, Phase};
use super::exit::LastExit;
use super::generation::{Duty, Generation};
use super::reach::cannot_be_signalled;
use crate::generation_number::GenerationNumber;
use crate::time::{Moment, human};

/// The supervisor at one moment, as plain data.
#[derive(Clone, PartialEq, Debug)]
pub struct View {
    pub state: State,
    /// Whether traffic is welcome: `/readyz`.
    pub ready: bool,
    /// One phrase for people, while it is not.
    pub not_ready: Option<String>,
    /// What counts as ready, where that is not what was asked for.
    pub readiness_note: Option<&'static str>,
    /// Why there is no standby though one is wanted.
    pub standby_note: Option<&'static str>,
    /// Why changes of files lead to no restart though that is wanted.
    pub change_note: Option<&'static str>,
    /// All that run, in the order of their numbers.
    pub generations: Vec<GenerationView>,
    pub latest_generation: GenerationNumber,
    pub restarts_used: u32,
    pub restarts_allowed: u32,
    /// Zero: restarts are counted over the whole life.
    pub restart_window: Duration,
    /// The wait before the next restart, while there is one.
    pub next_restart_in: Option<Duration>,
    /// The latest first.
    pub last_exits: Vec<LastExit>,
    /// The pid of a command that restartinit may not signal.
    pub cannot_signal: Option<Pid>,
    /// Every reason of a restart with its count, those of zero too: a series that appears late hides its first rise.
    pub restarts_total: Vec<(&'static str, u64)>,
    pub spawn_failures: u64,
    /// `None`: nobody checks.
    pub check: Option<CheckView>,
}

impl View {
    pub fn active(&self) -> Option<&GenerationView> {
        self.generations.iter().find(|generation| generation.role == GenerationRole::Active)
    }

    pub fn restarts_remaining(&self) -> u32 {
        self.restarts_allowed.saturating_sub(self.restarts_used)
    }

    pub fn why_not_ready(&self) -> Option<&str> {
        (!self.ready).then(|| self.not_ready.as_deref().unwrap_or("no reason is known"))
    }
}

/// What restartinit is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    Running,
    /// The command has ended; its restart waits for the backoff.
    Waiting,
    /// A planned restart is under way.
    Restarting,
    Draining,
    Stopping,
}

impl State {
    pub fn name(self) -> &'static str {
        match self {
            State::Running => "running",
            State::Waiting => "waiting",
            State::Restarting => "restarting",
            State::Draining => "draining",
            State::Stopping => "stopping",
        }
    }
}

/// What a generation is there for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum GenerationRole {
    /// It serves.
    Active,
    /// It is to take over from the active one as soon as it is ready.
    Successor,
    /// It waits for a crash of the active one.
    Standby,
    /// Its successor serves; it ends in peace.
    Retiring,
}

impl GenerationRole {
    pub fn name(self) -> &'static str {
        match self {
            GenerationRole::Active => "active",
            GenerationRole::Successor => "successor",
            GenerationRole::Standby => "standby",
            GenerationRole::Retiring => "retiring",
        }
    }
}

/// One running generation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct GenerationView {
    pub number: GenerationNumber,
    pub pid: Pid,
    pub role: GenerationRole,
    pub started: Moment,
    pub ready: bool,
}

impl Supervisor {
    /// What observers may see.
    pub fn view(&self, now: Moment) -> View {
        let not_ready = self.why_not_ready(now);
        let next_restart_in = match self.phase {
            Phase::Supervising(Next::Spawn { due }) => Some(due.since(now)),
            Phase::Supervising(_) | Phase::Draining { .. } | Phase::Stopping { .. } | Phase::Ended => None,
        };
        View {
            state: self.state(),
            ready: not_ready.is_none(),
            not_ready,
            readiness_note: self.readiness_note(),
            standby_note: self.standby_note(),
            change_note: self.change_note(),
            generations: self.running().filter_map(|generation| self.generation_view(generation)).collect(),
            latest_generation: self.latest,
            restarts_used: self.restarts_used(now),
            restarts_allowed: self.config.max_restarts,
            restart_window: self.config.restart_window,
            next_restart_in,
            last_exits: self.last_exits.iter().cloned().collect(),
            cannot_signal: self.running().find(|generation| generation.out_of_reach).map(|generation| generation.pid),
            restarts_total: self.tally.each().collect(),
            spawn_failures: self.spawning.total_failures,
            check: self.check_view(),
        }
    }

    /// Those that count now: the active generation may have worked meanwhile.
    fn restarts_used(&self, now: Moment) -> u32 {
        let mut restarts = self.restarts.clone();
        if self.active().is_some_and(|active| self.has_worked(now, active, None)) {
            restarts.forgive();
        }
        restarts.used(&self.config, now)
    }

    fn generation_view(&self, generation: &Generation) -> Option<GenerationView> {
        let role = match generation.duty {
            Duty::Active => GenerationRole::Active,
            Duty::Successor => GenerationRole::Successor,
            Duty::Standby => GenerationRole::Standby,
            Duty::Retiring { .. } => GenerationRole::Retiring,
            Duty::Dismissed { .. } => return None,
        };
        let Generation { number, pid, started, .. } = *generation;
        let ready = match role {
            GenerationRole::Standby => self.standby_waits(),
            GenerationRole::Successor => false,
            GenerationRole::Active | GenerationRole::Retiring => generation.is_ready(),
        };
        Some(GenerationView { number, pid, role, started, ready })
    }

    fn state(&self) -> State {
        match self.phase {
            Phase::Supervising(_) if self.planned.is_some() => State::Restarting,
            Phase::Supervising(Next::Spawn { .. }) => State::Waiting,
            Phase::Supervising(Next::Undecided) => State::Running,
            Phase::Draining { .. } => State::Draining,
            Phase::Supervising(Next::HandOver(_)) | Phase::Stopping { .. } | Phase::Ended => State::Stopping,
        }
    }

    /// One phrase for people; `None`: traffic is welcome.
    fn why_not_ready(&self, now: Moment) -> Option<String> {
        match self.phase {
            Phase::Supervising(Next::Undecided) => match self.active() {
                Some(active) if active.out_of_reach && active.kill_reason.is_some() => Self::why_doomed(active),
                Some(active) if active.is_ready() => None,
                Some(active) => Some(self.why_unready(now, active)),
                None => Some("a planned restart is under way".to_owned()),
            },
            Phase::Supervising(Next::Spawn { due }) => {
                let ended = self.last_exits.front().map_or("the command has not been started yet".to_owned(), |last| last.run.to_string());
                Some(match due.since(now) {
                    Duration::ZERO => format!("{ended}: restart now"),
                    wait => format!("{ended}: restart in {}", human(wait)),
                })
            }
            Phase::Supervising(Next::HandOver(ending)) => Some(format!("handing over: {}", ending.outcome.name())),
            Phase::Draining { forward_at, .. } => Some(format!("draining: the stop is forwarded in {}", human(forward_at.since(now)))),
            Phase::Stopping { .. } => match self.running().find(|generation| generation.out_of_reach) {
                Some(generation) => Some(format!("stopping: {}", cannot_be_signalled(generation.number, generation.pid))),
                None => Some("stopping".to_owned()),
            },
            Phase::Ended => Some("ended".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::Config;
    use crate::supervisor::bench::{Bench, TERM, at, generation, killed_by, listens_at, ms, pid, signal, used};
    use crate::supervisor::event::{ChannelEvent, Event};
    use crate::supervisor::exit::Exit;

    impl Bench {
        /// The state, and why it is not ready.
        fn is(&self, state: &str, not_ready: Option<&str>) {
            let view = self.supervisor.view(self.now);
            assert_eq!((view.state.name(), view.why_not_ready(), view.ready), (state, not_ready, not_ready.is_none()));
        }
    }

    #[test]
    fn each_state_is_told_by_its_name_with_why_no_traffic_is_welcome() {
        let bench = Bench::new(Config { max_restarts: 2, drain_delay: ms(500), ..Config::default() });
        bench.is("waiting", Some("the command has not been started yet: restart now"));
        let mut bench = Bench::running(Config { max_restarts: 2, drain_delay: ms(500), ..Config::default() });
        bench.is("running", None);
        bench.exit(101, Exit::Code(1)).is("waiting", Some("generation 1 (pid 101) exited with code 1 after 0 ms: restart now"));
        bench.tick_at(ms(0)).exit(102, killed_by(9));
        bench.is("waiting", Some("generation 2 (pid 102) was killed by SIGKILL after 0 ms: restart in 100 ms"));
        bench.now = at(40);
        assert_eq!(bench.supervisor.view(bench.now).next_restart_in, Some(ms(60)));
        bench.tick_at(ms(100)).tell(Event::RestartAsked).is("restarting", Some("a planned restart is under way"));
        let mut bench = Bench::running(Config { drain_delay: ms(500), ..Config::default() });
        bench.tell(signal(TERM)).is("draining", Some("draining: the stop is forwarded in 500 ms"));
        bench.tick_at(ms(500)).is("stopping", Some("stopping"));
        bench.exit(101, Exit::Code(0)).is("stopping", Some("ended"));
        assert_eq!(bench.supervisor.view(bench.now).next_restart_in, None);
        let mut bench = Bench::with_standby(Config { max_restarts: 0, ..Config::default() });
        bench.exit(101, Exit::Code(5)).is("stopping", Some("handing over: completed"));
    }

    #[test]
    fn what_is_out_of_reach_is_told() {
        let mut bench = Bench::running(Config::default());
        bench.in_reach = false;
        bench.tell(signal(TERM));
        assert_eq!(bench.supervisor.view(bench.now).cannot_signal, Some(pid(101)));
        let why = "stopping: generation 1 (pid 101) may not be signalled: it runs as another user, and restartinit lacks CAP_KILL";
        bench.is("stopping", Some(why));
    }

    #[test]
    fn every_generation_is_shown_with_what_it_is_for() {
        let shown = |bench: &Bench| {
            let view = bench.supervisor.view(bench.now);
            view.generations.iter().map(|one| format!("{} {} {}", one.number, one.role.name(), one.ready)).collect::<Vec<_>>()
        };
        let mut bench = Bench::listening(Config { standby: true, wait_ready: Some(ms(5000)), ..Config::default() });
        bench.events(101, &[ChannelEvent::Ready]).tick_at(ms(0)).events(102, &[ChannelEvent::AtListen]);
        assert_eq!(shown(&bench), ["1 active true", "2 standby true"]);
        bench.tell(Event::RestartAsked).events(103, &[ChannelEvent::Answered, ChannelEvent::Ready]);
        assert_eq!(shown(&bench), ["1 active true", "2 standby true", "3 successor false"]);
        bench.events(103, &[listens_at(&[3000])]);
        assert_eq!(shown(&bench), ["1 retiring true", "3 active true"], "the standby is on its way out");
        let mut bench = Bench::listening(Config { standby: true, ..Config::default() });
        bench.tick_at(ms(0));
        assert_eq!(shown(&bench), ["1 active true", "2 standby false"], "it still boots");
        bench.now = at(3000);
        let view = bench.tell(Event::Exited { pid: pid(101), exit: Exit::Code(1), reason: None }).supervisor.view(at(3000));
        assert_eq!(
            (view.active().map(|one| (one.number, one.pid, one.started)), view.latest_generation),
            (Some((generation(2), pid(102), at(0))), generation(2))
        );
        assert_eq!((view.restarts_used, view.restarts_remaining(), view.last_exits.len()), (1, 4, 1));
    }

    #[test]
    fn an_app_that_has_not_said_so_is_not_ready() {
        let mut bench = Bench::running(Config { wait_ready: Some(ms(5000)), ..Config::default() });
        bench.is("running", Some("generation 1 boots since 0 ms, it has not sent process.send('ready') yet"));
        bench.events(101, &[ChannelEvent::Ready]).is("running", None);
        bench.tell(used(2000)).tell(used(2000)).is("restarting", Some("a planned restart is under way"));
    }
}
