//! The result for a terminal: a table for each group, load and size, and what it means in words.

mod carried;

use std::{collections::BTreeMap, fmt::Write as _};

use anstyle::{AnsiColor, Style};
use distribution::{Series, decode, draw};
use hdrhistogram::Histogram;

use super::{
    arm::Waits,
    conclude::COMPARED,
    result::{CellResult, End, GroupResult, MemberResult, RunResult, Versus, Word},
    trial::{Invalid, Trial},
};
use crate::{
    probe::{
        latency::{Percentile, Support},
        validity::Fault,
    },
    say,
};

const BOLD: Style = Style::new().bold();
const FASTER: Style = AnsiColor::Green.on_default();
const SLOWER: Style = AnsiColor::Red.on_default();
const DIM: Style = Style::new().dimmed();

/// All of it.
#[must_use]
pub fn summary(result: &RunResult, is_coloured: bool) -> String {
    let mut text = String::new();
    let paint = |style: Style, words: &str| {
        if is_coloured { format!("{style}{words}{style:#}") } else { words.to_owned() }
    };
    let (trials, invalid) = result.validity();
    let RunResult { plan, host, seed, cpus, .. } = result;
    let title = format!("plan {}, on a host of class {}", plan.name, host.class);
    let _infallible = writeln!(
        text,
        "{}: {trials} trials, {invalid} of them invalid, in {:.0} s; seed {seed}; measured cpu {}, generator cpu {}",
        paint(BOLD, &title),
        result.seconds,
        cpus.measured,
        cpus.other
    );
    why_invalid(&mut text, result);
    if let Some((median, least, most)) = result.handoff_ns() {
        let [median, least, most] = [median, least, most].map(say::time);
        let _infallible = writeln!(
            text,
            "A cache line went from cpu to cpu and back in {median} ({least} to {most}, before each start): where it changes, short round trips do."
        );
    }
    match &result.end {
        End::Complete => {}
        End::Interrupted => {
            text.push_str("It was interrupted: what follows is from what there is.\n")
        }
        End::Failed { why } => {
            let _infallible =
                writeln!(text, "It failed, and what follows is from what there is: {why}");
        }
    }
    text.push_str(
        "Round trips, counted from when each probe should have left; a lost one never came. * has 10 to 99 samples beyond \
         it.\nRatios are of times, against the same group's reference: below 1 is faster. Compare nothing across groups.\n",
    );
    for group in &result.groups {
        for cell in &group.cells {
            table(&mut text, result, group, cell, &paint);
        }
    }
    let heading = |words: &str| paint(BOLD, words);
    carried::across(&mut text, result, &heading);
    carried::throughput(&mut text, result, &heading);
    for out in &result.left_out {
        let who = out.member.map_or("all".to_owned(), |member| member.to_string());
        let why = out.why.lines().next().unwrap_or_default();
        let _infallible = writeln!(text, "left out: {}, {who}: {why}", out.group);
    }
    text
}

/// What made trials invalid, by how many: a machine that is not fit should be told from a path that is not.
fn why_invalid(text: &mut String, result: &RunResult) {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for fault in result.trials.iter().flat_map(|trial| &trial.faults) {
        *counts.entry(said(fault)).or_default() += 1;
    }
    if !counts.is_empty() {
        let all: Vec<String> =
            counts.into_iter().map(|(why, count)| format!("{why} ({count})")).collect();
        let _infallible = writeln!(text, "Invalid because: {}", all.join("; "));
    }
}

fn said(fault: &Invalid) -> &'static str {
    match fault {
        Invalid::Generator(Fault::Unsent { .. }) => "the generator did not send everything",
        Invalid::Generator(Fault::Late { .. }) => {
            "the generator was late: something else had its cpu, or the load is too much for it"
        }
        Invalid::Generator(Fault::Unexpected { .. }) => "something came back that was never sent",
        Invalid::Generator(Fault::Nothing) => "nothing was to be sent",
        Invalid::Stolen { .. } => "the hypervisor took a cpu away",
        Invalid::Waited { .. } => "something else had the path's cpu",
        Invalid::Sent { .. } => "the kernel counted other frames out than we sent",
        Invalid::Received { .. } => "the kernel counted other frames in than came to us",
        Invalid::Unstamped { .. } => "frames came without a usable stamp of the device",
        Invalid::Unbalanced => "the path says itself that frames are missing",
    }
}

