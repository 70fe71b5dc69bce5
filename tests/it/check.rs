//! `--check`: the command is asked whether it is well; one that is not is asked to stop, and that is a crash. The test is the one who answers.

use crate::support;

use serde_json::json;
use std::time::{Duration, Instant};
use support::clinic::{BUSY, Clinic, Reply, WELL};
use support::settings::refused;
use support::web::{free_port, get, loopback};
use support::{Bench, Place, Running, Scratch, Stream};

/// Asked ten times a second; twice in a row is a crash.
const OFTEN: [&str; 4] = ["--check-interval", "100ms", "--check-failures", "2"];

fn bench(url: &str, options: &[&str]) -> Bench {
    Bench::new(&[&["--check", url], &OFTEN[..], options].concat())
}

/// It listens, and so is asked, once it can be asked to stop as well: just before its `up`.
fn run(bench: Bench, statements: &[&str]) -> Running {
    let listen = format!("listen {}", free_port());
    let up = statements.iter().position(|statement| *statement == "up").expect("it says so");
    let (before, after) = statements.split_at(up);
    bench.run(&[before, &[listen.as_str()], after].concat())
}

fn start(clinic: &Clinic, options: &[&str], statements: &[&str]) -> Running {
    run(bench(&clinic.url(), options), statements)
}

#[test]
fn one_that_is_unwell_is_asked_to_stop_and_that_is_a_crash() {
    let (clinic, address, scratch) = (Clinic::open(WELL), loopback(), Scratch::new());
    let options = ["--http", &address, "--max-restarts", "1", "--termination-log", &scratch.path("why")];
    let mut init = start(&clinic, &options, &["on TERM exit 0", "up", "obey"]);
    init.out("up 1");
    let status = init.status_with("it was asked", |status| status["check"]["ok"] == true);
    assert_eq!((&status["check"]["url"], &status["check"]["failures"]), (&json!(clinic.url()), &json!(0)), "{status}");
    assert!(
        clinic.asked()[0].starts_with(&format!("GET /healthz HTTP/1.1\r\nHost: 127.0.0.1:{}\r\n", clinic.port)),
        "{:?}",
        clinic.asked()
    );
    assert_eq!(get(&address, "/metrics").sample("restartinit_check_ok"), 1.0);
    clinic.says_first(2, BUSY);
    init.out("up 2");
    let line = init.log("restart 1 of 1");
    assert!(line.contains("exited with code 0 (check failed 2 times in a row, the last: it answered 503) after"), "{line}");
    let status = init.status_with("the next one is well", |status| status["check"]["ok"] == true);
    assert_eq!((&status["restarts"]["used"], &status["last_exits"][0]["reason"]), (&json!(1), &json!("check failed")), "{status}");
    let page = get(&address, "/metrics");
    assert_eq!(page.sample("restartinit_restarts_total{reason=\"check failed\"}"), 1.0);
    assert_eq!(page.sample("restartinit_check_failures_total"), 2.0);
    assert!(page.sample("restartinit_check_seconds") < 1.0);
    let text = init.verb(&["status"]).out;
    assert!(text.contains(&format!("{}: well, ", clinic.url())), "{text}");
    // The last one too ends well, and the orchestrator sees that something is wrong all the same.
    clinic.says(BUSY);
    let end = init.end();
    assert_eq!((end.code, end.generations()), (Some(1), 2), "{end:?}");
    assert_eq!(end.logged("restarts-exhausted: generation 2").len(), 1, "{end:?}");
    assert!(scratch.read("why").contains("check failed"), "{}", scratch.read("why"));
}

