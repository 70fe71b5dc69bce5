//! The channels of apps that outlive their generation's command: a shell in front of the app dies of the stop, and the app finishes what it has
//! begun. A worker of Node's cluster ends at once when its channel is closed, so ours stays open until the app has nothing left to do.

use std::os::fd::{OwnedFd, RawFd};
use std::time::Duration;

use nix::unistd::Pid;

use crate::procfs::node_loop::Left;
use crate::sys::channel::{self, Received};
use crate::sys::processes;
use crate::time::Moment;

/// Between two looks at an app.
const PAUSE: Duration = Duration::from_millis(100);
/// What an app writes is read and dropped, so much in one look: one that is not read does not end.
const CHUNK: usize = 16 * 1024;
const CHUNKS_A_LOOK: usize = 16;
/// More are not kept: a command with as many is none.
const MOST: usize = 4;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Lingering {
    channels: Vec<Outliving>,
    /// When they are looked at next.
    look_at: Moment,
}

/// The channel of an app whose command has ended.
#[derive(Debug)]
pub(super) struct Outliving {
    pub app: Pid,
    /// The number of the app's end there.
    pub number: RawFd,
    pub end: OwnedFd,
}

impl Lingering {
    /// Keeps a channel open.
    pub(super) fn keep(&mut self, now: Moment, outliving: Outliving) {
        self.channels.truncate(MOST - 1);
        self.channels.push(outliving);
        self.look_at = now + PAUSE;
    }

    /// When [`Lingering::tick`] is due.
    pub(super) fn deadline(&self) -> Option<Moment> {
        (!self.channels.is_empty()).then_some(self.look_at)
    }

    /// Closes those that nobody needs any more, if that is due.
    pub(super) fn tick(&mut self, now: Moment) {
        if self.deadline().is_some_and(|due| due <= now) {
            self.channels.retain(|outliving| outliving.is_needed());
            self.look_at = now + PAUSE;
        }
    }
}

impl Outliving {
    fn is_needed(&self) -> bool {
        let mut buffer = [0; CHUNK];
        for _ in 0..CHUNKS_A_LOOK {
            match channel::receive(&self.end, &mut buffer).0 {
                Received::Bytes(_) => {}
                Received::Nothing => break,
                Received::Closed => return false,
            }
        }
        // What cannot be told is left to the app and to whoever ends leftovers.
        processes::lives(self.app) && !matches!(processes::left_to_do(self.app, self.number), Ok(Left::Nothing | Left::LongTimer))
    }
}
