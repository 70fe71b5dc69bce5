//! A stack of the app, and what is said of it: lines for people, an object for programs. Pure.

use std::fmt;

use crate::json::Value;

use crate::json_scan::{Scanner, Sink};
use crate::procfs;

/// More say nothing that these do not.
pub const MOST_FRAMES: usize = 20;

/// One call: where it is, counted from 1. All of it is fit to be shown.
#[derive(Clone, PartialEq, Eq, Hash, Default, Debug)]
pub struct Frame {
    pub function: String,
    /// Where its script comes from; empty: it has no address.
    pub url: String,
    pub line: u32,
    pub column: u32,
}

/// What the verb answers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answer {
    /// `None`: it was asked by its pid.
    pub generation: Option<u32>,
    pub pid: i32,
    /// `node server.js`.
    pub command: String,
    pub verdict: String,
    pub stack: Stack,
}

/// Where the app is.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Stack {
    /// Innermost first, [`MOST_FRAMES`] at most.
    pub frames: Vec<Frame>,
    /// How many there are besides.
    pub more: usize,
}

impl Frame {
    fn function(&self) -> &str {
        if self.function.is_empty() { "<anonymous>" } else { &self.function }
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let fields = [
            ("function", self.function().into()),
            ("file", self.file().into()),
            ("line", self.line.into()),
            ("column", self.column.into()),
        ];
        Value::Object(fields.into())
    }

    /// The path of a file, another address as it is.
    fn file(&self) -> String {
        match self.url.strip_prefix("file://") {
            Some(path) => decoded(path),
            None if self.url.is_empty() => "<anonymous>".to_owned(),
            None => self.url.clone(),
        }
    }
}

/// `handler (/app/server.js:3:50)`.
impl fmt::Display for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}:{}:{})", self.function(), self.file(), self.line, self.column)
    }
}

/// Without the escapes of a URL.
fn decoded(path: &str) -> String {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let digit = |at: usize| after.get(at).and_then(|digit| char::from(*digit).to_digit(16)).filter(|_| *first == b'%');
        let code = digit(0).zip(digit(1)).and_then(|(high, low)| u8::try_from(high << 4 | low).ok());
        bytes.push(code.unwrap_or(*first));
        rest = if code.is_some() { after.get(2..).unwrap_or_default() } else { after };
    }
    crate::procfs::shown(&bytes, super::message::LONGEST_NAME)
}

/// Reads the frames of what [`Answer::json`] made, if it is of that generation.
pub fn frames(answer: &[u8], generation: u32) -> Vec<Frame> {
    let mut found = Found { generation: None, frames: Vec::new(), frame: Frame::default() };
    Scanner::default().feed(answer, &mut found);
    if found.generation == Some(generation) { found.frames } else { Vec::new() }
}

struct Found {
    generation: Option<u32>,
    frames: Vec<Frame>,
    /// The one that is being read.
    frame: Frame,
}

impl Sink for Found {
    fn value(&mut self, path: &str, text: &[u8]) {
        let number = || procfs::number(text).unwrap_or_default();
        let name = || String::from_utf8_lossy(text).into_owned();
        match path {
            "generation" => self.generation = procfs::number(text),
            "stack[].function" => self.frame.function = name(),
            "stack[].file" => self.frame.url = name(),
            "stack[].line" => self.frame.line = number(),
            "stack[].column" => self.frame.column = number(),
            _ => {}
        }
    }

    fn closed(&mut self, path: &str) {
        if path == "stack[]" && self.frames.len() < MOST_FRAMES {
            self.frames.push(std::mem::take(&mut self.frame));
        }
    }
}

impl Answer {
    /// For people: what runs and how it is, then the calls, innermost first.
    pub fn text(&self) -> String {
        let Answer { pid, command, verdict, .. } = self;
        let who = self.generation.map_or_else(|| format!("pid {pid}"), |generation| format!("generation {generation} (pid {pid})"));
        let mut text = format!("{who}, {command}: {verdict}\n");
        for frame in &self.stack.frames {
            text.push_str(&format!("  at {frame}\n"));
        }
        if self.stack.more > 0 {
            text.push_str(&format!("  and {} more\n", self.stack.more));
        }
        text
    }

