//! `--restart-on-change`: files and folders that change, as people, tools and Kubernetes change them.

use crate::support;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;
use support::{Bench, Running, Scratch};

/// A mounted Secret, as the kubelet makes it: each file a link over `..data`, which is swapped.
struct Secret(PathBuf);

impl Secret {
    fn new(scratch: &Scratch) -> Secret {
        let secret = Secret(scratch.path("secret").into());
        fs::create_dir(&secret.0).expect("a folder");
        secret.write("1", "first");
        symlink("..data/tls.crt", secret.0.join("tls.crt")).expect("a link");
        secret
    }

    /// Writes a new version, swaps the link, removes the old version.
    fn write(&self, version: &str, content: &str) {
        let old = fs::read_link(self.0.join("..data"));
        let folder = format!("..2026_11_27_{version}");
        fs::create_dir(self.0.join(&folder)).expect("a folder");
        fs::write(self.0.join(&folder).join("tls.crt"), content).expect("a file");
        symlink(&folder, self.0.join("..data_tmp")).expect("a link");
        fs::rename(self.0.join("..data_tmp"), self.0.join("..data")).expect("the swap");
        if let Ok(old) = old {
            fs::remove_dir_all(self.0.join(old)).expect("the old one goes");
        }
    }

    fn file(&self) -> PathBuf {
        self.0.join("tls.crt")
    }
}

fn start(path: &Path, options: &[&str]) -> Running {
    let path = path.to_str().expect("a path");
    let listed = ["--restart-on-change", path, "--max-restarts", "1", "-v"];
    let init = Bench::new(&[&listed[..], options].concat()).run(&["on TERM exit 0", "up", "obey"]);
    init.out("up 1");
    init
}

/// After this, `path` was found changed and a new generation runs.
fn restarted(init: &mut Running, path: &Path, generation: u32) {
    init.out(&format!("up {generation}"));
    init.log(&format!("planned restart, files changed ({})", path.display()));
    let status = init.status();
    assert_eq!((&status["restarts"]["used"], &status["generation"]), (&0.into(), &generation.into()), "{status}");
}

/// Nothing follows what was done before, though it was looked at: a change of another path, done after it, is the first to be found.
fn nothing_came_of_it(init: &mut Running, other: &Path) {
    fs::write(other, "something else").expect("a file");
    restarted(init, other, 2);
    init.tell("exit 0");
    let end = init.end();
    assert_eq!((end.code, end.generations()), (Some(0), 2), "{end:?}");
}

#[test]
fn a_file_that_changes() {
    let scratch = Scratch::new();
    let path = PathBuf::from(scratch.path("app.json"));
    type Way = fn(&Path, &Scratch);
    let ways: [Way; 4] = [
        |path, _| fs::write(path, "two").expect("it is written"),
        |path, scratch| {
            fs::write(scratch.path("new"), "two").expect("it is written");
            fs::rename(scratch.path("new"), path).expect("it takes its place");
        },
        |path, scratch| {
            fs::remove_file(path).expect("it goes");
            fs::write(scratch.path("elsewhere"), "two").expect("it is written");
            symlink(scratch.path("elsewhere"), path).expect("a link in its place");
        },
        |path, _| fs::remove_file(path).expect("it goes"),
    ];
    for way in ways {
        let _ = fs::remove_file(&path);
        fs::write(&path, "one").expect("a file");
        let mut init = start(&path, &[]);
        way(&path, &scratch);
        restarted(&mut init, &path, 2);
        init.tell("exit 0");
        assert_eq!(init.exit_code(), 0);
    }
}

#[test]
fn a_file_that_appears_late_in_a_folder_that_does_too() {
    let scratch = Scratch::new();
    let path = PathBuf::from(scratch.path("late/er/app.json"));
    let mut init = start(&path, &[]);
    fs::create_dir_all(path.parent().expect("it has one")).expect("a folder");
    fs::write(&path, "one").expect("a file");
    restarted(&mut init, &path, 2);
    init.tell("exit 0");
    assert_eq!(init.exit_code(), 0);
}

#[test]
fn a_folder_that_vanishes_and_comes_back() {
    let scratch = Scratch::new();
    let path = PathBuf::from(scratch.path("conf.d"));
    fs::create_dir(&path).expect("a folder");
    fs::write(path.join("a.conf"), "one").expect("a file");
    let mut init = start(&path, &["--change-jitter", "1ms"]);
    fs::remove_dir_all(&path).expect("it goes");
    fs::create_dir_all(path.join("deeper")).expect("it comes back");
    fs::write(path.join("deeper/b.conf"), "two").expect("a file");
    restarted(&mut init, &path, 2);
    // What is there now is watched as what was there before. Half a minute lies between two restarts.
    init.allow(Duration::from_secs(60));
    fs::write(path.join("deeper/b.conf"), "three").expect("a file");
    restarted(&mut init, &path, 3);
    init.tell("exit 0");
    assert_eq!(init.exit_code(), 0);
}

