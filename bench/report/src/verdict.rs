//! The answer first: sentences, as plain where bypass loses as where it wins. Pure.

use bench_result::{
    arm::Group,
    plan::Member,
    run::{End, GroupResult, MemberResult, RunResult, Versus, Word},
};

use crate::shown;

/// Above this share of invalid trials the bench itself calls the machine unfit.
const UNFIT: f64 = 0.1;

/// How many comparisons came out how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) faster: usize,
    pub(crate) slower: usize,
    pub(crate) same: usize,
    pub(crate) undecided: usize,
}

impl Tally {
    fn add(&mut self, word: &Word) {
        match word {
            Word::Faster => self.faster += 1,
            Word::Slower => self.slower += 1,
            Word::NoDifference { .. } => self.same += 1,
            Word::Inconclusive { .. } => self.undecided += 1,
        }
    }

    pub(crate) fn all(self) -> usize {
        self.faster + self.slower + self.same + self.undecided
    }

    /// `faster than the kernel in 2 of 5 comparisons and slower in 3`
    fn against_the_kernel(self) -> String {
        let words = self.words().replacen(" in ", " than the kernel in ", 1);
        // "No different" is from something.
        let words = words.replacen("no different than", "no different from", 1);
        match words.rsplit_once(", ") {
            Some((rest, last)) => format!("{rest} and {last}"),
            None => words,
        }
    }

    /// `faster in 2 of 5 comparisons, slower in 3`
    pub(crate) fn words(self) -> String {
        let all = self.all();
        let parts = [
            (self.faster, "faster"),
            (self.slower, "slower"),
            (self.same, "no different"),
            (self.undecided, "undecided"),
        ];
        let mut said = parts.into_iter().filter(|(count, _)| *count > 0);
        let Some((count, word)) = said.next() else { return "not compared".to_owned() };
        if count == all {
            return match all {
                1 => format!("{word} in the one comparison"),
                2 => format!("{word} in both comparisons"),
                all => format!("{word} in all {all} comparisons"),
            };
        }
        let rest = said.map(|(count, word)| format!(", {word} in {count}"));
        let rest: String = rest.collect();
        format!("{word} in {count} of {all} comparisons{rest}")
    }
}

/// How bypass paths came out against the kernel's, at a percentile of the response; within groups only, where both do the
/// same work on the same wire.
pub(crate) fn bypass(result: &RunResult, percentile: f64) -> Tally {
    let mut tally = Tally::default();
    for group in result.groups.iter().filter(|group| !group.reference.arm.is_bypass()) {
        for member in group.cells.iter().flat_map(|cell| &cell.members) {
            if member.member.is_twin || !member.member.arm.is_bypass() {
                continue;
            }
            if let Some(versus) = at(member, percentile) {
                tally.add(&versus.word);
            }
        }
    }
    tally
}

/// One line above everything: the median, and the tail with it, for a path may win one and lose the other.
pub(crate) fn headline(result: &RunResult) -> String {
    let [median, tail] = [50.0, 99.0].map(|percentile| bypass(result, percentile));
    if median.all() == 0 {
        return match (result.groups.is_empty(), result.throughput.is_empty()) {
            (true, false) => "What paths carry".to_owned(),
            _ => "No bypass path was compared with the kernel".to_owned(),
        };
    }
    let (trials, invalid) = result.validity();
    let place =
        if is_unfit(trials, invalid) { "On a machine that was not fit for it: at" } else { "At" };
    let median = if median.undecided == median.all() {
        "nothing is decided between bypass and the kernel".to_owned()
    } else {
        format!("bypass was {}", median.against_the_kernel())
    };
    match tail.all() {
        0 => format!("{place} the median, {median}"),
        _ => format!("{place} the median, {median}; at p99, {}", tail.words()),
    }
}

/// What else has to be known before a number is believed: the worst first.
pub(crate) fn warnings(result: &RunResult) -> Vec<String> {
    let mut warnings = Vec::new();
    match &result.end {
        End::Complete => {}
        End::Interrupted => {
            warnings.push("The run was interrupted: what follows is from what there is.".to_owned())
        }
        End::Failed { why } => {
            warnings.push(format!("The run failed, and what follows is from what there is: {why}"));
        }
    }
    let (trials, invalid) = result.validity();
    if is_unfit(trials, invalid) {
        warnings.push(format!(
            "{invalid} of {trials} trials do not count: this machine, as it was, is not fit to measure on."
        ));
    }
    if result.environment.get("barewire_bench.is_optimised").is_some_and(|value| value == "false") {
        warnings
            .push("The bench was not built with optimisation: its times are its own.".to_owned());
    }
    warnings
}