    /// One object.
    pub fn json(&self) -> String {
        let stack: Vec<Value> = self.stack.frames.iter().map(Frame::json).collect();
        let fields = [
            ("pid", self.pid.into()),
            ("generation", self.generation.into()),
            ("verdict", self.verdict.as_str().into()),
            ("stack", stack.into()),
        ];
        format!("{}\n", Value::Object(fields.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(generation: Option<u32>, frames: Vec<Frame>, more: usize) -> Answer {
        Answer {
            generation,
            pid: 12,
            command: "node server.js".into(),
            verdict: "running (98 % of a processor)".into(),
            stack: Stack { frames, more },
        }
    }

    fn frame(function: &str, url: &str) -> Frame {
        Frame { function: function.into(), url: url.into(), line: 2, column: 34 }
    }

    #[test]
    fn people_read_lines() {
        let frames = vec![frame("burnTheCpu", "file:///app/server.js"), frame("", "node:internal/timers"), frame("x", "")];
        assert_eq!(
            answer(Some(3), frames, 7).text(),
            "generation 3 (pid 12), node server.js: running (98 % of a processor)\n  at burnTheCpu (/app/server.js:2:34)\n  \
             at <anonymous> (node:internal/timers:2:34)\n  at x (<anonymous>:2:34)\n  and 7 more\n"
        );
        assert_eq!(answer(None, Vec::new(), 0).text(), "pid 12, node server.js: running (98 % of a processor)\n");
    }

    #[test]
    fn programs_read_an_object() {
        let object: serde_json::Value =
            serde_json::from_str(&answer(Some(3), vec![frame("a\"b", "file:///x"), frame("", "")], 0).json()).unwrap();
        assert_eq!(
            (&object["pid"], &object["generation"], &object["verdict"]),
            (&12.into(), &3.into(), &"running (98 % of a processor)".into())
        );
        assert_eq!(object["stack"][0], serde_json::json!({"function": "a\"b", "file": "/x", "line": 2, "column": 34}));
        assert_eq!(object["stack"][1]["file"], "<anonymous>");
        let none: serde_json::Value = serde_json::from_str(&answer(None, Vec::new(), 0).json()).unwrap();
        assert_eq!((&none["generation"], &none["stack"]), (&serde_json::Value::Null, &serde_json::json!([])));
    }

    #[test]
    fn what_programs_read_is_read_back() {
        let written = answer(Some(3), vec![frame("a\"b", "file:///x"), frame("", "node:net")], 0).json();
        let read = frames(written.as_bytes(), 3);
        assert_eq!(read, [frame("a\"b", "/x"), frame("<anonymous>", "node:net")]);
        assert_eq!(read.iter().map(Frame::to_string).collect::<Vec<_>>(), ["a\"b (/x:2:34)", "<anonymous> (node:net:2:34)"]);
        assert_eq!(frames(written.as_bytes(), 2), [], "of another generation");
        let many = answer(Some(3), vec![frame("f", "/x"); 30], 0).json();
        assert_eq!(frames(many.as_bytes(), 3).len(), MOST_FRAMES);
        for broken in ["", "{", "[]", "{\"generation\":3,\"stack\":{}}", "{\"generation\":3,\"stack\":[1,\"x\"]}"] {
            assert_eq!(frames(broken.as_bytes(), 3), [], "{broken}");
        }
    }

    #[test]
    fn a_file_is_told_by_its_path() {
        for (url, path) in [
            ("file:///my%20app/%C3%A9.mjs", "/my app/\u{e9}.mjs"),
            ("file:///a%zz%2", "/a%zz%2"),
            ("file:///a%0Ab%1b[2J", "/a?b?[2J"),
            ("/app/x.js", "/app/x.js"),
        ] {
            assert_eq!(frame("f", url).file(), path);
        }
    }
}
