//! `NOTIFY_SOCKET`: tells systemd or podman how the command is, as sd_notify(3) does. It never waits; what could not be said is said later,
//! unless nobody is there to hear it.

use std::ffi::OsStr;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, UnixAddr, sendto, socket};

use crate::config::Config;
use crate::generation_number::GenerationNumber;
use crate::supervisor::view::{State, View};
use crate::time::Moment;

/// Where to tell it.
pub(super) const SOCKET: &str = "NOTIFY_SOCKET";
/// How often a sign of life is expected, in microseconds; and of whom, if not of anybody.
pub(super) const WATCHDOG: &str = "WATCHDOG_USEC";
pub(super) const WATCHDOG_PID: &str = "WATCHDOG_PID";
/// Between two attempts where the other side is busy.
const RETRY: Duration = Duration::from_millis(100);

/// See the module. Without the variable it costs nothing.
#[derive(Debug, Default)]
pub(super) struct Notifier {
    socket: Option<(OwnedFd, UnixAddr)>,
    /// It speaks for the command; else the command does that itself, and only a word on how it goes is added.
    speaks_for_it: bool,
    /// Signs of life are expected of it, if of anybody: podman does not pass on how often.
    gives_signs: bool,
    told: Told,
    retry_at: Option<Moment>,
}

/// What a change of which is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Told {
    state: Option<State>,
    generation: Option<GenerationNumber>,
    is_ready: bool,
    restarts_used: u32,
    /// READY=1 and STOPPING=1, each said once.
    said_ready: bool,
    said_stopping: bool,
}

/// Whether restartinit answers for the command: it knows whether that is alive.
pub(super) fn speaks_for_the_command(config: &Config) -> bool {
    config.watchdog.is_some() || config.check.is_some()
}

impl Notifier {
    pub(super) fn open(variables: impl Iterator<Item = (&'static OsStr, &'static OsStr)>, config: &Config, own_pid: u32) -> Notifier {
        let mut notifier = Notifier { speaks_for_it: speaks_for_the_command(config), ..Notifier::default() };
        notifier.gives_signs = notifier.speaks_for_it;
        for (name, value) in variables {
            match name.to_str() {
                Some(SOCKET) => match address(value).and_then(|address| Some((datagram_socket().ok()?, address))) {
                    Some(socket) => notifier.socket = Some(socket),
                    None => log::warn!("{SOCKET}={} cannot be used: it is no path and no @NAME of an abstract socket", value.display()),
                },
                Some(WATCHDOG_PID) => notifier.gives_signs &= value.to_str() == Some(&own_pid.to_string()),
                _ => {}
            }
        }
        notifier
    }

    pub(super) fn is_wanted(&self) -> bool {
        self.socket.is_some()
    }

    pub(super) fn deadline(&self) -> Option<Moment> {
        self.retry_at
    }

    /// Tells what has changed.
    pub(super) fn turn(&mut self, view: &View, now: Moment) {
        if self.retry_at.is_some_and(|at| at > now) {
            return;
        }
        self.retry_at = None;
        let (next, message) = change(self.told, view, self.speaks_for_it);
        if let Some(message) = message {
            match self.say(&message) {
                Err(Errno::EAGAIN | Errno::ENOBUFS | Errno::ENOMEM) => self.retry_at = Some(now + RETRY),
                // Nobody hears it, now and perhaps ever.
                Ok(()) | Err(_) => self.told = next,
            }
        }
    }

    /// The command has just shown that it is alive.
    pub(super) fn sign_of_life(&self) {
        if self.gives_signs {
            // One that is lost is followed by the next.
            let _ = self.say("WATCHDOG=1");
        }
    }

    fn say(&self, message: &str) -> Result<(), Errno> {
        let Some((socket, address)) = &self.socket else { return Ok(()) };
        sendto(socket.as_raw_fd(), message.as_bytes(), address, MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL).map(drop)
    }
}

