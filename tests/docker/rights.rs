//! What restartinit may not signal: the container drops CAP_KILL and the server changes its user; or a root session leaves something behind
//! in a container of another user.

use crate::container::{Container, Spec};

/// Root, which may become somebody else and may not signal whoever has.
const NO_KILL: &str = "--user 0 --cap-drop ALL --cap-add SETUID --cap-add SETGID";

/// The example server, as the user that an entrypoint with gosu or su-exec leaves it as.
const AS_ANOTHER: &str = "node -e process.setgid(1000);process.setuid(1000);require('/app/server.js')";

fn serving(options: &str) -> Container {
    Container::serving(Spec::example().options(NO_KILL).options(options).command(AS_ANOTHER))
}

/// The last line of restartinit's, and its code.
fn cannot_signal(container: &Container, code: i32) {
    let said = container.everything_said();
    let last = said.lines().rfind(|line| line.starts_with("restartinit: ")).expect("a line");
    assert!(last.starts_with("restartinit: cannot-signal: ") && last.contains("CAP_KILL"), "{said}");
    assert!(last.ends_with(&format!("exiting with code {code}")), "{said}");
    assert!(!said.contains("killed by SIGKILL") && !said.contains(": killed"), "{said}");
}

#[test]
fn a_planned_restart_is_refused_and_the_server_goes_on() {
    let container = serving("");
    container.wait_until("it is healthy", || container.try_exec(&[], &["/restartinit", "health"]).0 == Some(0));
    let (code, out, err) = container.try_exec(&[], &["/restartinit", "restart"]);
    assert!(code == Some(1) && out.is_empty() && err.contains("CAP_KILL"), "{code:?} {out} {err}");
    assert!(container.get("/").contains("generation  1"));
    assert_eq!(container.try_exec(&[], &["/restartinit", "health"]).0, Some(0));
    let status = container.status();
    assert_eq!((&status["state"], &status["generation"]), (&"running".into(), &1.into()), "{status}");
}

#[test]
fn a_stop_ends_with_the_grace_period_and_its_code() {
    let container = serving("-e RESTARTINIT_GRACE_PERIOD=1s");
    assert_eq!(container.stop(), 143);
    cannot_signal(&container, 143);
}

#[test]
fn a_server_that_hangs_ends_with_the_container() {
    let container = serving("-e RESTARTINIT_WATCHDOG=1s");
    container.wait_until("it is healthy", || container.try_exec(&[], &["/restartinit", "health"]).0 == Some(0));
    container.get("/hang");
    assert_eq!(container.wait(), 1);
    cannot_signal(&container, 1);
}

#[test]
fn what_a_root_session_left_behind_delays_nothing() {
    let container = Container::serving(Spec::example().options("-e RESTARTINIT_LEFTOVER_TIMEOUT=1h"));
    let left = ["sh", "-c", "setsid sleep 10000 </dev/null >/dev/null 2>&1 & echo $!"];
    let (code, pid, said) = container.try_exec(&["-u", "0"], &left);
    assert_eq!(code, Some(0), "{said}");
    let pid = pid.trim().parse().expect("a pid");
    for generation in [1, 2] {
        container.crash(generation);
    }
    assert!(container.has_process(pid), "{}", container.exec(&["ps"]));
    let status = container.exec(&["/restartinit", "status"]);
    assert!(status.lines().any(|line| line.contains("leftover") && line.contains('1')), "{status}");
    assert_eq!(container.stop(), 0);
    let said = container.everything_said();
    assert_eq!(said.lines().filter(|line| line.contains("leftover") && line.contains("signal")).count(), 1, "told once: {said}");
}
