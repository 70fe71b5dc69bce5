//! The Node majors that are tested, as `tests/node-versions` installs them, and Node as the command of an init.

use super::{Bench, Running};
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// What the one-line apps of the tests have at hand: `up` is said once the loop has turned, so that a question that waited for it is
/// answered by then; a line on standard input has them go on.
const PRELUDE: &str = "\
    const say = (...words) => console.log(words.join(' '));\
    const generation = Number(process.env.RESTARTINIT_GENERATION);\
    const up = () => setImmediate(() => say('up', generation));\
    const stay = () => setInterval(() => {}, 1e6);\
    const told = (action) => process.stdin.once('data', (line) => action(String(line).trim()));\
    const caught = (signal, code) => process.on(signal, () => { say('got', signal); if (code) process.exit(code); });\
    const spin = (ms) => { const until = Date.now() + ms; while (Date.now() < until); };\
    const hang = () => { for (;;); };";

#[derive(Debug)]
pub struct Node {
    pub version: String,
    pub binary: String,
}

/// Every major that `tests/node-versions` installs; `NODE_MAJORS=20,24` for some of them. Says which it are.
pub fn nodes() -> &'static [Node] {
    static NODES: OnceLock<Vec<Node>> = OnceLock::new();
    NODES.get_or_init(|| {
        let text = lines_of("tests/node-versions");
        let chosen = std::env::var("NODE_MAJORS").ok();
        let chosen: Option<Vec<&str>> = chosen.as_deref().map(|chosen| chosen.split(',').collect());
        let is_chosen = |version: &str| {
            let major = version.trim_start_matches('v').split('.').next().unwrap_or_default();
            chosen.as_ref().is_none_or(|chosen| chosen.contains(&major))
        };
        let all = text.lines().filter_map(|line| line.split_once(' ')).filter(|(version, _)| is_chosen(version));
        let nodes: Vec<Node> = all.map(|(version, binary)| Node { version: version.into(), binary: binary.into() }).collect();
        assert_eq!(nodes.len(), chosen.map_or(5, |chosen| chosen.len()), "{text}");
        let names: Vec<&str> = nodes.iter().map(|node| node.version.as_str()).collect();
        // Past the test harness, which keeps what a passing test prints: which versions ran is part of the result.
        let _ = writeln!(std::io::stderr(), "Node {}", names.join(", "));
        nodes
    })
}

/// What a script of the project prints, which must succeed.
pub fn lines_of(script: &str) -> String {
    let output = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join(script)).stderr(Stdio::inherit()).output();
    let output = output.unwrap_or_else(|error| panic!("{script}: {error}"));
    assert!(output.status.success(), "{script} failed: it says why on stderr");
    String::from_utf8(output.stdout).expect("its lines")
}

/// Runs a scene on every major, all at once: most of it is waiting.
pub fn on_every_node(scene: impl Fn(&Path) + Sync) {
    std::thread::scope(|threads| {
        for node in nodes() {
            let run = || scene(Path::new(&node.binary));
            std::thread::Builder::new().name(format!("Node {}", node.version)).spawn_scoped(threads, run).expect("a thread");
        }
    });
}

/// The newest one, where the version cannot matter.
pub fn newest_node() -> &'static Path {
    nodes().last().map(|node| Path::new(&node.binary)).expect("five majors")
}

impl Bench {
    /// Starts the init with a Node as its command that runs this script.
    pub fn node(self, node: &Path, script: &str) -> Running {
        self.command([node.as_os_str(), "-e".as_ref(), format!("{PRELUDE}{script}").as_ref()])
    }
}
