//! From trials to words. Pure.
//!
//! Each block gives one ratio of each path's percentile to that of the reference; the blocks are resampled. What the twin
//! differs from its like by is the floor: only a ratio whose whole interval lies beyond it is called a difference.

use distribution::decode;

use super::{
    arm::Group,
    link::cabling,
    plan::{GroupPlan, Member, Plan},
    result::{Across, CellResult, Floor, GroupResult, MemberResult, Versus, Word},
    trial::{Cell, PERCENTILES, Trial, ticks_as_s},
};
use crate::{
    probe::{Latency, latency::percentile},
    statistics::{Estimate, Verdict, bootstrap, floor, verdict},
};

/// The percentiles that paths are compared at.
pub const COMPARED: [f64; 3] = [50.0, 99.0, 99.9];

/// Fewer blocks decide nothing: of four, the interval is all of them, and holds the truth too rarely.
pub const LEAST_BLOCKS: usize = 5;

/// What follows for a group.
#[must_use]
pub fn group(plan: &Plan, group: &GroupPlan, trials: &[Trial], seed: u64) -> GroupResult {
    let reference = Member { arm: group.reference, is_twin: false };
    let cells = cells(group).map(|cell| {
        let of: Vec<&Trial> =
            trials.iter().filter(|trial| trial.group == group.kind && trial.cell == cell).collect();
        self::cell(plan, group, reference, cell, &of, seed)
    });
    GroupResult { kind: group.kind, reference, cells: cells.collect() }
}

fn cell(
    plan: &Plan,
    group: &GroupPlan,
    reference: Member,
    cell: Cell,
    trials: &[&Trial],
    seed: u64,
) -> CellResult {
    let mut random = fastrand::Rng::with_seed(seed);
    let floors: Vec<Floor> = group
        .twin
        .into_iter()
        .flat_map(|arm| COMPARED.map(|percentile| (arm, percentile)))
        .filter_map(|(arm, percentile)| {
            let [twin, like] = [true, false].map(|is_twin| Member { arm, is_twin });
            let ratio = ratio(trials, twin, like, percentile, &mut random).ok()?;
            Some(Floor { percentile, ratio, share: floor(&ratio) })
        })
        .collect();
    let members = group.members().into_iter().map(|member| {
        let mut result = self::member(member, trials);
        // What goes through another wire is no path of the same kind.
        let wire = |member: Member| cabling(group.kind, member.arm);
        if member != reference && wire(member) == wire(reference) {
            let versus = COMPARED.into_iter().map(|percentile| {
                let floor = floors.iter().find(|it| same(it.percentile, percentile));
                let ratio = ratio(trials, member, reference, percentile, &mut random);
                versus(percentile, ratio, floor.map(|floor| floor.share), plan.resolution)
            });
            result.versus = versus.collect();
        }
        result
    });
    CellResult { cell, members: members.collect(), floors }
}

fn same(a: f64, b: f64) -> bool {
    (a - b).abs() < 1e-9
}

/// Why there is no ratio.
#[derive(Debug, Clone, PartialEq)]
enum NoRatio {
    /// Not enough samples or blocks.
    Unsupported(String),
    /// Of one of them so many probes were lost that this percentile never came back, in most blocks.
    NeverCame {
        /// Of the one in question, and not of the other.
        is_first: bool,
    },
}

/// One's percentile through another's of the same group, over the blocks that have both.
fn ratio(
    trials: &[&Trial],
    first: Member,
    second: Member,
    percentile: f64,
    random: &mut fastrand::Rng,
) -> Result<Estimate, NoRatio> {
    let is = |member: Member| move |trial: &Trial| trial.member == member;
    ratio_of(trials, is(first), is(second), percentile, random)
}

/// What goes around the kernel over shared memory, through the reference of what goes through it, at the same load and
/// size. Different wires: a statement about systems.
#[must_use]
pub fn across(plan: &Plan, trials: &[Trial], seed: u64) -> Vec<Across> {
    let group = |kind| plan.groups.iter().find(|group| group.kind == kind);
    let (Some(shared), Some(reflect)) = (group(Group::Shared), group(Group::Reflect)) else {
        return Vec::new();
    };
    let mut random = fastrand::Rng::with_seed(seed);
    let mut found = Vec::new();
    let second = (Group::Reflect, Member { arm: reflect.reference, is_twin: false });
    for cell in cells(shared).filter(|cell| cells(reflect).any(|other| other == *cell)) {
        let at: Vec<&Trial> = trials.iter().filter(|trial| trial.cell == cell).collect();
        for arm in &shared.arms {
            let first = (Group::Shared, Member { arm: *arm, is_twin: false });
            for percentile in COMPARED {
                let is = |(group, member)| {
                    move |trial: &Trial| trial.group == group && trial.member == member
                };
                let ratio = ratio_of(&at, is(first), is(second), percentile, &mut random).ok();
                found.push(Across { first, second, cell, percentile, ratio });
            }
        }
    }
    found
}

fn cells(group: &GroupPlan) -> impl Iterator<Item = Cell> {
    let of = |load: &f64| {
        let load = *load;
        group.sizes.iter().map(move |size| Cell { load, size: *size })
    };
    group.loads.iter().flat_map(of)
}

