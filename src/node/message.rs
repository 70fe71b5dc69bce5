//! One line from the app, and what it means. What is not for us is told apart and dropped; nothing that an app sends is an error here.
//! Pure.

use std::borrow::Cow;

use super::Errno;
use super::json::{self, Object};
use super::spec::Spec;

/// A key is stored for each port, and sent back: an app must not make it large.
const LONGEST_KEY: usize = 512;
/// What comes with a query, to be handed back, is the keys of TLS tickets: 115 bytes.
const LONGEST_DATA: usize = 1024;

/// What a line is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Incoming<'a> {
    /// `"ready"`, or an object whose type is that.
    Ready,
    /// `"unready"`, likewise.
    Unready,
    /// The handle that was sent arrived.
    Ack,
    /// No handle came with the message: the answer to a ping.
    Nack,
    /// The app sends a handle of its own, and says nothing more until that is acknowledged.
    Handle,
    Cluster(Cluster<'a>),
    /// For somebody else: dropped.
    App,
    /// Not JSON.
    Malformed,
}

/// What Node's cluster module in the app has to say.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Cluster<'a> {
    Online,
    /// The app's `listen()` or `bind()`.
    Query(Query),
    Listening(Listening),
    /// The app has closed a socket that it was given.
    Close {
        key: Cow<'a, str>,
    },
    /// The app disconnects of its own accord, and waits for an answer.
    ExitedAfterDisconnect {
        seq: u64,
    },
    Other,
}

/// A question for a socket.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Query {
    /// What the answer refers to.
    pub seq: u64,
    /// Node's name for the socket: address, port, type, descriptor and index.
    pub key: String,
    /// What to bind, or the errno to answer.
    pub wanted: Result<Spec, Errno>,
    /// JSON to be handed back with every answer, also with an error: TLS servers fail without.
    pub data: Option<String>,
}

/// A server of the app has begun to listen.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Listening {
    /// The real one, also where any free port was asked for; `None` for a unix socket.
    pub port: Option<u16>,
    /// As the app gave it.
    pub address: Option<String>,
}

/// Reads a line, without its newline.
pub fn read(line: &[u8]) -> Incoming<'_> {
    let line = line.trim_ascii();
    match line.first() {
        _ if line == br#""ready""# => Incoming::Ready,
        _ if line == br#""unready""# => Incoming::Unready,
        Some(b'{') => match json::read(line) {
            Some(object) => of_object(object),
            None => Incoming::Malformed,
        },
        _ if json::is_json(line) => Incoming::App,
        _ => Incoming::Malformed,
    }
}

