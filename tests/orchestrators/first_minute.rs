//! The first screen of README.md, as somebody with Docker and npm goes through it: its commands and its Dockerfile as they stand, in their
//! order. Only the package comes from `packaging/dist` in place of the registry, and the base image is this machine's own Node.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::engine::{docker, succeed};
use crate::images;
use crate::outside::{repository, until, wait_for_generation};

/// The part of README.md under "Get it".
fn section() -> String {
    let readme = fs::read_to_string(repository("README.md")).expect("the README");
    let (_, rest) = readme.split_once("\n## Get it\n").expect("the section");
    rest.split("\n## ").next().unwrap_or_default().to_owned()
}

/// What `packaging/dist` has made.
fn package() -> PathBuf {
    let name = format!("target/dist/restartinit-{}.tgz", env!("CARGO_PKG_VERSION"));
    let path = PathBuf::from(repository(&name));
    assert!(path.is_file(), "{} is missing: run `packaging/dist --short`", path.display());
    path
}

fn shell(folder: &Path, line: &str) -> String {
    succeed(Command::new("timeout").args(["300", "sh", "-c", line]).current_dir(folder).env("DOCKER_BUILDKIT", "0"))
}

#[test]
fn five_commands_lead_to_a_crash_survived() {
    let section = section();
    let (_, dockerfile) = section.split_once("```Dockerfile\n").expect("the Dockerfile");
    let dockerfile = dockerfile.split("```").next().unwrap_or_default();
    let commands: Vec<&str> = section.lines().filter_map(|line| line.strip_prefix("    ")).take(5).collect();
    let [install, build, run, kill, logs] = commands[..] else { panic!("not five commands: {commands:?}") };
    assert_eq!(install, "npm install restartinit");

    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("first-minute");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("the target directory is writable");
    fs::copy(repository("examples/server/server.js"), folder.join("server.js")).expect("the server");
    fs::write(folder.join("package.json"), "{ \"name\": \"app\", \"private\": true }").expect("the manifest");
    assert!(dockerfile.contains("FROM node:22-slim\n"), "{dockerfile}");
    fs::write(folder.join("Dockerfile"), dockerfile.replace("node:22-slim", images::base())).expect("the Dockerfile");

    shell(&folder, &install.replace("restartinit", package().to_str().expect("a plain path")));
    shell(&folder, build);
    shell(&folder, run);
    wait_for_generation(3000, 1);
    shell(&folder, kill);
    wait_for_generation(3000, 2);
    let line = "was killed by SIGKILL after";
    until("the log tells of the crash", || shell(&folder, &format!("{logs} 2>&1")).contains(line).then_some(()));
    assert!(section.contains(line), "README.md shows another line");
    docker(["rm", "-f", "app"]);
    fs::remove_dir_all(&folder).expect("our own folder");
}
