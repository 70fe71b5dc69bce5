//! What restartinit may not signal: PID 1 is root without CAP_KILL, and the command has changed its user, so that kill(2) gives EPERM.
//! It is never told as killed, stopped or well. Leftovers of that kind are in rights/leftovers.rs.

use crate::serving;
use crate::support;

mod leftovers;

use serde_json::Value;
use serving::{free_port, get, last_word};
use std::net::Ipv4Addr;
use std::time::Duration;
use support::{Bench, End, Place, Running, Scratch, Stream, newest_node};

/// Root as `--cap-drop ALL --cap-add SETUID --cap-add SETGID` leaves it, but that it reaches the files of these tests wherever they are
/// (DAC_OVERRIDE).
fn confined(options: &[&str]) -> Bench {
    // SAFETY: no precondition.
    assert_eq!(unsafe { libc::geteuid() }, 0, "this needs root: an ordinary user cannot become another");
    Bench::new(options).scene(&["keep-capabilities 1 6 7"])
}

/// Says why: the missing capability, and who cannot be signalled for the want of it.
fn says_why(line: &str, pid: &str) {
    let names_pid = line.split(|letter: char| !letter.is_ascii_alphanumeric()).any(|word| word == pid);
    assert!(line.contains("CAP_KILL") && names_pid, "not CAP_KILL and pid {pid}: {line}");
}

/// Nothing was said to have happened that had not.
fn nothing_untrue(log: &[String]) {
    for untrue in ["SIGKILL sent", "was killed", ": killed", "restart 1 of", "stopped: ", "retired"] {
        assert!(!log.iter().any(|line| line.contains(untrue)), "{untrue:?}: {log:?}");
    }
}

fn becomes_healthy(init: &mut Running) {
    while init.verb(&["health"]).code != Some(0) {
        assert!(!init.late(), "the deadline passed: it is never healthy");
    }
}

