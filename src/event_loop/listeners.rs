//! Where the generations listen, as the kernel shows it: its list of listeners beside the descriptors of a generation's processes. A look costs
//! as much as there are listeners: descriptors are searched only for a listener that was not there before.

use std::io::{self, ErrorKind};
use std::time::{Duration, Instant};

use nix::unistd::Pid;

use crate::generation_number::GenerationNumber;
use crate::procfs::inspector::is_inspector;
use crate::procfs::listeners::{ListenAddress, Listener, Listeners, ListeningSocket};
use crate::procfs::process_tree::{descendants, generation_of};
use crate::sys::processes::{self, SocketDescriptor};
use crate::sys::{credentials, listening};

/// A search of descriptors takes no longer in one look; the next one goes on with it.
const LONGEST_SEARCH: Duration = Duration::from_millis(20);
/// The same while nothing is found: somebody is told that it is not ready.
const LONGEST_FIRST_SEARCH: Duration = Duration::from_millis(80);
/// What Linux has, unless told otherwise.
const EPHEMERAL: (u16, u16) = (32768, 60999);

/// See the module.
#[derive(Debug)]
pub(super) struct ListenerFinder {
    own_pid: Pid,
    /// The inodes of sockets where observers connect.
    own: Vec<u64>,
    /// The inodes of those that listened before the first spawn, where descriptors of another user cannot be seen.
    before: Option<Vec<u64>>,
    ephemeral: Option<(u16, u16)>,
    generations: Vec<Known>,
}

/// What is known of a generation.
#[derive(Debug)]
struct Known {
    generation: GenerationNumber,
    command: Pid,
    listeners: Vec<KnownListener>,
    /// The inodes of sockets that are nobody's of this generation, or do not serve.
    others: Vec<u64>,
    paused: Option<Paused>,
}

/// A search whose time was over.
#[derive(Debug)]
struct Paused {
    /// Where it goes on: the process, and its descriptor.
    pid: Pid,
    descriptor: i32,
    /// The inodes that were looked for from its beginning.
    wanted: Vec<u64>,
}

#[derive(Debug)]
struct KnownListener {
    inode: u64,
    /// Whose it is; `None`: its user tells.
    holder: Option<(Pid, i32)>,
    listener: Listener,
}

/// The search through the descriptors of one generation.
struct Search<'a> {
    known: &'a mut Known,
    /// What is looked for.
    wanted: Vec<ListeningSocket>,
    before: Option<&'a [u64]>,
    ephemeral: (u16, u16),
    until: Instant,
}

/// How a search through a process ended.
enum Searched {
    Whole,
    /// All that was wanted is found.
    Done,
    /// The time is over; here it goes on.
    Interrupted(i32),
    Unknowable,
}

impl ListenerFinder {
    pub(super) fn new(own_pid: Pid, own: impl Iterator<Item = u64>) -> ListenerFinder {
        ListenerFinder { own_pid, own: own.collect(), before: None, ephemeral: None, generations: Vec::new() }
    }

    /// These sockets are our own: nobody's readiness.
    pub(super) fn set_own(&mut self, own: impl Iterator<Item = u64>) {
        self.own.clear();
        self.own.extend(own);
    }

    /// Notes who listens already, where the listeners of a command of another user can be told by that alone.
    pub(super) fn before_first_spawn(&mut self) {
        if credentials::is_root_that_may_not_trace() {
            let sockets = listening::sockets(self.own_pid).ok();
            self.before = sockets.map(|sockets| sockets.into_iter().map(|socket| socket.inode).collect());
        }
    }

    /// A command has ended.
    pub(super) fn exited(&mut self, command: Pid) {
        self.generations.retain(|known| known.command != command);
    }

