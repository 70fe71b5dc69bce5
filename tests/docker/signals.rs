//! `docker kill -s` reaches the command, whatever the signal.

use crate::container::Spec;

#[test]
fn every_kind_of_signal_arrives() {
    let container = Spec::probe("wait 0 15").start();
    container.log.wait_for("probe: generation 1");
    // One by one: two of a kind that are pending together are one.
    for (name, number) in [("HUP", 1), ("USR1", 10), ("USR2", 12), ("WINCH", 28), ("PIPE", 13), ("RTMIN+3", 37), ("RTMAX", 64)] {
        container.kill(name);
        container.log.wait_for(&format!("probe: signal {number}\n"));
    }
    assert_eq!(container.stop(), 0);
    let said = container.everything_said();
    assert_eq!(said.matches("probe: signal ").count(), 8, "each once, and the stop: {said}");
    assert!(!said.contains("probe: generation 2"), "{said}");
}

#[test]
fn the_next_generation_gets_them_too() {
    let container = Spec::probe("wait 9 10").start();
    container.log.wait_for("probe: generation 1");
    container.kill("USR1");
    container.log.wait_for("probe: generation 2");
    container.kill("USR2");
    container.log.wait_for("probe: signal 12\n");
}

#[test]
fn a_reload_signal_that_ends_the_server_is_a_crash() {
    // Node has no handler for HUP in the example: it dies of it, and nobody asked for a stop.
    let container = crate::container::Container::serving(Spec::example());
    // In its first second it is spared.
    container.exec(&["sleep", "2"]);
    container.kill("HUP");
    container.wait_for_server(2);
    container.log.wait_for("was killed by SIGHUP");
}
