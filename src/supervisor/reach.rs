//! Commands that restartinit may not signal: they have changed their user, and it lacks CAP_KILL. Nothing is reported of them that is not so;
//! where one is due to be killed, PID 1 ends, and the kernel ends the rest. Pure.

use std::time::Duration;

use nix::unistd::Pid;

use super::Supervisor;
use super::event::{Action, Actions, Next, Phase};
use super::exit::{Exit, Outcome, Reason};
use super::generation::{self, Duty, Generation};
use super::policy;
use super::report::{Cause, Ending, Report};
use crate::generation_number::GenerationNumber;
use crate::time::Moment;

impl Supervisor {
    /// After so long it is tried again to end one that is not needed: a command may change its user back.
    const KILL_AGAIN_AFTER: Duration = Duration::from_secs(5);

    /// A generation may not be signalled; told once.
    fn out_of_reach(&mut self, pid: Pid, actions: &mut Actions) -> Option<GenerationNumber> {
        let generation = generation::with_pid(&mut self.generations, pid)?;
        let number = generation.number;
        if !std::mem::replace(&mut generation.out_of_reach, true) {
            actions.push_back(Action::Report(Report::OutOfReach { generation: number, pid }));
        }
        Some(number)
    }

    /// A signal could not be sent; it is tried again, since a command may change its user back.
    pub(super) fn signal_refused(&mut self, now: Moment, pid: Pid, actions: &mut Actions) {
        let Some(number) = self.out_of_reach(pid, actions) else { return };
        let serves_alone = self.active().is_none() && self.phase == Phase::Supervising(Next::Undecided);
        let Some(generation) = generation::with_number(&mut self.generations, number) else { return };
        if generation.is_retiring() && serves_alone {
            // It was to make room and cannot be asked to: it goes on.
            generation.duty = Duty::Active;
            generation.stop = None;
            self.plan_failed(&cannot_be_signalled(number, pid), actions);
            self.advance_planned_restart(now, actions);
        }
    }

    /// SIGKILL was sent to a generation, or may not be.
    pub(super) fn kill_sent(&mut self, now: Moment, pid: Pid, allowed: bool, actions: &mut Actions) {
        let Some(generation) = self.running().find(|generation| generation.pid == pid) else { return };
        let Generation { number, duty, kill_reason, out_of_reach: was_known, .. } = *generation;
        let stopping = matches!(self.phase, Phase::Stopping { .. });
        if allowed {
            let grace = if stopping { self.config.grace_period } else { self.planned_grace() };
            if kill_reason.is_none() && matches!(duty, Duty::Active | Duty::Retiring { .. }) {
                actions.push_back(Action::Report(Report::GraceExpired { generation: number, pid, grace }));
            }
            return;
        }
        self.out_of_reach(pid, actions);
        let is_due = duty == Duty::Active || (stopping && matches!(duty, Duty::Retiring { .. }));
        if is_due && self.is_init {
            return self.end_without_it(number, pid, kill_reason, actions);
        }
        if !was_known || duty == Duty::Active {
            actions.push_back(Action::Report(Report::CannotKill { generation: number, pid, reason: kill_reason }));
        }
        let again_at = Some(now + Self::KILL_AGAIN_AFTER);
        let Some(generation) = generation::with_number(&mut self.generations, number) else { return };
        match &mut generation.duty {
            Duty::Active => {}
            Duty::Retiring { kill_at, .. } => *kill_at = again_at,
            Duty::Successor | Duty::Standby | Duty::Dismissed { .. } => generation.duty = Duty::Dismissed { kill_at: again_at },
        }
        if duty == Duty::Successor {
            self.plan_failed(&cannot_be_signalled(number, pid), actions);
        }
    }

    /// The one means that PID 1 has.
    fn end_without_it(&mut self, generation: GenerationNumber, pid: Pid, reason: Option<Reason>, actions: &mut Actions) {
        let code = match self.phase {
            Phase::Stopping { signal, .. } => {
                policy::exit_code(&self.config, Outcome::Stopped, Exit::Signal { signal, core_dumped: false }, None)
            }
            Phase::Supervising(_) | Phase::Draining { .. } | Phase::Ended => 1,
        };
        let ending = Ending { outcome: Outcome::CannotSignal, code, cause: Cause::OutOfReach { generation, pid, reason } };
        self.end(ending, false, actions);
    }

    /// Whether a generation that is not needed, and that cannot be ended, may be left behind.
    pub(super) fn is_left_behind(generation: &Generation) -> bool {
        generation.is_running() && generation.out_of_reach && matches!(generation.duty, Duty::Dismissed { .. })
    }

    /// Why an active generation that runs is not well, though nothing ends it.
    pub(super) fn why_doomed(active: &Generation) -> Option<String> {
        let reason = active.kill_reason?;
        Some(format!(
            "{} is due to be killed ({}), and restartinit may not signal it: CAP_KILL is missing",
            named(active.number, active.pid),
            reason.text()
        ))
    }
}

/// Why a planned restart is not begun.
pub(super) fn cannot_be_signalled(generation: GenerationNumber, pid: Pid) -> String {
    format!("{} may not be signalled: it runs as another user, and restartinit lacks CAP_KILL", named(generation, pid))
}

fn named(generation: GenerationNumber, pid: Pid) -> String {
    format!("generation {generation} (pid {pid})")
}
