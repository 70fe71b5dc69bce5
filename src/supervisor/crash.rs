//! What the end of a generation leads to, by what it was for. Pure.

use nix::unistd::Pid;

use super::Supervisor;
use super::event::{Action, Actions, Next, Phase};
use super::exit::{Exit, LastExit, Outcome, Reason, Run};
use super::generation::{self, Duty, Life, StopSent};
use super::policy::{self, Verdict};
use super::report::{Cause, Ending, Report};
use super::sweep::{LAUNCHED_GRACE, LAUNCHER_DIES_WITHIN, Launched, Sweep};
use crate::config::values::Leftovers;
use crate::generation_number::GenerationNumber;
use crate::time::Moment;

impl Supervisor {
    pub(super) fn exited(&mut self, now: Moment, pid: Pid, exit: Exit, reason: Option<Reason>, actions: &mut Actions) {
        let Some(generation) = generation::with_pid(&mut self.generations, pid) else { return };
        let uptime = now.since(generation.started);
        // What the kernel did counts before what we were about to do.
        let run = Run { generation: generation.number, pid, exit, reason: reason.or(generation.kill_reason), uptime };
        let (duty, stop) = (generation.duty, generation.stop);
        let sweep = match self.config.leftovers {
            Leftovers::Kill => Sweep::Unknown { launched: stop.and_then(|stop| launched(now, self.phase, duty, stop, exit)) },
            Leftovers::Keep => Sweep::Done,
        };
        generation.life = Life::Ended { run, sweep };
        match (self.phase, duty) {
            (Phase::Supervising(Next::HandOver(_)) | Phase::Draining { .. } | Phase::Stopping { .. } | Phase::Ended, Duty::Active) => {
                self.remember(now, run);
            }
            (Phase::Supervising(_), Duty::Active) => self.active_exited(now, run, actions),
            (_, Duty::Successor) => self.successor_exited(&run, actions),
            (Phase::Supervising(_), Duty::Standby) => self.standby_exited(now, run, actions),
            (_, Duty::Standby | Duty::Dismissed { .. }) => {}
            (phase, Duty::Retiring { reason, .. }) => self.retired(now, phase, Run { reason: run.reason.or(Some(reason)), ..run }, actions),
        }
        if matches!(self.phase, Phase::Stopping { .. }) {
            self.kill_dismissed(actions);
        }
    }

    fn remember(&mut self, ended: Moment, run: Run) {
        self.last_exits.truncate(Self::LAST_EXITS - 1);
        self.last_exits.push_front(LastExit { run, ended });
    }

    /// The one that served is gone: whoever waits takes over, or a new one is spawned, or the orchestrator's turn has come.
    fn active_exited(&mut self, now: Moment, run: Run, actions: &mut Actions) {
        self.remember(now, run);
        self.plan_failed_unless_booting(&run, actions);
        let next = match self.restarts.decide(&self.config, now, run.exit, run.uptime) {
            Verdict::Restart { wait, used, allowed } => {
                self.tally.count(run.exit, run.reason);
                let successor = self.take_over(now, actions);
                actions.push_back(Action::Report(Report::Restarting { run, used, allowed, wait, successor }));
                if successor.is_some() {
                    // The wait is for the process that is to be spawned: the next standby.
                    self.standby.wait_until(now + wait);
                    Next::Undecided
                } else {
                    Next::Spawn { due: now + wait }
                }
            }
            Verdict::HandOver(outcome) => {
                let cause = match outcome {
                    Outcome::RestartsExhausted => {
                        Cause::Exhausted { run, used: self.config.max_restarts, window: self.config.restart_window }
                    }
                    Outcome::Completed | Outcome::Stopped | Outcome::NoRestartCode | Outcome::CannotExecute | Outcome::CannotSignal => {
                        Cause::Run(run)
                    }
                };
                Next::HandOver(Ending { outcome, code: policy::exit_code(&self.config, outcome, run.exit), cause })
            }
        };
        self.phase = Phase::Supervising(next);
        self.held.between_generations();
        self.advance_planned_restart(now, actions);
    }

    /// A successor that boots, or else a standby, becomes the active one; gives back its number.
    fn take_over(&mut self, now: Moment, actions: &mut Actions) -> Option<GenerationNumber> {
        let duty = if self.with_duty(Duty::Successor).is_some() { Duty::Successor } else { Duty::Standby };
        let wait_ready = self.config.wait_ready;
        let generation = self.with_duty(duty)?;
        generation.duty = Duty::Active;
        if duty == Duty::Standby {
            let waits = !generation.is_ready(wait_ready);
            generation.ready_by = wait_ready.filter(|_| waits).map(|limit| now + limit);
            actions.push_back(Action::Promote { pid: generation.pid });
        }
        let number = generation.number;
        self.standby.promoted(now);
        self.held.generation_began(now);
        self.plan_goes_on_with(number);
        Some(number)
    }

    /// One that was asked to stop, for the next one, has done so.
    fn retired(&mut self, now: Moment, phase: Phase, run: Run, actions: &mut Actions) {
        self.remember(now, run);
        actions.push_back(Action::Report(Report::Retired { run }));
        if phase == Phase::Supervising(Next::Undecided) && self.active().is_none() {
            self.tally.count(run.exit, run.reason);
            self.phase = Phase::Supervising(Next::Spawn { due: now });
        }
    }
}

/// Whether a command that was asked to stop was a launcher in front of the app, which dies of the stop and leaves the app behind.
fn launched(now: Moment, phase: Phase, duty: Duty, stop: StopSent, exit: Exit) -> Option<Launched> {
    let StopSent { at, signal, group_has_it } = stop;
    let died_of_it = exit.code() == Exit::Signal { signal, core_dumped: false }.code();
    let until = match (phase, duty) {
        (_, Duty::Retiring { kill_at: Some(kill_at), .. }) => kill_at,
        (Phase::Stopping { kill_at, .. }, Duty::Active | Duty::Retiring { .. }) => kill_at.unwrap_or(now + LAUNCHED_GRACE),
        _ => return None,
    };
    let admit_until = at + LAUNCHER_DIES_WITHIN;
    (died_of_it && now <= admit_until).then_some(Launched { signal, group_has_it, admit_until, until })
}
