//! How long probes took, told in the two ways that differ when a path stalls.

pub use bench_result::trial::{Percentile, Support};
use hdrhistogram::Histogram;

/// Nanoseconds that are told apart: up to a minute, with three digits.
const LONGEST: u64 = 60_000_000_000;

/// How long the probes of one trial took, in nanoseconds.
#[derive(Debug, Clone)]
pub struct Latency {
    /// From when a probe should have left. The headline.
    pub response: Histogram<u64>,
    /// From when it did leave.
    pub service: Histogram<u64>,
    /// How late probes left.
    pub lateness: Histogram<u64>,
}

impl Default for Latency {
    fn default() -> Self {
        let new = || {
            Histogram::new_with_bounds(1, LONGEST, 3)
                .expect("one, a minute and three digits are bounds")
        };
        Self { response: new(), service: new(), lateness: new() }
    }
}

impl Latency {
    /// A probe came back: when it should have left, when it did, and when it was back, on one clock.
    pub fn returned(&mut self, intended: u64, sent: u64, back: u64) {
        self.response.saturating_record(back.saturating_sub(intended).max(1));
        self.service.saturating_record(back.saturating_sub(sent).max(1));
    }

    /// A probe left.
    pub fn sent(&mut self, intended: u64, sent: u64) {
        self.lateness.saturating_record(sent.saturating_sub(intended).max(1));
    }

    /// All of another trial, too.
    pub fn add(&mut self, other: &Self) {
        for (own, other) in [
            (&mut self.response, &other.response),
            (&mut self.service, &other.service),
            (&mut self.lateness, &other.lateness),
        ] {
            // Of the same bounds, so nothing is left out.
            own.add(other).expect("both have the same bounds");
        }
    }
}

/// A percentile in which `lost` probes count as if they had taken for ever; `None` when fewer than ten samples would lie
/// beyond it.
#[must_use]
pub fn percentile(times: &Histogram<u64>, lost: u64, percentile: f64) -> Option<Percentile> {
    let total = times.len().checked_add(lost)?;
    #[expect(clippy::cast_precision_loss, reason = "compared with 10 and 100")]
    let beyond = total as f64 * (100.0 - percentile) / 100.0 + 1e-6;
    let support = match beyond {
        beyond if beyond >= 100.0 => Support::Firm,
        beyond if beyond >= 10.0 => Support::Weak,
        _ => return None,
    };
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a rank is between 1 and the number of samples"
    )]
    let rank = ((total as f64 * percentile / 100.0).ceil() as u64).clamp(1, total);
    let ns = (rank <= times.len()).then(|| at_rank(times, rank));
    Some(Percentile { percentile, ns, support })
}

/// The value that `rank` samples are not above.
fn at_rank(times: &Histogram<u64>, rank: u64) -> u64 {
    let mut seen = 0;
    for bucket in times.iter_recorded() {
        seen += bucket.count_since_last_iteration();
        if seen >= rank {
            return bucket.value_iterated_to();
        }
    }
    times.max()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(values: impl IntoIterator<Item = u64>) -> Histogram<u64> {
        let mut latency = Latency::default();
        for value in values {
            latency.returned(0, 0, value);
        }
        latency.response
    }

    #[test]
    fn response_counts_from_when_it_should_have_left() {
        let mut latency = Latency::default();

        latency.returned(1_000, 5_000, 6_000);

        assert_eq!(latency.response.max(), 5_000 + 3);
        assert_eq!(latency.service.max(), 1_000);
    }

    #[test]
    fn lost_probes_push_the_percentiles_up() {
        let times = times((1..=990).map(|n| n * 1000));

        let none_lost = percentile(&times, 0, 90.0).unwrap().ns.unwrap();
        let some_lost = percentile(&times, 10, 90.0).unwrap().ns.unwrap();
        assert!(some_lost > none_lost, "{some_lost} {none_lost}");
        assert_eq!(percentile(&times, 10, 99.0).unwrap().ns, Some(times.max()));
        assert_eq!(percentile(&times, 110, 95.0).unwrap().ns, None);
    }

    #[test]
    fn a_percentile_needs_samples_beyond_it() {
        let times = times(std::iter::repeat_n(7_u64, 10_000));
        let support = |p: f64| percentile(&times, 0, p).map(|percentile| percentile.support);

        assert_eq!(support(99.0), Some(Support::Firm));
        assert_eq!(support(99.9), Some(Support::Weak));
        assert_eq!(support(99.99), None);
        assert_eq!(percentile(&Latency::default().response, 0, 50.0), None);
    }
}
