//! The commands that README.md and docs/ show: each is run here as it stands, or by the test that is named, and says what stands below it;
//! or it is said why not. Figures, pids and folders differ.

use crate::serving::last_answers;
use crate::shop_front::{self, document};
use crate::support;

use std::fs;

use support::web::{free_port, get};
use support::{Bench, Running, Scratch, newest_node};

/// How a command of the documents is seen to work.
enum Seen {
    /// Here: with options, and with the servers of the documents as the command.
    Run(fn(&Shown)),
    /// By another test, which has this in it.
    By(&'static str, &'static str),
    Not(&'static str),
}

use Seen::{By, Not, Run};

const FIRST_MINUTE: Seen = By("tests/orchestrators/first_minute.rs", "let [install, build, run, kill, logs] = commands[..]");

const COMMANDS: [(&str, &str, Seen); 18] = [
    ("README.md", "npm install restartinit", FIRST_MINUTE),
    ("README.md", "docker build -t app .", FIRST_MINUTE),
    ("README.md", "docker run -d --name app -p 3000:3000 app", FIRST_MINUTE),
    ("README.md", "docker exec app sh -c 'kill -9 $(cat /proc/1/task/1/children)'", FIRST_MINUTE),
    ("README.md", "docker logs app", FIRST_MINUTE),
    ("README.md", "make run", Not("it is for a person, who looks at it and ends it; its server is that of tests/docker")),
    ("README.md", "make test", Not("it is what runs this")),
    ("README.md", "docker exec app /restartinit status", Run(status)),
    ("docs/day-two.md", "restartinit --check http://localhost:3000/healthz -- node server.js", Run(serves)),
    ("docs/day-two.md", "restartinit --hold-port --max-age 24h -- node server.js", Run(serves)),
    ("docs/day-two.md", "restartinit --hold-port --restart-on-change /etc/tls -- node server.js", Run(serves)),
    ("docs/event-loop.md", "docker exec app /restartinit heap > app.heapsnapshot", Run(heap)),
    ("docs/event-loop.md", "docker exec app /restartinit profile 10s > app.cpuprofile", Run(profile)),
    ("docs/event-loop.md", "docker exec app /restartinit stack", Run(stack)),
    ("docs/frameworks.md", "restartinit --hold-port --stop-by drain -- node --import ./last-answers.mjs server.js", Run(serves)),
    ("docs/logs.md", "restartinit -v --max-restarts 2 -- sh -c 'exit 1'", Run(crash_loop)),
    ("docs/node.md", "restartinit --hold-port --watchdog 10s --max-memory 80% -- node server.js", Run(serves)),
    ("docs/options.md", "RESTARTINIT_MAX_RESTARTS=3 restartinit --backoff 1s --print-config", Run(print_config)),
];
/// Sourced by the test of the completions.
const SOURCED: (&str, &str) = ("docs/options.md", "source target/manual/restartinit.bash");

/// What a command of the documents begins with, behind its variables.
const PROGRAMS: [&str; 9] = ["restartinit", "docker", "npm", "npx", "make", "cargo", "kubectl", "curl", "source"];

/// A command, and the lines that stand below it.
#[derive(Debug)]
struct Shown {
    document: String,
    command: String,
    output: Vec<String>,
}

/// The command in a line of code: without its prompt, and what is said of it.
fn command(line: &str) -> Option<&str> {
    let line = line.strip_prefix("$ ").unwrap_or(line);
    let line = line.split_once("  #").map_or(line, |(command, _)| command).trim_end();
    let program = line.split(' ').find(|word| !word.contains('='))?;
    // A synopsis is none, nor is a table's row.
    (PROGRAMS.contains(&program) && !line.contains('[') && !line.contains("  ")).then_some(line)
}

fn shown(page: &str) -> Vec<Shown> {
    let mut found: Vec<Shown> = Vec::new();
    // No language: a fence that is opened by nothing but its marks, or a console.
    let (mut fenced, mut open) = (None, false);
    for line in document(page).lines() {
        if let Some(language) = line.strip_prefix("```") {
            fenced = if fenced.is_some() { None } else { Some(language.to_owned()) };
            open = false;
            continue;
        }
        let code = match fenced.as_deref() {
            Some("" | "console" | "sh") => Some(line),
            Some(_) => None,
            None => line.strip_prefix("    "),
        };
        match (code, code.and_then(command)) {
            (_, Some(command)) => {
                found.push(Shown { document: page.to_owned(), command: command.to_owned(), output: Vec::new() });
                open = true;
            }
            (Some(line), None) if open => found.last_mut().expect("a command").output.push(line.to_owned()),
            _ => open = false,
        }
    }
    found
}

/// README.md and the pages of docs/.
fn pages() -> Vec<String> {
    let all = shop_front::documents().into_iter().map(|path| path.display().to_string());
    all.filter(|path| path == "README.md" || path.starts_with("docs/")).collect()
}

#[test]
fn every_command_of_the_documents_is_known() {
    let mut found: Vec<(String, String)> = pages().iter().flat_map(|page| shown(page)).map(|it| (it.document, it.command)).collect();
    let mut known: Vec<(String, String)> =
        COMMANDS.iter().map(|(document, command, _)| (*document, *command)).chain([SOURCED]).map(|(a, b)| (a.into(), b.into())).collect();
    found.sort();
    known.sort();
    assert_eq!(found, known);
    for (_, command, seen) in &COMMANDS {
        match seen {
            By(test, text) => assert!(document(test).contains(text), "{command}: not in {test}"),
            Not(why) => assert!(!why.is_empty(), "{command}"),
            Run(_) => {}
        }
    }
    assert!(document("tests/it/manual.rs").contains("written(\"restartinit.bash\")"));
}

#[test]
fn every_command_does_what_is_shown() {
    for (document, command, seen) in &COMMANDS {
        if let Run(run) = seen {
            let found = shown(document).into_iter().find(|it| it.command == *command);
            run(&found.unwrap_or_else(|| panic!("{document} does not show {command}")));
        }
    }
}

/// With each number as `N`, and what differs from machine to machine.
fn plain(line: &str, folder: &str) -> String {
    let line = line.replace(folder.trim_end_matches('/'), "/app");
    let mut text = String::new();
    for letter in line.chars() {
        match letter {
            '0'..='9' | '.' if text.ends_with('N') => {}
            '0'..='9' => text.push('N'),
            letter => text.push(letter),
        }
    }
    text
}

fn assert_alike(shown: &Shown, seen: &[String], folder: &str) {
    let plain = |lines: &[String]| lines.iter().map(|line| plain(line, folder)).collect::<Vec<_>>();
    assert_eq!(plain(seen), plain(&shown.output), "{}, {}: {seen:#?}", shown.document, shown.command);
}

/// The servers of the documents: one that answers, and blocks where it is asked to as theirs does.
struct Server {
    init: Running,
    port: u16,
    scratch: Scratch,
}

impl Server {
    fn start(options: &[String], arguments: &[String], port: u16) -> Server {
        let scratch = Scratch::new();
        let app = "const burnTheCpu = () => {
  for (;;) { if (Date.now() < 0) break; }
}, handler = (request, response) => { if (request.url === '/burn') burnTheCpu(); response.end('well\\n'); };
require('http').createServer(handler).listen(+process.env.PORT, () => console.log('serving'));
";
        fs::write(scratch.path("server.js"), app).expect("the server");
        last_answers(&scratch);
        let words: Vec<&str> = options.iter().map(String::as_str).collect();
        let bench = Bench::new(&words).variable("PORT", port.to_string()).folder(scratch.path(""));
        let node = newest_node().display().to_string();
        let mut init = bench.command(std::iter::once(&node).chain(arguments));
        init.out("serving");
        while init.verb(&["health"]).code != Some(0) {}
        Server { init, port, scratch }
    }

