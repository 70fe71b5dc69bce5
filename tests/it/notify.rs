//! `NOTIFY_SOCKET`: what systemd and podman are told, byte for byte as sd_notify(3) says it, on a socket of the test's own.

use crate::support;

use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;
use support::clinic::{BUSY, Clinic, WELL};
use support::web::free_port;
use support::{Bench, Running, Scratch, Stream, on_every_node};

/// Whoever listens: messages come in order.
struct Manager {
    socket: UnixDatagram,
    name: String,
}

impl Manager {
    fn by_path(scratch: &Scratch) -> Manager {
        let name = scratch.path("notify");
        Manager { socket: patient(UnixDatagram::bind(&name).expect("a socket")), name }
    }

    fn abstractly(name: &str) -> Manager {
        let address = SocketAddr::from_abstract_name(name).expect("a name");
        Manager { socket: patient(UnixDatagram::bind_addr(&address).expect("a socket")), name: format!("@{name}") }
    }

    fn next(&self) -> String {
        let mut buffer = [0; 4096];
        let count = self.socket.recv(&mut buffer).unwrap_or_else(|error| panic!("no message came: {error}"));
        String::from_utf8(buffer[..count].to_vec()).expect("text")
    }

    /// The next one that is no sign of life.
    fn news(&self) -> String {
        loop {
            let message = self.next();
            if message != "WATCHDOG=1" {
                return message;
            }
        }
    }

    /// All that are there.
    fn rest(&self) -> Vec<String> {
        self.socket.set_nonblocking(true).expect("its mode");
        let mut buffer = [0; 4096];
        std::iter::from_fn(|| {
            let count = self.socket.recv(&mut buffer).ok()?;
            Some(String::from_utf8_lossy(&buffer[..count]).into_owned())
        })
        .collect()
    }
}

/// No message is waited for longer: a test that gets there has failed.
fn patient(socket: UnixDatagram) -> UnixDatagram {
    socket.set_read_timeout(Some(Duration::from_secs(30))).expect("a limit");
    socket
}

/// Those of systemd's that the command was given.
fn variables(init: &Running) -> Vec<String> {
    let lines = init.lines(Stream::Out);
    let all = lines.iter().filter_map(|line| line.strip_prefix("variable: "));
    all.filter(|pair| pair.starts_with("NOTIFY_") || pair.starts_with("WATCHDOG_")).map(str::to_owned).collect()
}

fn bench(manager: &Manager, options: &[&str]) -> Bench {
    Bench::new(options).variable("NOTIFY_SOCKET", &manager.name)
}

fn checked(manager: &Manager, clinic: &Clinic, more: &[&str]) -> Bench {
    let url = clinic.url();
    bench(manager, &[&["--check", &url, "--check-interval", "100ms", "--ready-when", "listening"], more].concat())
}

#[test]
fn the_life_of_a_command_is_told() {
    let (scratch, clinic, port) = (Scratch::new(), Clinic::open(WELL), free_port());
    let manager = Manager::by_path(&scratch);
    let bench = checked(&manager, &clinic, &["--max-restarts", "3"]).variable("WATCHDOG_USEC", "2000000");
    let listen = format!("listen {port}");
    let mut init = bench.run(&["show environment", "at 2 sleep 50", &listen, "up", "obey"]);
    assert_eq!(manager.next(), "STATUS=not ready: generation 1 boots since 0 ms, nothing listens yet; 0 of 3 restarts used");
    let ready = manager.next();
    assert!(ready.starts_with("READY=1\nSTATUS=ready: generation 1 (pid "), "{ready}");
    assert!(ready.ends_with("); 0 of 3 restarts used"), "{ready}");
    // After each check that it passes, and not before.
    let asked = clinic.asked().len();
    assert_eq!(manager.next(), "WATCHDOG=1");
    assert!(clinic.asked().len() > asked || asked > 0);
    init.out("up 1");
    assert_eq!(variables(&init), [""; 0], "they are restartinit's");
    init.tell("exit 7");
    // The next generation is not ready yet, then it is; READY=1 is for the first time alone.
    let crash = manager.news();
    assert!(crash.starts_with("STATUS=not ready: ") && crash.ends_with("; 1 of 3 restarts used"), "{crash}");
    init.out("up 2");
    let again = std::iter::repeat_with(|| manager.news()).find(|message| message.starts_with("STATUS=ready: generation 2 ")).expect("it");
    assert!(!again.contains("READY=1"), "{again}");
    init.tell("catch TERM");
    init.tell("say caught");
    init.out("caught");
    init.signal(libc::SIGTERM);
    let stop = std::iter::repeat_with(|| manager.news()).find(|message| message.contains("STOPPING=1")).expect("it");
    assert!(stop.starts_with("STOPPING=1\nSTATUS=not ready: stopping; 1 of 3 restarts used"), "{stop}");
    init.tell("exit 0");
    assert_eq!(init.exit_code(), 0);
    assert!(manager.rest().iter().all(|message| !message.contains("STOPPING") && !message.contains("READY")), "once");
}

