//! The verbs, one module each.

mod analyze;
mod apply;
mod bind;
mod changes;
mod completions;
mod configuration;
mod confirm;
mod dead_man;
mod diff;
mod facts;
mod gate;
mod history;
mod man;
mod measure;
mod measurement;
mod plan;
mod rollback;
mod schema;
mod unheard;
mod verify;
mod watch;

use std::{
    ffi::OsString,
    io::{self, Write},
    path::PathBuf,
};

use clap::{Args, CommandFactory as _, Parser, Subcommand, ValueEnum, error::ErrorKind};

use crate::{
    Exit, Facts, Finding, Intent, Source, capture::CaptureError, checks, exit, facts::boot::Loader,
    report::Report,
};

pub(crate) use measure::Measure;
pub(crate) use unheard::Unheard;

/// Takes a server from stock to one on which a poll-mode worker is left alone, and back.
#[derive(Debug, Parser)]
#[command(name = "barewire-tune", version, after_help = exit::TABLE, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    common: Common,
}

/// What every verb takes.
#[derive(Debug, Clone, Args)]
pub(crate) struct Common {
    /// Look at the machine whose files are below this directory instead of this one.
    #[arg(long, global = true, value_name = "DIR", default_value = "/")]
    pub(crate) root: PathBuf,
    /// Look at the machine in this archive, which `facts --capture` made.
    #[arg(long, global = true, value_name = "X.tar", conflicts_with = "root")]
    pub(crate) snapshot: Option<PathBuf>,
    /// The configuration that the daemon runs with; /etc/barewire/barewire.toml where that exists, otherwise what fits
    /// this machine.
    #[arg(short, long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Go without a configuration, for what fits this machine.
    #[arg(long, global = true, conflicts_with = "config")]
    pub(crate) without_config: bool,
    #[command(flatten)]
    pub(crate) state: changes::StateDir,
    /// When to use colours (NO_COLOR is honoured).
    #[arg(long, global = true, value_enum, default_value_t = Color::Auto)]
    pub(crate) color: Color,
}

/// When to use colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal, unless NO_COLOR is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Say everything that is known about the machine.
    Facts(facts::Args),
    /// Say what is good and what is not, why, and what would mend it.
    Analyze(analyze::Args),
    /// Say what would be done, and do nothing.
    Plan(plan::Args),
    /// Do what the plan says, so that it can be undone.
    Apply(Box<apply::Args>),
    /// Say what of all that was applied took, and what waits for a reboot.
    Verify(verify::Args),
    /// Undo what was applied.
    Rollback(rollback::Args),
    /// Say what was applied and undone, run by run.
    History(history::Args),
    /// Say that you can still get in: what was applied with `--confirm-within` stays.
    Confirm(confirm::Args),
    /// Give devices to poll-mode drivers, but none that anybody needs.
    Bind(bind::Args),
    /// Take devices back from poll-mode drivers.
    Unbind(bind::Back),
    #[command(hide = true)]
    DeadMan(dead_man::Args),
    /// Approve the machine, or not: for CI and provisioning, by exit code.
    Gate(gate::Args),
    /// Say what differs between machines that should be alike.
    Diff(diff::Args),
    /// Say what changed since the last time, one line for each transition.
    Watch(watch::Args),
    /// Measure what this host does to a thread that wants to be left alone.
    Measure(measurement::Args),
    /// Print the JSON Schema of what `analyze --json` answers.
    Schema(schema::Args),
    #[command(hide = true)]
    Completions(completions::Args),
    #[command(hide = true)]
    Man(man::Args),
}

/// What is around the process; the library asks for nothing itself.
#[derive(Debug, Clone, Default)]
pub struct Surroundings {
    /// Is standard output a terminal?
    pub stdout_is_terminal: bool,
    /// Is standard error a terminal?
    pub stderr_is_terminal: bool,
    /// Did the user ask for no colours?
    pub no_color: bool,
    /// Does standard output go to the journal (`JOURNAL_STREAM` is set)?
    pub is_journal: bool,
    /// `SSH_CONNECTION`: the way in that must not be cut.
    pub ssh_connection: Option<String>,
    /// This program's file: what a dead man's switch runs.
    pub program: Option<PathBuf>,
    /// What makes timers (`systemd-run`); none where systemd does not run.
    pub timers: Option<PathBuf>,
}

/// What a verb works with.
pub(crate) struct Session<'a> {
    pub(crate) common: Common,
    pub(crate) surroundings: &'a Surroundings,
    pub(crate) out: &'a mut dyn Write,
    pub(crate) err: &'a mut dyn Write,
    /// Whether somebody who read stopped doing so.
    pub(crate) unheard: Unheard,
}

