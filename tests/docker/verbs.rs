//! The verbs as `docker exec` and HEALTHCHECK run them: in an image without a shell, with a read-only root, as whatever user.

use crate::container::{Container, Spec};

fn waiting(options: &str) -> Container {
    let container = Spec::probe("wait 0 15").options(options).start();
    container.log.wait_for("probe: generation 1");
    container.wait_until("the control socket is there", || container.try_exec(&[], &["/restartinit", "health"]).0 == Some(0));
    container
}

fn works(container: &Container) {
    let text = container.exec(&["/restartinit", "status"]);
    assert!(text.contains("generation 1") && text.contains("probe"), "{text}");
    let told = container.exec(&["/restartinit", "restart"]);
    assert!(told.contains("generation 2"), "{told}");
    container.log.wait_for("probe: generation 2");
    let status = container.status();
    assert_eq!((&status["generation"], &status["restarts"]["used"]), (&2.into(), &0.into()), "{status}");
    container.exec(&["/restartinit", "health"]);
    assert_eq!(container.stop(), 0);
}

#[test]
fn in_an_image_that_holds_nothing_else() {
    works(&waiting(""));
}

#[test]
fn with_a_read_only_root_no_capabilities_and_no_root_user() {
    works(&waiting("--read-only --cap-drop ALL --security-opt no-new-privileges --user 12345:54321"));
}

#[test]
fn as_root_without_capabilities() {
    works(&waiting("--cap-drop ALL"));
}

#[test]
fn another_user_may_not_restart() {
    let container = waiting("");
    let (code, out, err) = container.try_exec(&["-u", "12345"], &["/restartinit", "restart"]);
    assert_eq!((code, out.as_str()), (Some(1), ""), "{err}");
    assert!(err.lines().count() == 1 && (err.contains("root") || err.contains("user")), "{err}");
    let status = container.status();
    assert_eq!(status["generation"], 1, "{status}");
    assert_eq!(container.stop(), 0);
}

/// Root of the container asks a restartinit that runs as somebody else.
#[test]
fn root_may_restart_what_another_user_runs() {
    let container = waiting("--user 12345");
    let (code, out, err) = container.try_exec(&["-u", "0"], &["/restartinit", "restart"]);
    assert_eq!(code, Some(0), "{out}{err}");
    container.log.wait_for("probe: generation 2");
    let (code, _, err) = container.try_exec(&["-u", "999"], &["/restartinit", "restart"]);
    assert_eq!(code, Some(1), "{err}");
    assert_eq!(container.stop(), 0);
}

/// Docker asks by itself, and says what it was told.
#[test]
fn health_is_dockers_health() {
    // As in a Dockerfile: HEALTHCHECK CMD ["/restartinit", "health"]. The option of `docker run` goes through a shell, which is not there.
    let spec = Spec::image(crate::images::with_health_check()).command("/probe wait 0 37").options("-e RESTARTINIT_DRAIN_DELAY=1h");
    let container = spec.start();
    container.wait_until_inspect("{{.State.Health.Status}}", "healthy");
    container.kill("TERM");
    container.wait_until_inspect("{{.State.Health.Status}}", "unhealthy");
    let told = container.inspect("{{json .State.Health.Log}}");
    assert!(told.contains("restartinit: ") && (told.contains("drain") || told.contains("stop")), "{told}");
    container.kill("KILL");
}

/// Two containers in one network namespace, as in a pod: each has its own.
#[test]
fn two_containers_that_share_the_network_are_not_confused() {
    let first = waiting("");
    let spec = Spec::probe("wait 0 15");
    let second = spec.sharing_network(&first).start();
    second.log.wait_for("probe: generation 1");
    second.wait_until("the control socket is there", || second.try_exec(&[], &["/restartinit", "health"]).0 == Some(0));
    second.exec(&["/restartinit", "restart"]);
    second.log.wait_for("probe: generation 2");
    assert_eq!((&first.status()["generation"], &second.status()["generation"]), (&1.into(), &2.into()));
    assert_eq!(second.stop(), 0);
    first.exec(&["/restartinit", "health"]);
    assert_eq!(first.stop(), 0);
}

/// Two containers that share the PID namespace too, as `shareProcessNamespace: true` has it: each verb reaches its own, whichever began or ends
/// first, and whoever runs them.
#[test]
fn two_containers_that_share_the_processes_are_not_confused() {
    for user in ["", " --user 12345"] {
        let first = waiting("");
        let second = Spec::probe("wait 0 15").sharing_network(&first).options(&format!("--pid container:{}{user}", first.name())).start();
        second.log.wait_for("probe: generation 1");
        second.wait_until("it is healthy", || second.try_exec(&[], &["/restartinit", "health"]).0 == Some(0));
        let pid = |container: &Container| container.status()["init"]["pid"].as_i64();
        assert!(pid(&first) == Some(1) && pid(&second).is_some_and(|pid| pid > 1), "{:?} {:?}", pid(&first), pid(&second));
        second.exec(&["/restartinit", "restart"]);
        second.log.wait_for("probe: generation 2");
        assert_eq!((&first.status()["generation"], &second.status()["generation"]), (&1.into(), &2.into()));
        first.exec(&["/restartinit", "restart"]);
        assert_eq!((&first.status()["generation"], &second.status()["generation"]), (&2.into(), &2.into()));
        assert_eq!(second.stop(), 0);
        first.exec(&["/restartinit", "health"]);
        assert_eq!(first.stop(), 0);
    }
}

/// In the container whose restartinit has ended, or that never had one, no other container's answers.
#[test]
fn no_verb_takes_another_containers_answer() {
    let first = waiting("");
    let options = format!("--pid container:{} --entrypoint /probe", first.name());
    let other = Spec::image(crate::images::scratch()).command("wait 0 15").sharing_network(&first).options(&options).start();
    other.log.wait_for("probe: generation");
    for verb in ["health", "status", "restart"] {
        let (code, out, err) = other.try_exec(&[], &["/restartinit", verb]);
        assert!(
            code == Some(1) && out.is_empty() && err.contains("no restartinit in this container, but in another one"),
            "{code:?} {out} {err}"
        );
    }
    assert_eq!(first.status()["generation"], 1);
    other.kill("KILL");
    assert_eq!(first.stop(), 0);
}
