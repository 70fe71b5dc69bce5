//! The terminal, restartinit being PID 1 there as under `docker run -it`: keys reach the command exactly once, and every
//! generation has the terminal. What happens under a shell is in job_control.rs.

use crate::support;

use support::{Bench, Place, Running};

const CTRL_C: &str = "\x03";
const CTRL_BACKSLASH: &str = "\x1c";

fn on_terminal(options: &[&str]) -> Bench {
    Bench::new(options).place(Place::Terminal)
}

/// Two signals pass through the init one after the other: what it had to forward before them has arrived by then.
fn settle(init: &mut Running) {
    init.signal(libc::SIGUSR1);
    init.screen("got SIGUSR1 ");
    init.signal(libc::SIGUSR2);
    init.screen("got SIGUSR2 ");
}

fn said(init: &Running, text: &str) -> usize {
    init.screen_lines().iter().filter(|line| line.contains(text)).count()
}

/// What tini, dumb-init and catatonit promise too.
mod common {
    use super::*;
    use support::plain;

    #[test]
    fn ctrl_c_reaches_the_command_once() {
        let mut init = plain().place(Place::Terminal).run(&["catch INT USR1 USR2", "up", "obey"]);
        init.screen("up ");
        init.keys(CTRL_C);
        init.screen("got SIGINT 1");
        settle(&mut init);
        assert_eq!(said(&init, "got SIGINT"), 1);
        init.tell("exit 3");
        assert_eq!(init.exit_code(), 3);
    }

    #[test]
    fn a_resize_is_told_once() {
        let mut init = plain().place(Place::Terminal).run(&["catch WINCH USR1 USR2", "up", "obey"]);
        init.screen("up ");
        init.resize(50, 100);
        init.screen("got SIGWINCH 1");
        settle(&mut init);
        assert_eq!(said(&init, "got SIGWINCH"), 1);
        init.tell("exit 3");
        assert_eq!(init.exit_code(), 3);
    }
}

#[test]
fn ctrl_c_reaches_the_command_once_and_is_a_stop() {
    for code in [0, 1, 130] {
        let mut init = on_terminal(&["--restart", "always"]).run(&["catch INT USR1 USR2", "up", "obey"]);
        init.screen("up 1");
        init.keys(CTRL_C);
        init.screen("got SIGINT 1 from the kernel");
        settle(&mut init);
        assert_eq!(said(&init, "got SIGINT"), 1);
        init.tell(&format!("exit {code}"));
        assert_eq!(init.exit_code(), code);
        assert_eq!(said(&init, "up "), 1, "no restart");
    }
}

#[test]
fn ctrl_c_that_kills_the_command_is_a_stop() {
    for (key, code) in [(CTRL_C, 130), (CTRL_BACKSLASH, 131)] {
        for policy in ["on-failure", "always"] {
            let mut init = on_terminal(&["--restart", policy]).run(&["up", "pause"]);
            init.screen("up 1");
            init.keys(key);
            assert_eq!(init.exit_code(), code);
            assert_eq!(said(&init, "up "), 1, "no restart");
        }
    }
}

#[test]
fn after_a_restart_it_is_the_same() {
    let mut init = on_terminal(&[]).run(&["catch INT USR1 USR2", "up", "obey"]);
    for ending in ["exit 1", "die KILL"] {
        init.screen("up");
        init.tell("say heard");
        init.screen("heard");
        init.tell(ending);
    }
    init.screen("up 3");
    init.tell("show foreground");
    init.screen("foreground: yes");
    init.keys(CTRL_C);
    init.screen("got SIGINT 1 from the kernel");
    settle(&mut init);
    assert_eq!(said(&init, "got SIGINT"), 1);
    init.tell("die INT");
    assert_eq!(init.exit_code(), 130);
    assert_eq!(said(&init, "up "), 3);
}

#[test]
fn ctrl_c_in_the_backoff_is_a_stop() {
    let mut init = on_terminal(&["--backoff", "1h", "--backoff-max", "1h"]).run(&["up", "exit 3"]);
    init.screen("restart 2 of 5 in");
    init.keys(CTRL_C);
    assert_eq!(init.exit_code(), 3);
    assert_eq!(said(&init, "up "), 2);
}

#[test]
fn a_second_ctrl_c_reaches_the_command_too() {
    let mut init = on_terminal(&[]).run(&["catch INT", "up", "wait INT", "wait INT", "exit 3"]);
    init.screen("up 1");
    init.keys(CTRL_C);
    init.screen("got SIGINT 1");
    init.keys(CTRL_C);
    init.screen("got SIGINT 2");
    assert_eq!(init.exit_code(), 3);
}

#[test]
fn ctrl_c_starts_the_grace_period() {
    let mut init = on_terminal(&["--grace-period", "200ms"]).run(&["catch INT", "up", "pause"]);
    init.screen("up 1");
    init.keys(CTRL_C);
    assert_eq!(init.exit_code(), 137);
}

