//! A picture of histograms: how many values of which length.

use crate::{
    axis::{Axis, NS, Scale},
    canvas::Canvas,
    curves::{MOST_LINES, left_out},
    data::{Bar, Caption, Gaps},
    ink::Ink,
    legend::Legend,
    plot::Plot,
    sheet::Sheet,
    text,
};

/// Nanoseconds along and counts up, both by their logarithm: one long gap among a million short ones has a bar.
#[must_use]
pub fn gaps(caption: Caption<'_>, all: &[Gaps]) -> Plot {
    let drawn = &all[..all.len().min(MOST_LINES)];
    let bars = || drawn.iter().flat_map(|gaps| gaps.bars.iter()).filter(|bar| sound(bar));
    let x = Axis::over(Scale::Log, bars().flat_map(|bar| [bar.from, bar.to]), NS, "length");
    // A single value has a bar of some height.
    let counts = bars().map(|bar| up(bar.count)).chain([0.5]);
    let y = Axis::over(Scale::LogOrZero, counts, text::amount, "how many");

    let inks: Vec<Ink> = (0..drawn.len()).map(|place| Ink::new(place, None, None)).collect();
    let names = drawn.iter().zip(&inks).map(|(gaps, ink)| (gaps.name.as_str(), *ink));
    let sheet = Sheet::new(caption);
    let (left, room) = sheet.names();
    let legend = Legend::new(names, room);
    let area = sheet.area(sheet.top() + legend.height() + 8.0);
    let mut canvas = Canvas::default();
    legend.draw(&mut canvas, left, sheet.top());
    canvas.along(area, &x);
    canvas.up(area, &y);
    let mut homeless = 0;
    for (gaps, ink) in drawn.iter().zip(&inks) {
        for bar in &gaps.bars {
            if bar.count == 0 {
                continue;
            }
            let places = (x.place(bar.from), x.place(bar.to), y.place(up(bar.count)));
            let ((Some(from), Some(to), Some(top)), true) = (places, sound(bar)) else {
                homeless += 1;
                continue;
            };
            let told =
                format!("{}: {} from {} to {}", gaps.name, bar.count, NS(bar.from), NS(bar.to));
            let (left, right) = (area.at(from, 0.0), area.at(to, top));
            canvas.bar("plot-bar", left, right, *ink, &told);
            // Its upper edge is seen where bars of others lie over it.
            canvas.line("plot-top", &[(left.0, right.1), right], *ink, "");
        }
    }
    canvas.edges(area);
    let mut remarks = left_out(homeless, "bars", all.len() - drawn.len());
    if bars().next().is_none() {
        remarks.push("nothing was measured".to_owned());
    }
    canvas.finish(&sheet, &remarks, area.bottom() + 42.0)
}

fn sound(bar: &Bar) -> bool {
    bar.count > 0 && bar.from >= 0.0 && bar.from < bar.to && bar.to.is_finite()
}

fn up(count: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "the height of a bar has three digits")]
    let count = count as f64;
    count
}