/// The first generation serves as if nothing had been asked, and is alone but for the standby.
fn goes_on_serving(init: &mut Running, port: u16, serve: &str) {
    let said = init.verb(&["health"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    let status = init.status();
    assert_eq!((&status["generation"], &status["ready"], &status["state"]), (&1.into(), &true.into(), &"running".into()), "{status}");
    let roles = status["generations"].as_array().expect("a list").iter().filter(|each| each["role"] != "standby");
    assert_eq!(roles.count(), 1, "{status}");
    init.tell(serve);
    assert_eq!(get(Ipv4Addr::LOCALHOST, port, "/"), "1");
}

/// `restart` ends with 1 and a line, and nothing is otherwise than before.
fn a_planned_restart_is_refused(place: Place, options: &[&str]) {
    let port = free_port();
    let (listen, serve) = match options {
        [] => (format!("listen {port}"), "accept 3"),
        _ => (format!("wire listen {port}"), "wire serve"),
    };
    let has_standby = options.contains(&"--standby");
    let mut init = confined(&[&["-v"], options].concat()).place(place).run(&["user 1000", "up", &listen, "catch TERM", "say in", "obey"]);
    let up = init.out("up 1");
    init.out("in");
    if has_standby {
        init.log("waits as standby");
    }
    becomes_healthy(&mut init);
    let said = init.verb(&["restart"]);
    assert!(said.complaint(1).contains("CAP_KILL"), "{said:?}");
    says_why(&init.log("CAP_KILL"), last_word(&up));
    goes_on_serving(&mut init, port, serve);
    init.tell("exit 0");
    let end = init.end();
    assert_eq!((end.code, end.signals().len()), (Some(0), 0), "{end:?}");
    assert_eq!(end.generations(), if has_standby { 2 } else { 1 }, "{end:?}");
    nothing_untrue(&end.log);
}

#[test]
fn a_planned_restart_is_refused_before_anything_is_disturbed() {
    a_planned_restart_is_refused(Place::Pid1, &[]);
}

#[test]
fn a_planned_restart_is_refused_by_an_ordinary_process_too() {
    a_planned_restart_is_refused(Place::Hosted, &[]);
}

/// Or both would serve, for ever.
#[test]
fn a_planned_restart_with_an_overlap_is_refused() {
    a_planned_restart_is_refused(Place::Pid1, &["--hold-port"]);
}

#[test]
fn a_planned_restart_beside_a_standby_is_refused() {
    a_planned_restart_is_refused(Place::Pid1, &["--standby"]);
}

/// It is looked at every few seconds, and a planned restart is tried again after half a minute: in this time both happen.
#[test]
fn too_much_memory_disturbs_nobody_and_is_told_once() {
    let port = free_port();
    let statements = ["user 1000", "up", &format!("listen {port}"), "catch TERM", "allocate 100", "obey"];
    let mut init = confined(&["--max-memory", "64M"]).run(&statements);
    init.allow(Duration::from_secs(60));
    let up = init.out("up 1");
    let line = init.log("CAP_KILL");
    says_why(&line, last_word(&up));
    assert!(line.contains("memory"), "it says what for: {line}");
    init.tell("sleep 40000");
    init.tell("say rested");
    init.out("rested");
    goes_on_serving(&mut init, port, "accept 3");
    init.tell("exit 0");
    let end = init.end();
    assert_eq!((end.code, end.generations(), end.signals().len()), (Some(0), 1, 0), "{end:?}");
    assert_eq!(end.logged("CAP_KILL").len(), 1, "{end:?}");
    nothing_untrue(&end.log);
}

/// The end of PID 1 by the one means that it has, told in the last line and in the termination log.
struct Story(Scratch);

impl Story {
    fn bench(&self, options: &[&str]) -> Bench {
        std::fs::write(self.0.path("termination"), "").expect("the file that Kubernetes makes");
        confined(options).option("--termination-log").option(self.0.path("termination"))
    }

    fn check(&self, end: &End, code: i32, pid: &str, reasons: &[&str]) {
        assert_eq!(end.code, Some(code), "{end:?}");
        let last = end.log.last().expect("a last line");
        assert!(last.starts_with("restartinit: cannot-signal: "), "{last}");
        assert!(last.ends_with(&format!("; exiting with code {code}")), "{last}");
        says_why(last, pid);
        assert!(reasons.iter().any(|reason| last.contains(reason)), "it says what for, {reasons:?}: {last}");
        nothing_untrue(&end.log);
        let written = self.0.read("termination");
        let written: Value = serde_json::from_str(&written).unwrap_or_else(|error| panic!("{error}: {written:?}"));
        assert_eq!((&written["outcome"], &written["exit_code"]), (&"cannot-signal".into(), &code.into()), "{written}");
        assert!(written["message"].as_str().is_some_and(|message| message.contains("CAP_KILL")), "{written}");
    }
}

#[test]
fn where_a_blocked_loop_cannot_be_killed_pid_1_exits() {
    let story = Story(Scratch::new());
    let script = "process.setgid(1000); process.setuid(1000); caught('SIGTERM'); told(() => hang());
        require('node:net').createServer().listen(0, '127.0.0.1', () => { say('pid', process.pid); up(); });";
    let mut init = story.bench(&["--watchdog", "1s"]).node(newest_node(), script);
    let pid = init.out("pid");
    init.out("up 1");
    becomes_healthy(&mut init);
    init.tell("hang");
    story.check(&init.end(), 1, last_word(&pid), &["event loop blocked for 1 s"]);
}

#[test]
fn where_what_is_never_ready_cannot_be_killed_pid_1_exits() {
    let story = Story(Scratch::new());
    let mut init = story.bench(&["--wait-ready", "500ms"]).run(&["user 1000", "up", "pause"]);
    let up = init.out("up 1");
    story.check(&init.end(), 1, last_word(&up), &["not ready in time"]);
}

/// The code is that of a command that the stop has ended.
#[test]
fn where_the_grace_period_ends_nobody_pid_1_exits() {
    for (signal, code) in [(libc::SIGTERM, 143), (libc::SIGINT, 130)] {
        let story = Story(Scratch::new());
        let mut init = story.bench(&["--grace-period", "300ms"]).run(&["user 1000", "up", "pause"]);
        let up = init.out("up 1");
        init.signal(signal);
        story.check(&init.end(), code, last_word(&up), &["grace period", "did not stop in time"]);
    }
}

/// No limit was set, so nobody is due to be killed: it waits, as ever, and does not pretend that the command was asked.
#[test]
fn a_stop_that_cannot_be_passed_on_is_told() {
    for place in [Place::Pid1, Place::Hosted] {
        let mut init = confined(&[]).place(place).run(&["user 1000", "catch TERM", "up", "obey"]);
        let up = init.out("up 1");
        init.signal(libc::SIGTERM);
        says_why(&init.log("CAP_KILL"), last_word(&up));
        init.verb(&["health"]).complaint(1);
        nothing_untrue(&init.lines(Stream::Log));
        init.tell("exit 5");
        let end = init.end();
        assert_eq!((end.code, end.signals().len()), (Some(5), 0), "{end:?}");
    }
}

/// Its end would end nobody else: it goes on, and says that it does not do what it was told to do.
fn an_ordinary_process_goes_on(options: &[&str], is_stopped: bool, code: i32) {
    let mut init = confined(options).place(Place::Hosted).run(&["user 1000", "up", "obey"]);
    let up = init.out("up 1");
    if is_stopped {
        init.signal(libc::SIGTERM);
    }
    says_why(&init.log("CAP_KILL"), last_word(&up));
    while !init.verb(&["health"]).complaint(1).contains("CAP_KILL") {
        assert!(!init.late(), "the deadline passed: health has another reason");
    }
    // By now whatever was due is over, also where the line came with the signal that could not be passed on.
    init.tell("sleep 1000");
    init.tell("say rested");
    init.out("rested");
    let status = init.status();
    assert_eq!((&status["generation"], &status["ready"]), (&1.into(), &false.into()), "{status}");
    nothing_untrue(&init.lines(Stream::Log));
    init.tell(&format!("exit {code}"));
    init.out(&format!("init exited with {code}"));
    let end = init.end();
    assert_eq!((end.code, end.generations()), (Some(code), 1), "{end:?}");
}

#[test]
fn an_ordinary_process_says_so_of_what_is_never_ready_and_goes_on() {
    an_ordinary_process_goes_on(&["--wait-ready", "500ms"], false, 0);
}

#[test]
fn an_ordinary_process_says_so_of_what_does_not_stop_and_goes_on() {
    an_ordinary_process_goes_on(&["--grace-period", "300ms"], true, 4);
}
