use proptest::prelude::*;

use super::*;

/// The load of the RFC's example.
const LOAD: f64 = 1e6;

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn goal(name: &str, trial: u64, sum: u64, loss_ratio: f64, exceed_ratio: f64) -> Goal {
    Goal {
        name: name.to_owned(),
        final_trial: seconds(trial),
        duration_sum: seconds(sum),
        loss_ratio,
        exceed_ratio,
        width: 0.01,
        initial_trial: None,
    }
}

/// The four goals of RFC 9971, "Example Goals".
fn goals() -> [Goal; 4] {
    [
        goal("RFC2544", 60, 60, 0.0, 0.0),
        goal("TST009", 60, 120, 0.0, 0.5),
        goal("1s final", 1, 120, 0.005, 0.5),
        goal("20% exceed", 60, 60, 0.005, 0.2),
    ]
}

/// So many trials of so many seconds that lost this share.
type Set = (usize, u64, f64);

fn trials(sets: &[Set]) -> Vec<Trial> {
    let trial = |&(count, length, loss_ratio): &Set| {
        let output = Output { loss_ratio, effective: seconds(length) };
        vec![Trial { duration: seconds(length), output }; count]
    };
    sets.iter().flat_map(trial).collect()
}

/// The six points of "Load Classification Computations".
///
/// For the goal "20% exceed" the tables of points 5 and 6 say "Lower Bound", against their own figures: exceed ratios of
/// 42.857 % and 27.273 % are above 20 %, and the RFC's code, which is the specification, makes upper bounds of them.
#[test]
fn the_examples_of_rfc_9971_are_classified_as_there() {
    use Bound::{Lower, Undecided, Upper};
    let points: [(&[Set], [Bound; 4]); 6] = [
        (&[(59, 1, 0.0)], [Undecided; 4]),
        (&[(59, 1, 0.0), (1, 1, 0.01)], [Upper, Undecided, Undecided, Undecided]),
        (&[(59, 1, 0.0), (60, 1, 0.01)], [Upper, Undecided, Undecided, Upper]),
        (&[(60, 1, 0.0), (60, 1, 0.01)], [Upper, Undecided, Lower, Upper]),
        (&[(60, 1, 0.0), (60, 1, 0.01), (1, 60, 0.001)], [Upper, Undecided, Lower, Upper]),
        (
            &[(60, 1, 0.0), (60, 1, 0.01), (1, 60, 0.001), (1, 60, 0.0)],
            [Upper, Lower, Lower, Upper],
        ),
    ];

    for (number, (sets, expected)) in points.iter().enumerate() {
        let trials = trials(sets);
        let found = goals().map(|goal| classify(&goal, &trials));
        assert_eq!(found, *expected, "point {}", number + 1);
    }
}

/// The sums of the same tables, where they say more than the classification: the effective high-loss sum over the whole.
#[test]
fn the_exceed_ratios_of_rfc_9971_are_those_there() {
    let all = trials(&[(60, 1, 0.0), (60, 1, 0.01), (1, 60, 0.001)]);
    let ratio = |goal: &Goal| {
        let sums = Sums::of(goal, &all);
        let balance = sums.short_low * goal.exceed_ratio / (1.0 - goal.exceed_ratio);
        let lossy = sums.full_high + (sums.short_high - balance).max(0.0);
        lossy / (lossy + sums.full_low).max(goal.duration_sum.as_secs_f64())
    };

    for (goal, percent) in goals().iter().zip([100.0, 50.0, 33.333, 42.857]) {
        assert!((ratio(goal) * 100.0 - percent).abs() < 0.001, "{}: {}", goal.name, ratio(goal));
    }
}

/// "Conditional Throughput Computations", at the last point.
#[test]
fn the_throughputs_of_rfc_9971_are_those_there() {
    let all = trials(&[(60, 1, 0.0), (60, 1, 0.01), (1, 60, 0.001), (1, 60, 0.0)]);
    let [_, tst009, one_second, twenty] = goals();

    for (goal, expected) in [(tst009, 1_000_000.0), (one_second, 1_000_000.0), (twenty, 999_000.0)]
    {
        let found = conditional_throughput(&goal, LOAD, &all).unwrap();
        assert!((found - expected).abs() < 1e-6, "{}: {found}", goal.name);
    }
}

