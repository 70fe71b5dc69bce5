//! JSON of any size in one pass, split anywhere: scalars with the path that leads to them, and what is too large to keep passed on in pieces. It
//! finds what is there in valid JSON; of anything else it makes something, in bounded memory. Knows JSON, not what a field means. Pure.

use std::str;

/// What lies deeper has no path, and is passed over.
const DEEPEST: usize = 8;
/// Of a string or a number that is kept, in bytes; the rest is passed over.
pub const LONGEST: usize = 512;
/// No longer key is one that anybody asks for.
const LONGEST_KEY: usize = 32;

/// How the value at a path is to be told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wanted {
    /// What is in it, one by one.
    Values,
    /// The letters of a string, in pieces.
    Letters,
    /// The JSON itself, in pieces, and what is in it.
    Json,
}

/// Who is told. A path is `params.callFrames[].url`: keys with dots, and `[]` for each list.
pub trait Sink {
    /// Asked once, where a value begins.
    fn wanted(&mut self, _path: &str) -> Wanted {
        Wanted::Values
    }
    /// A string without its escapes, a number, `true`, `false` or `null`; at most [`LONGEST`] bytes of it.
    fn value(&mut self, path: &str, text: &[u8]);
    /// The end of an object or a list.
    fn closed(&mut self, _path: &str) {}
    /// A piece of what is wanted in pieces.
    fn piece(&mut self, _bytes: &[u8]) {}
}

/// Between two bytes.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
enum State {
    #[default]
    Structure,
    Literal,
    String,
    Escape,
    /// So many digits of `\u1234` have come, which make so much.
    Unicode(u8, u16),
}

/// What becomes of the string under way.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
enum Use {
    #[default]
    Nothing,
    Key,
    Value,
    Pieces,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Level {
    is_list: bool,
    /// How much of the path is the container's own.
    path: usize,
}

/// The state between two calls.
#[derive(Default, Debug)]
pub struct Scanner {
    state: State,
    levels: Vec<Level>,
    /// Containers below the deepest level.
    below: u32,
    /// Of the value that comes or is under way.
    path: String,
    /// The next string is a key.
    is_key: bool,
    string: Use,
    scalar: Vec<u8>,
    /// The first half of a pair of `\u`.
    high: Option<u16>,
    /// JSON is passed on until there are so few levels again.
    json: Option<usize>,
}

impl Scanner {
    /// Reads on.
    pub fn feed(&mut self, bytes: &[u8], sink: &mut dyn Sink) {
        // From where on JSON is to be passed on.
        let mut from = 0;
        let mut at = 0;
        while let Some(byte) = bytes.get(at).copied() {
            let was_json = self.json.is_some();
            match self.state {
                State::Structure => self.structure(byte, sink),
                State::Literal if matches!(byte, b',' | b']' | b'}' | b':' | b' ' | b'\t' | b'\r' | b'\n') => {
                    self.end_scalar(sink);
                    // It is no part of the number: the byte is read again, by itself.
                    if was_json && self.json.is_none() {
                        sink.piece(bytes.get(from..at).unwrap_or_default());
                    }
                    continue;
                }
                State::Literal => self.letters(&[byte], sink),
                State::String => {
                    let rest = bytes.get(at..).unwrap_or_default();
                    let plain = rest.iter().position(|byte| matches!(byte, b'"' | b'\\')).unwrap_or(rest.len());
                    if plain > 0 {
                        self.letters(rest.get(..plain).unwrap_or_default(), sink);
                        at += plain;
                        continue;
                    }
                    if byte == b'"' { self.end_scalar(sink) } else { self.state = State::Escape }
                }
                State::Escape => self.escape(byte, sink),
                State::Unicode(digits, number) => self.unicode(byte, digits, number, sink),
            }
            at += 1;
            match (was_json, self.json.is_some()) {
                (false, true) => from = at - 1,
                (true, false) => sink.piece(bytes.get(from..at).unwrap_or_default()),
                _ => {}
            }
        }
        if self.json.is_some() {
            sink.piece(bytes.get(from..).unwrap_or_default());
        }
    }

    /// Nothing more comes; the next byte begins another text.
    pub fn finish(&mut self, sink: &mut dyn Sink) {
        if self.state == State::Literal {
            self.end_scalar(sink);
        }
        *self = Scanner::default();
    }

    fn structure(&mut self, byte: u8, sink: &mut dyn Sink) {
        match byte {
            b'{' | b'[' => {
                self.begin_value(sink);
                self.open(byte == b'[');
            }
            b'}' | b']' => self.close(sink),
            b',' => self.is_key = self.levels.last().is_some_and(|level| !level.is_list),
            b':' => self.is_key = false,
            b'"' => {
                self.string = if self.is_key { Use::Key } else { self.begin_value(sink) };
                self.state = State::String;
            }
            b' ' | b'\t' | b'\r' | b'\n' => {}
            _ => {
                self.begin_value(sink);
                self.string = if self.below == 0 { Use::Value } else { Use::Nothing };
                self.state = State::Literal;
                self.letters(&[byte], sink);
            }
        }
    }

