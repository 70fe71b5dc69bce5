//! Where a JavaScript runtime's debugger listens: such a port serves no traffic. Pure.

use std::net::SocketAddr;

/// Node's and Deno's, unless told otherwise; a signal is enough to open it.
const DEFAULT: u16 = 9229;
const DEFAULT_OF_BUN: u16 = 6499;
const OPTIONS: [&str; 5] = ["--inspect", "--inspect-brk", "--inspect-wait", "--inspect-port", "--debug-port"];

/// Whether a listener of a process is its debugger's, given `/proc/PID/cmdline`, `/proc/PID/environ` where that can be read, and the first and
/// the last port that the kernel chooses from.
pub fn is_inspector(address: &SocketAddr, command_line: &[u8], environment: &[u8], ephemeral: (u16, u16)) -> bool {
    let is_local = address.ip().is_loopback();
    if is_local && address.port() == DEFAULT {
        return true;
    }
    let arguments = command_line.split(|byte| *byte == 0);
    // Each process that Node starts has these too.
    let inherited = environment.split(|byte| *byte == 0).filter_map(|entry| {
        let options = [&b"NODE_OPTIONS="[..], b"BUN_OPTIONS="].iter().find_map(|name| entry.strip_prefix(*name));
        options.map(|options| options.split(u8::is_ascii_whitespace))
    });
    let mut words = arguments.chain(inherited.flatten()).filter_map(|word| std::str::from_utf8(word).ok()).peekable();
    while let Some(word) = words.next() {
        let (name, value) = word.split_once('=').map_or((word, None), |(name, value)| (name, Some(value)));
        if !OPTIONS.contains(&name) {
            continue;
        }
        // `--inspect-port 9230`, where the others take no word of their own.
        let is_separate = value.is_none() && name.ends_with("-port");
        let value = value.or_else(|| words.peek().copied().filter(|_| is_separate));
        let port = value.and_then(|value| value.rsplit(':').next()).and_then(|port| port.parse::<u16>().ok());
        let is_it = match port {
            Some(0) => is_local && (ephemeral.0..=ephemeral.1).contains(&address.port()),
            Some(port) => address.port() == port,
            None => [DEFAULT, DEFAULT_OF_BUN].contains(&address.port()),
        };
        if is_it {
            return true;
        }
    }
    false
}

/// Whether a program is Node, by the path of its executable as `/proc/PID/exe` names it: `node`, `nodejs`, `node-22`.
pub fn is_node(executable: &[u8]) -> bool {
    let path = executable.strip_suffix(b" (deleted)").unwrap_or(executable);
    let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    let version = name.strip_prefix(b"nodejs").or(name.strip_prefix(b"node"));
    version.is_some_and(|version| version.iter().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'v')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn node_is_known_by_its_executable() {
        for node in ["/usr/local/bin/node", "/usr/bin/nodejs", "/opt/node-v22.1.0", "/usr/bin/node22", "/app/node (deleted)"] {
            assert!(is_node(node.as_bytes()), "{node}");
        }
        for other in ["/usr/bin/nodemon", "/usr/bin/python3", "/opt/node/bin/deno", "/usr/bin/nod", "", "/node/"] {
            assert!(!is_node(other.as_bytes()), "{other}");
        }
    }
    use proptest::prelude::*;

    fn is_it(address: &str, arguments: &[&str], environment: &str) -> bool {
        is_inspector(&address.parse().unwrap(), arguments.join("\0").as_bytes(), environment.as_bytes(), (32768, 60999))
    }

    #[test]
    fn the_port_is_where_the_options_have_it() {
        for (address, arguments, environment) in [
            ("127.0.0.1:9229", &["node", "app.js"][..], ""),
            ("[::1]:9229", &["node"], ""),
            ("0.0.0.0:9229", &["node", "--inspect=0.0.0.0"], ""),
            ("0.0.0.0:9230", &["node", "--inspect=0.0.0.0:9230"], ""),
            ("[::]:9231", &["node", "--inspect-brk=[::]:9231"], ""),
            ("127.0.0.1:9232", &["node", "--inspect-port", "9232"], ""),
            ("127.0.0.1:9233", &["node", "--inspect-wait=9233"], ""),
            ("127.0.0.1:40123", &["node", "--inspect=0"], ""),
            ("127.0.0.1:6499", &["bun", "--inspect", "app.ts"], ""),
            ("127.0.0.1:9240", &["node", "app.js"], "A=1\0NODE_OPTIONS=--max-old-space-size=100 --inspect=9240\0B=2"),
        ] {
            assert!(is_it(address, arguments, environment), "{address} {arguments:?}");
        }
    }

    #[test]
    fn what_serves_is_not_taken_for_it() {
        for (address, arguments, environment) in [
            ("0.0.0.0:3000", &["node", "--inspect", "app.js"][..], ""),
            ("0.0.0.0:3000", &["node", "--inspect", "3000"], ""),
            ("0.0.0.0:9229", &["node", "app.js"], ""),
            ("0.0.0.0:40123", &["node", "--inspect=0"], ""),
            ("127.0.0.1:3000", &["node", "--inspect=0"], ""),
            ("127.0.0.1:6499", &["node", "app.js"], ""),
            ("127.0.0.1:9230", &["node", "--inspector", "9230"], "XNODE_OPTIONS=--inspect=9230"),
        ] {
            assert!(!is_it(address, arguments, environment), "{address} {arguments:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(line in proptest::collection::vec(any::<u8>(), 0..100), environment in proptest::collection::vec(any::<u8>(), 0..100)) {
            is_inspector(&"127.0.0.1:80".parse().unwrap(), &line, &environment, (1, 2));
        }
    }
}
