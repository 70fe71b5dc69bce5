//! Durations, counts and percentages: how options take them, and how durations are written back. Pure.

use std::num::NonZeroU32;
use std::time::Duration;

use super::values::Accepted;

/// `500ms`, `10s`, `2m`, `1h`, `1m30s`; a bare number is seconds.
///
/// # Errors
/// What is accepted.
pub fn duration(text: &str) -> Result<Duration, Accepted> {
    const ACCEPTED: Accepted = "a duration such as 500ms, 10s, 2m or 1h; a bare number is seconds";
    if text.bytes().all(|b| b.is_ascii_digit()) {
        return text.parse().map(Duration::from_secs).map_err(|_| ACCEPTED);
    }
    sum_of_parts(text).ok_or(ACCEPTED)
}

/// Numbers with a unit each, added up.
fn sum_of_parts(mut text: &str) -> Option<Duration> {
    let mut sum = Duration::ZERO;
    while !text.is_empty() {
        let (number, rest) = text.split_at(text.find(|c: char| !c.is_ascii_digit())?);
        let (unit, rest) = rest.split_at(rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len()));
        let number: u64 = number.parse().ok()?;
        let seconds = |each| number.checked_mul(each).map(Duration::from_secs);
        let part = match unit {
            "ms" => Some(Duration::from_millis(number)),
            "s" => seconds(1),
            "m" => seconds(60),
            "h" => seconds(3600),
            _ => None,
        };
        sum = sum.checked_add(part?)?;
        text = rest;
    }
    Some(sum)
}

/// A time that is no time would be no limit, and no pause.
///
/// # Errors
/// What is accepted.
pub fn positive_duration(text: &str) -> Result<Duration, Accepted> {
    match duration(text)? {
        Duration::ZERO => Err("a duration above 0 such as 500ms, 10s, 2m or 1h; a bare number is seconds"),
        duration => Ok(duration),
    }
}

/// A duration in the shortest form that [`duration`] reads back.
pub fn show_duration(duration: Duration) -> String {
    let millis = duration.as_millis();
    match millis {
        0 => "0".to_owned(),
        m if m % 3_600_000 == 0 => format!("{}h", m / 3_600_000),
        m if m % 60_000 == 0 && m > 60_000 => format!("{}m", m / 60_000),
        m if m % 1000 == 0 => format!("{}s", m / 1000),
        m => format!("{m}ms"),
    }
}

/// A whole number from 0 to `u32::MAX`.
///
/// # Errors
/// What is accepted.
pub fn number(text: &str) -> Result<u32, Accepted> {
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    let parsed = if digits { text.parse().ok() } else { None };
    parsed.ok_or("a whole number from 0 to 4294967295")
}

/// How often something happens, from 1.
///
/// # Errors
/// What is accepted.
pub fn count(text: &str) -> Result<NonZeroU32, Accepted> {
    number(text).ok().and_then(NonZeroU32::new).ok_or("a whole number from 1 to 4294967295")
}

/// `25`, `25%`.
///
/// # Errors
/// What is accepted.
pub fn percent(text: &str) -> Result<u32, Accepted> {
    let percent = number(text.strip_suffix('%').unwrap_or(text)).ok().filter(|percent| *percent <= 100);
    percent.ok_or("a percentage from 0 to 100")
}
