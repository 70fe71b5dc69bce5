//! `stack`, `profile` and `heap` of real Node, 18 to 26: what they tell of a loop that is blocked in each way, and that the app is afterwards as it was.
//! What an app can do to them is in inspector/hostile.rs.

use crate::serving::load::{Load, Protocol, Tally};
use crate::serving::{commands, free_port, get, last_word, node_apps};
use crate::support;

mod hostile;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};
use support::{
    Bench, Inside, MemoryCgroup, Running, Said, Scratch, Stream, children, descriptors, is_long, kilobytes, newest_node, nodes, sockets,
    status_field,
};

/// Any free port: the tests share a network.
const ANY_PORT: (&str, &str) = ("NODE_OPTIONS", "--inspect-port=0");

/// On one after the other: a Node whose loop spins takes a processor, and what is asked of it needs one.
fn on_each_node(scene: impl Fn(&Path)) {
    nodes().iter().for_each(|node| scene(Path::new(&node.binary)));
}

fn bench() -> Bench {
    Bench::new(&[]).variable(ANY_PORT.0, ANY_PORT.1)
}

const OPENS_LATE: &str = ": its inspector may open when its loop turns: waiting for that, to close it; Ctrl-C leaves it";

/// An app of a line, whose loop is in the middle of this function once it has said `there`.
fn blocked(node: &Path, body: &str) -> Running {
    let init = bench().node(node, &format!("setTimeout(function handler() {{ say('there'); {body} }}, 1)"));
    init.out("there");
    init
}

fn pid_of(init: &mut Running) -> i32 {
    *commands(init).first().expect("the command runs")
}

/// An answer; of a loop that did not turn meanwhile, as for want of a processor, with the line about its inspector.
fn json(said: &Said) -> Value {
    let is_quiet = said.err.is_empty() || (said.err.lines().count() == 1 && said.err.contains(OPENS_LATE));
    assert!(said.code == Some(0) && is_quiet, "{said:?}");
    serde_json::from_str(&said.out).unwrap_or_else(|error| panic!("{error}: {said:?}"))
}

/// What is told once the app has come to what it is to do, and its children to their names.
fn told(init: &mut Running, verdict: &str) -> Value {
    loop {
        // Where the loop never turns, nobody waits for that.
        let answer = json(&init.verb(&["stack", "--json", "--within", "5s"]));
        if answer["verdict"].as_str().is_some_and(|found| found.starts_with(verdict)) {
            return answer;
        }
        assert!(!init.late(), "{answer}");
    }
}

fn functions(answer: &Value) -> Vec<&str> {
    answer["stack"].as_array().expect("a stack").iter().map(|frame| frame["function"].as_str().expect("a name")).collect()
}

/// It had a processor, or no other test left it one.
fn computes(verdict: &str) -> bool {
    verdict.starts_with("running") || verdict.starts_with("waiting for a processor (starved: ran ")
}

#[test]
fn a_loop_that_spins_is_told_with_function_file_and_line() {
    let scratch = Scratch::new();
    let spins = "function burnTheCpu() {\n  for (let x = 0; ; ) x += Math.sqrt(x);\n}\nsetImmediate(function handler() {\n  \
                 console.log('there');\n  burnTheCpu();\n});\n";
    for name in ["my server.js", "my server.mjs"] {
        std::fs::write(scratch.path(name), spins).expect("a script");
    }
    on_each_node(|node| {
        for name in ["my server.js", "my server.mjs"] {
            let script = scratch.path(name);
            let mut init = bench().command([node.as_os_str(), script.as_ref(), "--secret".as_ref()]);
            init.out("there");
            for _ in 0..2 {
                let said = init.verb(&["stack"]);
                assert_eq!((said.code, said.err.as_str()), (Some(0), ""), "{said:?}");
                let lines: Vec<&str> = said.out.lines().collect();
                let head = lines[0].strip_prefix("generation 1 (pid ").and_then(|rest| rest.split_once("), node ")).expect("a first line");
                let verdict = head.1.strip_prefix(name).and_then(|rest| rest.strip_prefix(": ")).expect("the script alone");
                assert!(computes(verdict), "{said:?}");
                assert!(lines[1].starts_with(&format!("  at burnTheCpu ({script}:2:")), "{said:?}");
                assert!(lines[2].starts_with(&format!("  at handler ({script}:6:")), "{said:?}");
                assert!(lines.len() <= 22, "{said:?}");
            }
            let answer = json(&init.verb(&["stack", "--json"]));
            assert_eq!((&answer["generation"], &answer["pid"]), (&1.into(), &init.status()["pid"]));
            assert!(computes(answer["verdict"].as_str().expect("a verdict")), "{answer}");
            assert_eq!((&answer["stack"][0]["file"], &answer["stack"][0]["line"]), (&script.as_str().into(), &2.into()));
        }
    });
}

