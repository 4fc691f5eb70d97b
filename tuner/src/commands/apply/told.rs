//! What `barewire-tune apply` says of what it does, to people and in JSON.

use std::time::Duration;

use crate::{
    Exit,
    commands::{
        Failure, Session,
        changes::{self, Answer},
    },
    executor::Event,
    journal::{Deed, Effect, Entry, Guard, Way},
};

/// How a run is carried out and told of.
#[derive(Debug, Clone, Copy)]
pub(in crate::commands) struct How {
    /// Is the answer JSON?
    pub(in crate::commands) json: bool,
    /// After how long it is rolled back unless somebody confirms.
    pub(in crate::commands) confirm_within: Option<Duration>,
}

impl How {
    /// The answer, where it is JSON; people were told on the way.
    pub(super) fn answer(
        self,
        exit: Exit,
        entry: Option<u32>,
        events: &[Event],
        left: &[String],
        session: &mut Session<'_>,
    ) -> Result<(), Failure> {
        if !self.json {
            return Ok(());
        }
        let entries = Vec::from_iter(entry);
        session.json(&Answer {
            version: 1,
            end: exit.into(),
            entries,
            events,
            left,
            unread: &[],
            until_reboot: false,
        })
    }
}

pub(super) fn summary(entry: &Entry, session: &mut Session<'_>) -> std::io::Result<()> {
    let number = changes::numbered(entry.number);
    let err = &mut *session.err;
    writeln!(err, "applied as {number}; `barewire-tune rollback` undoes it")?;
    if let Some(confirmation) = &entry.confirmation {
        let by = match &confirmation.guard {
            Guard::Timer { unit } => format!("{unit}.timer"),
            Guard::Process { pid } => format!("process {pid}"),
            Guard::None => "nothing".to_owned(),
        };
        let within = confirmation.within_s;
        writeln!(
            err,
            "it is rolled back in {within} s (by {by}), or when the machine is started anew, unless \
             you connect anew and run `barewire-tune confirm` before"
        )?;
    }
    if entry.trial.is_some() {
        writeln!(
            err,
            "the next boot, and only that one, tries the kernel arguments out; \
             `barewire-tune verify --boot` makes them last"
        )?;
    } else if is_pending(entry) {
        writeln!(err, "some of it counts after a reboot")?;
    }
    Ok(())
}

/// Does something of it count after a reboot only?
pub(super) fn is_pending(entry: &Entry) -> bool {
    entry.trial.is_some()
        || entry.effects.iter().any(|effect| {
            entry.steps.get(effect.step).is_some_and(|step| step.change.needs_reboot())
        })
}

pub(in crate::commands) fn nothing(how: How, session: &mut Session<'_>) -> Result<Exit, Failure> {
    how.answer(Exit::Success, None, &[], &[], session)?;
    if !how.json {
        writeln!(session.err, "everything is as it should be; nothing was written")?;
    }
    Ok(Exit::Success)
}

pub(in crate::commands) fn dry_run(
    how: How,
    effects: &[Effect],
    session: &mut Session<'_>,
) -> Result<Exit, Failure> {
    let events: Vec<Event> = effects
        .iter()
        .filter_map(|effect| match &effect.deed {
            Deed::Turn { knob, from, to } => {
                Some(Event::Done { what: knob.name(), from: from.summary(), to: to.summary() })
            }
            Deed::Run { command, way: Way::There } => Some(Event::Done {
                what: command.join(" "),
                from: String::new(),
                to: "run".to_owned(),
            }),
            Deed::Run { way: Way::Back, .. } => None,
        })
        .collect();
    how.answer(Exit::Success, None, &events, &[], session)?;
    if how.json {
        return Ok(Exit::Success);
    }
    for event in &events {
        if let Event::Done { what, from, to } = event {
            match from.is_empty() {
                true => writeln!(session.out, "would run  {what}")?,
                false => writeln!(session.out, "would set  {what}: {from} -> {to}")?,
            }
        }
    }
    Ok(Exit::Success)
}
