//! The images, made once a run: a base with this machine's Node, the example as a user would build it, and a nearly empty one.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::engine::{docker, label, run, succeed};

/// The stage of Dockerfile.example that builds the binary. An image of that name stands in for it.
const BUILD_STAGE: &str = "restartinit-build";

/// Node, a shell, and no restartinit: in place of `node:22-slim`.
pub fn base() -> &'static str {
    static IMAGE: OnceLock<String> = OnceLock::new();
    IMAGE.get_or_init(|| {
        let name = name("base");
        succeed(Command::new(repository().join("tests/docker/base-image")).arg(&name).env("LABEL", label()));
        name
    })
}

/// The example server under restartinit: the runtime half of Dockerfile.example, as it stands.
pub fn example() -> &'static str {
    static IMAGE: OnceLock<String> = OnceLock::new();
    IMAGE.get_or_init(|| {
        let stage = Context::new("build");
        let binary = "src/target/static/restartinit";
        stage.copy(&static_binary(), binary);
        stage.build(BUILD_STAGE, "FROM scratch\nCOPY . /\nCMD [\"/none\"]\n", &[]);

        let context = Context::new("example");
        let server = "examples/server/server.js";
        context.copy(&repository().join(server), server);
        let name = name("example");
        context.build(&name, &runtime_half(), &["--build-arg", &format!("NODE_IMAGE={}", base())]);
        docker(["rmi", BUILD_STAGE]);
        name
    })
}

/// The example with one more line in its Dockerfile.
pub fn example_with(line: &str) -> String {
    static COUNT: AtomicUsize = AtomicUsize::new(1);
    let name = name(&format!("example-{}", COUNT.fetch_add(1, Ordering::Relaxed)));
    Context::new(name.replace(':', "-").as_str()).build(&name, &format!("FROM {}\n{line}\n", example()), &[]);
    name
}

/// Nothing but the static binary and `probe`, a static program that says which signals it gets.
pub fn scratch() -> &'static str {
    static IMAGE: OnceLock<String> = OnceLock::new();
    IMAGE.get_or_init(|| {
        let context = Context::new("scratch");
        context.copy(&static_binary(), "restartinit");
        let source = repository().join("tests/docker/probe.c");
        succeed(Command::new("gcc").args(["-static", "-O1", "-o"]).arg(context.path.join("probe")).arg(source));
        let name = name("scratch");
        // The probe listens nowhere.
        let dockerfile =
            "FROM scratch\nCOPY restartinit probe /\nENV RESTARTINIT_READY_WHEN=started\nENTRYPOINT [\"/restartinit\", \"--\"]\n";
        context.build(&name, dockerfile, &[]);
        name
    })
}

/// The same, and Docker asks for its health often.
pub fn with_health_check() -> &'static str {
    static IMAGE: OnceLock<String> = OnceLock::new();
    IMAGE.get_or_init(|| {
        let name = name("health");
        let check = "HEALTHCHECK --interval=200ms --retries=1 CMD [\"/restartinit\", \"health\"]";
        Context::new("health").build(&name, &format!("FROM {}\n{check}\n", scratch()), &[]);
        name
    })
}

/// Dockerfile.example without the half that builds the binary: its arguments, and all from the second FROM on.
fn runtime_half() -> String {
    let path = repository().join("Dockerfile.example");
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let stages: Vec<usize> = text.match_indices("\nFROM ").map(|(at, _)| at + 1).collect();
    let [build, runtime] = stages[..] else { panic!("{}: not two stages", path.display()) };
    let stage = format!("AS {BUILD_STAGE}\n");
    assert!(text[build..runtime].contains(&stage), "{}: no stage {BUILD_STAGE}", path.display());
    text[..build].to_owned() + &text[runtime..]
}

fn static_binary() -> PathBuf {
    let path = std::env::var_os("RESTARTINIT_STATIC").map_or_else(|| repository().join("target/static/restartinit"), PathBuf::from);
    assert!(path.is_file(), "{} is missing: run `make static`, or name a static binary in RESTARTINIT_STATIC", path.display());
    path
}

fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn name(image: &str) -> String {
    format!("restartinit-test-{image}:{}", run())
}

/// A build context: a directory of its own, so that what is sent is what the image needs.
struct Context {
    path: PathBuf,
}

impl Context {
    fn new(name: &str) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("docker-{}-{name}", run()));
        fs::create_dir_all(&path).expect("the target directory is writable");
        Self { path }
    }

    fn copy(&self, from: &Path, to: &str) {
        let to = self.path.join(to);
        fs::create_dir_all(to.parent().expect("a file in the context")).expect("the context is writable");
        fs::copy(from, to).unwrap_or_else(|error| panic!("{}: {error}", from.display()));
    }

    fn build(&self, image: &str, dockerfile: &str, options: &[&str]) {
        fs::write(self.path.join("Dockerfile"), dockerfile).expect("the context is writable");
        fs::write(self.path.join(".dockerignore"), "Dockerfile\n.dockerignore\n").expect("the context is writable");
        let (path, label) = (self.path.to_str().expect("a plain path"), label());
        docker([&["build", "--network", "none", "--label", &label, "--tag", image], options, &[path]].concat());
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}
