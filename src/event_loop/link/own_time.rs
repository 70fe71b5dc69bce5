//! How much of the time that an answer is awaited was the app's own, and what its main thread did in it.

use std::time::Duration;

use nix::unistd::Pid;

use crate::procfs::main_thread::{Glance, Had, Sample};
use crate::procfs::verdict::Verdict;
use crate::sys::main_thread;
use crate::time::Moment;

/// The looks at one main thread.
#[derive(Debug, Default)]
pub(super) struct OwnTime {
    last: Option<(Moment, Glance)>,
    /// How long the others had waited by then, where that was looked at.
    others: Option<Vec<(Pid, Duration)>>,
    /// When the answer was missed first.
    missed: Option<(Moment, Sample)>,
}

impl OwnTime {
    /// What it had since the last look. `is_overdue`: an answer is awaited.
    pub(super) fn look(&mut self, now: Moment, pid: Pid, is_overdue: bool) -> Had {
        let Some(glance) = main_thread::glance(pid) else { return Had::Unknown };
        let earlier = self.last.replace((now, glance)).filter(|_| is_overdue);
        if !is_overdue {
            (self.others, self.missed) = (None, None);
        } else if self.missed.is_none() {
            self.missed = main_thread::sample(pid).map(|sample| (now, sample));
        }
        let Some((at, earlier)) = earlier else { return glance.had(&glance, Duration::ZERO, Duration::ZERO) };
        let of = now.since(at);
        let others_waited = if glance.slept(&earlier, of) { self.others_waited(pid) } else { Duration::ZERO };
        glance.had(&earlier, of, others_waited)
    }

    /// The longest of the others' waits since the last look.
    fn others_waited(&mut self, pid: Pid) -> Duration {
        let now = main_thread::others_waited(pid);
        let before = self.others.take();
        let since = |(id, waited): &(Pid, Duration)| {
            let earlier = before.as_ref()?.iter().find(|(known, _)| known == id)?.1;
            Some(waited.saturating_sub(earlier))
        };
        let longest = now.iter().filter_map(since).max();
        self.others = Some(now);
        longest.unwrap_or_default()
    }

    /// What the main thread did since the answer was missed.
    pub(super) fn verdict(&self, now: Moment, pid: Pid) -> Verdict {
        let Some(sample) = main_thread::sample(pid) else { return Verdict::Unknown };
        let share = self.missed.as_ref().and_then(|(at, earlier)| sample.since(earlier, now.since(*at)));
        Verdict::of(share, &sample, &main_thread::place(pid))
    }
}