#[test]
fn every_answer_is_judged() {
    for (reply, why) in [
        (Reply::Says("HTTP/1.0 500 Oh\r\n\r\n"), "it answered 500"),
        (Reply::Says("HTTP/1.1 404 Not Found\r\n\r\n"), "it answered 404"),
        (Reply::Says("SSH-2.0-OpenSSH_9.2\r\n"), "what it answered is no HTTP"),
        (Reply::Says("HTTP/1.1 2"), "it closed the connection without an answer"),
        (Reply::Closes, "it closed the connection without an answer"),
        (Reply::Floods, "what it answered is no HTTP"),
        (Reply::Hangs, "no answer within 300 ms"),
    ] {
        let clinic = Clinic::open(reply);
        let mut init = start(&clinic, &["--check-timeout", "300ms", "--restart", "never"], &["on TERM exit 0", "up", "pause"]);
        let end = init.end();
        assert_eq!(end.code, Some(1), "{reply:?}: {end:?}");
        assert_eq!(end.logged(&format!("(check failed 2 times in a row, the last: {why})")).len(), 1, "{reply:?}: {end:?}");
    }
    let mut init = bench(&format!("http://127.0.0.1:{}/", free_port()), &["--ready-when", "started", "--restart", "never"]).run(&[
        "on TERM exit 0",
        "up",
        "pause",
    ]);
    let end = init.end();
    assert_eq!(end.logged("the last: connection refused)").len(), 1, "{end:?}");
}

#[test]
fn one_that_is_well_is_left_alone() {
    for reply in [
        Reply::Says("HTTP/1.1 204 No Content\r\n\r\n"),
        Reply::Says("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/nobody\r\n\r\n"),
        Reply::Says("HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"),
        Reply::Slowly("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"),
        // Slow is not unwell.
        Reply::After(250, "HTTP/1.1 200 OK\r\n\r\n"),
    ] {
        let clinic = Clinic::open(reply);
        let mut init = start(&clinic, &["-v", "--check-timeout", "20s"], &["catch TERM", "up", "obey"]);
        init.until("it was asked some times", || clinic.asked().len() > 4);
        init.tell("exit 0");
        let end = init.end();
        assert_eq!((end.code, end.generations(), end.signals().len()), (Some(0), 1, 0), "{reply:?}: {end:?}");
        assert_eq!(end.logged("check failed"), [""; 0], "{reply:?}");
    }
}

/// A name for both families, of which the app has one.
#[test]
fn localhost_is_either() {
    let port = free_port();
    let url = format!("tcp://localhost:{port}");
    for server in [format!("listen {port}"), format!("listen [::1]:{port}")] {
        let mut init = bench(&url, &["-v"]).run(&[server.as_str(), "up", "obey"]);
        init.out("up 1");
        init.status_with("it was asked", |status| status["check"]["ok"] == true);
        init.tell("exit 0");
        assert_eq!(init.exit_code(), 0, "{server}");
    }
}

/// It begins once the generation is ready, however long that takes, and so after each crash.
#[test]
fn a_boot_is_not_asked() {
    let port = free_port();
    let url = format!("tcp://127.0.0.1:{port}");
    let options = ["-v", "--ready-when", "listening", "--check", &url, "--check-interval", "50ms", "--check-failures", "1"];
    let listen = format!("listen {port}");
    let mut init = Bench::new(&options).run(&["sleep 600", &listen, "up", "at 1 exit 1", "obey"]);
    init.out("up 2");
    init.status_with("it was asked", |status| status["check"]["ok"] == true);
    init.tell("exit 0");
    let end = init.end();
    assert_eq!((end.code, end.logged("check failed").len()), (Some(0), 0), "{end:?}");
}

#[test]
fn one_that_does_not_stop_is_killed() {
    for (options, least) in [(&["--grace-period", "300ms"][..], 300), (&[], 10_000)] {
        let clinic = Clinic::open(WELL);
        let mut init = start(&clinic, &[options, &["--restart", "never"]].concat(), &["ignore TERM", "up", "pause"]);
        init.out("up 1");
        let fell_ill = Instant::now();
        clinic.says(BUSY);
        let end = init.end();
        assert!(fell_ill.elapsed() >= Duration::from_millis(least), "{:?}", fell_ill.elapsed());
        assert_eq!(end.logged("2 of 2 in a row: it answered 503: it is asked to stop").len(), 1, "{end:?}");
        assert_eq!((end.code, end.logged("SIGKILL (check failed").len()), (Some(137), 1), "{end:?}");
    }
}

