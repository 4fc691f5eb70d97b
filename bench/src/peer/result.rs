//! What was measured, and what follows from it.

use serde::Serialize;

use super::{
    case::{Arm, Case, Comparison, Kind},
    running::{End, Start},
    trial::Slice,
};
use crate::statistics::{self, Estimate, Verdict};

/// One case, measured.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CaseResult {
    /// What was asked.
    #[serde(flatten)]
    pub case: Case,
    /// How each arm was started, block after block.
    pub starts: Vec<Start>,
    /// Every slice that was measured, valid or not.
    pub blocks: Vec<Block>,
    /// What follows.
    pub findings: Vec<Finding>,
    /// Of each arm, the median rate over its valid slices: frames a second, on this machine only.
    pub rates_on_this_machine: Vec<ArmRate>,
    /// What a reader should know.
    pub remarks: Vec<String>,
}

/// All arms, started afresh, taking turns.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Block {
    /// Its number, from 0.
    pub block: usize,
    /// The slices in the order they were measured.
    pub slices: Vec<Slice>,
    /// How each arm ended.
    pub ends: Vec<End>,
}

/// What a comparison came to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Finding {
    /// Which comparison.
    #[serde(flatten)]
    pub comparison: Comparison,
    /// The ratio of rates, or the nanoseconds; `None` when no block had enough valid slices.
    pub estimate: Option<Estimate>,
    /// What the ratio means; `None` for what is not a ratio, or has no floor.
    #[serde(flatten)]
    pub verdict: Option<Verdict>,
    /// Each block's value: the logarithm of the ratio, or nanoseconds.
    pub blocks: Vec<Option<f64>>,
}

/// A rate, to look at and not to quote.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ArmRate {
    /// Whose.
    pub arm: Arm,
    /// Frames a second.
    pub median: Option<f64>,
}

impl CaseResult {
    /// Draws the conclusions.
    #[must_use]
    pub fn conclude(case: Case, starts: Vec<Start>, blocks: Vec<Block>, seed: u64) -> Self {
        let estimates: Vec<(Comparison, Vec<Option<f64>>, Option<Estimate>)> = case
            .comparisons
            .iter()
            .map(|comparison| {
                let values: Vec<Option<f64>> =
                    blocks.iter().map(|block| block.compare(comparison)).collect();
                let valid: Vec<f64> = values.iter().copied().flatten().collect();
                let estimate = statistics::bootstrap(&valid, &mut fastrand::Rng::with_seed(seed));
                let estimate = match comparison.kind {
                    Kind::Ratio | Kind::Floor => estimate.map(Estimate::exp),
                    Kind::Nanoseconds => estimate,
                };
                (*comparison, values, estimate)
            })
            .collect();
        let floor = estimates
            .iter()
            .find(|(comparison, ..)| comparison.kind == Kind::Floor)
            .and_then(|(_, _, estimate)| estimate.as_ref().map(statistics::floor));
        let findings = estimates
            .into_iter()
            .map(|(comparison, blocks, estimate)| {
                let is_ratio = comparison.kind == Kind::Ratio;
                let verdict = estimate
                    .zip(floor)
                    .filter(|_| is_ratio)
                    .map(|(ratio, floor)| statistics::verdict(&ratio, floor));
                Finding { comparison, estimate, verdict, blocks }
            })
            .collect();
        let rates_on_this_machine = case
            .arms
            .iter()
            .map(|&arm| {
                let rates: Vec<f64> = blocks
                    .iter()
                    .flat_map(|block| &block.slices)
                    .filter(|slice| slice.arm == arm && slice.is_valid())
                    .map(|slice| slice.interval.rate)
                    .collect();
                ArmRate { arm, median: statistics::median(&rates) }
            })
            .collect();
        let remarks = [footprints(&starts), remarks(&blocks)].concat();
        Self { case, starts, blocks, findings, rates_on_this_machine, remarks }
    }

    /// The share by which two equal programs differ here.
    #[must_use]
    pub fn floor(&self) -> Option<f64> {
        let finding =
            self.findings.iter().find(|finding| finding.comparison.kind == Kind::Floor)?;
        finding.estimate.as_ref().map(statistics::floor)
    }

