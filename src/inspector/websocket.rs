//! WebSocket (RFC 6455) as a client: frames out, frames in, split anywhere and of any length. A message is passed on in pieces and never held.
//! Pure.

/// What a client may be sent instead of a message, and must be answered.
const LONGEST_CONTROL: usize = 125;
/// Any will do: it hides nothing, it keeps proxies from being fooled, and here is none.
const MASK: [u8; 4] = *b"mask";

const CONTINUATION: u8 = 0;
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

/// The request that turns a connection into a WebSocket.
pub fn upgrade(path: &str, port: u16) -> String {
    // The key is proof against caches, of which there is none.
    format!(
        "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
}

/// A message of ours as a frame.
pub fn message(text: &str) -> Vec<u8> {
    frame(TEXT, text.as_bytes())
}

/// The answer to a ping.
pub fn pong(payload: &[u8]) -> Vec<u8> {
    frame(PONG, payload)
}

fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
    const MASKED: u8 = 0x80;
    let mut frame = vec![0x80 | kind];
    match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
        (Ok(length @ ..126), _) => frame.push(MASKED | length),
        (_, Ok(length)) => {
            frame.push(MASKED | 126);
            frame.extend(length.to_be_bytes());
        }
        _ => {
            frame.push(MASKED | 127);
            frame.extend(u64::try_from(payload.len()).unwrap_or_default().to_be_bytes());
        }
    }
    frame.extend(MASK);
    frame.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}

