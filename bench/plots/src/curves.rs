//! Pictures of lines: percentiles, maxima over time, latency and loss against load.

use crate::{
    axis::{Axis, NS, Scale},
    canvas::Canvas,
    data::{Caption, Curve, Series},
    ink::Ink,
    legend::Legend,
    plot::Plot,
    sheet::Sheet,
    text,
};

/// More lines than this are not drawn, and the picture says so.
pub(crate) const MOST_LINES: usize = 28;
/// What fewer values than this lie beyond is drawn faint.
const FEW: f64 = 10.0;

/// Distributions by their percentiles: each nine as wide as the one before, nanoseconds by their logarithm.
#[must_use]
pub fn percentiles(caption: Caption<'_>, curves: &[Curve]) -> Plot {
    let lines: Vec<Line<'_>> = curves.iter().map(Line::of_curve).collect();
    let kind = Kind {
        x: (Scale::Nines, text::quantile, "percentile"),
        y: (Scale::Log, NS, "time"),
        least: None,
    };
    draw(caption, &kind, &lines)
}

/// The greatest time of each interval: seconds since the beginning, and nanoseconds by their logarithm.
#[must_use]
pub fn maxima_over_time(caption: Caption<'_>, series: &[Series]) -> Plot {
    let lines: Vec<Line<'_>> = series.iter().map(Line::of_series).collect();
    let kind = Kind {
        x: (Scale::Linear, text::plain, "seconds since the beginning"),
        y: (Scale::Log, NS, "greatest time of the interval"),
        least: None,
    };
    draw(caption, &kind, &lines)
}

/// Times by the load under which they were seen: packets a second, and nanoseconds by their logarithm.
#[must_use]
pub fn latency_against_load(caption: Caption<'_>, series: &[Series]) -> Plot {
    let lines: Vec<Line<'_>> = series.iter().map(Line::of_series).collect();
    let kind = Kind {
        x: (Scale::Linear, text::amount, "packets a second"),
        y: (Scale::Log, NS, "time"),
        least: Some(0.0),
    };
    draw(caption, &kind, &lines)
}

/// Loss by load: packets a second, and the share that was lost, from 0 to 1, by its logarithm; no loss has its own place.
#[must_use]
pub fn loss_against_load(caption: Caption<'_>, series: &[Series]) -> Plot {
    let lines: Vec<Line<'_>> = series.iter().map(Line::of_series).collect();
    let kind = Kind {
        x: (Scale::Linear, text::amount, "packets a second"),
        y: (Scale::LogOrZero, text::share, "lost"),
        least: Some(0.0),
    };
    draw(caption, &kind, &lines)
}

/// What tells one picture of lines from another.
struct Kind {
    x: (Scale, fn(f64) -> String, &'static str),
    y: (Scale, fn(f64) -> String, &'static str),
    /// A value that the lower axis reaches in any case.
    least: Option<f64>,
}

/// One line with what is drawn faint at its end.
struct Line<'a> {
    series: &'a Series,
    points: Vec<(f64, f64)>,
    /// So many points are drawn full.
    full: usize,
}

impl<'a> Line<'a> {
    fn of_series(series: &'a Series) -> Self {
        Self { series, points: series.points.clone(), full: series.points.len() }
    }

