//! Several restartinits that share a PID namespace, in one container or in two: which of them a verb reaches.

use crate::support;

use serde_json::{Value, json};
use support::{Bench, Running, Said, fixture, init};

/// PID 1 is a shell that starts these lines beside each other, until its input ends.
fn beside(lines: &[String]) -> Running {
    let script = lines.iter().map(|line| format!("{line} </dev/null &\n")).collect::<String>() + "read line";
    Bench::new(&["-c", &script]).program("/bin/sh").start()
}

/// A restartinit and its command, which says its name and waits.
fn line(name: &str) -> String {
    format!("{} --ready-when started -- {} 'on TERM exit 0' 'say {name}' pause", init().display(), fixture().display())
}

fn both_run(shell: &Running) {
    let [one, other] = [(); 2].map(|()| shell.either("first", "second"));
    assert_ne!(one, other);
}

/// What a verb says, once that fits.
fn answer(shell: &mut Running, verb: &[&str], fits: impl Fn(&Said) -> bool) -> Said {
    loop {
        let said = shell.ask_anyway(verb).end();
        if fits(&said) {
            return said;
        }
        assert!(!shell.late(), "{said:?}");
    }
}

/// The pids that the one line of a verb lists after a colon.
fn listed(complaint: &str) -> Vec<String> {
    complaint.rsplit(": ").next().unwrap_or_default().split(", ").map(str::to_owned).collect()
}

#[test]
fn one_inside_another_is_reached_by_its_pid() {
    let inner = init().display().to_string();
    let fixture = fixture().display().to_string();
    let mut init =
        Bench::new(&[]).command([&inner, "--ready-when", "started", "--", &fixture, "on TERM exit 0", "up", "at 1 exit 3", "obey"]);
    init.out("up 2");
    let status = init.status();
    assert_eq!((&status["command"], &status["generation"]), (&json!("restartinit"), &json!(1)));
    assert_eq!(status["init"]["pid"], 1);
    assert_eq!(status["last_exits"], json!([]));
    let said = init.verb(&["status"]);
    let pid = status["pid"].to_string();
    assert!(said.code == Some(0) && said.err.contains("pid 1 answers") && said.err.contains(&format!("--pid {pid}")), "{said:?}");
    let said = init.verb(&["status", "--json", "--pid", &pid]);
    assert!(said.err.is_empty() && said.out.contains("\"command\":\"fixture\"") && said.out.contains("\"generation\":2"), "{said:?}");
    assert_eq!(init.verb(&["restart", "--pid", &pid]).code, Some(0));
    init.out("up 3");
    assert_eq!(init.status()["generation"], 1);
    assert!(init.verb(&["health", "--pid", "4000000"]).complaint(1).contains(&format!("there is 1, {pid}")));
    init.tell("exit 0");
    assert_eq!(init.exit_code(), 0);
}

#[test]
fn where_none_is_pid_1_a_verb_asks_which_one_is_meant() {
    let mut shell = beside(&[line("first"), line("second")]);
    both_run(&shell);
    let mut pids = Vec::new();
    for verb in ["status", "health", "restart"] {
        let said = shell.ask_anyway(&[verb]).end();
        pids = listed(said.complaint(1));
        assert!(pids.len() == 2 && said.err.contains("say which one by --pid N"), "{said:?}");
    }
    for pid in &pids {
        let said = shell.ask_anyway(&["status", "--json", "--pid", pid]).end();
        let status: Value = serde_json::from_str(&said.out).unwrap_or_else(|error| panic!("{error}: {said:?}"));
        assert_eq!(status["init"]["pid"].to_string(), *pid);
        assert_eq!(shell.ask_anyway(&["health", "--pid", pid]).end().code, Some(0));
    }
    // One of them ends: there is no choice any more.
    assert_eq!(shell.enter(&["kill", &pids[0]]).end().code, Some(0));
    let said = answer(&mut shell, &["status", "--json"], |said| said.code == Some(0));
    assert!(said.out.contains(&format!("\"pid\":{}", pids[1])), "{said:?}");
    shell.close_input();
    shell.end();
}

/// A pod with `shareProcessNamespace: true`: its containers share the PID and the network namespace, not the mounts.
#[test]
fn of_two_containers_each_reaches_its_own() {
    for [first, second] in [["", "unshare -m "], ["unshare -m ", ""]] {
        let mut shell = beside(&[first.to_owned() + &line("first"), second.to_owned() + &line("second")]);
        both_run(&shell);
        let here = shell.status()["init"]["pid"].to_string();
        let shown =
            shell.enter(&["sh", "-c", "for p in /proc/[0-9]*; do [ \"$(cat $p/comm)\" = restartinit ] && echo ${p#/proc/}; done"]).end();
        let pids: Vec<&str> = shown.out.lines().filter(|pid| *pid != here).collect();
        let [there] = pids[..] else { panic!("{shown:?}") };
        let program = init().display().to_string();
        let ask_there = |shell: &mut Running, verb: &[&str]| shell.enter(&[&["nsenter", "-t", there, "-m", &program], verb].concat()).end();
        let said = ask_there(&mut shell, &["status", "--json"]);
        assert!(said.out.contains(&format!("\"pid\":{there}")), "{said:?}");
        assert!(shell.verb(&["health", "--pid", there]).complaint(1).contains(&format!("there is {here}")));
        assert_eq!(ask_there(&mut shell, &["restart"]).code, Some(0));
        assert_eq!(shell.status()["generation"], 1, "the other one's restart is none of this one");
        // Its own has ended: nobody answers, and no other is asked.
        assert_eq!(shell.enter(&["kill", &here]).end().code, Some(0));
        answer(&mut shell, &["health"], |said| said.err.contains("in another one that shares its PID namespace"));
        assert_eq!(ask_there(&mut shell, &["health"]).code, Some(0));
        shell.close_input();
        shell.end();
    }
}
