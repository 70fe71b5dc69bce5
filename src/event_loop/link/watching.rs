//! Whether the event loop at the other end turns: whose time it took where it does not, and what the supervisor and observers are told of it.

use super::Link;
use crate::control::inspect::is_attached;
use crate::logger::warn_once;
use crate::node::watchdog::{Turn, Watchdog};
use crate::observe::snapshot::EventLoop;
use crate::procfs::main_thread::Had;
use crate::procfs::verdict::Verdict;
use crate::supervisor::event::ChannelEvent;
use crate::supervisor::hang::Hang;
use crate::time::Moment;

/// Why one that owes an answer is left alone.
const ATTACHED: &str = "somebody is attached to its inspector, as a debugger or a heap snapshot is";

impl Link {
    /// A look at it is due.
    pub(super) fn watch_loop(&mut self, now: Moment) {
        let is_overdue = self.channel.watchdog().is_some_and(|watchdog| watchdog.overdue().is_some());
        let had = self.own_time.look(now, self.pid, is_overdue);
        if had == Had::Unknown && is_overdue {
            warn_once!(
                "the kernel does not tell how much of a processor the command had (/proc/PID/schedstat): a third of the time counts for --watchdog"
            );
        }
        let turn = self.channel.tick(now, had);
        let told = self.told(turn, now);
        self.events.extend(told);
    }

    /// For how long it has owed an answer, and why; `None`: for no longer than is usual.
    fn hang(&mut self, now: Moment, said: fn(&Verdict) -> String) -> Option<Hang> {
        let overdue = self.channel.watchdog()?.overdue().filter(|overdue| !overdue.wall.is_zero())?;
        let verdict = said(&self.own_time.verdict(now, self.pid));
        Some(Hang { own: overdue.own, wall: overdue.wall, verdict, stack: Vec::new() })
    }

    /// What the supervisor is to be told of its event loop.
    fn told(&mut self, turn: Turn, now: Moment) -> Option<ChannelEvent> {
        match turn {
            Turn::Wait | Turn::Ask => None,
            Turn::Late if std::mem::replace(&mut self.is_late_told, true) => None,
            Turn::Late => self.hang(now, Verdict::brief).map(ChannelEvent::Late),
            Turn::Blocked if self.is_excused() => {
                let late = self.hang(now, Verdict::brief).map(|hang| Hang { verdict: ATTACHED.to_owned(), ..hang });
                self.channel.watchdog().into_iter().for_each(Watchdog::excuse);
                late.filter(|_| !std::mem::replace(&mut self.is_late_told, true)).map(ChannelEvent::Late)
            }
            Turn::Blocked => self.hang(now, Verdict::of_its_own).map(ChannelEvent::Blocked),
        }
    }

    /// Whether somebody is attached to its inspector; or has just gone, and so had part of the time.
    fn is_excused(&mut self) -> bool {
        let is_attached = is_attached(self.pid);
        std::mem::replace(&mut self.was_attached, is_attached) || is_attached
    }

    /// Whether its loop has turned since this was last asked.
    pub(in crate::event_loop) fn take_answer(&mut self) -> bool {
        std::mem::take(&mut self.has_turned)
    }

    /// How late the command's event loop was; `None`: nobody measures it, or it has not answered yet.
    pub(in crate::event_loop) fn event_loop(&mut self, is_scrape: bool, now: Moment) -> Option<EventLoop> {
        let late = self.hang(now, Verdict::brief);
        let watchdog = self.channel.watchdog()?;
        // An answer that is still to come is as late as it is by now.
        let (owed, last) = (late.as_ref().map(|hang| hang.wall), watchdog.last());
        let largest = if is_scrape { watchdog.take_largest() } else { watchdog.largest() };
        let (last, largest) = (last.max(owed)?, largest.or(last).max(owed)?);
        Some(EventLoop { last, largest, late })
    }
}
