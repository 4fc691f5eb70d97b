//! Where a value is on an axis, and what is written beside it.

use crate::text;

/// How values are spread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scale {
    /// Evenly.
    Linear,
    /// By their logarithm; what is less than 1 is where 1 is.
    Log,
    /// By their logarithm, from a ten-millionth up; 0 has a place of its own at the beginning.
    LogOrZero,
    /// Quantiles by how many nines they have: 0.9 is as far from 0 as 0.99 is from 0.9.
    Nines,
    /// Ratios by their logarithm: a half is as far from 1 as 2 is.
    Ratio,
}

/// The share of an axis that 0 has for itself, where it has.
const ZERO: f64 = 0.07;
/// The least share above nothing that is told apart.
const LEAST: f64 = 1e-7;
/// Values beyond this have no place on a linear axis.
const GREATEST: f64 = 1e30;

impl Scale {
    /// A value on an even scale; None: it has no place.
    fn even(self, value: f64) -> Option<f64> {
        let even = match self {
            Self::Linear => value,
            Self::Log if value >= 0.0 => value.max(1.0).log10(),
            Self::LogOrZero if value > 0.0 => value.max(LEAST).log10(),
            Self::Nines if (0.0..1.0).contains(&value) => -(1.0 - value).log10(),
            Self::Ratio if value > 0.0 => value.ln(),
            Self::Log | Self::LogOrZero | Self::Nines | Self::Ratio => return None,
        };
        (even.is_finite() && even.abs() <= GREATEST).then_some(even)
    }
}

/// A scale from somewhere to somewhere.
#[derive(Debug)]
pub(crate) struct Axis {
    scale: Scale,
    low: f64,
    high: f64,
    written: fn(f64) -> String,
    /// What is measured, and in which unit.
    pub(crate) label: &'static str,
}

impl Axis {
    /// An axis that has a place for all the values that its scale has places for.
    pub(crate) fn over(
        scale: Scale,
        values: impl Iterator<Item = f64>,
        written: fn(f64) -> String,
        label: &'static str,
    ) -> Self {
        let (low, high) = values
            .filter_map(|value| scale.even(value))
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), even| {
                (low.min(even), high.max(even))
            });
        let (low, high) = match (scale, low <= high) {
            (Scale::Linear, false) => (0.0, 1.0),
            (Scale::Log, false) => (2.0, 5.0),
            (Scale::LogOrZero, false) => (-4.0, 0.0),
            (Scale::Nines, _) => (0.0, if low <= high { high.max(1.0) } else { 3.0 }),
            (Scale::Ratio, false) => (-0.1, 0.1),
            // From nothing, unless that would squeeze everything into the end.
            (Scale::Linear, true) => {
                let low = if low > 0.0 && low < high / 2.0 { 0.0 } else { low };
                // What differs by too little to be told apart is one value.
                let around = (high.abs() * 1e-9).max(if low == high { 0.5 } else { 1e-30 });
                if high - low > around { (low, high) } else { (low - around, high + around) }
            }
            (Scale::Log | Scale::LogOrZero, true) => (down(low), up(high).max(down(low) + 0.3)),
            (Scale::Ratio, true) => {
                let far = low.abs().max(high.abs()).max(0.01) * 1.1;
                (low.min(-far * 0.1) * 1.1, high.max(far * 0.1) * 1.1)
            }
        };
        Self { scale, low, high, written, label }
    }

    /// From 0 at the beginning to 1 at the end; None: no place.
    pub(crate) fn place(&self, value: f64) -> Option<f64> {
        if self.scale == Scale::LogOrZero && value == 0.0 {
            return Some(0.0);
        }
        let place = (self.scale.even(value)? - self.low) / (self.high - self.low);
        let place = place.clamp(0.0, 1.0);
        Some(if self.scale == Scale::LogOrZero { ZERO + (1.0 - ZERO) * place } else { place })
    }

    /// Places with what is written there, in ascending order.
    pub(crate) fn ticks(&self) -> Vec<(f64, String)> {
        let mut values = match self.scale {
            Scale::Linear => evenly(self.low, self.high),
            Scale::Log | Scale::LogOrZero => decades(self.low, self.high),
            Scale::Nines => nines(self.high),
            Scale::Ratio => around_one(self.low, self.high),
        };
        if self.scale == Scale::LogOrZero {
            values.insert(0, 0.0);
        }
        let inside = |value: &f64| {
            self.scale == Scale::LogOrZero && *value == 0.0
                || self.scale.even(*value).is_some_and(|even| {
                    even >= self.low - 1e-9 * self.low.abs()
                        && even <= self.high + 1e-9 * self.high.abs()
                })
        };
        values
            .into_iter()
            .filter(inside)
            .filter_map(|value| Some((self.place(value)?, (self.written)(value))))
            .collect()
    }
}

/// The next of 1, 2, 5, 10, … at or below, as logarithms.
fn down(even: f64) -> f64 {
    let decade = even.floor();
    let rest = even - decade;
    let step = [0.0, 2_f64.log10(), 5_f64.log10()].into_iter().rfind(|step| *step <= rest + 1e-9);
    decade + step.unwrap_or(0.0)
}

/// The next of 1, 2, 5, 10, … at or above, as logarithms.
fn up(even: f64) -> f64 {
    let decade = even.floor();
    let rest = even - decade;
    let step = [0.0, 2_f64.log10(), 5_f64.log10()].into_iter().find(|step| *step >= rest - 1e-9);
    decade + step.unwrap_or(1.0)
}

