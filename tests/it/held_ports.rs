//! `--hold-port`: the ports of an unmodified Node app stay open while it is gone, whatever it listens on and however it dies. On every
//! major of Node. That nobody is refused under load is in no_gap.rs.

use crate::serving;
use crate::support;

use serving::{Certificate, Node, app, ask, commands, connect, free_port, get, get_unix, hang_up, is_refused, kill, last_word, nodes};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use support::{Bench, Running, Scratch, Stream};

const FOUR: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const SIX: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);

/// Crashes are no subject here.
const HOLD: [&str; 6] = ["--hold-port", "--max-restarts", "1000", "--backoff", "0", "-v"];

fn hold(node: &Node, arguments: &[&str]) -> Running {
    start(Bench::new(&HOLD), node, arguments)
}

fn start(bench: Bench, node: &Node, arguments: &[&str]) -> Running {
    bench.command([node.binary.as_str(), &app("held_ports/app.js")].iter().chain(arguments))
}

/// A command that is asked to crash has no answer to that.
fn crash(ip: IpAddr, port: u16, path: &str) {
    let answer = connect((ip, port)).and_then(|stream| ask(stream, path));
    assert!(answer.is_err(), "{path}: {answer:?}");
}

/// The port that an app said after this label.
fn port(init: &Running, label: &str) -> u16 {
    let lines = init.lines(Stream::Out);
    let line = lines.iter().rev().find(|line| line.split(' ').next() == Some(label)).expect("a line about it");
    last_word(line).parse().expect("a port")
}

