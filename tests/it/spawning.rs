//! Spawn hygiene: what the command is given, the same in every generation; and where restartinit is an ordinary process, that
//! the command dies with it.

use crate::support;

use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use support::{Bench, Place, Running, Scratch, fixture};

/// Runs two generations that show something, after a scene that the init starts in; gives what both said of it, which must
/// be the same.
fn shown(scene: &[&str], what: &[&str]) -> Vec<String> {
    let show = format!("show {}", what.join(" "));
    let mut init = Bench::new(&[]).scene(scene).run(&["up", &show, "at 1 exit 3", "exit 0"]);
    init.out("up 1");
    let [first, second] = [1, 2].map(|generation| {
        let lines: Vec<String> = what.iter().map(|what| init.out(&format!("{what}:"))).collect();
        if generation == 1 {
            init.out("up 2");
        }
        lines
    });
    assert_eq!(init.exit_code(), 0);
    assert_eq!(first, second, "the second generation");
    first
}

#[test]
fn the_mask_is_empty() {
    assert_eq!(shown(&[], &["mask"]), ["mask: none"]);
    assert_eq!(shown(&["block all"], &["mask"]), ["mask: none"]);
}

#[test]
fn dispositions_are_the_default() {
    let plain = ["ignored: none", "caught: none"];
    assert_eq!(shown(&[], &["ignored", "caught"]), plain);
    let inherited = "ignore INT QUIT TERM PIPE CHLD USR1 TSTP TTIN TTOU WINCH RTMIN+0 RTMIN+30";
    assert_eq!(shown(&[inherited], &["ignored", "caught"]), plain);
}

/// nohup is `ignore HUP` and exec: it must go on working.
#[test]
fn an_inherited_ignore_of_hup_is_kept() {
    let inherited = "ignore HUP INT PIPE";
    assert_eq!(shown(&[inherited], &["ignored", "caught"]), ["ignored: SIGHUP", "caught: none"]);
}

#[test]
fn no_descriptor_is_restartinits_own() {
    assert_eq!(shown(&[], &["descriptors"]), ["descriptors: 0 1 2"]);
}

/// A descriptor that somebody passed on purpose is the command's, as under every other init.
#[test]
fn a_descriptor_that_was_passed_on_is_passed_on() {
    assert_eq!(shown(&["open 3", "open 9"], &["descriptors"]), ["descriptors: 0 1 2 3 9"]);
}

/// With the standard streams closed, restartinit's own descriptors would land there, and be the command's.
#[test]
fn closed_standard_streams_stay_harmless() {
    let scratch = Scratch::new();
    let report = scratch.path("report");
    let script = format!("ls -l /proc/$$/fd >>{report}; [ $RESTARTINIT_GENERATION = 2 ]");
    let mut init = Bench::new(&[]).scene(&["close 0", "close 1", "close 2"]).command(["/bin/sh", "-c", &script]);
    assert_eq!(init.exit_code(), 0);
    for line in scratch.read("report").lines() {
        // The shell's own: its redirection while `ls` runs.
        let harmless = ["/dev/null", "/report"].iter().any(|end| line.ends_with(end)) || !line.contains("->");
        assert!(harmless, "{line}");
    }
}

#[test]
fn the_standard_streams_are_restartinits_own() {
    let scratch = Scratch::new();
    let file = |name: &str| File::create(scratch.path(name)).expect("a file");
    let statements = ["catch USR1", "show stdio", "wait USR1", "at 1 exit 3", "exit 0"];
    let mut init = Bench::new(&[]).input(file("input")).errors(file("errors")).run(&statements);
    for _ in 0..2 {
        let seen = init.out("stdio:");
        let pid = init.init_pid();
        let inode = |at| std::fs::metadata(format!("/proc/{pid}/fd/{at}")).expect("it is open").ino();
        assert_eq!(seen, format!("stdio: {} {} {}", inode(0), inode(1), inode(2)));
        init.signal(libc::SIGUSR1);
    }
    assert_eq!(init.exit_code(), 0);
}

/// They are shared with the command, and so are their flags.
#[test]
fn the_standard_streams_stay_blocking() {
    assert_eq!(shown(&[], &["blocking"]), ["blocking: yes yes yes"]);
}

#[test]
fn the_command_has_a_group_of_its_own_in_the_same_session() {
    let mut init = Bench::new(&[]).run(&["show pid pgid sid ppid", "at 1 exit 3", "exit 0"]);
    let mut sessions = Vec::new();
    for _ in 0..2 {
        let pid = init.out("pid:");
        assert_eq!(init.out("pgid:"), format!("pg{}", pid.replace("pid", "id")));
        sessions.push(init.out("sid:"));
        assert_eq!(init.out("ppid:"), "ppid: 1");
    }
    assert_eq!(sessions[0], sessions[1]);
    assert_eq!(init.exit_code(), 0);
}

#[test]
fn limits_directory_and_umask_are_those_that_were_given() {
    let scene = ["files 123", "chdir /proc/sys", "umask 0027"];
    let shown = shown(&scene, &["files", "directory", "umask"]);
    assert_eq!(shown, ["files: 123", "directory: /proc/sys", "umask: 027"]);
}

fn environment(init: &Running) -> Vec<String> {
    let mut variables = Vec::new();
    loop {
        // Each is one line of its own kind, the end is another.
        let line = init.either("variable:", "variables:");
        if line.starts_with("variables:") {
            return variables;
        }
        variables.push(line);
    }
}

