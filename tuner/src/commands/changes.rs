//! What the verbs share that change a machine, or look at what was changed.

use std::{
    path::PathBuf,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use rustix::io::Errno;
use serde::Serialize;

use super::{Failure, Session};
use crate::{
    Exit,
    executor::Event,
    hands::{Hands, HandsError, Real},
    journal::{DEFAULT_DIR, Journal, JournalError},
};

/// Where the journal is.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct StateDir {
    /// Where the journal of what was done is, below the root.
    #[arg(long, global = true, value_name = "DIR", default_value = "/var/lib/barewire/tune")]
    state: PathBuf,
}

impl Default for StateDir {
    fn default() -> Self {
        Self { state: PathBuf::from(DEFAULT_DIR) }
    }
}

impl StateDir {
    /// Its path from the root.
    pub(super) fn path(&self) -> Result<String, Failure> {
        match self.state.to_str().map(|text| text.trim_matches('/')) {
            Some(text) if !text.is_empty() => Ok(text.to_owned()),
            Some(_) | None => {
                Err(Failure::Usage(format!("{} can not hold a journal", self.state.display())))
            }
        }
    }
}

/// Why a verb that changes the machine did not.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub(crate) struct Stopped {
    /// What happened.
    what: String,
    /// What can be done about it.
    help: Option<String>,
    /// How the program ends.
    pub(super) exit: Exit,
    #[source]
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Stopped {
    pub(super) fn new(exit: Exit, what: impl Into<String>) -> Self {
        Self { what: what.into(), help: None, exit, source: None }
    }

    pub(super) fn refused(what: impl Into<String>) -> Self {
        Self::new(Exit::Refused, what)
    }

    pub(super) fn ending(self, exit: Exit) -> Self {
        Self { exit, ..self }
    }

    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// What can be done about it: for the end, after the causes.
    pub(super) fn advice(&self) -> Option<&str> {
        self.help.as_deref()
    }

    pub(super) fn because(
        mut self,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        self.source = Some(source.into());
        self
    }
}

impl Session<'_> {
    /// The hands on the machine that was named.
    pub(super) fn hands(&self) -> Result<Real, Failure> {
        if self.common.snapshot.is_some() {
            return Err(Failure::Usage("a captured machine can not be changed".to_owned()));
        }
        let root = &self.common.root;
        Real::at(root)
            .map_err(|error| Stopped::new(Exit::Usage, "this is no machine").because(error).into())
    }

    /// The journal, opened for writing.
    pub(super) fn journal(&self, hands: &dyn Hands, wait: Duration) -> Result<Journal, Failure> {
        if hands.is_live() && !rustix::process::geteuid().is_root() {
            let stopped = Stopped::refused("only root can change the machine");
            return Err(stopped
                .help("sudo barewire-tune …, or look first: barewire-tune plan")
                .into());
        }
        Journal::open(hands, &self.common.state.path()?, wait)
            .map_err(|error| writing(error).into())
    }

    /// Remembers each thing that was done, and tells it unless the answer is JSON.
    pub(super) fn telling<'a>(
        &'a mut self,
        is_json: bool,
        events: &'a mut Vec<Event>,
    ) -> impl FnMut(Event) + 'a {
        move |event| {
            if !is_json {
                self.tell(&event);
            }
            events.push(event);
        }
    }

    /// Tells what was done. That nobody listens any more stops nothing: the connection may be what was changed.
    pub(super) fn tell(&mut self, event: &Event) {
        let line = match event {
            Event::Done { what, from, to } if from.is_empty() => format!("ran       {what}: {to}"),
            Event::Done { what, from, to } => format!("set       {what}: {from} -> {to}"),
            Event::Skipped { what, why } => format!("left out  {what}: {why}"),
            Event::Differs { what, asked, is } => format!("rounded   {what}: {asked} -> {is}"),
            Event::Restored { what, to } => format!("restored  {what}: {to}"),
            Event::Kept { what, why } => format!("kept      {what}: {}", why.trim_end()),
            Event::Unseen { what, why } => format!("unseen    {what}: {}", why.trim_end()),
            Event::Failed { what, why } => format!("FAILED    {what}: {}", why.trim_end()),
        };
        let _ = writeln!(self.out, "{line}");
    }
}

