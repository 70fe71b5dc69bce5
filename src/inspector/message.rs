//! The inspector's messages, as far as they matter: replies, where a pause is, which script is which, pieces of a profile or a snapshot. Pure.

use super::stack::{Frame, MOST_FRAMES, Stack};
use super::websocket::{Broken, Decoder, Piece};
use crate::json_scan::{Scanner, Sink, Wanted};
use crate::procfs::{number, shown};

/// Of a name, a path or an error, in bytes.
pub const LONGEST_NAME: usize = 200;
/// The addresses of scripts that are kept: those of some ten thousand scripts.
const MOST_OF_SCRIPTS: usize = 2 << 20;
/// What a name among the inspector's objects may have: it is sent back, whole or not at all.
const LONGEST_OBJECT: usize = 128;

/// The reply to a call.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Reply {
    /// Node refused, or something was thrown.
    pub is_error: bool,
    /// The name of an object that it gave back; nothing in it needs an escape.
    pub object: Option<String>,
    /// `Runtime.getHeapUsage`, in bytes.
    pub heap_used: u64,
}

/// One connection's reader: bytes to messages.
#[derive(Default, Debug)]
pub struct Reader {
    decoder: Decoder,
    scanner: Scanner,
    fields: Fields,
    /// The number of the call whose reply is waited for.
    pub awaited: u32,
    /// That, once it has come.
    pub reply: Option<Reply>,
    /// The app stands still: where.
    pub paused: Option<Stack>,
}

/// What is known of the message under way, and beyond it.
#[derive(Default, Debug)]
struct Fields {
    output: Output,
    /// Pieces that have come since the last call.
    pieces: Vec<u8>,
    method: Method,
    id: u32,
    reply: Reply,
    frame: Frame,
    stack: Stack,
    script: u32,
    url: String,
    scripts: Vec<(u32, String)>,
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

impl Reader {
    /// A reader of what comes after the handshake.
    pub fn new(output: Output) -> Reader {
        Reader { fields: Fields { output, ..Fields::default() }, ..Reader::default() }
    }