    fn of_curve(curve: &'a Curve) -> Self {
        let mut points = curve.series.points.clone();
        let mut full = points.len();
        if let Some(samples) = curve.samples {
            #[expect(clippy::cast_precision_loss, reason = "a place on an axis needs two digits")]
            let samples = samples.max(1) as f64;
            // The greatest value is at the last place where there is one at all.
            let last = 1.0 - 1.0 / samples;
            for (quantile, _) in &mut points {
                if *quantile <= 1.0 {
                    *quantile = quantile.min(last);
                }
            }
            let enough = |(quantile, _): &&(f64, f64)| samples * (1.0 - quantile) >= FEW * 0.999;
            full = points.iter().take_while(enough).count();
        }
        Self { series: &curve.series, points, full }
    }
}

fn draw(caption: Caption<'_>, kind: &Kind, all: &[Line<'_>]) -> Plot {
    let lines = &all[..all.len().min(MOST_LINES)];
    let inks: Vec<Ink> = lines
        .iter()
        .enumerate()
        .map(|(place, line)| Ink::new(place, line.series.colour, line.series.dash))
        .collect();
    let values = || lines.iter().flat_map(|line| &line.points);
    let ((x_scale, x_text, x_label), (y_scale, y_text, y_label)) = (kind.x, kind.y);
    let x = Axis::over(x_scale, values().map(|point| point.0).chain(kind.least), x_text, x_label);
    let y = Axis::over(y_scale, values().map(|point| point.1), y_text, y_label);

    let names = lines.iter().zip(&inks).map(|(line, ink)| (line.series.name.as_str(), *ink));
    let sheet = Sheet::new(caption);
    let (left, room) = sheet.names();
    let legend = Legend::new(names, room);
    let area = sheet.area(sheet.top() + legend.height() + 8.0);
    let mut canvas = Canvas::default();
    legend.draw(&mut canvas, left, sheet.top());
    canvas.along(area, &x);
    canvas.up(area, &y);

    let mut remarks = Vec::new();
    let mut homeless = 0;
    for (line, ink) in lines.iter().zip(&inks) {
        let at = |points: &[(f64, f64)]| -> Vec<(f64, f64)> {
            points
                .iter()
                .filter_map(|(along, up)| Some(area.at(x.place(*along)?, y.place(*up)?)))
                .collect()
        };
        let full = at(&line.points[..line.full]);
        let few = at(&line.points[line.full..]);
        homeless += line.points.len() - full.len() - few.len();
        if line.points.len() <= sheet.most_dots {
            for point in &line.points {
                if let Some(place) = at(&[*point]).first() {
                    let told =
                        format!("{}: {}, {}", line.series.name, x_text(point.0), y_text(point.1));
                    canvas.dot(*place, *ink, &told);
                }
            }
        }
        if !full.is_empty() {
            canvas.line("plot-line", &thinned(&full, sheet.most_points), *ink, &line.series.name);
        }
        if !few.is_empty() {
            // From where the full line ends.
            let tail: Vec<_> = full.last().into_iter().chain(&few).copied().collect();
            canvas.line("plot-few", &thinned(&tail, sheet.most_points), *ink, &line.series.name);
        }
    }
    canvas.edges(area);
    if lines.iter().any(|line| line.full < line.points.len()) {
        remarks.push("faint: fewer than ten values lie beyond".to_owned());
    }
    remarks.extend(left_out(homeless, "points", all.len() - lines.len()));
    if values().next().is_none() {
        remarks.push("nothing was measured".to_owned());
    }
    canvas.finish(&sheet, &remarks, area.bottom() + 42.0)
}

/// What a picture doesn't show of what it was given.
pub(crate) fn left_out(homeless: usize, what: &str, more: usize) -> Vec<String> {
    let mut remarks = Vec::new();
    if homeless > 0 {
        remarks.push(format!("{homeless} {what} with no place on these axes are left out"));
    }
    if more > 0 {
        remarks.push(format!("{more} more are not drawn: {MOST_LINES} are the most"));
    }
    remarks
}

/// The least and the greatest of each step along, in the order they come in, so that no extreme gets lost.
fn thinned(points: &[(f64, f64)], most: usize) -> Vec<(f64, f64)> {
    if points.len() <= most {
        return points.to_vec();
    }
    let step = points.len().div_ceil(most / 2);
    points
        .chunks(step)
        .flat_map(|chunk| {
            let up = |place: &usize| chunk[*place].1;
            let order = |a: &usize, b: &usize| up(a).total_cmp(&up(b));
            let least = (0..chunk.len()).min_by(order).unwrap_or(0);
            let greatest = (0..chunk.len()).max_by(order).unwrap_or(0);
            let mut both = [least, greatest];
            both.sort_unstable();
            let many = if least == greatest { 1 } else { 2 };
            both.into_iter().take(many).map(|place| chunk[place])
        })
        .collect()
}
