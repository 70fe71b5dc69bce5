//! The world outside the containers: it reaches them through published ports, and waits for what it was promised.

use std::process::Command;
use std::time::{Duration, Instant};

/// What no promise may take: a health check every 5 s, a drain of 5 s and a delay of 5 s are part of some.
const DEADLINE: Duration = Duration::from_secs(60);

/// A file of the repository.
pub fn repository(path: &str) -> String {
    format!("{}/{path}", env!("CARGO_MANIFEST_DIR"))
}

/// A program that runs where the engine publishes its ports.
fn there(program: &str) -> Command {
    let namespace = std::env::var("RESTARTINIT_TEST_NETNS")
        .expect("these tests need an engine of their own: run them through tests/docker/with-engine --own");
    let mut command = Command::new("nsenter");
    command.arg(format!("--net={namespace}")).arg(program);
    command
}

/// Asks a published port; the status and the body, or `None` when nobody answers.
pub fn get(port: u16, path: &str) -> Option<(u16, String)> {
    let address = format!("http://127.0.0.1:{port}{path}");
    let output =
        there("curl").args(["-s", "--max-time", "5", "-w", "\n%{http_code}", &address]).output().expect("nsenter and curl can be run");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let (body, status) = text.rsplit_once('\n')?;
    // An answer that was cut short is none.
    output.status.success().then(|| (status.parse().expect("a status"), body.to_owned()))
}

/// Waits until the example server's generation `number` answers there.
pub fn wait_for_generation(port: u16, number: u32) {
    let line = format!("generation  {number}\n");
    until(&format!("generation {number} answers on port {port}"), || get(port, "/").filter(|(_, page)| page.contains(&line)));
}

/// Crashes the example server of generation `number`.
pub fn crash(port: u16, number: u32) {
    wait_for_generation(port, number);
    let answer = get(port, "/crash");
    assert!(answer.as_ref().is_some_and(|(_, said)| said.contains("exiting with code 1")), "{answer:?}");
}

/// Crashes it until restartinit hands over: the sixth crash, with the defaults.
pub fn crash_until_it_hands_over(port: u16) {
    for number in 1..=6 {
        crash(port, number);
    }
}

/// Asks again until there is an answer, or the deadline has passed.
pub fn until<T>(what: &str, ask: impl Fn() -> Option<T>) -> T {
    let end = Instant::now() + DEADLINE;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < end, "not in time: {what}");
        // Nobody tells of such changes; the pause spares the processor and decides nothing.
        std::thread::sleep(Duration::from_millis(50));
    }
}
