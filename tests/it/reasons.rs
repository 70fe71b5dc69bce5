//! `out of memory` is told of whatever the kernel has killed for want of memory, also in the midst of a planned restart, and of nothing
//! else. The cgroup's count of kills says that there was one, not of whom.

use crate::serving;
use crate::support;

use serde_json::Value;
use serving::{commands, free_port};
use support::{Bench, MemoryCgroup, Running, Stream, fixture};

const LIMIT: u64 = 80;
/// More than the cgroup holds: the kernel kills whoever takes it.
const TOO_MUCH: &str = "allocate 300";

fn start(cgroup: &MemoryCgroup, options: &[&str], statements: &[&str]) -> Running {
    let init = Bench::new(&[&["-v"], options].concat()).scene(&[&cgroup.enter()]).run(statements);
    init.out("up 1");
    init
}

fn last_exit(init: &mut Running, generation: u32) -> Value {
    let is_told = |status: &Value| status["last_exits"][0]["generation"] == generation;
    init.status_with("its end is told", is_told)["last_exits"][0].clone()
}

/// The end of the first generation, in the log and in the status.
fn was_out_of_memory(init: &mut Running) {
    let exit = last_exit(init, 1);
    assert_eq!((&exit["signal"], &exit["reason"]), (&"SIGKILL".into(), &"out of memory".into()), "{exit}");
    let lines = init.lines(Stream::Log);
    assert!(lines.iter().any(|line| line.contains("generation 1 ") && line.contains("out of memory")), "{lines:?}");
}

