//! `barewire-tune plan`

use std::collections::BTreeSet;

use clap::ValueEnum;
use config::{CheckId, Wish};

use super::{Failure, Session};
use crate::{
    Exit, Facts, Finding, Intent, Profile, Source, Verdict, checks,
    intent::Origin,
    plan::{Plan, Wishes, render},
};

/// Say what would be done, and do nothing.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    pub(super) wanted: Wanted,
    #[command(flatten)]
    measure: super::Measure,
    /// In which notation to answer.
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// The same as `--format json`.
    #[arg(long, conflicts_with = "format")]
    json: bool,
}

/// What is wanted of a plan.
#[derive(Debug, Clone, Default, clap::Args)]
pub(super) struct Wanted {
    /// What matters most; what the configuration says, unless it is given here.
    #[arg(long, value_enum)]
    profile: Option<Profile>,
    /// Only what these checks want.
    #[arg(long, value_name = "ID", value_delimiter = ',', value_parser = id)]
    only: Vec<CheckId>,
    /// Nothing of what these checks want.
    #[arg(long, value_name = "ID", value_delimiter = ',', value_parser = id)]
    skip: Vec<CheckId>,
    /// What these checks want, even where experts disagree.
    #[arg(long, value_name = "ID", value_delimiter = ',', value_parser = id)]
    apply: Vec<CheckId>,
    /// Another value than the one that a check wants.
    #[arg(long, value_name = "ID=VALUE", value_parser = assignment)]
    set: Vec<(CheckId, String)>,
    /// What this check wants, though it does harm.
    #[arg(long = "i-want", value_name = "ID", value_parser = id)]
    i_want: Vec<CheckId>,
}

/// In which notation to answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people.
    Table,
    /// For programs.
    Json,
    /// A script that does it.
    Sh,
    /// What changes, file by file.
    Diff,
}

fn id(text: &str) -> Result<CheckId, String> {
    text.to_ascii_uppercase().parse().map_err(|error: config::CheckIdError| error.to_string())
}

fn assignment(text: &str) -> Result<(CheckId, String), String> {
    let (id, value) = text.split_once('=').ok_or("ID=VALUE is wanted")?;
    let id = self::id(id)?;
    match value {
        "" => Err("the value is empty".to_owned()),
        value => Ok((id, value.to_owned())),
    }
}

pub(super) fn run(args: &Args, session: &mut Session<'_>) -> Result<Exit, Failure> {
    let source = session.source()?;
    let plan = make(&args.wanted, args.measure, &source, session)?;
    match if args.json { Format::Json } else { args.format } {
        Format::Table => render::table(&plan, session.out)?,
        Format::Json => session.json(&plan)?,
        Format::Sh => render::sh(&plan, session.out)?,
        Format::Diff => render::diff(&plan, session.out)?,
    }
    Ok(Exit::Success)
}

/// The plan for the machine that was asked about.
pub(super) fn make(
    wanted: &Wanted,
    measure: super::Measure,
    source: &Source,
    session: &mut Session<'_>,
) -> Result<Plan, Failure> {
    let facts = Facts::read(source);
    let mut intent = session.intent(source, &facts)?;
    if let Origin::Found(file) = &intent.origin {
        writeln!(session.err, "planned for {}", file.display())?;
    }
    let mut wishes = wanted.wishes(&intent)?;
    intent.profile = wishes.profile;
    let measured = session.measured(measure, source, &intent)?;
    let context = checks::Context::new(&facts, &intent);
    let unmeasured = checks::run(&context);
    let findings = match &measured {
        None => unmeasured,
        Some(measured) => {
            let findings = checks::run(&context.with_measured(Some(measured)));
            wishes.measured = decided(&unmeasured, &findings);
            findings
        }
    };
    Ok(Plan::new(&findings, &intent, &facts, source, &wishes))
}

/// The contested checks whose verdict came from the measurement: without it they said less.
fn decided(unmeasured: &[Finding], measured: &[Finding]) -> BTreeSet<String> {
    let is_flagged = |finding: &Finding| matches!(finding.verdict, Verdict::Warn | Verdict::Bad);
    measured
        .iter()
        .filter(|finding| finding.is_contested && is_flagged(finding))
        .filter(|finding| {
            let before = unmeasured.iter().find(|before| before.id == finding.id);
            before.is_none_or(|before| !is_flagged(before))
        })
        .map(|finding| finding.id.to_owned())
        .collect()
}

impl Wanted {
    /// What the configuration asks for, with what the command line says of it.
    fn wishes(&self, intent: &Intent) -> Result<Wishes, Failure> {
        let usage = |error: crate::plan::WishesError| Failure::Usage(error.to_string());
        let mut wishes = Wishes::from_config(&intent.tune).map_err(usage)?;
        wishes.profile = self.profile.unwrap_or(wishes.profile);
        wishes.only = self.only.iter().map(ToString::to_string).collect();
        wishes.i_want.extend(self.i_want.iter().map(ToString::to_string));
        let named =
            [(&self.skip, Wish::Skip), (&self.apply, Wish::Apply), (&self.i_want, Wish::Apply)];
        for (ids, wish) in named {
            for id in ids {
                // A value that is set stays the value.
                let is_value = matches!(wishes.set.get(id.as_str()), Some(Wish::Value(_)));
                if !(is_value && wish == Wish::Apply) {
                    wishes.set.insert(id.to_string(), wish.clone());
                }
            }
        }
        for (id, value) in &self.set {
            wishes.set.insert(id.to_string(), Wish::Value(value.clone()));
        }
        wishes.check().map_err(usage)?;
        Ok(wishes)
    }
}
