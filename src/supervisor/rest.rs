//! When a worker of ours is looked at for what it has left to do, and what follows from that. Pure data.

use std::time::Duration;

use crate::procfs::node_loop::Left;
use crate::time::Moment;

/// When a worker is looked at, and what the looks have shown.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Rest {
    look_at: Moment,
    pause: Duration,
    /// The last look showed that it has nothing left to do: one more has to.
    had_nothing: bool,
    /// Since when it has waited for others alone, or cannot be looked at.
    waits_since: Option<Moment>,
    /// It lets go by itself, or was told to.
    is_over: bool,
}

impl Rest {
    /// A script without a server runs for as long as it likes: it is looked at ever more seldom, and ends at most as late as it has run.
    const FIRST_LOOK: Duration = Duration::from_millis(250);
    const PAUSE_MAX: Duration = Duration::from_secs(60);
    /// Somebody waits for one that was asked to stop.
    const PAUSE: Duration = Duration::from_millis(10);
    const PAUSE_MAX_OF_A_STOP: Duration = Duration::from_secs(1);
    /// One that was asked to stop and waits for nothing but connections, such as an agent keeps in reserve, is done after so long.
    const QUIET: Duration = Duration::from_secs(3);
    /// A long timer that is V8's shows itself at its next turn: this and 100 ms.
    const TURN_OF_THE_ENGINE: Duration = Duration::from_secs(8);

    pub(super) fn beginning(now: Moment) -> Rest {
        Rest { look_at: now + Self::FIRST_LOOK, pause: Self::FIRST_LOOK, ..Rest::default() }
    }

    /// It may have nothing left to do from now on.
    pub(super) fn look_soon(&mut self, now: Moment) {
        if !self.is_over {
            *self = Rest { look_at: now + Self::PAUSE, pause: Self::PAUSE, ..Rest::default() };
        }
    }

    /// It lets go by itself.
    pub(super) fn end(&mut self) {
        self.is_over = true;
    }

    pub(super) fn is_over(&self) -> bool {
        self.is_over
    }

    pub(super) fn due(&self) -> Moment {
        self.look_at
    }

    /// It is looked at. `is_hurried`: somebody waits for it.
    pub(super) fn looked(&mut self, now: Moment, is_hurried: bool) {
        let most = if is_hurried { Self::PAUSE_MAX_OF_A_STOP } else { Self::PAUSE_MAX };
        self.pause = self.pause.saturating_mul(2).min(most);
        self.look_at = now + self.pause;
    }

    /// What a look has shown, or that it shows nothing. `is_stopping`: it was asked to stop, and has closed its servers. True: it is to let go.
    pub(super) fn seen(&mut self, now: Moment, left: Option<Left>, is_stopping: bool) -> bool {
        self.is_over = match left {
            // Where nobody has asked it to stop, a long timer is as good as any.
            Some(Left::LongTimer) if !is_stopping => {
                self.look_at = self.look_at.min(now + Self::TURN_OF_THE_ENGINE);
                self.has_work()
            }
            Some(Left::Work) => self.has_work(),
            Some(Left::Nothing | Left::LongTimer) if !self.had_nothing => {
                self.had_nothing = true;
                self.look_at = now + Self::PAUSE;
                false
            }
            Some(Left::Nothing | Left::LongTimer) => true,
            Some(Left::Others) | None => {
                self.had_nothing = false;
                let since = *self.waits_since.get_or_insert(now);
                is_stopping && now.since(since) >= Self::QUIET
            }
        };
        self.is_over
    }

    fn has_work(&mut self) -> bool {
        (self.had_nothing, self.waits_since) = (false, None);
        false
    }
}

#[cfg(test)]
impl Rest {
    /// What tells it from another: when it is looked at, since when it has waited, what else is known.
    pub(super) fn key(self) -> (Moment, Option<Moment>, bool, bool) {
        (self.look_at, self.waits_since.map(|since| since + Self::QUIET), self.had_nothing, self.is_over)
    }
}
