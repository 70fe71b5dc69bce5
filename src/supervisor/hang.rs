//! An event loop that did not turn: for how long, what its main thread did meanwhile, and where in the app it was. Pure data.

use std::time::Duration;

use crate::json::{Value, seconds};

use crate::inspector::stack::Frame;
use crate::time::human;

/// So many of the innermost calls stand in a line.
const TOLD: usize = 3;

/// See the module. What comes from the app is fit to be shown.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Hang {
    /// The app's own time.
    pub own: Duration,
    /// All of it: with the time in which the app had no processor.
    pub wall: Duration,
    /// `running`, `asleep in read of /mnt/nfs/x`.
    pub verdict: String,
    /// Innermost first; none: they are not known, or not wanted.
    pub stack: Vec<Frame>,
}

impl Hang {
    /// `10 s: running, in burnTheCpu (/app/server.js:2:34) < handler (/app/server.js:3:50)`; `limit` is what the app had.
    pub fn text(&self, limit: Duration) -> String {
        // What is lost to noise is no news.
        let share = if self.wall > limit + limit / 4 { format!(" of its own in {}", human(self.wall)) } else { String::new() };
        let calls: Vec<String> = self.stack.iter().take(TOLD).map(Frame::to_string).collect();
        let place = if calls.is_empty() { String::new() } else { format!(", in {}", calls.join(" < ")) };
        format!("{}{share}: {}{place}", human(limit), self.verdict)
    }

    /// Of one that is not killed for it, or not yet.
    pub fn late(&self) -> String {
        let starved = if self.own < self.wall / 2 { ", starved" } else { "" };
        format!("late{starved}: no answer for {}, of which {} were its own: {}", human(self.wall), human(self.own), self.verdict)
    }

    /// The same for programs.
    pub fn late_fields(&self) -> [(&'static str, Value); 3] {
        [("late_seconds", seconds(self.wall)), ("own_seconds", seconds(self.own)), ("verdict", self.verdict.as_str().into())]
    }

    /// The same with so many of the calls at most.
    pub fn innermost(&self, calls: usize) -> Hang {
        Hang { stack: self.stack.iter().take(calls).cloned().collect(), ..self.clone() }
    }

    /// What programs are told beside the reason.
    pub fn fields(&self) -> Vec<(&'static str, Value)> {
        let mut fields = vec![("verdict", Value::from(self.verdict.as_str()))];
        if !self.stack.is_empty() {
            fields.push(("stack", self.stack.iter().map(Frame::json).collect::<Vec<_>>().into()));
        }
        fields
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hang(wall: u64, verdict: &str, calls: usize) -> Hang {
        let frame = |number: usize| Frame { function: format!("f{number}"), url: "file:///app/x.js".to_owned(), line: 2, column: 34 };
        let (own, wall) = (Duration::from_secs(10), Duration::from_secs(wall));
        Hang { own, wall, verdict: verdict.to_owned(), stack: (1..=calls).map(frame).collect() }
    }

    #[test]
    fn a_line_has_the_innermost_calls() {
        let said = |wall, verdict, calls| hang(wall, verdict, calls).text(Duration::from_secs(10));
        assert_eq!(said(10, "running", 0), "10 s: running");
        assert_eq!(said(12, "running", 2), "10 s: running, in f1 (/app/x.js:2:34) < f2 (/app/x.js:2:34)");
        assert_eq!(said(200, "running", 9).matches(" < ").count(), 2);
        assert!(said(200, "running", 9).starts_with("10 s of its own in 3 min 20 s: running, in f1 "));
        assert!(said(13, "running", 0).starts_with("10 s of its own in 13 s"), "more than a quarter");
        assert_eq!(hang(10, "running", 0).text(Duration::from_secs(8)), "8 s: running", "no more than that");
        assert_eq!(said(11, "waiting for its child \"convert\" (pid 31)", 0), "10 s: waiting for its child \"convert\" (pid 31)");
    }

    #[test]
    fn programs_have_every_call() {
        let fields = hang(10, "running", 5).fields();
        assert_eq!(fields[0], ("verdict", "running".into()));
        let stack: serde_json::Value = serde_json::from_str(&fields[1].1.to_string()).unwrap();
        assert_eq!((fields[1].0, stack.as_array().map(Vec::len)), ("stack", Some(5)));
        assert_eq!(stack[0], serde_json::json!({"function": "f1", "file": "/app/x.js", "line": 2, "column": 34}));
        assert_eq!(hang(10, "running", 0).fields().len(), 1);
        assert_eq!(hang(10, "running", 5).innermost(2), hang(10, "running", 2));
    }

    #[test]
    fn one_that_had_no_processor_is_told_to_be_starved() {
        let late = |wall| hang(wall, "ready to run", 0).late();
        assert_eq!(late(20), "late: no answer for 20 s, of which 10 s were its own: ready to run");
        assert_eq!(late(21), "late, starved: no answer for 21 s, of which 10 s were its own: ready to run");
        let fields = hang(21, "running", 0).late_fields().map(|(name, value)| (name, value.to_string()));
        let told = [("late_seconds", "21.0"), ("own_seconds", "10.0"), ("verdict", "\"running\"")];
        assert_eq!(fields, told.map(|(name, value)| (name, value.to_owned())));
    }
}
