//! JSON as it is written: small values, one line each, the members of an object in the order given. Pure.

use std::fmt::{self, Write as _};
use std::time::Duration;

/// A value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Value {
    Null,
    Truth(bool),
    Number(i64),
    /// Told in seconds, to the microsecond.
    Seconds(Duration),
    Text(String),
    List(Vec<Value>),
    Object(Vec<(&'static str, Value)>),
}

/// A duration as a number of seconds, to the millisecond: what a reader can use.
pub fn seconds(duration: Duration) -> Value {
    Value::Seconds(Duration::from_millis(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)))
}

impl fmt::Display for Value {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Null => out.write_str("null"),
            Value::Truth(truth) => truth.fmt(out),
            Value::Number(number) => number.fmt(out),
            Value::Seconds(duration) => {
                let micros = format!("{:06}", duration.subsec_micros());
                let digits = micros.trim_end_matches('0');
                write!(out, "{}.{}", duration.as_secs(), if digits.is_empty() { "0" } else { digits })
            }
            Value::Text(value) => out.write_str(&text(value)),
            Value::List(items) => {
                out.write_char('[')?;
                for (place, item) in items.iter().enumerate() {
                    out.write_str(if place == 0 { "" } else { "," })?;
                    item.fmt(out)?;
                }
                out.write_char(']')
            }
            Value::Object(members) => {
                out.write_char('{')?;
                for (place, (name, value)) in members.iter().enumerate() {
                    out.write_str(if place == 0 { "" } else { "," })?;
                    write!(out, "{}:{value}", text(name))?;
                }
                out.write_char('}')
            }
        }
    }
}

/// A text as JSON.
pub fn text(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\0'..' ' => drop(write!(out, "\\u{:04x}", u32::from(c))),
            _ => out.push(c),
        }
    }
    out.push('"');
    out
}

impl From<bool> for Value {
    fn from(truth: bool) -> Value {
        Value::Truth(truth)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Value {
        Value::Text(text)
    }
}

macro_rules! whole {
    ($($number:ty)*) => {
        $(impl From<$number> for Value {
            /// What is beyond 2^63 is not told more exactly.
            fn from(number: $number) -> Value {
                Value::Number(i64::try_from(number).unwrap_or(i64::MAX))
            }
        })*
    };
}

whole! { u8 u16 u32 u64 usize i32 i64 }

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Value {
        value.map_or(Value::Null, T::into)
    }
}

impl<T: Into<Value>> From<Vec<T>> for Value {
    fn from(items: Vec<T>) -> Value {
        Value::List(items.into_iter().map(T::into).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn values_are_written_in_one_line() {
        let exactly = |micros| Value::Seconds(Duration::from_micros(micros));
        let members = vec![
            ("b", Value::Null),
            ("a", true.into()),
            ("n", (-7i32).into()),
            ("l", vec!["x\"\n", ""].into()),
            ("o", Value::Object(vec![])),
        ];
        assert_eq!(Value::Object(members).to_string(), r#"{"b":null,"a":true,"n":-7,"l":["x\"\n",""],"o":{}}"#);
        let written: Vec<String> = [0, 3_200_000, 41_000, 231, 1_700_000_000_000_000].map(|micros| exactly(micros).to_string()).into();
        assert_eq!(written, ["0.0", "3.2", "0.041", "0.000231", "1700000000.0"]);
        assert_eq!(seconds(Duration::from_micros(3_200_999)).to_string(), "3.2");
        assert_eq!(text("a\r\n\t\u{1}\"\\"), r#""a\r\n\t\u0001\"\\""#);
        assert_eq!((Value::from(u64::MAX), Value::from(None::<bool>)), (Value::Number(i64::MAX), Value::Null));
    }

    proptest! {
        #[test]
        fn any_text_reads_back(written in any::<String>()) {
            prop_assert_eq!(serde_json::from_str::<String>(&text(&written)).unwrap(), written);
        }

        #[test]
        fn what_is_written_is_json(written in ".{0,40}", number in any::<i64>(), micros in any::<u32>()) {
            let value = Value::Object(vec![("t", written.as_str().into()), ("n", number.into()), ("s", Value::Seconds(Duration::from_micros(micros.into())))]);
            let read: serde_json::Value = serde_json::from_str(&value.to_string()).unwrap();
            prop_assert_eq!((read["t"].as_str(), read["n"].as_i64()), (Some(written.as_str()), Some(number)));
            prop_assert!((read["s"].as_f64().unwrap() - f64::from(micros) / 1e6).abs() < 1e-9);
        }
    }
}
