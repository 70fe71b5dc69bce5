//! A generation whose event loop does not turn is killed, once it is known where the loop was, or cannot be known. Pure.

use std::sync::Arc;
use std::time::Duration;

use nix::unistd::Pid;

use super::Supervisor;
use super::event::{Action, Actions};
use super::exit::Reason;
use super::generation::{self, Generation};
use super::hang::Hang;
use crate::inspector::stack::Frame;
use crate::time::Moment;

impl Supervisor {
    /// How long a kill waits for the stack.
    pub const STACK_WITHIN: Duration = Duration::from_secs(2);

    pub(super) fn loop_blocked(&mut self, now: Moment, pid: Pid, hang: Hang, actions: &mut Actions) {
        let limit = self.config.watchdog.unwrap_or_default();
        let Some(generation) = generation::with_pid(&mut self.generations, pid) else { return };
        generation.kill_reason = Some(Reason::EventLoopBlocked { limit });
        generation.hang = Some(Arc::new(hang));
        if self.config.watchdog_stack {
            generation.stack_by = Some(now + Self::STACK_WITHIN);
            actions.push_back(Action::AskForStack { generation: generation.number, pid });
        } else {
            actions.push_back(Action::Kill { pid });
        }
    }

    pub(super) fn stack_told(&mut self, pid: Pid, stack: Vec<Frame>, actions: &mut Actions) {
        let Some(generation) = generation::with_pid(&mut self.generations, pid) else { return };
        if generation.stack_by.take().is_some() {
            if let Some(hang) = generation.hang.as_mut().map(Arc::make_mut) {
                hang.stack = stack;
            }
            actions.push_back(Action::Kill { pid });
        }
    }

    pub(super) fn kills_without_stack_due(&self) -> Option<Moment> {
        self.running().filter_map(|generation| generation.stack_by).min()
    }

    /// Those are killed whose stack nobody has told in time.
    pub(super) fn tick_blocked(&mut self, now: Moment, actions: &mut Actions) {
        let is_due = |generation: &&mut Generation| generation.is_running() && generation.stack_by.is_some_and(|at| at <= now);
        for generation in self.generations.iter_mut().filter(is_due) {
            generation.stack_by = None;
            actions.push_back(Action::Kill { pid: generation.pid });
        }
    }
}

#[cfg(test)]
mod tests;
