//! `barewire-tune watch`

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use clap::ValueEnum;

use super::{Failure, Session, apply, changes};
use crate::{
    Exit,
    executor::{self, Verified},
    journal, report,
    watch::{self, Event, State},
};

/// How long the command that is told of an event may take.
const COMMAND_TIME: Duration = Duration::from_secs(30);
/// The largest state file, in bytes: some hundred checks have some ten kilobytes.
const MOST_STATE: u64 = 16 << 20;

/// Say what changed since the last time, one line for each transition.
///
/// The first run only remembers. Without --interval it looks once, which is what a systemd timer wants.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Where the last look is kept.
    #[arg(long, value_name = "FILE", default_value = "/var/lib/barewire/tune/watch.json")]
    last: PathBuf,
    /// What to do about what was applied and is something else now.
    #[arg(long, value_enum, default_value_t = Policy::Report)]
    policy: Policy,
    /// Look again and again, with so long a pause: `60s` (1s to 1440m).
    #[arg(long, value_name = "TIME", value_parser = super::measure::parse)]
    interval: Option<Duration>,
    /// Keep the state of all checks here, for Prometheus' text collector.
    #[arg(long, value_name = "FILE")]
    textfile: Option<PathBuf>,
    /// Run this program for each event, with the event as JSON on its standard input.
    #[arg(long, value_name = "PROGRAM")]
    exec: Option<PathBuf>,
    /// Write events as JSON, one a line.
    #[arg(long)]
    json: bool,
}

/// What to do about a machine that drifts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Policy {
    /// Say so.
    Report,
    /// Say so, and set again what was applied, as `apply --boot` does.
    Reassert,
}

pub(super) fn run(args: &Args, session: &mut Session<'_>) -> Result<Exit, Failure> {
    loop {
        once(args, session)?;
        match args.interval {
            // It ends with its reader.
            Some(pause) if !session.unheard.is_so() => thread::sleep(pause),
            _ => return Ok(Exit::Success),
        }
    }
}

fn once(args: &Args, session: &mut Session<'_>) -> Result<(), Failure> {
    let before = last_state(&args.last)?;
    let report = session.look(super::Measure::default())?.report();
    let mut applied = standing(session)?;
    if let Some(file) = &args.textfile {
        let mut text = Vec::new();
        report::prometheus::write(&report, &mut text)?;
        replace(file, &text)?;
    }
    let mut events = Vec::new();
    if let Some(before) = &before {
        events.extend(watch::transitions(before, &report));
        events.extend(watch::drift(before, &applied));
    }
    for event in &events {
        say(event, args.json, session)?;
        if let Some(program) = &args.exec
            && let Err(error) = tell(program, event)
        {
            writeln!(session.err, "warning: {}: {error}", program.display())?;
        }
    }
    if args.policy == Policy::Reassert
        && !State::of(&report).with_applied(&applied).drifted.is_empty()
    {
        let hands = session.hands()?;
        let count = apply::reassert(&hands, session)?;
        writeln!(session.err, "set {count} things again")?;
        applied = standing(session)?;
    }
    session.out.flush()?;
    // Last, so that an event that could not be said is said the next time.
    let state = State::of(&report).with_applied(&applied);
    replace(&args.last, &serde_json::to_vec_pretty(&state)?)
}

/// How everything stands that was applied here; nothing of a captured machine, or where nothing was.
fn standing(session: &Session<'_>) -> Result<Vec<Verified>, Failure> {
    if session.common.snapshot.is_some() {
        return Ok(Vec::new());
    }
    let hands = session.hands()?;
    let entries =
        journal::entries(&hands, &session.common.state.path()?).map_err(changes::reading)?;
    Ok(executor::verify(&hands, &entries))
}

fn last_state(file: &Path) -> Result<Option<State>, Failure> {
    let wrong = |why: String| {
        let file = file.display();
        Failure::Usage(format!(
            "{file} is not a state of this program: {why}; remove it to begin anew"
        ))
    };
    match fs::metadata(file) {
        Ok(metadata) if metadata.len() > MOST_STATE => return Err(wrong("too large".to_owned())),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(wrong(error.to_string())),
    }
    let text = fs::read_to_string(file).map_err(|error| wrong(error.to_string()))?;
    let state: State = serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
    if state.schema != watch::SCHEMA {
        return Err(wrong(format!("version {}", state.schema)));
    }
    Ok(Some(state))
}

fn say(event: &Event, as_json: bool, session: &mut Session<'_>) -> Result<(), Failure> {
    let text = if as_json {
        serde_json::to_string(event)?
    } else {
        let Event { id, title, from, to, was, seen, .. } = event;
        format!("{id} {title}: {from} became {to}: {seen} (was: {was})")
    };
    // To the journal, the priority goes in front of the line (sd-daemon(3)).
    if session.surroundings.is_journal {
        write!(session.out, "<{}>", event.severity.priority())?;
    }
    Ok(writeln!(session.out, "{text}")?)
}

/// Tells a program of an event, and waits for it, but not for ever.
fn tell(program: &Path, event: &Event) -> io::Result<()> {
    let mut child = Command::new(program).stdin(Stdio::piped()).stdout(Stdio::null()).spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        let line = serde_json::to_string(event)?;
        match writeln!(stdin, "{line}") {
            // It may not want to know more.
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => return Err(error),
            _ => {}
        }
    }
    wait(&mut child)
}

fn wait(child: &mut Child) -> io::Result<()> {
    let deadline = Instant::now() + COMMAND_TIME;
    loop {
        match child.try_wait()? {
            Some(status) if status.success() => return Ok(()),
            Some(status) => return Err(io::Error::other(format!("ended with {status}"))),
            None if Instant::now() < deadline => thread::sleep(Duration::from_millis(20)),
            None => {
                child.kill()?;
                child.wait()?;
                return Err(io::Error::other("took longer than 30 s, and was killed"));
            }
        }
    }
}

/// Replaces a file as a whole: a reader sees the old one or the new one.
fn replace(file: &Path, content: &[u8]) -> Result<(), Failure> {
    let fail = |error: io::Error| {
        Failure::Output(io::Error::new(error.kind(), format!("{}: {error}", file.display())))
    };
    let folder = match file.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    fs::create_dir_all(folder).map_err(fail)?;
    let mut new = tempfile::Builder::new().prefix(".new").tempfile_in(folder).map_err(fail)?;
    new.write_all(content).map_err(fail)?;
    new.as_file().sync_all().map_err(fail)?;
    // Collectors run as somebody else.
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    new.as_file().set_permissions(mode).map_err(fail)?;
    new.persist(file).map_err(|error| fail(error.error))?;
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(fail)
}
