//! The line between two clocks.

use super::Reading;

/// Bits behind the point of a slope: with them a rate is exact to 2⁻³² of itself for all devices up to the CPU's rate.
const FRACTION: u32 = 32;

/// Ticks of the CPU's clock over ticks of a device's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Line {
    /// The last reading, …
    device: u64,
    /// … and its middle.
    ticks: u64,
    /// Ticks for one of the device's, times 2³².
    slope: u64,
    /// From the first reading to the last, in the device's ticks.
    span: u64,
    /// How wrong a conversion may be.
    pub(super) error: u64,
}

impl Reading {
    fn middle(&self) -> u64 {
        self.before + self.after.saturating_sub(self.before) / 2
    }

    /// How far the truth may be from the middle.
    fn doubt(&self) -> u64 {
        self.after.saturating_sub(self.before).div_ceil(2)
    }
}

impl Line {
    pub(super) const WORDS: usize = 5;

    /// Through the first and the last of the readings, which run forward; `None` for fewer than two, and for rates that no
    /// clock has.
    pub(super) fn through(readings: &[Reading]) -> Option<Self> {
        let (first, [.., last]) = readings.split_first()? else { return None };
        let span = last.device.wrapping_sub(first.device);
        let ticks = u128::from(last.middle().checked_sub(first.middle())?);
        let slope = u64::try_from((ticks << FRACTION).checked_div(u128::from(span))?).ok()?;
        if slope == 0 {
            return None;
        }
        let straight = Self { device: last.device, ticks: last.middle(), slope, span, error: 0 };
        let bend = |reading: &Reading| {
            let off = straight.at(reading.device).map_or(0, |at| at.abs_diff(reading.middle()));
            off.saturating_sub(reading.doubt())
        };
        let bend = readings.iter().map(bend).max().unwrap_or(0);
        // What is cut off in the slope, over three spans; and four ticks of the device's: those in which the first
        // reading, the last (three times as far away at the ends) and a stamp fall.
        let cut = u64::try_from((3 * u128::from(span)) >> FRACTION).ok()?;
        let grain = slope.div_ceil(1 << FRACTION).saturating_mul(4);
        let worst = first.doubt().max(last.doubt());
        let parts = [first.doubt(), last.doubt(), worst, bend, bend, cut, grain];
        let error = parts.into_iter().fold(0_u64, u64::saturating_add);
        Some(Self { error, ..straight })
    }

    /// A stamp up to one span before the first reading or after the last.
    #[inline]
    pub(super) fn at(&self, stamp: u64) -> Option<u64> {
        let ahead = stamp.wrapping_sub(self.device);
        let behind = self.device.wrapping_sub(stamp);
        if ahead <= self.span {
            self.ticks.checked_add(self.scaled(ahead))
        } else if behind / 2 <= self.span {
            self.ticks.checked_sub(self.scaled(behind))
        } else {
            None
        }
    }

    /// Ticks for that many of the device's.
    #[inline]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "three spans at most, and a span came from ticks"
    )]
    fn scaled(&self, device: u64) -> u64 {
        ((u128::from(device) * u128::from(self.slope)) >> FRACTION) as u64
    }

    /// Is a later reading one of the same clock, which may drift by so many millionths?
    pub(super) fn explains(&self, reading: &Reading, drift: u64) -> bool {
        let elapsed = reading.middle().saturating_sub(self.ticks);
        let ahead = u128::from(reading.device.wrapping_sub(self.device));
        let expected = (ahead * u128::from(self.slope)) >> FRACTION;
        let allowed = u128::from(self.error)
            + u128::from(reading.doubt())
            + u128::from(elapsed) * u128::from(drift) / 1_000_000;
        expected.abs_diff(u128::from(elapsed)) <= allowed
    }

    pub(super) fn to_words(self) -> [u64; Self::WORDS] {
        [self.device, self.ticks, self.slope, self.span, self.error]
    }

    /// A line has a slope.
    pub(super) fn from_words(words: [u64; Self::WORDS]) -> Option<Self> {
        let [device, ticks, slope, span, error] = words;
        (slope != 0).then_some(Self { device, ticks, slope, span, error })
    }
}
