//! A stack of the app, and what is said of it: lines for people, an object for programs. Pure.

use std::fmt;

use serde_json::Value;

use crate::json;

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
    /// Innermost first.
    pub frames: Vec<Frame>,
    /// Frames that are not among them.
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
        Value::Object(fields.into_iter().map(|(key, value): (&str, Value)| (key.to_owned(), value)).collect())
    }

    /// Reads what [`Frame::json`] made.
    pub fn of_json(object: &str) -> Option<Frame> {
        let number = |key: &str| json::member(object, key)?.parse().ok();
        let text = |key: &str| json::text(json::member(object, key)?);
        Some(Frame { function: text("function")?, url: text("file")?, line: number("line")?, column: number("column")? })
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
        let code = after.get(..2).filter(|_| *first == b'%').and_then(|digits| std::str::from_utf8(digits).ok());
        match code.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    crate::procfs::shown(&bytes, super::message::LONGEST_NAME)
}

impl Answer {
    /// For people: what runs and how it is, then the calls, innermost first.
    pub fn text(&self) -> String {
        let Answer { pid, command, verdict, .. } = self;
        let who = self.generation.map_or_else(|| format!("pid {pid}"), |generation| format!("generation {generation} (pid {pid})"));
        let mut text = format!("{who}, {command}: {verdict}\n");
        for frame in &self.frames {
            text.push_str(&format!("  at {frame}\n"));
        }
        if self.more > 0 {
            text.push_str(&format!("  and {} more\n", self.more));
        }
        text
    }

    /// One object.
    pub fn json(&self) -> String {
        let frames: Value = self.frames.iter().map(Frame::json).collect();
        let [generation, verdict, frames] =
            [self.generation.into(), self.verdict.as_str().into(), frames].map(|value| json::compact(&value));
        format!("{{\"pid\":{},\"generation\":{generation},\"verdict\":{verdict},\"stack\":{frames}}}\n", self.pid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(generation: Option<u32>, frames: Vec<Frame>, more: usize) -> Answer {
        Answer { generation, pid: 12, command: "node server.js".into(), verdict: "running (98 % of a processor)".into(), frames, more }
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
        let object: Value = serde_json::from_str(&answer(Some(3), vec![frame("a\"b", "file:///x"), frame("", "")], 0).json()).unwrap();
        assert_eq!(
            (&object["pid"], &object["generation"], &object["verdict"]),
            (&12.into(), &3.into(), &"running (98 % of a processor)".into())
        );
        assert_eq!(object["stack"][0], serde_json::json!({"function": "a\"b", "file": "/x", "line": 2, "column": 34}));
        assert_eq!(object["stack"][1]["file"], "<anonymous>");
        let none: Value = serde_json::from_str(&answer(None, Vec::new(), 0).json()).unwrap();
        assert_eq!((&none["generation"], &none["stack"]), (&Value::Null, &serde_json::json!([])));
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
