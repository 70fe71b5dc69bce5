//! The sockets that are held: under which key, for which generations, and when one may go. A table only: binds and closes nothing. A
//! death never lets a socket go, since the kernel queues new connections in it for the next generation. Pure.

use std::time::Duration;

use super::message::Query;
use super::spec::{Kind, Spec};
use super::{Errno, SocketId};
use crate::generation_number::GenerationNumber;
use crate::time::Moment;

/// More sockets than that are refused with ENOBUFS.
const MOST_PORTS: usize = 128;
/// How long a closed socket is kept: an app that closes its server because it is about to exit with an error must not lose the port.
const CLOSING_DELAY: Duration = Duration::from_secs(2);

/// What a query comes to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Grant {
    /// This socket is held already.
    Hand {
        id: SocketId,
        kind: Kind,
    },
    /// Close those, which nobody uses and which may be in the way; then bind this, and tell [`Ports::bind_failed`] if that fails.
    Bind {
        id: SocketId,
        spec: Spec,
        release: Vec<SocketId>,
    },
    Refuse {
        errno: Errno,
    },
}

#[derive(Clone, Debug)]
struct HeldPort {
    id: SocketId,
    key: String,
    spec: Spec,
    /// What came with the first query for the key, and goes back in every answer: keys of TLS tickets.
    data: Option<String>,
    /// The generations that have it and have not closed it.
    users: Vec<GenerationNumber>,
    /// The last user closed it: who, and when it goes for good.
    closing: Option<(GenerationNumber, Moment)>,
}

/// All held sockets.
#[derive(Clone, Debug, Default)]
pub struct Ports {
    held: Vec<HeldPort>,
    last_id: u32,
    /// Generations that were asked to go: what they close is still wanted.
    leaving: Vec<GenerationNumber>,
}

impl Ports {
    /// A generation asks for a socket. Sets the query's data to what the answer must carry.
    pub fn query(&mut self, generation: GenerationNumber, query: &mut Query) -> Grant {
        let spec = match &query.wanted {
            Ok(spec) => spec.clone(),
            Err(errno) => return Grant::Refuse { errno: *errno },
        };
        let same_key = self.held.iter().position(|held| held.key == query.key && held.spec == spec);
        // A key differs between generations when servers were opened in another order, or closed and opened again.
        let found = same_key.or_else(|| self.held.iter().position(|held| held.users.is_empty() && held.spec == spec));
        if let Some(held) = found.and_then(|found| self.held.get_mut(found)) {
            held.key.clone_from(&query.key);
            if held.data.is_none() {
                held.data.clone_from(&query.data);
            }
            query.data.clone_from(&held.data);
            held.closing = None;
            if !held.users.contains(&generation) {
                held.users.push(generation);
            }
            return Grant::Hand { id: held.id, kind: spec.kind() };
        }
        let in_the_way = |held: &HeldPort| held.users.is_empty() && (held.key == query.key || held.spec.may_collide(&spec));
        let mut release: Vec<SocketId> = self.held.extract_if(.., |held| in_the_way(held)).map(|held| held.id).collect();
        // What generations that are gone have left makes room for the one that runs, the oldest first.
        let excess = (self.held.len() + 1).saturating_sub(MOST_PORTS);
        release.extend(self.held.extract_if(.., |held| held.users.is_empty()).take(excess).map(|held| held.id));
        if self.held.len() >= MOST_PORTS {
            return Grant::Refuse { errno: Errno::ENOBUFS };
        }
        self.last_id = self.last_id.wrapping_add(1);
        let id = SocketId(self.last_id);
        let (key, data) = (query.key.clone(), query.data.clone());
        self.held.push(HeldPort { id, key, spec: spec.clone(), data, users: vec![generation], closing: None });
        Grant::Bind { id, spec, release }
    }

    /// A socket could not be bound, or is bound no longer: it is forgotten.
    pub fn bind_failed(&mut self, id: SocketId) {
        self.held.retain(|held| held.id != id);
    }

    /// A generation has closed a socket. Where it was the last user, the socket goes after a delay; at once where the kernel chose the port, as
    /// nobody is told of it by another generation.
    pub fn closed(&mut self, now: Moment, generation: GenerationNumber, key: &str) {
        let leaving = self.leaving.contains(&generation);
        let uses = |held: &&mut HeldPort| held.key == key && held.users.contains(&generation);
        if let Some(held) = self.held.iter_mut().find(uses) {
            held.users.retain(|user| *user != generation);
            let is_fixed = held.spec.is_fixed();
            if held.users.is_empty() && !(leaving && is_fixed) {
                held.closing = Some((generation, if is_fixed { now + CLOSING_DELAY } else { now }));
            }
        }
    }

    /// A generation was asked to go, by a signal, a message or a drain, and another one follows: what it closes from now on stays.
    pub fn leaving(&mut self, generation: GenerationNumber) {
        if !self.leaving.contains(&generation) {
            self.leaving.push(generation);
        }
        self.keep_what_it_closed(generation);
    }

    /// A generation has died: its sockets stay, also those that it closed a moment before.
    pub fn died(&mut self, generation: GenerationNumber) {
        self.leaving.retain(|leaving| *leaving != generation);
        self.keep_what_it_closed(generation);
        for held in &mut self.held {
            held.users.retain(|user| *user != generation);
        }
    }

    fn keep_what_it_closed(&mut self, generation: GenerationNumber) {
        for held in &mut self.held {
            held.closing = held.closing.filter(|(closer, _)| *closer != generation);
        }
    }

    /// When the next closed socket goes.
    pub fn deadline(&self) -> Option<Moment> {
        self.held.iter().filter_map(|held| held.closing).map(|(_, at)| at).min()
    }

    /// The sockets whose delay is over: to be closed now.
    pub fn release_due(&mut self, now: Moment) -> Vec<SocketId> {
        self.held.extract_if(.., |held| held.closing.is_some_and(|(_, at)| at <= now)).map(|held| held.id).collect()
    }

    /// The sockets that a generation has not asked for in its time: to be closed now, or clients would hang in a backlog that nobody will
    /// read. What it closed itself has a time of its own.
    pub fn release_missing(&mut self, generation: GenerationNumber) -> Vec<SocketId> {
        let is_missing = |held: &mut HeldPort| !held.users.contains(&generation) && held.closing.is_none();
        self.held.extract_if(.., is_missing).map(|held| held.id).collect()
    }

    /// The sockets that no generation uses: to be closed where none will follow.
    pub fn release_unused(&mut self) -> Vec<SocketId> {
        self.held.extract_if(.., |held| held.users.is_empty()).map(|held| held.id).collect()
    }

    /// What a generation has and has not closed.
    pub fn used_by(&self, generation: GenerationNumber) -> impl Iterator<Item = (SocketId, &Spec)> {
        self.held.iter().filter(move |held| held.users.contains(&generation)).map(|held| (held.id, &held.spec))
    }

    /// What is held, to be told to people.
    pub fn held(&self) -> impl Iterator<Item = (SocketId, &Spec)> {
        self.held.iter().map(|held| (held.id, &held.spec))
    }

    /// Whether this generation has a socket of ours.
    pub fn serves(&self, generation: GenerationNumber) -> bool {
        self.held.iter().any(|held| held.users.contains(&generation))
    }
}

#[cfg(test)]
mod tests;
