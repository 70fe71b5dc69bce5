//! What a turn costs, in system calls of PID 1, counted by strace: figures that do not drift as timings do. A limit is what the turn
//! needs today; a test fails when a call is added, and its message shows the calls.

use crate::support;

use std::process::{Command, Stdio};

use support::strace::{Trace, asleep};
use support::{Bench, FREELY, Running, Scratch, init};

/// A forwarded signal: the ppoll that sleeps for the next one, the read that takes it, kill. The floor is as high: an init must sleep,
/// learn the number and send it. tini has sigtimedwait, kill and a waitpid.
const FORWARDED_SIGNAL: usize = 3;
/// An orphan that ends alone: ppoll, the read of its CHLD, the wait4 that reaps it, and the wait4 that finds no more. The last is needed as
/// CHLD coalesces: without another look a second orphan could be missed.
const ORPHAN: usize = 4;
/// An orphan among many: the wait4 that reaps it, which is the floor. All else is for each wake-up.
const ORPHAN_IN_A_FLOOD: usize = 1;
/// A restart: ppoll, the read of its CHLD, the wait4 that reaps the command, the wait4 that says that there is no other child (so no
/// leftovers to look for), rt_sigpending (a signal that waits goes first), clone, and, where there is a memory cgroup, pread of its
/// count of out-of-memory kills. The floor, a loop that knows nothing of signals, leftovers and memory, has wait4 and vfork.
const RESTART: usize = 7;
/// Its line in the log, where stderr is a pipe: a write to the pipe, opened anew so that it can be told not to wait.
const LOG_LINE: usize = 1;
/// What the new process does before it is the command: setpgid; prlimit64, which gives back the limit of queued signals; fcntl for each of descriptors 0 to 2, which the one before may have left
/// non-blocking; rt_sigprocmask; execve, which is the floor.
const BEFORE_THE_COMMAND: usize = 7;
/// From the first act, which blocks the signals, to the clone of the first command, but for the one that sets the disposition of each signal
/// and those that take memory: who we are and in which namespaces, the descriptors, the terminal, the control socket.
const START: usize = 40;
/// Memory that is taken and given back meanwhile: a buffer of the standard library's stdin alone costs a tenth of the start.
const MEMORY_OF_A_START: usize = 16;
/// Reads of the clock: before and after the sleep, after a spawn, and after what else may have taken its time.
const READS_A_TURN: usize = 4;
/// Asleep, nothing at all.
const IDLE: usize = 0;

/// The calls that take memory from the kernel and give it back.
const MEMORY: [&str; 6] = ["brk", "mmap", "munmap", "mremap", "madvise", "mprotect"];

/// One system call: who, which, and what came back as far as that was on the same line.
#[derive(Debug)]
struct Call {
    pid: i32,
    name: String,
    result: Option<i64>,
}

/// On the init and on what it spawns.
fn trace(init: &mut Running) -> Trace {
    Trace::attach(init, &["-f"])
}

/// The calls since, without the one in which the init slept when strace came.
fn calls(trace: Trace, init: &Running) -> Vec<Call> {
    trace.end(init).iter().filter_map(|line| Call::read(line)).skip(1).collect()
}

impl Call {
    /// `12  kill(2, SIGUSR1) = 0`; not the lines about signals and ends, nor the second half of a call that another one interrupted.
    fn read(line: &str) -> Option<Self> {
        let (pid, rest) = line.split_once(' ')?;
        let (name, rest) = rest.trim_start().split_once('(')?;
        let is_name = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        let result = rest.rsplit_once(" = ").and_then(|(_, result)| result.split(' ').next()?.parse().ok());
        (is_name && !name.is_empty()).then(|| Self { pid: pid.parse().expect("a pid"), name: name.to_owned(), result })
    }
}

fn names(calls: &[&Call]) -> String {
    calls.iter().map(|call| call.name.as_str()).collect::<Vec<_>>().join(" ")
}

/// Reads of the clock are none where the kernel gives the C library a function for it; where it does not (musl on arm64), they are few.
fn own(calls: &[Call], pid: i32) -> Vec<&Call> {
    let (reads, own): (Vec<&Call>, Vec<&Call>) = calls.iter().filter(|call| call.pid == pid).partition(|call| call.name == "clock_gettime");
    let sleeps = own.iter().filter(|call| call.name == "ppoll").count();
    assert!(reads.len() <= READS_A_TURN * (sleeps + 1), "{} reads of the clock in {sleeps} turns: {}", reads.len(), names(&own));
    own
}

fn assert_within(calls: &[&Call], times: usize, limit: usize) {
    assert!(calls.len() <= times * limit, "{} calls for {times}, the limit is {limit} for each: {}", calls.len(), names(calls));
    let taken = calls.iter().find(|call| MEMORY.contains(&call.name.as_str()));
    assert!(taken.is_none(), "in the steady state it takes no memory from the kernel and gives none back: {}", names(calls));
}