/// A journal that can not be written, or not be trusted.
pub(super) fn writing(error: JournalError) -> Stopped {
    let (exit, help) = match &error {
        JournalError::Hands(HandsError::Locked { .. }) => (Exit::Refused, "wait for it to end"),
        JournalError::Damaged { .. } | JournalError::Newer { .. } => (
            Exit::Refused,
            "nothing was changed; `barewire-tune rollback --pristine` goes by pristine.json instead",
        ),
        JournalError::NoEntry { .. } => (Exit::Usage, "barewire-tune history"),
        JournalError::Unsafe { .. } => {
            (Exit::Refused, "chown root, chmod 0700, and look at what is in it")
        }
        JournalError::TooMany { .. } => (
            Exit::Refused,
            "remove the files of entries that `barewire-tune history` calls undone; \
             `barewire-tune rollback --pristine` works all the same",
        ),
        JournalError::Hands(_) => (Exit::Internal, ""),
    };
    let stopped = Stopped::new(exit, "the journal can not be used").because(error);
    if help.is_empty() { stopped } else { stopped.help(help) }
}

/// A journal that can not be read: nothing is known, which is never good.
pub(super) fn reading(error: JournalError) -> Stopped {
    let is_denied = match &error {
        JournalError::Hands(error) => matches!(error.errno(), Some(Errno::ACCESS | Errno::PERM)),
        _ => false,
    };
    match is_denied {
        true => {
            Stopped::new(Exit::Unknown, "the journal can not be read by this user").because(error)
        }
        false => writing(error).ending(Exit::Unknown),
    }
}

/// Seconds since 1970.
pub(super) fn now() -> u64 {
    // A clock before 1970 is wrong, and the moment is for people only.
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// A moment, for people: `2026-11-22 07:36:35Z`.
pub(super) fn moment(seconds: u64) -> String {
    i64::try_from(seconds)
        .ok()
        .and_then(|seconds| jiff::Timestamp::from_second(seconds).ok())
        .map_or_else(|| seconds.to_string(), |time| time.strftime("%F %TZ").to_string())
}

/// How the program ends, in JSON.
#[derive(Debug, Serialize)]
pub(super) struct End {
    exit: Exit,
    exit_reason: &'static str,
}

impl From<Exit> for End {
    fn from(exit: Exit) -> Self {
        let exit_reason = match exit {
            Exit::Success => "done",
            Exit::Warnings => "there are warnings",
            Exit::Bad => "something is not as it was applied",
            Exit::Unknown => "something could not be read",
            Exit::PendingReboot => "some of it counts after a reboot",
            Exit::Refused => "refused",
            Exit::RolledBack => "it failed, and everything is undone",
            Exit::Incomplete => "it failed in between, and not everything is undone",
            Exit::Usage => "the command line or a given file is wrong",
            Exit::Internal => "it failed for another reason",
        };
        Self { exit, exit_reason }
    }
}

/// What a verb that changes something answers in JSON.
#[derive(Debug, Serialize)]
pub(super) struct Answer<'a> {
    /// The version of this form.
    pub(super) version: u32,
    /// How the program ends, and what that means.
    #[serde(flatten)]
    pub(super) end: End,
    /// The entries of the journal that it is about.
    pub(super) entries: Vec<u32>,
    /// What was done.
    pub(super) events: &'a [Event],
    /// What is left that could not be undone; of `apply --boot`, what could not be set.
    pub(super) left: &'a [String],
    /// What can not be read, so that nobody knows whether it is undone.
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    pub(super) unread: &'a [String],
    /// Does the running kernel have arguments, up to the next boot, that are undone?
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) until_reboot: bool,
}

/// What undoes an entry and no earlier one.
pub(super) fn undo(number: u32) -> String {
    format!("barewire-tune rollback --to {}", numbered(number))
}

/// `0003`, as its file is called.
pub(super) fn numbered(number: u32) -> String {
    format!("{number:04}")
}
