//! Leftovers in the process table: who they are, and what they are sent. What is done to whom, and when, the supervisor says.

use std::io;

use nix::unistd::Pid;

use crate::generation_number::GenerationNumber;
use crate::logger::warn_once;
use crate::procfs::process_tree::{self, Process, descendants, started_by};
use crate::signal::Signal;
use crate::supervisor::event::Running;
use crate::supervisor::sweep::{Admit, Found, Order, Refused};
use crate::sys::listening;
use crate::sys::processes::{self, Delivery, SocketDescriptor};

/// So many generations' families are kept.
const MOST_FAMILIES: usize = 4;
/// So many leftovers that may not be signalled are known by themselves, so that each is told of once.
const MOST_LEFT: usize = 256;

/// See the module.
#[derive(Debug)]
pub(super) struct Descendants {
    own_pid: Pid,
    /// Children that were there before us, and all that descends from them: nobody's leftovers.
    foreign: Vec<Pid>,
    families: Vec<Family>,
    /// Leftovers that may not be signalled.
    left: Vec<Process>,
}

/// A generation that was asked to stop.
#[derive(Debug)]
struct Family {
    generation: GenerationNumber,
    command: Pid,
    /// The command's process group.
    group: Pid,
    /// Its descendants at that time.
    noted: Vec<Process>,
    /// Those that a launcher started, which have their time.
    launched: Vec<Process>,
}

impl Descendants {
    /// `has_children`: whoever executed us left some.
    pub(super) fn new(own_pid: Pid, has_children: bool) -> Descendants {
        let all = if has_children { processes::list().unwrap_or_default() } else { Vec::new() };
        let foreign = all.into_iter().filter(|process| process.parent == own_pid).map(|process| process.pid).collect();
        Descendants { own_pid, foreign, families: Vec::new(), left: Vec::new() }
    }

    /// One that restartinit started for itself: nobody's leftover.
    pub(super) fn spare(&mut self, pid: Pid) {
        self.foreign.push(pid);
    }

    /// A child was reaped: its pid is nobody's.
    pub(super) fn reaped(&mut self, pid: Pid) {
        self.foreign.retain(|foreign| *foreign != pid);
        self.families.iter_mut().for_each(|family| family.launched.retain(|process| process.pid != pid));
    }

    /// How many leftovers that may not be signalled are there.
    pub(super) fn count_left(&mut self) -> usize {
        self.left.retain(|process| processes::one(process.pid).is_some_and(|now| now.is(process) && !now.ended));
        self.left.len()
    }

    /// A command is asked to stop.
    pub(super) fn note_family(&mut self, generation: GenerationNumber, command: Pid) {
        let Ok(mut all) = processes::list() else { return };
        let noted = descendants(&mut all, command, &[]);
        if let Some(known) = self.families.iter_mut().find(|family| family.generation == generation) {
            // What was there at an earlier stop may have lost its parent since.
            let is_new = |process: &Process| known.noted.iter().all(|other| !other.is(process));
            let new: Vec<Process> = noted.into_iter().filter(is_new).collect();
            return known.noted.extend(new);
        }
        // One that the terminal's signal has ended already is still there, as nobody has reaped it.
        let group = all.iter().find(|process| process.pid == command).map_or(command, |process| process.group);
        self.families.truncate(MOST_FAMILIES - 1);
        self.families.insert(0, Family { generation, command, group, noted, launched: Vec::new() });
    }

    /// SIGKILL for all.
    pub(super) fn kill_all(&self) {
        let Ok(mut all) = processes::list() else { return };
        for process in descendants(&mut all, self.own_pid, &self.foreign) {
            processes::send(&process, Signal::KILL, self.own_pid);
        }
    }

    /// One more signal for what a generation's launcher started.
    pub(super) fn forward_to_launched(&self, generation: GenerationNumber, signal: Signal) {
        let family = self.families.iter().find(|family| family.generation == generation);
        for process in family.iter().flat_map(|family| &family.launched) {
            self.send(process, signal);
        }
    }

