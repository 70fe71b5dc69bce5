//! A strict reader of JSON, without recursion and without a tree: what is deep costs a byte a level. Pure.

use std::borrow::Cow;
use std::str;

use super::Field;

/// A place in a line, which is read once from the left. `None`, wherever it comes: it is not JSON.
pub(super) struct Cursor<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) at: usize,
}

impl<'a> Cursor<'a> {
    /// The next byte that is no white space, which stays.
    pub(super) fn peek(&mut self) -> Option<u8> {
        while let b' ' | b'\t' | b'\r' | b'\n' = self.bytes.get(self.at)? {
            self.at += 1;
        }
        self.bytes.get(self.at).copied()
    }

    /// The next byte that is no white space.
    pub(super) fn next(&mut self) -> Option<u8> {
        let byte = self.peek();
        self.at += 1;
        byte
    }

    pub(super) fn expect(&mut self, byte: u8) -> Option<()> {
        (self.next()? == byte).then_some(())
    }

    pub(super) fn is_at_end(&mut self) -> bool {
        self.peek().is_none()
    }

    /// The next byte, whatever it is.
    fn byte(&mut self) -> Option<u8> {
        let byte = self.bytes.get(self.at).copied();
        self.at += 1;
        byte
    }

    pub(super) fn field(&mut self) -> Option<Field<'a>> {
        let first = self.peek()?;
        let begin = self.at;
        if first == b'"' {
            self.at += 1;
            return self.text().map(Field::Text);
        }
        self.skip()?;
        let text = self.bytes.get(begin..self.at)?;
        Some(match first {
            b'n' => Field::Null,
            b'-' | b'0'..=b'9' => whole(text).map_or(Field::Other, Field::Number),
            _ => Field::Other,
        })
    }

    /// A value of any depth.
    pub(super) fn skip(&mut self) -> Option<()> {
        let mut open: Vec<u8> = Vec::new();
        loop {
            let begins = self.next()?;
            match begins {
                b'{' | b'[' => {
                    let end = if begins == b'{' { b'}' } else { b']' };
                    if self.peek()? != end {
                        open.push(end);
                        self.member(end)?;
                        continue;
                    }
                    self.at += 1;
                }
                b'"' => self.pass_text()?,
                b't' => self.word(b"rue")?,
                b'f' => self.word(b"alse")?,
                b'n' => self.word(b"ull")?,
                b'-' | b'0'..=b'9' => self.number(begins)?,
                _ => return None,
            }
            loop {
                let Some(end) = open.last().copied() else { return Some(()) };
                match self.next()? {
                    b',' => {
                        self.member(end)?;
                        break;
                    }
                    byte if byte == end => drop(open.pop()),
                    _ => return None,
                }
            }
        }
    }

    /// What comes before a value in this container.
    fn member(&mut self, end: u8) -> Option<()> {
        if end == b'}' {
            self.expect(b'"')?;
            self.pass_text()?;
            self.expect(b':')?;
        }
        Some(())
    }

    fn word(&mut self, rest: &[u8]) -> Option<()> {
        let end = self.at + rest.len();
        (self.bytes.get(self.at..end)? == rest).then(|| self.at = end)
    }

    fn number(&mut self, first: u8) -> Option<()> {
        let first = if first == b'-' { self.byte()? } else { first };
        match first {
            b'0' => {}
            b'1'..=b'9' => drop(self.digits()),
            _ => return None,
        }
        if self.bytes.get(self.at) == Some(&b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.bytes.get(self.at) {
            self.at += 1;
            if let Some(b'+' | b'-') = self.bytes.get(self.at) {
                self.at += 1;
            }
            self.digits()?;
        }
        Some(())
    }

    /// At least one.
    fn digits(&mut self) -> Option<()> {
        let begin = self.at;
        while self.bytes.get(self.at).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
        }
        (self.at > begin).then_some(())
    }

    /// The rest of a string.
    fn pass_text(&mut self) -> Option<()> {
        loop {
            match self.byte()? {
                b'"' => return Some(()),
                b'\\' => drop(self.escape()?),
                0..0x20 => return None,
                _ => {}
            }
        }
    }

    /// The rest of a string, without its escapes.
    pub(super) fn text(&mut self) -> Option<Cow<'a, str>> {
        let mut begin = self.at;
        let mut text = String::new();
        loop {
            let at = self.at;
            let byte = self.byte()?;
            if !matches!(byte, b'"' | b'\\' | 0..0x20) {
                continue;
            }
            let plain = str::from_utf8(self.bytes.get(begin..at)?).ok()?;
            match byte {
                b'"' if text.is_empty() => return Some(Cow::Borrowed(plain)),
                b'"' => return Some(Cow::Owned(text + plain)),
                b'\\' => {}
                _ => return None,
            }
            text.push_str(plain);
            text.push(match self.escape()? {
                high @ 0xd800..0xdc00 => {
                    self.word(b"\\u")?;
                    let low = self.hexadecimal()?.checked_sub(0xdc00).filter(|low| *low < 0x400)?;
                    char::from_u32(0x1_0000 + ((high - 0xd800) << 10) + low)?
                }
                code => char::from_u32(code)?,
            });
            begin = self.at;
        }
    }

    /// What comes after a backslash: a letter, or half of a pair.
    fn escape(&mut self) -> Option<u32> {
        Some(match self.byte()? {
            byte @ (b'"' | b'\\' | b'/') => byte.into(),
            b'b' => 8,
            b'f' => 12,
            b'n' => 10,
            b'r' => 13,
            b't' => 9,
            b'u' => self.hexadecimal()?,
            _ => return None,
        })
    }

    fn hexadecimal(&mut self) -> Option<u32> {
        let mut code = 0;
        for _ in 0..4 {
            code = code << 4 | char::from(self.byte()?).to_digit(16)?;
        }
        Some(code)
    }
}

/// A number of JSON that is a whole one. JavaScript knows no integers: 3e3 is as good a port as 3000. With a fraction or an exponent, all that can
/// matter is far below 2^53.
fn whole(text: &[u8]) -> Option<i64> {
    let text = str::from_utf8(text).ok()?;
    if !text.contains(['.', 'e', 'E']) {
        return text.parse().ok();
    }
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (integer, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let fraction = fraction.trim_end_matches('0');
    let digits: i64 = format!("{integer}{fraction}").parse().ok()?;
    let places = i32::try_from(fraction.len()).ok()?;
    let power = exponent.parse::<i32>().ok()?.checked_sub(places)?;
    let factor = 10_i64.checked_pow(power.unsigned_abs());
    let number = match factor {
        _ if digits == 0 => 0,
        Some(factor) if power < 0 && digits % factor == 0 => digits / factor,
        Some(factor) if power >= 0 => digits.checked_mul(factor)?,
        _ => return None,
    };
    (number.unsigned_abs() < 1 << 53).then_some(number)
}