#[test]
fn whatever_interrupts_javascript_is_told() {
    on_each_node(|node| {
        for body in [
            "/^(a+)+$/.test('a'.repeat(60) + 'b')",
            "(async () => { for (;;) await null; })()",
            "for (;;) JSON.parse('[' + '1,'.repeat(1e5) + '1]')",
        ] {
            let mut init = blocked(node, body);
            let answer = json(&init.verb(&["stack", "--json"]));
            assert!(computes(answer["verdict"].as_str().expect("a verdict")), "{answer}");
            assert!(
                functions(&answer).iter().any(|name| ["handler", "<anonymous>", "processTicksAndRejections"].contains(name)),
                "{answer}"
            );
        }
        let mut init = blocked(node, "Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)");
        let answer = told(&mut init, "asleep until another thread wakes it (Atomics.wait, or a lock)");
        assert_eq!(functions(&answer)[0], "handler");
    });
}

/// Nobody can interrupt that: it is seen in /proc, and no signal is sent that would open the inspector later.
#[test]
fn a_loop_that_sleeps_elsewhere_is_told_by_what_it_waits_for() {
    let scratch = Scratch::new();
    let fifo = scratch.path("fifo");
    nix::unistd::mkfifo(Path::new(&fifo), nix::sys::stat::Mode::S_IRWXU).expect("a fifo");
    on_each_node(|node| {
        for (body, expected) in [
            (
                format!("require('fs').readSync(require('fs').openSync('{fifo}', 'r+'), Buffer.alloc(1))"),
                format!("asleep in read of {fifo}"),
            ),
            ("require('child_process').execSync('sleep 1000')".to_owned(), "waiting for its child \"sleep\" (pid ".to_owned()),
            ("require('child_process').spawnSync('sleep', ['1000'])".to_owned(), "waiting for its child \"sleep\" (pid ".to_owned()),
        ] {
            let mut init = blocked(node, &body);
            let answer = told(&mut init, &expected);
            assert_eq!(functions(&answer), [] as [&str; 0]);
            // Node would say so, now or once it goes on.
            let opened = init.lines(support::Stream::Log).len();
            told(&mut init, &expected);
            assert_eq!(init.lines(support::Stream::Log).len(), opened, "no signal was sent");
            for verb in ["profile", "heap"] {
                assert!(init.verb(&[verb]).complaint(1).contains("blocked outside of JavaScript"));
            }
        }
    });
}

#[test]
fn an_idle_loop_is_told_without_disturbing_it() {
    on_each_node(|node| {
        let mut init = bench().node(node, "require('child_process').spawn('sleep', ['1000']); up(); stay()");
        init.out("up 1");
        let answer = told(&mut init, "the event loop is idle");
        assert_eq!(functions(&answer), [] as [&str; 0]);
        assert!(init.verb(&["stack"]).out.ends_with(": the event loop is idle\n"));
    });
}

