//! The sockets that are held: under which key, for which generations, and when one may go. A table only: binds and closes nothing. A
//! death never lets a socket go, since the kernel queues new connections in it for the next generation. Pure.

use std::time::Duration;

use super::message::Query;
use super::spec::{Kind, Spec};
use super::{Errno, SocketId};
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
    users: Vec<u32>,
    /// The last user closed it: who, and when it goes for good.
    closing: Option<(u32, Moment)>,
}

/// All held sockets.
#[derive(Clone, Debug, Default)]
pub struct Ports {
    held: Vec<HeldPort>,
    last_id: u32,
    /// Generations that were asked to go: what they close is still wanted.
    leaving: Vec<u32>,
}

impl Ports {
    /// A generation asks for a socket. Sets the query's data to what the answer must carry.
    pub fn query(&mut self, generation: u32, query: &mut Query) -> Grant {
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
            return Grant::Refuse { errno: libc::ENOBUFS };
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

    /// A generation has closed a socket. Where it was the last user, the socket goes after a delay.
    pub fn closed(&mut self, now: Moment, generation: u32, key: &str) {
        let leaving = self.leaving.contains(&generation);
        let uses = |held: &&mut HeldPort| held.key == key && held.users.contains(&generation);
        if let Some(held) = self.held.iter_mut().find(uses) {
            held.users.retain(|user| *user != generation);
            if held.users.is_empty() && !leaving {
                held.closing = Some((generation, now.saturating_add(CLOSING_DELAY)));
            }
        }
    }

    /// A generation was asked to go, by a signal, a message or a drain, and another one follows: what it closes from now on stays.
    pub fn leaving(&mut self, generation: u32) {
        if !self.leaving.contains(&generation) {
            self.leaving.push(generation);
        }
        self.keep_what_it_closed(generation);
    }

    /// A generation has died: its sockets stay, also those that it closed a moment before.
    pub fn died(&mut self, generation: u32) {
        self.leaving.retain(|leaving| *leaving != generation);
        self.keep_what_it_closed(generation);
        for held in &mut self.held {
            held.users.retain(|user| *user != generation);
        }
    }

    fn keep_what_it_closed(&mut self, generation: u32) {
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

    /// The sockets that no generation uses: to be closed once a generation has settled without asking for them, or clients would hang
    /// in a backlog that nobody will read.
    pub fn release_unused(&mut self) -> Vec<SocketId> {
        self.held.extract_if(.., |held| held.users.is_empty()).map(|held| held.id).collect()
    }

    /// What is held, to be told to people.
    pub fn held(&self) -> impl Iterator<Item = (SocketId, &Spec)> {
        self.held.iter().map(|held| (held.id, &held.spec))
    }

    /// Whether this generation has a socket of ours.
    pub fn serves(&self, generation: u32) -> bool {
        self.held.iter().any(|held| held.users.contains(&generation))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::message::{Cluster, Incoming, read};
    use proptest::prelude::*;

    fn at(seconds: u64) -> Moment {
        Duration::from_secs(seconds)
    }

    fn query(port: u16, index: u8, data: &str) -> Query {
        let line = format!(
            r#"{{"cmd":"NODE_CLUSTER","act":"queryServer","index":{index},"data":{data},"address":null,"port":{port},"addressType":4,"seq":1}}"#
        );
        match read(line.as_bytes()) {
            Incoming::Cluster(Cluster::Query(query)) => query,
            other => panic!("{other:?}"),
        }
    }

    fn bound(ports: &mut Ports, generation: u32, port: u16, index: u8) -> SocketId {
        match ports.query(generation, &mut query(port, index, "null")) {
            Grant::Bind { id, .. } => id,
            other => panic!("{other:?}"),
        }
    }

    fn hand(id: SocketId) -> Grant {
        Grant::Hand { id, kind: Kind::Stream }
    }

    #[test]
    fn the_next_generation_gets_the_same_socket_and_the_first_ones_data() {
        let mut ports = Ports::default();
        let Grant::Bind { id, release, .. } = ports.query(1, &mut query(3000, 0, "[1]")) else { panic!() };
        assert!(release.is_empty() && ports.serves(1) && !ports.serves(2));
        ports.died(1);
        let mut second = query(3000, 0, "[2]");
        assert_eq!(ports.query(2, &mut second), hand(id));
        assert_eq!(second.data.as_deref(), Some("[1]"));
        assert_eq!((ports.deadline(), ports.release_due(at(99))), (None, vec![]));
    }

    #[test]
    fn a_socket_closed_for_good_goes_after_a_delay() {
        let mut ports = Ports::default();
        let id = bound(&mut ports, 1, 3000, 0);
        assert_eq!(ports.query(2, &mut query(3000, 0, "null")), hand(id));
        ports.closed(at(1), 1, "null:3000:4:undefined:0");
        assert_eq!(ports.deadline(), None, "another generation uses it");
        ports.closed(at(2), 1, "null:3000:4:undefined:0");
        ports.closed(at(2), 2, "nothing");
        ports.closed(at(5), 2, "null:3000:4:undefined:0");
        assert_eq!(ports.release_due(at(6)), []);
        assert_eq!((ports.deadline(), ports.release_due(at(7))), (Some(at(7)), vec![id]));
        assert_eq!(ports.held().count(), 0);
    }

    #[test]
    fn a_death_or_a_new_query_within_the_delay_keeps_it() {
        let mut ports = Ports::default();
        let id = bound(&mut ports, 1, 3000, 0);
        ports.closed(at(1), 1, "null:3000:4:undefined:0");
        ports.died(2);
        assert_eq!(ports.deadline(), Some(at(3)), "somebody else's death says nothing");
        ports.died(1);
        assert_eq!(ports.deadline(), None);
        assert_eq!(ports.query(2, &mut query(3000, 0, "null")), hand(id));
        ports.closed(at(5), 2, "null:3000:4:undefined:0");
        assert_eq!(ports.query(2, &mut query(3000, 0, "null")), hand(id));
        assert_eq!(ports.release_due(at(99)), []);
    }

    #[test]
    fn what_a_leaving_generation_closes_stays() {
        let mut ports = Ports::default();
        let id = bound(&mut ports, 1, 3000, 0);
        let other = bound(&mut ports, 1, 3001, 0);
        ports.closed(at(1), 1, "null:3000:4:undefined:0");
        ports.leaving(1);
        ports.closed(at(1), 1, "null:3001:4:undefined:0");
        assert_eq!(ports.deadline(), None);
        ports.died(1);
        assert_eq!(ports.release_unused(), [id, other]);
        let mut again = query(3000, 0, "null");
        assert!(matches!(ports.query(1, &mut again), Grant::Bind { .. }));
        ports.closed(at(1), 1, &again.key);
        assert_eq!(ports.deadline(), Some(at(3)), "a death ends the leaving");
    }

    #[test]
    fn another_key_for_the_same_socket_finds_it() {
        let mut ports = Ports::default();
        let id = bound(&mut ports, 1, 3000, 1);
        ports.died(1);
        assert_eq!(ports.query(2, &mut query(3000, 0, "null")), hand(id));
        ports.closed(at(1), 2, "null:3000:4:undefined:0");
        assert_eq!(ports.deadline(), Some(at(3)), "it has the new name");
    }

    #[test]
    fn an_unused_socket_in_the_way_is_released_first_and_one_in_use_is_not() {
        let mut ports = Ports::default();
        let old = bound(&mut ports, 1, 3000, 0);
        let mut narrow = query(3000, 0, "null");
        narrow.key = "127.0.0.1:3000:4:undefined:0".to_owned();
        narrow.wanted = Ok(Spec::Tcp { address: super::super::spec::Host::V4([127, 0, 0, 1].into()), port: 3000, v6only: false });
        let Grant::Bind { id, release, .. } = ports.query(1, &mut narrow.clone()) else { panic!() };
        assert_eq!(release, []);
        ports.bind_failed(id);
        ports.died(1);
        let Grant::Bind { release, .. } = ports.query(2, &mut narrow) else { panic!() };
        assert_eq!(release, [old]);
    }

    #[test]
    fn the_table_is_bounded() {
        let mut ports = Ports::default();
        for port in 1..=128 {
            bound(&mut ports, 1, port, 0);
        }
        assert_eq!(ports.query(1, &mut query(999, 0, "null")), Grant::Refuse { errno: libc::ENOBUFS });
        let mut bad = query(999, 0, "null");
        bad.wanted = Err(libc::EINVAL);
        assert_eq!(ports.query(1, &mut bad), Grant::Refuse { errno: libc::EINVAL });
    }

    #[test]
    fn a_full_table_makes_room_by_what_nobody_uses_any_more() {
        let mut ports = Ports::default();
        let ids: Vec<SocketId> = (1..=128).map(|port| bound(&mut ports, if port <= 2 { 1 } else { 2 }, port, 0)).collect();
        ports.died(1);
        let Grant::Bind { release, .. } = ports.query(2, &mut query(999, 0, "null")) else { panic!() };
        assert_eq!((release, ports.held().count()), (vec![ids[0]], 128), "the oldest one, and no other");
        assert!(ports.held().any(|(id, spec)| id == ids[1] && spec.to_string() == "*:2"));
        let mut ports = Ports::default();
        bound(&mut ports, 1, 1, 0);
        ports.died(1);
        assert_eq!((bound(&mut ports, 2, 2, 0), ports.held().count()), (SocketId(2), 2), "while there is room, all stay");
    }

    proptest! {
        /// Whatever generations do: no socket is lost that a generation uses, none is listed twice, each is released once.
        #[test]
        fn sockets_are_released_once_and_never_in_use(
            steps in proptest::collection::vec((0u8..6, 1u32..4, 0u16..4, 0u8..2), 0..80),
        ) {
            let mut ports = Ports::default();
            let (mut open, mut now) = (std::collections::BTreeSet::new(), at(0));
            for (what, generation, port, index) in steps {
                now += Duration::from_millis(700);
                let mut asked = query(port, index, "null");
                let mut released = Vec::new();
                match what {
                    0 | 1 => match ports.query(generation, &mut asked) {
                        Grant::Hand { id, .. } => prop_assert!(open.contains(&id)),
                        Grant::Bind { id, release, .. } => {
                            released = release;
                            prop_assert!(open.insert(id));
                        }
                        Grant::Refuse { .. } => prop_assert!(false),
                    },
                    2 => ports.closed(now, generation, &asked.key),
                    3 => ports.died(generation),
                    4 => ports.leaving(generation),
                    _ => released = ports.release_due(now),
                }
                for id in released {
                    prop_assert!(open.remove(&id));
                }
                let listed: std::collections::BTreeSet<_> = ports.held().map(|(id, _)| id).collect();
                prop_assert_eq!(&listed, &open);
                prop_assert!(ports.held.iter().all(|held| held.users.is_empty() || held.closing.is_none()));
            }
        }
    }
}
