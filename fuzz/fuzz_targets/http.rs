//! What a client may send to a interface, in any pieces, and an answer that goes out in any pieces. No connection holds more than a head.
#![no_main]

use libfuzzer_sys::fuzz_target;
use restartinit::observe::check_answer::{LONGEST_HEAD, status};
use restartinit::observe::connection::{Connection, Wants};
use restartinit::observe::http::{Response, Route, Interface, read, read_answer};
use restartinit::time::Moment;

fuzz_target!(|input: (bool, u8, &[u8])| {
    let (trusted, size, bytes) = input;
    let interface = if trusted { Interface::Control } else { Interface::Http };
    let _ = read(interface, bytes);
    let _ = read_answer(bytes);
    let mut head = bytes[..bytes.len().min(LONGEST_HEAD)].to_vec();
    if let Some(Ok(code)) = status(&mut head) {
        assert!((200..1000).contains(&code), "an answer that only announces another one is none: {code}");
    }
    let mut connection = Connection::open(interface, Moment::START);
    let mut answered = Vec::new();
    for piece in bytes.chunks(usize::from(size) + 1) {
        if let Some(route) = connection.received(piece) {
            assert!(trusted || !matches!(route, Route::Restart { .. }), "nothing that changes anything is reached from outside");
            connection.answer(&Response::text(200, "fine".to_owned()), Moment::START);
        }
        let out = connection.unsent();
        let count = out.len().min(usize::from(size) + 1);
        answered.extend_from_slice(&out[..count]);
        let done = connection.sent(count);
        assert!(!done || connection.wants() != Wants::Write);
    }
    connection.received_end();
    answered.extend_from_slice(connection.unsent());
    // HEAD gets the head alone.
    let is_whole = answered.starts_with(b"HTTP/1.1 ") && answered.windows(4).any(|end| end == b"\r\n\r\n");
    assert!(answered.is_empty() || is_whole, "{}", String::from_utf8_lossy(&answered));
});
