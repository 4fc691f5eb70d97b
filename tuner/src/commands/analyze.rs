//! `barewire-tune analyze`

mod about;

use std::time::Duration;

use clap::ValueEnum;

use super::{Failure, Session};
use crate::{
    Exit, Fact, Facts, Finding, Section, checks,
    facts::process::{Counting, Process, ProcessError},
    report,
};

/// For how long a process is counted when nothing is measured.
const MOMENT: Duration = Duration::from_millis(250);

/// Say what is good and what is not, why, and what would mend it.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Only these checks.
    #[arg(long, value_name = "ID", value_delimiter = ',')]
    id: Vec<String>,
    /// Only these parts of the report.
    #[arg(long, value_enum, value_delimiter = ',')]
    section: Vec<Section>,
    #[command(flatten)]
    measure: super::Measure,
    /// Only what is about this network interface.
    #[arg(long, value_name = "IF")]
    interface: Option<String>,
    /// Look at this process too: a name or a number. What its threads cost is counted for as long as `--measure` says, or
    /// for a quarter of a second.
    #[arg(long, value_name = "NAME|PID")]
    process: Option<String>,
    /// In which notation to answer.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// The same as `--format json`.
    #[arg(long, conflicts_with = "format")]
    json: bool,
    /// Say on a page why a check matters, and look at nothing.
    #[arg(long, value_name = "ID", conflicts_with_all = ["id", "section", "interface", "format", "json"])]
    explain: Option<String>,
}

/// In which notation to answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people.
    Text,
    /// For programs; `barewire-tune schema` describes it.
    Json,
    /// For CI servers.
    Junit,
    /// For code-scanning services: SARIF 2.1.0.
    Sarif,
    /// For Prometheus' text collector.
    Prom,
    /// For a browser: one page that needs nothing else.
    Html,
}

pub(super) fn run(args: &Args, session: &mut Session<'_>) -> Result<Exit, Failure> {
    for id in args.id.iter().chain(&args.explain) {
        check(id)?;
    }
    if let Some(id) = &args.explain {
        return explain(check(id)?, session);
    }
    let source = session.source()?;
    let facts = Facts::read(&source);
    let about = match &args.interface {
        Some(name) => Some(about::About::new(&facts, name).map_err(Failure::Usage)?),
        None => None,
    };
    let intent = session.intent(&source, &facts)?;
    let mut process = match &args.process {
        Some(wanted) => Some(Process::read(&source, &facts, wanted).map_err(usage)?),
        None => None,
    };
    let counting = process.as_ref().filter(|_| source.is_live()).map(|process| {
        let paranoid = source.parse("proc/sys/kernel/perf_event_paranoid", "a number");
        Counting::start(process, paranoid.into_value())
    });
    let measured = session.measured(args.measure, &source, &intent)?;
    if let Some(process) = &mut process {
        process.cost = source.ask(&format!("process/{}/cost", process.id), || {
            let Some(counting) = counting else { return Fact::Absent };
            if measured.is_none() {
                // What is not watched for as long as somebody asked for is counted for a moment.
                std::thread::sleep(MOMENT);
            }
            Fact::Is(counting.finish())
        });
    }
    let context = checks::Context::new(&facts, &intent)
        .with_measured(measured.as_ref())
        .with_process(process.as_ref());
    let mut findings = checks::run(&context);
    findings.retain(|finding| is_wanted(args, finding));
    if let Some(about) = about {
        findings = findings.into_iter().filter_map(|finding| about.part_of(finding)).collect();
    }
    let report = report::Report::new(&findings, &intent, facts.boot.loader());
    let has_color = session.has_color();
    match if args.json { Format::Json } else { args.format } {
        Format::Text => report::text::write(&report, has_color, session.out)?,
        Format::Json => session.json(&report)?,
        Format::Junit => report::junit::write(&report, session.out)?,
        Format::Sarif => report::sarif::write(&report, session.out)?,
        Format::Prom => report::prometheus::write(&report, session.out)?,
        Format::Html => report::html::write(&report, session.out)?,
    }
    Ok(Exit::Success)
}

fn usage(error: ProcessError) -> Failure {
    Failure::Usage(error.to_string())
}

/// The check of that name, or a hint at one that is written alike.
pub(super) fn check(id: &str) -> Result<&'static checks::Check, Failure> {
    checks::catalogue().find(|check| check.id.eq_ignore_ascii_case(id)).ok_or_else(|| {
        let near = checks::catalogue()
            .map(|check| (strsim::damerau_levenshtein(check.id, &id.to_uppercase()), check.id))
            .min()
            .filter(|(distance, _)| *distance <= 2);
        let hint = near.map(|(_, near)| format!("; did you mean {near}?")).unwrap_or_default();
        Failure::Usage(format!("there is no check called {id:?}{hint}"))
    })
}

fn is_wanted(args: &Args, finding: &Finding) -> bool {
    (args.id.is_empty() || args.id.iter().any(|id| id.eq_ignore_ascii_case(finding.id)))
        && (args.section.is_empty() || args.section.contains(&finding.section))
}

fn explain(check: &checks::Check, session: &mut Session<'_>) -> Result<Exit, Failure> {
    let out = &mut *session.out;
    writeln!(out, "{} {} ({})\n\n{}.", check.id, check.title, check.section.title(), check.why)?;
    for paragraph in check.explain.split("\n\n") {
        writeln!(out, "\n{}", textwrap::fill(paragraph, 100))?;
    }
    if check.is_contested {
        writeln!(
            out,
            "\nExperts disagree about this one: only a measurement on this host may decide."
        )?;
    }
    if check.is_proposed {
        writeln!(out, "\nThe thresholds are our proposal, not somebody's published number.")?;
    }
    if !check.cost.is_empty() {
        writeln!(out, "\nWhat mending it costs: {}.", check.cost)?;
    }
    writeln!(out, "\nSources:")?;
    for source in check.sources {
        writeln!(out, "  {source}")?;
    }
    Ok(Exit::Success)
}
