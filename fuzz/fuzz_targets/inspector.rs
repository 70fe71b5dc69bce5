//! What may come from a port that a Node's inspector should be behind: HTTP, WebSocket frames, messages. Whatever comes, nothing is kept beyond its
//! bound, what is told is fit for a terminal, and the split makes no difference.
#![no_main]

use libfuzzer_sys::fuzz_target;
use restartinit::inspector::discovery;
use restartinit::inspector::message::{Output, Reader, Reply};
use restartinit::inspector::stack::{Answer, MOST_FRAMES, Stack};

/// All that comes of it, and whether it broke.
#[derive(PartialEq, Eq, Debug, Default)]
struct Told {
    pieces: Vec<u8>,
    reply: Option<Reply>,
    paused: Option<Stack>,
    is_broken: bool,
}

fn read<'a>(output: Output, parts: impl Iterator<Item = &'a [u8]>) -> Told {
    let (mut reader, mut told) = (Reader::new(output), Told::default());
    reader.awaited = 1;
    for part in parts {
        let fed = reader.feed(part);
        let pieces = reader.take_pieces();
        // An escape of six bytes is a letter of three at most.
        assert!(pieces.len() <= part.len() + 8);
        told.pieces.extend(pieces);
        if fed.is_err() {
            told.is_broken = true;
            break;
        }
    }
    (told.reply, told.paused) = (reader.reply, reader.paused);
    told
}

fuzz_target!(|input: (u8, u8, bool, &[u8])| {
    let (output, size, is_message, bytes) = input;
    let _ = discovery::read(bytes);
    let output = [Output::Nothing, Output::Profile, Output::Snapshot][usize::from(output % 3)];
    // Most of what the fuzzer makes is no frame.
    let framed = [&[0x81, 127][..], &u64::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat();
    let bytes = if is_message { &framed } else { bytes };
    let size = usize::from(size) + 1;
    let whole = read(output, std::iter::once(bytes));
    let split = read(output, bytes.chunks(size));
    // Of what is broken, a part that came before counts only if it came by itself.
    if !whole.is_broken && !split.is_broken {
        assert_eq!(whole, split);
    }
    if let Some(stack) = whole.paused {
        assert!(stack.frames.len() <= MOST_FRAMES);
        let answer = Answer { generation: None, pid: 1, command: String::new(), verdict: String::new(), stack };
        assert!(answer.text().chars().all(|c| c == '\n' || !c.is_control()));
        assert!(answer.text().len() < MOST_FRAMES * 1300);
        assert!(serde_json::from_str::<serde_json::Value>(&answer.json()).is_ok());
    }
});
