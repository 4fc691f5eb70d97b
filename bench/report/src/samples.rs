//! The distributions of the trials that count, by who they are of.

use std::collections::BTreeMap;

use bench_result::{
    arm::Group,
    plan::Member,
    run::RunResult,
    trial::{Cell, Trial},
};
use distribution::decode;
use hdrhistogram::Histogram;

/// The trials that count.
#[derive(Debug)]
pub(crate) struct Samples<'r> {
    trials: BTreeMap<(Group, Member, u64, usize), Vec<&'r Trial>>,
}

impl<'r> Samples<'r> {
    pub(crate) fn of(result: &'r RunResult) -> Self {
        let mut trials: BTreeMap<_, Vec<&Trial>> = BTreeMap::new();
        for trial in result.trials.iter().filter(|trial| trial.is_valid()) {
            trials.entry(key(trial.group, trial.member, trial.cell)).or_default().push(trial);
        }
        Self { trials }
    }

    /// Those of one that took part, in order.
    pub(crate) fn trials(&self, group: Group, member: Member, cell: Cell) -> &[&'r Trial] {
        self.trials.get(&key(group, member, cell)).map_or(&[], Vec::as_slice)
    }

    /// Their distributions together; `None` when there is none that can be read.
    pub(crate) fn together(
        &self,
        group: Group,
        member: Member,
        cell: Cell,
        text: impl Fn(&'r Trial) -> Option<&'r str>,
    ) -> Option<Together> {
        let mut sum: Option<Histogram<u64>> = None;
        let mut lost = 0_u64;
        for trial in self.trials(group, member, cell) {
            let Some(Ok(histogram)) = text(trial).map(decode) else { continue };
            match &mut sum {
                Some(sum) => {
                    // Of other bounds than the first: nobody of ours wrote that.
                    if sum.add(&histogram).is_err() {
                        continue;
                    }
                }
                None => sum = Some(histogram),
            }
            lost = lost.saturating_add(trial.counts.lost());
        }
        Some(Together { times: sum?, lost })
    }
}

fn key(group: Group, member: Member, cell: Cell) -> (Group, Member, u64, usize) {
    (group, member, cell.load.to_bits(), cell.size)
}

/// Times of several trials together, in nanoseconds.
#[derive(Debug)]
pub(crate) struct Together {
    pub(crate) times: Histogram<u64>,
    /// Probes that never came back.
    pub(crate) lost: u64,
}

impl Together {
    /// How many probes there were.
    pub(crate) fn total(&self) -> u64 {
        self.times.len().saturating_add(self.lost)
    }

    /// Quantiles and times, ten to each nine: lost probes count as if they took for ever, so that the line ends where only
    /// they are left.
    pub(crate) fn curve(&self) -> Vec<(f64, f64)> {
        let total = self.total();
        if self.times.is_empty() {
            return Vec::new();
        }
        #[expect(clippy::cast_precision_loss, reason = "where the line ends needs two digits")]
        let nines = (total as f64).log10();
        let quantiles: Vec<f64> = (0_u32..)
            .map(|tenth| f64::from(tenth) / 10.0)
            .take_while(|place| *place < nines)
            .map(|place| 1.0 - 10_f64.powf(-place))
            .collect();
        let ranks: Vec<u64> = quantiles.iter().map(|quantile| rank(*quantile, total)).collect();
        let found = self.at_ranks(&ranks);
        let mut points: Vec<(f64, f64)> =
            quantiles.into_iter().zip(found).map(|(quantile, ns)| (quantile, float(ns))).collect();
        if self.lost == 0 {
            points.push((1.0, float(self.times.max())));
        }
        points
    }

    /// The time that so many of the probes did not take longer than; none when it never came back.
    pub(crate) fn at(&self, quantile: f64) -> Option<u64> {
        self.at_ranks(&[rank(quantile, self.total())]).first().copied()
    }

    /// The values at ascending ranks, as far as they came back.
    fn at_ranks(&self, ranks: &[u64]) -> Vec<u64> {
        let mut values = Vec::with_capacity(ranks.len());
        let mut seen = 0_u64;
        for bucket in self.times.iter_recorded() {
            seen = seen.saturating_add(bucket.count_since_last_iteration());
            while ranks.get(values.len()).is_some_and(|rank| *rank <= seen) {
                values.push(bucket.value_iterated_to());
            }
        }
        values
    }
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a rank is between 1 and the number of samples"
)]
fn rank(quantile: f64, total: u64) -> u64 {
    ((quantile * total as f64).ceil() as u64).clamp(1, total.max(1))
}

#[expect(clippy::cast_precision_loss, reason = "a picture has four digits at most")]
pub(crate) fn float(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn together(values: impl IntoIterator<Item = u64>, lost: u64) -> Together {
        let mut times = Histogram::new_with_bounds(1, 60_000_000_000, 3).unwrap();
        values.into_iter().for_each(|value| times.record(value).unwrap());
        Together { times, lost }
    }

    #[test]
    fn the_line_of_a_path_that_loses_ends_where_only_lost_probes_are_left() {
        let whole = together(1..=1000, 0);
        let holed = together(1..=900, 100);

        assert_eq!(whole.curve().last(), Some(&(1.0, 1000.0)));
        let (last, _) = *holed.curve().last().unwrap();
        assert!((0.87..=0.9).contains(&last), "{last}");
        assert_eq!((holed.at(0.9), holed.at(0.91)), (Some(900), None));
    }

    #[test]
    fn lost_probes_push_percentiles_up() {
        assert_eq!(together(1..=1000, 0).at(0.5), Some(500));
        assert_eq!(together(1..=1000, 200).at(0.5), Some(600));
    }

    #[test]
    fn nothing_has_no_line() {
        assert!(together([], 0).curve().is_empty() && together([], 7).curve().is_empty());
        assert_eq!(together([], 7).at(0.5), None);
        assert_eq!(together([5], 0).curve(), [(1.0, 5.0)]);
    }
}
