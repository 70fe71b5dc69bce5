//! Each launcher with each option for Node: what the app behind it sees of a stop and of a crash, and the line that names the launcher. The table
//! of docs/node.md. Each launcher and each option in some of the pairs; all of the pairs with `RESTARTINIT_LONG=1`.

mod app;

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::time::Duration;

use crate::support::programs::{bun, native_pnpm, programs, version};
use crate::support::{Bench, Scratch, is_long, newest_node, nodes};
use app::{Cell, Form, Seen};

/// What stands in front of the app.
#[derive(PartialEq, Eq)]
enum Kind {
    /// A Node of its own: it takes the channel.
    Node,
    /// A program that leaves the channel to what it starts. As the command it is known by its name, and the options are off all the same.
    Native,
    /// A shell: the app has the channel.
    Shell,
}

struct Launcher {
    line: &'static str,
    package: &'static str,
    kind: Kind,
    /// Where the launcher itself kills an app that is not fast enough: all that was seen of a request in flight.
    kills: Option<&'static str>,
}

const fn launcher(line: &'static str, package: &'static str, kind: Kind) -> Launcher {
    Launcher { line, package, kind, kills: None }
}

const fn killer(line: &'static str, package: &'static str, stop: &'static str) -> Launcher {
    Launcher { line, package, kind: Kind::Node, kills: Some(stop) }
}

const LAUNCHERS: [Launcher; 14] = [
    launcher("npm start", "npm", Kind::Node),
    killer("npx tsx server.ts", "npm", "finishes, 143; under load it is cut off, 143"),
    launcher("yarn start", "yarn", Kind::Node),
    launcher("pnpm start", "pnpm", Kind::Node),
    launcher("pnpm start", "@pnpm/exe", Kind::Native),
    killer("nodemon server.js", "nodemon", "is cut off, 143"),
    killer("tsx server.ts", "tsx", "finishes, 0; under load it is cut off, 143"),
    launcher("ts-node server.ts", "ts-node", Kind::Node),
    launcher("node --watch server.js", "node", Kind::Node),
    launcher("node --run start", "node", Kind::Node),
    launcher("bun run start", "bun", Kind::Native),
    launcher("sh -c 'npm start; true'", "npm", Kind::Node),
    launcher("sh -c 'node server.js; true'", "", Kind::Shell),
    launcher("./entry.sh", "", Kind::Shell),
];

const OPTIONS: [&[&str]; 8] = [
    &[],
    &["--hold-port"],
    &["--standby"],
    &["--watchdog", "1s"],
    &["--stop-by", "message"],
    &["--stop-by", "drain"],
    &["--wait-ready", "20s"],
    &["--ipc"],
];
/// What the documents begin with, with a limit that a test can wait for.
const HEADLINE: &[&str] = &["--hold-port", "--watchdog", "1s", "--max-memory", "80%"];

/// So many at once: most of it is waiting.
const AT_ONCE: usize = 4;

impl Launcher {
    fn passes_on(&self, form: Form) -> bool {
        match self.kind {
            Kind::Node => false,
            Kind::Native => form == Form::Script,
            Kind::Shell => true,
        }
    }

