//! `barewire-tune diff`

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{Failure, Session};
use crate::{
    Exit, Facts, Source, checks,
    fleet::{self, Member},
    report::Report,
};

/// Say what differs between machines that should be alike.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Two machines or more: archives and folders that `facts --capture` made, or `analyze --json` reports.
    #[arg(required = true, num_args = 2.., value_name = "MACHINE")]
    machines: Vec<PathBuf>,
    /// Compare every fact too, not only what the checks say. Counters differ on any two machines.
    #[arg(long)]
    facts: bool,
    /// Answer in JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args, session: &mut Session<'_>) -> Result<Exit, Failure> {
    let mut members = Vec::new();
    for path in &args.machines {
        members.push(member(path, args.facts, session)?);
    }
    let differences = fleet::compare(&members);
    if args.json {
        session.json(&differences)?;
        return Ok(Exit::Success);
    }
    for check in &differences.checks {
        writeln!(session.out, "{} {}", check.id, check.title)?;
        for answer in &check.answers {
            let fleet::Answer { verdict, seen, machines } = answer;
            writeln!(session.out, "  {verdict:<7} {}: {seen}", machines.join(", "))?;
        }
    }
    for fact in &differences.facts {
        writeln!(session.out, "{}", fact.path)?;
        for (value, machines) in &fact.values {
            let value = value.as_deref().unwrap_or("not there");
            writeln!(session.out, "  {}: {value}", machines.join(", "))?;
        }
    }
    let (checks, machines) = (differences.checks.len(), members.len());
    writeln!(session.out, "{checks} checks differ between {machines} machines")?;
    Ok(Exit::Success)
}

fn member(path: &Path, with_facts: bool, session: &Session<'_>) -> Result<Member, Failure> {
    let name = path.display().to_string();
    let has_extension = |wanted| path.extension().is_some_and(|extension| extension == wanted);
    if has_extension("json") {
        if with_facts {
            let why = "is a report, which has no facts: give captured machines, or no --facts";
            return Err(Failure::Usage(format!("{name} {why}")));
        }
        return Ok(Member { name, report: super::gate::report(path)?, facts: Value::Null });
    }
    let source = if has_extension("tar") { Source::snapshot(path)? } else { Source::at(path)? };
    let facts = Facts::read(&source);
    let intent = session.intent(&source, &facts)?;
    let findings = checks::run(&checks::Context::new(&facts, &intent));
    let report = Report::new(&findings, &intent, facts.boot.loader());
    let facts = if with_facts { serde_json::to_value(&facts)? } else { Value::Null };
    Ok(Member { name, report, facts })
}