#[test]
fn a_secret_that_the_kubelet_swaps() {
    for whole in [true, false] {
        let scratch = Scratch::new();
        let secret = Secret::new(&scratch);
        let path = if whole { secret.0.clone() } else { secret.file() };
        let mut init = start(&path, &[]);
        secret.write("2", "second");
        restarted(&mut init, &path, 2);
        init.tell("exit 0");
        assert_eq!(init.exit_code(), 0);
    }
}

/// The same content is no change, however it came there.
#[test]
fn identical_rewrites_are_none() {
    let scratch = Scratch::new();
    let (secret, other) = (Secret::new(&scratch), PathBuf::from(scratch.path("other")));
    let file = PathBuf::from(scratch.path("app.json"));
    fs::write(&file, "one").expect("a file");
    let both = format!("{},{},{}", secret.0.display(), file.display(), other.display());
    let mut init = start(Path::new(&both), &["-vv"]);
    secret.write("2", "first");
    fs::write(&file, "").expect("it is emptied");
    fs::write(&file, "one").expect("and written again");
    fs::write(scratch.path("new"), "one").expect("a file");
    fs::rename(scratch.path("new"), &file).expect("it takes its place");
    fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("its mode");
    init.log("files looked at");
    nothing_came_of_it(&mut init, &other);
}

/// A pipe, an endless device, a folder that leads back to itself: nothing hangs, and nothing is read without an end.
#[test]
fn what_is_no_file_harms_nobody() {
    let scratch = Scratch::new();
    let (folder, other) = (PathBuf::from(scratch.path("odd")), PathBuf::from(scratch.path("other")));
    fs::create_dir_all(folder.join("inner")).expect("a folder");
    nix::unistd::mkfifo(&folder.join("pipe"), nix::sys::stat::Mode::S_IRWXU).expect("a pipe");
    for (target, name) in [("/dev/zero", "zero"), (".", "self"), ("..", "inner/up"), ("loop", "loop"), ("/no/such/place", "dangling")] {
        symlink(target, folder.join(name)).expect("a link");
    }
    let large = fs::File::create(folder.join("large")).expect("a file");
    large.set_len(1 << 40).expect("a hole");
    let both = format!("{},{}", folder.display(), other.display());
    let mut init = start(Path::new(&both), &[]);
    init.signal(libc::SIGHUP);
    nothing_came_of_it(&mut init, &other);
}

/// A burst of writes is one change; a successor that fails leaves the old generation, and a line says so.
#[test]
fn a_burst_is_one_change() {
    let scratch = Scratch::new();
    let path = PathBuf::from(scratch.path("app.json"));
    let mut init = start(&path, &[]);
    for number in 0..200 {
        fs::write(&path, number.to_string()).expect("it is written");
    }
    restarted(&mut init, &path, 2);
    init.tell("exit 0");
    let end = init.end();
    assert_eq!((end.generations(), end.logged("planned restart, files changed").len()), (2, 1), "{end:?}");
}

#[test]
fn an_app_that_writes_there_itself_is_found_out() {
    let scratch = Scratch::new();
    let path = scratch.path("app.json");
    let script =
        format!("echo $RESTARTINIT_GENERATION >{path}; echo up $RESTARTINIT_GENERATION; trap 'exit 0' TERM; while :; do sleep 0.1; done");
    let mut init = Bench::new(&["--restart-on-change", &path, "--change-jitter", "0"]).command(["sh", "-c", &script]);
    init.allow(Duration::from_secs(90));
    init.out("up 3");
    let line = init.log("3 times in a row");
    assert!(line.contains(&format!("{path} changed within 10 s of a start")), "{line}");
    let status = init.status();
    assert!(status["change_note"].as_str().is_some_and(|note| note.starts_with("off: ")), "{status}");
    assert!(init.verb(&["status"]).out.contains("changes      off: "));
    assert_eq!(status["generation"], 3, "{status}");
    init.signal(libc::SIGTERM);
    assert_eq!(init.exit_code(), 0);
}

#[test]
fn where_a_restart_has_a_gap_it_is_said_at_the_start() {
    let scratch = Scratch::new();
    let end = Bench::new(&["--restart-on-change", &scratch.path("x"), "--max-age", "1h"]).run(&["up", "exit 0"]).end();
    let told = end.logged("restarts by --max-age, --restart-on-change have a gap here");
    assert_eq!((end.code, told.len(), end.log.len()), (Some(0), 1, 1), "{end:?}");
    let end = Bench::new(&["--restart-on-change", &scratch.path("x"), "--listen", &scratch_socket(&scratch)]).run(&["up", "exit 0"]).end();
    assert_eq!((end.code, end.log.len()), (Some(0), 0), "{end:?}");
}

fn scratch_socket(scratch: &Scratch) -> String {
    format!("unix:{}", scratch.path("app.sock"))
}