    fn cell(&self, form: Form, options: &'static [&'static str]) -> Cell {
        // A request that ends with the app must not be answered first, however late the app hears of its stop.
        let never_finishes = self.kills.is_some_and(|all| !all.contains("finishes"));
        let slow = Duration::from_millis(if never_finishes { 60_000 } else { 400 });
        let (passes_on, is_killed) = (self.passes_on(form), self.kills.is_some());
        Cell { line: self.line, package: self.package, form, options, slow, passes_on, is_killed }
    }

    /// The pairs that are tried, those of the launcher at that place in the table.
    fn cells(&self, place: usize) -> Vec<Cell> {
        let option = |distance: usize| OPTIONS[(place + distance) % OPTIONS.len()];
        let pairs = if is_long() {
            let all = OPTIONS.iter().chain([&HEADLINE]);
            all.flat_map(|options| [(Form::Command, *options), (Form::Script, *options)]).collect()
        } else {
            vec![(Form::Command, HEADLINE), (Form::Command, option(0)), (Form::Script, option(3))]
        };
        pairs.into_iter().map(|(form, options)| self.cell(form, options)).collect()
    }

    fn version(&self) -> String {
        let package = match self.package {
            "" => return "-".to_owned(),
            "node" => {
                let version = &nodes().last().expect("five majors").version;
                return version.trim_start_matches('v').split('.').next().expect("a major").to_owned();
            }
            "@pnpm/exe" => native_pnpm(),
            "bun" => bun(),
            package => programs().join(package),
        };
        version(&package)
    }

    /// The row of the table, from all that was seen.
    fn row(&self, seen: &[(Cell, Seen)]) -> String {
        let one = |cells: &mut dyn Iterator<Item = String>| {
            let all: BTreeSet<String> = cells.collect();
            all.into_iter().collect::<Vec<_>>().join(" or ")
        };
        let of_command = || seen.iter().filter(|(cell, _)| cell.form == Form::Command);
        let told = one(&mut of_command().flat_map(|(_, seen)| seen.told.iter()).map(|(name, _)| name.clone()));
        let instead = one(&mut of_command().flat_map(|(_, seen)| seen.told.iter()).map(|(_, instead)| instead.clone()));
        let by_signal = || seen.iter().filter(|(cell, _)| !cell.is_stopped_otherwise());
        let stop = one(&mut by_signal().map(|(_, seen)| seen.stop.clone()));
        let stop = self.kills.map_or(stop, |all| {
            by_signal().for_each(|(_, seen)| assert!(all.contains(&seen.stop), "{}: {seen:?}", self.line));
            all.to_owned()
        });
        let crash = one(&mut seen.iter().map(|(_, seen)| seen.crash.clone()));
        let or_none = |text: String| if text.is_empty() { "-".to_owned() } else { text };
        let options = match self.kind {
            Kind::Node => "off",
            Kind::Native => "off; on behind a script",
            Kind::Shell => "on",
        };
        format!("| `{}` | {} | {options} | {} | {} | {stop} | {crash} |", self.line, self.version(), or_none(told), or_none(instead))
    }
}

/// Runs the cells, some at a time.
fn run(cells: Vec<(usize, Cell)>) -> Vec<(usize, Cell, Seen)> {
    let (queue, seen) = (Mutex::new(cells.into_iter()), Mutex::new(Vec::new()));
    std::thread::scope(|threads| {
        for _ in 0..AT_ONCE {
            threads.spawn(|| {
                while let Some((place, cell)) = { queue.lock().expect("no cell failed").next() } {
                    let this = cell.run();
                    seen.lock().expect("no cell failed").push((place, cell, this));
                }
            });
        }
    });
    seen.into_inner().expect("no cell failed")
}

#[test]
fn behind_a_launcher_no_option_does_harm() {
    let cells = LAUNCHERS.iter().enumerate().flat_map(|(place, launcher)| launcher.cells(place).into_iter().map(move |cell| (place, cell)));
    let seen = run(cells.collect());
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/node.md")).expect("the page");
    let missing: Vec<String> = LAUNCHERS
        .iter()
        .enumerate()
        .filter_map(|(place, launcher)| {
            let of_it: Vec<(Cell, Seen)> =
                seen.iter().filter(|(of, ..)| *of == place).map(|(_, cell, seen)| (*cell, seen.clone())).collect();
            let row = launcher.row(&of_it);
            (!page.contains(&row)).then(|| format!("{row}\n{of_it:#?}"))
        })
        .collect();
    assert!(missing.is_empty(), "docs/node.md has not these rows, each with what was seen:\n{}", missing.join("\n"));
}

/// Two Nodes on one channel are told apart, and what the line says to write helps.
#[test]
fn of_two_nodes_the_app_has_the_channel_to_itself() {
    let scratch = Scratch::new();
    std::fs::write(scratch.path("worker.js"), "setInterval(() => {}, 1e6);").expect("a file");
    let server = "require('http').createServer().listen(0, () => console.log('serving'));";
    std::fs::write(scratch.path("server.js"), server).expect("a file");
    for (line, is_told) in [
        ("\"$0\" worker.js & exec \"$0\" server.js", true),
        ("env -u NODE_CHANNEL_FD -u NODE_UNIQUE_ID \"$0\" worker.js & exec \"$0\" server.js", false),
    ] {
        let command = ["sh".as_ref(), "-c".as_ref(), line.as_ref(), newest_node().as_os_str()] as [&std::ffi::OsStr; 4];
        let mut init = Bench::new(&["--hold-port", "--watchdog", "1s"]).folder(scratch.path("")).command(command);
        if is_told {
            init.log("start the one that is not the app by env -u NODE_CHANNEL_FD -u NODE_UNIQUE_ID COMMAND");
            continue;
        }
        init.out("serving");
        init.status_with("it is ready and watched", |status| status["ready"] == true && !status["event_loop"].is_null());
        init.signal(libc::SIGTERM);
        let end = init.end();
        assert_eq!((end.code, end.log.len()), (Some(143), 0), "{end:?}");
    }
}
