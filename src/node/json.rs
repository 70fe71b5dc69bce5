//! The few fields of a JSON object that can matter, read in one pass without building a tree: an app may send anything, and most of it
//! is not for us. Knows JSON, not what a field means. Pure.

use std::borrow::Cow;
use std::fmt;

use serde_core::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

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

/// Reads a line that holds an object; `None`: it holds none, or is not JSON.
pub fn read(line: &[u8]) -> Option<Object<'_>> {
    let is_object = line.trim_ascii_start().first() == Some(&b'{');
    is_object.then(|| serde_json::from_slice(line).ok()).flatten()
}

/// Whether a line is JSON at all.
pub fn is_json(line: &[u8]) -> bool {
    serde_json::from_slice::<IgnoredAny>(line).is_ok()
}

struct ObjectVisitor;
struct FieldVisitor;

impl<'de> Deserialize<'de> for Object<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // An object is asked for by nobody else. To say of a number that it is none would bring in 6 KiB of writing fractions.
        deserializer.deserialize_any(ObjectVisitor)
    }
}

impl<'de> Visitor<'de> for ObjectVisitor {
    type Value = Object<'de>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an object")
    }

    fn visit_unit<E: Error>(self) -> Result<Object<'de>, E> {
        Ok(Object::default())
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Object<'de>, E> {
        Ok(Object::default())
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Object<'de>, E> {
        Ok(Object::default())
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Object<'de>, E> {
        Ok(Object::default())
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Object<'de>, E> {
        Ok(Object::default())
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<Object<'de>, E> {
        Ok(Object::default())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Object<'de>, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Object::default())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object<'de>, A::Error> {
        let mut object = Object::default();
        while let Some(name) = map.next_key::<Field<'de>>()? {
            let field = match name.text().unwrap_or_default() {
                "cmd" => &mut object.cmd,
                "act" => &mut object.act,
                "type" => &mut object.kind,
                "key" => &mut object.key,
                "seq" => &mut object.seq,
                "address" => &mut object.address,
                "port" => &mut object.port,
                "addressType" => &mut object.address_type,
                "fd" => &mut object.fd,
                "flags" => &mut object.flags,
                "index" => &mut object.index,
                "data" => {
                    object.data = Some(map.next_value::<&RawValue>()?.get());
                    continue;
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            *field = map.next_value()?;
        }
        Ok(object)
    }
}

impl<'de> Deserialize<'de> for Field<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(FieldVisitor)
    }
}

impl<'de> Visitor<'de> for FieldVisitor {
    type Value = Field<'de>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a value")
    }

    fn visit_unit<E: Error>(self) -> Result<Field<'de>, E> {
        Ok(Field::Null)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Field<'de>, E> {
        Ok(Field::Other)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Field<'de>, E> {
        Ok(Field::Number(number))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Field<'de>, E> {
        Ok(i64::try_from(number).map_or(Field::Other, Field::Number))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Field<'de>, E> {
        // JavaScript knows no integers: 3e3 is as good a port as 3000. All that can matter is far below 2^53.
        #[expect(clippy::cast_possible_truncation, reason = "what is cut off is not equal")]
        let whole = number as i64;
        #[expect(clippy::cast_precision_loss, reason = "below 2^53 there is none")]
        let is_whole = whole as f64 == number && whole.unsigned_abs() < 1 << 53;
        Ok(if is_whole { Field::Number(whole) } else { Field::Other })
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Field<'de>, E> {
        Ok(Field::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Field<'de>, E> {
        Ok(Field::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Field<'de>, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Field::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Field<'de>, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Field::Other)
    }
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
    fn depth_is_no_danger() {
        let deep = [b"[".repeat(20_000), b"]".repeat(20_000)].concat();
        assert!(is_json(&deep));
        let inside = [b"{\"data\":".as_slice(), &deep, b"}"].concat();
        assert_eq!(read(&inside).unwrap().data.unwrap().len(), deep.len());
        let elsewhere = [b"{\"port\":".as_slice(), &deep, b"}"].concat();
        assert_eq!(read(&elsewhere).unwrap().port, Field::Other);
        assert!(!is_json(&b"[".repeat(60_000)));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = (read(&bytes), is_json(&bytes));
        }
    }
}
