//! Durations as people write them: a whole number and a unit.

use std::time::Duration;

use serde::Serializer;

/// A text is not a duration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// Not a whole number with a unit.
    #[error("not a whole number with a unit, such as \"20us\", \"50ms\" or \"5s\"")]
    Malformed,
    /// A number without its unit.
    #[error("a duration without its unit (ns, us, ms, s or m)")]
    NoUnit,
    /// Longer than 584 years, which is 2^64 ns.
    #[error("a duration too long to count in nanoseconds")]
    TooLong,
}

/// Nanoseconds in each unit, the largest first.
const UNITS: [(&str, u64); 5] =
    [("m", 60_000_000_000), ("s", 1_000_000_000), ("ms", 1_000_000), ("us", 1_000), ("ns", 1)];

/// Read `20us`, `50ms`, `5s`, `2m` or `100ns`; `µs` means the same as `us`.
///
/// # Errors
/// [`DurationError`] when the text is anything else: a fraction, a sum such as `1m30s`, or a number without a unit.
///
/// ```
/// use std::time::Duration;
/// assert_eq!(config::parse_duration("20us"), Ok(Duration::from_micros(20)));
/// assert_eq!(config::parse_duration("20"), Err(config::DurationError::NoUnit));
/// ```
pub fn parse_duration(text: &str) -> Result<Duration, DurationError> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let unit = unit.strip_prefix(' ').unwrap_or(unit);
    if number.is_empty() {
        return Err(DurationError::Malformed);
    }
    let scale = match unit {
        "" => return Err(DurationError::NoUnit),
        "µs" | "μs" => 1_000,
        _ => UNITS.iter().find(|(name, _)| *name == unit).ok_or(DurationError::Malformed)?.1,
    };
    let nanoseconds = number.parse::<u64>().ok().and_then(|number| number.checked_mul(scale));
    nanoseconds.map(Duration::from_nanos).ok_or(DurationError::TooLong)
}

/// Write a duration in the largest unit that divides it, as [`parse_duration`] reads it: `1500us`, `2m`, `0s`.
#[must_use]
pub fn format_duration(duration: Duration) -> String {
    let nanoseconds = duration.as_nanos();
    if nanoseconds == 0 {
        return "0s".to_owned();
    }
    let (unit, scale) = UNITS
        .iter()
        .find(|(_, scale)| nanoseconds.is_multiple_of(u128::from(*scale)))
        .expect("one nanosecond divides everything");
    format!("{}{unit}", nanoseconds / u128::from(*scale))
}

/// For `#[serde(serialize_with = …)]`: [`format_duration`].
pub(crate) fn as_text<S: Serializer>(
    duration: &Duration,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&format_duration(*duration))
}