    fn plain() -> Server {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        Server::start(&words(&["--ready-when", "listening"]), &words(&["server.js"]), free_port())
    }

    /// Without the path's end.
    fn folder(&self) -> String {
        fs::canonicalize(self.scratch.path("")).expect("its folder").display().to_string()
    }
}

/// `restartinit OPTIONS -- node ...`: it serves, nothing is said against it, and it stops.
fn serves(shown: &Shown) {
    let port = free_port();
    let line = shown.command.replace("3000/healthz", &format!("{port}/healthz"));
    let words: Vec<String> = line.split(' ').skip(1).map(str::to_owned).collect();
    let at = words.iter().position(|word| word == "--").expect("options, and a command");
    let (options, command) = words.split_at(at);
    assert_eq!(command[1], "node", "{line}");
    // Bench takes what does not say how it is ready for something that listens nowhere.
    let options = [options, &["--ready-when".to_owned(), "listening".to_owned()]].concat();
    let mut server = Server::start(&options, &command[2..], port);
    assert_eq!(get(&format!("127.0.0.1:{port}"), "/healthz").status, 200, "{line}");
    server.init.signal(libc::SIGTERM);
    let end = server.init.end();
    assert!(matches!(end.code, Some(0 | 143)), "{line}: {end:?}");
    let off = ["runs without", "is off", "off:", "expected", "unknown"];
    // A limit by percent needs a cgroup's, which this machine may not have.
    let told: Vec<&String> = end.log.iter().filter(|line| !line.contains("--max-memory")).collect();
    assert!(!told.iter().any(|line| off.iter().any(|word| line.contains(word))), "{line}: {end:?}");
}