fn of_object(object: Object<'_>) -> Incoming<'_> {
    match object.cmd.text() {
        Some("NODE_HANDLE_ACK") => Incoming::Ack,
        Some("NODE_HANDLE_NACK") => Incoming::Nack,
        Some("NODE_HANDLE") => Incoming::Handle,
        Some("NODE_CLUSTER") => Incoming::Cluster(of_cluster(object)),
        Some(internal) if internal.len() > 5 && internal.starts_with("NODE_") => Incoming::App,
        _ => match object.kind.text() {
            Some("ready") => Incoming::Ready,
            Some("unready") => Incoming::Unready,
            _ => Incoming::App,
        },
    }
}

fn of_cluster(object: Object<'_>) -> Cluster<'_> {
    let seq = object.seq.number().and_then(|seq| u64::try_from(seq).ok());
    match (object.act.text(), seq) {
        (Some("online"), _) => Cluster::Online,
        (Some("queryServer"), Some(seq)) => Cluster::Query(query(seq, &object)),
        (Some("exitedAfterDisconnect"), Some(seq)) => Cluster::ExitedAfterDisconnect { seq },
        (Some("listening"), _) => {
            let port = object.port.number().and_then(|port| u16::try_from(port).ok());
            let address = object.address.text().filter(|address| address.len() <= LONGEST_KEY);
            Cluster::Listening(Listening { port, address: address.map(str::to_owned) })
        }
        (Some("close"), _) => match object.key {
            json::Field::Text(key) => Cluster::Close { key },
            _ => Cluster::Other,
        },
        _ => Cluster::Other,
    }
}

fn query(seq: u64, object: &Object<'_>) -> Query {
    let Object { address, port, address_type, fd, index, .. } = object;
    let mut wanted = Spec::of(object);
    let mut key = format!("{address}:{port}:{address_type}:{fd}:{index}");
    if key.len() > LONGEST_KEY {
        key = String::new();
        wanted = wanted.and(Err(Errno::ENAMETOOLONG));
    }
    let data = object.data.filter(|data| *data != "null" && data.len() <= LONGEST_DATA).map(str::to_owned);
    Query { seq, key, wanted, data }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ready_and_unready_in_both_forms() {
        for line in [&br#""unready""#[..], br#"{"type":"unready"}"#] {
            assert_eq!(read(line), Incoming::Unready);
        }
        for line in [&br#""ready""#[..], b" \"ready\"\r", br#"{"type":"ready"}"#, br#"{"at":1,"type":"ready","x":[{}]}"#] {
            assert_eq!(read(line), Incoming::Ready);
        }
        for line in [&br#""Ready""#[..], br#"{"type":"process:msg"}"#, br#"["ready"]"#, br#"{"ready":true}"#, b"1", b"null"] {
            assert_eq!(read(line), Incoming::App);
        }
        for line in [&b""[..], b"ready", br#"{"type":"ready""#, b"\"ready", b"\xff", b"{\"type\":\"ready\"}}"] {
            assert_eq!(read(line), Incoming::Malformed);
        }
    }

    #[test]
    fn handles() {
        assert_eq!(read(br#"{"cmd":"NODE_HANDLE_ACK"}"#), Incoming::Ack);
        assert_eq!(read(br#"{"cmd":"NODE_HANDLE_NACK"}"#), Incoming::Nack);
        assert_eq!(read(br#"{"cmd":"NODE_HANDLE","type":"net.Socket","msg":"ready","key":"x"}"#), Incoming::Handle);
        assert_eq!(read(br#"{"cmd":"NODE_DEBUG_ENABLED","type":"ready"}"#), Incoming::App);
        // Only what is longer than its prefix is Node's own, as in Node.
        for cmd in ["start", "start_up", "NODE_", "node_x"] {
            assert_eq!(read(format!(r#"{{"cmd":"{cmd}","type":"ready"}}"#).as_bytes()), Incoming::Ready, "{cmd}");
        }
        assert_eq!(read(br#"{"cmd":"NODE_x","type":"ready"}"#), Incoming::App);
    }

    #[test]
    fn a_query_as_node_sends_it() {
        let line = br#"{"cmd":"NODE_CLUSTER","act":"queryServer","index":0,"data":{"ticketKeys":"00ff"},"address":null,"port":3000,"addressType":4,"backlog":0,"seq":1}"#;
        let Incoming::Cluster(Cluster::Query(query)) = read(line) else { panic!() };
        assert_eq!((query.seq, query.key.as_str()), (1, "null:3000:4:undefined:0"));
        assert_eq!(query.data.as_deref(), Some(r#"{"ticketKeys":"00ff"}"#));
        assert_eq!(query.wanted.unwrap().to_string(), "*:3000");
        let line = br#"{"cmd":"NODE_CLUSTER","act":"queryServer","index":[1],"data":null,"address":"::1","port":80,"addressType":6,"fd":null,"seq":2}"#;
        let Incoming::Cluster(Cluster::Query(query)) = read(line) else { panic!() };
        assert_eq!((query.key.as_str(), query.data), ("::1:80:6:null:?", None));
    }

    #[test]
    fn the_rest_of_the_cluster() {
        let of = |fields: &str| match read(format!(r#"{{"cmd":"NODE_CLUSTER",{fields}}}"#).as_bytes()) {
            Incoming::Cluster(cluster) => format!("{cluster:?}"),
            other => format!("{other:?}"),
        };
        assert_eq!(of(r#""act":"online","seq":0"#), "Online");
        assert_eq!(of(r#""act":"close","key":"a:1","seq":0"#), r#"Close { key: "a:1" }"#);
        assert_eq!(of(r#""act":"exitedAfterDisconnect","seq":7"#), "ExitedAfterDisconnect { seq: 7 }");
        assert_eq!(of(r#""act":"listening","port":4000,"seq":7"#), "Listening(Listening { port: Some(4000), address: None })");
        let listening = |length: usize| of(&format!(r#""act":"listening","port":-1,"address":"{}""#, "x".repeat(length)));
        assert_eq!(listening(2), r#"Listening(Listening { port: None, address: Some("xx") })"#);
        assert!(listening(512).contains(&"x".repeat(512)) && listening(513).ends_with("address: None })"), "what is kept is bounded");
        for other in [r#""act":"close""#, r#""act":"queryServer""#, r#""act":"exitedAfterDisconnect","seq":-1"#, r#""act":["online"]"#] {
            assert_eq!(of(other), "Other");
        }
    }

    #[test]
    fn what_would_be_kept_is_bounded() {
        let of = |address: &str, data: &str| {
            let line = format!(
                r#"{{"cmd":"NODE_CLUSTER","act":"queryServer","address":"{address}","port":-1,"addressType":-1,"seq":1,"data":"{data}"}}"#
            );
            match read(line.as_bytes()) {
                Incoming::Cluster(Cluster::Query(query)) => query,
                other => panic!("{other:?}"),
            }
        };
        let query = of(&"/x".repeat(2000), &"x".repeat(2000));
        assert_eq!(query, Query { seq: 1, key: String::new(), wanted: Err(Errno::ENAMETOOLONG), data: None });
        assert!(of("/x", "x").wanted.is_ok());
        // The quotes of the data count, and ":-1:-1:undefined:undefined" of the key.
        let (longest, longer) = (of(&"x".repeat(512 - 26), &"x".repeat(1022)), of(&"x".repeat(512 - 25), &"x".repeat(1023)));
        assert_eq!((longest.key.len(), longest.data.unwrap().len()), (512, 1024));
        assert_eq!((longer.key.len(), longer.data), (0, None));
    }

    proptest! {
        #[test]
        fn any_line_is_read(line in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = read(&line);
        }

        /// What nearly makes sense is where the cases are.
        #[test]
        fn any_query_is_read(fields in proptest::collection::vec((
            prop::sample::select(vec!["cmd", "act", "address", "port", "addressType", "fd", "flags", "index", "data", "seq", "key", "type"]),
            prop::sample::select(vec!["null", "-1", "0", "80", "1e99", "\"udp4\"", "\"::\"", "\"/a\"", "[[{}]]", "true", "\"\\ud800\"", "\"close\""]),
        ), 0..12)) {
            let fields: String = fields.iter().map(|(name, value)| format!(r#","{name}":{value}"#)).collect();
            let _ = read(format!(r#"{{"cmd":"NODE_CLUSTER","act":"queryServer","seq":1{fields}}}"#).as_bytes());
        }
    }
}
