//! A `docker exec` session is nobody's descendant: whoever looks into a crashing container is not thrown out.

use std::io::Write;
use std::process::{Command, Stdio};

use crate::container::{Container, Spec};
use crate::transcript::Transcript;

#[test]
fn a_session_survives_restarts_and_what_they_clear_away() {
    let container = Container::serving(Spec::example());
    let leftover = container.get_number("/leftover");
    // A shell with a child, so that a process of the session that is not its first one is there to be hit as well.
    let mut session = Command::new("docker")
        .args(["exec", "-i", container.name(), "sh", "-c", "cat; echo cat ended with $?"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("docker can be run");
    let said = Transcript::default();
    said.follow(session.stdout.take().expect("piped"));
    let mut keyboard = session.stdin.take().expect("piped");
    keyboard.write_all(b"before\n").expect("the session reads");
    said.wait_for("before\n");

    for generation in 1..=3 {
        container.crash(generation);
        keyboard.write_all(format!("after {generation}\n").as_bytes()).expect("the session reads");
        said.wait_for(&format!("after {generation}\n"));
    }

    drop(keyboard);
    assert!(said.wait_for_end().ends_with("after 3\ncat ended with 0\n"));
    assert!(session.wait().expect("a child of ours").success());
    assert!(!container.has_process(leftover), "the restarts did clear away what was the server's");
}