#[test]
fn what_cannot_be_asked_is_told_and_lives_on() {
    let mut init = bench().run(&["catch USR1", "up", "obey"]);
    init.out("up 1");
    let why = init.verb(&["stack"]).complaint(1).to_owned();
    assert!(why.contains("generation 1 (pid ") && why.contains("does not run Node"), "{why}");
    assert!(init.verb(&["stack", "--generation", "7"]).complaint(1).contains("does not run now"));
    assert!(init.verb(&["stack", "--process", "7777"]).complaint(1).contains("no such process"));
    init.tell("exit 0");
    let end = init.end();
    assert_eq!((end.code, end.signals()), (Some(0), vec![]), "no signal was sent");
    on_each_node(|node| {
        let mut init = bench().node(node, "caught('SIGUSR1'); setTimeout(() => { say('there'); hang(); }, 1)");
        init.out("there");
        let said = init.verb(&["stack", "--within", "2s"]);
        // One that got no processor may open it yet.
        let is_starved = said.code == Some(0) && said.out.contains("waiting for a processor");
        assert!(is_starved || said.complaint(1).contains("a handler of its own"), "{said:?}");
    });
    for node in nodes().iter().filter(|node| !["v18", "v20", "v22"].contains(&&node.version[..3])) {
        let mut init = Bench::new(&[]).variable("NODE_OPTIONS", "--disable-sigusr1").node(Path::new(&node.binary), "up(); stay()");
        init.out("up 1");
        assert!(init.verb(&["stack"]).complaint(1).contains("does not take SIGUSR1"));
        assert_eq!(init.status()["generation"], 1);
    }
}

/// What `stack` answers. Beside other tests the app may have no processor for so long that it cannot answer: then that is told, and it is asked
/// again.
fn answered(init: &mut Running) -> Value {
    loop {
        let said = init.verb(&["stack", "--json"]);
        if said.code == Some(0) {
            return json(&said);
        }
        assert!(said.err.contains("it is waiting for a processor (starved: ") && !init.late(), "{said:?}");
    }
}

/// A loop that turns, and computes for a third of the time.
const BUSY: &str = "setInterval(function busy() { spin(20); }, 40); require('http').createServer((_, answer) => answer.end('well')).listen(0, \
                    function () { say('port', this.address().port); });";

/// An app with such a loop, and the port where it says that it is well.
fn busy(node: &Path, more: &str) -> (Running, u16) {
    let init = bench().node(node, &format!("{more} {BUSY}"));
    let port = last_word(&init.out("port")).parse().expect("a port");
    (init, port)
}

#[test]
fn nothing_is_left_behind() {
    on_each_node(|node| {
        let (mut init, port) = busy(node, "");
        let pid = pid_of(&mut init);
        let listening = sockets(pid);
        let threads = || status_field(pid, "Threads");
        let without = threads();
        // The first time brings Node's own descriptors for it. Those of the inspector's thread go after its sockets have gone.
        answered(&mut init);
        init.until("the inspector is closed", || (sockets(pid), threads()) == (listening, without.clone()));
        let before = descriptors(pid);
        init.allow(Duration::from_secs(60));
        for _ in 0..50 {
            let answer = answered(&mut init);
            assert!(!answer["verdict"].as_str().unwrap_or_default().is_empty(), "{answer}");
        }
        init.until("its descriptors are those that it had", || (descriptors(pid), sockets(pid)) == (before, listening));
        assert!(get(Ipv4Addr::LOCALHOST, port, "/").contains("well"));
        assert_eq!(init.status()["generation"], 1);
    });
}

