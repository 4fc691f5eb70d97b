//! What nobody confirmed before the machine was started anew. The dead man's switch ends with its boot: whoever was cut
//! off and reset the machine gets it back as it was.

use std::io::{self, Write};

use super::{Args, boot_id};
use crate::{
    Exit,
    commands::{
        Failure, Session,
        changes::{self, Stopped},
        rollback,
    },
    executor::DeadMan,
    hands::Hands,
    journal,
};

/// Rolls back, with all that came after it, what waits for its confirmation since an earlier boot.
pub(super) fn undo(
    args: &Args,
    hands: &dyn Hands,
    session: &mut Session<'_>,
) -> Result<(), Failure> {
    let Some(number) = first(hands, session)? else { return Ok(()) };
    let name = changes::numbered(number);
    writeln!(session.err, "entry {name} was not confirmed before this boot: it is rolled back")?;
    if !args.dry_run {
        beside(number, session)?;
        if first(hands, session)? != Some(number) {
            return Ok(());
        }
    }
    let exit = here(number, args, session)?;
    if exit == Exit::Success || args.dry_run {
        return Ok(());
    }
    let what = format!("entry {name} could not be undone as a whole");
    Err(Stopped::new(exit, what).help(format!("{} --force", changes::undo(number))).into())
}

fn first(hands: &dyn Hands, session: &Session<'_>) -> Result<Option<u32>, Failure> {
    let state = session.common.state.path()?;
    let entries = journal::entries(hands, &state).map_err(changes::writing)?;
    let boot = boot_id(hands);
    let mut unconfirmed = entries.iter().filter(|entry| entry.is_unconfirmed(boot.as_deref()));
    Ok(unconfirmed.next().map(|entry| entry.number))
}

/// By systemd, as the switch would have: the unit that runs this at boot may not write all that an entry wrote.
fn beside(number: u32, session: &mut Session<'_>) -> Result<(), Failure> {
    let (Some(program), Some(timers)) =
        (session.surroundings.program.as_deref(), session.surroundings.timers.as_deref())
    else {
        return Ok(());
    };
    let state = session.common.state.path()?;
    let dead_man = DeadMan {
        program,
        timers: Some(timers),
        root: &session.common.root,
        state: &state,
        entry: number,
        within: std::time::Duration::ZERO,
    };
    dead_man.roll_back(timers, &mut *session.err);
    Ok(())
}

/// By this program; where the answer is JSON, which is about what is set, it says nothing.
fn here(number: u32, args: &Args, session: &mut Session<'_>) -> Result<Exit, Failure> {
    let mut nobody = io::sink();
    let out: &mut dyn Write = if args.json { &mut nobody } else { &mut *session.out };
    let mut session = Session {
        common: session.common.clone(),
        surroundings: session.surroundings,
        out,
        err: &mut *session.err,
        unheard: session.unheard.clone(),
    };
    let switch = rollback::Args { dry_run: args.dry_run, ..rollback::Args::of_the_switch(number) };
    rollback::run(&switch, &mut session)
}