fn client(node: &Node, arguments: &[&str]) -> String {
    let output = Command::new(&node.binary).arg(app("held_ports/client.js")).args(arguments).output().expect("a client");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn ask_datagram(to: (IpAddr, u16)) -> String {
    let socket = UdpSocket::bind((if to.0.is_ipv4() { FOUR } else { SIX }, 0)).expect("a socket");
    socket.set_read_timeout(Some(Duration::from_secs(20))).expect("a time limit");
    let mut buffer = [0; 32];
    socket.send_to(b"who", to).expect("it is sent");
    let count = socket.recv(&mut buffer).expect("an answer");
    String::from_utf8_lossy(&buffer[..count]).into_owned()
}

const LABELS: [&str; 10] = ["any", "four", "six", "only-six", "name", "fixed", "https", "http2", "cleartext", "udp4"];

fn ports(init: &Running) -> Vec<u16> {
    LABELS.iter().chain(&["udp6"]).map(|label| port(init, label)).collect()
}

#[test]
fn every_kind_of_socket_survives_every_death() {
    for node in nodes() {
        let scratch = Scratch::new();
        let certificate = Certificate::new(&scratch);
        let fixed = free_port();
        let folder = scratch.path("");
        let arguments = ["everything", folder.trim_end_matches('/'), &fixed.to_string(), &certificate.key, &certificate.cert];
        let mut init = start(Bench::new(&HOLD).variable("GATE", folder.trim_end_matches('/')), node, &arguments);
        let (local, unlinked, session) = (scratch.path("app.sock"), scratch.path("unlinked.sock"), scratch.path("session"));
        let mut first = Vec::new();
        for (generation, death) in ["/exit/1", "/throw", "KILL", ""].iter().enumerate() {
            let text = (generation + 1).to_string();
            let up = init.out(&format!("up {text}"));
            // Nobody listens yet, but for the first time: clients wait.
            let mut waiting: Vec<TcpStream> = Vec::new();
            let mut local_client = None;
            if generation > 0 {
                let of = |label: &str| first[LABELS.iter().position(|known| *known == label).expect("a label")];
                for _ in 0..10 {
                    waiting.push(connect((FOUR, of("any"))).expect("held, IPv4"));
                    waiting.push(connect((SIX, of("any"))).expect("held, dual stack"));
                    waiting.push(connect((FOUR, of("four"))).expect("held"));
                    waiting.push(connect((SIX, of("six"))).expect("held"));
                    waiting.push(connect((SIX, of("only-six"))).expect("held"));
                    waiting.push(connect((FOUR, fixed)).expect("held"));
                }
                local_client = Some(UnixStream::connect(&local).expect("held"));
                std::fs::write(scratch.path(&format!("boot-{text}")), "").expect("a file");
            }
            init.out(&format!("serving {text}"));
            if first.is_empty() {
                first = ports(&init);
                assert!(first.iter().all(|port| *port != 0), "{first:?}");
            }
            assert_eq!(ports(&init), first, "port 0 is the same one in every generation");
            for stream in waiting {
                assert_eq!(ask(stream, "/").expect("an answer"), text, "it was queued");
            }
            if let Some(stream) = local_client {
                assert_eq!(ask(stream, "/").expect("an answer"), text);
            }
            let of = |label: &str| port(&init, label);
            for (ip, label) in [(FOUR, "any"), (SIX, "any"), (FOUR, "four"), (SIX, "six"), (SIX, "only-six"), (FOUR, "fixed")] {
                assert_eq!(get(ip, of(label), "/"), text, "{label}");
            }
            assert!(connect((FOUR, of("only-six"))).is_err(), "IPv6 only");
            assert!(connect((SIX, of("four"))).is_err() && connect((FOUR, of("six"))).is_err());
            let named = TcpStream::connect(("localhost", of("name"))).expect("a name");
            assert_eq!(ask(named, "/").expect("an answer"), text);
            assert_eq!((get_unix(&local, "/"), get_unix(&unlinked, "/")), (text.clone(), text.clone()));
            let resumed = client(node, &["https", &of("https").to_string(), &session]);
            assert_eq!(resumed, format!("{text} {}", generation > 0), "a TLS session of an earlier generation is resumed");
            assert_eq!(client(node, &["http2", &of("http2").to_string()]), text);
            assert_eq!(client(node, &["cleartext", &of("cleartext").to_string()]), text);
            assert_eq!(ask_datagram((FOUR, of("udp4"))), text);
            assert_eq!(ask_datagram((SIX, of("udp6"))), text);
            match *death {
                "" => {}
                "KILL" => kill(&mut init, &up),
                path => crash(FOUR, fixed, path),
            }
        }
        assert_eq!(commands(&mut init).len(), 1);
        init.signal(libc::SIGKILL);
    }
}

/// What the test above can see is the option's doing.
#[test]
fn without_the_option_clients_are_refused() {
    let node = &nodes()[0];
    let port = free_port().to_string();
    let init = start(Bench::new(&["--backoff", "1h", "--backoff-max", "1h", "-v"]), node, &["plain", &port]);
    for generation in 1..=2 {
        init.out(&format!("serving {generation}"));
        crash(FOUR, port.parse().expect("a port"), "/exit/1");
    }
    init.log("restart 2 of 5 in");
    assert!(is_refused(port.parse().expect("a port")));
}

#[test]
fn what_cannot_be_bound_is_the_apps_usual_event() {
    for node in nodes() {
        let holder = TcpListener::bind("[::]:0").expect("a port");
        let taken = holder.local_addr().expect("its address").port().to_string();
        // Without CAP_NET_BIND_SERVICE.
        let mut init = start(Bench::new(&["--hold-port"]).scene(&["without-capability 10"]), node, &["errors", &taken, "81"]);
        let end = init.end();
        assert_eq!(end.code, Some(0), "{end:?}");
        for told in ["tcp EADDRINUSE", "four EADDRINUSE", "unix EACCES", "elsewhere EADDRNOTAVAIL", "low EACCES", "udp EADDRNOTAVAIL"] {
            assert!(end.out.contains(&told.to_owned()), "{} {told}: {end:?}", node.version);
        }
    }
}

/// restartinit may bind it, the app may not: the right is not lent.
#[test]
fn an_app_that_gave_up_its_rights_does_not_get_them_back() {
    for node in nodes() {
        let init = Bench::new(&["--hold-port"]).command([
            "setpriv",
            "--bounding-set=-net_bind_service",
            &node.binary,
            &app("held_ports/app.js"),
            "errors",
            "1",
            "81",
        ]);
        init.out("low EACCES");
        init.log("81");
    }
}

#[test]
fn a_port_that_the_app_has_taken_itself_is_in_use() {
    for node in nodes() {
        let port = free_port();
        let init = hold(node, &["twice", &port.to_string()]);
        init.out("second EADDRINUSE");
        assert_eq!(get(FOUR, port, "/"), "1");
    }
}

#[test]
fn a_server_closed_for_good_closes_its_port() {
    for node in nodes() {
        let [one, two] = [free_port(), free_port()];
        let init = hold(node, &["two", &one.to_string(), &two.to_string()]);
        init.out("serving 1");
        assert_eq!(get(FOUR, one, "/close/1"), "1");
        init.until("refused in the end", || is_refused(two));
        assert_eq!(get(FOUR, one, "/"), "1", "the other one goes on");
        assert_eq!(get(FOUR, one, &format!("/listen/1/{two}")), "1", "and it can listen there again");
        assert_eq!(get(FOUR, two, "/"), "1");
        crash(FOUR, one, "/exit/1");
        assert_eq!(get(FOUR, two, "/"), "2");
    }
}

/// Closed and opened anew at once: nobody may lose the port over it.
#[test]
fn a_server_that_is_opened_again_keeps_its_port() {
    for node in nodes() {
        let [one, two] = [free_port(), free_port()];
        let mut init = hold(node, &["two", &one.to_string(), &two.to_string()]);
        let up = init.out("up 1");
        init.out("serving 1");
        for _ in 0..5 {
            assert_eq!(get(FOUR, one, "/close/1"), "1");
            assert_eq!(get(FOUR, one, &format!("/listen/1/{two}")), "1");
            assert_eq!(get(FOUR, two, "/"), "1");
        }
        kill(&mut init, &up);
        let stream = connect((FOUR, two)).expect("held");
        init.out("serving 2");
        assert_eq!(ask(stream, "/").expect("an answer"), "2");
    }
}

#[test]
fn an_app_that_cleans_up_before_it_fails_keeps_its_port() {
    for node in nodes() {
        let port = free_port();
        let init = hold(node, &["plain", &port.to_string()]);
        init.out("serving 1");
        assert_eq!(get(FOUR, port, "/fatal/1"), "1");
        // Before its exit, and after it.
        let mut waiting = Vec::new();
        while !init.lines(Stream::Out).iter().any(|line| line.starts_with("up 2 ")) {
            waiting.push(connect((FOUR, port)).expect("nobody is refused"));
            std::thread::sleep(Duration::from_millis(5));
            assert!(!init.late());
        }
        assert!(!waiting.is_empty());
        for stream in waiting {
            assert_eq!(ask(stream, "/").expect("an answer"), "2");
        }
    }
}

#[test]
fn a_socket_of_its_own_is_left_alone() {
    for node in nodes() {
        let port = free_port();
        let mut init = hold(node, &["exclusive", &port.to_string()]);
        for generation in 1..=3 {
            let up = init.out(&format!("up {generation}"));
            init.out(&format!("serving {generation}"));
            assert_eq!(get(FOUR, port, "/"), generation.to_string());
            kill(&mut init, &up);
        }
    }
}

/// A unix socket says at once when its queue is full: one more than the backlog fits in.
#[test]
fn the_backlog_is_the_apps() {
    for node in nodes() {
        let scratch = Scratch::new();
        let path = scratch.path("app.sock");
        let mut init = hold(node, &["backlog", &path, "5"]);
        let up = init.out("up 1");
        init.out("serving 1");
        let pid = serving::outside(&mut init, last_word(&up));
        // SAFETY: no pointer is passed.
        unsafe { libc::kill(pid, libc::SIGSTOP) };
        let stopped = || support::status_field(pid, "State").is_some_and(|state| state.starts_with('T'));
        init.until("it is stopped", stopped);
        let clients: Vec<_> = std::iter::from_fn(|| connect_at_once(&path).ok()).take(100).collect();
        assert_eq!(clients.len(), 6, "{}", node.version);
    }
}

/// A connection that is there at once, or an error.
fn connect_at_once(path: &str) -> io::Result<std::os::fd::OwnedFd> {
    use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, socket};
    let fd = socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC, None)?;
    connect(fd.as_raw_fd(), &UnixAddr::new(Path::new(path))?)?;
    Ok(fd)
}

