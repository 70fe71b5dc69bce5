//! Libraries that expect a primary of their own behind the channel: it would have to answer, or do their work. Pure.

/// A library, by the messages that it sends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Library {
    pub name: &'static str,
    /// What the app goes without.
    pub loss: &'static str,
    pub remedy: &'static str,
    sign: &'static [u8],
}

const LIBRARIES: [Library; 3] = [
    Library {
        name: "log4js",
        loss: "writes no line",
        remedy: "disableClustering: true in log4js.configure()",
        sign: b"\"log4js:message\"",
    },
    Library {
        name: "@socket.io/cluster-adapter",
        loss: "reaches no other process",
        remedy: "the adapter is not needed for one process",
        sign: b"\"_sio_adapter\"",
    },
    Library {
        name: "rate-limiter-flexible",
        loss: "waits for its limits",
        remedy: "RateLimiterMemory in place of RateLimiterCluster",
        sign: b"\"rate_limiter_flexible\"",
    },
];

impl Library {
    /// The library whose message this is.
    pub fn of_message(line: &[u8]) -> Option<Library> {
        // What is looked for stands at the beginning: a message may be long.
        const LOOKED_AT: usize = 256;
        let head = line.get(..LOOKED_AT).unwrap_or(line);
        LIBRARIES.into_iter().find(|library| head.windows(library.sign.len()).any(|part| part == library.sign))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_tells_its_library() {
        let name = |line: &str| Library::of_message(line.as_bytes()).map(|library| library.name);
        assert_eq!(name(r#"{"topic":"log4js:message","data":"{}"}"#), Some("log4js"));
        assert_eq!(name(r#"{"source":"_sio_adapter","type":1}"#), Some("@socket.io/cluster-adapter"));
        assert_eq!(name(r#"{"text":"log4js:messages"}"#), None);
        assert_eq!((name(""), name("\"ready\"")), (None, None));
    }
}
