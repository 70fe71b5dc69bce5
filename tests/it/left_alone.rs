//! What is not ended with the command: leftovers that shall be kept, children that restartinit had before, and sessions that
//! came into the container from outside.

use crate::support;

use std::process::{Command, Stdio};
use support::{Bench, KINDS, Place};

#[test]
fn they_can_be_kept() {
    for kind in KINDS {
        let mut init = Bench::new(&["--leftovers", "keep"]).run(&[
            &format!("at 1 child {kind} catch TERM USR1 / wait USR1"),
            "up",
            "at 1 obey",
            "show processes",
            "exit 0",
        ]);
        init.out("up 1");
        init.tell("exit 3");
        init.out("up 2");
        assert_ne!(init.out("processes:"), "processes: none", "{kind}");
        let end = init.end();
        assert_eq!(end.code, Some(0));
        assert!(end.signals().is_empty(), "{end:?}");
    }
}

/// Kept ones of an ordinary process survive it too: they lose a parent and nothing else.
#[test]
fn kept_ones_outlive_an_ordinary_process() {
    let mut init =
        Bench::new(&["--leftovers", "keep"]).place(Place::Hosted).run(&["child daemon catch TERM / say daemon / obey", "exit 0"]);
    init.out("init exited with 0");
    assert_ne!(init.out("left behind:"), "left behind: none");
    init.tell("exit 0");
    init.out("alone");
    assert!(init.end().signals().is_empty());
}

#[test]
fn a_child_from_before_is_no_leftover() {
    let mut init = Bench::new(&["--leftover-timeout", "100ms"]).scene(&["child plain catch all / pause"]).run(&[
        "child daemon on TERM exit 0 / pause",
        "up",
        "at 1 obey",
        "exit 0",
    ]);
    init.out("up 1");
    init.tell("exit 3");
    init.out("got SIGTERM");
    init.out("up 2");
    init.out("got SIGTERM");
    let end = init.end();
    assert_eq!(end.code, Some(0));
    assert_eq!(end.signals(), ["SIGTERM", "SIGTERM"], "the daemons', none to the one from before: {end:?}");
}

/// What `docker exec` does: a process enters the namespace from outside, and is nobody's descendant there.
#[test]
fn a_process_that_came_from_outside_is_left_alone() {
    let mut init = Bench::new(&["--leftover-timeout", "100ms"]).run(&[
        "at 1 child daemon ignore TERM / pause",
        "up",
        "at 1 obey",
        "show processes",
        "obey",
    ]);
    init.out("up 1");
    let pid = init.init_pid().to_string();
    // SAFETY: no precondition.
    let user: &[&str] = if unsafe { libc::geteuid() } == 0 { &[] } else { &["--user", "--preserve-credentials"] };
    let mut session = Command::new("nsenter")
        .args(["--target", &pid, "--pid", "--mount"])
        .args(user)
        .args(["--", "sh", "-c", "echo in; read line; echo \"$line\"; exit 6"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("nsenter (Debian: util-linux)");
    let mut output = std::io::BufReader::new(session.stdout.take().expect("its output"));
    let mut line = String::new();
    std::io::BufRead::read_line(&mut output, &mut line).expect("a line");
    assert_eq!(line, "in\n");
    init.tell("exit 3");
    init.out("up 2");
    assert_ne!(init.out("processes:"), "processes: none", "the session is there");
    std::io::Write::write_all(&mut session.stdin.take().expect("its input"), b"well\n").expect("it listens");
    line.clear();
    std::io::BufRead::read_line(&mut output, &mut line).expect("a line");
    assert_eq!(line, "well\n");
    assert_eq!(session.wait().expect("its end").code(), Some(6));
    init.tell("exit 0");
    assert_eq!(init.exit_code(), 0);
}

/// The pids in another namespace's /proc are somebody else's here: nobody is signalled by them.
#[test]
fn what_a_foreign_proc_shows_is_left_alone() {
    let init = support::init();
    let line = format!("'{}' --max-restarts 0 sh -c 'sleep 60 & exit 3'", init.display());
    // Without --mount-proc, /proc is still that of the namespace outside.
    let mut unshare = Command::new("unshare");
    // SAFETY: no precondition.
    if unsafe { libc::geteuid() } != 0 {
        unshare.args(["--user", "--map-root-user"]);
    }
    let output = unshare.args(["--pid", "--fork", "--kill-child", "sh", "-c", &format!("exec {line}")]).output().expect("unshare");
    let log = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{log}");
    assert!(log.contains("it shows another PID namespace") && !log.contains("SIGTERM sent"), "{log}");
    assert!(!log.contains("mounted"), "it is: {log}");
}