/// Like a launcher's at a stop, the app behind it finishes.
#[test]
fn an_app_behind_a_shell_finishes_too() {
    let clinic = Clinic::open(BUSY);
    let port = free_port();
    let fixture = support::fixture().display().to_string();
    let line = format!("'{fixture}' 'listen {port}' 'catch TERM' up 'wait TERM' 'sleep 500' 'say finished' 'exit 0'; true");
    let mut init = bench(&clinic.url(), &["--restart", "never", "--leftover-timeout", "50ms"]).command(["sh", "-c", &line]);
    init.out("up 1");
    init.out("finished");
    assert_ne!(init.end().code, Some(0));
}

#[test]
fn a_stop_wins() {
    let clinic = Clinic::open(BUSY);
    let mut init = start(&clinic, &[], &["catch TERM", "up", "wait TERM", "obey"]);
    init.out("got SIGTERM 1");
    init.signal(libc::SIGTERM);
    init.out("got SIGTERM 2");
    init.tell("exit 0");
    let end = init.end();
    assert_eq!((end.code, end.generations(), end.logged("stopped: ").len()), (Some(0), 1, 0), "a stop is no news: {end:?}");
}

#[test]
fn not_as_pid_1_it_is_the_same() {
    let clinic = Clinic::open(BUSY);
    let bench = bench(&clinic.url(), &["--max-restarts", "1"]).place(Place::Hosted);
    let mut init = run(bench, &["on TERM exit 0", "up", "pause"]);
    init.out("up 2");
    assert_eq!(init.exit_code(), 1);
}

/// What never passes a check has not worked, however slowly it fails: the window, which is shorter than two failures, does not forget it.
#[test]
fn one_that_was_never_well_is_handed_over() {
    let clinic = Clinic::open(BUSY);
    let options =
        ["--restart-window", "100ms", "--stable-after", "50ms", "--max-restarts", "2", "--backoff", "0", "--exhausted-code", "75"];
    let mut init = start(&clinic, &options, &["on TERM exit 0", "up", "pause"]);
    let end = init.end();
    assert_eq!((end.code, end.generations()), (Some(75), 3), "{end:?}");
}

#[test]
fn urls_that_tell_nothing_are_refused() {
    let tries = |options: &[&str]| Bench::new(options).run(&["up"]).end();
    for url in ["https://127.0.0.1/", "http://example.com/", "127.0.0.1:3000", "tcp://127.0.0.1", "http://127.0.0.1:0/", ""] {
        refused(&tries(&["--check", url]), &["--check", url]);
    }
    let end = tries(&["--check", "https://127.0.0.1/"]);
    assert!(end.log[0].contains("no TLS"), "{end:?}");
    for (option, value) in [("--hold-port", "on"), ("--standby", "on"), ("--stop-by", "drain"), ("--listen", "3000")] {
        let end = tries(&["--check", "tcp://127.0.0.1:3000", &format!("{option}={value}")]);
        refused(&end, &["--check", "tcp://127.0.0.1:3000"]);
        assert!(end.log[0].contains("takes connections while the app is gone"), "{end:?}");
    }
    for option in ["--check-interval", "--check-timeout", "--check-failures"] {
        refused(&tries(&[option, "0"]), &[option, "0"]);
    }
}

/// A connection that is kept open, and whatever else it does, holds nothing up and leaves nothing behind.
#[test]
fn whatever_answers_the_init_goes_on() {
    let clinic = Clinic::open(WELL);
    let options = ["--check-timeout", "50ms", "--check-failures", "1000000"];
    let mut init = start(&clinic, &options, &["catch USR1", "up", "obey"]);
    init.out("up 1");
    // By then it has opened all that it keeps open.
    init.until("it was asked", || clinic.asked().len() > 1);
    let pid = init.init_pid();
    let before = support::descriptors(pid);
    for reply in [Reply::Hangs, Reply::Floods, Reply::Closes, WELL] {
        clinic.says(reply);
        let asked = clinic.asked().len();
        init.until("it was asked some times", || clinic.asked().len() > asked + 5);
        init.signal(libc::SIGUSR1);
        init.out("got SIGUSR1");
    }
    init.until("nothing is left behind", || support::descriptors(pid) <= before);
    init.tell("exit 0");
    assert_eq!(init.exit_code(), 0);
    assert_eq!(init.lines(Stream::Log), [""; 0], "single failures are no news at warn");
}
