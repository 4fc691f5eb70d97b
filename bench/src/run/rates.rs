//! What paths carry, against each other. Pure.
//!
//! Each search ends with two bounds, and the ratio of two paths lies between the quotients of those. It is one search each:
//! the interval says how far the searches looked, and the twin, which is searched twice, what that is worth.

use bench_result::{
    plan::Member,
    run::Word,
    throughput::{RateRatio, Search, Throughput, ThroughputPlan},
};

use super::conclude::word_of;
use crate::statistics::{Estimate, Verdict, floor, verdict};

/// The ratios of everything that was searched.
#[must_use]
pub fn rates(plans: &[ThroughputPlan], found: &[Throughput], resolution: f64) -> Vec<RateRatio> {
    let mut all = Vec::new();
    for plan in plans {
        let Some(arm) = plan.reference else { continue };
        let reference = Member { arm, is_twin: false };
        let own = found.iter().filter(|it| it.group == plan.kind && !it.member.is_twin);
        for one in own.filter(|it| it.member != reference) {
            all.extend(of_path(plan, found, one, reference, resolution));
        }
    }
    all
}

fn of_path(
    plan: &ThroughputPlan,
    found: &[Throughput],
    one: &Throughput,
    reference: Member,
    resolution: f64,
) -> Vec<RateRatio> {
    let like = |member: Member| {
        let key = (one.group, member, one.size, one.workers);
        found.iter().find(|it| (it.group, it.member, it.size, it.workers) == key)
    };
    let Some(other) = like(reference) else { return Vec::new() };
    let twins = plan.twin.and_then(|arm| {
        let [twin, first] = [true, false].map(|is_twin| like(Member { arm, is_twin }));
        Some((twin?, first?))
    });
    let goal = |search: &Search| {
        let of =
            |all: &'_ Throughput| all.searches.iter().find(|it| it.goal == search.goal).cloned();
        let floor = twins.and_then(|(twin, first)| ratio(&of(twin)?, &of(first)?));
        let floor = floor.map(|ratio| self::floor(&ratio));
        let against = of(other)?;
        let ratio = ratio(search, &against);
        let word = word(ratio.as_ref(), floor, [search, &against], resolution);
        let Throughput { group, member, size, workers, .. } = *one;
        let goal = search.goal.clone();
        Some(RateRatio { group, member, reference, size, workers, goal, ratio, floor, word })
    };
    one.searches.iter().filter_map(goal).collect()
}

/// Between the bounds of two searches.
fn ratio(one: &Search, other: &Search) -> Option<Estimate> {
    let bounds = |search: &Search| {
        let (low, high) = (search.lower?, search.upper?);
        (low > 0.0).then(|| (search.throughput.unwrap_or(low), low, high))
    };
    let ((value, low, high), (against, least, most)) = (bounds(one)?, bounds(other)?);
    let (low, high) = (low / most, high / least);
    Some(Estimate { value: (value / against).clamp(low, high), low, high, blocks: 1 })
}

fn word(
    ratio: Option<&Estimate>,
    floor: Option<f64>,
    [one, other]: [&Search; 2],
    resolution: f64,
) -> Word {
    let undecided = |why: &str| Word::Inconclusive { why: why.to_owned() };
    let Some(ratio) = ratio else { return undecided("one of the searches has no bounds") };
    let Some(floor) = floor else {
        return undecided("no twin says what equal paths differ by");
    };
    let verdict = verdict(ratio, floor);
    // Who is held back by the generator carries more than was seen, which can only add to a lead.
    let is_held_back = match verdict {
        Verdict::Faster => other.is_generator_limited,
        Verdict::Slower => one.is_generator_limited,
        Verdict::NoDifference { .. } => one.is_generator_limited || other.is_generator_limited,
    };
    if is_held_back {
        return undecided("the generator was the limit");
    }
    word_of(verdict, resolution)
}

#[cfg(test)]
mod tests {
    use bench_result::arm::{Arm, Group};

    use super::*;

