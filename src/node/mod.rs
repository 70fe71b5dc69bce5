//! Node's side: what an unmodified app says over its IPC channel, and what to answer. The protocol is Node's own and internal
//! (`lib/internal/child_process.js`, `lib/internal/cluster`); it is the same from 18 to 26. Knows no socket: a held socket is a number
//! here, and bytes come in and go out.

pub mod channel;
pub mod entry;
pub mod framing;
pub mod json;
pub mod launcher;
pub mod library;
pub mod message;
pub mod outbox;
pub mod outgoing;
pub mod permission;
pub mod ports;
pub mod script;
pub mod spec;
pub mod watchdog;

/// Names the descriptor of the channel, to Node.
pub const CHANNEL_FD: &str = "NODE_CHANNEL_FD";
/// Makes Node a worker of its cluster: its `listen()` asks us.
pub const UNIQUE_ID: &str = "NODE_UNIQUE_ID";
/// How the channel is encoded; unset, it is JSON.
pub const SERIALIZATION_MODE: &str = "NODE_CHANNEL_SERIALIZATION_MODE";

/// A held socket, by its number in [`ports::Ports`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SocketId(pub u32);

/// An error of the kernel, as in `errno(3)`.
pub use nix::errno::Errno;