#[test]
fn a_load_that_nobody_tried_is_undecided_and_has_no_throughput() {
    for goal in goals() {
        assert_eq!(classify(&goal, &[]), Bound::Undecided);
        assert_eq!(conditional_throughput(&goal, LOAD, &[]), None);
    }
}

#[test]
fn time_that_is_missing_counts_as_lost_in_the_throughput() {
    let goal = goal("", 1, 10, 0.0, 0.0);

    let found = conditional_throughput(&goal, LOAD, &trials(&[(9, 1, 0.0)]));

    assert_eq!(found, Some(0.0));
}

fn path(capacity: f64) -> impl Fn(f64, Duration) -> Result<Output, String> {
    move |load, effective| Ok(Output { loss_ratio: (1.0 - capacity / load).max(0.0), effective })
}

fn quick(loss_ratio: f64) -> Goal {
    goal("", 1, 11, loss_ratio, 0.5)
}

#[test]
fn both_goals_are_found_from_one_set_of_trials() {
    let loads = Loads::new(1000.0, 2e6).unwrap();
    let found = search(&[quick(0.0), quick(0.005)], loads, path(777_777.0)).unwrap();

    for (outcome, least) in found.outcomes.iter().zip([765_000.0, 765_000.0]) {
        assert!(outcome.is_regular, "{outcome:?}");
        let (lower, upper) = (outcome.lower.unwrap(), outcome.upper.unwrap());
        assert!(
            lower >= least && upper <= 795_000.0 && (upper - lower) / upper <= 0.01,
            "{outcome:?}"
        );
    }
    assert!(found.outcomes[1].lower >= found.outcomes[0].lower);
    // Half of an 11 s sum decides a load: some ten loads of six trials each.
    assert!(found.trials.len() < 120, "{}", found.trials.len());
}

#[test]
fn a_path_faster_than_the_generator_is_not_given_a_number_it_has_not_shown() {
    let found = search(&[quick(0.0)], Loads::new(1000.0, 1e6).unwrap(), path(5e6)).unwrap();

    let outcome = &found.outcomes[0];
    assert_eq!((outcome.lower, outcome.upper, outcome.is_regular), (Some(1e6), None, false));
    assert!(outcome.remark.contains("not the limit"), "{}", outcome.remark);
}

#[test]
fn a_dead_path_carries_nothing() {
    let dead = |_, effective| Ok::<_, String>(Output { loss_ratio: 1.0, effective });
    let found = search(&[quick(0.0)], Loads::new(1000.0, 1e6).unwrap(), dead).unwrap();

    let outcome = &found.outcomes[0];
    assert_eq!((outcome.lower, outcome.upper), (None, Some(1000.0)));
    assert!(!outcome.is_regular);
}

#[test]
fn an_error_of_a_trial_ends_the_search() {
    let failing = |_, _| Err::<Output, _>("the generator died");

    assert!(search(&[quick(0.0)], Loads::new(1000.0, 1e6).unwrap(), failing).is_err());
}

#[test]
fn a_path_that_contradicts_itself_is_not_measured_for_ever() {
    let mut random = fastrand::Rng::with_seed(7);
    let noisy = move |_, effective| {
        Ok::<_, String>(Output { loss_ratio: if random.bool() { 0.0 } else { 0.3 }, effective })
    };

    let found = search(&[quick(0.0)], Loads::new(1000.0, 1e6).unwrap(), noisy).unwrap();

    assert!(found.trials.len() <= MOST_TRIALS);
}

proptest! {
    #[test]
    fn the_answer_holds_the_capacity_between_its_bounds(capacity in 2_000.0..1e6_f64) {
        let found = search(&[quick(0.0)], Loads::new(1000.0, 2e6).unwrap(), path(capacity)).unwrap();
        let outcome = &found.outcomes[0];
        prop_assert!(outcome.is_regular);
        // Loads are whole frames a second.
        prop_assert!(outcome.lower.unwrap() <= capacity + 1.0 && outcome.upper.unwrap() >= capacity - 1.0);
    }

    #[test]
    fn more_good_trials_never_make_a_load_worse(good in 0..30_usize, bad in 0..30_usize) {
        let rank = |bound| match bound { Bound::Upper => 0, Bound::Undecided => 1, Bound::Lower => 2 };
        let at = |good| rank(classify(&quick(0.0), &trials(&[(good, 1, 0.0), (bad, 1, 0.5)])));
        prop_assert!(at(good + 1) >= at(good));
    }
}
