use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::node::message::Listening;

/// All of the time was the app's own.
const ALL: Had = Had::AllBut(Duration::ZERO);

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// So many milliseconds after the start.
fn at(millis: u64) -> Moment {
    Moment::START + ms(millis)
}

/// The channel of an app that is ready, where it is watched.
fn channel(watchdog: Option<u64>, standby: bool) -> Channel {
    let mut channel = Channel::new(at(0), Options { watchdog: watchdog.map(ms), standby });
    channel.watchdog().into_iter().for_each(Watchdog::begin);
    channel
}

fn hear(channel: &mut Channel, now: u64, text: &str) -> Vec<NodeEvent> {
    let mut events = Vec::new();
    channel.receive(at(now), text.as_bytes(), &mut events);
    events
}

/// Sends one message as a socket takes it, a few bytes at a time; gives it back with the socket that went with it.
fn send(channel: &mut Channel, now: u64) -> Option<(String, Option<SocketId>)> {
    let mut sent = Vec::new();
    let mut socket = None;
    for _ in 0..1000 {
        let Some((bytes, with)) = channel.to_send(at(now)) else {
            assert!(sent.is_empty(), "a message breaks off: {}", String::from_utf8_lossy(&sent));
            return None;
        };
        assert!(with.is_none() || sent.is_empty(), "a socket goes with the first byte");
        socket = socket.or(with);
        let part = &bytes[..bytes.len().min(7)];
        sent.extend_from_slice(part);
        let (count, last) = (part.len(), part.ends_with(b"\n"));
        channel.sent(count);
        if last {
            return Some((String::from_utf8(sent).unwrap(), socket));
        }
    }
    panic!("a message without an end: {}", String::from_utf8_lossy(&sent));
}

fn query(seq: u64, port: u16) -> String {
    format!(
        r#"{{"cmd":"NODE_CLUSTER","act":"queryServer","index":0,"data":null,"address":null,"port":{port},"addressType":4,"backlog":0,"seq":{seq}}}"#
    ) + "\n"
}

fn only_query(events: Vec<NodeEvent>) -> Query {
    match <[NodeEvent; 1]>::try_from(events) {
        Ok([NodeEvent::Query(query)]) => query,
        other => panic!("{other:?}"),
    }
}

const ACK: &str = "{\"cmd\":\"NODE_HANDLE_ACK\"}\n";
const NACK: &str = "{\"cmd\":\"NODE_HANDLE_NACK\"}\n";
const PING: &str = "{\"cmd\":\"NODE_HANDLE\"}\n";
const DISCONNECT: &str = "{\"cmd\":\"NODE_CLUSTER\",\"act\":\"disconnect\"}\n";

