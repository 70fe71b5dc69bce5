//! `--restart-on-change`: hears of changes, and has files read by a worker, as a file system may hang. Whether that matters is the supervisor's.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd, RawFd};
use std::path::PathBuf;

use nix::poll::{PollFd, PollFlags, poll};
use nix::sys::inotify::{InitFlags, Inotify, InotifyEvent};
use nix::unistd::Pid;

use crate::supervisor::event::Event;
use crate::sys::file_tree::{self, MOST_WATCHES, Seen};
use crate::sys::worker;

/// How long the first spawn waits for the first look, in milliseconds.
const FIRST_LOOK: u16 = 1000;

/// See the module. Without the option it costs nothing.
#[derive(Debug, Default)]
pub(super) struct ChangeFinder {
    paths: Vec<PathBuf>,
    inotify: Option<Inotify>,
    /// Those whose events all count.
    watches: Vec<i32>,
    look: Option<Look>,
}

#[derive(Debug)]
struct Look {
    by: Pid,
    answer: OwnedFd,
    /// What was watched before may not be what is there now.
    inotify: Inotify,
}

impl ChangeFinder {
    pub(super) fn new(paths: &[PathBuf]) -> ChangeFinder {
        ChangeFinder { paths: paths.to_vec(), ..ChangeFinder::default() }
    }

    pub(super) fn is_wanted(&self) -> bool {
        !self.paths.is_empty()
    }

    /// Begins to look; gives back who does.
    ///
    /// # Errors
    /// There are too many watchers, or processes.
    pub(super) fn begin(&mut self, is_init: bool) -> io::Result<Pid> {
        let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)?;
        let paths = &self.paths;
        let (by, answer) = worker::start(&inotify, !is_init, |mut answer: File, inotify| {
            let Seen { digests, watches } = file_tree::look(paths, &inotify);
            // Whoever waits for it takes none for none.
            let _ = digests.iter().try_for_each(|digest| answer.write_all(&digest.to_ne_bytes()));
            let _ = watches.iter().try_for_each(|watch| answer.write_all(&watch.to_ne_bytes()));
        })?;
        self.look = Some(Look { by, answer, inotify });
        Ok(by)
    }

    /// Waits until the look is over that was begun, but not for long: a file system that hangs must not keep the command from running.
    pub(super) fn finish(&self) {
        if let Some(look) = &self.look {
            let mut answer = [PollFd::new(look.answer.as_fd(), PollFlags::POLLIN)];
            // What it has written may be there before it has ended; a signal ends the wait, which does no harm.
            let _ = poll(&mut answer, FIRST_LOOK);
        }
    }

    /// A child was reaped: if it is the one that looked, what it saw.
    pub(super) fn ended(&mut self, pid: Pid) -> Option<Event> {
        let look = self.look.take_if(|look| look.by == pid)?;
        let mut bytes = Vec::new();
        // It has ended: all that it wrote is there.
        let _ = File::from(look.answer).take((self.paths.len() * 8 + MOST_WATCHES * 4) as u64).read_to_end(&mut bytes);
        let (digests, watches) = bytes.split_at_checked(self.paths.len() * 8).unwrap_or_default();
        let digests: Vec<u64> = digests.as_chunks().0.iter().map(|bytes| u64::from_ne_bytes(*bytes)).collect();
        if digests.is_empty() {
            return Some(Event::FilesSeen(None));
        }
        self.watches = watches.as_chunks().0.iter().map(|bytes| i32::from_ne_bytes(*bytes)).collect();
        self.inotify = Some(look.inotify);
        log::debug!("--restart-on-change: files looked at");
        Some(Event::FilesSeen(Some(digests)))
    }

    pub(super) fn interest(&self) -> Option<(BorrowedFd<'_>, PollFlags)> {
        self.inotify.as_ref().map(|inotify| (inotify.as_fd(), PollFlags::POLLIN))
    }

    /// One turn: whether anything has changed that may matter.
    pub(super) fn turn(&mut self, ready: &dyn Fn(RawFd) -> PollFlags) -> Option<Event> {
        let inotify = self.inotify.as_ref().filter(|inotify| !ready(inotify.as_fd().as_raw_fd()).is_empty())?;
        // As many as one call brings: the rest is for the next turn.
        let events = inotify.read_events().ok()?;
        events.iter().any(|event| self.matters(event)).then_some(Event::FilesStirred)
    }

    fn matters(&self, event: &InotifyEvent) -> bool {
        let is_named = |name| self.paths.iter().any(|path| path.iter().any(|part| part == name));
        let all_count = self.watches.len() >= MOST_WATCHES || self.watches.contains(&event.wd.as_raw());
        // Without a name it is about what is watched itself, or about events that were lost.
        all_count || event.name.as_deref().is_none_or(is_named)
    }
}
