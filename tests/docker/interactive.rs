//! `docker run -it`: Ctrl-C reaches the command once and is a stop; every generation has the terminal.

use crate::container::Spec;
use crate::images;
use crate::terminal::{CTRL_C, CTRL_Z, Terminal};

fn shell() -> Spec {
    // The base has no restartinit of its own, so it is the example with another command.
    Spec::image(images::example()).command("sh")
}

#[test]
fn ctrl_c_ends_a_server_that_dies_of_it() {
    let mut terminal = Terminal::open(&Spec::example());
    terminal.screen.wait_for("generation 1: listening");
    terminal.press(CTRL_C);
    let (code, screen) = terminal.close();
    assert_eq!(code, Some(130), "{screen}");
    assert!(!screen.contains("generation 2"), "{screen}");
}

#[test]
fn ctrl_c_ends_a_command_with_its_own_code() {
    let mut terminal = Terminal::open(&Spec::probe("wait 7 2"));
    terminal.screen.wait_for("probe: generation 1");
    terminal.press(CTRL_C);
    let (code, screen) = terminal.close();
    assert_eq!(code, Some(7), "{screen}");
    assert!(!screen.contains("generation 2"), "{screen}");
}

#[test]
fn ctrl_c_arrives_once() {
    let mut terminal = Terminal::open(&Spec::probe("wait 7 12"));
    terminal.screen.wait_for("probe: generation 1");
    terminal.press(CTRL_C);
    terminal.screen.wait_for("probe: signal 2\r\n");
    // By the time these have come through restartinit, so would a second Ctrl-C have.
    terminal.signal("USR1");
    terminal.screen.wait_for("probe: signal 10\r\n");
    terminal.signal("USR2");
    let (code, screen) = terminal.close();
    assert_eq!(code, Some(7), "{screen}");
    assert_eq!(screen.matches("probe: signal 2\r\n").count(), 1, "{screen}");
    // A stop was asked for: that it took another signal to end makes no crash of it.
    assert!(!screen.contains("probe: generation 2"), "{screen}");
}

#[test]
fn ctrl_c_is_a_stop_after_a_restart_too() {
    let mut terminal = Terminal::open(&Spec::probe("wait 9 10"));
    terminal.screen.wait_for("probe: generation 1");
    terminal.signal("USR1");
    terminal.screen.wait_for("probe: generation 2");
    terminal.press(CTRL_C);
    terminal.screen.wait_for("probe: signal 2\r\n");
    terminal.signal("USR1");
    let (code, screen) = terminal.close();
    assert_eq!(code, Some(9), "{screen}");
    assert!(!screen.contains("probe: generation 3"), "{screen}");
}

#[test]
fn a_shell_has_its_job_control_in_every_generation() {
    let mut terminal = Terminal::open(&shell());
    // A shell that is not at its prompt may swallow what is typed meanwhile.
    let prompts = |count: usize| move |screen: &str| screen.matches("/app $ ").count() == count;
    for generation in 1..=3 {
        let before = (generation - 1) * 4;
        terminal.screen.wait_until("a first prompt", prompts(before + 1));
        // The quotes keep the echo of what is typed apart from what is printed.
        terminal.enter("echo gene''ration-$RESTARTINIT_GENERATION", &format!("generation-{generation}\r\n"));
        terminal.screen.wait_until("a prompt", prompts(before + 2));
        terminal.enter(&format!("echo star''ting-{generation}; cat"), &format!("starting-{generation}\r\n"));
        terminal.enter(&format!("one-{generation}"), &format!("one-{generation}\r\none-{generation}\r\n"));
        terminal.press(CTRL_Z);
        terminal.screen.wait_until("that cat stopped", |screen| screen.matches("Stopped").count() == generation);
        terminal.screen.wait_until("a prompt after Ctrl-Z", prompts(before + 3));
        terminal.enter(&format!("echo resu''ming-{generation}; fg"), &format!("resuming-{generation}\r\ncat\r\n"));
        terminal.enter(&format!("two-{generation}"), &format!("two-{generation}\r\ntwo-{generation}\r\n"));
        // For cat alone: to restartinit it would be a stop.
        terminal.press(CTRL_C);
        terminal.screen.wait_until("a prompt after Ctrl-C", prompts(before + 4));
        terminal.press(if generation < 3 { "exit 3\n" } else { "exit 0\n" });
    }
    let (code, screen) = terminal.close();
    assert_eq!(code, Some(0), "{screen}");
}
