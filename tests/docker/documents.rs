//! What the documents tell people to write: each probe, health check, setting and command line of theirs, in the image that they build.

use std::fs;
use std::path::{Path, PathBuf};

use crate::container::{Container, Spec};
use crate::images;

struct Document {
    path: String,
    text: String,
}

fn documents() -> Vec<Document> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = vec![root.join("README.md"), root.join("Dockerfile.example")];
    for folder in ["docs", "examples"] {
        files(&root.join(folder), &mut found);
    }
    let kinds = ["md", "yml", "yaml", "json", "container", "example"];
    let is_text = |path: &PathBuf| path.extension().is_some_and(|kind| kinds.iter().any(|text| kind == *text));
    found.retain(is_text);
    let document = |path: PathBuf| Document {
        path: path.strip_prefix(root).expect("found below it").display().to_string(),
        text: fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())),
    };
    found.into_iter().map(document).collect()
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
        let path = entry.expect("a readable folder").path();
        if path.is_dir() {
            files(&path, found);
        } else {
            found.push(path);
        }
    }
}

impl Document {
    /// The arrays of words in which a restartinit is named, such as `["CMD", "/restartinit", "health"]`.
    fn arrays(&self) -> impl Iterator<Item = Vec<String>> {
        let array = |(at, _)| serde_json::from_str::<Vec<String>>(&self.text[at..=at + self.text[at..].find(']')?]).ok();
        let names_it = |words: &Vec<String>| words.len() > 1 && words.iter().any(|word| word.ends_with("restartinit"));
        self.text.match_indices('[').filter_map(array).filter(names_it)
    }

    /// What stands between backticks, and the lines of code.
    fn code(&self) -> impl Iterator<Item = &str> {
        let mut is_fenced = false;
        let lines = self.text.lines().filter_map(move |line| {
            is_fenced ^= line.starts_with("```");
            let code = if is_fenced { Some(line) } else { line.strip_prefix("    ") };
            code.map(|code| code.split("  ").next().unwrap_or_default().trim())
        });
        lines.chain(self.text.lines().flat_map(|line| line.split('`').skip(1).step_by(2)))
    }
}

/// The example server, ready.
fn ready(spec: Spec) -> Container {
    let container = Container::serving(spec);
    container.exec(&["/restartinit", "health"]);
    container
}

/// Each of these is there: how they are looked for still fits how they are written.
fn all_are_among(expected: &[&str], seen: &[String]) {
    let missing: Vec<_> = expected.iter().filter(|path| !seen.iter().any(|seen| seen.starts_with(**path))).collect();
    assert!(missing.is_empty(), "nothing found in {missing:?}: {seen:#?}");
}

#[test]
fn each_probe_is_answered() {
    let container = ready(Spec::example());
    let mut seen = Vec::new();
    for document in documents() {
        for words in document.arrays() {
            let words: Vec<&str> = words.iter().map(String::as_str).skip_while(|word| *word == "CMD").collect();
            if words == ["/restartinit", "--"] {
                continue;
            }
            let answer = container.try_exec(&[], &words);
            assert_eq!(answer.0, Some(0), "{}: {words:?}: {answer:?}", document.path);
            seen.push(format!("{}: {words:?}", document.path));
        }
    }
    let files = ["README.md", "docs/orchestrators.md", "docs/monitoring.md", "examples/deploy/"];
    all_are_among(&files, &seen);
    all_are_among(
        &["pod.yaml", "job.yaml", "compose.yml", "stack.yml", "ecs-task-definition.json", "web.container"]
            .map(|file| ["examples/deploy/", file].concat())
            .each_ref()
            .map(String::as_str),
        &seen,
    );
}

/// Tries each line of code that fits; some are in each of these documents.
fn each_line(fits: impl Fn(&str) -> bool, documents_with_one: &[&str], try_it: impl Fn(&str)) {
    let mut seen = Vec::new();
    for document in documents() {
        for line in document.code().filter(|line| fits(line)) {
            eprintln!("{}: {line}", document.path);
            try_it(line);
            seen.push(format!("{}: {line}", document.path));
        }
    }
    all_are_among(documents_with_one, &seen);
}

#[test]
fn each_health_check_makes_its_image_healthy() {
    each_line(
        |line| line.starts_with("HEALTHCHECK "),
        &["docs/monitoring.md"],
        |line| {
            let container = ready(Spec::image(&images::example_with(line)).options("--health-interval 200ms"));
            container.wait_until_inspect("{{.State.Health.Status}}", "healthy");
        },
    );
}

#[test]
fn an_app_serves_with_each_line_of_settings() {
    each_line(
        |line| line.starts_with("ENV RESTARTINIT_"),
        &["README.md"],
        |line| {
            let container = ready(Spec::image(&images::example_with(line)));
            container.crash(1);
            assert_eq!(container.stop(), 0, "{line}");
        },
    );
}

