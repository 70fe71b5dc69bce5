//! What restartinit says never gets in its way: a stderr that is stalled, closed, broken or full.

use crate::support;

use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use std::fs::File;
use std::io::{PipeWriter, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use support::strace::Trace;
use support::{Bench, End, Scratch, fixture, init};

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

/// Where splice(2) is denied, by each of the two errors that profiles have for it.
const DENIALS: [&str; 2] = ["deny splice EPERM", "deny splice ENOSYS"];

/// restartinit in that scene, and a fixture for its command: as itself, and as a user to whom the pipe does not belong, so that it
/// cannot be opened anew. Only root has such another user.
fn as_owner_and_as_stranger(options: &[&str], run: impl Fn(Bench, &str)) {
    // SAFETY: no precondition.
    assert_eq!(unsafe { libc::geteuid() }, 0, "this needs root: nobody else can become another user");
    let scratch = Scratch::new();
    let (program, command) = (scratch.copy(&init(), "restartinit"), scratch.copy(&fixture(), "fixture"));
    for denial in DENIALS {
        for scene in [&[denial][..], &[denial, "user 54321"]] {
            println!("{scene:?}");
            run(Bench::new(options).program(&program).scene(scene), &command);
        }
    }
}

const COUNT: usize = 100;
/// A hundred restarts at once, each line told.
const TALKATIVE: [&str; 7] = ["-v", "--max-restarts", "100", "--restart-window", "0", "--backoff", "0"];

/// A line for each start and each end, and nothing that is no line.
fn every_line_is_there(end: &End) {
    let ours: Vec<&String> = end.log.iter().filter(|line| line.starts_with("restartinit: ")).collect();
    for what in [" started", " exited with code 3 "] {
        assert_eq!(ours.iter().filter(|line| line.contains(what)).count(), COUNT + 1, "{what}: {ours:?}");
    }
    let torn = end.log.iter().filter(|line| line.matches("restartinit: ").count() > 1 || line.ends_with("restartinit:"));
    assert_eq!(torn.collect::<Vec<_>>(), [""; 0]);
}

#[test]
fn without_splice_no_line_is_lost() {
    as_owner_and_as_stranger(&TALKATIVE, |bench, command| {
        let end = bench.command([command, "exit 3"]).end();
        assert_eq!(end.code, Some(3), "{end:?}");
        every_line_is_there(&end);
    });
}

/// What the command writes as well leaves less room in the pipe, from one moment to the next.
#[test]
fn without_splice_no_line_is_lost_beside_another_writer() {
    as_owner_and_as_stranger(&TALKATIVE, |bench, _| {
        let chatter = "i=0; while [ $i -lt 300 ]; do echo some-line-of-the-app-$i >&2; i=$((i+1)); done; exit 3";
        let end = bench.command(["/bin/sh", "-c", chatter]).end();
        assert_eq!(end.code, Some(3), "{:?}", end.log.last());
        every_line_is_there(&end);
    });
}

#[test]
fn without_splice_a_stalled_stderr_stops_nothing() {
    as_owner_and_as_stranger(&["-vv", "--backoff", "1ms", "--max-restarts", "9"], |bench, command| {
        let (_reader, writer) = std::io::pipe().expect("a pipe");
        fill(&writer);
        let mut init = bench.errors(OwnedFd::from(writer)).command([command, "up", "until 4 exit 3", "show blocking", "pause"]);
        init.out("up 5");
        assert_eq!(init.out("blocking:"), "blocking: yes yes yes", "the flags are the command's too");
        init.signal(libc::SIGTERM);
        assert_eq!(init.exit_code(), 143);
    });
}

/// Who looks for room and then writes may find it gone: strace holds the init between the two, while somebody else fills the pipe that
/// nobody reads. It would sleep for ever.
#[test]
fn without_splice_a_pipe_that_fills_up_meanwhile_stops_nothing() {
    let options = ["-v", "--max-restarts", "100000", "--restart-window", "0", "--backoff", "0"];
    for _ in 0..3 {
        as_owner_and_as_stranger(&options, |bench, command| {
            let (_reader, writer) = std::io::pipe().expect("a pipe");
            let other = writer.try_clone().expect("a duplicate");
            let mut init = bench.errors(OwnedFd::from(writer)).command([command, "up", "exit 3"]);
            let _held = Trace::attach(&mut init, &["-e", "trace=poll,ppoll", "-e", "inject=poll,ppoll:delay_exit=20000"]);
            init.out("up 3");
            fill(&other);
            init.signal(libc::SIGTERM);
            assert!([3, 143].contains(&init.exit_code()));
        });
    }
}
