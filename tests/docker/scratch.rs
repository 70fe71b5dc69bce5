//! An image that holds one static file: no shell, no library, no /etc, no /tmp.

use crate::container::Spec;
use crate::images;

fn restartinit(arguments: &str) -> Spec {
    Spec::image(images::scratch()).options("--entrypoint /restartinit").command(arguments)
}

#[test]
fn it_runs_alone() {
    let (code, said) = restartinit("-V").run_to_end();
    assert_eq!(code, 0, "{said}");
    assert_eq!(said, concat!("restartinit ", env!("CARGO_PKG_VERSION"), "\n"));
}

#[test]
fn it_restarts_and_hands_over() {
    let (code, said) = restartinit("--max-restarts 2 /probe exit 3").options("--read-only").run_to_end();
    assert_eq!(code, 3, "{said}");
    for generation in 1..=3 {
        assert!(said.contains(&format!("probe: generation {generation}, ")), "{said}");
    }
    assert_eq!(said.matches("probe:").count(), 3, "{said}");
}

#[test]
fn it_supervises_itself() {
    // The inner one is no PID 1; it hands over twice, the first time to the outer one.
    let (code, said) = restartinit("--max-restarts 1 /restartinit --max-restarts 1 -- /probe exit 3").run_to_end();
    assert_eq!(code, 3, "{said}");
    assert_eq!(said.matches("probe: generation 1,").count(), 2, "{said}");
    assert_eq!(said.matches("probe: generation 2,").count(), 2, "{said}");
    assert_eq!(said.matches("restartinit: restarts-exhausted: ").count(), 3, "{said}");
}

#[test]
fn a_shell_that_is_not_there_is_not_found() {
    let (code, said) = restartinit("sh -c true").run_to_end();
    assert_eq!(code, 127, "{said}");
    assert!(said.contains("restartinit: cannot-execute: "), "{said}");
}