#[test]
fn a_hundred_clients_fit_in_the_queue() {
    for node in nodes() {
        let port = free_port();
        let mut init = hold(node, &["plain", &port.to_string()]);
        let up = init.out("up 1");
        init.out("serving 1");
        kill(&mut init, &up);
        let waiting: Vec<TcpStream> = (0..100).map(|_| connect((FOUR, port)).expect("held")).collect();
        for stream in waiting {
            let answer = ask(stream, "/");
            assert_eq!(answer.expect("an answer"), "2");
        }
    }
}

#[test]
fn a_stop_is_a_stop() {
    for node in nodes() {
        let scratch = Scratch::new();
        let port = free_port();
        let mut init = hold(node, &["plain", &port.to_string()]);
        init.out("serving 1");
        let mut stream = connect((FOUR, port)).expect("a connection");
        serving::send_request(&mut stream, "/hold").expect("it is sent");
        init.out("holding 1");
        init.signal(libc::SIGTERM);
        init.until("it closes its server", || is_refused(port));
        init.signal(libc::SIGUSR2);
        assert_eq!(hang_up(stream).expect("an answer"), "1", "what it has begun it finishes");
        let end = init.end();
        assert_eq!((end.code, end.generations()), (Some(0), 1), "{}: {end:?}", node.version);
        // A path is removed as Node removes it.
        let path = scratch.path("app.sock");
        let mut init = hold(node, &["backlog", &path, "5"]);
        init.out("serving 1");
        init.signal(libc::SIGTERM);
        init.end();
        let mut again = hold(node, &["unix-stop", &path]);
        again.out("serving 1");
        again.signal(libc::SIGTERM);
        assert_eq!(again.exit_code(), 0);
        assert!(!Path::new(&path).exists(), "{}", node.version);
    }
}