    /// Slices that counted or should have, and those among them that do not count.
    #[must_use]
    pub fn validity(&self) -> (usize, usize) {
        let slices =
            || self.blocks.iter().flat_map(|block| &block.slices).filter(|slice| !slice.is_warm_up);
        (slices().count(), slices().filter(|slice| !slice.is_valid()).count())
    }
}

impl Block {
    /// This block's value of a comparison: the median over the rounds in which both arms are valid, so that only slices
    /// that lie next to each other in time are compared. `None` when these are fewer than half.
    fn compare(&self, comparison: &Comparison) -> Option<f64> {
        let rate = |arm, round| {
            let mut slices = self.slices.iter();
            slices
                .find(|slice| slice.arm == arm && slice.round == round && slice.is_valid())
                .map(|slice| slice.interval.rate)
        };
        let rounds = self.slices.iter().map(|slice| slice.round).max().unwrap_or(0);
        let values: Vec<f64> = (1..=rounds)
            .filter_map(|round| rate(comparison.arm, round).zip(rate(comparison.against, round)))
            .map(|(arm, against)| match comparison.kind {
                Kind::Ratio | Kind::Floor => (arm / against).ln(),
                Kind::Nanoseconds => 1e9 / arm - 1e9 / against,
            })
            .collect();
        if values.len() * 2 < rounds { None } else { statistics::median(&values) }
    }
}

/// What barewired takes until it forwards: medians over the blocks.
fn footprints(starts: &[Start]) -> Vec<String> {
    let of = |take: &dyn Fn(&Start) -> Option<f64>| {
        let starts = starts.iter().filter(|start| start.arm == Arm::Barewired);
        statistics::median(&starts.filter_map(take).collect::<Vec<f64>>())
    };
    let ready = of(&|start| Some(start.ready_ms));
    let resident =
        of(&|start| start.resident_kib.and_then(|kib| u32::try_from(kib).ok()).map(f64::from));
    let Some((ready, resident)) = ready.zip(resident) else { return Vec::new() };
    let resident = resident / 1024.0;
    vec![format!(
        "barewired: READY after {ready:.0} ms, {resident:.0} MiB resident besides hugepages"
    )]
}

/// The share of its frames that a generator has to be left with for the program behind it to be the limit.
const REFUSED: f64 = 0.01;

fn remarks(blocks: &[Block]) -> Vec<String> {
    let mut remarks = Vec::new();
    let lost = blocks.iter().flat_map(|block| &block.ends).filter(|end| !end.is_conserved).count();
    if lost > 0 {
        remarks.push(format!(
            "{lost} runs ended with frames that are not accounted for; their slices do not count"
        ));
    }
    let mut arms: Vec<Arm> =
        blocks.iter().flat_map(|block| &block.ends).map(|end| end.arm).collect();
    arms.sort_unstable();
    arms.dedup();
    for arm in arms {
        let ends = blocks.iter().flat_map(|block| &block.ends).filter(|end| end.arm == arm);
        let totals: Vec<_> = ends.filter_map(|end| end.generator).collect();
        let (sent, refused) =
            totals.iter().fold((0, 0), |(sent, refused), t| (sent + t.sent, refused + t.dropped));
        if sent == 0 {
            continue;
        }
        let share = share_of(refused, sent + refused);
        if share < REFUSED {
            remarks.push(format!(
                "{arm}: limited by the generator ({:.1} % of its frames were refused): the ratio says little about {arm}",
                share * 100.0
            ));
        }
    }
    remarks
}

