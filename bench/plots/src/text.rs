//! Numbers and names as a reader wants them.

/// Up to three digits that count: `1.25`, `12.5`, `125`, `0.001`; very large and very small ones by their power of ten.
pub(crate) fn plain(value: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    let magnitude = value.abs().log10().floor();
    if !(-6.0..7.0).contains(&magnitude) {
        return format!("{value:.2e}").replace(".00e", "e");
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "from 0 to 8, as the magnitude is from -6 to 6"
    )]
    let digits = (2.0 - magnitude).max(0.0) as usize;
    let text = format!("{value:.digits$}");
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

/// `800 ns`, `1.5 µs`, `20 ms`, `3 s`.
pub(crate) fn time(ns: f64) -> String {
    with_unit(ns, &[(1e9, " s"), (1e6, " ms"), (1e3, " µs"), (0.0, " ns")])
}

/// `250`, `10 k`, `1.5 M`.
pub(crate) fn amount(value: f64) -> String {
    with_unit(value, &[(1e12, " T"), (1e9, " G"), (1e6, " M"), (1e4, " k"), (0.0, "")])
}

/// `0.01 %` of a share from 0 to 1.
pub(crate) fn share(value: f64) -> String {
    format!("{} %", plain(value * 100.0))
}

/// `99.9 %` of a quantile: as many nines as it has.
pub(crate) fn quantile(quantile: f64) -> String {
    let rest = 100.0 * (1.0 - quantile);
    let digits = (3.0 - rest.max(1e-12).log10()).ceil().clamp(0.0, 12.0);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "clamped to 0 to 12 on the line before"
    )]
    let text = format!("{:.1$}", quantile * 100.0, digits as usize);
    let text =
        if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    format!("{text} %")
}

fn with_unit(value: f64, units: &[(f64, &str)]) -> String {
    // What rounds up to the next unit belongs to it.
    let (unit, name) =
        units.iter().find(|(unit, _)| value.abs() >= unit * 0.9995).copied().unwrap_or((0.0, ""));
    // `10 k` and up, but thousands.
    let divisor = match unit {
        0.0 => 1.0,
        1e4 => 1e3,
        unit => unit,
    };
    format!("{}{name}", plain(value / divisor))
}

/// At most `most` characters; what is cut ends in an ellipsis.
pub(crate) fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}

/// Lines of at most `most` characters, broken at blanks; at most `lines`, the last of them cut.
pub(crate) fn wrap(text: &str, most: usize, lines: usize) -> Vec<String> {
    let mut wrapped: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        let full = wrapped.len() == lines;
        match wrapped.last_mut() {
            Some(line) if full || line.chars().count() + 1 + word.chars().count() <= most => {
                line.push(' ');
                line.push_str(word);
            }
            _ => wrapped.push(word.to_owned()),
        }
    }
    wrapped.iter().map(|line| cut(line, most)).collect()
}

/// How wide text is, about, in a font of so many pixels: letters of DejaVu Sans are 0.6 wide on average.
pub(crate) fn width(text: &str, size: f64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "titles are not that long")]
    let letters = text.chars().count() as f64;
    letters * size * 0.6
}

/// How many letters of so many pixels fit, about.
pub(crate) fn letters(room: f64, size: f64) -> usize {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "from 0 to about a hundred, as no picture is wider"
    )]
    let letters = (room.max(0.0) / (size * 0.6)) as usize;
    letters
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_digits_and_a_unit() {
        for (ns, text) in [
            (0.0, "0 ns"),
            (1.0, "1 ns"),
            (999.0, "999 ns"),
            (999.9, "1 µs"),
            (1_250.0, "1.25 µs"),
            (2e4, "20 µs"),
            (1e9, "1 s"),
            (1.844e19, "1.84e10 s"),
        ] {
            assert_eq!(time(ns), text);
        }
        for (value, text) in
            [(0.0, "0"), (5_000.0, "5000"), (10_000.0, "10 k"), (1.5e6, "1.5 M"), (12.0, "12")]
        {
            assert_eq!(amount(value), text);
        }
        assert_eq!(share(1e-6), "0.0001 %");
        assert_eq!(quantile(0.0), "0 %");
        assert_eq!(quantile(0.5), "50 %");
        assert_eq!(quantile(0.999), "99.9 %");
        assert_eq!(quantile(0.999_999), "99.9999 %");
    }

    #[test]
    fn text_is_cut_by_letters_and_wrapped_at_blanks() {
        assert_eq!(cut("äöüß", 3), "äö…");
        assert_eq!(cut("abc", 3), "abc");
        assert_eq!(wrap("one two three four five", 9, 2), ["one two", "three fo…"]);
        assert!(wrap("", 9, 2).is_empty());
    }
}
