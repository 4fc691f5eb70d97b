//! A run as a page for a browser: `barewire-bench report`.

use std::{
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use bench_report::{ReadError, WriteError, read, write, write_page};

use crate::{cli::ReportArgs, exit::Exit};

/// Why there is no page.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// There is no result to make it from.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// It can not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// Nobody can be told where it is.
    #[error("cannot say where the page is")]
    Say(#[source] io::Error),
}

/// Makes the page, and its plots unless it goes elsewhere, and says where it is.
///
/// # Errors
/// [`ReportError`]
pub fn run(args: &ReportArgs) -> Result<Exit, ReportError> {
    let result = read(&args.run)?;
    let page = match &args.out {
        Some(file) => {
            write_page(&result, file)?;
            file.clone()
        }
        None => write(&result, &beside(&args.run))?.page,
    };
    match writeln!(io::stdout(), "{}", page.display()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(ReportError::Say(error)),
        _ => Ok(Exit::Measured),
    }
}

/// The directory of a run.
fn beside(run: &Path) -> PathBuf {
    if run.is_dir() {
        return run.to_owned();
    }
    run.parent().unwrap_or(Path::new("")).to_owned()
}