/// A loop that is blocked outside of JavaScript opens its inspector when it is too late for an answer.
#[test]
fn what_opens_too_late_is_closed_too() {
    let native = "const { pbkdf2Sync } = require('crypto'); const hash = (rounds) => pbkdf2Sync('a', 'b', rounds, 64, 'sha512');\
                  let rounds = 1000, took = 0; \
                  while (took < 1e5) { rounds *= 2; const before = process.cpuUsage(); hash(rounds); took = process.cpuUsage(before).user; }\
                  setTimeout(() => { say('there'); hash(Math.ceil(rounds * 5e6 / took)); say('done'); }, 1); stay()";
    let all = nodes();
    for node in [all.first(), all.last()].into_iter().flatten() {
        let ask = || {
            let mut init = bench().node(Path::new(&node.binary), native);
            init.allow(Duration::from_secs(60));
            init.out("there");
            let pid = pid_of(&mut init);
            let before = sockets(pid);
            let said = init.verb(&["stack"]);
            (init, pid, before, said)
        };
        // A verb that starts late, as beside other tests, may find it idle.
        let mut asked = ask();
        for _ in 0..4 {
            if asked.3.err.is_empty() {
                asked = ask();
            }
        }
        let (mut init, pid, before, said) = asked;
        assert!(said.err.contains(OPENS_LATE), "{said:?}");
        init.out("done");
        assert!(init.lines(Stream::Log).iter().any(|line| line.starts_with("Debugger listening on")), "it did open");
        init.until("the inspector is closed", || sockets(pid) == before);
        let answer = told(&mut init, "the event loop is idle");
        assert_eq!(functions(&answer), [] as [&str; 0]);
    }
}

/// A few here, a thousand with `RESTARTINIT_LONG=1`; `--nocapture` shows what each took.
#[test]
fn under_load_nobody_notices() {
    let port = free_port();
    let app = format!(
        "require('http').createServer((_, answer) => {{ spin(2); answer.setHeader('Content-Length', 4); answer.end('ok 1'); }})\
         .listen({port}, () => say('serving'));"
    );
    let mut init = bench().node(newest_node(), &app);
    init.out("serving");
    init.allow(Duration::from_secs(if is_long() { 1800 } else { 60 }));
    let pid = pid_of(&mut init);
    let load = Load::start(Protocol::Http, port, "node");
    assert!(load.goes_on(200, Instant::now() + Duration::from_secs(30)), "the load stands still");
    answered(&mut init);
    let before = kilobytes(pid, "VmRSS");
    let mut took: Vec<Duration> = (0..if is_long() { 1000 } else { 30 })
        .map(|_| {
            let began = Instant::now();
            let answer = answered(&mut init);
            assert!(!answer["verdict"].as_str().unwrap_or_default().is_empty(), "{answer}");
            began.elapsed()
        })
        .collect();
    took.sort();
    let tally = load.end();
    let after = kilobytes(pid, "VmRSS");
    println!(
        "{} stacks: median {:?}, longest {:?}; {tally}; resident {} KiB before, {after} after",
        took.len(),
        took[took.len() / 2],
        took[took.len() - 1],
        before
    );
    assert_eq!(tally.faults(), Tally::default(), "{tally}");
    // What a heap takes between two collections comes and goes.
    assert!(after < before * 2 + 32 * 1024, "{} KiB before, {after} after", before);
    assert_eq!(init.status()["generation"], 1);
}

/// The timer in the app is there for that.
#[test]
fn a_verb_that_is_killed_leaves_nothing_open() {
    // Node may die of a client that goes in the middle of a profile's start (SIGSEGV, seldom): that is none of ours.
    let closes = |node: &Path| {
        let (mut init, _) = busy(node, "");
        let pid = pid_of(&mut init);
        let before = sockets(pid);
        let verb = init.ask(&["profile", "1h"]);
        let asking = until_profiled(&init, &verb, pid);
        kill(asking, Signal::SIGKILL).expect("it runs");
        verb.0.wait_with_output().expect("its end");
        let has_died = || init.lines(Stream::Log).iter().any(|line| line.contains("was killed by SIGSEGV"));
        init.until("the inspector is closed", || sockets(pid) == before || has_died());
        !has_died() && init.status()["generation"] == 1
    };
    on_each_node(|node| assert!((0..3).any(|_| closes(node)), "{}: three times in a row", node.display()));
}

/// Waits until a verb's profile of a process has begun; gives back the verb's pid.
fn until_profiled(init: &Running, verb: &Inside, pid: i32) -> Pid {
    // V8 has a thread for it.
    let threads = || std::fs::read_dir(format!("/proc/{pid}/task")).expect("its threads").flatten();
    let name = |thread: std::fs::DirEntry| std::fs::read_to_string(thread.path().join("comm")).unwrap_or_default();
    init.until("the profile has begun", || threads().map(name).any(|name| name.starts_with("v8:Prof")));
    let mut last = i32::try_from(verb.0.id()).expect("a pid");
    while let Some(child) = children(last).first() {
        last = *child;
    }
    Pid::from_raw(last)
}

