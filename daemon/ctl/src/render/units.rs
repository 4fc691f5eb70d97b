//! Numbers as people read them.

use std::time::Duration;

/// `1,234,567`
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Three significant digits and a prefix of a thousand: `1.23 k`, `45.6 M`, `789 `.
fn scaled(value: f64, prefixes: &[&str]) -> String {
    let mut value = value;
    let mut prefixes = prefixes.iter();
    let mut prefix = prefixes.next().expect("there is a first prefix");
    // 999.5 would be rounded up to 1000.
    while value >= 999.5 {
        let Some(next) = prefixes.next() else { break };
        value /= 1000.0;
        prefix = next;
    }
    let decimals = if value == value.trunc() && prefix.is_empty() || value >= 99.95 {
        0
    } else if value >= 9.995 {
        1
    } else {
        2
    };
    format!("{value:.decimals$} {prefix}")
}

/// Nanoseconds, with the unit that leaves three digits: `812 ns`, `1.23 µs`, `50.1 ms`, `2.00 s`.
pub(crate) fn nanos(ns: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
    let value = ns as f64;
    if ns < 1000 { format!("{ns} ns") } else { scaled(value, &["ns", "µs", "ms", "s"]) }
}

/// A time that may have a fraction of a nanosecond, as means have.
pub(crate) fn fine_nanos(ns: f64) -> String {
    scaled(ns.max(0.0), &["ns", "µs", "ms", "s"])
}

/// `1.23 Mpps`, `0 pps`
pub(crate) fn packet_rate(per_second: f64) -> String {
    scaled(per_second.max(0.0), &["", "k", "M", "G"]) + "pps"
}

/// `9.87 Gb/s`
pub(crate) fn bit_rate(per_second: f64) -> String {
    scaled(per_second.max(0.0), &["", "k", "M", "G", "T"]) + "b/s"
}

/// `12.3/s`
pub(crate) fn event_rate(per_second: f64) -> String {
    let text = scaled(per_second.max(0.0), &["", "k", "M", "G"]);
    format!("{}/s", text.trim_end())
}

/// `12.3 %` of a ratio; what would round to nothing says so.
pub(crate) fn percent(ratio: f64) -> String {
    if ratio > 0.0 && ratio < 0.0005 {
        return "<0.1 %".to_owned();
    }
    format!("{:.1} %", ratio * 100.0)
}

/// `3 d 4 h`, `2 h 5 min`, `42 s`: two units are enough.
pub(crate) fn uptime(seconds: f64) -> String {
    let seconds = Duration::try_from_secs_f64(seconds).unwrap_or_default().as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    if days > 0 {
        format!("{days} d {hours} h")
    } else if hours > 0 {
        format!("{hours} h {minutes} min")
    } else if minutes > 0 {
        format!("{minutes} min {} s", seconds % 60)
    } else {
        format!("{seconds} s")
    }
}

/// Nanoseconds since 1970 as UTC, to the microsecond: `2026-04-14 09:30:00.000012Z`.
pub(crate) fn utc(unix_ns: u64) -> String {
    let seconds = unix_ns / 1_000_000_000;
    let (year, month, day) = civil(seconds / 86_400);
    format!(
        "{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02}.{:06}Z",
        seconds / 3_600 % 24,
        seconds / 60 % 60,
        seconds % 60,
        unix_ns / 1_000 % 1_000_000,
    )
}

/// The Gregorian date of a day counted from 1970-01-01.
fn civil(mut day: u64) -> (u64, u64, u64) {
    let leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    let mut year = 1970;
    loop {
        let length = 365 + u64::from(leap(year));
        if day < length {
            break;
        }
        day -= length;
        year += 1;
    }
    let february = 28 + u64::from(leap(year));
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if day < length {
            break;
        }
        day -= length;
        month += 1;
    }
    (year, month, day + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_grouped_by_thousands() {
        let text: Vec<String> = [0, 999, 1_000, 12_345_678, u64::MAX].map(count).into();
        assert_eq!(text, ["0", "999", "1,000", "12,345,678", "18,446,744,073,709,551,615"]);
    }

    #[test]
    fn times_have_three_digits_and_never_four() {
        let text: Vec<String> = [
            0,
            812,
            999,
            1_000,
            1_234,
            12_345,
            123_456,
            999_499,
            999_500,
            999_950,
            50_100_000,
            2_000_000_000,
            7_200_000_000_000,
        ]
        .map(nanos)
        .into();
        assert_eq!(
            text,
            [
                "0 ns", "812 ns", "999 ns", "1.00 µs", "1.23 µs", "12.3 µs", "123 µs", "999 µs",
                "1.00 ms", "1.00 ms", "50.1 ms", "2.00 s", "7200 s"
            ]
        );
    }

    #[test]
    fn rates_name_their_unit() {
        assert_eq!(packet_rate(0.0), "0 pps");
        assert_eq!(packet_rate(14_880_952.0), "14.9 Mpps");
        assert_eq!(bit_rate(9_870_000_000.0), "9.87 Gb/s");
        assert_eq!(event_rate(0.5), "0.50/s");
        assert_eq!(event_rate(1_200.0), "1.20 k/s");
        assert_eq!(
            [0.0, 0.0003, 0.1234, 1.0].map(percent),
            ["0.0 %", "<0.1 %", "12.3 %", "100.0 %"]
        );
    }

    #[test]
    fn dates_know_leap_years() {
        assert_eq!(utc(0), "1970-01-01 00:00:00.000000Z");
        assert_eq!(utc(951_782_400_000_000_000), "2000-02-29 00:00:00.000000Z");
        assert_eq!(utc(1_767_225_599_999_999_999), "2025-12-31 23:59:59.999999Z");
        assert_eq!(utc(u64::MAX), "2554-07-21 23:34:33.709551Z");
    }

    #[test]
    fn uptimes_have_two_units() {
        let text: Vec<String> = [4.9, 65.0, 7_500.0, 273_600.0, -1.0, f64::NAN].map(uptime).into();
        assert_eq!(text, ["4 s", "1 min 5 s", "2 h 5 min", "3 d 4 h", "0 s", "0 s"]);
    }
}
