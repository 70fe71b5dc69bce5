//! A crash is followed by the next generation, and Docker notices nothing.

use crate::container::{Container, Spec};
use crate::engine::output;

/// What would change if Docker had had a hand in it. The pid is that of restartinit.
const LIFE: &str = "{{.Id}} {{.State.StartedAt}} {{.State.Pid}} {{.RestartCount}}";

#[test]
fn the_server_is_back_in_the_same_container() {
    let container = Container::serving(Spec::example());
    let before = container.inspect(LIFE);

    container.crash(1);

    let page = container.get("/");
    assert!(page.contains("generation  2") && page.contains("last exit   1\n"), "{page}");
    assert_eq!(container.inspect(LIFE), before);
    assert!(before.ends_with(" 0"), "RestartCount: {before}");
    container.log.wait_for("exited with code 1");
    container.log.wait_for("restart 1 of 5 now");
}

#[test]
fn whatever_ends_the_server_is_named() {
    let container = Container::serving(Spec::example());
    for (generation, (fault, said, last_exit)) in [
        ("/exit?code=7", "exited with code 7", "last exit   7\n"),
        ("/throw", "exited with code 1", "last exit   1\n"),
        ("/signal?name=SIGSEGV", "was killed by SIGSEGV", "last exit   SIGSEGV\n"),
    ]
    .into_iter()
    .enumerate()
    {
        container.get(fault);
        container.wait_for_server(generation as u32 + 2);
        container.log.wait_for(said);
        let page = container.get("/");
        assert!(page.contains(last_exit), "after {fault}: {page}");
    }
}

#[test]
fn out_of_memory_takes_the_server_and_not_the_container() {
    let container = Container::serving(Spec::example().options("--memory 160m --memory-swap 160m"));
    let before = container.inspect(LIFE);

    // The server dies in the midst of its answer.
    let client = output(["exec", container.name(), "wget", "-q", "-O", "-", "http://127.0.0.1:3000/leak?mb=1000"]);
    assert!(!client.status.success());

    container.wait_for_server(2);
    container.log.wait_for("was killed by SIGKILL (out of memory) after");
    assert_eq!(container.inspect(LIFE), before);
}

#[test]
fn a_success_is_no_crash() {
    let container = Container::serving(Spec::example().options("-e RESTARTINIT_LOG=info"));
    container.get("/exit?code=0");
    assert_eq!(container.wait(), 0);
    let said = container.everything_said();
    assert!(said.contains("restartinit: completed: ") && !said.contains("generation 2"), "{said}");
}

#[test]
fn a_healthy_run_says_nothing() {
    let container = Container::serving(Spec::example());
    assert_eq!(container.stop(), 0);
    let said = container.everything_said();
    assert!(!said.contains("restartinit:"), "{said}");
}