/// What Chrome's DevTools open, by the rules of their format.
fn is_for_devtools(kind: &str, content: &Value) {
    let scratch = Scratch::new();
    let file = scratch.path(kind);
    std::fs::write(&file, content.to_string()).expect("the file");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/node/format.js");
    let told = Command::new(newest_node()).args([script, kind, &file]).env("NODE_PATH", node_apps()).output().expect("Node");
    assert!(told.status.success(), "{kind}: {}{}", String::from_utf8_lossy(&told.stdout), String::from_utf8_lossy(&told.stderr));
}

#[test]
fn a_profile_has_the_functions_that_ran() {
    on_each_node(|node| {
        let (mut init, port) = busy(node, "");
        let pid = pid_of(&mut init);
        let before = sockets(pid);
        let names = |profile: &Value| -> Vec<String> {
            let nodes = profile["nodes"].as_array().expect("nodes").iter();
            nodes.map(|node| node["callFrame"]["functionName"].as_str().expect("a name").to_owned()).collect()
        };
        let profile = json(&init.verb(&["profile", "500ms"]));
        assert!(names(&profile).iter().any(|name| name == "busy"), "{profile}");
        assert!(profile["samples"].as_array().is_some_and(|samples| !samples.is_empty()));
        is_for_devtools("profile", &profile);
        // Ctrl-C ends it early, and what there is by then is a profile.
        init.until("the inspector is closed", || sockets(pid) == before);
        let verb = init.ask(&["profile", "1h"]);
        let asking = until_profiled(&init, &verb, pid);
        get(Ipv4Addr::LOCALHOST, port, "/");
        kill(asking, Signal::SIGINT).expect("it runs");
        assert!(json(&verb.end())["nodes"].is_array());
        init.until("the inspector is closed", || sockets(pid) == before);
    });
}

#[test]
fn a_heap_snapshot_is_whole() {
    on_each_node(|node| {
        let (mut init, port) = busy(node, "class Marked {}; globalThis.kept = new Marked();");
        let said = init.verb(&["heap", "--force"]);
        assert_eq!(said.code, Some(0), "{}", said.err);
        assert!(said.err.contains("the app stands still meanwhile, and may need "), "{}", said.err);
        let snapshot: Value = serde_json::from_str(&said.out).expect("JSON");
        assert!(snapshot["nodes"].as_array().is_some_and(|nodes| nodes.len() > 1000));
        assert!(snapshot["strings"].as_array().is_some_and(|strings| strings.iter().any(|string| string == "Marked")));
        is_for_devtools("heap", &snapshot);
        assert!(get(Ipv4Addr::LOCALHOST, port, "/").contains("well"));
    });
}

#[test]
fn an_inspector_that_was_open_stays_so_and_is_not_shared() {
    on_each_node(|node| {
        let hangs = "const { url } = require('inspector'); setTimeout(() => { say('at', new URL(url()).port); hang(); }, 1)";
        let mut init = Bench::new(&[]).variable("NODE_OPTIONS", "--inspect=127.0.0.1:0").node(node, hangs);
        let port: u16 = init.out("at").rsplit(' ').next().and_then(|port| port.parse().ok()).expect("a port");
        let pid = pid_of(&mut init);
        let alone = sockets(pid);
        for _ in 0..10 {
            let answer = json(&init.verb(&["stack", "--json"]));
            assert!(functions(&answer).contains(&"hang"), "{answer}");
        }
        init.until("the verb is gone", || sockets(pid) == alone);
        let attached = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("it is open");
        init.until("it has accepted", || sockets(pid) > alone);
        assert!(init.verb(&["stack"]).complaint(1).contains("a debugger is attached"));
        drop(attached);
        init.until("it is free again", || sockets(pid) == alone);
        json(&init.verb(&["stack", "--json"]));
    });
}