    fn search(lower: f64, upper: f64, is_generator_limited: bool) -> Search {
        Search {
            goal: "ndr".to_owned(),
            loss_ratio: 0.0,
            exceed_ratio: 0.5,
            trial_s: 1.0,
            sum_s: 5.0,
            lower: Some(lower),
            upper: Some(upper),
            throughput: Some(lower),
            is_regular: true,
            is_generator_limited,
            remark: String::new(),
        }
    }

    fn carried(arm: Arm, is_twin: bool, search: Search) -> Throughput {
        Throughput {
            group: Group::Reflect,
            member: Member { arm, is_twin },
            size: 64,
            workers: 1,
            ceiling: None,
            searches: vec![search],
            trials: Vec::new(),
            cpu_s_per_million: None,
            frame_loss: Vec::new(),
            latency: None,
            back_to_back: None,
            delays: Vec::new(),
            repeated: None,
            remark: None,
        }
    }

    /// The twin of the reference carries 102 to 103.
    fn of(xdp: Search, reference: Search, has_twin: bool) -> RateRatio {
        let text = "kind = \"reflect\"\narms = [\"kernel-echo-spin\", \"xdp-tx\"]\nmost = 1e6\n\
            reference = \"kernel-echo-spin\"\n";
        let twin = has_twin.then_some(Arm::KernelEchoSpin);
        let plan = ThroughputPlan { twin, ..toml::from_str(text).unwrap() };
        let found = [
            carried(Arm::KernelEchoSpin, false, reference),
            carried(Arm::KernelEchoSpin, true, search(102.0, 103.0, false)),
            carried(Arm::XdpTx, false, xdp),
        ];
        let [ratio] = <[RateRatio; 1]>::try_from(rates(&[plan], &found, 0.1)).unwrap();
        ratio
    }

    /// 100 to 101, so that the twin's ratio is from 1.01 to 1.03.
    fn reference(is_limited: bool) -> Search {
        search(100.0, 101.0, is_limited)
    }

    fn word(found: &RateRatio) -> &'static str {
        match found.word {
            Word::Faster => "faster",
            Word::Slower => "slower",
            Word::NoDifference { .. } => "same",
            Word::Inconclusive { .. } => "undecided",
        }
    }

    #[test]
    fn a_path_is_faster_when_it_carries_more_than_the_twins_differ_by() {
        for (lower, upper, wanted) in [
            (150.0, 152.0, "faster"),
            (104.1, 106.0, "faster"),
            (104.0, 106.0, "same"),
            (101.0, 102.0, "same"),
            (95.0, 97.0, "slower"),
            (95.0, 97.1, "same"),
            (95.0, 115.0, "undecided"),
        ] {
            let found = of(search(lower, upper, false), reference(false), true);
            let ratio = found.ratio.unwrap();
            assert!((ratio.low - lower / 101.0).abs() < 1e-9);
            assert!((ratio.high - upper / 100.0).abs() < 1e-9);
            assert!((found.floor.unwrap() - 0.03).abs() < 1e-9, "{found:?}");
            assert_eq!(word(&found), wanted, "{found:?}");
        }
    }

    #[test]
    fn without_a_twin_or_bounds_no_word_is_said() {
        let found = of(search(150.0, 152.0, false), reference(false), false);
        assert_eq!((word(&found), found.floor), ("undecided", None));
        let endless = Search { upper: None, ..search(150.0, 152.0, false) };
        let found = of(endless, reference(false), true);
        assert_eq!((word(&found), found.ratio), ("undecided", None));
    }

    #[test]
    fn the_generators_limit_can_add_to_a_lead_and_can_not_make_one() {
        for (lower, of_path, of_reference, wanted) in [
            (150.0, true, false, "faster"),
            (150.0, false, true, "undecided"),
            (60.0, false, true, "slower"),
            (60.0, true, false, "undecided"),
            (101.0, true, false, "undecided"),
            (101.0, false, true, "undecided"),
        ] {
            let found = of(search(lower, lower + 1.0, of_path), reference(of_reference), true);
            assert_eq!(word(&found), wanted, "{found:?}");
        }
    }
}
