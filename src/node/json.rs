//! The few fields of a JSON object that can matter, read in one pass without building a tree: an app may send anything, and most of it
//! is not for us. Knows JSON, not what a field means. Pure.

use std::borrow::Cow;
use std::{fmt, str};

mod cursor;

use cursor::Cursor;

/// A value, as far as it can matter.
#[derive(Clone, PartialEq, Debug, Default)]
pub enum Field<'a> {
    /// There is no such field: JavaScript's `undefined`.
    #[default]
    Missing,
    Null,
    Number(i64),
    Text(Cow<'a, str>),
    /// A list, an object, a boolean, a fraction.
    Other,
}

/// The top-level fields; where one comes twice, the last counts, as in JavaScript.
#[derive(Clone, Debug, Default)]
pub struct Object<'a> {
    pub cmd: Field<'a>,
    pub act: Field<'a>,
    pub kind: Field<'a>,
    pub key: Field<'a>,
    pub seq: Field<'a>,
    pub address: Field<'a>,
    pub port: Field<'a>,
    pub address_type: Field<'a>,
    pub fd: Field<'a>,
    pub flags: Field<'a>,
    pub index: Field<'a>,
    /// JSON that is handed back as it came.
    pub data: Option<&'a str>,
}

impl Field<'_> {
    pub fn text(&self) -> Option<&str> {
        match self {
            Field::Text(text) => Some(text),
            _ => None,
        }
    }

    pub fn number(&self) -> Option<i64> {
        match self {
            Field::Number(number) => Some(*number),
            _ => None,
        }
    }

    pub fn is_absent(&self) -> bool {
        matches!(self, Field::Missing | Field::Null)
    }
}

/// As a template literal of JavaScript writes it.
impl fmt::Display for Field<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Field::Missing => out.write_str("undefined"),
            Field::Null => out.write_str("null"),
            Field::Number(number) => write!(out, "{number}"),
            Field::Text(text) => out.write_str(text),
            Field::Other => out.write_str("?"),
        }
    }
}

/// Reads a line that holds an object; `None`: it is not JSON.
pub fn read(line: &[u8]) -> Option<Object<'_>> {
    let mut cursor = Cursor { bytes: line, at: 0 };
    let mut object = Object::default();
    cursor.expect(b'{')?;
    if cursor.peek()? == b'}' {
        cursor.at += 1;
        return cursor.is_at_end().then_some(object);
    }
    loop {
        cursor.expect(b'"')?;
        let name = cursor.text()?;
        cursor.expect(b':')?;
        let field = match name.as_ref() {
            "cmd" => Some(&mut object.cmd),
            "act" => Some(&mut object.act),
            "type" => Some(&mut object.kind),
            "key" => Some(&mut object.key),
            "seq" => Some(&mut object.seq),
            "address" => Some(&mut object.address),
            "port" => Some(&mut object.port),
            "addressType" => Some(&mut object.address_type),
            "fd" => Some(&mut object.fd),
            "flags" => Some(&mut object.flags),
            "index" => Some(&mut object.index),
            _ => None,
        };
        match field {
            Some(field) => *field = cursor.field()?,
            None => {
                cursor.peek()?;
                let begin = cursor.at;
                cursor.skip()?;
                if name == "data" {
                    object.data = Some(str::from_utf8(line.get(begin..cursor.at)?).ok()?);
                }
            }
        }
        match cursor.next()? {
            b',' => {}
            b'}' => return cursor.is_at_end().then_some(object),
            _ => return None,
        }
    }
}

