//! The inspector's messages, as far as they matter: replies, where a pause is, which script is which, pieces of a profile or a snapshot. Pure.

use super::scan::{Scanner, Sink, Wanted};
use super::stack::{Frame, MOST_FRAMES, Stack};
use super::websocket::{Broken, Decoder, Piece};
use crate::procfs::{number, shown};

/// Of a name, a path or an error, in bytes.
pub const LONGEST_NAME: usize = 200;
/// The addresses of scripts that are kept: those of some ten thousand scripts.
const MOST_OF_SCRIPTS: usize = 2 << 20;
/// What a name among the inspector's objects may have: it is sent back, whole or not at all.
const LONGEST_OBJECT: usize = 128;

/// A message that matters.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Message {
    Reply(Reply),
    /// The app stands still: where, innermost first.
    Paused(Stack),
}

/// The reply to a call.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Reply {
    pub id: Option<u32>,
    /// Node refused, or something was thrown.
    pub is_error: bool,
    /// The name of an object that it gave back; nothing in it needs an escape.
    pub object: Option<String>,
    /// `Runtime.getHeapUsage`, in bytes.
    pub heap_used: Option<u64>,
}

/// One connection's reader: bytes to messages.
#[derive(Default, Debug)]
pub struct Reader {
    decoder: Decoder,
    scanner: Scanner,
    fields: Fields,
}

/// What is known of the message under way, and beyond it.
#[derive(Default, Debug)]
struct Fields {
    output: Output,
    /// Pieces that have come since the last call.
    pieces: Vec<u8>,
    method: Method,
    is_reply: bool,
    reply: Reply,
    frame: RawFrame,
    frames: Vec<RawFrame>,
    frame_count: usize,
    script: u32,
    url: String,
    scripts: Vec<(u32, Box<str>)>,
    size_of_scripts: usize,
}

/// What is passed on in pieces: nothing but what was asked for.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Output {
    #[default]
    Nothing,
    Profile,
    Snapshot,
}

#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
enum Method {
    #[default]
    Other,
    Paused,
    ScriptParsed,
}

#[derive(Clone, Default, Debug)]
struct RawFrame {
    function: String,
    url: String,
    script: u32,
    line: u32,
    column: u32,
}

impl Reader {
    /// A reader of what comes after the handshake.
    pub fn new(output: Output) -> Reader {
        Reader { fields: Fields { output, ..Fields::default() }, ..Reader::default() }
    }

    /// Reads on, and adds each message that matters. What comes in pieces is to be taken before the next call. Gives back the ping that is to be
    /// answered.
    ///
    /// # Errors
    /// It is no WebSocket, or it is at its end.
    pub fn feed(&mut self, bytes: &[u8], messages: &mut Vec<Message>) -> Result<Option<Vec<u8>>, Broken> {
        let (mut ping, mut is_closed) = (None, false);
        let Reader { decoder, scanner, fields } = self;
        decoder.feed(bytes, &mut |piece| match piece {
            Piece::Data(data) => scanner.feed(data, fields),
            Piece::EndOfMessage => {
                scanner.finish(fields);
                messages.extend(fields.end_of_message());
            }
            // The last one is answer enough.
            Piece::Ping(payload) => ping = Some(payload.to_vec()),
            Piece::Close => is_closed = true,
        })?;
        if is_closed { Err(Broken) } else { Ok(ping) }
    }

    /// The pieces that the last call brought.
    pub fn take_pieces(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.fields.pieces)
    }
}

impl Fields {
    fn end_of_message(&mut self) -> Option<Message> {
        let reply = std::mem::take(&mut self.reply);
        let (method, is_reply) = (std::mem::take(&mut self.method), std::mem::take(&mut self.is_reply));
        let (frames, count) = (std::mem::take(&mut self.frames), std::mem::take(&mut self.frame_count));
        let url = std::mem::take(&mut self.url);
        match method {
            _ if is_reply => return Some(Message::Reply(reply)),
            Method::Paused => {
                let more = count - frames.len();
                return Some(Message::Paused(Stack { frames: frames.into_iter().map(|frame| self.frame(frame)).collect(), more }));
            }
            // Most of Node's own have one as well.
            Method::ScriptParsed if !url.is_empty() && self.size_of_scripts < MOST_OF_SCRIPTS => {
                self.size_of_scripts += url.len() + size_of::<(u32, Box<str>)>();
                self.scripts.push((self.script, url.into()));
            }
            Method::ScriptParsed | Method::Other => {}
        }
        None
    }

