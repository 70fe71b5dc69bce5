//! What restartinit says never gets in its way: a stderr that is stalled, closed, broken or full.

mod support;

use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use std::fs::File;
use std::io::{PipeWriter, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use support::Bench;

/// A pipe that nobody reads, full to the last byte. Filled through an open file of its own, since blocking or not is a
/// property of that.
fn fill(end: &PipeWriter) {
    let path = format!("/proc/self/fd/{}", end.as_raw_fd());
    let other = open(path.as_str(), OFlag::O_WRONLY | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC, Mode::empty());
    let mut other = File::from(other.expect("the pipe once more"));
    for piece in [&b"x\n".repeat(2048)[..], b"\n"] {
        while other.write(piece).is_ok() {}
    }
}

#[test]
fn a_stalled_stderr_stops_nothing() {
    let (mut reader, writer) = std::io::pipe().expect("a pipe");
    fill(&writer);
    let mut init = Bench::new(&["-vv", "--backoff", "1ms", "--max-restarts", "9"]).errors(OwnedFd::from(writer)).run(&[
        "catch USR1",
        "up",
        "until 4 exit 3",
        "show blocking",
        "obey",
    ]);
    init.out("up 5");
    assert_eq!(init.out("blocking:"), "blocking: yes yes yes", "the flags are the command's too");
    init.signal(libc::SIGUSR1);
    init.out("got SIGUSR1 1");
    // Somebody reads again: what comes now are whole lines.
    let mut old = vec![0; 1 << 16];
    reader.read_exact(&mut old).expect("what was in the pipe");
    init.tell("exit 3");
    init.out("up 6");
    init.signal(libc::SIGTERM);
    assert_eq!(init.exit_code(), 143);
    let mut text = String::new();
    reader.read_to_string(&mut text).expect("text");
    assert!(text.contains("stopped: "), "{text:?}");
    for line in text.lines().filter(|line| !line.is_empty() && *line != "x") {
        assert!(line.starts_with("restartinit: ") && line.matches("restartinit: ").count() == 1, "{line:?}");
    }
}

#[test]
fn a_stalled_stderr_does_not_hold_a_stop() {
    let (_reader, writer) = std::io::pipe().expect("a pipe");
    fill(&writer);
    let mut init = Bench::new(&["-vv"]).errors(OwnedFd::from(writer)).run(&["up", "pause"]);
    init.out("up 1");
    init.signal(libc::SIGTERM);
    assert_eq!(init.exit_code(), 143);
}

#[test]
fn a_closed_a_broken_or_a_full_stderr_stops_nothing() {
    let (reader, broken) = std::io::pipe().expect("a pipe");
    drop(reader);
    let full = File::options().write(true).open("/dev/full").expect("/dev/full");
    let benches =
        [Bench::new(&["-vv"]).scene(&["close 2"]), Bench::new(&["-vv"]).errors(OwnedFd::from(broken)), Bench::new(&["-vv"]).errors(full)];
    for bench in benches {
        let mut init = bench.run(&["up", "until 3 exit 3", "exit 0"]);
        init.out("up 4");
        assert_eq!(init.exit_code(), 0);
    }
}