/// Powers of ten, every so many of them that at most nine are left; with 2 and 5 between them where there is room.
fn decades(low: f64, high: f64) -> Vec<f64> {
    let stride = ((high - low) / 9.0).ceil().max(1.0);
    let between: &[f64] = if high - low <= 3.0 { &[1.0, 2.0, 5.0] } else { &[1.0] };
    let mut values = Vec::new();
    let mut decade = low.floor();
    while decade <= high {
        values.extend(between.iter().map(|digit| digit * 10_f64.powf(decade)));
        decade += stride;
    }
    values
}

fn nines(high: f64) -> Vec<f64> {
    let mut values = vec![0.0, 0.5];
    let mut nines = 1.0;
    // A nine that rounding took a hair of is there.
    while nines <= (high + 1e-9).min(12.0) {
        values.push(1.0 - 10_f64.powf(-nines));
        nines += 1.0;
    }
    values
}

/// Four to eight round values.
fn evenly(low: f64, high: f64) -> Vec<f64> {
    let step = round_step((high - low) / 8.0);
    let mut values = Vec::new();
    let mut value = (low / step).ceil() * step;
    // Values so great that a step no longer changes them end the row.
    while value <= high && values.len() < 16 && values.last() != Some(&value) {
        values.push(if value.abs() < step / 2.0 { 0.0 } else { value });
        value += step;
    }
    values
}

/// Even steps close to 1; doubles and halves, or decades, for what is far from it.
fn around_one(low: f64, high: f64) -> Vec<f64> {
    if high - low < 1.2 {
        return evenly(low.exp(), high.exp());
    }
    let decades = (high - low) / std::f64::consts::LN_10;
    let base: f64 = match decades {
        0.0..2.0 => 2.0,
        _ => 10_f64.powf((decades / 8.0).ceil()),
    };
    let mut values = Vec::new();
    let mut power = (low / base.ln()).ceil();
    while power <= high / base.ln() {
        values.push(base.powf(power));
        power += 1.0;
    }
    values
}

/// The next of 1, 2, 5, 10, … at or above.
fn round_step(step: f64) -> f64 {
    let decade = 10_f64.powf(step.log10().floor());
    [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|digit| digit * decade)
        .find(|round| *round >= step * 0.999)
        .unwrap_or(decade * 10.0)
}

/// The labels that the pictures share.
pub(crate) const NS: fn(f64) -> String = text::time;

#[cfg(test)]
mod tests {
    use super::*;

    fn written(axis: &Axis) -> Vec<String> {
        axis.ticks().into_iter().map(|(_, text)| text).collect()
    }

    #[test]
    fn each_nine_is_as_wide_as_the_one_before() {
        let axis = Axis::over(Scale::Nines, [0.999].into_iter(), text::quantile, "");
        assert_eq!(written(&axis), ["0 %", "50 %", "90 %", "99 %", "99.9 %"]);
        for (quantile, place) in [(0.0, 0.0), (0.9, 1.0 / 3.0), (0.99, 2.0 / 3.0), (0.999, 1.0)] {
            let seen = axis.place(quantile).unwrap();
            assert!((seen - place).abs() < 1e-9, "{quantile}: {seen}");
        }
        assert_eq!(axis.place(1.0), None);
        assert_eq!(axis.place(-0.1), None);
    }

    #[test]
    fn times_begin_and_end_at_round_ones() {
        let axis = Axis::over(Scale::Log, [1_500.0, 130_000.0].into_iter(), NS, "");
        assert_eq!(
            written(&axis),
            ["1 µs", "2 µs", "5 µs", "10 µs", "20 µs", "50 µs", "100 µs", "200 µs"]
        );
        assert_eq!(axis.place(0.0), Some(0.0), "less than the least is at the edge");
        assert_eq!(axis.place(f64::NAN), None);
        assert_eq!(axis.place(-1.0), None);
    }

    #[test]
    fn no_loss_has_a_place_below_the_least_loss() {
        let axis = Axis::over(Scale::LogOrZero, [0.0, 0.001, 0.1].into_iter(), text::share, "");
        assert_eq!(written(&axis)[..2], ["0 %", "0.1 %"]);
        assert_eq!(axis.place(0.0), Some(0.0));
        assert!(axis.place(0.001).unwrap() >= ZERO);
    }

    #[test]
    fn ratios_close_to_one_have_even_ticks_and_far_ones_doubles() {
        let close = Axis::over(Scale::Ratio, [0.9, 1.1].into_iter(), text::plain, "");
        assert!(written(&close).contains(&"1".to_owned()), "{:?}", written(&close));
        assert!(written(&close).len() >= 4, "{:?}", written(&close));
        let far = Axis::over(Scale::Ratio, [0.3, 4.0].into_iter(), text::plain, "");
        assert_eq!(written(&far), ["0.5", "1", "2", "4"]);
    }

    #[test]
    fn absurd_values_have_axes_with_few_ticks() {
        let absurd = [f64::MIN_POSITIVE, 1.0, 1e29, f64::MAX, f64::INFINITY, f64::NAN];
        for scale in [Scale::Linear, Scale::Log, Scale::LogOrZero, Scale::Nines, Scale::Ratio] {
            for values in [&absurd[..], &[], &[7.0], &[1e29], &[f64::MAX], &[0.0]] {
                let axis = Axis::over(scale, values.iter().copied(), text::plain, "");
                let ticks = axis.ticks();
                assert!(ticks.len() <= 17, "{scale:?} {values:?}: {ticks:?}");
                assert!(ticks.iter().all(|(place, _)| (0.0..=1.0).contains(place)));
                for value in values {
                    assert!(axis.place(*value).is_none_or(|place| (0.0..=1.0).contains(&place)));
                }
            }
        }
    }
}
