//! `barewire-tune gate`

use std::{
    fs,
    path::{Path, PathBuf},
};

use jiff::Zoned;

use super::{Failure, Session, analyze};
use crate::{
    Exit,
    gate::{self, Effect, Rules},
    report::Report,
};

/// The largest file of waivers or baseline, in bytes.
const MOST: u64 = 16 << 20;

/// Approve the machine, or not: for CI and provisioning, by exit code.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Warnings close the gate too, and so does everything that is unknown.
    #[arg(long)]
    strict: bool,
    /// Only these checks count.
    #[arg(long, value_name = "ID", value_delimiter = ',')]
    id: Vec<String>,
    /// What is let through, each with a reason and a last day, in TOML.
    #[arg(long, value_name = "FILE")]
    waivers: Option<PathBuf>,
    /// What `analyze --json` said before: only what got worse counts.
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    #[command(flatten)]
    measure: super::Measure,
    /// Answer in JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args, session: &mut Session<'_>) -> Result<Exit, Failure> {
    let mut only = Vec::new();
    for id in &args.id {
        only.push(analyze::check(id)?.id.to_owned());
    }
    let waivers = match &args.waivers {
        Some(file) => gate::waivers(&read(file)?)
            .map_err(|error| Failure::Usage(format!("{}: {error}", file.display())))?,
        None => Vec::new(),
    };
    let baseline = match &args.baseline {
        Some(file) => Some(report(file)?),
        None => None,
    };
    let rules = Rules { is_strict: args.strict, only, waivers, baseline };
    let report = session.look(args.measure)?.report();
    let judgement = gate::judge(&report, &rules, Zoned::now().date());
    let exit = judgement.summary.exit;
    if args.json {
        session.json(&judgement)?;
        return Ok(exit);
    }
    for counted in &judgement.counted {
        let effect = match counted.effect {
            Effect::Closes => "closes the gate",
            Effect::Waived => "waived",
            Effect::Known => "known",
            Effect::Noted => "noted",
        };
        let note = match counted.note.as_str() {
            "" => String::new(),
            note => format!(" ({note})"),
        };
        let gate::Counted { id, verdict, seen, .. } = counted;
        writeln!(session.out, "{verdict:<7} {id:<8} {effect}{note}: {seen}")?;
    }
    let word = if judgement.summary.is_approved { "approved" } else { "not approved" };
    let gate::Summary { exit_reason, judged, .. } = &judgement.summary;
    writeln!(session.out, "{word}: {exit_reason} ({judged} checks judged)")?;
    Ok(exit)
}

/// A report that was written as JSON.
pub(super) fn report(file: &Path) -> Result<Report, Failure> {
    serde_json::from_str(&read(file)?)
        .map_err(|error| Failure::Usage(format!("{} is not a report: {error}", file.display())))
}

fn read(file: &Path) -> Result<String, Failure> {
    let fail = |error: std::io::Error| Failure::Usage(format!("{}: {error}", file.display()));
    let size = fs::metadata(file).map_err(fail)?.len();
    if size > MOST {
        return Err(Failure::Usage(format!("{} is larger than 16 MiB", file.display())));
    }
    fs::read_to_string(file).map_err(fail)
}