#[test]
fn a_kill_in_a_planned_restart_is_out_of_memory() {
    let cgroup = MemoryCgroup::limited(LIMIT);
    let mut init = start(&cgroup, &[], &[&format!("on TERM {TOO_MUCH}"), "up", "obey"]);
    let said = init.verb(&["restart"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    init.out("up 2");
    was_out_of_memory(&mut init);
    init.tell("exit 0");
    assert_eq!(init.exit_code(), 0);
}

/// The restart that was to come before the kernel's killer came too late.
#[test]
fn a_kill_in_a_restart_for_the_memory_limit_is_out_of_memory() {
    let cgroup = MemoryCgroup::limited(LIMIT);
    let statements = [&format!("on TERM {TOO_MUCH}"), "up", "at 1 allocate 50", "obey"];
    let mut init = start(&cgroup, &["--max-memory", "40M"], &statements);
    init.log("memory limit");
    init.out("up 2");
    was_out_of_memory(&mut init);
    init.tell("exit 0");
    assert_eq!(init.exit_code(), 0);
}

#[test]
fn a_kill_beside_the_successor_is_out_of_memory() {
    let cgroup = MemoryCgroup::limited(LIMIT);
    let listen = format!("wire listen {}", free_port());
    let mut init = start(&cgroup, &["--hold-port"], &[&format!("on TERM {TOO_MUCH}"), "up", &listen, "pause"]);
    init.out("listening");
    let said = init.verb(&["restart"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    init.out("up 2");
    was_out_of_memory(&mut init);
}

/// It was killed by restartinit, not by the kernel.
#[test]
fn a_grace_period_that_is_over_is_not_out_of_memory() {
    let cgroup = MemoryCgroup::limited(LIMIT);
    let mut init = start(&cgroup, &["--grace-period", "100ms"], &["ignore TERM", "up", "obey"]);
    assert_eq!(init.verb(&["restart"]).code, Some(0));
    init.out("up 2");
    let exit = last_exit(&mut init, 1);
    assert_eq!((&exit["signal"], &exit["reason"]), (&"SIGKILL".into(), &"asked".into()), "{exit}");
    init.tell("exit 0");
    assert_eq!(init.exit_code(), 0);
}

#[test]
fn a_kill_after_a_stop_is_out_of_memory() {
    let cgroup = MemoryCgroup::limited(LIMIT);
    let mut init = start(&cgroup, &[], &[&format!("on TERM {TOO_MUCH}"), "up", "pause"]);
    init.signal(libc::SIGTERM);
    let end = init.end();
    assert_eq!(end.code, Some(137), "{end:?}");
    let last = end.log.last().expect("a last line");
    assert!(last.contains("stopped: ") && last.contains("out of memory"), "{last}");
}

#[test]
fn a_kill_of_the_command_is_out_of_memory() {
    let cgroup = MemoryCgroup::limited(LIMIT);
    let mut init = start(&cgroup, &[], &["up", &format!("at 1 {TOO_MUCH}"), "obey"]);
    init.out("up 2");
    was_out_of_memory(&mut init);
    assert_eq!(init.status()["restarts"]["total"]["out of memory"], 1);
    init.tell("exit 0");
    assert_eq!(init.exit_code(), 0);
}

/// A process in the same cgroup that the kernel kills for want of memory: of a session from outside, or of the command's.
fn another_is_killed(init: &mut Running, cgroup: &MemoryCgroup, whose: &str) {
    if whose == "a session's" {
        let script = format!("'{}' '{}' '{TOO_MUCH}'; echo ended with $?", fixture().display(), cgroup.enter());
        let said = init.enter(&["sh", "-c", &script]).end();
        assert_eq!(said.out.lines().last(), Some("ended with 137"), "{said:?}");
    } else {
        init.tell(&format!("child {whose} say grows / {TOO_MUCH}"));
        init.out("grows");
    }
    init.tell("sleep 3000");
    init.tell("say rested");
    init.out("rested");
}

/// Some time later the command is killed by whoever may. Both were killed in one life of it: only one for want of memory.
fn a_kill_that_anothers_preceded_is_a_kill(whose: &str, then: &[&str]) {
    let cgroup = MemoryCgroup::limited(LIMIT);
    let mut init = start(&cgroup, &[], &["up", "obey"]);
    another_is_killed(&mut init, &cgroup, whose);
    for statement in then {
        init.tell(statement);
    }
    init.tell("say killable");
    init.out("killable");
    let command = commands(&mut init)[0];
    // SAFETY: no pointer is passed; the pid is a child that the init has not collected.
    assert_eq!(unsafe { libc::kill(command, libc::SIGKILL) }, 0);
    init.out("up 2");
    let exit = last_exit(&mut init, 1);
    assert_eq!((&exit["signal"], &exit["reason"]), (&"SIGKILL".into(), &Value::Null), "{exit}");
    let lines = init.lines(Stream::Log);
    assert!(!lines.iter().any(|line| line.contains("generation 1 ") && line.contains("out of memory")), "{lines:?}");
    let status = init.status();
    let total = &status["restarts"]["total"];
    assert_eq!((&total["out of memory"], &total["signal"]), (&0.into(), &1.into()), "{status}");
    init.tell("exit 0");
    assert_eq!(init.exit_code(), 0);
}

#[test]
fn a_kill_that_a_sessions_preceded_is_not_out_of_memory() {
    a_kill_that_anothers_preceded_is_a_kill("a session's", &[]);
}

#[test]
fn a_kill_that_a_childs_preceded_is_not_out_of_memory() {
    a_kill_that_anothers_preceded_is_a_kill("plain", &[]);
}

#[test]
fn a_kill_that_an_orphans_preceded_is_not_out_of_memory() {
    a_kill_that_anothers_preceded_is_a_kill("daemon", &[]);
}

/// Nor does it matter how much the command had taken by then.
#[test]
fn a_kill_of_a_large_command_that_a_sessions_preceded_is_not_out_of_memory() {
    a_kill_that_anothers_preceded_is_a_kill("a session's", &["allocate 68"]);
}

/// And the other way about: the next one is the command's, and is told.
#[test]
fn a_kill_of_the_command_after_anothers_is_out_of_memory() {
    let cgroup = MemoryCgroup::limited(LIMIT);
    let mut init = start(&cgroup, &[], &["up", "obey"]);
    another_is_killed(&mut init, &cgroup, "a session's");
    init.tell(TOO_MUCH);
    init.out("up 2");
    was_out_of_memory(&mut init);
    init.tell("exit 0");
    assert_eq!(init.exit_code(), 0);
}