fn table(
    text: &mut String,
    result: &RunResult,
    group: &GroupResult,
    cell: &CellResult,
    paint: &dyn Fn(Style, &str) -> String,
) {
    let plan = result.plan.groups.iter().find(|plan| plan.kind == group.kind);
    let mix = plan.and_then(|plan| plan.mix.as_ref());
    let mix = mix.map_or(String::new(), |mix| format!(" on average ({})", mix.what()));
    let heading = format!(
        "{}: {} frames of {} bytes{mix} a second, against {}",
        group.kind, cell.cell.load, cell.cell.size, group.reference
    );
    let _infallible = writeln!(text, "\n{}", paint(BOLD, &heading));
    let head = format!(
        "  {:<26} {:<8} {:>9} {:>9} {:>9} {:>9} {:>9}  {:<22} {:<22}",
        "path", "waits", "p50", "p99", "p99.9", "longest", "lost", "p50 ratio", "p99 ratio"
    );
    let _infallible = writeln!(text, "{}", paint(DIM, head.trim_end()));
    for member in &cell.members {
        let waits = match member.waits {
            Waits::Sleeping => "sleeps",
            Waits::Spinning => "spins",
            Waits::Inline => "inline",
            Waits::Unknown => "unknown",
        };
        let ratio = |percentile| {
            let found = member.versus.iter().find(|it| same(it.percentile, percentile));
            found.map_or(String::new(), shown_ratio)
        };
        let line = format!(
            "  {:<26} {waits:<8} {:>9} {:>9} {:>9} {:>9} {:>9}  {:<22} {:<22}",
            member.member.to_string(),
            shown(&member.response, 50.0),
            shown(&member.response, 99.0),
            shown(&member.response, 99.9),
            say::time(member.range_ns.1),
            loss(member),
            ratio(50.0),
            ratio(99.0),
        );
        let _infallible = writeln!(text, "{}", line.trim_end());
    }
    for floor in &cell.floors {
        let percent = floor.share * 100.0;
        let _infallible = writeln!(
            text,
            "  two equal paths differ by up to {percent:.1} % at p{} (A/A floor)",
            floor.percentile
        );
    }
    for member in cell.members.iter().filter(|member| !member.member.is_twin) {
        words(text, member, paint);
        if let Some(attribution) = &member.attribution {
            let _infallible = writeln!(text, "  {}: {attribution}", member.member);
        }
    }
    picture(text, result, group, cell);
}

/// What it means, as plainly for those that lose as for those that win: a line for each.
fn words(text: &mut String, member: &MemberResult, paint: &dyn Fn(Style, &str) -> String) {
    if member.versus.is_empty() {
        return;
    }
    let said = COMPARED.into_iter().filter_map(|percentile| {
        let versus = member.versus.iter().find(|it| same(it.percentile, percentile))?;
        let word = versus.word.to_string();
        let by = versus.ratio.map_or("some of it never came".to_owned(), |ratio| {
            format!("{:.2} times the time", ratio.value)
        });
        let word = match versus.word {
            Word::Faster => format!("{} ({by})", paint(FASTER, &word)),
            Word::Slower => format!("{} ({by})", paint(SLOWER, &word)),
            Word::NoDifference { .. } | Word::Inconclusive { .. } => word,
        };
        Some(format!("p{percentile} {word}"))
    });
    let mut said: Vec<String> = said.collect();
    // What holds for all of them is said once.
    let rest = |said: &String| said.split_once(' ').map(|(_, rest)| rest.to_owned());
    if let Some(all) = said.first().and_then(rest)
        && said.iter().all(|one| rest(one).is_some_and(|rest| rest == all))
    {
        said = vec![all];
    }
    let _infallible = writeln!(text, "  {}: {}", member.member, said.join("; "));
}

/// At most three distributions side by side: the reference and who differs most from it, to either side.
fn picture(text: &mut String, result: &RunResult, group: &GroupResult, cell: &CellResult) {
    let of = |member| {
        let mut together: Option<Histogram<u64>> = None;
        let trials = result.trials.iter().filter(|it: &&Trial| {
            it.group == group.kind && it.cell == cell.cell && it.member == member && it.is_valid()
        });
        for trial in trials {
            let Ok(histogram) = decode(&trial.response_hdr) else { continue };
            match &mut together {
                Some(sum) => drop(sum.add(&histogram)),
                None => together = Some(histogram),
            }
        }
        together
    };
    let by_ratio = |member: &&MemberResult| {
        let versus = member.versus.iter().find(|it| same(it.percentile, 50.0))?;
        versus.ratio.map(|ratio| ratio.value)
    };
    let others: Vec<&MemberResult> = cell
        .members
        .iter()
        .filter(|member| !member.member.is_twin && by_ratio(member).is_some())
        .collect();
    let order = |a: &&&MemberResult, b: &&&MemberResult| {
        by_ratio(a).partial_cmp(&by_ratio(b)).unwrap_or(std::cmp::Ordering::Equal)
    };
    let fastest = others.iter().min_by(order).map(|member| member.member);
    let slowest = others.iter().max_by(order).map(|member| member.member);
    let mut shown = vec![group.reference];
    for member in [fastest, slowest].into_iter().flatten() {
        if !shown.contains(&member) {
            shown.push(member);
        }
    }
    let distributions: Vec<(String, Histogram<u64>)> =
        shown.into_iter().filter_map(|member| Some((member.to_string(), of(member)?))).collect();
    let series: Vec<Series<'_>> =
        distributions.iter().map(|(title, histogram)| Series { title, histogram }).collect();
    for line in draw(&series, 110) {
        let _infallible = writeln!(text, "  {line}");
    }
}

fn same(a: f64, b: f64) -> bool {
    (a - b).abs() < 1e-9
}

fn shown(all: &[Percentile], wanted: f64) -> String {
    let Some(found) = all.iter().find(|it| same(it.percentile, wanted)) else {
        return "–".to_owned();
    };
    let time = found.ns.map_or_else(|| "lost".to_owned(), say::time);
    match found.support {
        Support::Firm => time,
        Support::Weak => format!("{time}*"),
    }
}

fn shown_ratio(versus: &Versus) -> String {
    match &versus.ratio {
        Some(ratio) => format!("{:.3} [{:.3}, {:.3}]", ratio.value, ratio.low, ratio.high),
        None => "–".to_owned(),
    }
}

fn loss(member: &MemberResult) -> String {
    match (member.lost, member.sent) {
        (_, 0) => "no trial".to_owned(),
        (0, _) => "0".to_owned(),
        (lost, sent) => {
            #[expect(clippy::cast_precision_loss, reason = "a share with three digits")]
            let percent = lost as f64 / sent as f64 * 100.0;
            format!("{percent:.3} %")
        }
    }
}
