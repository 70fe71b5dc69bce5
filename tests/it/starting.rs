//! The start, from an environment, descriptors and a place that are not as usual; and a command that cannot be executed: the line says
//! why, and guesses nothing that is not the case.

use crate::support;

mod messages;

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::process::Command;
use support::settings::refused;
use support::{Bench, Place, Running, Scratch, fixture, init};

/// Beside its own PID namespace, in which only its first child will be: the kernel makes that PID 1, and its end is the namespace's.
fn without_fork(shell: &str) -> (Option<i32>, String) {
    let mut unshare = Command::new("timeout");
    unshare.args(["--signal", "KILL", "30", "unshare"]);
    // SAFETY: no precondition.
    if unsafe { libc::geteuid() } != 0 {
        unshare.args(["--user", "--map-root-user"]);
    }
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("RESTARTINIT_")) {
        unshare.env_remove(name);
    }
    let output = unshare.args(["--pid", "--"]).arg(init()).args(["--", "sh", "-c", shell]).output().expect("timeout and unshare");
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

/// `unshare --pid` without `--fork`.
#[test]
fn where_nothing_can_be_restarted_the_first_run_counts() {
    for (ending, code) in [("exit 5", 5), ("exit 0", 0), ("kill -9 $$; exit 6", 6)] {
        let (ended, log) = without_fork(ending);
        assert_eq!(ended, Some(code), "{ending}: {log}");
        let says = |line: &str| {
            let line = line.trim_start_matches("restartinit: ");
            line.contains("restart") && (line.contains("--fork") || line.contains("PID namespace"))
        };
        assert_eq!(log.lines().filter(|line| says(line)).count(), 1, "{ending}: it says that nothing can be restarted here: {log}");
        assert!(!log.contains("restart 1 of"), "{ending}: {log}");
    }
}

/// A client that does not wait finds no place in the queue any more.
fn fill(path: &str) -> (OwnedFd, Vec<OwnedFd>) {
    let unix = || {
        // SAFETY: no pointer is passed, and the descriptor that comes back is ours.
        unsafe { OwnedFd::from_raw_fd(libc::socket(libc::AF_UNIX, libc::SOCK_STREAM | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC, 0)) }
    };
    // SAFETY: an all-zero address is valid.
    let mut address: libc::sockaddr_un = unsafe { std::mem::zeroed() };
    address.sun_family = libc::AF_UNIX as libc::sa_family_t;
    address.sun_path.iter_mut().zip(path.bytes()).for_each(|(place, byte)| *place = byte as libc::c_char);
    let (place, length) = ((&raw const address).cast(), size_of_val(&address) as libc::socklen_t);
    let listener = unix();
    // SAFETY: the address is valid for its length.
    unsafe {
        assert_eq!(libc::bind(listener.as_raw_fd(), place, length), 0, "{}", std::io::Error::last_os_error());
        assert_eq!(libc::listen(listener.as_raw_fd(), 1), 0);
    }
    let mut clients = vec![unix()];
    // SAFETY: as above.
    while unsafe { libc::connect(clients[clients.len() - 1].as_raw_fd(), place, length) } == 0 {
        clients.push(unix());
    }
    assert_eq!(std::io::Error::last_os_error().kind(), std::io::ErrorKind::WouldBlock);
    (listener, clients)
}

/// Somebody listens there, and is far behind: to ask by connecting would wait for that.
#[test]
fn a_path_whose_queue_is_full_is_in_use() {
    let scratch = Scratch::new();
    let path = scratch.path("app.sock");
    let _queue = fill(&path);
    let address = format!("unix:{path}");
    let end = Bench::new(&["--listen", &address]).run(&["up"]).end();
    refused(&end, &[&address, "in use"]);
    assert!(std::fs::exists(&path).expect("the folder"), "it was another's");
}

/// What is behind the descriptors that the command was given in the place of closed ones, one a line.
fn assert_harmless(report: &str, closed: &[usize]) {
    let lines: Vec<&str> = report.lines().collect();
    assert_eq!(lines.len(), 3, "{closed:?}: {report}");
    let own = ["socket:", "anon_inode:", "/proc"];
    for descriptor in closed {
        assert!(!own.iter().any(|kind| lines[*descriptor].contains(kind)), "{closed:?}: {report}");
    }
}

/// A line and 125, or it works. The standard library of the language wants /dev/null in the place of each, and may have none.
#[test]
fn closed_standard_streams_without_a_dev_null_are_no_fault() {
    for closed in [&[][..], &[0_usize], &[1], &[2], &[0, 1], &[0, 2], &[1, 2], &[0, 1, 2]] {
        let scratch = Scratch::new();
        let report = scratch.path("report");
        let mut scene = vec!["empty /dev".to_owned()];
        scene.extend(closed.iter().map(|descriptor| format!("close {descriptor}")));
        let scene: Vec<&str> = scene.iter().map(String::as_str).collect();
        // The shell itself opens nothing but the report, as descriptor 7. Whatever it was given can be used like what is closed or null:
        // it ends at once, takes what is written, or is an error, and kills nobody.
        let read = if closed.contains(&0) { "read line" } else { ":" };
        let shell = format!(
            "exec 7>>'{report}'; for n in 0 1 2; do readlink /proc/$$/fd/$n >&7 || echo closed >&7; done; \
             {read}; echo out; echo err >&2; exit 7"
        );
        let end = Bench::new(&["--restart", "never"]).scene(&scene).command(["/bin/sh", "-c", &shell]).end();
        match end.code {
            Some(7) => assert_harmless(&scratch.read("report"), closed),
            Some(125) => assert_eq!(end.log.len(), usize::from(!closed.contains(&2)), "{closed:?}: {end:?}"),
            _ => panic!("{closed:?}: {end:?}"),
        }
        assert!(!closed.is_empty() || end.code == Some(7), "nothing is wanting: {end:?}");
    }
}

