//! An app that is unwell, and a Secret that changes: restartinit does what plain Docker does not, and the container stays.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::container::{Container, Spec};
use crate::engine::{run, succeed};
use crate::images;
use crate::transcript::Transcript;

/// What would change if Docker had had a hand in it.
const LIFE: &str = "{{.Id}} {{.State.StartedAt}} {{.State.Pid}} {{.RestartCount}}";

fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// A folder of this machine that a container sees; it goes with the test.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        static COUNT: AtomicUsize = AtomicUsize::new(1);
        let name = format!("day-two-{}-{}", run(), COUNT.fetch_add(1, Ordering::Relaxed));
        let folder = Folder(Path::new(env!("CARGO_TARGET_TMPDIR")).join(name));
        fs::create_dir_all(&folder.0).expect("the target directory is writable");
        folder
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.0.join(name), text).expect("the folder is writable");
    }

    /// The option that shows it to a container.
    fn at(&self, place: &str) -> String {
        format!("-v {}:{place}:ro", self.0.display())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// `clinic.js`, asked once a second.
fn clinic(options: &str) -> Spec {
    let program = format!("-v {}:/clinic.js:ro", repository().join("tests/docker/clinic.js").display());
    let asked = "--check http://127.0.0.1:3000/healthz --check-interval 1s --check-failures 2 node /clinic.js";
    Spec::image(images::example()).options("--entrypoint /restartinit").options(&program).options(options).command(asked)
}

fn is_well(container: &Container) -> bool {
    container.status()["check"]["ok"] == true
}

#[test]
fn an_app_that_is_unwell_is_restarted_in_the_same_container() {
    let container = clinic("").start();
    container.log.wait_for("generation 1: listening");
    let before = container.inspect(LIFE);
    container.wait_until("it was well", || is_well(&container));

    // It answers 503 from then on, and wget takes that for a failure.
    container.try_exec(&[], &["wget", "-q", "-O", "-", "--post-data=", "http://127.0.0.1:3000/sick"]);

    container.log.wait_for("generation 2: listening");
    // It ended well, and that was a crash all the same.
    container.log.wait_for("exited with code 0 (check failed 2 times in a row, the last: it answered 503) after");
    container.wait_until("the next one is well", || is_well(&container));
    let status = container.status();
    assert_eq!((&status["generation"], &status["restarts"]["used"]), (&2.into(), &1.into()), "{status}");
    assert_eq!(status["last_exits"][0]["reason"], "check failed", "{status}");
    assert_eq!(container.inspect(LIFE), before);
    assert!(before.ends_with(" 0"), "RestartCount: {before}");
    assert_eq!(container.stop(), 0);
}

#[test]
fn slow_is_not_unwell() {
    let container = clinic("-e SLOW=1000").start();
    container.wait_until("an answer took a second", || container.status()["check"]["seconds"].as_f64().is_some_and(|took| took > 0.9));
    let status = container.status();
    assert_eq!((&status["generation"], &status["check"]["failures_total"]), (&1.into(), &0.into()), "{status}");
    assert_eq!(container.stop(), 0);
}

#[test]
fn a_boot_is_not_asked() {
    let folder = Folder::new();
    let options = format!("{} -e GO=/gate/go -e RESTARTINIT_CHECK_FAILURES=1", folder.at("/gate"));
    let container = clinic(&options).start();
    container.log.wait_for("generation 1: boots");
    // Whoever asked it meanwhile would have found nobody, twice and more.
    let age = || container.status()["uptime_seconds"].as_f64();
    container.wait_until("it has booted for five seconds", || age().is_some_and(|seconds| seconds > 5.0));
    folder.write("go", "");
    container.log.wait_for("generation 1: listening");
    container.wait_until("it is well", || is_well(&container));
    let status = container.status();
    assert_eq!((&status["generation"], &status["check"]["failures_total"]), (&1.into(), &0.into()), "{status}");
    assert_eq!(container.stop(), 0);
}

/// A mounted Secret, as the kubelet makes it: each file a link over `..data`, which is swapped.
struct Secret(Folder);

impl Secret {
    fn new() -> Secret {
        let secret = Secret(Folder::new());
        secret.write("1", "first");
        for name in ["tls.key", "tls.crt"] {
            symlink(Path::new("..data").join(name), secret.0.0.join(name)).expect("a link");
        }
        secret
    }

    /// Writes a certificate for `name`, swaps the link, removes what was there before.
    fn write(&self, version: &str, name: &str) {
        let folder = &self.0.0;
        let old = fs::read_link(folder.join("..data"));
        let new = format!("..2026_11_27_{version}");
        fs::create_dir(folder.join(&new)).expect("a folder");
        let [key, cert] = ["tls.key", "tls.crt"].map(|name| folder.join(&new).join(name));
        let mut openssl = Command::new("openssl");
        openssl.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]);
        succeed(openssl.args(["-subj", &format!("/CN={name}"), "-keyout"]).arg(&key).arg("-out").arg(cert));
        // The server is not root.
        fs::set_permissions(key, Permissions::from_mode(0o644)).expect("its mode");
        symlink(&new, folder.join("..data_tmp")).expect("a link");
        fs::rename(folder.join("..data_tmp"), folder.join("..data")).expect("the swap");
        if let Ok(old) = old {
            fs::remove_dir_all(folder.join(old)).expect("the old one goes");
        }
    }
}

