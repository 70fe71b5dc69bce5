//! What the server leaves behind in its container: zombies are reaped, and survivors are gone before the next generation.

use crate::container::{Container, Spec};

#[test]
fn orphans_are_reaped_while_the_server_runs() {
    let container = Container::serving(Spec::example());
    let orphan = container.get_number("/zombie");
    container.wait_until_gone(orphan);
    assert!(container.get("/").contains("generation  1"));
}

#[test]
fn survivors_are_gone_when_the_next_generation_starts() {
    let container = Container::serving(Spec::example());
    let (first, second) = (container.get_number("/leftover"), container.get_number("/leftover"));
    assert!(container.has_process(first) && container.has_process(second));

    container.crash(1);

    assert!(!container.has_process(first) && !container.has_process(second), "{}", container.exec(&["ps"]));
}

#[test]
fn one_that_is_deaf_to_sigterm_is_killed() {
    let container = Container::serving(Spec::example().options("-e RESTARTINIT_LEFTOVER_TIMEOUT=200ms"));
    let leftover = container.get_number("/leftover?stubborn=1");
    assert!(container.has_process(leftover));

    container.crash(1);

    assert!(!container.has_process(leftover), "{}", container.exec(&["ps"]));
    container.log.wait_for("SIGKILL sent");
}

#[test]
fn they_can_be_kept() {
    let container = Container::serving(Spec::example().options("-e RESTARTINIT_LEFTOVERS=keep"));
    let leftover = container.get_number("/leftover");
    container.crash(1);
    assert!(container.has_process(leftover), "{}", container.exec(&["ps"]));
}