    /// Where a generation listens; `others` are the commands of the others that run, `given` the inodes of sockets that we hold or pass on.
    /// `None`: that cannot be told now.
    pub(super) fn look(&mut self, generation: GenerationNumber, command: Pid, others: &[Pid], given: &[u64]) -> Option<Listeners> {
        let mut sockets = match listening::sockets(command) {
            Ok(sockets) => sockets,
            Err(error) => return unseen(&error, command),
        };
        sockets.retain(|socket| !self.own.contains(&socket.inode) && !given.contains(&socket.inode));
        let ephemeral = *self.ephemeral.get_or_insert_with(|| processes::ephemeral_ports().unwrap_or(EPHEMERAL));
        if !self.generations.iter().any(|known| known.generation == generation) {
            self.generations.push(Known { generation, command, listeners: Vec::new(), others: Vec::new(), paused: None });
        }
        let known = self.generations.iter_mut().find(|known| known.generation == generation)?;
        known.verify(&sockets);
        sockets.retain(|socket| !known.has_seen(socket.inode));
        if !sockets.is_empty() {
            let longest = if known.listeners.is_empty() { LONGEST_FIRST_SEARCH } else { LONGEST_SEARCH };
            let until = Instant::now() + longest;
            let mut search = Search { known, wanted: sockets, before: self.before.as_deref(), ephemeral, until };
            match search.run(self.own_pid, command, others) {
                Ok(Searched::Unknowable) => return Some(Listeners::Unknowable),
                Ok(Searched::Whole | Searched::Done | Searched::Interrupted(_)) => {}
                Err(error) => return unseen(&error, command),
            }
        }
        let known = self.generations.iter().find(|known| known.generation == generation)?;
        let mut found: Vec<Listener> = Vec::new();
        for known in &known.listeners {
            // Two sockets may share an address (SO_REUSEPORT).
            if !found.contains(&known.listener) {
                found.push(known.listener.clone());
            }
        }
        Some(Listeners::Found(found))
    }
}

/// What a look comes to that the kernel refused.
fn unseen(error: &io::Error, command: Pid) -> Option<Listeners> {
    let may_pass = processes::is_short(error) || processes::is_ending(command);
    (!may_pass).then_some(Listeners::Unknowable)
}

impl Known {
    /// Forgets what is not listened on any more.
    fn verify(&mut self, sockets: &[ListeningSocket]) {
        let is_there = |inode: u64| sockets.iter().any(|socket| socket.inode == inode);
        let before = self.listeners.len();
        self.listeners.retain(|known| {
            let is_held = known
                .holder
                .is_none_or(|(pid, descriptor)| processes::socket_at(pid, descriptor).is_ok_and(|inode| inode == Some(known.inode)));
            is_held && is_there(known.inode)
        });
        self.others.retain(|inode| is_there(*inode));
        if self.listeners.is_empty() || self.listeners.len() < before {
            // A descriptor may have been passed on: nothing is too well known to be looked at again.
            self.others.clear();
            self.paused = self.paused.take().filter(|_| self.listeners.len() == before);
        }
    }

    fn has_seen(&self, inode: u64) -> bool {
        self.others.contains(&inode) || self.listeners.iter().any(|known| known.inode == inode)
    }
}