    fn frame(&self, raw: RawFrame) -> Frame {
        let known = || self.scripts.iter().find(|(script, _)| *script == raw.script).map(|(_, url)| url.to_string());
        let url = if raw.url.is_empty() { known() } else { Some(raw.url) };
        // The protocol counts from 0, people from 1.
        Frame {
            function: raw.function,
            url: url.unwrap_or_default(),
            line: raw.line.saturating_add(1),
            column: raw.column.saturating_add(1),
        }
    }
}

fn name(text: &[u8]) -> String {
    shown(text, LONGEST_NAME)
}

/// Whether a name among the inspector's objects is as V8 makes them.
fn is_object(name: &[u8]) -> bool {
    name.len() <= LONGEST_OBJECT && name.iter().all(|byte| byte.is_ascii_digit() || matches!(byte, b'-' | b'.'))
}

impl Sink for Fields {
    fn wanted(&self, path: &str) -> Wanted {
        match (self.output, path) {
            (Output::Snapshot, "params.chunk") => Wanted::Letters,
            (Output::Profile, "result.profile") => Wanted::Json,
            _ => Wanted::Values,
        }
    }

    fn value(&mut self, path: &str, text: &[u8]) {
        let whole = || number(text).unwrap_or_default();
        match path {
            "id" => (self.is_reply, self.reply.id) = (true, number(text)),
            "method" => {
                self.method = match text {
                    b"Debugger.paused" => Method::Paused,
                    b"Debugger.scriptParsed" => Method::ScriptParsed,
                    _ => Method::Other,
                };
            }
            "error.message" | "result.exceptionDetails.text" => self.reply.is_error = true,
            "result.result.objectId" if is_object(text) => self.reply.object = String::from_utf8(text.to_vec()).ok(),
            // A number of JavaScript's, which may have a fraction.
            "result.usedSize" => self.reply.heap_used = text.split(|byte| *byte == b'.').next().and_then(number),
            "params.scriptId" => self.script = whole(),
            "params.url" => self.url = name(text),
            "params.callFrames[].functionName" => self.frame.function = name(text),
            "params.callFrames[].url" => self.frame.url = name(text),
            "params.callFrames[].location.scriptId" => self.frame.script = whole(),
            "params.callFrames[].location.lineNumber" => self.frame.line = whole(),
            "params.callFrames[].location.columnNumber" => self.frame.column = whole(),
            _ => {}
        }
    }

    fn closed(&mut self, path: &str) {
        if path == "params.callFrames[]" {
            let frame = std::mem::take(&mut self.frame);
            self.frame_count += 1;
            if self.frames.len() < MOST_FRAMES {
                self.frames.push(frame);
            }
        }
    }

