//! Where things are: the init under test, the fixture, a folder for a test's files. Checks what the bench needs, once.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// The init under test.
pub fn init() -> PathBuf {
    std::env::var_os("INIT_UNDER_TEST").map_or_else(|| env!("CARGO_BIN_EXE_restartinit").into(), PathBuf::from)
}

/// Whether options of restartinit mean anything to the init under test.
pub fn is_restartinit() -> bool {
    init().file_name().is_some_and(|name| name == "restartinit")
}

/// The command of most tests.
pub fn fixture() -> PathBuf {
    example("fixture")
}

/// restartinit as built, with an allocator that counts.
pub fn counting() -> PathBuf {
    example("counting")
}

/// What writes the man page and the completions.
pub fn manual() -> PathBuf {
    example("manual")
}

/// Next to the folder of this test's executable, where cargo puts it. `cargo test` without a filter of programs builds it as well; where that
/// has not been, this does.
fn example(name: &str) -> PathBuf {
    static BUILT: OnceLock<()> = OnceLock::new();
    let own = std::env::current_exe().expect("the path of this test");
    let profile = own.parent().and_then(Path::parent).expect("target/PROFILE/deps/TEST");
    let example = profile.join("examples").join(name);
    // Once, before the first look: another thread must not find a file that is half written.
    BUILT.get_or_init(|| {
        if !example.exists() {
            build_examples(profile);
        }
    });
    assert!(example.exists(), "no {name} at {}: `cargo build --examples` builds it", example.display());
    example
}

fn build_examples(profile: &Path) {
    let target = profile.parent().expect("target/PROFILE");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--examples", "--manifest-path", concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")]);
    cargo.arg("--target-dir").arg(target);
    if profile.ends_with("release") {
        cargo.arg("--release");
    }
    let status = cargo.status().unwrap_or_else(|error| panic!("{} does not start: {error}", env!("CARGO")));
    assert!(status.success(), "cargo build --examples: {status}");
}

/// Without root or user namespaces no test here can run, and a test that does not run must not look like one that passed.
pub fn check_namespaces() {
    static WORKS: OnceLock<Result<(), String>> = OnceLock::new();
    let works = WORKS.get_or_init(|| {
        let output = Command::new("unshare")
            .args(namespace_options())
            .args(["--", "true"])
            .output()
            .map_err(|error| format!("unshare (Debian: util-linux) does not start: {error}"))?;
        match output.status.success() {
            true => Ok(()),
            false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        }
    });
    if let Err(reason) = works {
        panic!("these tests need root, or user namespaces that any user may make, for a PID namespace: {reason}");
    }
}

pub fn namespace_options() -> Vec<&'static str> {
    let mut options = vec!["--pid", "--fork", "--kill-child", "--mount-proc"];
    // SAFETY: no precondition.
    if unsafe { libc::geteuid() } != 0 {
        options.extend(["--user", "--map-root-user"]);
    }
    options
}

/// A folder of a test's own, open to every user, gone when the test is over.
pub struct Scratch(PathBuf);

impl Scratch {
    pub fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("restartinit-test-{}-{count}", std::process::id()));
        std::fs::create_dir(&path).expect("a scratch folder");
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o777);
        std::fs::set_permissions(&path, open).expect("its permissions");
        Self(path)
    }

    /// The path of a file in it, as text.
    pub fn path(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }

    /// A copy of an executable, for a test that spoils it or whose user may not reach the original.
    pub fn copy(&self, original: &Path, name: &str) -> String {
        self.executable(name, &std::fs::read(original).expect("the original"))
    }

    /// A file with that content which may be executed. Another program writes it: a child that some thread of the tests has forked meanwhile, and
    /// that has executed nothing yet, would hold a descriptor to write it by, and nobody may execute it then (ETXTBSY).
    pub fn executable(&self, name: &str, content: &[u8]) -> String {
        let path = self.path(name);
        let mut install = Command::new("install");
        let mut writer = install.args(["-m", "755", "/dev/stdin", &path]).stdin(Stdio::piped()).spawn().expect("install, of coreutils");
        writer.stdin.take().expect("its input").write_all(content).expect("it reads");
        assert!(writer.wait().expect("it ends").success(), "install cannot write {path}");
        path
    }

    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.0.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
