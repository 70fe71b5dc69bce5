//! restartinit as a job of an interactive shell: it stops and goes on with its command, and in the background it leaves the
//! terminal alone.

use crate::support;

use support::{Bench, Running, Scratch, fixture, init};

/// A shell on a terminal that knows the init as `$INIT` and the fixture as `$FIXTURE`, at its prompt.
fn shell() -> Running {
    let shell = Bench::shell().variable("INIT", init()).variable("FIXTURE", fixture()).start();
    shell.screen("prompt> ");
    shell
}

#[test]
fn ctrl_c_ends_the_job_once() {
    let mut shell = shell();
    shell.tell("$INIT --restart always -- $FIXTURE 'catch INT USR1' up obey; echo \"status $?\"");
    shell.screen("up 1");
    shell.keys("\x03");
    shell.screen("got SIGINT 1 from the kernel");
    shell.tell("raise USR1");
    shell.screen("got SIGUSR1 1");
    shell.tell("exit 7");
    shell.screen("status 7");
    assert!(!shell.screen_lines().iter().any(|line| line.contains("SIGINT 2")));
}

#[test]
fn ctrl_c_that_kills_the_command_is_130() {
    let mut shell = shell();
    shell.tell("$INIT -- $FIXTURE up 'at 1 exit 1' pause");
    shell.screen("up 2");
    shell.keys("\x03");
    shell.screen("prompt> ");
    shell.tell("echo \"status $?\"");
    shell.screen("status 130");
}

#[test]
fn ctrl_z_stops_the_job_and_fg_continues_it() {
    let mut shell = shell();
    shell.tell("$INIT -- $FIXTURE up obey");
    shell.screen("up 1");
    for _ in 0..2 {
        shell.keys("\x1a");
        shell.screen("Stopped");
        shell.screen("prompt> ");
        shell.tell("fg");
        shell.screen("FIXTURE");
        shell.tell("say back");
        shell.screen("back");
        // Restarted once between the two.
        shell.tell("exit 1");
        shell.screen("up");
    }
    shell.tell("exit 0");
    shell.screen("prompt> ");
    shell.tell("echo \"status $?\"");
    shell.screen("status 0");
}

/// The command asks for it itself, as an editor does: its group stops, and the shell must see restartinit stop.
#[test]
fn a_command_that_stops_its_group_stops_the_job() {
    let mut shell = shell();
    shell.tell("$INIT -- sh -c 'echo one; kill -TSTP 0; echo two; exit 0'");
    shell.screen("one");
    shell.screen("Stopped");
    shell.screen("prompt> ");
    shell.tell("fg; echo \"status $?\"");
    shell.screen("two");
    shell.screen("status 0");
}

#[test]
fn in_the_background_it_leaves_the_terminal_alone() {
    let mut shell = shell();
    shell.tell("$INIT -- $FIXTURE up 'show foreground' 'at 1 exit 1' 'wait TERM' &");
    for generation in [1, 2] {
        shell.screen(&format!("up {generation}"));
        shell.screen("foreground: no");
    }
    shell.tell("echo \"shell $((40 + 2))\"");
    shell.screen("shell 42");
    shell.tell("kill %1; wait %1; echo \"status $?\"");
    shell.screen("status 143");
}

/// The shell edits its own line meanwhile: what restartinit puts right between two generations in front is not its to touch here.
#[test]
fn in_the_background_it_leaves_the_terminals_modes_alone() {
    let mut shell = shell();
    let scratch = Scratch::new();
    let begun = scratch.path("begun");
    // Other modes at the start than later.
    shell.tell(&format!(
        "stty -isig; $INIT -- $FIXTURE up 'touch {begun}' 'at 1 sleep 1000' 'at 1 exit 1' 'wait TERM' & until [ -e {begun} ]; do :; done; stty isig"
    ));
    let shows = |line: &str| shell.screen_lines().iter().any(|shown| shown.contains(line));
    shell.until("the command runs", || shows("up 1"));
    shell.screen("prompt> ");
    let before = shell.modes();
    shell.until("it is restarted", || shows("up 2"));
    assert_eq!(shell.modes(), before);
    shell.tell("kill %1; wait %1; echo \"status $?\"");
    shell.screen("status 143");
}

/// A command in the background that reads is stopped by the terminal, with restartinit: no crash, and `fg` goes on with both.
#[test]
fn a_reader_in_the_background_stops_until_it_is_in_front() {
    let mut shell = shell();
    shell.tell("$INIT -- sh -c 'echo begun; read line; echo \"heard $line\"' &");
    shell.screen("begun");
    shell.tell("until jobs %1 | grep Stopped; do :; done; echo \"shell $((40 + 2))\"");
    shell.screen("shell 42");
    shell.tell("fg");
    shell.screen("INIT");
    shell.tell("this");
    shell.screen("heard this");
    shell.screen("prompt> ");
    shell.tell("echo \"status $?\"");
    shell.screen("status 0");
}

/// The job's group is the command's too, and so restartinit hears what it sends there: once is enough.
#[test]
fn a_signal_to_the_shared_group_is_not_forwarded_again() {
    let mut shell = shell();
    shell.tell("$INIT --group --restart never -- $FIXTURE 'catch USR1 USR2' up 'signal-parent USR1' 'wait USR1' 'signal-parent USR2' 'wait USR2' 'exit 7'; echo \"status $?\"");
    shell.screen("status 7");
    let lines = shell.screen_lines();
    let told: Vec<&String> = lines.iter().filter(|line| line.contains("got SIG")).collect();
    assert!(told.len() == 2 && told[0].contains("SIGUSR1 1") && told[1].contains("SIGUSR2 1"), "{told:?}");
}