#[test]
fn a_port_that_another_has_is_told() {
    on_each_node(|node| {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let port = taken.local_addr().expect("its address").port();
        let mut init = Bench::new(&[])
            .variable("NODE_OPTIONS", format!("--inspect-port={port}"))
            .node(node, "setTimeout(() => { say('there'); hang(); }, 1)");
        init.out("there");
        let why = init.verb(&["stack", "--within", "2s"]).complaint(1).to_owned();
        assert!(why.contains("another process has its port") && why.contains("--inspect-port=0"), "{why}");
        drop(taken);
        json(&init.verb(&["stack", "--json"]));
    });
}

/// As in a container whose entrypoint changes the user: root has no CAP_SYS_PTRACE there, and may not look at the app.
#[test]
fn root_asks_as_the_apps_own_user() {
    let script = "setTimeout(function inTheApp() { console.log('there'); for (;;); }, 1)";
    let user = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--"];
    let node = newest_node().display().to_string();
    let mut init = bench().command(user.iter().copied().chain([node.as_str(), "-e", script]));
    init.out("there");
    init.await_door();
    let program = support::init().display().to_string();
    let said = init.enter(&["setpriv", "--bounding-set", "-sys_ptrace", "--", &program, "stack", "--json"]).end();
    assert!(functions(&json(&said)).contains(&"inTheApp"), "{said:?}");
    let pid = init.status()["pid"].to_string();
    let said = init.enter_as(1234, &[&program, "stack", "--process", &pid]);
    assert!(said.complaint(1).contains("ask as root, or as its own user"), "{said:?}");
}

#[test]
fn a_process_that_is_stopped_is_told() {
    let mut init = blocked(newest_node(), "hang()");
    let pid = Pid::from_raw(pid_of(&mut init));
    kill(pid, Signal::SIGSTOP).expect("it runs");
    assert_eq!(functions(&told(&mut init, "stopped by a signal")), [] as [&str; 0]);
    kill(pid, Signal::SIGCONT).expect("it runs");
    let answer = json(&init.verb(&["stack", "--json"]));
    assert!(functions(&answer).contains(&"hang"), "{answer}");
}

/// Behind a launcher the Node that listens is asked, and no other.
#[test]
fn behind_a_launcher_the_app_is_asked() {
    let scratch = Scratch::new();
    let app =
        "const server = require('net').createServer().listen(0, () => { console.log('there'); (function inTheApp() { for (;;); })(); });";
    std::fs::write(scratch.path("app.js"), app).expect("a script");
    std::fs::write(scratch.path("package.json"), "{\"scripts\":{\"start\":\"node app.js\"}}").expect("a package");
    let node = newest_node();
    let npm = Command::new("sh").args(["-c", "command -v npm"]).output().expect("a shell");
    let npm = String::from_utf8(npm.stdout).expect("a path");
    assert!(!npm.trim().is_empty(), "npm is needed (Debian: npm)");
    let path = format!("{}:{}", node.parent().expect("its folder").display(), std::env::var("PATH").unwrap_or_default());
    for command in [vec!["npm", "start"], vec!["sh", "-c", "node app.js; true"]] {
        let mut init = bench().variable("PATH", &path).folder(scratch.path("")).command(command);
        init.out("there");
        let answer = json(&init.verb(&["stack", "--json"]));
        assert!(functions(&answer).contains(&"inTheApp"), "{answer}");
    }
}