#[test]
fn a_start() {
    let folder = Scratch::new();
    let mut strace = Command::new("strace");
    strace.args(["-f", "-qq", "-o", &folder.path("calls")]).arg(init()).args(["--", "/bin/true"]).stdin(Stdio::null());
    // As many variables as an orchestrator's: what is done for each of them counts.
    strace.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    strace.envs((0..100).map(|number| (format!("SERVICE_{number}_ADDRESS"), format!("tcp://10.96.0.{number}:443"))));
    assert!(strace.status().expect("strace (Debian: strace) starts").success());
    let lines = folder.read("calls");
    let calls: Vec<Call> =
        lines.lines().skip_while(|line| !line.contains("rt_sigprocmask(SIG_SETMASK, ~[")).filter_map(Call::read).collect();
    let ours = own(&calls, calls.first().expect("it has blocked the signals").pid);
    let spawn = ours.iter().position(|call| ["clone", "clone3", "vfork"].contains(&call.name.as_str())).expect("it has spawned");
    let (memory, rest): (Vec<&Call>, Vec<&Call>) = ours[..spawn].iter().partition(|call| MEMORY.contains(&call.name.as_str()));
    let rest: Vec<&Call> = rest.into_iter().filter(|call| call.name != "rt_sigaction").collect();
    assert!(rest.len() <= START, "{} calls, the limit is {START}: {}", rest.len(), names(&rest));
    assert!(memory.len() <= MEMORY_OF_A_START, "{} calls, the limit is {MEMORY_OF_A_START}: {}", memory.len(), names(&memory));
}

/// After the command's first second, in which it is looked at before each.
#[test]
fn a_forwarded_signal() {
    let mut init = Bench::new(&[]).run(&["catch USR1", "sleep 1200", "up", "obey"]);
    init.out("up");
    init.signal(libc::SIGUSR1);
    init.out("got SIGUSR1 1");
    let trace = trace(&mut init);
    let pid = trace.pid;
    for count in 2..12 {
        init.signal(libc::SIGUSR1);
        init.out(&format!("got SIGUSR1 {count}"));
        init.until("it sleeps", || asleep(pid));
    }
    let calls = calls(trace, &init);
    let calls = own(&calls, pid);
    assert_eq!(calls.iter().filter(|call| call.name == "kill").count(), 10, "{}", names(&calls));
    assert_within(&calls, 10, FORWARDED_SIGNAL);
}

#[test]
fn an_orphan() {
    let mut init = Bench::new(&[]).run(&["up", "obey"]);
    init.out("up");
    let trace = trace(&mut init);
    let pid = trace.pid;
    for _ in 0..10 {
        init.tell("orphans 1");
        init.tell("await-alone");
        init.out("alone");
        init.until("it sleeps", || asleep(pid));
    }
    let calls = calls(trace, &init);
    let calls = own(&calls, pid);
    assert_eq!(reaped(&calls), 10, "{}", names(&calls));
    assert_within(&calls, 10, ORPHAN);
}

#[test]
fn many_orphans_are_reaped_in_few_wake_ups() {
    let mut init = Bench::new(&[]).run(&["up", "obey"]);
    init.out("up");
    let trace = trace(&mut init);
    let pid = trace.pid;
    init.tell("orphans 200");
    init.tell("await-alone");
    init.out("alone");
    let calls = calls(trace, &init);
    let calls = own(&calls, pid);
    assert_eq!(reaped(&calls), 200, "{}", names(&calls));
    let wake_ups = calls.iter().filter(|call| call.name == "ppoll").count();
    assert_within(&calls, 1, 200 * ORPHAN_IN_A_FLOOD + wake_ups * (ORPHAN - ORPHAN_IN_A_FLOOD));
}

fn reaped(calls: &[&Call]) -> usize {
    calls.iter().filter(|call| call.name == "wait4" && call.result.is_some_and(|pid| pid > 0)).count()
}

fn restarts(options: &[&str], limit: usize) {
    let mut init = Bench::new(&[options, &FREELY].concat()).run(&["up", "obey"]);
    init.out("up 1");
    init.tell("exit 1");
    init.out("up 2");
    let trace = trace(&mut init);
    let pid = trace.pid;
    for generation in 3..13 {
        init.tell("exit 1");
        init.out(&format!("up {generation}"));
        init.until("it sleeps", || asleep(pid));
    }
    let calls = calls(trace, &init);
    let ours = own(&calls, pid);
    assert_eq!(ours.iter().filter(|call| ["clone", "clone3", "vfork"].contains(&call.name.as_str())).count(), 10, "{}", names(&ours));
    assert_within(&ours, 10, limit);
    let executed: Vec<i32> = calls.iter().filter(|call| call.name == "execve").map(|call| call.pid).collect();
    assert_eq!(executed.len(), 10, "one attempt each: the command's path has no folders to try");
    for child in executed {
        let child = own(&calls, child);
        let before = child.iter().position(|call| call.name == "execve").expect("just seen") + 1;
        assert!(before <= BEFORE_THE_COMMAND, "{before} calls, the limit is {BEFORE_THE_COMMAND}: {}", names(&child[..before]));
    }
}

#[test]
fn a_restart() {
    restarts(&["-q"], RESTART);
}

#[test]
fn a_restart_with_its_line_in_the_log() {
    restarts(&[], RESTART + LOG_LINE);
}

/// The command works for a while, which is none of the init's business.
#[test]
fn idle() {
    let mut init = Bench::new(&[]).run(&["up", "obey"]);
    init.out("up");
    let trace = trace(&mut init);
    let pid = trace.pid;
    init.tell("sleep 1200");
    init.tell("say rested");
    init.out("rested");
    let calls = calls(trace, &init);
    let calls = own(&calls, pid);
    assert_eq!(calls.len(), IDLE, "{}", names(&calls));
}