fn grant(seq: u64, port: u16) -> String {
    let reply = format!(r#"{{"cmd":"NODE_CLUSTER","errno":0,"key":"null:{port}:4:undefined:0","ack":{seq},"data":null}}"#);
    format!("{{\"cmd\":\"NODE_HANDLE\",\"type\":\"net.Native\",\"msg\":{reply}}}\n")
}

/// The handshake of an app with two ports, as it was seen on the wire; the second is in use.
#[test]
fn a_transcript_of_the_handshake() {
    let mut channel = channel(None, false);
    assert!(channel.is_open() && !channel.is_ready());
    assert_eq!(hear(&mut channel, 1, "{\"cmd\":\"NODE_CLUSTER\",\"act\":\"online\",\"seq\":0}\n"), []);
    let asked = only_query(hear(&mut channel, 2, &query(1, 3000)));
    assert_eq!(asked.key, "null:3000:4:undefined:0");
    channel.answer(asked, Ok((SocketId(5), Kind::Stream)));
    let asked = only_query(hear(&mut channel, 3, &query(2, 3001)));
    channel.answer(asked, Err(Errno::EADDRINUSE));
    assert_eq!(send(&mut channel, 3), Some((grant(1, 3000), Some(SocketId(5)))));
    let refusal = r#"{"cmd":"NODE_CLUSTER","errno":-98,"key":"null:3001:4:undefined:0","ack":2,"data":null}"#.to_owned() + "\n";
    assert_eq!(send(&mut channel, 3), Some((refusal, None)));
    assert_eq!(hear(&mut channel, 4, ACK), [NodeEvent::Answered { lag: None }], "without a watchdog nobody measures");
    let listening =
        r#"{"cmd":"NODE_CLUSTER","act":"listening","index":0,"address":null,"port":3000,"addressType":4,"seq":3}"#.to_owned() + "\n";
    assert_eq!(hear(&mut channel, 5, &listening), [NodeEvent::Listening(Listening { port: Some(3000), address: None })]);
    assert!(channel.disconnect() && channel.disconnect());
    assert_eq!(send(&mut channel, 6).unwrap().0, "{\"cmd\":\"NODE_CLUSTER\",\"act\":\"disconnect\"}\n");
    assert_eq!(send(&mut channel, 6), None, "a second one would crash the app");
    let close = "{\"cmd\":\"NODE_CLUSTER\",\"act\":\"close\",\"key\":\"null:3000:4:undefined:0\",\"seq\":4}\n";
    assert_eq!(hear(&mut channel, 7, close), [NodeEvent::Closed { key: "null:3000:4:undefined:0".to_owned() }]);
    channel.closed();
    assert!(!channel.is_open() && !channel.shut_down() && !channel.disconnect() && !channel.wants_to_send());
}

#[test]
fn a_worker_that_disconnects_by_itself_is_answered() {
    let mut channel = channel(None, false);
    let line = "{\"cmd\":\"NODE_CLUSTER\",\"act\":\"exitedAfterDisconnect\",\"seq\":9}\n";
    assert_eq!(hear(&mut channel, 1, line), [NodeEvent::Disconnecting]);
    assert_eq!(send(&mut channel, 1).unwrap().0, "{\"cmd\":\"NODE_CLUSTER\",\"ack\":9}\n");
    assert_eq!(hear(&mut channel, 1, "{\"cmd\":\"NODE_HANDLE\",\"type\":\"net.Socket\",\"msg\":1}\n"), []);
    assert_eq!(send(&mut channel, 1).unwrap().0, ACK, "or the app would say nothing more");
}

#[test]
fn handles_go_one_after_another_and_never_beside_a_ping() {
    let mut channel = channel(Some(1000), false);
    assert_ne!(channel.tick(at(0), ALL), Turn::Blocked);
    assert_eq!(send(&mut channel, 0).unwrap().0, PING);
    for (seq, port) in [(1, 1001), (2, 1002)] {
        let asked = only_query(hear(&mut channel, 50, &query(seq, port)));
        channel.answer(asked, Ok((SocketId(port.into()), Kind::Stream)));
    }
    assert!(!channel.wants_to_send());
    assert_eq!(send(&mut channel, 50), None);
    assert_eq!(hear(&mut channel, 60, NACK), [NodeEvent::Answered { lag: None }]);
    assert_eq!(send(&mut channel, 60), Some((grant(1, 1001), Some(SocketId(1001)))));
    assert_eq!(send(&mut channel, 60), None);
    assert_eq!(hear(&mut channel, 61, ACK), [NodeEvent::Answered { lag: Some(ms(1)) }]);
    assert_eq!(send(&mut channel, 62), Some((grant(2, 1002), Some(SocketId(1002)))));
    assert_ne!(channel.tick(at(320), ALL), Turn::Blocked);
    assert_eq!(send(&mut channel, 320), None, "the handle's acknowledgement is as good as a ping's");
    assert_eq!(hear(&mut channel, 330, ACK), [NodeEvent::Answered { lag: Some(ms(268)) }]);
    assert_eq!(channel.watchdog().unwrap().take_largest(), Some(ms(268)));
}

/// An app may let go of the channel on the word: what it had to answer then would crash it.
#[test]
fn after_a_request_to_stop_nothing_is_asked() {
    for (request, line) in [(Channel::shut_down as fn(&mut Channel) -> bool, "\"shutdown\"\n"), (Channel::disconnect, DISCONNECT)] {
        let mut channel = channel(Some(1000), false);
        channel.tick(at(0), ALL);
        assert_eq!(send(&mut channel, 0).unwrap().0, PING);
        assert!(channel.is_in_flight() && request(&mut channel));
        assert_eq!(send(&mut channel, 10).unwrap().0, line, "what needs no acknowledgement passes");
        assert_eq!(hear(&mut channel, 20, NACK), [NodeEvent::Answered { lag: None }]);
        channel.ping();
        assert_eq!((channel.deadline(), send(&mut channel, 5000)), (None, None));
    }
}

#[test]
fn another_speaker_is_asked_and_told_anew() {
    let mut channel = channel(None, false);
    assert_eq!(hear(&mut channel, 1, "\"ready\"\n"), [NodeEvent::Ready]);
    assert!(channel.disconnect());
    channel.begin_anew(at(5), None);
    assert_eq!(send(&mut channel, 6).unwrap().0, PING);
    hear(&mut channel, 7, NACK);
    assert_eq!(hear(&mut channel, 8, "\"ready\"\n"), [NodeEvent::Ready], "what the one before said is not its word");
    assert!(channel.disconnect());
    assert_eq!(send(&mut channel, 9).unwrap().0, DISCONNECT);
}

#[test]
fn silence_is_told_also_where_nothing_can_be_sent() {
    let mut channel = channel(Some(1000), false);
    assert_ne!(channel.tick(at(0), ALL), Turn::Blocked);
    assert_eq!(send(&mut channel, 0).unwrap().0, PING);
    hear(&mut channel, 10, NACK);
    // The socket is full from here on: nobody calls `to_send`.
    let looks = std::iter::repeat_with(|| {
        let now = channel.deadline().unwrap();
        (channel.tick(now, ALL) == Turn::Blocked).then_some(now)
    });
    assert_eq!(looks.take(100).flatten().next(), Some(at(1250)));
}

#[test]
fn a_handle_that_gets_lost_is_sent_again_a_few_times() {
    let mut channel = channel(None, false);
    let asked = only_query(hear(&mut channel, 1, &query(1, 3000)));
    channel.answer(asked, Ok((SocketId(1), Kind::Stream)));
    for _ in 0..4 {
        assert_eq!(send(&mut channel, 1).unwrap(), (grant(1, 3000), Some(SocketId(1))));
        hear(&mut channel, 1, NACK);
    }
    let (line, socket) = send(&mut channel, 1).unwrap();
    assert!(line.contains("\"errno\":-24") && socket.is_none(), "{line}");
    assert_eq!(send(&mut channel, 1), None);
}

#[test]
fn acknowledgements_that_nothing_waits_for_are_dropped() {
    let mut channel = channel(None, false);
    assert_eq!(hear(&mut channel, 1, &ACK.repeat(3)), []);
    let asked = only_query(hear(&mut channel, 1, &query(1, 3000)));
    channel.answer(asked, Ok((SocketId(1), Kind::Stream)));
    let (_, socket) = channel.to_send(at(1)).unwrap();
    assert!(socket.is_some());
    channel.sent(5);
    hear(&mut channel, 1, ACK);
    assert!(channel.to_send(at(1)).unwrap().1.is_none(), "a message that has begun is finished, without the socket");
    channel.send_failed(Errno::EIO);
    assert!(!channel.is_open(), "after a torn message nothing can follow");
}

#[test]
fn a_socket_that_cannot_be_sent_becomes_an_error() {
    let mut channel = channel(Some(1000), false);
    let asked = only_query(hear(&mut channel, 1, &query(1, 3000)));
    channel.answer(asked, Ok((SocketId(1), Kind::Stream)));
    assert!(channel.to_send(at(1)).is_some());
    channel.send_failed(Errno::ETOOMANYREFS);
    assert!(send(&mut channel, 1).unwrap().0.contains("\"errno\":-109"));
    assert_eq!(channel.dropped().unsent, 1);
    assert_ne!(channel.tick(at(400), ALL), Turn::Blocked, "what was not sent is not awaited");
}

#[test]
fn a_standby_waits_at_its_first_listen() {
    let mut channel = channel(None, true);
    assert_eq!(hear(&mut channel, 1, &query(1, 3000)), [NodeEvent::Waiting]);
    assert_eq!(hear(&mut channel, 2, &query(2, 3001)), []);
    assert!(send(&mut channel, 2).unwrap().0.contains("NODE_HANDLE"), "whether Node is there can be asked");
    assert_eq!(send(&mut channel, 2), None);
    for seq in 3..100 {
        hear(&mut channel, 3, &query(seq, 1));
    }
    let kept = channel.activate();
    assert_eq!((kept.len(), kept[0].seq, kept[1].seq), (MOST_WAITING, 1, 2));
    assert_eq!(only_query(hear(&mut channel, 4, &query(101, 4000))).seq, 101);
    assert!(send(&mut channel, 4).unwrap().0.contains("\"errno\":-105,\"key\":\"null:1:4:undefined:0\",\"ack\":65"));
}

#[test]
fn some_of_a_standbys_queries_may_be_answered_before_its_turn() {
    let mut channel = channel(None, true);
    for line in [query(1, 3000), query(2, 3001)] {
        hear(&mut channel, 1, &line);
    }
    let has_port = |wanted: u16| move |spec: &Spec| matches!(spec, Spec::Tcp { port, .. } if *port == wanted);
    let taken = channel.take_kept(has_port(3001));
    assert_eq!(taken.iter().map(|query| query.seq).collect::<Vec<_>>(), [2]);
    assert!(channel.take_kept(has_port(3001)).is_empty());
    assert_eq!(hear(&mut channel, 2, &query(3, 3002)), [], "it waits still");
    assert_eq!(channel.activate().iter().map(|query| query.seq).collect::<Vec<_>>(), [1, 3]);
    assert!(channel.take_kept(|_| true).is_empty());
}

#[test]
fn ready_and_complaints_are_told_once() {
    let mut channel = channel(None, false);
    let long = "x".repeat(super::super::framing::LONGEST_LINE + 1);
    for (line, told) in [
        ("\"ready\"", Some(NodeEvent::Ready)),
        ("{\"type\":\"ready\"}", None),
        ("\"unready\"", Some(NodeEvent::Unready)),
        ("\"ready\"", Some(NodeEvent::Ready)),
        ("nonsense", Some(NodeEvent::MalformedFirst)),
        ("", None),
        ("{\"hello\":1}", None),
        (&long, Some(NodeEvent::TooLongFirst)),
        (&long, None),
        (&long, None),
    ] {
        assert_eq!(hear(&mut channel, 1, &format!("{line}\n")), Vec::from_iter(told), "{}", line.len());
    }
    assert_eq!(channel.dropped(), Dropped { app: 1, malformed: 2, too_long: 3, unsent: 0 });
    channel.closed();
    assert!(channel.is_ready() && channel.dropped().malformed == 2);
}

#[test]
fn what_an_app_leaves_unread_is_bounded_and_a_stop_still_goes_out() {
    let mut channel = channel(None, false);
    for seq in 0..10_000 {
        let Some(NodeEvent::Query(asked)) = hear(&mut channel, 1, &query(seq, 1)).pop() else { panic!() };
        channel.answer(asked, if seq % 2 == 0 { Ok((SocketId(1), Kind::Stream)) } else { Err(Errno::EACCES) });
    }
    assert!(channel.shut_down() && channel.shut_down() && channel.disconnect());
    assert_eq!(channel.outbox.waiting(), 32 + 64 + 2);
    let all: String = std::iter::from_fn(|| send(&mut channel, 1)).take(1000).map(|(line, _)| line).collect();
    assert!(all.contains("shutdown") && all.contains("disconnect"));
    assert!(channel.dropped().unsent > 9000);
}

fn lines() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(ACK.to_owned()),
        Just(NACK.to_owned()),
        Just("{\"cmd\":\"NODE_HANDLE\"}\n".to_owned()),
        Just("\"ready\"\n".to_owned()),
        (0u64..9, 0u16..9).prop_map(|(seq, port)| query(seq, port)),
        Just("{\"cmd\":\"NODE_CLUSTER\",\"act\":\"exitedAfterDisconnect\",\"seq\":9}\n".to_owned()),
        "[\\x00-\\xff]{0,9}\n",
    ]
}