fn datagram_socket() -> Result<OwnedFd, Errno> {
    socket(AddressFamily::Unix, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)
}

/// `/run/notify`, `@name`.
fn address(value: &OsStr) -> Option<UnixAddr> {
    match value.as_bytes() {
        [b'@', name @ ..] => UnixAddr::new_abstract(name).ok(),
        [b'/', ..] => UnixAddr::new(value).ok(),
        _ => None,
    }
}

/// What is known by whoever is told, after `told` and the message that makes it so.
fn change(told: Told, view: &View, speaks_for_it: bool) -> (Told, Option<String>) {
    let mut next = Told {
        state: Some(view.state),
        generation: view.active().map(|active| active.number),
        is_ready: view.ready,
        restarts_used: view.restarts_used,
        ..told
    };
    let mut words = Vec::new();
    if speaks_for_it && view.ready && !std::mem::replace(&mut next.said_ready, true) {
        words.push("READY=1".to_owned());
    }
    let stops = matches!(view.state, State::Draining | State::Stopping);
    if speaks_for_it && stops && !std::mem::replace(&mut next.said_stopping, true) {
        words.push("STOPPING=1".to_owned());
    }
    if next != told {
        let what = match (view.why_not_ready(), view.active()) {
            (Some(why), _) => format!("not ready: {why}"),
            (None, Some(active)) => format!("ready: generation {} (pid {})", active.number, active.pid),
            (None, None) => "ready".to_owned(),
        };
        words.push(format!("STATUS={what}; {} of {} restarts used", view.restarts_used, view.restarts_allowed));
    }
    (next, (!words.is_empty()).then(|| words.join("\n")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::snapshot::Snapshot;

    fn view() -> View {
        Snapshot::example().view
    }

    #[test]
    fn ready_and_stopping_are_said_once() {
        let mut view = view();
        (view.ready, view.not_ready) = (false, Some("generation 3 boots since 2 ms, nothing listens yet".to_owned()));
        let (told, message) = change(Told::default(), &view, true);
        let boots = "STATUS=not ready: generation 3 boots since 2 ms, nothing listens yet; 1 of 5 restarts used";
        assert_eq!(message.as_deref(), Some(boots));
        view.not_ready = Some("generation 3 boots since 4 ms, nothing listens yet".to_owned());
        assert_eq!(change(told, &view, true), (told, None), "time alone is no news");
        (view.ready, view.not_ready) = (true, None);
        let (told, message) = change(told, &view, true);
        assert_eq!(message.as_deref(), Some("READY=1\nSTATUS=ready: generation 3 (pid 31); 1 of 5 restarts used"));
        view.restarts_used = 2;
        let (told, message) = change(told, &view, true);
        assert_eq!(message.as_deref(), Some("STATUS=ready: generation 3 (pid 31); 2 of 5 restarts used"));
        (view.ready, view.not_ready, view.state) = (false, Some("stopping".to_owned()), State::Stopping);
        let (told, message) = change(told, &view, true);
        assert_eq!(message.as_deref(), Some("STOPPING=1\nSTATUS=not ready: stopping; 2 of 5 restarts used"));
        assert_eq!(change(told, &view, true).1, None);
    }

    #[test]
    fn a_command_that_speaks_for_itself_is_not_spoken_for() {
        let mut view = view();
        let (_, message) = change(Told::default(), &view, false);
        assert_eq!(message.as_deref(), Some("STATUS=ready: generation 3 (pid 31); 1 of 5 restarts used"));
        (view.ready, view.state) = (false, State::Stopping);
        assert!(change(Told::default(), &view, false).1.is_some_and(|message| message.starts_with("STATUS=") && !message.contains('\n')));
    }

    #[test]
    fn addresses() {
        let ok = |text: &str| address(OsStr::new(text)).is_some();
        assert!(ok("/run/notify") && ok("@a/b") && !ok("vsock:2:1234") && !ok("") && !ok("relative"));
        assert!(!ok(&format!("/{}", "x".repeat(200))));
    }
}