    fn piece(&mut self, bytes: &[u8]) {
        self.pieces.extend_from_slice(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frame(text: &str) -> Vec<u8> {
        let length = u16::try_from(text.len()).unwrap();
        [&[0x81, 126][..], &length.to_be_bytes(), text.as_bytes()].concat()
    }

    fn received(reader: &mut Reader, text: &str) -> Vec<Message> {
        let mut messages = Vec::new();
        reader.feed(&frame(text), &mut messages).unwrap();
        messages
    }

    #[test]
    fn a_pause_is_told_with_the_addresses_of_its_scripts() {
        let mut reader = Reader::new(Output::Nothing);
        for (id, url) in [(17, "file:///app/server.js"), (18, "node:internal/timers"), (19, "")] {
            let parsed = format!(r#"{{"method":"Debugger.scriptParsed","params":{{"scriptId":"{id}","url":"{url}","startLine":0}}}}"#);
            assert_eq!(received(&mut reader, &parsed), []);
        }
        let frame = |function: &str, script: u32, url: &str| {
            format!(
                r#"{{"callFrameId":"1","functionName":"{function}","location":{{"scriptId":"{script}","lineNumber":1,"columnNumber":33}},"url":"{url}","scopeChain":[{{"object":{{"url":"x"}}}}],"this":{{"type":"object"}}}}"#
            )
        };
        let frames = [frame("burn", 17, ""), frame("a\\u001b[2J", 18, "wasm://x"), frame("", 99, "")].join(",");
        let paused = format!(r#"{{"method":"Debugger.paused","params":{{"callFrames":[{frames}],"reason":"other"}}}}"#);
        let told = |function: &str, url: &str| Frame { function: function.into(), url: url.into(), line: 2, column: 34 };
        let expected = vec![told("burn", "file:///app/server.js"), told("a?[2J", "wasm://x"), told("", "")];
        assert_eq!(received(&mut reader, &paused), [Message::Paused(Stack { frames: expected, more: 0 })]);
        let many = format!(r#"{{"method":"Debugger.paused","params":{{"callFrames":[{}]}}}}"#, vec![frame("f", 17, ""); 23].join(","));
        let [Message::Paused(stack)] = &received(&mut reader, &many)[..] else { panic!("no pause") };
        assert_eq!((stack.frames.len(), stack.more), (20, 3));
        assert_eq!(received(&mut reader, r#"{"method":"Debugger.resumed","params":{}}"#), []);
    }

    #[test]
    fn replies_are_told() {
        let mut reader = Reader::new(Output::Nothing);
        let mut reply = |text: &str| match &received(&mut reader, text)[..] {
            [Message::Reply(reply)] => reply.clone(),
            other => panic!("{other:?}"),
        };
        let object = reply(r#"{"id":1,"result":{"result":{"type":"function","objectId":"-12.1.3"}}}"#);
        assert_eq!(object, Reply { id: Some(1), object: Some("-12.1.3".into()), ..Reply::default() });
        assert_eq!(reply(r#"{"id":2,"result":{"usedSize":4163508,"totalSize":5}}"#).heap_used, Some(4_163_508));
        assert_eq!(reply(r#"{"id":2,"result":{"usedSize":4163508.5}}"#).heap_used, Some(4_163_508));
        for bad in [
            r#"{"id":3,"error":{"code":-32601,"message":"'x' wasn't found"}}"#,
            r#"{"id":4,"result":{"result":{},"exceptionDetails":{"text":"Uncaught","exception":{"description":"TypeError: no"}}}}"#,
        ] {
            assert!(reply(bad).is_error);
        }
        for name in ["1\\\"2", "{}", &"1".repeat(129)] {
            let text = format!(r#"{{"id":5,"result":{{"result":{{"objectId":"{name}"}}}}}}"#);
            assert_eq!(reply(&text).object, None, "{name}");
        }
        assert_eq!(reply(r#"{"id":"x"}"#).id, None);
    }

    #[test]
    fn only_what_was_asked_for_is_passed_on() {
        let profile = r#"{"id":1,"result":{"profile":{"nodes":[1,{"a":"}"}]}}}"#;
        let chunk = r#"{"method":"HeapProfiler.addHeapSnapshotChunk","params":{"chunk":"{\"a\":\n1"}}"#;
        let pieces = |output, text: &str| {
            let mut reader = Reader::new(output);
            reader.feed(&frame(text), &mut Vec::new()).unwrap();
            String::from_utf8(reader.take_pieces()).unwrap()
        };
        assert_eq!(pieces(Output::Profile, profile), r#"{"nodes":[1,{"a":"}"}]}"#);
        assert_eq!(pieces(Output::Snapshot, &chunk.replace('\n', "\\n")), "{\"a\":\n1");
        for (output, text) in [(Output::Nothing, profile), (Output::Nothing, chunk), (Output::Profile, chunk), (Output::Snapshot, profile)]
        {
            assert_eq!(pieces(output, text), "");
        }
    }

    #[test]
    fn an_endless_story_of_scripts_is_kept_in_bounds() {
        let mut reader = Reader::new(Output::Nothing);
        let parsed = frame(&format!(r#"{{"method":"Debugger.scriptParsed","params":{{"scriptId":"1","url":"{}"}}}}"#, "x".repeat(5000)));
        for _ in 0..20_000 {
            reader.feed(&parsed, &mut Vec::new()).unwrap();
        }
        assert!(reader.fields.scripts.iter().map(|(_, url)| url.len()).sum::<usize>() <= MOST_OF_SCRIPTS);
        assert!(reader.fields.scripts.len() < 20_000);
    }

    #[test]
    fn pings_and_the_end_are_told() {
        let mut reader = Reader::new(Output::Nothing);
        let mut feed = |bytes: &[u8]| reader.feed(bytes, &mut Vec::new());
        assert_eq!(feed(&[0x89, 1, b'a', 0x89, 1, b'b']), Ok(Some(b"b".to_vec())));
        assert_eq!((feed(b""), feed(&[0x88, 0])), (Ok(None), Err(Broken)));
        assert_eq!(feed(&[0xff, 0]), Err(Broken));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Reader::new(Output::Snapshot).feed(&bytes, &mut Vec::new());
        }
    }
}
