//! Amounts of memory: bytes, or a part of what the cgroup allows. Pure.

use std::fmt;

use super::values::Accepted;

/// An amount of memory.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Size {
    Bytes(u64),
    /// 1 to 100, of the cgroup's limit.
    Percent(u8),
}

/// Units as Docker, systemd and pm2 count them: by 1024.
const UNITS: [(char, u32); 4] = [('T', 40), ('G', 30), ('M', 20), ('K', 10)];

impl Size {
    /// `512M`, `1G`, `80%`; a bare number is bytes.
    ///
    /// # Errors
    /// What is accepted.
    pub fn parse(text: &str) -> Result<Size, Accepted> {
        const ACCEPTED: Accepted = "a size such as 512M or 1G, or a part of the cgroup's limit such as 80%";
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at_checked(digits).ok_or(ACCEPTED)?;
        let number: u64 = number.parse().map_err(|_| ACCEPTED)?;
        if unit == "%" {
            return u8::try_from(number).ok().filter(|percent| (1..=100).contains(percent)).map(Size::Percent).ok_or(ACCEPTED);
        }
        let unit = unit.to_ascii_uppercase();
        let letter = unit.strip_suffix("IB").or(unit.strip_suffix('I')).or(unit.strip_suffix('B')).unwrap_or(&unit);
        let shift = match UNITS.iter().find(|(name, _)| letter == name.to_string()) {
            Some((_, shift)) => *shift,
            None if unit.is_empty() => 0,
            None => return Err(ACCEPTED),
        };
        number.checked_mul(1 << shift).filter(|bytes| *bytes > 0).map(Size::Bytes).ok_or(ACCEPTED)
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Size::Percent(percent) => write!(f, "{percent}%"),
            Size::Bytes(bytes) => match UNITS.iter().find(|(_, shift)| bytes >> shift << shift == bytes) {
                Some((unit, shift)) => write!(f, "{}{unit}", bytes >> shift),
                None => write!(f, "{bytes}"),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sizes() {
        for (text, size) in [
            ("512M", Size::Bytes(512 << 20)),
            ("1G", Size::Bytes(1 << 30)),
            ("64k", Size::Bytes(64 << 10)),
            ("300MiB", Size::Bytes(300 << 20)),
            ("300mb", Size::Bytes(300 << 20)),
            ("2Gi", Size::Bytes(2 << 30)),
            ("1048577", Size::Bytes(1_048_577)),
            ("80%", Size::Percent(80)),
            ("100%", Size::Percent(100)),
        ] {
            assert_eq!(Size::parse(text), Ok(size), "{text}");
        }
        for text in
            ["", "M", "%", "0", "0M", "0%", "101%", "300%", "-1", "1.5G", "1 G", "1X", "1MM", "99999999999999999999", "99999999999G"]
        {
            assert!(Size::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_size_is_shown_in_its_largest_whole_unit() {
        for (text, shown) in [("1023", "1023"), ("1024", "1K"), ("1536k", "1536K"), ("512M", "512M"), ("1024G", "1T"), ("80%", "80%")] {
            assert_eq!(Size::parse(text).unwrap().to_string(), shown);
        }
    }

    proptest! {
        #[test]
        fn a_size_reads_back_as_itself(bytes in 1u64..u64::MAX, percent in 1u8..=100, shift in 0u32..30) {
            for size in [Size::Bytes(bytes), Size::Bytes((bytes >> 34).max(1) << shift), Size::Percent(percent)] {
                prop_assert_eq!(Size::parse(&size.to_string()), Ok(size));
            }
        }

        #[test]
        fn no_text_makes_the_parser_fall_over(text in "\\PC*") {
            let _ = Size::parse(&text);
        }
    }
}