    /// A value begins; gives back what becomes of it if it is a string.
    fn begin_value(&mut self, sink: &mut dyn Sink) -> Use {
        self.scalar.clear();
        self.high = None;
        if self.below > 0 {
            return Use::Nothing;
        }
        match sink.wanted(&self.path) {
            Wanted::Letters => Use::Pieces,
            Wanted::Json if self.json.is_none() => {
                self.json = Some(self.levels.len());
                Use::Value
            }
            Wanted::Json | Wanted::Values => Use::Value,
        }
    }

    fn open(&mut self, is_list: bool) {
        if self.levels.len() == DEEPEST {
            self.below = self.below.saturating_add(1);
            return;
        }
        self.levels.push(Level { is_list, path: self.path.len() });
        self.is_key = !is_list;
        self.scalar.clear();
        if is_list {
            self.path.push_str("[]");
        }
    }

    fn close(&mut self, sink: &mut dyn Sink) {
        if self.below > 0 {
            self.below -= 1;
            return;
        }
        let Some(level) = self.levels.pop() else { return };
        self.path.truncate(level.path);
        self.is_key = false;
        sink.closed(&self.path);
        self.end_value();
    }

    fn end_value(&mut self) {
        if self.below == 0 && self.json == Some(self.levels.len()) {
            self.json = None;
        }
    }

    /// The end of a string or another scalar.
    fn end_scalar(&mut self, sink: &mut dyn Sink) {
        self.lone_surrogate(sink);
        self.state = State::Structure;
        match std::mem::take(&mut self.string) {
            Use::Key => {
                let base = self.levels.last().map_or(0, |level| level.path);
                self.path.truncate(base);
                if base > 0 {
                    self.path.push('.');
                }
                // A cut or broken key is none that is asked for.
                let key = str::from_utf8(&self.scalar).ok().filter(|key| key.len() < LONGEST_KEY);
                self.path.push_str(key.unwrap_or("?"));
            }
            Use::Value => {
                sink.value(&self.path, &self.scalar);
                self.end_value();
            }
            Use::Pieces => self.end_value(),
            Use::Nothing => {}
        }
        self.scalar.clear();
    }

    fn letters(&mut self, bytes: &[u8], sink: &mut dyn Sink) {
        self.lone_surrogate(sink);
        self.text(bytes, sink);
    }

    fn text(&mut self, bytes: &[u8], sink: &mut dyn Sink) {
        let longest = match self.string {
            Use::Pieces => return sink.piece(bytes),
            Use::Nothing => return,
            Use::Key => LONGEST_KEY,
            Use::Value => LONGEST,
        };
        let room = longest.saturating_sub(self.scalar.len()).min(bytes.len());
        self.scalar.extend_from_slice(bytes.get(..room).unwrap_or_default());
    }

    fn escape(&mut self, byte: u8, sink: &mut dyn Sink) {
        self.state = State::String;
        let letter = match byte {
            b'u' => return self.state = State::Unicode(0, 0),
            b'n' => b'\n',
            b't' => b'\t',
            b'r' => b'\r',
            b'b' => 8,
            b'f' => 12,
            other => other,
        };
        self.letters(&[letter], sink);
    }

    fn unicode(&mut self, byte: u8, digits: u8, number: u16, sink: &mut dyn Sink) {
        let Some(digit) = char::from(byte).to_digit(16).and_then(|digit| u16::try_from(digit).ok()) else {
            // No escape of JSON's.
            self.state = State::String;
            return self.letters("\u{fffd}".as_bytes(), sink);
        };
        let number = number << 4 | digit;
        if digits < 3 {
            return self.state = State::Unicode(digits + 1, number);
        }
        self.state = State::String;
        let letter = match (self.high, number) {
            (_, 0xd800..0xdc00) => {
                self.lone_surrogate(sink);
                return self.high = Some(number);
            }
            (Some(high), 0xdc00..0xe000) => {
                self.high = None;
                char::from_u32(0x1_0000 + (u32::from(high - 0xd800) << 10) + u32::from(number - 0xdc00))
            }
            _ => {
                self.lone_surrogate(sink);
                char::from_u32(number.into())
            }
        };
        self.text(letter.unwrap_or(char::REPLACEMENT_CHARACTER).encode_utf8(&mut [0; 4]).as_bytes(), sink);
    }

    fn lone_surrogate(&mut self, sink: &mut dyn Sink) {
        if self.high.take().is_some() {
            self.text("\u{fffd}".as_bytes(), sink);
        }
    }
}

#[cfg(test)]
mod tests;
