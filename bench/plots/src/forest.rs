//! A picture of ratios: a row for each, with its interval, and the band in which nothing is told apart.

use crate::{
    axis::{Axis, Scale},
    canvas::{Area, Canvas},
    curves::left_out,
    data::{Caption, Ratio},
    ink::Ink,
    plot::Plot,
    sheet::Sheet,
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

/// More rows than this are not drawn, and the picture says so.
const MOST_ROWS: usize = 60;
/// The letters of names and numbers.
const SIZE: f64 = 11.0;

/// Where the parts of a row are.
struct Places {
    /// The height of a row.
    row: f64,
    /// At the left of the axes, for the names; at the right, for the numbers.
    names: f64,
    numbers: f64,
    /// From the top of a row to its interval.
    interval: f64,
}

/// On a narrow paper name and numbers are above the interval.
const WIDE: Places = Places { row: 26.0, names: 220.0, numbers: 150.0, interval: 13.0 };
const NARROW: Places = Places { row: 40.0, names: 14.0, numbers: 0.0, interval: 27.0 };

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
    let sheet = Sheet::new(forest.caption);
    let places = if sheet.is_narrow() { NARROW } else { WIDE };
    #[expect(clippy::cast_precision_loss, reason = "sixty rows at most")]
    let height = places.row * rows.len().max(1) as f64;
    let width = sheet.width - places.names - places.numbers - sheet.right;
    let area = Area { left: places.names, top: sheet.top() + 18.0, width, height };
    let mut canvas = Canvas::default();
    if let Some((low, high)) = band
        && let (Some(low), Some(high)) = (axis.place(low), axis.place(high))
    {
        canvas.band(area.at(low, 1.0), area.at(high, 0.0));
    }
    canvas.along(area, &axis);
    headings(&mut canvas, &sheet, area, &axis, [forest.below, forest.above]);

    let mut homeless = 0;
    for (number, row) in rows.iter().enumerate() {
        #[expect(clippy::cast_precision_loss, reason = "sixty rows at most")]
        let top = area.top + places.row * number as f64;
        let y = top + places.interval;
        let is_drawn = draw(&mut canvas, area, &axis, band, row, y);
        homeless += usize::from(!is_drawn);
        let numbers = if is_drawn { told(row) } else { String::new() };
        let at = if sheet.is_narrow() { top + 14.0 } else { y + 4.0 };
        letter(&mut canvas, &sheet, &places, area, at, [&row.name, &numbers]);
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
    canvas.finish(&sheet, &remarks, area.bottom() + 42.0)
}

/// The line at 1, and what it means to be on either side of it.
fn headings(
    canvas: &mut Canvas,
    sheet: &Sheet<'_>,
    area: Area,
    axis: &Axis,
    [below, above]: [&str; 2],
) {
    let Some(one) = axis.place(1.0) else { unreachable!("the axis of ratios reaches around 1") };
    canvas.rule("plot-one", area.at(one, 1.0), area.at(one, 0.0), "0.7");
    let (x, _) = area.at(one, 1.0);
    let y = sheet.top() + 8.0;
    // Where the words have no room, the arrow says it.
    let has_room = |room: f64, words: &str| text::width(words, 10.0) < room - 28.0;
    if !below.is_empty() {
        let words = if has_room(x, below) { format!("← {below}") } else { "←".to_owned() };
        canvas.words("plot-below", (x - 6.0, y), 10.0, "end", &words);
    }
    if !above.is_empty() {
        let is_wide = has_room(sheet.width - x, above);
        let words = if is_wide { format!("{above} →") } else { "→".to_owned() };
        canvas.words("plot-above", (x + 6.0, y), 10.0, "start", &words);
    }
}

/// Name and numbers of a row: beside it, or on a narrow paper above it.
fn letter(
    canvas: &mut Canvas,
    sheet: &Sheet<'_>,
    places: &Places,
    area: Area,
    y: f64,
    [name, numbers]: [&str; 2],
) {
    let right = area.left + area.width;
    let (room, from, anchor, numbers_at, of_numbers) = if sheet.is_narrow() {
        let room = area.width - text::width(numbers, SIZE) - 10.0;
        (room, area.left + 4.0, "start", right, "end")
    } else {
        (places.names - 28.0, places.names - 10.0, "end", right + 12.0, "start")
    };
    let name = text::cut(name, text::letters(room, SIZE));
    canvas.words("plot-name", (from, y), SIZE, anchor, &name);
    if !numbers.is_empty() {
        canvas.words("plot-numbers", (numbers_at, y), SIZE, of_numbers, numbers);
    }
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
    true
}

/// `1.02 [0.98, 1.07]`
fn told(row: &Ratio) -> String {
    let [estimate, low, high] = [row.estimate, row.low, row.high].map(text::plain);
    format!("{estimate} [{low}, {high}]")
}

/// Whether the estimate is inside its interval, above zero and finite.
fn sound(row: &Ratio) -> bool {
    row.low > 0.0 && row.low <= row.estimate && row.estimate <= row.high && row.high.is_finite()
}
