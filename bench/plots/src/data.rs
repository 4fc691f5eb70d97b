//! What can be drawn.

use hdrhistogram::Histogram;

/// What stands around a picture.
#[derive(Debug, Clone, Copy, Default)]
pub struct Caption<'a> {
    /// Above it, in one line; in at most three of a narrow one.
    pub title: &'a str,
    /// Below it, in at most three lines, or seven of a narrow one: what the reader must know to believe it.
    pub note: &'a str,
    /// How wide the picture is.
    pub width: Width,
}

/// How wide a picture is: drawn with letters of the same size, so that neither has to be scaled to be read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Width {
    /// 760 CSS pixels: a page, a file.
    #[default]
    Wide,
    /// 320: a phone.
    Narrow,
}

impl<'a> Caption<'a> {
    /// A title and nothing else.
    #[must_use]
    pub const fn titled(title: &'a str) -> Self {
        Self { title, note: "", width: Width::Wide }
    }
}

/// A named line through points, in the order given.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// In the legend.
    pub name: String,
    /// Along and up; each picture says the units.
    pub points: Vec<(f64, f64)>,
    /// Which colour; series of one thing (the median and the tail of one arm) want the same one. None: the next.
    pub colour: Option<usize>,
    /// Which dash, 0 to 3; 0 is a full line. None: full until the colours are used up.
    pub dash: Option<usize>,
}

impl Series {
    /// With colours and dashes by its place among the others.
    #[must_use]
    pub fn new(name: impl Into<String>, points: Vec<(f64, f64)>) -> Self {
        Self { name: name.into(), points, colour: None, dash: None }
    }

    /// The same with a colour and a dash that the caller chose; numbers beyond the last begin again at the first.
    #[must_use]
    pub fn styled(self, colour: usize, dash: usize) -> Self {
        Self { colour: Some(colour), dash: Some(dash), ..self }
    }
}

/// One distribution, by its percentiles.
#[derive(Debug, Clone, PartialEq)]
pub struct Curve {
    /// The name, and points of a quantile from 0 up to (not reaching) 1 and nanoseconds.
    pub series: Series,
    /// How many values there were, when that is known: what fewer than ten of them lie beyond is drawn faint, and the
    /// greatest value (quantile 1) has a place, where the last of them is.
    pub samples: Option<u64>,
}

impl Curve {
    /// From points of quantile and nanoseconds.
    #[must_use]
    pub fn new(name: impl Into<String>, points: Vec<(f64, f64)>) -> Self {
        Self { series: Series::new(name, points), samples: None }
    }

    /// From a histogram of nanoseconds: ten points in each nine, and the greatest value.
    #[must_use]
    pub fn of(name: impl Into<String>, histogram: &Histogram<u64>) -> Self {
        let samples = histogram.len();
        if samples == 0 {
            return Self { series: Series::new(name, Vec::new()), samples: Some(0) };
        }
        #[expect(clippy::cast_precision_loss, reason = "where the curve ends needs two digits")]
        let last = (samples as f64).log10();
        let quantiles = (0..)
            .map(|tenth| f64::from(tenth) / 10.0)
            .take_while(|nines| *nines < last)
            .map(|nines| 1.0 - 10_f64.powf(-nines))
            .chain([1.0]);
        #[expect(clippy::cast_precision_loss, reason = "a picture has four digits at most")]
        let points = quantiles
            .map(|quantile| (quantile, histogram.value_at_quantile(quantile) as f64))
            .collect();
        Self { series: Series::new(name, points), samples: Some(samples) }
    }
}

/// A ratio with its interval: one row of [`ratios`](crate::ratios).
#[derive(Debug, Clone, PartialEq)]
pub struct Ratio {
    /// At the left.
    pub name: String,
    /// Greater than 0, as are the ends of the interval.
    pub estimate: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// So many values in a range of nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bar {
    /// Where it begins, in nanoseconds.
    pub from: f64,
    /// Where it ends, in nanoseconds.
    pub to: f64,
    /// How many.
    pub count: u64,
}

/// The histogram of one core's gaps, or of anything else in nanoseconds.
#[derive(Debug, Clone, PartialEq)]
pub struct Gaps {
    /// In the legend.
    pub name: String,
    /// In ascending order.
    pub bars: Vec<Bar>,
}

impl Gaps {
    /// From a histogram of nanoseconds: ten bars in each decade, those without a value left out.
    #[must_use]
    pub fn of(name: impl Into<String>, histogram: &Histogram<u64>) -> Self {
        let mut bars: Vec<(u32, u64)> = Vec::new();
        for bucket in histogram.iter_recorded() {
            let tenth = tenth(bucket.value_iterated_to());
            let count = bucket.count_since_last_iteration();
            match bars.last_mut() {
                Some((last, sum)) if *last == tenth => *sum = sum.saturating_add(count),
                _ => bars.push((tenth, count)),
            }
        }
        let bar = |(tenth, count)| Bar { from: bound(tenth), to: bound(tenth + 1), count };
        Self { name: name.into(), bars: bars.into_iter().map(bar).collect() }
    }
}

/// Where a bar begins, by its number.
fn bound(tenth: u32) -> f64 {
    10_f64.powf(f64::from(tenth) / 10.0)
}

/// The bar that a value is in; what is less than a nanosecond is in the first.
fn tenth(ns: u64) -> u32 {
    #[expect(clippy::cast_precision_loss, reason = "a bar is a quarter wide")]
    let tenths = (ns.max(1) as f64).log10() * 10.0;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "from 0 to 193, as 64 bits have twenty digits"
    )]
    let tenth = (tenths + 1e-9).floor() as u32;
    tenth
}
