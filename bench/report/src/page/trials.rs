//! Trials that do not count, each with why.

use std::collections::BTreeMap;

use bench_result::{
    generator::Fault,
    run::RunResult,
    trial::{Invalid, Trial},
};
use maud::{Markup, html};

use crate::{
    shown,
    table::{Table, Value},
};

/// More are in `trials.csv`.
const MOST: usize = 200;

pub(super) fn section(result: &RunResult) -> Markup {
    let invalid: Vec<&Trial> = result.trials.iter().filter(|trial| !trial.is_valid()).collect();
    let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
    for fault in invalid.iter().flat_map(|trial| &trial.faults) {
        *kinds.entry(kind(fault)).or_default() += 1;
    }
    html! {
        section #trials aria-labelledby="trials-title" {
            h2 #trials-title { "Trials that do not count" }
            @if invalid.is_empty() {
                p.lead { "All " (shown::whole(result.trials.len() as u64)) " trials count." }
            } @else {
                p.lead {
                    (invalid.len()) " of " (result.trials.len()) " trials do not count. They were repeated at most twice, decide nothing, "
                    "and stay in " code { "result.json" } "."
                }
                ul.tally {
                    @for (kind, count) in &kinds { li { b { (count) } " " (kind) } }
                }
                details.more {
                    summary { "Each of them, and why" }
                    (table(&invalid).markup())
                    @if invalid.len() > MOST {
                        p.fine { (invalid.len() - MOST) " more are in " code { "trials.csv" } "." }
                    }
                }
            }
        }
    }
}

/// What kind of fault, for counting.
fn kind(fault: &Invalid) -> &'static str {
    match fault {
        Invalid::Generator(Fault::Unsent { .. }) => "the generator did not send what it should",
        Invalid::Generator(Fault::Late { .. }) => "probes left too late",
        Invalid::Generator(Fault::Unexpected { .. }) => "frames came that were never sent",
        Invalid::Generator(Fault::Nothing) => "nothing was sent",
        Invalid::Stolen { .. } => "the hypervisor took a CPU away",
        Invalid::Waited { .. } => "something else had the path’s CPU",
        Invalid::Sent { .. } => "the kernel counted other frames leaving than we did",
        Invalid::Received { .. } => "the kernel counted other frames coming than we did",
        Invalid::Unstamped { .. } => "frames came without a usable stamp of the device",
        Invalid::Unbalanced => "frames are missing from the path’s own account",
    }
}

fn table(invalid: &[&Trial]) -> Table {
    let columns = [
        ("at", "at_s"),
        ("group", "group"),
        ("path", "path"),
        ("load and size", "cell"),
        ("block", "block"),
        ("attempt", "attempt"),
        ("why", "why"),
    ];
    let mut table = Table::new("Trials that do not count, in order", &columns);
    for trial in invalid.iter().take(MOST) {
        let why: Vec<String> = trial.faults.iter().map(ToString::to_string).collect();
        table.rows.push(vec![
            Value::number(trial.at_s, format!("{:.1} s", trial.at_s)),
            Value::text(trial.group.to_string()),
            Value::number(trial.member, shown::member(trial.member)),
            Value::text(shown::cell(trial.cell)),
            Value::number(trial.block, (trial.block + 1).to_string()),
            Value::number(trial.attempt, (trial.attempt + 1).to_string()),
            Value::text(why.join("; ")),
        ]);
    }
    table
}
