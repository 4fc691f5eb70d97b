//! `barewire-tune facts`

use std::{fs, io, path::PathBuf};

use super::{Failure, Session, configuration};
use crate::{
    Exit, Facts,
    capture::{Capture, CaptureError},
};

/// Say everything that is known about the machine.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Copy what was looked at into this folder, or into an archive when the name ends in `.tar`. Neither may exist.
    #[arg(long, value_name = "DIR|X.tar")]
    capture: Option<PathBuf>,
    /// Answer in JSON, which is what is answered without it as well.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args, session: &mut Session<'_>) -> Result<Exit, Failure> {
    let source = session.source()?;
    let facts = Facts::read(&source);
    // A copy is looked at for the same configuration.
    configuration::look(&source);
    if let Some(place) = &args.capture {
        let capture = Capture::of(source.root());
        if place.extension().is_some_and(|extension| extension == "tar") {
            let fail = |source: io::Error| match source.kind() {
                io::ErrorKind::AlreadyExists => CaptureError::Exists { path: place.clone() },
                _ => CaptureError::Write { path: place.clone(), source },
            };
            let file = fs::File::create_new(place).map_err(fail)?;
            capture.write_tar(io::BufWriter::new(file)).map_err(fail)?;
        } else {
            capture.write_folder(place)?;
        }
        if !args.json {
            let (files, refused) = (capture.len(), capture.refused());
            writeln!(session.out, "captured {files} files, {refused} could not be read")?;
            return Ok(Exit::Success);
        }
    }
    serde_json::to_writer_pretty(&mut *session.out, &facts)?;
    writeln!(session.out)?;
    Ok(Exit::Success)
}
