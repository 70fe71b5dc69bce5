//! One generation's Node channel: our end of it, and what `node` makes of its bytes. It moves nothing.

use std::os::fd::OwnedFd;
use std::time::Duration;

use crate::node::channel::{Channel, Options};
use crate::node::permission::Speaker;
use crate::time::Moment;

/// A command that has not answered for so long is mentioned in the log.
const SILENCE: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub struct Link {
    pub generation: u32,
    /// 0 until the command is spawned.
    pub pid: i32,
    /// `None`: closed.
    pub end: Option<OwnedFd>,
    pub channel: Channel,
    /// Who has written to it.
    pub speaker: Speaker,
    /// The app reads nothing now.
    pub is_full: bool,
    pub answered: bool,
    /// A request to stop that may not have gone out yet.
    pub stop_requested: bool,
    pub silent_at: Option<Moment>,
    pub settled_at: Option<Moment>,
    /// The kernel was short of memory: what waits is sent then.
    pub retry_at: Option<Moment>,
}

impl Link {
    pub fn new(now: Moment, generation: u32, end: OwnedFd, options: Options) -> Link {
        Link {
            generation,
            pid: 0,
            end: Some(end),
            channel: Channel::new(now, options),
            speaker: Speaker::default(),
            is_full: false,
            answered: false,
            stop_requested: false,
            silent_at: Some(now.saturating_add(SILENCE)),
            settled_at: None,
            retry_at: None,
        }
    }

    /// Messages that came to nothing.
    pub fn dropped(&self) -> u64 {
        let dropped = self.channel.dropped();
        dropped.app.saturating_add(dropped.malformed).saturating_add(dropped.too_long).saturating_add(dropped.unsent)
    }
}