/// Whether a line is JSON at all.
pub fn is_json(line: &[u8]) -> bool {
    let mut cursor = Cursor { bytes: line, at: 0 };
    cursor.skip().is_some() && cursor.is_at_end()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn fields_are_picked_and_the_rest_is_checked() {
        let object =
            read(br#"{"cmd":"a\u0041","x":{"cmd":[1,{}]},"port":3e3,"fd":null,"index":-1,"data":[1,[2]],"seq":1.5,"key":"k"}"#).unwrap();
        assert_eq!(object.cmd.text(), Some("aA"));
        assert_eq!((object.port, object.index), (Field::Number(3000), Field::Number(-1)));
        assert_eq!((object.fd, object.seq, object.act), (Field::Null, Field::Other, Field::Missing));
        assert_eq!(object.data, Some("[1,[2]]"));
        assert!(matches!(object.key, Field::Text(Cow::Borrowed("k"))), "no copy where none is needed");
        let port = |text: &str| match read(format!("{{\"port\":{text}}}").as_bytes()).unwrap().port {
            Field::Text(text) => Field::Text(text.into_owned().into()),
            Field::Number(number) => Field::Number(number),
            Field::Null => Field::Null,
            Field::Missing => Field::Missing,
            Field::Other => Field::Other,
        };
        for other in ["true", "[80]", "{\"port\":80}", "1e300", "-1e300", "9007199254740992.0", "18446744073709551615"] {
            assert_eq!(port(other), Field::Other, "{other}");
        }
        assert_eq!((port("4503599627370496.0"), port("-2.0")), (Field::Number(1 << 52), Field::Number(-2)));
        let shown = ["1", "\"a\"", "null", "true"].map(|text| port(text).to_string());
        assert_eq!((shown, Field::Missing.to_string()), (["1", "a", "null", "?"].map(str::to_owned), "undefined".to_owned()));
        for bad in [&b"{"[..], b"", b"[1]", b"{}x", b"{\"cmd\":}", b"{\"x\":[}", b"{\"cmd\":\"\xff\"}"] {
            assert!(read(bad).is_none());
        }
    }

    #[test]
    fn json_is_what_its_standard_says() {
        let good =
            r#"0|-0|10|1.5|-1.5e+10|1E5|1e-5|0.0|true|false|null|[]|{}|[1,2]|[[],{}]|{"a":1,"b":[{}]}|"\"\\\/\b\f\n\r\t\u00e9\uD83D""#;
        for good in good.split('|').chain([" [ 1 ,\t2 ]\r\n", "\" \u{7f}\""]) {
            assert!(is_json(good.as_bytes()), "{good}");
        }
        let numbers = "| |01|-|-a|+1|.5|1.|1.e5|1e|1e+|1 2";
        let others = r#"tru|nul|falsy|[1,]|[,]|[1 2]|[}|{]|{,}|[1]]|{"a"}|{"a":}|{a:1}|{"a":1,}|{"a" 1}|"a|"\x"|"\u12"|"\u12g4""#;
        for bad in numbers.split('|').chain(others.split('|')).chain(["\"\u{1f}\""]) {
            assert!(!is_json(bad.as_bytes()), "{bad}");
        }
    }

    #[test]
    fn escapes_stand_for_what_javascript_says() {
        let key = |text: &str| read(format!("{{\"key\":\"{text}\"}}").as_bytes()).map(|object| object.key.to_string());
        for (text, expected) in [
            (r#"\"\\\/\b\f\n\r\t."#, "\"\\/\u{8}\u{c}\n\r\t."),
            (r"\u00e9\u0FfF", "\u{e9}\u{fff}"),
            (r"a\ud83d\ude00b", "a\u{1f600}b"),
            (r"\ud800\udc00\udbff\udfff\ud7ff\ue000", "\u{10000}\u{10ffff}\u{d7ff}\u{e000}"),
            (" \u{7f}", " \u{7f}"),
        ] {
            assert_eq!(key(text).as_deref(), Some(expected), "{text}");
        }
        for bad in
            [r"\ud800", r"\ud800x", r"\ud800\n", r"\ud800\u0041", r"\ud800\udbff", r"\ud800\ue000", r"\udc00", r"\u12", "\u{1f}", r"\"]
        {
            assert_eq!(key(bad), None, "{bad}");
        }
    }

    #[test]
    fn depth_is_no_danger() {
        let deep = [b"[".repeat(20_000), b"]".repeat(20_000)].concat();
        assert!(is_json(&deep));
        let inside = [b"{\"data\":".as_slice(), &deep, b"}"].concat();
        assert_eq!(read(&inside).unwrap().data.unwrap().len(), deep.len());
        let elsewhere = [b"{\"port\":".as_slice(), &deep, b"}"].concat();
        assert_eq!(read(&elsewhere).unwrap().port, Field::Other);
        assert!(!is_json(&b"[".repeat(60_000)));
    }

    /// What serde_json makes of it, which somebody else has written.
    fn by_another(line: &[u8], name: &str) -> Option<Field<'static>> {
        let object: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(line).ok()?;
        Some(match object.get(name) {
            None => Field::Missing,
            Some(serde_json::Value::Null) => Field::Null,
            Some(serde_json::Value::String(text)) => Field::Text(text.clone().into()),
            Some(serde_json::Value::Number(number)) => match (number.as_i64(), number.as_f64()) {
                (Some(number), _) => Field::Number(number),
                (None, Some(number)) if number.fract() == 0.0 && number.abs() < 9_007_199_254_740_992.0 => Field::Number(number as i64),
                _ => Field::Other,
            },
            Some(_) => Field::Other,
        })
    }

    fn any_json() -> impl Strategy<Value = serde_json::Value> {
        let scalar = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            (-1_000_000..1_000_000, 1..1000).prop_map(|(number, by)| (f64::from(number) / f64::from(by)).into()),
            any::<String>().prop_map(Into::into),
        ];
        scalar.prop_recursive(4, 30, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
                proptest::collection::vec((".{0,4}", inner), 0..4).prop_map(|pairs| serde_json::Value::Object(pairs.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = (read(&bytes), is_json(&bytes));
        }

        /// Valid, and with a byte or two that are wrong.
        #[test]
        fn another_reader_makes_the_same_of_it(
            port in any_json(), key in any_json(), data in any_json(), spoiled in proptest::collection::vec((any::<prop::sample::Index>(), prop_oneof![any::<u8>(), Just(b'"'), Just(b'\\'), Just(b'0'), Just(b'}')]), 0..3),
        ) {
            let mut line = format!(" {{\"po\\u0072t\" : {port} ,\"key\":{key},\"x\":{data},\"data\":\t{data} }} ").into_bytes();
            for (at, byte) in spoiled {
                let at = at.index(line.len());
                line[at] = byte;
            }
            // Lines are text: what comes from Node is, and the other reader does not look at all of it.
            prop_assume!(str::from_utf8(&line).is_ok());
            let object = read(&line);
            prop_assert_eq!(is_json(&line), serde_json::from_slice::<serde_core::de::IgnoredAny>(&line).is_ok());
            match (by_another(&line, "port"), &object) {
                (Some(port), Some(object)) => {
                    prop_assert_eq!(&object.port, &port);
                    prop_assert_eq!(Some(object.key.clone()), by_another(&line, "key"));
                    if let Some(data) = object.data {
                        prop_assert!(is_json(data.as_bytes()));
                    }
                }
                // The other one looks closely at what does not matter as well: half a pair, a number beyond all.
                (None, Some(_)) => prop_assert!(line.windows(2).any(|two| two == b"\\u" || two.eq_ignore_ascii_case(b"e9") || two[0] == b'e' || two[0] == b'E')),
                (Some(_), None) => prop_assert!(false, "refused"),
                (None, None) => {}
            }
        }

        #[test]
        fn numbers_are_those_of_javascript(digits in "-?(0|[1-9][0-9]{0,8})(\\.[0-9]{1,6})?([eE][+-]?[0-9]{1,2})?") {
            let line = format!("{{\"port\":{digits}}}");
            prop_assert_eq!(Some(read(line.as_bytes()).unwrap().port), by_another(line.as_bytes(), "port"), "{}", digits);
        }
    }
}
