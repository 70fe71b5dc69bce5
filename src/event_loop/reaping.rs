//! Reaping: the commands' ends are told to the supervisor, those of orphans are not.

use std::time::Duration;

use super::EventLoop;
use crate::signal::Signal;
use crate::supervisor::event::Event;
use crate::supervisor::exit::Exit;
use crate::sys::wait::{self, Waited};
use crate::time::Moment;

/// How long children are reaped in one turn, so that no flood of orphans can keep anything else waiting; and after how many that is looked
/// at.
const REAPING: Duration = Duration::from_millis(10);
const REAPED_A_LOOK: usize = 64;

fn is_kill(exit: Exit) -> bool {
    matches!(exit, Exit::Signal { signal: Signal::KILL, .. })
}

impl EventLoop {
    /// Reaps all that have ended, for a bounded time; `since` is now.
    pub(super) fn reap(&mut self, since: Moment) {
        self.more_to_reap = false;
        let (mut orphan_was_killed, reaped_before) = (false, self.orphans_reaped);
        for count in 1.. {
            let children = match wait::next() {
                Waited::Exited { pid, exit, peak } if self.supervisor.running().any(|generation| generation.pid == pid) => {
                    let reason = if is_kill(exit) { self.memory.reason_of_kill(peak) } else { None };
                    self.links.exited(pid);
                    self.retries.forget(pid);
                    self.handle(Event::Exited { pid, exit, reason });
                    continue;
                }
                // An orphan: there may be thousands at once.
                Waited::Exited { pid, exit, .. } => {
                    (self.orphans_reaped, orphan_was_killed) = (self.orphans_reaped + 1, orphan_was_killed || is_kill(exit));
                    self.descendants.reaped(pid);
                    if count % REAPED_A_LOOK == 0 && self.now() >= since + REAPING {
                        self.more_to_reap = true;
                        return;
                    }
                    continue;
                }
                Waited::Stopped { pid, signal } => {
                    self.handle(Event::ChildStopped { pid, signal });
                    continue;
                }
                Waited::Continued { .. } => continue,
                Waited::Unknown => return self.retries.reap_again(self.now()),
                Waited::NoNews => true,
                Waited::NoChildren => false,
            };
            if orphan_was_killed {
                // So that its end is not taken for the reason of a command's later one.
                self.memory.forget_kills();
            }
            self.reap_throttle.looked(since, self.now(), self.orphans_reaped - reaped_before);
            return self.handle(Event::Reaped { children });
        }
    }
}
