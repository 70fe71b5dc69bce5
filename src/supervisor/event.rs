//! The supervisor's language: events in, actions out, and the phases in between. Pure data.

use std::collections::VecDeque;
use std::time::Duration;

use nix::unistd::Pid;

use super::exit::{Exit, Reason};
use super::fault::Fault;
use super::hang::Hang;
use super::report::{Ending, Report};
use super::spawn_failure::SpawnFailure;
pub use super::stop_request::AppRequest;
use super::sweep::{Found, Order};
use crate::generation_number::GenerationNumber;
use crate::inspector::stack::Frame;
use crate::procfs::listeners::{ListenAddress, Listener, Listeners};
use crate::procfs::node_loop::Left;
use crate::signal::{Signal, SignalSet};
use crate::time::Moment;

/// Something that happened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// A signal arrived here. `command_has_it`: the terminal sent it to the command as well.
    Signal { signal: Signal, command_has_it: bool },
    /// The spawn that was asked for was made.
    Spawned { pid: Pid },
    /// It could not be made.
    SpawnFailed(SpawnFailure),
    /// A child that may be a command's was reaped; with the reason of its end, where that is known from outside.
    Exited { pid: Pid, exit: Exit, reason: Option<Reason> },
    /// A child was stopped by a signal.
    ChildStopped { pid: Pid, signal: Signal },
    /// All exits up to now have been told. `children`: somebody's child is still ours.
    Reaped { children: bool },
    /// The answer to [`Action::EndLeftovers`]; `None`: it cannot be told now.
    Leftovers { generation: GenerationNumber, found: Option<Found> },
    /// A command was heard of on its Node channel.
    Channel { pid: Pid, event: ChannelEvent },
    /// Held sockets were closed, as the app that had them did not want them any more.
    SocketsReleased(Vec<ListenAddress>),
    /// Somebody asks whether the command is ready: what is told next must be so now.
    ReadinessAsked,
    /// The answer to [`Action::LookForListeners`]; `None`: it cannot be told now.
    ListenersSeen { pid: Pid, seen: Option<Listeners> },
    /// The answer to [`Action::LookForWork`]; `None`: it cannot be told.
    WorkSeen { pid: Pid, left: Option<Left> },
    /// The answer to [`Action::LookForRequests`].
    RequestsSeen { pid: Pid, open: usize },
    /// Something has happened to the files whose changes matter, or near them.
    FilesStirred,
    /// The answer to [`Action::LookAtFiles`], when it is there: a number for what is in each; `None`: that cannot be told now.
    FilesSeen(Option<Vec<u64>>),
    /// The answer to [`Action::Check`], when it is there: how long it took, or why it is none.
    Checked { pid: Pid, answer: Result<Duration, Fault> },
    /// The answer to [`Action::AskForStack`], innermost first; empty: it is not known.
    StackTold { pid: Pid, stack: Vec<Frame> },
    /// Somebody asked for a planned restart.
    RestartAsked,
    /// Likewise, without an overlap if it cannot be had.
    RestartForced,
    /// The answer to [`Action::LookAtMemory`], in bytes; `None`: it cannot be told, or there is no limit.
    Memory { used: Option<u64>, limit: Option<u64> },
    /// The answer to [`Action::Forward`] where the kernel says that we may not signal the command.
    SignalRefused { pid: Pid },
    /// The answer to [`Action::Kill`].
    KillSent { pid: Pid, allowed: bool },
    /// The answer to [`Action::Probe`].
    Probed { pid: Pid, allowed: bool },
    /// The answer to [`Action::LookAtSignals`]: those that do not end the command; `None`: it cannot be told.
    SignalsSeen { pid: Pid, survived: Option<SignalSet> },
    /// Time has passed. `signals_pending`: some have arrived that were not told yet.
    Tick { signals_pending: bool },
}

/// What a command's Node channel tells of it.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum ChannelEvent {
    /// It runs Node, and its event loop has turned.
    Answered,
    /// The app said that it is ready.
    Ready,
    /// It took that back.
    Unready,
    /// It asks for a port that it is not given yet.
    AtListen,
    /// It listens on a port that is held; on all of these by now, where they take connections.
    Listening(Vec<Listener>),
    /// It has closed the last port that is held for it.
    Closed,
    /// It lets go of the channel by itself: nobody has to tell it to.
    Disconnecting,
    /// The process that spoke has ended, and another one speaks.
    AnotherSpeaks,
    /// The process that speaks is a launcher, and not the app.
    LauncherSpeaks,
    /// It has answered what it was asked just before a request to stop: it has read that too, by all that shows.
    RequestAnswered,
    /// Its event loop has not turned for as long as the watchdog allows, but not for want of time of its own.
    Late(Hang),
    /// Its event loop has not turned for as long as the watchdog allows.
    Blocked(Hang),
    /// It should have answered long ago: it is not Node, perhaps.
    Silent,
    /// The channel is closed.
    Gone,
    /// What was to be said on it could not be.
    NotSent,
}