#[test]
fn an_app_without_servers_is_supervised_as_ever() {
    for node in nodes() {
        let mut init = hold(node, &["no-servers"]);
        let end = init.end();
        assert_eq!((end.code, end.generations()), (Some(0), 3), "{}: {end:?}", node.version);
        assert_eq!(end.logged("exited with code 3").len(), 1, "{end:?}");
        assert_eq!(end.logged("completed: ").len(), 1, "{end:?}");
    }
}

#[test]
fn a_command_that_is_not_node_is_supervised_as_ever() {
    let end = Bench::new(&HOLD).run(&["up", "until 2 exit 1", "exit 0"]).end();
    assert_eq!((end.code, end.generations()), (Some(0), 3), "{end:?}");
}

#[test]
fn ports_outlive_a_limit_only_until_the_hand_over() {
    for node in nodes() {
        let port = free_port();
        let options = ["--hold-port", "--max-restarts", "1"];
        let mut init = start(Bench::new(&options), node, &["plain", &port.to_string()]);
        for generation in 1..=2 {
            init.out(&format!("serving {generation}"));
            crash(FOUR, port, "/exit/9");
        }
        assert_eq!(init.exit_code(), 9);
        assert!(is_refused(port));
    }
}

/// The generation after a crash does not open all ports again: what it leaves out is closed, or clients would hang. That takes a while, so
/// on one major only.
#[test]
fn a_port_that_the_next_generation_does_not_want_is_closed() {
    let [one, two] = [free_port(), free_port()];
    let mut init = hold(&nodes()[0], &["fewer", &one.to_string(), &two.to_string()]);
    // It has a minute to ask for it.
    init.allow(Duration::from_secs(100));
    let up = init.out("up 1");
    init.out("serving 1");
    assert_eq!(get(FOUR, two, "/"), "1");
    kill(&mut init, &up);
    init.out("serving 2");
    assert_eq!(get(FOUR, one, "/"), "2");
    init.until("refused in the end", || is_refused(two));
}