#[test]
fn the_environment_is_as_it_was_and_two_variables_more() {
    let strange = OsStr::from_bytes(b"\xff\xfe = \n x");
    let mut init = Bench::new(&[])
        .bare()
        .variable("PATH", "/usr/bin:/bin")
        .variable("EMPTY", "")
        .variable("STRANGE", strange)
        .variable("RESTARTINIT_MAX_RESTARTS", "3")
        .run(&["show environment", "at 1 die KILL", "exit 0"]);
    // A setting is restartinit's own: a nested one would take it for its own too.
    let given = ["variable: EMPTY=", "variable: PATH=/usr/bin:/bin", r"variable: STRANGE=\xff\xfe = \n x"];
    let mut first = given.to_vec();
    first.push("variable: RESTARTINIT_GENERATION=1");
    first.sort_unstable();
    assert_eq!(environment(&init), first);
    let mut second = given.to_vec();
    second.extend(["variable: RESTARTINIT_GENERATION=2", "variable: RESTARTINIT_LAST_EXIT=SIGKILL"]);
    second.sort_unstable();
    assert_eq!(environment(&init), second);
    assert_eq!(init.exit_code(), 0);
}

/// What tini, dumb-init and catatonit promise too.
mod common {
    use super::*;
    use support::plain;

    /// Whatever looks like an option after the first operand is the command's.
    #[test]
    fn arguments_arrive_as_they_are() {
        let strange = OsStr::from_bytes(b"\xff\xfe\n");
        let fixture = fixture();
        let arguments = ["arguments", "--restart", "never", "-v", "", "--", "a b", "-h", "--version"].map(OsStr::new);
        let command = std::iter::once(fixture.as_os_str()).chain(arguments).chain([strange]);
        let end = plain().command(command).end();
        assert_eq!(end.code, Some(0));
        let expected = ["--restart", "never", "-v", "", "--", "a b", "-h", "--version", r"\xff\xfe\n"];
        assert_eq!(end.out, expected.map(|argument| format!("argument: {argument}")));
    }

    #[test]
    fn the_command_has_no_signal_blocked_and_none_handled() {
        let mut init = plain().run(&["show mask caught", "exit 0"]);
        init.out("mask: none");
        init.out("caught: none");
        assert_eq!(init.exit_code(), 0);
    }

    #[test]
    fn the_command_has_no_descriptor_of_the_inits() {
        let mut init = plain().run(&["show descriptors", "exit 0"]);
        init.out("descriptors: 0 1 2");
        assert_eq!(init.exit_code(), 0);
    }

    #[test]
    fn limits_directory_and_umask_are_those_that_were_given() {
        let scene = ["files 123", "chdir /proc/sys", "umask 0027"];
        let mut init = plain().scene(&scene).run(&["show files directory umask", "exit 0"]);
        init.out("files: 123");
        init.out("directory: /proc/sys");
        init.out("umask: 027");
        assert_eq!(init.exit_code(), 0);
    }

    #[test]
    fn the_command_has_a_process_group_of_its_own() {
        let mut init = plain().run(&["show pid pgid", "exit 0"]);
        let pid = init.out("pid:");
        assert_eq!(init.out("pgid:"), format!("pg{}", pid.replace("pid", "id")));
        assert_eq!(init.exit_code(), 0);
    }

    #[test]
    fn standard_input_is_the_commands() {
        let mut init = plain().run(&["up", "obey"]);
        init.out("up");
        init.tell("say heard");
        init.out("heard");
        init.tell("exit 3");
        assert_eq!(init.exit_code(), 3);
    }
}

/// Killed by KILL it can do nothing any more: the kernel does it, in every generation.
#[test]
fn an_ordinary_restartinit_takes_the_command_with_it() {
    for generation in [1, 2] {
        let mut init = Bench::new(&[]).place(Place::Hosted).run(&["catch all", "up", &format!("until {} exit 3", generation - 1), "pause"]);
        init.out(&format!("up {generation}"));
        init.signal(libc::SIGKILL);
        init.out("init killed by SIGKILL");
        init.out("alone");
        assert_eq!(init.end().code, Some(137));
    }
}

#[test]
fn as_pid_1_the_command_needs_no_death_signal() {
    assert_eq!(shown(&[], &["death-signal"]), ["death-signal: 0"]);
}

/// The kernel sends the death signal when the parent *thread* ends, so the thread that spawns must be the one that stays.
#[test]
fn an_ordinary_process_is_still_there_for_its_command() {
    let mut init = Bench::new(&[]).place(Place::Hosted).run(&["up", "show death-signal", "sleep 300", "exit 0"]);
    assert_eq!(init.out("death-signal:"), "death-signal: 9");
    assert_eq!(init.exit_code(), 0);
}

/// Whoever needed more stack than the child has would run into it, and not into other memory.
#[test]
fn below_the_childs_stack_lies_a_page_without_access() {
    let mut init = Bench::new(&[]).run(&["up", "pause"]);
    init.out("up 1");
    let maps = std::fs::read_to_string(format!("/proc/{}/maps", init.init_pid())).expect("its memory");
    let number = |hex: &str| u64::from_str_radix(hex, 16).expect("an address");
    let regions: Vec<(u64, u64, &str)> = maps
        .lines()
        .filter_map(|line| {
            let mut words = line.split(' ');
            let (from, to) = words.next()?.split_once('-')?;
            Some((number(from), number(to), words.next()?))
        })
        .collect();
    let is_guarded = |pair: &[(u64, u64, &str)]| {
        let [below, stack] = pair else { return false };
        below.2 == "---p" && stack.2 == "rw-p" && below.1 == stack.0 && stack.1 - stack.0 == 64 * 1024
    };
    assert!(regions.windows(2).any(is_guarded), "{maps}");
}
