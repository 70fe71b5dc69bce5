//! A shell or npm in front of the app dies of the stop that the app has never heard of: the app gets the same signal, and the time that
//! a command has. Whatever ends otherwise leaves leftovers, as ever (leftovers.rs).

use crate::serving::{connect, hang_up, send_request};
use crate::support;

use std::ffi::OsString;
use std::time::{Duration, Instant};
use support::web::free_port;
use support::{Bench, End, Place, Running, Scratch, Stream, fixture, on_every_node};

/// Lines of a shell around a command. Without something to do after it, a shell becomes the command.
const SHELL: &str = r#""$0" "$@"; true"#;
const NESTED: &str = r#"sh -c '"$0" "$@"; true' "$0" "$@"; true"#;
/// It does not die of the signal, but exits as if it had.
const TRAP: &str = r#"trap 'exit 143' TERM; "$0" "$@" & wait"#;

/// Leftovers would be gone long before the app has finished.
const HURRIED: [&str; 2] = ["--leftover-timeout", "100ms"];

/// An app that takes a while to stop.
const SLOW: [&str; 6] = ["catch TERM INT QUIT", "up", "wait TERM", "sleep 600", "say finished", "exit 0"];

fn behind(line: &str, bench: Bench, statements: &[&str]) -> Running {
    let shell = ["/bin/sh", "-c", line].map(OsString::from);
    bench.command(shell.into_iter().chain([fixture().into_os_string()]).chain(statements.iter().map(OsString::from)))
}

/// The launcher dies of the stop, and the app has the time that it takes.
#[track_caller]
fn app_finishes(mut init: Running) -> End {
    init.out("up 1");
    init.signal(libc::SIGTERM);
    let end = init.end();
    assert!(end.code == Some(143) && end.said("finished"), "{end:?}");
    end
}

#[test]
fn the_app_is_asked_and_has_its_time() {
    for place in [Place::Pid1, Place::Hosted] {
        for line in [SHELL, NESTED, TRAP] {
            let mut init = behind(line, Bench::new(&HURRIED).place(place), &SLOW);
            init.out("up 1");
            init.signal(libc::SIGTERM);
            let end = init.end();
            assert_eq!(end.code, Some(143), "the launcher's: {line}: {end:?}");
            assert!(end.said("finished"), "{line}: {end:?}");
            assert_eq!((end.generations(), end.signals()), (1, vec!["SIGTERM"]), "{line}: {end:?}");
        }
    }
}

/// By default: three seconds are more than leftovers have, and less than ten.
#[test]
fn three_seconds_are_not_too_long() {
    app_finishes(behind(SHELL, Bench::new(&[]), &["catch TERM", "up", "wait TERM", "sleep 3000", "say finished", "exit 0"]));
}

/// The fixture as the launcher of such an app: a shell may have its own ways with INT.
fn launcher(bench: Bench, kind: &str, signal: &str) -> Running {
    let app = format!("child {kind} catch TERM INT QUIT HUP / wait {signal} / sleep 600 / say finished / exit 0");
    bench.run(&[&app, "up", "pause"])
}

#[test]
fn it_gets_the_signal_that_the_launcher_got() {
    for (options, sent, got, code) in [
        (&[][..], libc::SIGINT, "INT", 130),
        (&["--rewrite", "TERM:QUIT"], libc::SIGTERM, "QUIT", 131),
        (&["--stop-signals", "HUP"], libc::SIGHUP, "HUP", 129),
    ] {
        let mut init = launcher(Bench::new(&[options, &HURRIED].concat()), "plain", got);
        init.out("up 1");
        init.signal(sent);
        let end = init.end();
        assert_eq!(end.code, Some(code), "{options:?}: {end:?}");
        assert!(end.said("finished"), "{options:?}: {end:?}");
        assert_eq!(end.signals(), [format!("SIG{got}")], "{options:?}: {end:?}");
    }
}

#[test]
fn a_second_stop_is_forwarded_too() {
    let mut init = behind(SHELL, Bench::new(&HURRIED), &["catch TERM INT", "up", "wait TERM", "wait INT", "say finished", "exit 0"]);
    init.out("up 1");
    init.signal(libc::SIGTERM);
    init.out("got SIGTERM 1");
    init.signal(libc::SIGINT);
    let end = init.end();
    assert!(end.code == Some(143) && end.said("finished"), "{end:?}");
    assert_eq!(end.signals(), ["SIGTERM", "SIGINT"], "{end:?}");
}

fn told_once(init: &Running, sender: &str) {
    let lines = init.screen_lines();
    assert!(lines.iter().any(|line| line == "finished"), "{lines:?}");
    let signals: Vec<&String> = lines.iter().filter(|line| line.starts_with("got SIG")).collect();
    assert_eq!(signals, [&format!("got SIGINT 1 from {sender}")], "{lines:?}");
}