#[expect(clippy::cast_precision_loss, reason = "counts of a run are far below 2^52")]
fn share_of(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peer::{case, reading::Interval, testpmd::Totals};

    /// A block in which each arm runs at a rate of its own, times the mood of the round.
    fn block(rates: &[(Arm, f64)], moods: &[f64]) -> Block {
        let slices = moods.iter().enumerate().flat_map(|(round, mood)| {
            rates.iter().map(move |&(arm, rate)| Slice {
                arm,
                round,
                is_warm_up: round == 0,
                interval: Interval {
                    frames: 1,
                    rate: rate * mood,
                    rate_by_our_clock: (rate * mood, rate * mood),
                    faults: Vec::new(),
                },
                disturbance: None,
                faults: Vec::new(),
            })
        });
        Block { block: 0, slices: slices.collect(), ends: Vec::new() }
    }

    fn a1() -> Case {
        case::all().remove(0)
    }

    fn of(result: &CaseResult, arm: Arm, kind: Kind) -> Finding {
        let mut findings = result.findings.iter();
        findings.find(|f| f.comparison.arm == arm && f.comparison.kind == kind).unwrap().clone()
    }

    #[test]
    fn a_machine_that_changes_its_mood_does_not_change_the_ratio() {
        let rates = [
            (Arm::Barewired, 55.0e6),
            (Arm::BarewiredPlain, 56.0e6),
            (Arm::Testpmd, 50.0e6),
            (Arm::TestpmdTwin, 50.0e6),
            (Arm::TestpmdDefault, 49.0e6),
        ];
        let blocks = vec![
            block(&rates, &[0.1, 1.0, 0.6, 0.6, 1.0]),
            block(&rates, &[0.1, 0.6, 0.6, 0.6, 1.0]),
        ];
        let result = CaseResult::conclude(a1(), Vec::new(), blocks, 1);
        let ratio = of(&result, Arm::Barewired, Kind::Ratio);
        assert!((ratio.estimate.unwrap().value - 1.1).abs() < 1e-9, "{ratio:?}");
        assert_eq!(ratio.verdict, Some(Verdict::Faster));
        assert_eq!(result.floor(), Some(0.0));
        let nanoseconds = of(&result, Arm::Barewired, Kind::Nanoseconds).estimate.unwrap();
        assert!(nanoseconds.value > 0.0, "{nanoseconds:?}");
        assert_eq!(result.validity(), (40, 0));
    }

    #[test]
    fn slices_with_a_fault_do_not_count_and_too_few_are_none() {
        let rates = [(Arm::Testpmd, 1.0e6), (Arm::TestpmdTwin, 2.0e6)];
        let mut blocks = vec![block(&rates, &[1.0; 5])];
        for slice in blocks[0].slices.iter_mut().filter(|slice| slice.round <= 2) {
            slice.faults.push("disturbed".into());
        }
        let enough = CaseResult::conclude(
            a1().only(&[Arm::Testpmd, Arm::TestpmdTwin]),
            Vec::new(),
            blocks.clone(),
            1,
        );
        assert!((enough.findings[0].estimate.unwrap().value - 2.0).abs() < 1e-9);
        assert_eq!(enough.validity(), (8, 4));

        for slice in blocks[0].slices.iter_mut().filter(|slice| slice.round == 3) {
            slice.faults.push("disturbed".into());
        }
        let too_few = CaseResult::conclude(
            a1().only(&[Arm::Testpmd, Arm::TestpmdTwin]),
            Vec::new(),
            blocks,
            1,
        );
        assert_eq!(too_few.findings[0].estimate, None);
    }

    #[test]
    fn what_barewired_takes_to_start_is_the_median_over_the_blocks() {
        let start = |arm, ready_ms, resident_kib| Start {
            arm,
            command: String::new(),
            generator: None,
            configuration: None,
            plan: None,
            ready_ms,
            resident_kib,
        };
        let starts = [
            start(Arm::Testpmd, 9000.0, Some(1 << 30)),
            start(Arm::Barewired, 300.0, Some(20 * 1024)),
            start(Arm::Barewired, 100.0, None),
            start(Arm::Barewired, 200.0, Some(40 * 1024)),
        ];
        assert_eq!(
            footprints(&starts),
            ["barewired: READY after 200 ms, 30 MiB resident besides hugepages"]
        );
        assert!(footprints(&starts[..1]).is_empty());
    }

    #[test]
    fn a_generator_that_is_never_refused_is_named_as_the_limit() {
        let mut blocks = vec![block(&[(Arm::Testpmd, 1.0e6)], &[1.0; 3])];
        let end = |dropped| End {
            arm: Arm::Testpmd,
            is_conserved: true,
            totals: None,
            generator: Some(Totals { received: 0, sent: 1000, dropped }),
        };
        blocks[0].ends = vec![end(1)];
        assert_eq!(remarks(&blocks).len(), 1);
        blocks[0].ends = vec![end(100)];
        assert!(remarks(&blocks).is_empty());
    }
}
