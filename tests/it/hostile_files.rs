//! What others write into the files that restartinit reads of a process, its name and its groups, takes nothing from what it does.

use crate::serving;
use crate::support;

use serving::{get_unix, last_word};
use support::{Bench, Running, Scratch, newest_node};

/// The kernel cuts a name after fifteen bytes, here in the middle of a character: `/proc/PID/status` is not UTF-8 any more. And names
/// that look like more than a name.
const TITLES: [&str; 4] = ["x日本日本日本日本", "a) Z 1 1 1 (b", "a\nVmRSS:\t1 kB", "Uid:\t0\t0\t0\t0"];

/// Far more of them than a buffer of two thousand bytes holds.
const GROUPS: &str = "groups 300";

/// Above its memory limit, it is replaced by plan.
fn is_restarted(init: Running) {
    init.out("up 1");
    init.restarts_for_memory();
}

#[test]
fn the_memory_of_a_command_is_known_whatever_its_name() {
    for title in TITLES {
        let title = format!("title {title}");
        is_restarted(Bench::new(&["--max-memory", "64M"]).run(&[&title, "on TERM exit 0", "up", "at 1 allocate 100", "obey"]));
    }
}

/// Node sets the name and writes over its own arguments.
#[test]
fn the_memory_of_a_node_app_is_known_whatever_its_title() {
    let script = format!(
        "process.title = '{}'; caught('SIGTERM', 3); globalThis.kept = generation == 1 && Buffer.alloc(200 << 20, 1);
        up(); told(() => process.exit(0));",
        TITLES[0]
    );
    is_restarted(Bench::new(&["--max-memory", "150M"]).node(newest_node(), &script));
}

/// Who may bind a path is told by the app's user and its rights, which are in the same file.
#[test]
fn a_path_is_held_for_an_app_whatever_its_name() {
    for title in TITLES {
        let scratch = Scratch::new();
        let path = scratch.path("app.sock");
        let statements = [&format!("title {title}"), "up", &format!("wire listen {path}"), "wire serve", "exit 0"];
        let mut init = Bench::new(&["--hold-port"]).run(&statements);
        init.out("up 1");
        assert_eq!(last_word(&init.either("listening ", "not listening: ")), path, "{title:?}");
        assert_eq!(get_unix(&path, "/"), "1");
        assert_eq!(init.exit_code(), 0);
    }
}

#[test]
fn a_path_is_held_for_a_node_app_whatever_its_title() {
    let scratch = Scratch::new();
    let (path, script) = (scratch.path("app.sock"), scratch.path("app.js"));
    let text = format!(
        "process.title = '{}';
        const server = require('node:http').createServer((request, answer) => answer.end(process.env.RESTARTINIT_GENERATION));
        server.on('error', (error) => console.log('error', error.code));
        server.listen(process.argv[2], () => console.log('listening'));
        process.stdin.once('data', () => process.exit(0));",
        TITLES[0]
    );
    std::fs::write(&script, text).expect("a file");
    let mut init = Bench::new(&["--hold-port"]).command([newest_node().as_os_str(), script.as_ref(), path.as_ref()]);
    assert_eq!(init.either("listening", "error"), "listening");
    assert_eq!(get_unix(&path, "/"), "1");
    init.tell("end");
    assert_eq!(init.exit_code(), 0);
}

fn in_many_groups(options: &[&str]) -> Bench {
    // SAFETY: no precondition.
    assert_eq!(unsafe { libc::geteuid() }, 0, "this needs root: an ordinary user cannot join groups");
    Bench::new(options).scene(&[GROUPS])
}

/// Its memory comes after its groups in the file.
#[test]
fn the_memory_of_a_command_in_many_groups_is_known() {
    is_restarted(in_many_groups(&["--max-memory", "64M"]).run(&["on TERM exit 0", "up", "at 1 allocate 100", "obey"]));
}

#[test]
fn the_memory_of_a_command_in_many_groups_is_told() {
    let mut init = in_many_groups(&[]).run(&["up", "allocate 100", "obey"]);
    init.out("allocated 100");
    let status = init.status();
    assert!(status["memory"]["resident_bytes"].as_u64().is_some_and(|bytes| bytes > 100 << 20), "{status}");
    init.tell("exit 0");
    assert_eq!(init.exit_code(), 0);
}

/// And so do its capabilities.
#[test]
fn a_path_is_held_for_an_app_in_many_groups() {
    let scratch = Scratch::new();
    let path = scratch.path("app.sock");
    let mut init = in_many_groups(&["--hold-port"]).run(&["up", &format!("wire listen {path}"), "wire serve", "exit 0"]);
    init.out("up 1");
    assert_eq!(last_word(&init.either("listening ", "not listening: ")), path);
    assert_eq!(get_unix(&path, "/"), "1");
    assert_eq!(init.exit_code(), 0);
}