/// A manifest's probes by HTTP, at the port that it sets.
#[test]
fn each_probe_by_http_is_answered() {
    let mut seen = Vec::new();
    for document in documents() {
        let paths: Vec<&str> =
            document.text.lines().filter_map(|line| line.trim().strip_prefix("path: ")).filter(|path| path.ends_with('z')).collect();
        if paths.is_empty() {
            continue;
        }
        let setting = document.text.split_once("RESTARTINIT_HTTP, value: \"").unwrap_or_else(|| panic!("{}: no port", document.path)).1;
        let port = setting.split('"').next().unwrap_or_default();
        let container = ready(Spec::example().options(&format!("-e RESTARTINIT_HTTP={port}")));
        for path in paths {
            container.exec(&["wget", "-q", "-O", "-", &format!("http://127.0.0.1:{port}{path}")]);
            seen.push(format!("{}: {path}", document.path));
        }
    }
    all_are_among(
        &["deployment.yaml", "cloud-run.yml", "container-app.yml"]
            .map(|file| ["examples/deploy/", file].concat())
            .each_ref()
            .map(String::as_str),
        &seen,
    );
}

const VERBS: [&str; 6] = ["status", "health", "restart", "stack", "profile", "heap"];

/// `docker exec app ...` as it stands, and the verbs that a synopsis names.
#[test]
fn each_verb_is_reached() {
    let container = ready(Spec::example());
    let mut seen = Vec::new();
    for document in documents() {
        for line in document.code().map(|line| line.trim_start_matches("$ ")) {
            // What the reader's own shell does with the output is not the container's.
            let words: Vec<&str> = line.split_whitespace().take_while(|word| !word.starts_with('[') && *word != ">").collect();
            let command = match words[..] {
                // A line with a shell of its own in it is tests/orchestrators/first_minute.rs'.
                ["docker", "exec", _, ref command @ ..] if !command.is_empty() && !line.contains('\'') => command.to_vec(),
                ["restartinit", verb, ref rest @ ..] if VERBS.contains(&verb) => [&["/restartinit", verb], rest].concat(),
                _ => continue,
            };
            let answer = container.try_exec(&[], &command);
            assert_eq!(answer.0, Some(0), "{}: {line}: {answer:?}", document.path);
            seen.push(format!("{}: {line}", document.path));
        }
    }
    all_are_among(
        &["README.md: restartinit health", "docs/restarts.md: docker exec", "docs/event-loop.md: docker exec", "docs/options.md"],
        &seen,
    );
}

/// What a shell of the image makes of a command line: it is understood, and serves or ends as the command does.
#[test]
fn each_command_line_works() {
    let mut seen = Vec::new();
    for document in documents() {
        for line in document.code().map(|line| line.trim_start_matches("$ ")) {
            let is_setting = |word: &&str| word.starts_with("RESTARTINIT_");
            let words: Vec<&str> = line.split_whitespace().skip_while(is_setting).collect();
            let ["restartinit", first, .., last] = words[..] else { continue };
            // A synopsis, a verb; or a command of the reader's that is called like one.
            if first.starts_with('[') || [first, last].iter().any(|word| VERBS.contains(word)) {
                continue;
            }
            // Prose names options with the command left out.
            let is_whole = !first.starts_with('-') || words.contains(&"--") || last == "--print-config";
            let command = line.replace("restartinit ", "exec /restartinit ") + if is_whole { "" } else { " -- true" };
            let container = Spec::image(images::example()).options("--entrypoint /bin/sh").words(&["-c", &command]).start();
            let has_ended = || container.inspect("{{.State.Status}}") == "exited";
            container.wait_until(&command, || has_ended() || container.try_exec(&[], &["/restartinit", "health"]).0 == Some(0));
            if has_ended() {
                let code = container.wait();
                assert!(!(125..=127).contains(&code), "{}: {line}: {code}\n{}", document.path, container.everything_said());
            }
            seen.push(format!("{}: {line}", document.path));
        }
    }
    all_are_among(&["docs/logs.md", "docs/node.md", "docs/options.md", "docs/coming-from-other-inits.md"], &seen);
}

/// `docker run ... IMAGE bash`, with the shell that this image has, which reads what is written to it.
#[test]
fn each_interactive_shell_is_one() {
    let fits = |line: &str| line.starts_with("docker run -it ") && line.ends_with(" IMAGE bash");
    each_line(fits, &["README.md", "docs/signals-and-stopping.md"], |line| {
        let options = line.trim_start_matches("docker run -it ").trim_end_matches(" IMAGE bash");
        let (code, said) = Spec::example().options(options).words(&["sh", "-c", "echo from a shell; exit 7"]).run_to_end();
        assert!(code == 7 && said.contains("from a shell") && !said.contains("restart 1"), "{line}: {code}\n{said}");
    });
}