    /// Reads on. What comes in pieces is to be taken before the next call. Gives back the ping that is to be
    /// answered.
    ///
    /// # Errors
    /// It is no WebSocket, or it is at its end.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<Option<Vec<u8>>, Broken> {
        let (mut ping, mut is_closed) = (None, false);
        let Reader { decoder, scanner, fields, awaited, reply, paused } = self;
        decoder.feed(bytes, &mut |piece| match piece {
            Piece::Data(data) => scanner.feed(data, fields),
            Piece::EndOfMessage => {
                scanner.finish(fields);
                let id = std::mem::take(&mut fields.id);
                let (its, stack) = (std::mem::take(&mut fields.reply), std::mem::take(&mut fields.stack));
                match fields.end_of_message() {
                    Method::Other if id != 0 && id == *awaited => *reply = Some(its),
                    Method::Paused => *paused = Some(stack),
                    _ => {}
                }
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
    fn end_of_message(&mut self) -> Method {
        let url = std::mem::take(&mut self.url);
        let method = std::mem::take(&mut self.method);
        // Most of Node's own have one as well.
        if method == Method::ScriptParsed && !url.is_empty() && self.size_of_scripts < MOST_OF_SCRIPTS {
            self.size_of_scripts += url.len() + size_of::<(u32, String)>();
            self.scripts.push((self.script, url));
        }
        method
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
    fn wanted(&mut self, path: &str) -> Wanted {
        match (self.output, path) {
            (Output::Snapshot, "params.chunk") => Wanted::Letters,
            (Output::Profile, "result.profile") => Wanted::Json,
            _ => Wanted::Values,
        }
    }

    fn value(&mut self, path: &str, text: &[u8]) {
        let whole = || number(text).unwrap_or_default();
        match path {
            "id" => self.id = whole(),
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
            "result.usedSize" => {
                self.reply.heap_used = text.split(|byte| *byte == b'.').next().and_then(number).unwrap_or_default();
            }
            "params.scriptId" => self.script = whole(),
            "params.url" => self.url = name(text),
            "params.callFrames[].functionName" => self.frame.function = name(text),
            "params.callFrames[].url" => self.frame.url = name(text),
            "params.callFrames[].location.scriptId" => self.script = whole(),
            "params.callFrames[].location.lineNumber" => self.frame.line = whole(),
            "params.callFrames[].location.columnNumber" => self.frame.column = whole(),
            _ => {}
        }
    }

    fn closed(&mut self, path: &str) {
        if path != "params.callFrames[]" {
            return;
        }
        let mut frame = std::mem::take(&mut self.frame);
        if self.stack.frames.len() == MOST_FRAMES {
            self.stack.more += 1;
            return;
        }
        if frame.url.is_empty()
            && let Some((_, url)) = self.scripts.iter().find(|(script, _)| *script == self.script)
        {
            frame.url.clone_from(url);
        }
        // The protocol counts from 0, people from 1.
        (frame.line, frame.column) = (frame.line.saturating_add(1), frame.column.saturating_add(1));
        self.stack.frames.push(frame);
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

    /// The pause that this told of.
    fn paused(reader: &mut Reader, text: &str) -> Option<Stack> {
        reader.feed(&frame(text)).unwrap();
        reader.paused.take()
    }

    #[test]
    fn a_pause_is_told_with_the_addresses_of_its_scripts() {
        let mut reader = Reader::new(Output::Nothing);
        for (id, url) in [(17, "file:///app/server.js"), (18, "node:internal/timers"), (19, "")] {
            let parsed = format!(r#"{{"method":"Debugger.scriptParsed","params":{{"scriptId":"{id}","url":"{url}","startLine":0}}}}"#);
            assert_eq!(paused(&mut reader, &parsed), None);
        }
        let frame = |function: &str, script: u32, url: &str| {
            format!(
                r#"{{"callFrameId":"1","functionName":"{function}","location":{{"scriptId":"{script}","lineNumber":1,"columnNumber":33}},"url":"{url}","scopeChain":[{{"object":{{"url":"x"}}}}],"this":{{"type":"object"}}}}"#
            )
        };
        let frames = [frame("burn", 17, ""), frame("a\\u001b[2J", 18, "wasm://x"), frame("", 99, "")].join(",");
        let pause = format!(r#"{{"method":"Debugger.paused","params":{{"callFrames":[{frames}],"reason":"other"}}}}"#);
        let told = |function: &str, url: &str| Frame { function: function.into(), url: url.into(), line: 2, column: 34 };
        let expected = vec![told("burn", "file:///app/server.js"), told("a?[2J", "wasm://x"), told("", "")];
        assert_eq!(paused(&mut reader, &pause), Some(Stack { frames: expected, more: 0 }));
        let many = format!(r#"{{"method":"Debugger.paused","params":{{"callFrames":[{}]}}}}"#, vec![frame("f", 17, ""); 23].join(","));
        let stack = paused(&mut reader, &many).unwrap();
        assert_eq!((stack.frames.len(), stack.more), (20, 3));
        assert_eq!(paused(&mut reader, r#"{"method":"Debugger.resumed","params":{}}"#), None);
    }

    #[test]
    fn replies_are_told() {
        let mut reader = Reader::new(Output::Nothing);
        let mut reply = |text: &str| {
            reader.awaited = 5;
            reader.feed(&frame(text)).unwrap();
            reader.reply.take().unwrap()
        };
        let object = reply(r#"{"id":5,"result":{"result":{"type":"function","objectId":"-12.1.3"}}}"#);
        assert_eq!(object, Reply { object: Some("-12.1.3".into()), ..Reply::default() });
        assert_eq!(reply(r#"{"id":5,"result":{"usedSize":4163508,"totalSize":5}}"#).heap_used, 4_163_508);
        assert_eq!(reply(r#"{"id":5,"result":{"usedSize":4163508.5}}"#).heap_used, 4_163_508);
        for bad in [
            r#"{"id":5,"error":{"code":-32601,"message":"'x' wasn't found"}}"#,
            r#"{"id":5,"result":{"result":{},"exceptionDetails":{"text":"Uncaught","exception":{"description":"TypeError: no"}}}}"#,
        ] {
            assert!(reply(bad).is_error);
        }
        for name in ["1\\\"2", "{}", &"1".repeat(129)] {
            let text = format!(r#"{{"id":5,"result":{{"result":{{"objectId":"{name}"}}}}}}"#);
            assert_eq!(reply(&text).object, None, "{name}");
        }
        for other in [r#"{"id":4,"result":{}}"#, r#"{"id":"x"}"#, r#"{"id":5,"method":"Debugger.paused"}"#, "{}"] {
            reader.feed(&frame(other)).unwrap();
            assert_eq!(reader.reply, None, "{other}");
        }
    }

    #[test]
    fn only_what_was_asked_for_is_passed_on() {
        let profile = r#"{"id":1,"result":{"profile":{"nodes":[1,{"a":"}"}]}}}"#;
        let chunk = r#"{"method":"HeapProfiler.addHeapSnapshotChunk","params":{"chunk":"{\"a\":\n1"}}"#;
        let pieces = |output, text: &str| {
            let mut reader = Reader::new(output);
            reader.feed(&frame(text)).unwrap();
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
            reader.feed(&parsed).unwrap();
        }
        assert!(reader.fields.scripts.iter().map(|(_, url)| url.len()).sum::<usize>() <= MOST_OF_SCRIPTS);
        assert!(reader.fields.scripts.len() < 20_000);
    }

    #[test]
    fn pings_and_the_end_are_told() {
        let mut reader = Reader::new(Output::Nothing);
        let mut feed = |bytes: &[u8]| reader.feed(bytes);
        assert_eq!(feed(&[0x89, 1, b'a', 0x89, 1, b'b']), Ok(Some(b"b".to_vec())));
        assert_eq!((feed(b""), feed(&[0x88, 0])), (Ok(None), Err(Broken)));
        assert_eq!(feed(&[0xff, 0]), Err(Broken));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Reader::new(Output::Snapshot).feed(&bytes);
        }
    }
}