impl Search<'_> {
    fn run(&mut self, own_pid: Pid, command: Pid, others: &[Pid]) -> io::Result<Searched> {
        let paused = self.known.paused.take();
        let from = paused.as_ref().map(|paused| (paused.pid, paused.descriptor));
        let wanted = paused.map_or_else(|| self.wanted.iter().map(|socket| socket.inode).collect(), |paused| paused.wanted);
        if from.is_none_or(|(pid, _)| pid == command) {
            match self.process(command, from.map_or(0, |(_, descriptor)| descriptor)) {
                Searched::Whole => {}
                Searched::Interrupted(descriptor) => return Ok(self.pause(Paused { pid: command, descriptor, wanted })),
                ended => return Ok(ended),
            }
        }
        let begun = Instant::now();
        let family = Self::family(self.known.generation, own_pid, command, others)?;
        // Listing them takes as long as it takes: the search has its own time, or a large family would be searched by one process a look.
        self.until += begun.elapsed();
        let from = from.filter(|(pid, _)| *pid != command);
        let mut has_begun = false;
        for pid in family.into_iter().filter(|pid| from.is_none_or(|(from, _)| *pid >= from)) {
            // One at least in each look: the search comes to its end, however slow the machine is.
            if std::mem::replace(&mut has_begun, true) && Instant::now() >= self.until {
                return Ok(self.pause(Paused { pid, descriptor: 0, wanted }));
            }
            match self.process(pid, from.filter(|(from, _)| *from == pid).map_or(0, |(_, descriptor)| descriptor)) {
                // Of a descendant that cannot be seen nothing follows for the others.
                Searched::Whole | Searched::Unknowable => {}
                Searched::Interrupted(descriptor) => return Ok(self.pause(Paused { pid, descriptor, wanted })),
                Searched::Done => return Ok(Searched::Done),
            }
        }
        // What came while the search was under way may be one of those that were passed by then.
        let left = self.wanted.drain(..).map(|socket| socket.inode).filter(|inode| wanted.contains(inode));
        self.known.others.extend(left);
        Ok(Searched::Whole)
    }

    fn pause(&mut self, paused: Paused) -> Searched {
        let descriptor = paused.descriptor;
        self.known.paused = Some(paused);
        Searched::Interrupted(descriptor)
    }

    /// All that descends from a command; and orphans whose environment says that they are of its generation, where that is needed to tell.
    fn family(generation: GenerationNumber, own_pid: Pid, command: Pid, others: &[Pid]) -> io::Result<Vec<Pid>> {
        let mut all = processes::list()?;
        let mut family = descendants(&mut all, command, &[]);
        let spared: Vec<Pid> = others.iter().copied().chain([command]).collect();
        let orphans = descendants(&mut all, own_pid, &spared);
        let is_ours = |pid: Pid| match processes::environ(pid).and_then(|environ| generation_of(&environ)) {
            Some(number) => number == generation,
            None => others.is_empty(),
        };
        family.extend(orphans.into_iter().filter(|orphan| is_ours(orphan.pid)));
        let mut pids: Vec<Pid> = family.into_iter().filter(|process| !process.ended).map(|process| process.pid).collect();
        pids.sort_unstable();
        Ok(pids)
    }

    fn process(&mut self, pid: Pid, first: i32) -> Searched {
        let (until, wanted) = (self.until, &self.wanted);
        let mut found: Vec<SocketDescriptor> = Vec::new();
        let searched = processes::sockets_of(pid, first, |descriptor| match descriptor {
            Some(descriptor) => {
                let is_new = !found.iter().any(|known| known.inode == descriptor.inode);
                if is_new && wanted.iter().any(|socket| socket.inode == descriptor.inode) {
                    found.push(descriptor);
                }
                found.len() == wanted.len()
            }
            None => Instant::now() >= until,
        });
        let next = match searched {
            Ok(next) => next,
            // The kernel shows the descriptors of a process that is about to end to root alone.
            Err(error) if error.kind() == ErrorKind::PermissionDenied && !processes::is_ending(pid) => return self.by_user(pid),
            // It has ended meanwhile.
            Err(_) => None,
        };
        for descriptor in found {
            if let Some(place) = self.wanted.iter().position(|socket| socket.inode == descriptor.inode) {
                let socket = self.wanted.swap_remove(place);
                self.known.note(socket, pid, Some(descriptor.number), self.ephemeral);
            }
        }
        match next {
            _ if self.wanted.is_empty() => Searched::Done,
            Some(next) => Searched::Interrupted(next),
            None => Searched::Whole,
        }
    }

    /// The descriptors of a process of another user cannot be seen: what its user listens on, and did not before the first spawn, is taken for
    /// its own.
    fn by_user(&mut self, pid: Pid) -> Searched {
        let Some((before, user)) = self.before.zip(credentials::of(&pid.to_string()).ok().map(|credentials| credentials.euid)) else {
            return Searched::Unknowable;
        };
        let is_its = |socket: &mut ListeningSocket| socket.user == Some(user) && !before.contains(&socket.inode);
        for socket in self.wanted.extract_if(.., is_its) {
            self.known.note(socket, pid, None, self.ephemeral);
        }
        if self.wanted.is_empty() { Searched::Done } else { Searched::Whole }
    }
}

impl Known {
    /// A socket of one of its processes.
    fn note(&mut self, socket: ListeningSocket, pid: Pid, descriptor: Option<i32>, ephemeral: (u16, u16)) {
        if socket.address.is_pipe_of_launcher(pid) || is_debugger(&socket.address, pid, ephemeral) {
            self.others.push(socket.inode);
        } else {
            let is_fixed = socket.address.is_fixed(pid, ephemeral);
            let holder = descriptor.map(|descriptor| (pid, descriptor));
            self.listeners.push(KnownListener { inode: socket.inode, holder, listener: Listener { address: socket.address, is_fixed } });
        }
    }
}

fn is_debugger(address: &ListenAddress, pid: Pid, ephemeral: (u16, u16)) -> bool {
    let ListenAddress::Tcp(address) = address else { return false };
    is_inspector(address, &processes::command_line(pid), &processes::environ(pid).unwrap_or_default(), ephemeral)
}

#[cfg(test)]
mod tests;
