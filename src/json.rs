//! JSON: a value as one line, and the parts of a text that are asked for, read without a tree. Knows JSON, not what it says. Pure.

use std::borrow::Cow;
use std::fmt;

use serde_core::de::{Deserializer as _, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

/// A value as one line.
pub fn compact(value: &Value) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// Whether a text is JSON.
pub fn is_json(text: &str) -> bool {
    serde_json::from_slice::<IgnoredAny>(text.as_bytes()).is_ok()
}

/// The member of an object, as it is written there; the first of that name.
pub fn member<'a>(object: &'a str, name: &str) -> Option<&'a str> {
    let mut reader = serde_json::Deserializer::from_slice(object.as_bytes());
    let found = reader.deserialize_map(Find { name }).ok()?;
    reader.end().ok()?;
    found
}

/// The items of a list, as they are written there.
pub fn items(list: &str) -> Vec<&str> {
    let items: Option<Vec<&RawValue>> = serde_json::from_slice(list.as_bytes()).ok();
    items.into_iter().flatten().map(RawValue::get).collect()
}

/// A text.
pub fn text(value: &str) -> Option<String> {
    serde_json::from_slice(value.as_bytes()).ok()
}

struct Find<'n> {
    name: &'n str,
}

impl<'de> Visitor<'de> for Find<'_> {
    type Value = Option<&'de str>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(name) = map.next_key::<Cow<'de, str>>()? {
            if found.is_none() && name == self.name {
                found = Some(map.next_value::<&RawValue>()?.get());
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn parts_are_read_as_they_are_written() {
        let object = r#"{"a":[1, {"b":"x"}],"b":"y\n","b":2, "c":null}"#;
        assert_eq!((member(object, "b"), member(object, "c"), member(object, "d")), (Some(r#""y\n""#), Some("null"), None));
        let list = items(member(object, "a").unwrap());
        assert_eq!(list, ["1", r#"{"b":"x"}"#]);
        assert_eq!(text(member(list[1], "b").unwrap()).as_deref(), Some("x"));
        assert_eq!((text("1"), text("\"\\u0041\"")), (None, Some("A".to_owned())));
    }

    #[test]
    fn what_is_no_json_has_no_parts() {
        for broken in ["", "{", "[]", "{\"a\":1", "{\"a\":1}x", "1"] {
            assert_eq!((member(broken, "a"), items(broken)), (None, vec![]), "{broken}");
        }
        assert_eq!(items("[1"), [""; 0]);
    }

    proptest! {
        #[test]
        fn anything_is_read_or_refused(text in ".{0,60}") {
            let _ = (member(&text, "a"), items(&text), super::text(&text));
        }

        #[test]
        fn what_is_written_reads_back(written in ".{0,40}") {
            prop_assert_eq!(text(&compact(&Value::from(written.as_str()))), Some(written));
        }
    }
}
