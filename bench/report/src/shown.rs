//! Numbers and names as a reader sees them.

use bench_result::{
    plan::Member,
    trial::{Cell, Percentile, Support},
    words,
};
use statistics::Estimate;

/// `20 000`, with narrow spaces that do not break.
pub(crate) fn whole(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// Frames a second, as whole as they are.
pub(crate) fn load(frames: f64) -> String {
    if !frames.is_finite() || frames.abs() >= 1e15 || frames < 0.0 {
        return format!("{frames:e}");
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "from 0 to 1e15, as was looked at"
    )]
    let floor = frames as u64;
    if frames.fract() == 0.0 { whole(floor) } else { format!("{frames:.1}") }
}

/// `20 000/s, 64 bytes`
pub(crate) fn cell(cell: Cell) -> String {
    format!("{}/s, {} bytes", load(cell.load), cell.size)
}

/// `p99.9`
pub(crate) fn percentile(percentile: f64) -> String {
    format!("p{percentile}")
}

/// A time, with a star where few samples lie beyond it.
pub(crate) fn time(found: &Percentile) -> String {
    let time = found.ns.map_or_else(|| "lost".to_owned(), words::time);
    match found.support {
        Support::Firm => time,
        Support::Weak => format!("{time}*"),
    }
}

/// A ratio, to three digits behind the point.
pub(crate) fn ratio(value: f64) -> String {
    if value.is_finite() && value.abs() < 1e6 {
        format!("{value:.3}")
    } else {
        format!("{value:e}")
    }
}

/// `1.790 to 1.871`
pub(crate) fn interval(estimate: &Estimate) -> String {
    format!("{} to {}", ratio(estimate.low), ratio(estimate.high))
}

/// A share in percent, with as many digits as it needs to be told from none.
pub(crate) fn percent(share: f64) -> String {
    let percent = share * 100.0;
    match percent {
        0.0 => "0 %".to_owned(),
        small if small < 0.001 => "< 0.001 %".to_owned(),
        small if small < 0.1 => format!("{small:.3} %"),
        small if small < 10.0 => format!("{small:.2} %"),
        percent => format!("{percent:.1} %"),
    }
}

/// One of two counts; 0 of nothing.
#[expect(clippy::cast_precision_loss, reason = "shown with three digits")]
pub(crate) fn share(part: u64, all: u64) -> f64 {
    if all == 0 { 0.0 } else { part as f64 / all as f64 }
}

/// Part of a file's name and of an anchor: letters, digits, `.` and `-`.
pub(crate) fn slug(cell: Cell) -> String {
    format!("{}-{}", word(&cell.load.to_string()), cell.size)
}

/// A member's name; the twin says what it is for.
pub(crate) fn member(member: Member) -> String {
    if member.is_twin { format!("A/A: {} again", member.arm) } else { member.arm.to_string() }
}

/// At most forty letters and digits: a load may be any number.
fn word(text: &str) -> String {
    text.chars()
        .filter(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '.' | '-'))
        .take(40)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_at_a_glance() {
        for (number, text) in [(0, "0"), (999, "999"), (1000, "1 000"), (1_234_567, "1 234 567")] {
            assert_eq!(whole(number), text.replace(' ', "\u{202f}"));
        }
        assert_eq!(load(0.5), "0.5");
        assert_eq!(load(2e4), "20\u{202f}000");
        assert_eq!(percent(0.0), "0 %");
        assert_eq!(percent(1e-9), "< 0.001 %");
        assert_eq!(percent(0.0123), "1.23 %");
        assert_eq!(percent(0.5), "50.0 %");
        assert_eq!(ratio(1.0), "1.000");
    }

    #[test]
    fn no_load_makes_a_name_that_is_no_name() {
        for load in [f64::MAX, f64::MIN_POSITIVE, f64::NAN, f64::INFINITY, -1.5] {
            let slug = slug(Cell { load, size: 64 });
            assert!(slug.len() <= 64 && !slug.contains(['/', ' ']), "{slug}");
            assert!(!super::load(load).is_empty());
        }
    }
}