/// The entries of the command's environment, as they are.
fn entries(init: &Running) -> Vec<String> {
    let mut entries = Vec::new();
    loop {
        let line = init.either("entry: ", "entries: end");
        match line.strip_prefix("entry: ") {
            Some(entry) => entries.push(entry.to_owned()),
            None => return entries,
        }
    }
}

/// What tini, dumb-init and catatonit promise too.
mod common {
    use super::*;
    use support::plain;

    #[test]
    fn the_first_process_of_a_namespace_gives_its_code() {
        assert_eq!(without_fork("exit 5").0, Some(5));
    }

    /// As getenv(3) has it.
    #[test]
    fn the_first_of_two_paths_counts() {
        let scratch = Scratch::new();
        let mut folders = Vec::new();
        for (folder, code) in [("one", 5), ("two", 6)] {
            std::fs::create_dir(scratch.path(folder)).expect("a folder");
            scratch.executable(&format!("{folder}/the-command"), format!("#!/bin/sh\nexit {code}\n").as_bytes());
            folders.push(scratch.path(folder));
        }
        for (first, second, code) in [(0, 1, 5), (1, 0, 6)] {
            let scene = [format!("entry PATH={}", folders[first]), format!("entry PATH={}", folders[second])];
            let bench = plain().bare().scene(&scene.each_ref().map(String::as_str));
            assert_eq!(bench.command(["the-command"]).exit_code(), code);
        }
    }

    #[test]
    fn an_entry_without_a_value_is_passed_on() {
        let scene = ["entry PATH=/usr/bin:/bin", "entry STRANGE", "entry ANOTHER\u{1}", "entry LAST=1"];
        let mut init = plain().bare().scene(&scene).run(&["show entries", "exit 0"]);
        let entries = entries(&init);
        for expected in ["STRANGE", r"ANOTHER\x01", "LAST=1", "PATH=/usr/bin:/bin"] {
            assert_eq!(entries.iter().filter(|entry| *entry == expected).count(), 1, "{expected}: {entries:?}");
        }
        assert_eq!(init.exit_code(), 0);
    }
}

/// And is passed on in each generation.
#[test]
fn an_entry_without_a_value_is_passed_on_again() {
    let mut init = Bench::new(&[]).bare().scene(&["entry STRANGE", "entry LAST=1"]).run(&["show entries", "at 1 exit 3", "exit 0"]);
    for _ in 0..2 {
        let entries = entries(&init);
        assert!(["STRANGE", "LAST=1"].iter().all(|entry| entries.iter().any(|each| each == entry)), "{entries:?}");
    }
    assert_eq!(init.exit_code(), 0);
}

/// What the command was told of passed sockets, in two generations; and its pid.
fn passed(init: &mut Running) -> Vec<(String, Vec<String>)> {
    let told = (0..2).map(|_| {
        let pid = init.out("pid:").replace("pid: ", "");
        assert!(init.out("descriptors:").ends_with(" 3"), "the socket is there");
        (pid, entries(init).into_iter().filter(|entry| entry.starts_with("LISTEN_")).collect())
    });
    told.collect()
}

const SHOWN: [&str; 4] = ["show pid descriptors", "show entries", "at 1 exit 3", "exit 0"];

/// A socket that was passed to restartinit is for its command: without the command's own pid no library takes it.
#[test]
fn a_passed_socket_is_the_commands() {
    let scene = ["open 3"];
    let variables = |bench: Bench| bench.bare().variable("LISTEN_FDS", "1").variable("LISTEN_FDNAMES", "web");
    let as_pid_1 = variables(Bench::new(&[])).variable("LISTEN_PID", "1").scene(&scene).run(&SHOWN);
    // Its pid is known to itself alone.
    let hosted = variables(Bench::new(&["-c", "LISTEN_PID=$$ exec \"$0\" \"$@\""])).program("/bin/sh").place(Place::Hosted);
    let hosted = hosted.scene(&scene).option(init()).option("--").option(fixture());
    let hosted = SHOWN.iter().fold(hosted, |bench, statement| bench.option(*statement)).start();
    for mut init in [as_pid_1, hosted] {
        for (pid, told) in passed(&mut init) {
            assert_eq!(told.iter().filter(|entry| **entry == format!("LISTEN_PID={pid}")).count(), 1, "{pid}: {told:?}");
            assert!(
                told.len() == 3 && told.contains(&"LISTEN_FDS=1".to_owned()) && told.contains(&"LISTEN_FDNAMES=web".to_owned()),
                "{told:?}"
            );
        }
        assert_eq!(init.exit_code(), 0);
    }
}

#[test]
fn a_socket_that_was_passed_to_another_is_not_the_commands() {
    let bench = Bench::new(&[]).bare().variable("LISTEN_FDS", "1").variable("LISTEN_PID", "4711").scene(&["open 3"]);
    let mut init = bench.run(&SHOWN);
    for (_, mut told) in passed(&mut init) {
        told.sort();
        assert_eq!(told, ["LISTEN_FDS=1", "LISTEN_PID=4711"]);
    }
    assert_eq!(init.exit_code(), 0);
}