/// With `--group` both have it already.
#[test]
fn with_group_the_app_gets_it_once_too() {
    let end = app_finishes(launcher(Bench::new(&HURRIED).option("--group"), "plain", "TERM"));
    assert_eq!(end.signals(), ["SIGTERM"], "{end:?}");
}

/// The terminal has sent it to both already.
#[test]
fn ctrl_c_reaches_the_app_once() {
    ctrl_c("plain", "the kernel");
}

/// One that left the launcher's group has had nothing from the terminal.
#[test]
fn ctrl_c_reaches_an_app_in_a_group_of_its_own_once() {
    for kind in ["group", "session"] {
        ctrl_c(kind, "pid 1");
    }
}

fn ctrl_c(kind: &str, sender: &str) {
    let mut init = launcher(Bench::new(&HURRIED).place(Place::Terminal), kind, "INT");
    init.screen("up 1");
    init.keys("\x03");
    assert_eq!(init.exit_code(), 130, "{kind}");
    told_once(&init, sender);
}

#[test]
fn ctrl_c_reaches_the_app_behind_a_shell_once() {
    for line in [SHELL, NESTED] {
        let statements = ["catch TERM INT", "up", "wait INT", "sleep 600", "say finished", "exit 0"];
        let mut init = behind(line, Bench::new(&HURRIED).place(Place::Terminal), &statements);
        init.screen("up 1");
        init.keys("\x03");
        assert_eq!(init.exit_code(), 130, "{line}");
        told_once(&init, "the kernel");
    }
}

/// It is no part of the app, whatever the app was given: with the app it has as long as any leftover.
#[test]
fn what_the_app_started_holds_nobody_up() {
    for line in [SHELL, NESTED] {
        for kind in ["plain", "session", "daemon"] {
            let options = [&HURRIED[..], &["--grace-period", "1h"]].concat();
            let helper = format!("child {kind} ignore TERM / pause");
            let mut init = behind(line, Bench::new(&options), &[&[helper.as_str()], &SLOW[..]].concat());
            init.out("up 1");
            init.signal(libc::SIGTERM);
            let end = init.end();
            assert!(end.code == Some(143) && end.said("finished"), "{line}, {kind}: {end:?}");
        }
    }
}

/// The launcher did not start it, but somebody is served there.
#[test]
fn who_listens_is_the_app_wherever_it_fled_to() {
    let port = free_port();
    let server = format!("child daemon listen {port} / catch TERM / wait TERM / sleep 600 / say finished / exit 0");
    app_finishes(behind(SHELL, Bench::new(&HURRIED), &[&server, "on TERM exit 0", "up", "pause"]));
}

#[test]
fn an_app_that_does_not_end_is_killed_after_the_grace_period() {
    for (options, line) in [(&["--leftover-timeout", "50ms"], SHELL), (&["--leftover-timeout", "1h"], NESTED)] {
        let options = [&options[..], &["--grace-period", "1500ms"]].concat();
        let statements = ["catch TERM", "up", "wait TERM", "sleep 300", "say still here", "pause"];
        let mut init = behind(line, Bench::new(&options).place(Place::Hosted), &statements);
        init.out("up 1");
        let sent = Instant::now();
        init.signal(libc::SIGTERM);
        init.out("still here");
        assert_eq!(init.out("left behind:"), "left behind: none");
        assert!(sent.elapsed() >= Duration::from_millis(1500), "{:?}", sent.elapsed());
        assert_eq!(init.exit_code(), 143);
    }
}

/// Where no grace period is given, as whoever asked may have no limit for what it has never heard of.
#[test]
fn without_a_grace_period_it_is_killed_after_ten_seconds() {
    let statements = ["catch TERM", "up", "wait TERM", "sleep 8000", "say eight seconds", "pause"];
    let mut init = behind(SHELL, Bench::new(&[]), &statements);
    init.out("up 1");
    init.signal(libc::SIGTERM);
    let end = init.end();
    assert!(end.code == Some(143) && end.said("eight seconds"), "{end:?}");
}

/// The app's port is free by then.
#[test]
fn a_planned_restart_waits_for_the_app_too() {
    for line in [SHELL, NESTED] {
        let listen = format!("listen {}", free_port());
        let mut init = behind(line, Bench::new(&HURRIED), &[&[listen.as_str()], &SLOW[..]].concat());
        init.out("up 1");
        let said = init.verb(&["restart"]);
        assert!(said.code == Some(0) && said.out.contains("generation 2"), "{line}: {said:?}");
        init.out("up 2");
        assert!(init.lines(Stream::Out).contains(&"finished".to_owned()), "{line}: before the next generation");
        let restarts = &init.status()["restarts"];
        assert_eq!(restarts["used"], 0, "{line}: no crash: {restarts}");
    }
}