/// Something to be done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Action {
    /// Spawn the command; answered by [`Event::Spawned`] or [`Event::SpawnFailed`].
    Spawn {
        generation: GenerationNumber,
        role: StartRole,
        last_exit: Option<Exit>,
    },
    /// Send a signal to a command; answered by [`Event::SignalRefused`] where that is so.
    Forward {
        pid: Pid,
        signal: Signal,
        recipient: Recipient,
        if_refused: IfRefused,
    },
    /// A generation was asked to go, and another may follow: keep the sockets that it closes from now on.
    KeepSockets {
        generation: GenerationNumber,
    },
    /// Close the held sockets that no generation uses: nobody will accept there any more.
    ReleaseSockets,
    /// Close the held sockets that this generation does not use: it has had the time to ask for them.
    ReleaseMissing {
        generation: GenerationNumber,
    },
    /// See where a generation listens; answered by [`Event::ListenersSeen`].
    LookForListeners {
        generation: GenerationNumber,
        pid: Pid,
    },
    /// See how many requests a command has open, which may die of the signal that follows; answered by [`Event::RequestsSeen`].
    LookForRequests {
        pid: Pid,
    },
    /// Send a signal to what a launcher started, which has ended itself.
    ForwardToLaunched {
        generation: GenerationNumber,
        signal: Signal,
    },
    /// SIGKILL for a command; answered by [`Event::KillSent`].
    Kill {
        pid: Pid,
    },
    /// See whether a command may be signalled; answered by [`Event::Probed`].
    Probe {
        pid: Pid,
    },
    /// See which signals a command is prepared for; answered by [`Event::SignalsSeen`].
    LookAtSignals {
        pid: Pid,
    },
    /// Note who descends from a command that is asked to stop: when it has died of that, nothing else tells whom it started.
    NoteFamily {
        generation: GenerationNumber,
        pid: Pid,
    },
    /// Send a message on a command's Node channel; [`ChannelEvent::NotSent`] answers if it cannot be sent.
    Request {
        pid: Pid,
        request: AppRequest,
    },
    /// See how much a Node app has left to do; answered by [`Event::WorkSeen`].
    LookForWork {
        pid: Pid,
    },
    /// Have the JavaScript stack of a command looked up, without waiting for it; answered by [`Event::StackTold`], if at all.
    AskForStack {
        generation: GenerationNumber,
        pid: Pid,
    },
    /// Look at the files whose changes matter, without waiting for it; answered by [`Event::FilesSeen`].
    LookAtFiles,
    /// Ask the app whether it is well, without waiting for it; answered by [`Event::Checked`], unless the command ends before that.
    Check {
        pid: Pid,
    },
    /// From now on the command's event loop has to turn: it is ready.
    Watch {
        pid: Pid,
    },
    /// Give a standby the ports that it asks for.
    Promote {
        pid: Pid,
    },
    /// SIGKILL for all descendants.
    KillAll,
    /// Do this to the descendants that outlive a generation, and count them; those of `running` are none. Answered by
    /// [`Event::Leftovers`].
    EndLeftovers {
        generation: GenerationNumber,
        order: Order,
        running: Vec<Running>,
    },
    /// See how much memory is used; answered by [`Event::Memory`].
    LookAtMemory {
        pid: Pid,
    },
    /// Stop, as a job that was stopped at a terminal: the shell above is waiting for that.
    Suspend,
    /// Tell whoever asked for a planned restart how it went.
    RestartDone(Result<String, String>),
    Report(Report),
    /// End restartinit.
    Finish(Ending),
}

/// Who gets a signal.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Recipient {
    Command,
    /// The command's whole process group.
    ItsGroup,
}

/// What becomes of a signal that we may not send.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum IfRefused {
    GiveUp,
    /// It is tried again: a command may change its user back.
    TryAgain,
}

/// A generation whose command runs.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Running {
    pub generation: GenerationNumber,
    pub pid: Pid,
}

/// What a generation is started as.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum StartRole {
    Active,
    /// Booted, and waiting to be needed.
    Standby,
}

impl StartRole {
    /// The value of `RESTARTINIT_ROLE`.
    pub fn name(self) -> &'static str {
        match self {
            StartRole::Active => "active",
            StartRole::Standby => "standby",
        }
    }
}

pub type Actions = VecDeque<Action>;

/// What restartinit is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Phase {
    /// The command is kept running.
    Supervising(Next),
    /// A stop was asked for; its signal is held back until `forward_at`.
    Draining { signal: Signal, forward_at: Moment },
    /// The stop was forwarded. Nothing is spawned any more.
    Stopping { signal: Signal, kill_at: Option<Moment> },
    /// All is said and done.
    Ended,
}

/// What comes once no generation is active.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Next {
    /// Nothing yet: a generation runs.
    Undecided,
    Spawn {
        due: Moment,
    },
    HandOver(Ending),
}
