//! The load over TLS: a client in Node that tells its tally again and again.

use super::{FRESH, KEPT, Shared, Tally};
use crate::serving::app;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::thread::JoinHandle;

pub fn start(shared: Arc<Shared>, node: &str, port: u16) -> JoinHandle<()> {
    let mut client = Command::new(node);
    client.arg(app("node/servers/load.js")).args([u64::from(port), FRESH, KEPT].map(|number| number.to_string()));
    let mut client = client.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("a client");
    let lines = BufReader::new(client.stdout.take().expect("its output")).lines();
    std::thread::spawn(move || {
        for line in lines.map_while(Result::ok) {
            if let Some(fault) = line.strip_prefix("fault ") {
                shared.faults.lock().unwrap_or_else(PoisonError::into_inner).push(fault.to_owned());
                continue;
            }
            let numbers: Vec<u64> = line.split(' ').map(|number| number.parse().expect("a number")).collect();
            let [answered, refused, reset, lost, hung, wrong, again] = numbers[..] else { panic!("not a tally: {line}") };
            shared.answered.store(answered, Ordering::Relaxed);
            *shared.tally.lock().unwrap_or_else(PoisonError::into_inner) = Tally { answered, refused, reset, lost, hung, wrong, again };
            if shared.over.load(Ordering::Relaxed) {
                client.stdin = None;
            }
        }
        assert!(client.wait().expect("its end").success(), "the client failed");
    })
}
