//! The Node majors that are tested, as `tests/node-versions` installs them, and Node as the command of an init.

use super::{Bench, Running};
use std::io::Write as _;
use std::path::{Path, PathBuf};
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

/// Each major's version and binary.
pub fn nodes() -> &'static [(String, PathBuf)] {
    static NODES: OnceLock<Vec<(String, PathBuf)>> = OnceLock::new();
    NODES.get_or_init(|| {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/node-versions");
        let output = Command::new(script).stderr(Stdio::inherit()).output().expect("tests/node-versions");
        assert!(output.status.success(), "tests/node-versions failed: it says why on stderr");
        let text = String::from_utf8(output.stdout).expect("its lines");
        let nodes: Vec<_> = text.lines().filter_map(|line| line.split_once(' ')).map(|(name, path)| (name.into(), path.into())).collect();
        assert_eq!(nodes.len(), 5, "{text}");
        let names: Vec<&str> = nodes.iter().map(|(name, _): &(String, PathBuf)| name.as_str()).collect();
        // Past the test harness, which keeps what a passing test prints: which versions ran is part of the result.
        let _ = writeln!(std::io::stderr(), "Node {}", names.join(", "));
        nodes
    })
}

/// Runs a scene on every major, all at once: most of it is waiting.
pub fn on_every_node(scene: impl Fn(&Path) + Sync) {
    std::thread::scope(|threads| {
        for (version, binary) in nodes() {
            let run = || scene(binary);
            std::thread::Builder::new().name(format!("Node {version}")).spawn_scoped(threads, run).expect("a thread");
        }
    });
}

/// The newest one, where the version cannot matter.
pub fn newest_node() -> &'static Path {
    nodes().last().map(|(_, binary)| binary.as_path()).expect("five majors")
}

impl Bench {
    /// Starts the init with a Node as its command that runs this script.
    pub fn node(self, node: &Path, script: &str) -> Running {
        self.command([node.as_os_str(), "-e".as_ref(), format!("{PRELUDE}{script}").as_ref()])
    }
}