#[expect(clippy::cast_precision_loss, reason = "there are not 2^52 trials")]
pub(crate) fn is_unfit(trials: usize, invalid: usize) -> bool {
    trials > 0 && invalid as f64 > UNFIT * trials as f64
}

/// What a group says of one path: a sentence for each percentile.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Said {
    pub(crate) member: Member,
    /// Percentile and sentence.
    pub(crate) sentences: Vec<(f64, String)>,
}

/// What a group says, of each that was compared.
pub(crate) fn group(group: &GroupResult) -> Vec<Said> {
    let mut said: Vec<Said> = Vec::new();
    for member in group.cells.iter().flat_map(|cell| &cell.members) {
        let member = member.member;
        let is_known = said.iter().any(|said| said.member == member);
        if !is_known && !member.is_twin && member != group.reference {
            said.push(Said { member, sentences: sentences(group, member) });
        }
    }
    said
}

/// Percentiles that anything was compared at, ascending.
pub(crate) fn compared(group: &GroupResult) -> Vec<f64> {
    let members = group.cells.iter().flat_map(|cell| &cell.members);
    let mut all: Vec<f64> =
        members.flat_map(|it| it.versus.iter().map(|versus| versus.percentile)).collect();
    all.sort_by(f64::total_cmp);
    all.dedup_by(|a, b| same(*a, *b));
    all
}

fn sentences(group: &GroupResult, member: Member) -> Vec<(f64, String)> {
    let of = |percentile| {
        let found: Vec<(String, &Versus)> = group
            .cells
            .iter()
            .filter_map(|cell| {
                let member = cell.members.iter().find(|it| it.member == member)?;
                Some((at_load(group, cell.cell), at(member, percentile)?))
            })
            .collect();
        (!found.is_empty()).then(|| (percentile, sentence(&found)))
    };
    compared(group).into_iter().filter_map(of).collect()
}

/// As short as it can be told from the others of its group.
fn at_load(group: &GroupResult, cell: bench_result::trial::Cell) -> String {
    let is_one_size = group.cells.iter().all(|other| other.cell.size == cell.size);
    if is_one_size { format!("{}/s", shown::load(cell.load)) } else { shown::cell(cell) }
}

fn sentence(found: &[(String, &Versus)]) -> String {
    let kind = |versus: &Versus| match &versus.word {
        Word::Faster => "faster",
        Word::Slower => "slower",
        Word::NoDifference { .. } => "no difference",
        Word::Inconclusive { .. } => "undecided",
    };
    let Some((_, first)) = found.first() else { return String::new() };
    if found.len() > 1 && found.iter().all(|(_, versus)| kind(versus) == kind(first)) {
        let ratios = found.iter().filter_map(|(_, versus)| versus.ratio.map(|it| it.value));
        let least = ratios.clone().fold(f64::INFINITY, f64::min);
        let most = ratios.fold(0.0, f64::max);
        return match &first.word {
            Word::Faster | Word::Slower if least <= most => format!(
                "{} at every load: {} to {} times the time",
                kind(first),
                shown::ratio(least),
                shown::ratio(most)
            ),
            Word::Faster | Word::Slower => format!("{} at every load", kind(first)),
            Word::NoDifference { .. } => {
                let within = found.iter().filter_map(|(_, versus)| match versus.word {
                    Word::NoDifference { within } => Some(within),
                    Word::Faster | Word::Slower | Word::Inconclusive { .. } => None,
                });
                let widest = within.fold(0.0, f64::max);
                format!("no difference at any load, beyond ±{}", shown::percent(widest))
            }
            Word::Inconclusive { why } => format!("undecided at every load: {why}"),
        };
    }
    let one = |(at, versus): &(String, &Versus)| {
        let place = if found.len() > 1 { format!(" at {at}") } else { String::new() };
        match (&versus.word, versus.ratio) {
            (Word::Faster | Word::Slower, Some(ratio)) => {
                format!("{}{place} ({} times the time)", kind(versus), shown::ratio(ratio.value))
            }
            (Word::Faster, None) => format!("faster{place} (so much of the reference never came)"),
            (Word::Slower, None) => format!("slower{place} (so much of it never came)"),
            (Word::NoDifference { within }, _) => {
                format!("no difference{place} beyond ±{}", shown::percent(*within))
            }
            (Word::Inconclusive { why }, _) => format!("undecided{place} ({why})"),
        }
    };
    found.iter().map(one).collect::<Vec<_>>().join("; ")
}

