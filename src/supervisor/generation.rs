//! One run of the command, from its spawn until the last of its descendants is gone. Several live at once: one serves, while another
//! boots to replace it, waits to be needed, or finishes what it has begun. Pure.

use std::sync::Arc;
use std::time::Duration;

use nix::unistd::Pid;

use super::exit::{Reason, Run};
use super::hang::Hang;
use super::listening::Listening;
use super::rest::Rest;
use super::stop_request::StopRequest;
use super::sweep::Sweep;
use crate::generation_number::GenerationNumber;
use crate::signal::Signal;
use crate::time::Moment;

/// A run of the command.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Generation {
    pub number: GenerationNumber,
    pub pid: Pid,
    pub started: Moment,
    pub duty: Duty,
    pub port: Port,
    pub channel: ChannelState,
    /// A launcher speaks there, and not the app.
    pub has_launcher: bool,
    pub said: Said,
    pub listening: Listening,
    pub readiness: Readiness,
    /// When it is killed unless it is ready by then.
    pub ready_by: Option<Moment>,
    /// Why it is being killed, if it is.
    pub kill_reason: Option<Reason>,
    /// Where its event loop was, if that is why.
    pub hang: Option<Arc<Hang>>,
    /// When it is killed for that, whether or not its stack is known by then.
    pub stack_by: Option<Moment>,
    /// When it is killed, as it was asked to stop for that reason and has not done so.
    pub kill_at: Option<Moment>,
    /// The stop that it was sent last.
    pub stop: Option<StopSent>,
    /// How many requests were open when it was sent the stop signal.
    pub open_requests: usize,
    /// The request to stop that it was sent over its channel.
    pub stop_request: Option<StopRequest>,
    pub rest: Rest,
    /// The kernel has refused to let us signal it.
    pub out_of_reach: bool,
    pub life: Life,
}

/// A stop signal that a command was sent.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct StopSent {
    pub at: Moment,
    pub signal: Signal,
    /// It was sent to the command's whole process group: by the terminal, or by `--group`.
    pub group_has_it: bool,
}

/// What a generation is for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Duty {
    /// It serves, or boots to serve.
    Active,
    /// It boots to replace the active one, which serves until then.
    Successor,
    /// It boots up to its `listen()` and waits there to be needed.
    Standby,
    /// It was replaced, or makes room for the next one: asked to stop at `ask_at` (`None`: it has been), killed at `kill_at`.
    Retiring { reason: Reason, ask_at: Option<Moment>, kill_at: Option<Moment> },
    /// It never served and is not needed any more: SIGTERM was sent, SIGKILL follows at `kill_at`.
    Dismissed { kill_at: Option<Moment> },
}

/// What the app said last of its readiness.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Said {
    #[default]
    Nothing,
    Ready,
    Unready,
}

/// How something became known.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Knowledge {
    /// As it happened.
    Exact,
    /// By a look: it may have been so for some time.
    Seen,
}

/// How far a generation has come to be ready.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Readiness {
    /// When it began, or was promoted.
    pub began: Moment,
    /// Since when it is; `None`: it is not.
    pub since: Option<Moment>,
    /// It has been at some time.
    pub was_ready: bool,
    /// It has been for so long that the restarts before it are forgiven in time.
    pub has_worked: bool,
    /// It listens, or has listened, at each address where it is expected to; or has had its time for that.
    pub is_whole: bool,
    /// When it has had its time; `None`: nothing is expected of it, or that is over.
    pub whole_by: Option<Moment>,
    /// When it is looked at next, while somebody waits; and the pause before that.
    pub look_at: Moment,
    pub pause: Duration,
}

/// How far a generation has come with the ports that are held for it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Port {
    /// It has asked for none.
    None,
    /// It waits for an answer.
    Asked,
    Listening,
    /// It has closed them all.
    Closed,
}

/// What is known of a generation's Node channel.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ChannelState {
    /// There is none, or it is closed.
    None,
    /// Nobody has answered on it.
    Open,
    /// Node is at the other end.
    Answered,
}

/// How far a generation has come.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Life {
    /// The command runs: its pid may be signalled.
    Running,
    /// The command was reaped: its pid is nobody's. Its leftovers may be left.
    Ended { run: Run, sweep: Sweep },
}

/// The generation of that number.
pub fn with_number(generations: &mut [Generation], number: GenerationNumber) -> Option<&mut Generation> {
    generations.iter_mut().find(|generation| generation.number == number)
}

/// The one whose command runs with that pid.
pub fn with_pid(generations: &mut [Generation], pid: Pid) -> Option<&mut Generation> {
    generations.iter_mut().find(|generation| generation.is_running() && generation.pid == pid)
}

impl Generation {
    pub fn is_running(&self) -> bool {
        self.life == Life::Running
    }

    pub fn is_gone(&self) -> bool {
        matches!(self.life, Life::Ended { sweep: Sweep::Done, .. })
    }

    pub fn is_retiring(&self) -> bool {
        matches!(self.duty, Duty::Retiring { .. })
    }

    /// When something is next due in it.
    pub fn deadline(&self) -> Option<Moment> {
        match self.life {
            Life::Ended { sweep, .. } => sweep.deadline(),
            Life::Running => {
                let retiring = match self.duty {
                    Duty::Retiring { ask_at, kill_at, .. } => ask_at.or(kill_at),
                    Duty::Dismissed { kill_at } => kill_at,
                    Duty::Active | Duty::Successor | Duty::Standby => None,
                };
                [self.ready_by, self.readiness.whole_by, retiring, self.kill_at].into_iter().flatten().min()
            }
        }
    }

    /// The sweep of its leftovers, once it has ended.
    pub fn sweep(&mut self) -> Option<&mut Sweep> {
        match &mut self.life {
            Life::Running => None,
            Life::Ended { sweep, .. } => Some(sweep),
        }
    }

    /// Nothing is waited for any more: it is on its way out.
    pub fn need_not_be_ready(&mut self) {
        self.ready_by = None;
        self.readiness.whole_by = None;
        self.kill_at = None;
    }

    /// Whether traffic is welcome.
    pub fn is_ready(&self) -> bool {
        self.readiness.since.is_some()
    }

    /// Whether a successor can take over: it listens at a held port, at each where its predecessor does, and is ready.
    pub fn can_take_over(&self) -> bool {
        self.port == Port::Listening && self.readiness.is_whole && self.is_ready()
    }
}