/// Why a verb failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The machine's directory can not be opened.
    #[error(transparent)]
    Root(#[from] linux::ReadError),
    /// A captured machine can not be read or written.
    #[error(transparent)]
    Capture(#[from] crate::capture::CaptureError),
    /// The configuration file is wrong.
    #[error("{0}")]
    Config(config::Errors),
    /// The built-in configuration is wrong.
    #[error(transparent)]
    Intent(#[from] crate::IntentError),
    /// The machine can not be measured.
    #[error(transparent)]
    Measure(#[from] noise::MeasureError),
    /// The machine was not changed, or not back.
    #[error(transparent)]
    Stopped(#[from] changes::Stopped),
    /// What was asked for does not exist.
    #[error("{0}")]
    Usage(String),
    /// The output could not be written.
    #[error("cannot write the output")]
    Output(#[from] io::Error),
    /// Something could not be put into JSON.
    #[error("cannot write JSON")]
    Json(serde_json::Error),
}

impl From<serde_json::Error> for Failure {
    /// What could not be written is not what could not be put into JSON.
    fn from(error: serde_json::Error) -> Self {
        if error.is_io() { Self::Output(error.into()) } else { Self::Json(error) }
    }
}

impl Failure {
    fn exit(&self) -> Exit {
        match self {
            Self::Stopped(stopped) => stopped.exit,
            Self::Capture(CaptureError::Write { .. }) => Exit::Internal,
            Self::Root(_) | Self::Capture(_) | Self::Config(_) | Self::Usage(_) => Exit::Usage,
            Self::Intent(_) | Self::Measure(_) | Self::Json(_) => Exit::Internal,
            Self::Output(_) => Exit::Internal,
        }
    }
}

/// One look at a machine.
pub(crate) struct Look {
    pub(crate) intent: Intent,
    pub(crate) findings: Vec<Finding>,
    pub(crate) loader: Option<Loader>,
}

impl Look {
    pub(crate) fn report(&self) -> Report {
        Report::new(&self.findings, &self.intent, self.loader.as_ref())
    }
}

impl Session<'_> {
    /// The machine that was asked about.
    pub(crate) fn source(&self) -> Result<Source, Failure> {
        let source = match &self.common.snapshot {
            Some(archive) => Source::snapshot(archive)?,
            None => Source::at(&self.common.root)?,
        };
        Ok(source.with_state(self.common.state.path()?))
    }

    /// Looks at the machine, watches it if that is asked for, and runs every check.
    pub(crate) fn look(&mut self, measure: Measure) -> Result<Look, Failure> {
        let source = self.source()?;
        let facts = Facts::read(&source);
        let intent = self.intent(&source, &facts)?;
        let measured = self.measured(measure, &source, &intent)?;
        let context = checks::Context::new(&facts, &intent).with_measured(measured.as_ref());
        let findings = checks::run(&context);
        Ok(Look { intent, findings, loader: facts.boot.loader().cloned() })
    }

    /// Answers in JSON.
    pub(crate) fn json(&mut self, answer: &impl serde::Serialize) -> Result<(), Failure> {
        serde_json::to_writer_pretty(&mut *self.out, answer)?;
        Ok(writeln!(self.out)?)
    }

    /// Are colours wanted on standard output?
    pub(crate) fn has_color(&self) -> bool {
        match self.common.color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => self.surroundings.stdout_is_terminal && !self.surroundings.no_color,
        }
    }
}

/// The command line, described: for manual pages and completions.
#[must_use]
pub fn command() -> clap::Command {
    Cli::command()
}

/// Runs one command: data to `out`, talk to `err`.
pub fn run(
    args: impl IntoIterator<Item = impl Into<OsString> + Clone>,
    surroundings: &Surroundings,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Exit {
    let unheard = Unheard::default();
    let (out, err) = (&mut unheard.around(out), &mut unheard.around(err));
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => return explain(&error, out, err),
    };
    let mut session = Session { common: cli.common, surroundings, out, err, unheard };
    let done = match cli.command {
        Command::Facts(args) => facts::run(&args, &mut session),
        Command::Analyze(args) => analyze::run(&args, &mut session),
        Command::Plan(args) => plan::run(&args, &mut session),
        Command::Apply(args) => apply::run(&args, &mut session),
        Command::Verify(args) => verify::run(&args, &mut session),
        Command::Rollback(args) => rollback::run(&args, &mut session),
        Command::History(args) => history::run(&args, &mut session),
        Command::Confirm(args) => confirm::run(&args, &mut session),
        Command::Bind(args) => bind::bind(&args, &mut session),
        Command::Unbind(args) => bind::unbind(&args, &mut session),
        Command::DeadMan(args) => dead_man::run(&args, &mut session),
        Command::Gate(args) => gate::run(&args, &mut session),
        Command::Diff(args) => diff::run(&args, &mut session),
        Command::Watch(args) => watch::run(&args, &mut session),
        Command::Measure(args) => measurement::run(&args, &mut session),
        Command::Schema(args) => schema::run(&args, &mut session),
        Command::Completions(args) => completions::run(&args, &mut session),
        Command::Man(args) => man::run(&args, &mut session),
    };
    match done {
        Ok(exit) => exit,
        Err(failure) => {
            let mut text = format!("error: {failure}");
            let mut cause = std::error::Error::source(&failure);
            while let Some(error) = cause {
                text.push_str(&format!(": {error}"));
                cause = error.source();
            }
            if let Failure::Stopped(stopped) = &failure
                && let Some(help) = stopped.advice()
            {
                text.push_str(&format!("\nhelp: {help}"));
            }
            // Nobody is left to tell when standard error can not be written either.
            let _ = writeln!(session.err, "{}", harmless(&text));
            failure.exit()
        }
    }
}

/// What a file has in it that is not what it should be may be quoted, and must not steer the terminal.
fn harmless(text: &str) -> String {
    let harmless = |c: char| c == '\n' || c == '\t' || !c.is_control();
    text.chars().map(|c| if harmless(c) { c } else { char::REPLACEMENT_CHARACTER }).collect()
}

/// clap's own texts: help and version are data, errors are talk.
fn explain(error: &clap::Error, out: &mut dyn Write, err: &mut dyn Write) -> Exit {
    let is_answer = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    let to: &mut dyn Write = if is_answer { out } else { err };
    // There is nobody to tell about a full disk but the exit code.
    match (is_answer, write!(to, "{}", error.render())) {
        (true, Ok(())) => Exit::Success,
        (true, Err(error)) => Failure::Output(error).exit(),
        (false, _) => Exit::Usage,
    }
}