/// Of a member, at a percentile.
pub(crate) fn at(member: &MemberResult, percentile: f64) -> Option<&Versus> {
    member.versus.iter().find(|versus| same(versus.percentile, percentile))
}

pub(crate) fn same(a: f64, b: f64) -> bool {
    (a - b).abs() < 1e-9
}

/// Does this group say something of paths, or of the generator alone?
pub(crate) fn is_of_paths(group: &GroupResult) -> bool {
    group.kind != Group::Null
}

#[cfg(test)]
mod tests {
    use bench_result::trial::Cell;
    use statistics::Estimate;

    use super::*;

    fn versus(word: Word, value: Option<f64>) -> Versus {
        let ratio = value.map(|value| Estimate { value, low: value, high: value, blocks: 5 });
        Versus { percentile: 50.0, ratio, word }
    }

    fn said(words: &[(Word, Option<f64>)]) -> String {
        let all: Vec<Versus> =
            words.iter().cloned().map(|(word, value)| versus(word, value)).collect();
        let found: Vec<(String, &Versus)> = all.iter().map(|it| ("1/s".to_owned(), it)).collect();
        sentence(&found)
    }

    #[test]
    fn a_loss_is_said_as_plainly_as_a_win() {
        assert_eq!(said(&[(Word::Slower, Some(2.0))]), "slower (2.000 times the time)");
        assert_eq!(said(&[(Word::Faster, Some(0.5))]), "faster (0.500 times the time)");
        assert_eq!(said(&[(Word::Slower, None)]), "slower (so much of it never came)");
    }

    #[test]
    fn what_is_the_same_at_every_load_is_said_once() {
        assert_eq!(
            said(&[(Word::Slower, Some(2.0)), (Word::Slower, Some(1.5))]),
            "slower at every load: 1.500 to 2.000 times the time"
        );
        let [narrow, wide] = [0.02, 0.05].map(|within| (Word::NoDifference { within }, Some(1.0)));
        assert_eq!(said(&[narrow, wide]), "no difference at any load, beyond ±5.00 %");
    }

    #[test]
    fn what_differs_between_loads_is_told_apart() {
        let mixed =
            said(&[(Word::Slower, Some(2.0)), (Word::NoDifference { within: 0.05 }, Some(1.0))]);
        assert_eq!(
            mixed,
            "slower at 1/s (2.000 times the time); no difference at 1/s beyond ±5.00 %"
        );
    }

    #[test]
    fn counts_are_words() {
        let tally = |faster, slower, same, undecided| Tally { faster, slower, same, undecided };
        for (tally, words) in [
            (tally(0, 0, 0, 0), "not compared"),
            (tally(1, 0, 0, 0), "faster in the one comparison"),
            (tally(0, 2, 0, 0), "slower in both comparisons"),
            (tally(0, 3, 0, 0), "slower in all 3 comparisons"),
            (tally(1, 2, 0, 1), "faster in 1 of 4 comparisons, slower in 2, undecided in 1"),
            (tally(0, 0, 2, 1), "no different in 2 of 3 comparisons, undecided in 1"),
        ] {
            assert_eq!(tally.words(), words);
        }
        assert_eq!(
            tally(1, 2, 3, 0).against_the_kernel(),
            "faster than the kernel in 1 of 6 comparisons, slower in 2 and no different in 3"
        );
        assert_eq!(
            tally(0, 2, 0, 0).against_the_kernel(),
            "slower than the kernel in both comparisons"
        );
        assert_eq!(
            tally(0, 0, 1, 0).against_the_kernel(),
            "no different from the kernel in the one comparison"
        );
    }

    #[test]
    fn an_unfit_machine_is_one_with_more_than_a_tenth_of_its_trials_lost() {
        assert!(!is_unfit(0, 0) && !is_unfit(100, 10));
        assert!(is_unfit(100, 11));
    }

    #[test]
    fn loads_are_told_apart_by_size_only_where_sizes_differ() {
        let cell = |load, size| bench_result::run::CellResult {
            cell: Cell { load, size },
            floors: vec![],
            members: vec![],
        };
        let member = Member { arm: bench_result::arm::Arm::Wire, is_twin: false };
        let mut group =
            GroupResult { kind: Group::Null, reference: member, cells: vec![cell(1.0, 64)] };
        assert_eq!(at_load(&group, group.cells[0].cell), "1/s");
        group.cells.push(cell(1.0, 1518));
        assert_eq!(at_load(&group, group.cells[0].cell), "1/s, 64 bytes");
    }
}