proptest! {
    /// A hostile app, a slow socket and the clock in any order: only whole, valid lines go out, a socket only with the first byte of
    /// its own, and never a second thing to acknowledge before the first is.
    #[test]
    fn whatever_the_app_says_the_wire_stays_in_order(
        steps in proptest::collection::vec((0u8..6, lines(), 1usize..90), 1..80),
        standby in any::<bool>(),
    ) {
        let mut channel = channel(Some(100), standby);
        let (mut out, mut now) = (Vec::new(), at(0));
        let mut unacknowledged = 0i32;
        for (what, line, count) in steps {
            now += ms(count as u64);
            match what {
                0 | 1 => {
                    if line == ACK || line == NACK {
                        unacknowledged = if channel.outbox.is_awaited() { unacknowledged } else { 0 };
                    }
                    for event in hear(&mut channel, now.since_start().as_millis() as u64, &line) {
                        if let NodeEvent::Query(asked) = event {
                            channel.answer(asked, if count % 3 == 0 { Err(Errno::EADDRINUSE) } else { Ok((SocketId(1), Kind::Stream)) });
                        }
                    }
                }
                2 => drop(channel.tick(now, if count % 5 == 0 { Had::Nothing } else { ALL })),
                3 => drop(channel.shut_down()),
                _ => {
                    let begins = out.is_empty();
                    if let Some((bytes, socket)) = channel.to_send(now) {
                        let part = bytes[..bytes.len().min(count)].to_vec();
                        prop_assert!(begins || socket.is_none());
                        if begins && bytes.starts_with(b"{\"cmd\":\"NODE_HANDLE\"") {
                            unacknowledged += 1;
                            prop_assert_eq!(unacknowledged, 1);
                        }
                        prop_assert!(channel.wants_to_send());
                        channel.sent(part.len());
                        out.extend(part);
                    }
                    if out.ends_with(b"\n") {
                        prop_assert!(serde_json::from_slice::<serde_json::Value>(&out).is_ok());
                        out.clear();
                    }
                }
            }
        }
    }

    #[test]
    fn any_bytes_do_no_harm(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let mut channel = channel(None, false);
        channel.receive(at(1), &bytes, &mut Vec::new());
    }
}
