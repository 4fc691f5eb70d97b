//! A distribution of times, drawn with characters.
//!
//! The rows are the steps 1, 2, 5, 10, … in nanoseconds, the columns are distributions side by side,
//! and a bar's length is the share of the frames in that step. A step with any frames at all has a
//! mark, however small its share: the tail is what people look for.

use hdrhistogram::Histogram;

/// One distribution of a drawing.
#[derive(Debug, Clone, Copy)]
pub struct Series<'a> {
    /// What stands above it.
    pub title: &'a str,
    /// Nanoseconds.
    pub histogram: &'a Histogram<u64>,
}

/// Width of `100 ms – 200 ms` and the gap behind it.
const LABEL: usize = 18;
/// Width of ` 99.99 % ` before a bar.
const SHARE: usize = 9;
/// Width between two series.
const GAP: usize = 2;
/// So many empty steps in a row are shown as one line.
const FOLD: usize = 3;

/// Draws distributions side by side in lines of at most `width` columns (at least 60 are used). No
/// lines when all are empty.
///
/// ```
/// use distribution::{Series, draw};
/// use hdrhistogram::Histogram;
///
/// let mut histogram = Histogram::<u64>::new(2)?;
/// histogram.record_n(800, 3)?;
/// histogram.record(70_000)?;
/// let lines = draw(&[Series { title: "residence", histogram: &histogram }], 60);
/// assert!(lines[1].starts_with("500 ns – 1 µs      75.00 %"), "{lines:#?}");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub fn draw(series: &[Series<'_>], width: usize) -> Vec<String> {
    let columns: Vec<Vec<u64>> = series.iter().map(|one| per_step(one.histogram)).collect();
    let filled = |step: usize| columns.iter().any(|column| column[step] > 0);
    let Some(first) = (0..STEPS).find(|step| filled(*step)) else { return Vec::new() };
    let last = (first..STEPS).rfind(|step| filled(*step)).unwrap_or(first);

    let room = width.max(60).saturating_sub(LABEL) / series.len().max(1);
    let bar = room.saturating_sub(SHARE + GAP).max(8);
    let mut lines = vec![heading(series, bar)];
    let mut step = first;
    while step <= last {
        let empty = (step..last).take_while(|step| !filled(*step)).count();
        if empty >= FOLD {
            lines.push(format!("{:>9}", '⋮'));
            step += empty;
        } else {
            lines.push(row(step, &columns, bar));
            step += 1;
        }
    }
    lines
}

fn heading(series: &[Series<'_>], bar: usize) -> String {
    let mut line = " ".repeat(LABEL);
    for one in series {
        let title: String = one.title.chars().take(bar).collect();
        line += &format!("{:SHARE$}{title:bar$}{:GAP$}", "", "");
    }
    line.trim_end().to_owned()
}

fn row(step: usize, columns: &[Vec<u64>], bar: usize) -> String {
    let label = format!("{} – {}", tick(step), tick(step + 1));
    let mut line = format!("{label:LABEL$}");
    for column in columns {
        let total: u64 = column.iter().sum();
        let most = column.iter().copied().max().unwrap_or(0);
        line += &match column[step] {
            0 => format!("{:1$}", "", SHARE + bar),
            count => format!("{} {}", share(count, total), blocks(count, most, bar)),
        };
        line += &" ".repeat(GAP);
    }
    line.trim_end().to_owned()
}

/// `45.12 %` in eight columns; what would round to nothing says so.
fn share(count: u64, total: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "four digits are shown")]
    let percent = count as f64 / total as f64 * 100.0;
    if percent < 0.005 { " <0.01 %".to_owned() } else { format!("{percent:6.2} %") }
}