    /// Does this to what generations that have ended have left behind; tells how many there are, if that can be known.
    pub(super) fn end_leftovers(&mut self, generation: GenerationNumber, order: Order, running: &[Running]) -> Option<Found> {
        let mut all = match processes::list() {
            Ok(all) => all,
            Err(error) if processes::is_short(&error) => {
                warn_once!("cannot look for leftovers in /proc now ({error}): trying again");
                return None;
            }
            Err(error) => {
                warn_once!("cannot look for leftovers: {}: they are left alone", why(&error));
                return Some(Found { launched: 0, others: 0, refused: None });
            }
        };
        let spared: Vec<Pid> = running.iter().map(|running| running.pid).chain(self.foreign.iter().copied()).collect();
        let mut leftovers = descendants(&mut all, self.own_pid, &spared);
        if !running.is_empty() {
            // An orphan may be one of a generation that runs. Whose it is, its environment tells; where that cannot be read it is left
            // alone until no generation runs.
            let generation = |process: &Process| processes::environ(process.pid).and_then(|environ| process_tree::generation_of(&environ));
            let has_ended = |number: GenerationNumber| running.iter().all(|running| running.generation != number);
            leftovers.retain(|process| generation(process).is_some_and(has_ended));
        }
        let mut found = Found { launched: 0, others: 0, refused: None };
        let signal = match order {
            Order::Nothing => None,
            Order::All(signal) => Some(signal),
            Order::Apart { signal, others, admit } => {
                let launched = self.launched(generation, signal, admit, &leftovers);
                found.launched = launched.len();
                // What they started is theirs.
                let spared: Vec<Pid> = spared.iter().copied().chain(launched).collect();
                let rest = descendants(&mut all, self.own_pid, &spared);
                leftovers.retain(|process| rest.iter().any(|other| other.is(process)));
                others
            }
        };
        for process in leftovers {
            let is_left = self.left.iter().any(|left| left.is(&process));
            match signal.map(|signal| self.send(&process, signal)) {
                None if is_left => {}
                Some(Delivery::Gone) => {}
                Some(Delivery::Refused) if is_left || process.ended => {}
                Some(Delivery::Refused) => {
                    let known = found.refused.get_or_insert(Refused { count: 0, pid: process.pid });
                    known.count += 1;
                    self.left.truncate(MOST_LEFT - 1);
                    self.left.insert(0, process);
                }
                None | Some(Delivery::Sent | Delivery::Unknown) => found.others += 1,
            }
        }
        if (found.launched, found.others) == (0, 0) {
            self.families.retain(|family| family.generation != generation);
        }
        Some(found)
    }

    /// The pids of those that a launcher started, and of those that are listened at; whoever comes to light now is sent the signal.
    fn launched(&mut self, generation: GenerationNumber, signal: Signal, admit: Admit, leftovers: &[Process]) -> Vec<Pid> {
        let own_pid = self.own_pid;
        let Some(family) = self.families.iter_mut().find(|family| family.generation == generation) else { return Vec::new() };
        family.launched.retain(|process| leftovers.iter().any(|now| now.is(process) && !now.ended));
        if let Admit::New { group_has_it } = admit {
            let mut started = started_by(family.command, &family.noted, leftovers);
            let is_of_group = |process: &Process| process.group == family.group;
            if group_has_it && family.noted.is_empty() {
                // The terminal has ended the launcher before anybody could look: whoever has lost its parent may be its child.
                started.extend(leftovers.iter().filter(|process| !process.ended && process.parent == own_pid));
            }
            // Whoever ignores the signal has nothing to finish.
            started.retain(|process| !processes::signal_status(process.pid).is_some_and(|status| status.ignores(signal)));
            let sockets = listening::sockets(own_pid).unwrap_or_default();
            let is_one = |descriptor: SocketDescriptor| sockets.iter().any(|socket| socket.inode == descriptor.inode);
            let listens = |process: &&Process| {
                let mut found = false;
                // What cannot be seen does not count.
                let _ = processes::sockets_of(process.pid, 0, |descriptor| {
                    found |= descriptor.is_some_and(is_one);
                    found
                });
                found
            };
            started.extend(leftovers.iter().filter(listens));
            for process in started {
                if family.launched.iter().any(|known| known.is(&process)) {
                    continue;
                }
                family.launched.push(process);
                if !(group_has_it && is_of_group(&process)) {
                    send(&process, signal, own_pid);
                }
            }
        }
        family.launched.iter().map(|process| process.pid).collect()
    }

    fn send(&self, process: &Process, signal: Signal) -> Delivery {
        send(process, signal, self.own_pid)
    }
}

/// A stopped process would have SIGTERM wait until somebody continues it.
fn send(process: &Process, signal: Signal, own_pid: Pid) -> Delivery {
    let delivery = processes::send(process, signal, own_pid);
    if process.stopped && signal != Signal::KILL && delivery == Delivery::Sent {
        processes::send(process, Signal::CONT, own_pid);
    }
    delivery
}

/// What is wrong with /proc.
fn why(error: &io::Error) -> String {
    if processes::proc_is_mounted() { format!("/proc: {error}") } else { "/proc is not mounted".to_owned() }
}
