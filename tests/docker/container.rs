//! A container for one test: started, listened to, asked over HTTP, and removed whatever becomes of the test.

use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use crate::engine::{DEADLINE, command, docker, label, output, run, succeed};
use crate::images;
use crate::transcript::Transcript;

/// What `docker run` is told: options before the image, the command after it.
pub struct Spec {
    image: String,
    network: String,
    options: Vec<String>,
    command: Vec<String>,
}

impl Spec {
    /// The image and its own command.
    pub fn image(image: &str) -> Self {
        Self { image: image.to_owned(), network: "none".to_owned(), options: Vec::new(), command: Vec::new() }
    }

    /// The example server, as Dockerfile.example has it.
    pub fn example() -> Self {
        Self::image(images::example())
    }

    /// `/probe ARGS` under restartinit, in an image that holds nothing else.
    pub fn probe(args: &str) -> Self {
        Self::image(images::scratch()).command(&format!("/probe {args}"))
    }

    /// Options for `docker run`, separated by blanks.
    pub fn options(mut self, options: &str) -> Self {
        self.options.extend(options.split_whitespace().map(str::to_owned));
        self
    }

    /// In that container's network namespace, as the containers of a pod are.
    pub fn sharing_network(mut self, with: &Container) -> Self {
        self.network = format!("container:{}", with.name());
        self
    }

    /// The arguments after the image, separated by blanks.
    pub fn command(mut self, command: &str) -> Self {
        self.command.extend(command.split_whitespace().map(str::to_owned));
        self
    }

    /// The arguments after the image, each as it is.
    pub fn words(mut self, words: &[&str]) -> Self {
        self.command.extend(words.iter().map(|&word| word.to_owned()));
        self
    }

    /// `docker run` with `mode` (such as `-d`), and the name of the container to come.
    pub fn arguments(&self, mode: &str) -> (String, Vec<String>) {
        static COUNT: AtomicUsize = AtomicUsize::new(1);
        let name = format!("restartinit-test-{}-{}", run(), COUNT.fetch_add(1, Ordering::Relaxed));
        let label = label();
        // No network but the container's own loopback: nothing is published, and no two containers can meet unless a test says so.
        let fixed = ["run", mode, "--name", &name, "--label", &label, "--network", &self.network];
        let mut arguments: Vec<String> = fixed.iter().map(|&part| part.to_owned()).collect();
        arguments.extend_from_slice(&self.options);
        arguments.push(self.image.clone());
        arguments.extend_from_slice(&self.command);
        (name, arguments)
    }

    /// Runs it to its end in the foreground; returns its exit code and all that it said.
    pub fn run_to_end(&self) -> (i32, String) {
        let container = self.start();
        let code = container.wait();
        (code, container.everything_said())
    }

    pub fn start(&self) -> Container {
        let (name, arguments) = self.arguments("-d");
        let removal = Removal { name };
        docker(arguments);
        let mut follower = Command::new("docker")
            .args(["logs", "-f", &removal.name])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("docker can be run");
        let log = Transcript::default();
        log.follow(follower.stdout.take().expect("piped"));
        log.follow(follower.stderr.take().expect("piped"));
        Container { log, follower, removal }
    }
}

/// A container that `docker rm -f` removes when the test is over, failed or not.
pub struct Removal {
    pub name: String,
}

impl Drop for Removal {
    fn drop(&mut self) {
        output(["rm", "-fv", &self.name]);
    }
}

pub struct Container {
    /// What the container has written, stdout and stderr, as `docker logs -f` has it.
    pub log: Transcript,
    follower: Child,
    removal: Removal,
}

impl Container {
    /// The started example server, once it listens.
    pub fn serving(spec: Spec) -> Self {
        let container = spec.start();
        container.wait_for_server(1);
        container
    }

    pub fn name(&self) -> &str {
        &self.removal.name
    }

    /// Waits until the server of that generation listens.
    pub fn wait_for_server(&self, generation: u32) {
        self.log.wait_for(&format!("generation {generation}: listening"));
    }

    /// Asks the server for `path`, from inside the container; returns the answer.
    pub fn get(&self, path: &str) -> String {
        self.exec(&["wget", "-q", "-O", "-", &format!("http://127.0.0.1:3000{path}")])
    }

    /// Asks for a page that ends in a number, such as a pid.
    pub fn get_number(&self, path: &str) -> u32 {
        let answer = self.get(path);
        let number = answer.split_whitespace().last().and_then(|word| word.parse().ok());
        number.unwrap_or_else(|| panic!("{path} gave no number: {answer}"))
    }

    /// Crashes the server of `generation`, and waits until the next one listens.
    pub fn crash(&self, generation: u32) {
        self.get("/crash");
        self.wait_for_server(generation + 1);
    }

    /// `docker exec`, which must succeed.
    pub fn exec(&self, program: &[&str]) -> String {
        succeed(&mut command([&["exec", self.name()], program].concat()))
    }

    /// `docker exec` with options (such as `-u 12345`), whatever becomes of it: its exit code, stdout and stderr.
    pub fn try_exec(&self, options: &[&str], program: &[&str]) -> (Option<i32>, String, String) {
        let output = output([&["exec"], options, &[self.name()], program].concat());
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    }

    /// `status --json` of the container's restartinit.
    pub fn status(&self) -> serde_json::Value {
        let text = self.exec(&["/restartinit", "status", "--json"]);
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    /// Whether the container's /proc has that process. A zombie counts: it is there until it is reaped.
    pub fn has_process(&self, pid: u32) -> bool {
        // The exit code of `docker exec` alone would take a dead container for a dead process.
        let question = format!("if [ -d /proc/{pid} ]; then echo there; else echo gone; fi");
        self.exec(&["sh", "-c", &question]) == "there"
    }

    pub fn wait_until_gone(&self, pid: u32) {
        self.wait_until(&format!("process {pid} is gone"), || !self.has_process(pid));
    }

    pub fn inspect(&self, format: &str) -> String {
        docker(["inspect", "--format", format, self.name()])
    }

    /// Waits until `docker inspect` says that.
    pub fn wait_until_inspect(&self, format: &str, value: &str) {
        self.wait_until(&format!("{format} is {value}"), || self.inspect(format) == value);
    }

    pub fn kill(&self, signal: &str) {
        docker(["kill", "--signal", signal, self.name()]);
    }

    /// `docker stop`, with a limit that only a stop that failed would reach: that one ends with 137.
    pub fn stop(&self) -> i32 {
        docker(["stop", "-t", &(DEADLINE.as_secs() - 10).to_string(), self.name()]);
        self.exit_code()
    }

    /// Waits for the end of the container; returns its exit code.
    pub fn wait(&self) -> i32 {
        docker(["wait", self.name()]);
        self.exit_code()
    }

    fn exit_code(&self) -> i32 {
        assert_eq!(self.inspect("{{.State.Status}}"), "exited", "{}", self.everything_said());
        self.inspect("{{.State.ExitCode}}").parse().expect("a number")
    }

    /// All that an ended container has written. A container that Docker has restarted has written it in each of its lives.
    pub fn everything_said(&self) -> String {
        let output = output(["logs", self.name()]);
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    }

    pub fn wait_until(&self, what: &str, done: impl Fn() -> bool) {
        let end = Instant::now() + DEADLINE;
        while !done() {
            assert!(Instant::now() < end, "not in time: {what}\n{}", self.everything_said());
            // Docker tells of no such change; the pause spares the processor and decides nothing.
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        let _ = self.follower.kill();
        let _ = self.follower.wait();
    }
}
