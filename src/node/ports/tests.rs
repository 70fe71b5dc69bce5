use super::*;
use crate::node::message::{Cluster, Incoming, read};
use proptest::prelude::*;

fn at(seconds: u64) -> Moment {
    Moment::START + Duration::from_secs(seconds)
}

fn generation(number: u32) -> GenerationNumber {
    GenerationNumber::new(number)
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

fn bound(ports: &mut Ports, generation: GenerationNumber, port: u16, index: u8) -> SocketId {
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
    let Grant::Bind { id, release, .. } = ports.query(generation(1), &mut query(3000, 0, "[1]")) else { panic!() };
    assert!(release.is_empty() && ports.serves(generation(1)) && !ports.serves(generation(2)));
    ports.died(generation(1));
    let mut second = query(3000, 0, "[2]");
    assert_eq!(ports.query(generation(2), &mut second), hand(id));
    assert_eq!(second.data.as_deref(), Some("[1]"));
    assert_eq!((ports.deadline(), ports.release_due(at(99))), (None, vec![]));
}

#[test]
fn a_socket_closed_for_good_goes_after_a_delay() {
    let mut ports = Ports::default();
    let id = bound(&mut ports, generation(1), 3000, 0);
    assert_eq!(ports.query(generation(2), &mut query(3000, 0, "null")), hand(id));
    ports.closed(at(1), generation(1), "null:3000:4:undefined:0");
    assert_eq!(ports.deadline(), None, "another generation uses it");
    ports.closed(at(2), generation(1), "null:3000:4:undefined:0");
    ports.closed(at(2), generation(2), "nothing");
    ports.closed(at(5), generation(2), "null:3000:4:undefined:0");
    assert_eq!(ports.release_due(at(6)), []);
    assert_eq!((ports.deadline(), ports.release_due(at(7))), (Some(at(7)), vec![id]));
    assert_eq!(ports.held().count(), 0);
    let (kept, closed) = (bound(&mut ports, generation(1), 3000, 0), bound(&mut ports, generation(1), 3001, 0));
    ports.closed(at(8), generation(1), "null:3001:4:undefined:0");
    assert_eq!(ports.release_due(at(10)), [closed]);
    assert!(ports.serves(generation(1)) && ports.held().map(|(id, _)| id).eq([kept]), "its other one stays");
}

#[test]
fn a_death_or_a_new_query_within_the_delay_keeps_it() {
    let mut ports = Ports::default();
    let id = bound(&mut ports, generation(1), 3000, 0);
    ports.closed(at(1), generation(1), "null:3000:4:undefined:0");
    ports.died(generation(2));
    assert_eq!(ports.deadline(), Some(at(3)), "somebody else's death says nothing");
    ports.died(generation(1));
    assert_eq!(ports.deadline(), None);
    assert_eq!(ports.query(generation(2), &mut query(3000, 0, "null")), hand(id));
    ports.closed(at(5), generation(2), "null:3000:4:undefined:0");
    assert_eq!(ports.query(generation(2), &mut query(3000, 0, "null")), hand(id));
    assert_eq!(ports.release_due(at(99)), []);
}

#[test]
fn what_a_leaving_generation_closes_stays() {
    let mut ports = Ports::default();
    let id = bound(&mut ports, generation(1), 3000, 0);
    let other = bound(&mut ports, generation(1), 3001, 0);
    ports.closed(at(1), generation(1), "null:3000:4:undefined:0");
    ports.leaving(generation(1));
    ports.closed(at(1), generation(1), "null:3001:4:undefined:0");
    assert_eq!(ports.deadline(), None);
    ports.died(generation(1));
    assert_eq!(ports.release_unused(), [id, other]);
    let mut again = query(3000, 0, "null");
    assert!(matches!(ports.query(generation(1), &mut again), Grant::Bind { .. }));
    ports.closed(at(1), generation(1), &again.key);
    assert_eq!(ports.deadline(), Some(at(3)), "a death ends the leaving");
}

#[test]
fn another_key_for_the_same_socket_finds_it() {
    let mut ports = Ports::default();
    let id = bound(&mut ports, generation(1), 3000, 1);
    ports.died(generation(1));
    assert_eq!(ports.query(generation(2), &mut query(3000, 0, "null")), hand(id));
    ports.closed(at(1), generation(2), "null:3000:4:undefined:0");
    assert_eq!(ports.deadline(), Some(at(3)), "it has the new name");
}

#[test]
fn two_servers_at_the_same_address_have_a_socket_each() {
    let mut ports = Ports::default();
    let ids = [0, 1].map(|index| bound(&mut ports, generation(1), 0, index));
    assert_ne!(ids[0], ids[1]);
    ports.died(generation(1));
    for (id, index) in ids.into_iter().zip([0, 1]) {
        assert_eq!(ports.query(generation(2), &mut query(0, index, "null")), hand(id));
    }
}

#[test]
fn an_unused_socket_in_the_way_is_released_first_and_one_in_use_is_not() {
    let mut ports = Ports::default();
    let old = bound(&mut ports, generation(1), 3000, 0);
    let mut narrow = query(3000, 0, "null");
    narrow.key = "127.0.0.1:3000:4:undefined:0".to_owned();
    narrow.wanted = Ok(Spec::Tcp { address: super::super::spec::Host::V4([127, 0, 0, 1].into()), port: 3000, v6only: false });
    let Grant::Bind { id, release, .. } = ports.query(generation(1), &mut narrow.clone()) else { panic!() };
    assert_eq!(release, []);
    ports.bind_failed(id);
    ports.died(generation(1));
    let Grant::Bind { release, .. } = ports.query(generation(2), &mut narrow) else { panic!() };
    assert_eq!(release, [old]);
}

#[test]
fn the_table_is_bounded() {
    let mut ports = Ports::default();
    for port in 1..=128 {
        bound(&mut ports, generation(1), port, 0);
    }
    assert_eq!(ports.query(generation(1), &mut query(999, 0, "null")), Grant::Refuse { errno: Errno::ENOBUFS });
    let mut bad = query(999, 0, "null");
    bad.wanted = Err(Errno::EINVAL);
    assert_eq!(ports.query(generation(1), &mut bad), Grant::Refuse { errno: Errno::EINVAL });
}

#[test]
fn a_full_table_makes_room_by_what_nobody_uses_any_more() {
    let mut ports = Ports::default();
    let ids: Vec<SocketId> = (1..=128).map(|port| bound(&mut ports, generation(if port <= 2 { 1 } else { 2 }), port, 0)).collect();
    ports.died(generation(1));
    let Grant::Bind { release, .. } = ports.query(generation(2), &mut query(999, 0, "null")) else { panic!() };
    assert_eq!((release, ports.held().count()), (vec![ids[0]], 128), "the oldest one, and no other");
    assert!(ports.held().any(|(id, spec)| id == ids[1] && spec.to_string() == "*:2"));
    let mut ports = Ports::default();
    bound(&mut ports, generation(1), 1, 0);
    ports.died(generation(1));
    assert_eq!((bound(&mut ports, generation(2), 2, 0), ports.held().count()), (SocketId(2), 2), "while there is room, all stay");
}

proptest! {
    /// Whatever generations do: no socket is lost that a generation uses, none is listed twice, each is released once.
    #[test]
    fn sockets_are_released_once_and_never_in_use(
        steps in proptest::collection::vec((0u8..6, 1u32..4, 0u16..4, 0u8..2), 0..80),
    ) {
        let mut ports = Ports::default();
        let (mut open, mut now) = (std::collections::BTreeSet::new(), at(0));
        for (what, number, port, index) in steps {
                let generation = generation(number);
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