/// A bar in eighths of a column, padded to `width`.
fn blocks(count: u64, most: u64, width: usize) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let eighths = u128::from(count) * width as u128 * 8 / u128::from(most.max(1));
    let eighths = usize::try_from(eighths).unwrap_or(0).clamp(1, width * 8);
    let text = "█".repeat(eighths / 8) + EIGHTHS[eighths % 8];
    format!("{text:width$}")
}

/// 0–1 ns, then 1, 2, 5 in each of twenty decades: more than 64 bits hold.
const STEPS: usize = 61;

/// Where a step begins; the last ones are beyond 64 bits.
fn bound(step: usize) -> u128 {
    let Some(step) = step.checked_sub(1) else { return 0 };
    let decade = u32::try_from(step / 3).unwrap_or(u32::MAX);
    [1, 2, 5][step % 3] * 10_u128.saturating_pow(decade)
}

fn per_step(histogram: &Histogram<u64>) -> Vec<u64> {
    let mut counts = vec![0_u64; STEPS];
    let mut step = 0;
    for bucket in histogram.iter_recorded() {
        // Values come in ascending order, so the step only moves on.
        while step + 1 < STEPS && u128::from(bucket.value_iterated_to()) >= bound(step + 1) {
            step += 1;
        }
        counts[step] = counts[step].saturating_add(bucket.count_since_last_iteration());
    }
    counts
}

/// A bound as a round number: `0`, `500 ns`, `1 µs`, `20 ms`, `100 s`.
fn tick(step: usize) -> String {
    let ns = bound(step);
    let (unit, name) = match ns {
        0 => return "0".to_owned(),
        1..1_000 => (1, "ns"),
        1_000..1_000_000 => (1_000, "µs"),
        1_000_000..1_000_000_000 => (1_000_000, "ms"),
        _ => (1_000_000_000, "s"),
    };
    format!("{} {name}", ns / unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[(u64, u64)]) -> Histogram<u64> {
        let mut histogram = Histogram::new_with_bounds(1, u64::MAX / 2, 3).unwrap();
        for (value, times) in values {
            histogram.record_n(*value, *times).unwrap();
        }
        histogram
    }

    #[test]
    fn one_frame_among_a_million_is_visible() {
        let histogram = of(&[(700, 1_000_000), (50_000_000, 1)]);
        let lines = draw(&[Series { title: "bound", histogram: &histogram }], 60);
        insta::assert_snapshot!(lines.join("\n"));
    }

    #[test]
    fn two_distributions_share_their_steps() {
        let fast = of(&[(300, 10), (700, 80), (1_500, 10)]);
        let slow = of(&[(1_500, 50), (3_000, 50)]);
        let lines = draw(
            &[
                Series { title: "residence", histogram: &fast },
                Series { title: "bound", histogram: &slow },
            ],
            80,
        );
        insta::assert_snapshot!(lines.join("\n"));
    }

    #[test]
    fn nothing_is_drawn_of_nothing() {
        assert!(draw(&[Series { title: "", histogram: &of(&[]) }], 80).is_empty());
        assert!(draw(&[], 80).is_empty());
    }

    #[test]
    fn lines_keep_within_the_width_even_at_the_ends_of_the_range() {
        let histogram = of(&[(1, u64::MAX / 8), (u64::MAX / 2, 1), (100_000_000, 7)]);
        let pair = [Series { title: "a very long title", histogram: &histogram }; 2];
        for width in [0, 60, 80, 200] {
            let lines = draw(&pair, width);
            for line in &lines {
                assert!(line.chars().count() <= width.max(60), "{width}: {line:?}");
            }
            assert!(lines.len() > 3, "{lines:#?}");
        }
    }

    #[test]
    fn every_frame_is_in_one_step() {
        let histogram = of(&[(0, 1), (1, 2), (2, 4), (4, 8), (5, 16), (1_000_000, 32)]);
        let counts = per_step(&histogram);
        assert_eq!(counts.iter().sum::<u64>(), histogram.len());
        assert_eq!(&counts[..4], [1, 2, 12, 16]);
    }
}
