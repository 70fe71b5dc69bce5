//! Whom signals are for, and as what they arrive there. Pure.

use nix::unistd::Pid;

use super::Supervisor;
use super::event::{Action, Actions, IfRefused, Phase, Recipient};
use super::generation::{Duty, Generation};
use crate::signal::Signal;

impl Supervisor {
    /// What to forward. A signal that the terminal sent has reached the command as it is: there is nothing left to rewrite.
    pub(super) fn rewrite(&self, signal: Signal, command_has_it: bool) -> Option<Signal> {
        if command_has_it { Some(signal) } else { self.config.rewrite.apply(signal) }
    }

    /// Who signals are for: the generation that serves, or where none does, those that are on their way out.
    pub(super) fn addressees(&self) -> impl Iterator<Item = &Generation> {
        let serving = self.active().is_some();
        let stopping = matches!(self.phase, Phase::Stopping { .. });
        self.running().filter(move |generation| match generation.duty {
            Duty::Active => true,
            Duty::Retiring { .. } => stopping || !serving,
            Duty::Successor => stopping,
            Duty::Standby | Duty::Dismissed { .. } => false,
        })
    }

    pub(super) fn forward(&self, signal: Signal, actions: &mut Actions) {
        actions.extend(self.addressees().map(|generation| self.forward_to(generation.pid, signal)));
    }

    pub(super) fn forward_to(&self, pid: Pid, signal: Signal) -> Action {
        let recipient = if self.config.group { Recipient::ItsGroup } else { Recipient::Command };
        let if_refused = if matches!(self.phase, Phase::Stopping { .. }) { IfRefused::TryAgain } else { IfRefused::GiveUp };
        Action::Forward { pid, signal, recipient, if_refused }
    }
}