/// Whose certificate a server of this container shows.
fn served_name(container: &Container) -> String {
    let script = "const socket = require('tls').connect({ port: 3000, host: '127.0.0.1', rejectUnauthorized: false }, () => {
        console.log(socket.getPeerCertificate().subject.CN)
        socket.destroy()
    })";
    container.exec(&["node", "-e", script])
}

/// Clients in the container (`tests/node/servers/load.js`), until they are let go.
struct Load {
    clients: Child,
    input: Option<ChildStdin>,
    told: Transcript,
}

impl Load {
    /// 500 requests a second, a quarter of them on connections of their own.
    fn start(container: &Container) -> Load {
        let mut clients = Command::new("docker");
        clients.args(["exec", "-i", container.name(), "node", "/servers/load.js", "3000", "8", "24", "500"]);
        let mut clients = clients.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("docker can be run");
        let told = Transcript::default();
        told.follow(clients.stdout.take().expect("piped"));
        Load { input: clients.stdin.take(), clients, told }
    }

    /// The latest count of requests answered, refused, reset, lost, hung, wrong, and sent again.
    fn tally(text: &str) -> Vec<u64> {
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        let line = whole.lines().rfind(|line| line.starts_with(|first: char| first.is_ascii_digit())).unwrap_or_default();
        line.split_whitespace().filter_map(|number| number.parse().ok()).collect()
    }

    /// Waits until so many more requests were answered.
    fn goes_on(&self, more: u64) {
        let mut from = None;
        self.told.wait_until("the load is served", |text| {
            let answered = Self::tally(text).first().copied().unwrap_or_default();
            answered >= *from.get_or_insert(answered) + more
        });
    }

    /// Lets the clients go once each has its last answer; gives back all that they told.
    fn end(mut self) -> String {
        self.input = None;
        let told = self.told.wait_for_end();
        assert!(self.clients.wait().expect("a child of ours").success(), "{told}");
        told
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        let _ = self.clients.kill();
        let _ = self.clients.wait();
    }
}

#[test]
fn a_new_certificate_is_served_and_nobody_notices() {
    let secret = Secret::new();
    let servers = format!("-v {}:/servers:ro", repository().join("tests/node/servers").display());
    let spec = Spec::image(images::example()).options("--entrypoint /restartinit").options(&servers).options(&secret.0.at("/secret"));
    let command = "--hold-port --restart-on-change /secret node /servers/server.js https 3000 /secret/tls.key /secret/tls.crt";
    let container = spec.command(command).start();
    container.log.wait_for("serving 1");
    let before = container.inspect(LIFE);
    assert_eq!(served_name(&container), "first");
    let load = Load::start(&container);
    load.goes_on(500);

    secret.write("2", "second");

    container.log.wait_for("planned restart, files changed (/secret)");
    container.log.wait_for("serving 2");
    container.wait_until("the old one has gone", || container.status()["generations"].as_array().is_some_and(|all| all.len() == 1));
    assert_eq!(served_name(&container), "second");
    load.goes_on(500);
    let told = load.end();
    println!("answered a second: {}", told.lines().last().unwrap_or_default());
    let tally = Load::tally(&told);
    let [answered, refused, reset, lost, hung, wrong, _] = tally[..] else { panic!("no tally: {tally:?}") };
    let faults: Vec<&str> = told.lines().filter(|line| line.starts_with("fault ")).collect();
    assert!(answered > 1000 && [refused, reset, lost, hung, wrong] == [0; 5], "{tally:?} {faults:?}");
    let status = container.status();
    assert_eq!((&status["generation"], &status["restarts"]["used"]), (&2.into(), &0.into()), "{status}");
    assert_eq!(status["restarts"]["total"]["files changed"], 1, "{status}");
    assert_eq!(container.inspect(LIFE), before);
    assert_eq!(container.stop(), 0);
}

/// No shell, no /tmp, nothing that can be written to.
#[test]
fn an_image_with_nothing_in_it_has_all_of_it() {
    let folder = Folder::new();
    folder.write("answer", "HTTP/1.1 200 OK\r\n\r\n");
    folder.write("settings", "one");
    let options = "--read-only --entrypoint /restartinit -e RESTARTINIT_READY_WHEN=listening -e RESTARTINIT_MAX_RESTARTS=1000";
    let spec = Spec::image(images::scratch()).options(options).options(&folder.at("/config"));
    let check = "--check http://127.0.0.1:3000/ --check-interval 100ms --check-failures 2 --restart-on-change /config/settings";
    let container = spec.command(&format!("{check} /probe answer 3000 /config/answer")).start();
    container.log.wait_for("probe: generation 1,");
    container.wait_until("it was well", || is_well(&container));

    folder.write("answer", "HTTP/1.1 503 Busy\r\n\r\n");
    container.log.wait_for("(check failed 2 times in a row, the last: it answered 503) after");
    container.log.wait_for("probe: generation 2,");
    folder.write("answer", "HTTP/1.1 200 OK\r\n\r\n");
    container.wait_until("it is well again", || is_well(&container));

    folder.write("settings", "two");
    container.log.wait_for("planned restart, files changed (/config/settings)");
    let total = || container.status()["restarts"]["total"]["files changed"].clone();
    container.wait_until("the restart is counted", || total() == 1);
    container.wait_until("the next one is well", || is_well(&container));
    container.stop();
}