fn ratio_of(
    trials: &[&Trial],
    first: impl Fn(&Trial) -> bool,
    second: impl Fn(&Trial) -> bool,
    percentile: f64,
    random: &mut fastrand::Rng,
) -> Result<Estimate, NoRatio> {
    let of = |is_it: &dyn Fn(&Trial) -> bool, block: usize| {
        trials
            .iter()
            .find(|it| is_it(it) && it.block == block && it.is_valid())
            .and_then(|trial| trial.response_at(percentile))
    };
    let blocks = trials.iter().map(|trial| trial.block + 1).max().unwrap_or(0);
    let pairs: Vec<(f64, f64)> =
        (0..blocks).filter_map(|block| of(&first, block).zip(of(&second, block))).collect();
    let never = |is_it: fn(&(f64, f64)) -> bool| {
        2 * pairs.iter().filter(|pair| is_it(pair)).count() > pairs.len()
    };
    match (never(|pair| pair.0.is_infinite()), never(|pair| pair.1.is_infinite())) {
        (true, true) => {
            return Err(NoRatio::Unsupported("neither came back so often".to_owned()));
        }
        (true, false) => return Err(NoRatio::NeverCame { is_first: true }),
        (false, true) => return Err(NoRatio::NeverCame { is_first: false }),
        (false, false) => {}
    }
    let logarithms: Vec<f64> = pairs
        .iter()
        .filter(|pair| pair.0.is_finite() && pair.1.is_finite())
        .map(|(first, second)| (first / second).ln())
        .collect();
    if logarithms.len() < LEAST_BLOCKS {
        let why = format!("{} blocks of {LEAST_BLOCKS} have both", logarithms.len());
        return Err(NoRatio::Unsupported(why));
    }
    let estimate = bootstrap(&logarithms, random).map(Estimate::exp);
    estimate.ok_or_else(|| NoRatio::Unsupported("no numbers".to_owned()))
}

fn versus(
    percentile: f64,
    ratio: Result<Estimate, NoRatio>,
    floor: Option<f64>,
    resolution: f64,
) -> Versus {
    let (ratio, word) = match ratio {
        Ok(ratio) => (Some(ratio), word(&ratio, floor, resolution)),
        Err(NoRatio::NeverCame { is_first: true }) => (None, Word::Slower),
        Err(NoRatio::NeverCame { is_first: false }) => (None, Word::Faster),
        Err(NoRatio::Unsupported(why)) => (None, Word::Inconclusive { why }),
    };
    Versus { percentile, ratio, word }
}

/// What a ratio of times means: below 1 is faster.
#[must_use]
pub fn word(ratio: &Estimate, floor: Option<f64>, resolution: f64) -> Word {
    let Some(floor) = floor else {
        return Word::Inconclusive { why: "no twin says what equal paths differ by".to_owned() };
    };
    // Of rates, more is faster.
    let rates = Estimate {
        value: 1.0 / ratio.value,
        low: 1.0 / ratio.high,
        high: 1.0 / ratio.low,
        blocks: ratio.blocks,
    };
    word_of(verdict(&rates, floor), resolution)
}

/// A verdict, told only as finely as was asked.
pub(super) fn word_of(verdict: Verdict, resolution: f64) -> Word {
    match verdict {
        Verdict::Faster => Word::Faster,
        Verdict::Slower => Word::Slower,
        Verdict::NoDifference { within } if within <= resolution => Word::NoDifference { within },
        Verdict::NoDifference { within } => {
            let [within, wanted] = [within, resolution].map(|share| share * 100.0);
            let why = format!("±{within:.0} % could not be told apart, ±{wanted:.0} % was asked");
            Word::Inconclusive { why }
        }
    }
}

fn member(member: Member, trials: &[&Trial]) -> MemberResult {
    let own = trials.iter().filter(|trial| trial.member == member);
    let (valid, invalid): (Vec<&&Trial>, Vec<&&Trial>) = own.partition(|trial| trial.is_valid());
    let mut together = Latency::default();
    for trial in &valid {
        // What is written here is what can be read here; a text that is not adds nothing.
        for (sum, text) in [
            (&mut together.response, &trial.response_hdr),
            (&mut together.service, &trial.service_hdr),
        ] {
            if let Ok(histogram) = decode(text) {
                let _of_the_same_bounds = sum.add(histogram);
            }
        }
    }
    let sum = |of: fn(&Trial) -> u64| valid.iter().map(|trial| of(trial)).sum::<u64>();
    let (sent, lost) = (sum(|trial| trial.counts.sent), sum(|trial| trial.counts.lost()));
    let of =
        |times| PERCENTILES.iter().filter_map(|wanted| percentile(times, lost, *wanted)).collect();
    let busy = ticks_as_s(sum(|trial| trial.counters.busy_ticks));
    let all = sum(|trial| trial.counts.sent + trial.warm_up.sent);
    #[expect(clippy::cast_precision_loss, reason = "counts of a run are far below 2^53")]
    let (millions, count) = (all as f64 / 1e6, valid.len() as f64);
    MemberResult {
        member,
        waits: member.arm.waits(),
        valid: valid.len(),
        invalid: invalid.len(),
        sent,
        lost,
        response: of(&together.response),
        service: of(&together.service),
        range_ns: (
            valid.iter().map(|trial| trial.range_ns.0).filter(|ns| *ns > 0).min().unwrap_or(0),
            valid.iter().map(|trial| trial.range_ns.1).max().unwrap_or(0),
        ),
        cpu_s_per_million: (all > 0).then(|| busy / millions),
        send_ns: if valid.is_empty() {
            0.0
        } else {
            valid.iter().map(|trial| trial.send_ns).sum::<f64>() / count
        },
        versus: Vec::new(),
        attribution: valid.iter().filter_map(|trial| trial.attribution.clone()).reduce(
            |mut sum, more| {
                sum.add(&more);
                sum
            },
        ),
    }
}

#[cfg(test)]
pub(crate) mod tests;
