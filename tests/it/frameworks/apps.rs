//! The frameworks: how each is started, what it serves, and what a TERM does to it. `tests/node-frameworks` builds them.

use crate::serving::load::Page;
use crate::support::{Bench, Node, nodes};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

pub struct Framework {
    /// As docs/frameworks.md calls it.
    pub name: &'static str,
    pub folder: &'static str,
    /// What follows `node`.
    pub command: &'static [&'static str],
    pub variables: &'static [(&'static str, &'static str)],
    pub page: Page,
    /// A page that takes half a second, or SLOW_MS where the app may die before, and says `slow` on standard output once it is asked for.
    pub slow: &'static str,
    /// What says that it is ready, as the page has it.
    pub ready: &'static str,
    pub says_ready: bool,
    /// Whether it finishes its requests on a TERM by itself, and the exit code that comes of it.
    pub drains: bool,
    pub code: i32,
}

const HOME: Page = Page { path: "/", says: "ok " };
const PLAIN: Framework = Framework {
    name: "",
    folder: "",
    command: &["server.js"],
    variables: &[],
    page: HOME,
    slow: "/slow",
    ready: "listening",
    says_ready: false,
    drains: false,
    code: 143,
};

pub const NEXT: Framework = Framework {
    name: "Next.js 16, `output: 'standalone'`",
    folder: "next",
    command: &[".next/standalone/server.js"],
    variables: &[("HOSTNAME", "0.0.0.0"), ("NEXT_TELEMETRY_DISABLED", "1")],
    ready: "`instrumentation.js`",
    says_ready: true,
    drains: true,
    ..PLAIN
};

pub const NEST: Framework = Framework { name: "NestJS 12", folder: "nest", command: &["dist/main.js"], ..PLAIN };

pub const NEST_WITH_HOOKS: Framework =
    Framework { name: "NestJS 12, `enableShutdownHooks()`", variables: &[("SHUTDOWN_HOOKS", "1")], drains: true, ..NEST };

pub const FASTIFY: Framework = Framework { name: "Fastify 5", folder: "fastify", ..PLAIN };

pub const SOCKET_IO: Framework = Framework { name: "socket.io 4", folder: "socketio", ..PLAIN };

pub const SOCKET_IO_WITH_HANDLER: Framework =
    Framework { name: "socket.io 4, `io.close()` on TERM", variables: &[("SHUTDOWN_HOOKS", "1")], drains: true, code: 0, ..SOCKET_IO };

pub const SVELTEKIT: Framework =
    Framework { name: "SvelteKit 3, adapter-node", folder: "sveltekit", command: &["build/index.js"], drains: true, code: 0, ..PLAIN };

pub const YOGA: Framework = Framework {
    name: "GraphQL Yoga 5",
    folder: "yoga",
    page: Page { path: "/graphql?query=%7Bhello%7D", says: "\"ok " },
    slow: "/graphql?query=%7Bslow%7D",
    ..PLAIN
};

pub const ADONIS: Framework = Framework {
    name: "AdonisJS 7",
    folder: "adonis",
    command: &["build/bin/server.js"],
    variables: &[("HOST", "0.0.0.0"), ("APP_KEY", "0123456789abcdef0123456789abcdef")],
    drains: true,
    code: 0,
    ..PLAIN
};

pub const TSX: Framework =
    Framework { name: "Express 5 in TypeScript, tsx", folder: "tsx", command: &["--import", "tsx", "src/index.ts"], ..PLAIN };

impl Framework {
    /// What the page says of it. No figure that depends on the machine.
    pub fn row(&self) -> String {
        let Self { name, command, ready, code, .. } = self;
        let (in_flight, option) = if self.drains { ("answered", "no") } else { ("lost", "yes") };
        format!("| {name} | `node {}` | {ready} | {in_flight}, {code} | {option} |", command.join(" "))
    }

    /// Its folder, in which it is built by now.
    pub fn built(&self) -> PathBuf {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/node-frameworks");
        let mut build = Command::new(script);
        build.arg(self.folder).env("NODE", &majors()[0].binary).stderr(Stdio::inherit());
        let output = build.output().expect("tests/node-frameworks");
        assert!(output.status.success(), "tests/node-frameworks failed: it says why on stderr");
        Path::new(String::from_utf8(output.stdout).expect("a path").trim_end()).join(self.folder)
    }

    /// An init for it, in production, on that port.
    pub fn bench(&self, options: &[&str], port: u16) -> Bench {
        let bench = Bench::new(options).variables(self.variables).variable("PORT", port.to_string());
        bench.variable("NODE_ENV", "production").folder(self.built())
    }
}

/// The newest two majors: what the frameworks' newest versions run on.
pub fn majors() -> &'static [Node] {
    let all = nodes();
    &all[all.len().saturating_sub(2)..]
}
