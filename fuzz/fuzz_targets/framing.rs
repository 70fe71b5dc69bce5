//! What an app may write to its channel: lines split anywhere, messages, queries for sockets. Whatever comes, only whole valid lines go
//! back, nothing is kept beyond its bound, and the split makes no difference.
#![no_main]

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use restartinit::generation_number::GenerationNumber;
use restartinit::node::channel::{Channel, NodeEvent, Options};
use restartinit::node::framing::{Framing, LONGEST_LINE, Line};
use restartinit::node::ports::{Grant, Ports};
use restartinit::node::Errno;
use restartinit::node::spec::Spec;
use restartinit::procfs::main_thread::Had;
use restartinit::time::Moment;
use serde_json::Value;

fuzz_target!(|input: (u8, u8, &[u8])| {
    let (choices, size, bytes) = input;
    let size = usize::from(size) + 1;
    let mut whole = Framing::default();
    let mut split = Framing::default();
    let (mut at_once, mut in_pieces) = (Vec::new(), Vec::new());
    whole.feed(bytes, &mut |line| at_once.push(text(line)));
    bytes.chunks(size).for_each(|piece| split.feed(piece, &mut |line| in_pieces.push(text(line))));
    assert_eq!(at_once, in_pieces);
    assert!(split.held() <= LONGEST_LINE);

    let watchdog = (choices & 1 != 0).then_some(Duration::from_millis(100));
    let mut channel = Channel::new(Moment::START, Options { watchdog, standby: choices & 2 != 0 });
    let (mut ports, mut events, mut now) = (Ports::default(), Vec::new(), Moment::START);
    let mut sent = Vec::new();
    for piece in bytes.chunks(size) {
        now += Duration::from_millis(u64::from(choices));
        channel.receive(now, piece, &mut events);
        for event in events.drain(..) {
            match event {
                NodeEvent::Query(query) => answer(&mut channel, &mut ports, query, choices & 4 != 0),
                NodeEvent::Waiting if choices & 8 != 0 => {
                    channel.activate().into_iter().for_each(|query| answer(&mut channel, &mut ports, query, true));
                }
                NodeEvent::Closed { key } => ports.closed(now, GenerationNumber::FIRST, &key),
                _ => {}
            }
        }
        channel.tick(now, if choices & 16 != 0 { Had::Nothing } else { Had::AllBut(Duration::ZERO) });
        if choices & 32 != 0 {
            channel.shut_down();
        }
        if choices & 64 != 0 {
            channel.disconnect();
        }
        drain(&mut channel, now, usize::from(choices >> 4) + 1, &mut sent);
        ports.release_due(now);
    }
    ports.died(GenerationNumber::FIRST);
    assert!(ports.held().count() <= 128);
    let lines = sent.split(|byte| *byte == b'\n').collect::<Vec<_>>();
    for line in lines.iter().rev().skip(1) {
        serde_json::from_slice::<Value>(line).expect("a valid line: any other crashes the app");
    }
});

fn text(line: Line<'_>) -> Option<Vec<u8>> {
    match line {
        Line::Whole(line) => Some(line.to_vec()),
        Line::TooLong => None,
    }
}

fn answer(channel: &mut Channel, ports: &mut Ports, mut query: restartinit::node::message::Query, binds: bool) {
    let outcome = match ports.query(GenerationNumber::FIRST, &mut query) {
        Grant::Hand { id, kind } => Ok((id, kind)),
        Grant::Bind { id, spec, .. } if binds => Ok((id, Spec::kind(&spec))),
        Grant::Bind { id, .. } => {
            ports.bind_failed(id);
            Err(Errno::EADDRINUSE)
        }
        Grant::Refuse { errno } => Err(errno),
    };
    channel.answer(query, outcome);
}

/// A kernel that takes so many bytes at a time, and not for ever.
fn drain(channel: &mut Channel, now: Moment, at_a_time: usize, sent: &mut Vec<u8>) {
    for _ in 0..64 {
        let Some((bytes, _)) = channel.to_send(now) else { return };
        let count = bytes.len().min(at_a_time);
        assert!(count > 0, "a blank message");
        sent.extend_from_slice(&bytes[..count]);
        channel.sent(count);
    }
}
