//! Every line that is ever sent to an app, as Node's own parent process writes it. A blank, torn or invalid line would crash the app, so
//! all of them are made here. Pure.

use super::Errno;
use super::message::Query;
use super::spec::Kind;
use crate::json;

/// Asks whether the event loop turns: a handle message without a handle is answered by NODE_HANDLE_NACK, in Node's own code.
pub const PING: &[u8] = b"{\"cmd\":\"NODE_HANDLE\"}\n";
/// pm2's word for a stop, with `shutdown_with_message`.
pub const SHUTDOWN: &[u8] = b"\"shutdown\"\n";
/// For a handle that the app sent; without it the app would say nothing more.
pub const HANDLE_ACK: &[u8] = b"{\"cmd\":\"NODE_HANDLE_ACK\"}\n";
/// The app stops accepting, finishes what is in flight, and disconnects. A second one crashes it.
pub const DISCONNECT: &[u8] = b"{\"cmd\":\"NODE_CLUSTER\",\"act\":\"disconnect\"}\n";

/// Answers a query by the socket that goes with it.
pub fn grant(query: &Query, kind: Kind) -> Vec<u8> {
    let name = match kind {
        Kind::Stream => "net.Native",
        Kind::Datagram => "dgram.Native",
    };
    format!("{{\"cmd\":\"NODE_HANDLE\",\"type\":\"{name}\",\"msg\":{}}}\n", reply(query, None)).into_bytes()
}

/// Answers a query by an error: the app gets its usual event.
pub fn refusal(query: &Query, errno: Errno) -> Vec<u8> {
    (reply(query, Some(errno)) + "\n").into_bytes()
}

/// Answers `exitedAfterDisconnect`; the app's `disconnect()` waits for it.
pub fn acknowledgement(seq: u64) -> Vec<u8> {
    format!("{{\"cmd\":\"NODE_CLUSTER\",\"ack\":{seq}}}\n").into_bytes()
}

fn reply(query: &Query, errno: Option<Errno>) -> String {
    let key = json::text(&query.key);
    let data = query.data.as_deref().unwrap_or("null");
    // libuv's errors are negative.
    let errno = errno.map_or(0, |errno| -(errno as i32));
    format!("{{\"cmd\":\"NODE_CLUSTER\",\"errno\":{errno},\"key\":{key},\"ack\":{},\"data\":{data}}}", query.seq)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn query(key: &str, data: Option<&str>) -> Query {
        Query { seq: 7, key: key.to_owned(), wanted: Err(Errno::EINVAL), data: data.map(str::to_owned) }
    }

    #[test]
    fn a_grant_is_a_handle_message_around_the_reply() {
        let line = String::from_utf8(grant(&query("null:3000:4:undefined:0", None), Kind::Stream)).unwrap();
        let reply = r#"{"cmd":"NODE_CLUSTER","errno":0,"key":"null:3000:4:undefined:0","ack":7,"data":null}"#;
        assert_eq!(line, format!("{{\"cmd\":\"NODE_HANDLE\",\"type\":\"net.Native\",\"msg\":{reply}}}\n"));
        assert!(grant(&query("", None), Kind::Datagram).starts_with(br#"{"cmd":"NODE_HANDLE","type":"dgram.Native","msg":{"#));
    }

    #[test]
    fn errors_are_negative_and_come_with_the_data() {
        let line = refusal(&query("k", Some(r#"{"ticketKeys":"00"}"#)), Errno::EADDRINUSE);
        let value: Value = serde_json::from_slice(&line).unwrap();
        assert_eq!(value, json!({"cmd":"NODE_CLUSTER","errno":-98,"key":"k","ack":7,"data":{"ticketKeys":"00"}}));
        assert_eq!(acknowledgement(3), b"{\"cmd\":\"NODE_CLUSTER\",\"ack\":3}\n");
    }

    proptest! {
        /// Whatever the app called its socket: one line, valid, and the same name.
        #[test]
        fn every_line_is_one_valid_line(key in ".{0,40}") {
            for line in [grant(&query(&key, None), Kind::Stream), refusal(&query(&key, None), Errno::EADDRINUSE)] {
                prop_assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1);
                let value: Value = serde_json::from_slice(&line).unwrap();
                let reply = value.get("msg").unwrap_or(&value);
                prop_assert_eq!(reply["key"].as_str(), Some(key.as_str()));
            }
        }
    }

    #[test]
    fn the_constant_lines_are_valid() {
        for line in [PING, SHUTDOWN, HANDLE_ACK, DISCONNECT] {
            serde_json::from_slice::<Value>(line).unwrap();
            assert_eq!(line.iter().position(|byte| *byte == b'\n'), Some(line.len() - 1));
        }
    }
}
