//! A picture of ratios: a row for each, with its interval, and the band in which nothing is told apart.

use crate::{
    axis::{Axis, Scale},
    canvas::{Area, Canvas, RIGHT, TITLE, WIDTH},
    curves::left_out,
    data::{Caption, Ratio},
    ink::Ink,
    plot::Plot,
    text,
};

/// Around the rows of a picture of ratios.
#[derive(Debug, Clone, Copy, Default)]
pub struct Forest<'a> {
    /// Title and note.
    pub caption: Caption<'a>,
    /// Between these two ratios no difference is claimed: what a thing compared with itself gave. None: not known.
    pub band: Option<(f64, f64)>,
    /// What a ratio below 1 means, for example `daemon is faster`.
    pub below: &'a str,
    /// What a ratio above 1 means.
    pub above: &'a str,
}

const ROW: f64 = 26.0;
/// More rows than this are not drawn, and the picture says so.
const MOST_ROWS: usize = 60;
/// At the left, for the names; at the right, for the numbers.
const NAMES: f64 = 220.0;
const NUMBERS: f64 = 150.0;

/// Ratios by their logarithm. A row is blue when its whole interval lies below the band (below 1, without a band), orange
/// above it, and grey when it touches it.
#[must_use]
pub fn ratios(forest: Forest<'_>, all: &[Ratio]) -> Plot {
    let rows = &all[..all.len().min(MOST_ROWS)];
    let band = forest.band.filter(|(low, high)| *low > 0.0 && high.is_finite() && low <= high);
    let values = rows
        .iter()
        .filter(|row| sound(row))
        .flat_map(|row| [row.low, row.high, row.estimate])
        .chain(band.into_iter().flat_map(|(low, high)| [low, high]));
    let axis = Axis::over(Scale::Ratio, values, text::plain, "ratio");
    #[expect(clippy::cast_precision_loss, reason = "sixty rows at most")]
    let height = ROW * rows.len().max(1) as f64;
    let area =
        Area { left: NAMES, top: TITLE + 18.0, width: WIDTH - NAMES - NUMBERS - RIGHT, height };
    let mut canvas = Canvas::default();
    if let Some((low, high)) = band
        && let (Some(low), Some(high)) = (axis.place(low), axis.place(high))
    {
        canvas.band(area.at(low, 1.0), area.at(high, 0.0));
    }
    canvas.along(area, &axis);
    let Some(one) = axis.place(1.0) else { unreachable!("the axis of ratios reaches around 1") };
    canvas.rule("plot-one", area.at(one, 1.0), area.at(one, 0.0), "0.7");
    let (x, _) = area.at(one, 1.0);
    let heading = TITLE + 8.0;
    let half = |room: f64, words: &str| text::cut(words, letters(room - 12.0));
    let below = half(x - 16.0, forest.below);
    let above = half(WIDTH - x - 16.0, forest.above);
    if !below.is_empty() {
        canvas.words("plot-below", (x - 6.0, heading), 10.0, "end", &format!("← {below}"));
    }
    if !above.is_empty() {
        canvas.words("plot-above", (x + 6.0, heading), 10.0, "start", &format!("{above} →"));
    }

    let mut homeless = 0;
    for (number, row) in rows.iter().enumerate() {
        #[expect(clippy::cast_precision_loss, reason = "sixty rows at most")]
        let y = area.top + ROW * (number as f64 + 0.5);
        let name = text::cut(&row.name, letters(NAMES - 28.0));
        canvas.words("plot-name", (NAMES - 10.0, y + 4.0), 11.0, "end", &name);
        if !draw(&mut canvas, area, &axis, band, row, y) {
            homeless += 1;
        }
    }
    canvas.edges(area);
    let mut remarks = Vec::new();
    if let Some((low, high)) = band {
        remarks.push(format!(
            "grey band: {} to {}, in which no difference is claimed",
            text::plain(low),
            text::plain(high)
        ));
    }
    remarks.extend(left_out(homeless, "ratios", 0));
    if all.len() > rows.len() {
        remarks.push(format!("{} more rows are not drawn", all.len() - rows.len()));
    }
    if rows.is_empty() {
        remarks.push("nothing was compared".to_owned());
    }
    canvas.finish(forest.caption, &remarks, area.bottom() + 42.0)
}

/// One row; false: it has no place.
fn draw(
    canvas: &mut Canvas,
    area: Area,
    axis: &Axis,
    band: Option<(f64, f64)>,
    row: &Ratio,
    y: f64,
) -> bool {
    let places = [row.low, row.estimate, row.high].map(|value| axis.place(value));
    let ([Some(low), Some(estimate), Some(high)], true) = (places, sound(row)) else {
        return false;
    };
    let x = |place: f64| area.at(place, 0.0).0;
    let (least, most) = band.unwrap_or((1.0, 1.0));
    let (colour, class) = if row.high < least {
        (0, "plot-row-below")
    } else if row.low > most {
        (1, "plot-row-above")
    } else {
        (6, "plot-row-same")
    };
    let ink = Ink::new(0, Some(colour), Some(0));
    canvas.line(class, &[(x(low), y), (x(high), y)], ink, &row.name);
    for end in [x(low), x(high)] {
        canvas.line("plot-end", &[(end, y - 4.0), (end, y + 4.0)], ink, "");
    }
    let (middle, r) = (x(estimate), 5.0);
    let diamond = [(middle, y - r), (middle + r, y), (middle, y + r), (middle - r, y)];
    canvas.shape("plot-estimate", &diamond, ink, "1");
    let numbers = format!(
        "{} [{}, {}]",
        text::plain(row.estimate),
        text::plain(row.low),
        text::plain(row.high)
    );
    let right = area.left + area.width + 12.0;
    canvas.words("plot-numbers", (right, y + 4.0), 11.0, "start", &numbers);
    true
}

/// Whether the estimate is inside its interval, above zero and finite.
fn sound(row: &Ratio) -> bool {
    row.low > 0.0 && row.low <= row.estimate && row.estimate <= row.high && row.high.is_finite()
}

/// How many letters of size 11 fit into so many pixels.
fn letters(room: f64) -> usize {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "from 0 to about a hundred, as no picture is wider"
    )]
    let letters = (room.max(0.0) / (11.0 * 0.6)) as usize;
    letters
}