/// What came.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Piece<'a> {
    /// A part of a message.
    Data(&'a [u8]),
    EndOfMessage,
    /// To be answered with the same.
    Ping(&'a [u8]),
    /// Nothing more comes.
    Close,
}

/// What came is no WebSocket's: nothing after it can be understood.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Broken;

/// The state between two calls.
#[derive(Debug, Default)]
pub struct Decoder {
    /// Of a frame: kind and length, as far as they have come.
    head: Vec<u8>,
    /// What is left of the payload.
    left: u64,
    in_payload: bool,
    /// Of a control frame.
    control: Vec<u8>,
    in_message: bool,
}

impl Decoder {
    /// Reads on, and tells each piece in its order.
    ///
    /// # Errors
    /// See [`Broken`].
    pub fn feed(&mut self, mut bytes: &[u8], tell: &mut dyn FnMut(Piece<'_>)) -> Result<(), Broken> {
        while !bytes.is_empty() {
            if self.in_payload {
                let length = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len());
                let (payload, rest) = bytes.split_at(length);
                self.left -= u64::try_from(length).unwrap_or_default();
                self.payload(payload, tell);
                bytes = rest;
            } else if let Some((first, rest)) = bytes.split_first() {
                self.head.push(*first);
                bytes = rest;
                self.begin()?;
            }
            if self.in_payload && self.left == 0 {
                self.end(tell);
            }
        }
        Ok(())
    }

    fn kind(&self) -> u8 {
        self.head.first().map_or(0, |first| first & 0x0f)
    }

    fn is_last(&self) -> bool {
        self.head.first().is_some_and(|first| first & 0x80 != 0)
    }

    fn is_control(&self) -> bool {
        self.kind() >= CLOSE
    }

    /// Another byte of the head has come.
    fn begin(&mut self) -> Result<(), Broken> {
        const RESERVED: u8 = 0x70;
        let (Some(first), Some(second)) = (self.head.first(), self.head.get(1)) else { return Ok(()) };
        // The highest bit: a server masks nothing.
        let length = match (*second, self.head.get(2..)) {
            (length @ ..126, _) => Some(u64::from(length)),
            (126, Some(&[a, b])) => Some(u16::from_be_bytes([a, b]).into()),
            (127, Some(&[a, b, c, d, e, f, g, h])) => Some(u64::from_be_bytes([a, b, c, d, e, f, g, h])),
            (126 | 127, _) => None,
            _ => return Err(Broken),
        };
        let Some(length) = length else { return Ok(()) };
        let is_expected = match self.kind() {
            CONTINUATION => self.in_message,
            TEXT | BINARY => !self.in_message,
            CLOSE | PING | PONG => self.is_last() && length <= LONGEST_CONTROL as u64,
            _ => false,
        };
        if first & RESERVED != 0 || length >> 63 != 0 || !is_expected {
            return Err(Broken);
        }
        (self.left, self.in_payload) = (length, true);
        Ok(())
    }

    fn payload(&mut self, bytes: &[u8], tell: &mut dyn FnMut(Piece<'_>)) {
        if self.is_control() { self.control.extend_from_slice(bytes) } else { tell(Piece::Data(bytes)) }
    }

    fn end(&mut self, tell: &mut dyn FnMut(Piece<'_>)) {
        match self.kind() {
            CLOSE => tell(Piece::Close),
            PING => tell(Piece::Ping(&self.control)),
            PONG => {}
            _ => {
                self.in_message = !self.is_last();
                if self.is_last() {
                    tell(Piece::EndOfMessage);
                }
            }
        }
        self.in_payload = false;
        self.head.clear();
        self.control.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn server(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = vec![first];
        match payload.len() {
            length @ ..126 => frame.push(length as u8),
            length @ ..65536 => frame.extend([&[126][..], &(length as u16).to_be_bytes()].concat()),
            length => frame.extend([&[127][..], &(length as u64).to_be_bytes()].concat()),
        }
        frame.extend(payload);
        frame
    }

    /// Messages whole, and what else came.
    fn told(pieces: &[&[u8]]) -> Result<Vec<Vec<u8>>, Broken> {
        let (mut decoder, mut all, mut message) = (Decoder::default(), Vec::new(), Vec::new());
        for bytes in pieces {
            decoder.feed(bytes, &mut |piece| match piece {
                Piece::Data(data) => message.extend(data),
                Piece::EndOfMessage => all.push(std::mem::take(&mut message)),
                Piece::Ping(payload) => all.push([b"ping ", payload].concat()),
                Piece::Close => all.push(b"close".to_vec()),
            })?;
            assert!(decoder.head.capacity() <= 16 && decoder.control.capacity() <= 256);
        }
        Ok(all)
    }

    #[test]
    fn messages_come_whole_in_frames_of_any_length_and_number() {
        for length in [0, 1, 125, 126, 127, 65535, 65536, 200_000] {
            let payload = vec![b'x'; length];
            assert_eq!(told(&[&server(0x81, &payload)]), Ok(vec![payload.clone()]), "{length}");
            let apart = [server(0x01, &payload), server(0x89, b"1"), server(0x00, b"y"), server(0x8a, b""), server(0x80, b"z")].concat();
            assert_eq!(told(&[&apart]), Ok(vec![b"ping 1".to_vec(), [&payload[..], b"yz"].concat()]));
        }
        assert_eq!(told(&[&server(0x88, &[3, 232])]), Ok(vec![b"close".to_vec()]));
    }

    #[test]
    fn what_no_server_may_send_is_the_end() {
        for bad in [
            &[0x81, 0x80][..],
            &[0x81, 0xff],
            &[0xc1, 0],
            &[0x80, 0],
            &[0x83, 0],
            &[0x8b, 0],
            &[0x09, 0],
            &[0x89, 126, 0, 126],
            &[0x81, 127, 0x80, 0, 0, 0, 0, 0, 0, 0],
            &[0x01, 0, 0x81, 0],
        ] {
            assert_eq!(told(&[bad]), Err(Broken), "{bad:?}");
        }
        // An endless frame is only as long as what has come of it.
        assert_eq!(told(&[&[0x81, 127, 0x7f, 255, 255, 255, 255, 255, 255, 255], &[b'x'; 100_000]]), Ok(vec![]));
    }

    #[test]
    fn what_goes_out_is_masked() {
        assert_eq!(message("ab"), [0x81, 0x82, b'm', b'a', b's', b'k', b'a' ^ b'm', b'b' ^ b'a']);
        let lengths = [125, 126, 65535, 65536].map(|length| message(&"x".repeat(length)));
        assert_eq!(lengths.each_ref().map(|frame| frame[1]), [0xfd, 0xfe, 0xfe, 0xff]);
        assert_eq!((&lengths[2][2..4], &lengths[3][2..10]), (&[255, 255][..], &[0, 0, 0, 0, 0, 1, 0, 0][..]));
        assert_eq!(pong(b"")[..2], [0x8a, 0x80]);
        assert!(upgrade("/x", 9229).starts_with("GET /x HTTP/1.1\r\nHost: 127.0.0.1:9229\r\n"));
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same(
            frames in proptest::collection::vec((prop_oneof![Just(0x81), Just(0x01), Just(0x80), Just(0x00), Just(0x89), Just(0x88), any::<u8>()], proptest::collection::vec(any::<u8>(), 0..200)), 0..6),
            cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..9),
        ) {
            let bytes: Vec<u8> = frames.iter().flat_map(|(first, payload)| server(*first, payload)).collect();
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).chain([0, bytes.len()]).collect();
            cuts.sort_unstable();
            let parts: Vec<&[u8]> = cuts.windows(2).map(|cut| &bytes[cut[0]..cut[1]]).collect();
            prop_assert_eq!(told(&parts), told(&[&bytes]));
        }
    }
}
