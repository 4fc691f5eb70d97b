//! `barewire-tune analyze`

use super::{Failure, Session};
use crate::{Exit, Facts, Finding, Section, checks, report};

/// Say what is good and what is not, why, and what would mend it.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Only these checks.
    #[arg(long, value_name = "ID", value_delimiter = ',')]
    id: Vec<String>,
    /// Only these parts of the report.
    #[arg(long, value_enum, value_delimiter = ',')]
    section: Vec<Section>,
}

pub(super) fn run(args: &Args, session: &mut Session<'_>) -> Result<Exit, Failure> {
    let wrong = args.id.iter().find(|id| checks::all().all(|check| check.id != **id));
    if let Some(id) = wrong {
        return Err(Failure::Usage(format!("there is no check called {id:?}")));
    }
    let source = session.source()?;
    let facts = Facts::read(&source);
    let intent = session.intent(&facts)?;
    let mut findings = checks::run(&checks::Context::new(&facts, &intent));
    findings.retain(|finding| is_wanted(args, finding));
    let has_color = session.has_color();
    report::text::write(&findings, has_color, session.out)?;
    Ok(Exit::Success)
}

fn is_wanted(args: &Args, finding: &Finding) -> bool {
    (args.id.is_empty() || args.id.iter().any(|id| id == finding.id))
        && (args.section.is_empty() || args.section.contains(&finding.section))
}
