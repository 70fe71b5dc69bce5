//! Doors that stay shut: whatever the app says over its channel, PID 1 binds only what the app itself could bind, opens no file but
//! those of /proc, runs nothing and signals nobody.

use crate::support;

use serde_json::Value;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Output, Stdio};
use std::time::Duration;
use support::strace::Trace;
use support::web::free_port;
use support::{Bench, Running};

/// Lines that a hostile app sends: every kind of lie some hundred times.
const LIES: &str = "4000";
/// What becomes of a process that drops its privileges, as setpriv(1) says it: also in a user namespace, where no other user is.
const WITHOUT_RIGHTS: [&str; 4] = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", "--"];

/// All that PID 1 needs to hear an app out and to bind for it: sleep, read, write, sockets, memory. Neither kill nor anything that makes a
/// process, changes a file or connects to somebody.
const ALLOWED: [(&str, &str); 8] = [
    ("the channel", "ppoll restart_syscall rt_sigreturn recvfrom recvmsg sendmsg"),
    ("a held port", "socket setsockopt bind getsockname getsockopt fcntl close dup ioctl"),
    ("/proc", "open openat readlink readlinkat read pread64 fstat statx newfstatat lseek"),
    ("where the app listens, and what it has left to do", "getdents64 getpid sendto rt_sigpending"),
    ("the log", "write splice"),
    ("memory", "brk mmap munmap mremap madvise"),
    ("musl, as it makes a thread-local's key for the first line of the log", "rt_sigprocmask"),
    ("the clock, where the C library has no other way", "clock_gettime"),
];

fn hostile(mode: &[&str]) -> Vec<String> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/shut_doors/hostile.py");
    ["python3", script].iter().chain(mode).map(|part| (*part).to_owned()).collect()
}

fn dropped(line: Vec<String>) -> Vec<String> {
    WITHOUT_RIGHTS.iter().map(|part| (*part).to_owned()).chain(line).collect()
}

fn name_of(call: &str) -> &str {
    call.split('(').next().unwrap_or_default()
}

/// The path between the quotes of a call.
fn path_of(call: &str) -> &str {
    call.split('"').nth(1).unwrap_or_default()
}

/// The port of `bind(9, {sa_family=AF_INET, sin_port=htons(80), ...}, 16) = 0`.
fn port_of(call: &str) -> Option<u16> {
    call.split_once("htons(")?.1.split(')').next()?.parse().ok()
}

#[test]
fn a_hostile_app_has_pid_1_do_nothing_beyond_its_rules() {
    for seed in ["1", "2", "3"] {
        let mut init = Bench::new(&["--hold-port", "--watchdog", "1h", "--restart", "never", "--ready-when", "started"])
            .command(dropped(hostile(&["fuzz", seed, LIES])));
        let trace = Trace::attach(&mut init, &["-s", "128"]);
        init.tell("go");
        let told = init.out(&format!("sent {LIES},"));
        assert!(told.contains(" 0 low, 0 paths") && !told.contains("got 0 "), "some questions are answered, none beyond: {told}");
        let mut calls = trace.end(&init);
        calls.retain(|line| line.contains('('));
        init.tell("that is all");
        assert_eq!(init.end().code, Some(0), "it ended by itself: nobody killed it");
        assert!(calls.len() > 1000, "strace has seen the conversation: {} calls", calls.len());
        for call in &calls {
            assert!(ALLOWED.iter().any(|(_, names)| names.split(' ').any(|name| name == name_of(call))), "seed {seed}: {call}");
            match name_of(call) {
                "open" | "openat" => {
                    assert!(format!("{}/", path_of(call)).starts_with("/proc/") && call.contains("O_RDONLY"), "seed {seed}: {call}")
                }
                "bind" => assert!(port_of(call).is_some_and(|port| port == 0 || port >= 1024), "seed {seed}: {call}"),
                // The number of the interface in fe80::1%lo.
                "ioctl" => assert!(call.contains("SIOCGIFINDEX"), "seed {seed}: {call}"),
                _ => {}
            }
        }
    }
}

#[test]
fn a_low_port_is_not_lent() {
    let mut init = Bench::new(&["--hold-port", "--restart", "never"]).command(dropped(hostile(&["ask", "79"])));
    assert_eq!(init.out("refused"), format!("refused {}", libc::EACCES));
    assert_eq!(init.exit_code(), 0);
}

/// Root is root of a user namespace only, as in rootless containers: everything works, and every door is that namespace's.
#[test]
fn in_a_user_namespace_everything_works() {
    let [http, port] = [free_port(), free_port()];
    let options = ["--http", &format!("127.0.0.1:{http}"), "--hold-port", "--standby"];
    let server = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/server/server.js");
    let mut init = Bench::new(&options).user_namespace().variable("PORT", port.to_string()).command(["node", server]);
    init.out("generation 1: listening");
    // The app's own line may be faster than its word on the channel.
    let healthy = std::iter::repeat_with(|| verb(&mut init, &["health"])).take(1000).any(|output| output.status.success());
    assert!(healthy, "it never was");
    assert!(get(port, "/crash").contains("exiting"), "it says so first");
    init.out("generation 2: listening");
    assert!(get(port, "/").contains("generation  2"));
    let status: Value = serde_json::from_str(&inside(&mut init, &["status", "--json"])).expect("JSON");
    assert_eq!((&status["generation"], &status["restarts"]["used"]), (&2.into(), &1.into()), "{status}");
    assert!(get(http, "/metrics").contains("restartinit_child_up 1"));
    assert!(inside(&mut init, &["restart"]).contains(" is ready after "));
    assert!(get(http, "/readyz").starts_with("HTTP/1.1 200 "));
    init.signal(libc::SIGTERM);
    assert_eq!(init.exit_code(), 0);
}

fn get(port: u16, path: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("somebody listens");
    stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a limit");
    write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").expect("it takes the question");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}

/// A verb in the namespaces of the init, which must succeed; what it says.
fn inside(init: &mut Running, words: &[&str]) -> String {
    let output = verb(init, words);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{words:?}: {:?} {}{}", output.status, text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

fn verb(init: &mut Running, words: &[&str]) -> Output {
    let pid = init.init_pid().to_string();
    let mut nsenter = Command::new("timeout");
    nsenter.args(["--signal", "KILL", "30", "nsenter", "--target", &pid, "--user", "--preserve-credentials", "--pid", "--mount", "--"]);
    nsenter.arg(support::init()).args(words).stdin(Stdio::null()).output().expect("timeout and nsenter start")
}

/// The command keeps its rights and starts the app without them, as `su -c` does. The app speaks on the same channel.
#[test]
fn a_low_port_is_not_lent_to_an_app_below_a_command_that_kept_its_rights() {
    let app = dropped(hostile(&["ask", "79"])).join(" ");
    let mut init = Bench::new(&["--hold-port", "--restart", "never"]).command(["sh", "-c", &format!("{app}; exit 0")]);
    assert_eq!(init.out("refused"), format!("refused {}", libc::EACCES));
    assert_eq!(init.exit_code(), 0);
}
