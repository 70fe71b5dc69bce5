//! JSON as it is written: a value as one line. Pure.

use serde_core::de::IgnoredAny;
use serde_json::Value;

/// A value as one line.
pub fn compact(value: &Value) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// Whether a text is JSON.
pub fn is_json(text: &str) -> bool {
    serde_json::from_slice::<IgnoredAny>(text.as_bytes()).is_ok()
}