/// The same number from elsewhere: `docker kill -s INT`. The command has not got that one yet.
#[test]
fn what_the_terminal_did_not_send_is_forwarded() {
    let mut init = on_terminal(&[]).run(&["catch INT QUIT WINCH TSTP HUP", "up", "obey"]);
    init.screen("up 1");
    for (signal, name) in
        [(libc::SIGWINCH, "WINCH"), (libc::SIGTSTP, "TSTP"), (libc::SIGHUP, "HUP"), (libc::SIGQUIT, "QUIT"), (libc::SIGINT, "INT")]
    {
        init.signal(signal);
        init.screen(&format!("got SIG{name} 1 from pid 1"));
    }
    init.tell("exit 3");
    assert_eq!(init.exit_code(), 3);
}

#[test]
fn a_resize_is_told_once() {
    let mut init = on_terminal(&[]).run(&["catch WINCH USR1 USR2", "up", "at 1 exit 1", "obey"]);
    init.screen("up 2");
    init.resize(20, 70);
    init.screen("got SIGWINCH 1");
    settle(&mut init);
    assert_eq!(said(&init, "got SIGWINCH"), 1);
    init.tell("exit 0");
    assert_eq!(init.exit_code(), 0);
}

/// A hang-up is sent to the session's leader alone, and that is restartinit.
#[test]
fn a_hang_up_reaches_the_command() {
    let mut init = Bench::new(&[]).place(Place::TerminalInput).run(&["catch HUP", "up", "wait HUP", "exit 3"]);
    init.out("up 1");
    init.hang_up();
    init.out("got SIGHUP 1");
}

/// A shell insists: it takes the terminal for a group of its own, and its group dies with it.
#[test]
fn an_interactive_shell_has_its_job_control_in_every_generation() {
    let mut init =
        on_terminal(&[]).variable("PS1", "prompt> ").variable("TERM", "dumb").command(["/bin/bash", "--norc", "--noprofile", "-i"]);
    for (generation, ending) in [(1, "exit 3"), (2, "kill -KILL $$"), (3, "exit 0")] {
        init.screen("prompt> ");
        init.tell("echo generation $RESTARTINIT_GENERATION");
        init.screen(&format!("generation {generation}"));
        init.screen("prompt> ");
        // A job of its own in the foreground: Ctrl-C ends that job, and nothing else.
        init.tell("sh -c 'echo inner; exec sleep 1000'");
        init.screen("inner");
        init.keys(CTRL_C);
        init.screen("prompt> ");
        init.tell("echo \"after $?\"");
        init.screen("after 130");
        init.screen("prompt> ");
        // Ctrl-Z stops a job, fg brings it back.
        init.tell("sh -c 'echo inner; exec sleep 1000'");
        init.screen("inner");
        init.keys("\x1a");
        init.screen("Stopped");
        init.screen("prompt> ");
        init.tell("kill -KILL %1; while kill -0 %1 2>/dev/null; do :; done; echo none");
        init.screen("none");
        init.screen("prompt> ");
        init.tell(ending);
    }
    assert_eq!(init.exit_code(), 0);
    assert_eq!(said(&init, "no job control"), 0);
}

/// Piped output and a terminal as input: `docker run -it ... | tee`.
#[test]
fn the_terminal_may_be_the_input_only() {
    let mut init = Bench::new(&[]).place(Place::TerminalInput).run(&["up", "at 1 obey", "show foreground", "pause"]);
    init.out("up 1");
    init.tell("exit 1");
    init.out("up 2");
    init.out("foreground: yes");
    init.keys(CTRL_C);
    let end = init.end();
    assert_eq!(end.code, Some(130));
    assert_eq!(end.generations(), 2);
}

/// Two others fill it all the time, and somebody reads: a terminal that is full now takes a line a moment later.
#[test]
fn no_line_of_restartinits_is_lost_beside_other_writers() {
    const RESTARTS: usize = 100;
    let count = RESTARTS.to_string();
    let options = ["-v", "--max-restarts", &count, "--backoff", "1ms", "--backoff-max", "1ms", "--leftovers", "keep"];
    let line = "some-line-of-the-app-".repeat(19);
    let chatter = format!("chatter() {{ i=0; while [ $i -lt 100 ]; do echo {line}; i=$((i+1)); done; }}; chatter & chatter; exit 3");
    let mut init = on_terminal(&options).command(["/bin/sh", "-c", &chatter]);
    assert_eq!(init.exit_code(), 3);
    let screen = init.screen_lines();
    let missing = |what: &str| -> Vec<usize> {
        let told: Vec<&String> = screen.iter().filter(|line| line.contains("restartinit: ") && line.contains(what)).collect();
        (1..=RESTARTS + 1).filter(|generation| !told.iter().any(|line| line.contains(&format!("generation {generation} (")))).collect()
    };
    assert_eq!(missing(" started"), [0; 0], "of {}", RESTARTS + 1);
    assert_eq!(missing(" exited with code 3 "), [0; 0], "of {}", RESTARTS + 1);
}