/// An app that fails its check gives no sign of life: whoever waits for that ends it.
#[test]
fn a_sign_of_life_is_the_apps() {
    let (clinic, scratch, port) = (Clinic::open(BUSY), Scratch::new(), free_port());
    let manager = Manager::by_path(&scratch);
    let listen = format!("listen {port}");
    let bench = checked(&manager, &clinic, &["--check-failures", "1000"]).variable("WATCHDOG_USEC", "1000000");
    let mut init = bench.run(&[&listen, "up", "obey"]);
    init.until("it was asked some times", || clinic.asked().len() > 4);
    clinic.says(WELL);
    assert!(std::iter::repeat_with(|| manager.next()).take_while(|message| message != "WATCHDOG=1").all(|other| other.contains("STATUS=")));
    init.tell("exit 0");
    assert_eq!(init.exit_code(), 0);
    // podman does not pass on how often they are expected. Those that are expected of another process are not ours to give.
    for (other, gives_signs) in [(None, true), (Some("4242"), false)] {
        manager.rest();
        let bench = other.into_iter().fold(checked(&manager, &clinic, &[]), |bench, pid| bench.variable("WATCHDOG_PID", pid));
        let port = format!("listen {}", free_port());
        let mut init = bench.run(&[&port, "up", "obey"]);
        let asked = clinic.asked().len();
        init.until("it was asked some times", || clinic.asked().len() > asked + 4);
        init.tell("exit 0");
        assert_eq!(init.exit_code(), 0);
        assert_eq!(manager.rest().iter().any(|message| message == "WATCHDOG=1"), gives_signs, "{other:?}");
    }
}

/// The event loop's own turning is a sign of life.
#[test]
fn so_is_the_event_loops_turning() {
    on_every_node(|node| {
        let scratch = Scratch::new();
        let manager = Manager::by_path(&scratch);
        let script = format!("require('http').createServer(() => {{}}).listen({}); told((line) => process.exit(+line));", free_port());
        let bench = bench(&manager, &["--watchdog", "400ms"]).variable("WATCHDOG_USEC", "3000000");
        let mut init = bench.node(node, &script);
        assert!(std::iter::repeat_with(|| manager.next()).any(|message| message.starts_with("READY=1\n")));
        for _ in 0..3 {
            assert!(std::iter::repeat_with(|| manager.next()).any(|message| message == "WATCHDOG=1"));
        }
        init.tell("0");
        assert_eq!(init.exit_code(), 0);
    });
}

/// Without --watchdog and --check the command speaks for itself: it has the variables, and only a word on how it goes is added.
#[test]
fn a_command_that_is_not_watched_speaks_for_itself() {
    let manager = Manager::abstractly(&format!("restartinit-notify-{}", free_port()));
    let mut init = bench(&manager, &[]).variable("WATCHDOG_USEC", "77").run(&["show environment", "up", "obey"]);
    init.out("up 1");
    assert_eq!(variables(&init), [format!("NOTIFY_SOCKET={}", manager.name), "WATCHDOG_USEC=77".to_owned()]);
    let first = manager.next();
    init.tell("exit 0");
    assert_eq!(init.exit_code(), 0);
    let all = [vec![first], manager.rest()].concat();
    assert!(all.iter().all(|message| message.starts_with("STATUS=") && !message.contains('\n')), "{all:?}");
    assert!(all.iter().any(|message| message.starts_with("STATUS=ready: generation 1 ")), "{all:?}");
}

fn goes_on(mut init: Running) {
    init.out("up 1");
    init.tell("exit 1");
    init.out("up 2");
    init.tell("exit 0");
    assert_eq!(init.exit_code(), 0);
}

/// Nobody there, nobody who reads, no address at all: it goes on.
#[test]
fn whoever_does_not_listen_harms_nobody() {
    let scratch = Scratch::new();
    let full = Manager::by_path(&scratch);
    let filler = UnixDatagram::unbound().expect("a socket");
    filler.set_nonblocking(true).expect("its mode");
    while filler.send_to(b"x", &full.name).is_ok() {}
    let clinic = Clinic::open(WELL);
    let url = clinic.url();
    for address in [&full.name, "/no/such/place", "@nobody-listens-here", "vsock:2:1234", "", "relative"] {
        let bench = Bench::new(&["--check", &url, "--check-interval", "10ms", "--ready-when", "started"]);
        let bench = bench.variable("NOTIFY_SOCKET", address).variable("WATCHDOG_USEC", "100");
        goes_on(bench.run(&["up", "obey"]));
    }
}