#[test]
fn a_planned_restart_kills_an_app_that_does_not_end() {
    let options = ["--leftover-timeout", "50ms", "--grace-period", "1500ms"];
    let listen = format!("listen {}", free_port());
    let statements = [listen.as_str(), "catch TERM", "up", "wait TERM", "sleep 300", "say still here", "pause"];
    let mut init = behind(SHELL, Bench::new(&options), &statements);
    init.out("up 1");
    let said = init.verb(&["restart"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    init.out("up 2");
    assert!(init.lines(Stream::Out).contains(&"still here".to_owned()));
}

/// Those that crash, handle the stop, or take longer over it than any launcher: with an hour of grace, who is taken for an app is seen.
#[test]
fn what_ends_otherwise_leaves_leftovers() {
    let options = ["--leftover-timeout", "100ms", "--grace-period", "1h"];
    let start = |statements: &[&str]| {
        let init = Bench::new(&options).run(&[&["at 1 child session ignore TERM / pause"], statements].concat());
        init.out("up 1");
        init
    };
    for ending in ["exit 3", "exit 143", "die TERM", "die KILL"] {
        let mut init = start(&["up", "at 1 obey", "show processes", "exit 0"]);
        init.tell(ending);
        init.out("up 2");
        assert_eq!(init.out("processes:"), "processes: none", "{ending}");
        assert_eq!(init.exit_code(), 0);
    }
    for (statements, code) in [
        (&["on TERM exit 0", "up", "pause"][..], 0),
        (&["on TERM exit 3", "up", "pause"], 3),
        (&["catch TERM", "up", "wait TERM", "sleep 1500", "die TERM"], 143),
    ] {
        let mut init = start(statements);
        init.signal(libc::SIGTERM);
        assert_eq!(init.exit_code(), code, "{statements:?}");
    }
}

/// As the documents of every framework have it: `CMD ["npm", "start"]`.
#[test]
fn npm_start_drains_as_node_does() {
    let npm = std::process::Command::new("npm").arg("--version").output();
    assert!(npm.is_ok_and(|output| output.status.success()), "this needs npm (Debian: npm)");
    let scratch = Scratch::new();
    let app = r#"
        process.on('SIGTERM', () => {
          console.log('got SIGTERM')
          setTimeout(() => { console.log('finished'); process.exit(0) }, 3000)
        })
        require('node:http').createServer().listen(0, '127.0.0.1', () => console.log('up 1'))"#;
    std::fs::write(scratch.path("server.js"), app).expect("a file");
    std::fs::write(scratch.path("package.json"), r#"{"scripts": {"start": "node server.js"}}"#).expect("a file");
    let bench = Bench::new(&[]).scene(&[&format!("chdir {}", scratch.path(""))]).variable("HOME", scratch.path(""));
    let mut init = bench.variable("npm_config_update_notifier", "false").command(["npm", "start"]);
    init.out("up 1");
    init.signal(libc::SIGTERM);
    let end = init.end();
    assert!(end.said("finished"), "{end:?}");
    assert_eq!((end.code, end.signals()), (Some(143), vec!["SIGTERM"]), "{end:?}");
}

/// A worker of Node's cluster ends at once when its channel closes: it stays open until the app has finished.
#[test]
fn a_worker_behind_a_shell_finishes_too() {
    const APP: &str = "const server = require('http').createServer((request, response) => {
  console.log('asked');
  setTimeout(() => response.end('answered'), 1000);
}).listen(+process.env.PORT, () => console.log('listening'));
process.on('SIGTERM', () => { console.log('told'); server.close(() => console.log('closed')); });";
    on_every_node(|node| {
        for option in ["--hold-port", "--standby"] {
            let (scratch, port) = (Scratch::new(), free_port());
            let script = scratch.path("app.js");
            std::fs::write(&script, APP).expect("the app");
            let bench = Bench::new(&[option]).variable("PORT", port.to_string());
            let shell = ["/bin/sh".as_ref(), "-c".as_ref(), SHELL.as_ref(), node.as_os_str(), script.as_ref()];
            let mut init = bench.command(shell);
            init.out("listening");
            let mut stream = connect((std::net::Ipv4Addr::LOCALHOST, port)).expect("a connection");
            send_request(&mut stream, "/").expect("it is sent");
            init.out("asked");
            init.signal(libc::SIGTERM);
            assert_eq!(hang_up(stream).expect("an answer"), "answered", "{option}");
            let end = init.end();
            // It has nothing more to do then, and is told so: nobody has to kill it. (A standby serves nobody: one that is slow to boot is killed.)
            assert!(end.code == Some(143) && end.said("closed"), "{option}: {end:?}");
            let killed = end.logged("SIGKILL").into_iter().filter(|line| line.contains("generation 1")).count();
            assert_eq!(killed, 0, "{option}: {end:?}");
        }
    });
}
