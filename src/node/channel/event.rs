//! What an app did, as its channel tells it. Pure data.

use std::time::Duration;

use crate::node::library::Library;
use crate::node::message::{Listening, Query};

/// What the app did.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum NodeEvent {
    /// It says that it is ready; told once, until it takes that back.
    Ready,
    /// It takes that back.
    Unready,
    /// Its loop has turned; with how late it was, where that can be told.
    Answered {
        lag: Option<Duration>,
    },
    /// It wants a socket; to be answered by [`super::Channel::answer`].
    Query(Query),
    /// The standby has come to its first `listen()` and waits there; told once.
    Waiting,
    Listening(Listening),
    /// It has closed a socket.
    Closed {
        key: String,
    },
    /// It disconnects of its own accord.
    Disconnecting,
    /// A library of it waits for an answer of its primary; told once.
    ForPrimary(Library),
    /// A line was no JSON; told once, then counted.
    MalformedFirst,
    /// A line was longer than is kept; told once, then counted.
    TooLongFirst,
}