/// Where the container has less room than a snapshot takes, the app could be killed for it: it is not taken.
#[test]
fn a_heap_that_may_not_fit_is_refused() {
    let cgroup = MemoryCgroup::limited(180);
    let script = "const kept = []; for (let i = 0; i < 3e4; i++) kept.push('x'.repeat(1000) + i); say('full'); setInterval(() => kept.length, 1000);";
    let mut init = bench().scene(&[&cgroup.enter()]).node(newest_node(), script);
    init.out("full");
    init.await_door();
    // An exec session is in the container's cgroup, as this one is.
    let verb = |more: &str| format!("echo 0 >{}/cgroup.procs && exec '{}' heap{more}", cgroup.path(), support::init().display());
    let said = init.enter(&["sh", "-c", &verb("")]).end();
    assert!(said.code == Some(1) && said.out.is_empty(), "{:?}: {}", said.code, said.err);
    assert!(
        said.err.contains("MiB more memory: 10 times its heap")
            && said.err.contains("not taken: there is less up to the container's limit"),
        "{}",
        said.err
    );
    assert_eq!(init.status()["generation"], 1, "the app is as it was");
    cgroup.limit(1500);
    let said = init.enter(&["sh", "-c", &verb("")]).end();
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert!(said.out.starts_with("{\"snapshot\":"), "{}", said.err);
}

/// Each generation can be asked, the one that only waits too.
#[test]
fn the_generation_that_is_named_is_asked() {
    let scratch = Scratch::new();
    let script = format!("require('http').createServer(() => {{}}).listen({}, () => console.log('serving'));", free_port());
    std::fs::write(scratch.path("server.js"), script).expect("a script");
    let bench = Bench::new(&["--standby"]).variable(ANY_PORT.0, ANY_PORT.1);
    let mut init = bench.command([newest_node().as_os_str(), scratch.path("server.js").as_ref()]);
    init.out("serving");
    let status = init.status_with("a standby waits", |status| status["generations"][1]["ready"] == true);
    for at in [0, 1] {
        let one = &status["generations"][at];
        let number = one["generation"].to_string();
        let answer = json(&init.verb(&["stack", "--json", "--generation", &number]));
        assert_eq!((&answer["generation"], &answer["pid"]), (&one["generation"], &one["pid"]), "{status}");
    }
    let said = init.verb(&["stack", "--generation", "9"]);
    assert_eq!((said.code, said.out.as_str()), (Some(1), ""), "{said:?}");
}

/// Neither the watchdog nor a check ends an app for standing still while somebody looks into it.
#[test]
fn an_app_that_is_looked_into_is_not_ended_for_that() {
    // It takes a processor for seconds: the oldest and the newest have to do.
    for node in [Path::new(&nodes()[0].binary), newest_node()] {
        let (scratch, port) = (Scratch::new(), free_port());
        // A snapshot of this takes far longer than any of the limits; and no machine is so busy for so long that it answers none of ten.
        let script = format!(
            "const kept = []; for (let i = 0; i < 12e5; i++) kept.push({{ i }});\n\
             require('http').createServer((_, answer) => answer.end('well ' + kept.length)).listen({port}, '127.0.0.1');\n"
        );
        std::fs::write(scratch.path("server.js"), script).expect("a script");
        let url = format!("http://127.0.0.1:{port}/");
        let options = ["-v", "--watchdog", "700ms", "--check", &url, "--check-interval", "200ms", "--check-timeout", "300ms"];
        let bench = Bench::new(&[&options[..], &["--check-failures", "10"]].concat()).variable(ANY_PORT.0, ANY_PORT.1);
        let mut init = bench.command([node.as_os_str(), scratch.path("server.js").as_ref()]);
        init.allow(Duration::from_secs(120));
        init.status_with("it is well", |status| status["check"]["ok"] == true);
        let said = init.verb(&["heap", "--force"]);
        assert!(said.code == Some(0) && said.out.starts_with("{\"snapshot\":"), "{:?}: {}", said.code, said.err);
        let status = init.status_with("it is well again", |status| status["check"]["ok"] == true);
        assert_eq!((&status["generation"], &status["restarts"]["used"]), (&1.into(), &0.into()), "{status}");
        // Once nobody is there, it is as before.
        let pid = pid_of(&mut init);
        kill(Pid::from_raw(pid), Signal::SIGSTOP).expect("it runs");
        init.log("check failed, 10 of 10 in a row: no answer within 300 ms: it is asked to stop");
    }
}