fn crash_loop(shown: &Shown) {
    let end = Bench::new(&["-v", "--max-restarts", "2"]).command(["sh", "-c", "exit 1"]).end();
    assert_eq!(end.code, Some(1), "{end:?}");
    let seen: Vec<String> = end.log.into_iter().filter(|line| !line.contains("is ready")).collect();
    assert_alike(shown, &seen, "/app");
}

fn print_config(shown: &Shown) {
    let end = Bench::new(&["--backoff", "1s", "--print-config"]).variable("RESTARTINIT_MAX_RESTARTS", "3").bare().start().end();
    let (last, lines) = shown.output.split_last().expect("its lines");
    assert_eq!((last.as_str(), &end.out[..lines.len()]), ("...", lines));
}

/// Each line begins as shown: its figures are another server's.
fn status(shown: &Shown) {
    let options = ["--watchdog", "10s", "--max-memory", "80%", "--ready-when", "listening"].map(str::to_owned);
    let mut server = Server::start(&options, &["server.js".to_owned()], free_port());
    server.init.status_with("it has answered", |status| !status["event_loop"]["lag_seconds"].is_null());
    let said = server.init.verb(&["status"]);
    let labels = |lines: &mut dyn Iterator<Item = &str>| -> Vec<String> {
        lines.filter(|line| !line.starts_with(' ')).map(|line| line.get(..12).unwrap_or(line).trim_end().to_owned()).collect()
    };
    let seen = labels(&mut said.out.lines());
    // It has not crashed yet.
    let wanted: Vec<String> =
        labels(&mut shown.output.iter().map(String::as_str)).into_iter().filter(|label| label != "last exits").collect();
    assert!(wanted.iter().all(|label| seen.contains(label)), "{wanted:?}: {}", said.out);
}

/// How the verdict begins where other processes leave the app no processor.
const STARVED: &str = "waiting for a processor (starved: ";

/// What is shown is of a machine that has nothing else to do.
fn as_if_alone(line: &str) -> String {
    line.split_once(STARVED).map_or_else(|| line.to_owned(), |(command, _)| format!("{command}running (98 % of a processor)"))
}

fn stack(shown: &Shown) {
    let mut server = Server::plain();
    let address = format!("127.0.0.1:{}", server.port);
    let mut asked = support::web::connect(&address);
    std::io::Write::write_all(&mut asked, b"GET /burn HTTP/1.1\r\nHost: x\r\n\r\n").expect("a request");
    let folder = server.folder();
    // The request may still be on its way, and a look too short to tell how busy the processor is.
    let said = loop {
        let said = server.init.verb(&["stack"]);
        if said.out.contains("burnTheCpu") && (said.out.contains("running (") || said.out.contains(STARVED)) {
            break said;
        }
        assert!(!server.init.late(), "{said:?}");
    };
    let node = newest_node().display().to_string();
    let seen: Vec<String> = said.out.lines().map(|line| as_if_alone(&line.replace(&node, "node"))).collect();
    assert_alike(shown, &seen, &folder);
}

fn profile(_: &Shown) {
    let mut server = Server::plain();
    // As long as shown would be a test of nothing else.
    let said = server.init.verb(&["profile", "200ms"]);
    let profile: serde_json::Value = serde_json::from_str(&said.out).expect("a profile");
    assert!(profile["nodes"].is_array() && profile["samples"].is_array(), "{profile}");
}

fn heap(shown: &Shown) {
    let mut server = Server::plain();
    let said = server.init.verb(&["heap", "--force"]);
    let snapshot: serde_json::Value = serde_json::from_str(&said.out).expect("a snapshot");
    assert!(snapshot["snapshot"]["meta"].is_object(), "{}", said.err);
    let seen: Vec<String> = said.err.lines().map(str::to_owned).collect();
    assert_alike(shown, &seen, "/app");
}
