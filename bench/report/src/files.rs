//! What is written beside `result.json`: the page, and each picture with its numbers.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use bench_result::run::RunResult;
use plots::PngError;

use crate::{
    page::page,
    pictures::{self, Of, Picture},
    samples::Samples,
    verdict,
};

/// Sharp on screens of today, and in print.
const SCALE: f32 = 2.0;

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    /// The page.
    pub page: PathBuf,
    /// Pictures and tables.
    pub plots: Vec<PathBuf>,
}

/// Why something was not written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// A file or directory.
    #[error("cannot write {}", file.display())]
    Write {
        /// Which one.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A picture has no PNG.
    #[error("cannot draw {name}")]
    Draw {
        /// Which one.
        name: String,
        /// Why.
        source: PngError,
    },
}

/// Writes `report.html`, and `plots/*.svg`, `*.png` and `*.csv`, into a directory.
///
/// # Errors
/// [`WriteError`]; what was written before stays.
pub fn write(result: &RunResult, dir: &Path) -> Result<Files, WriteError> {
    let page = dir.join("report.html");
    write_page(result, &page)?;
    let folder = dir.join("plots");
    fs::create_dir_all(&folder)
        .map_err(|source| WriteError::Write { file: folder.clone(), source })?;
    let mut plots = Vec::new();
    for picture in all(result) {
        let Picture { name, plots: [plot, _], table, data, .. } = &picture;
        let png =
            plot.png(SCALE).map_err(|source| WriteError::Draw { name: name.clone(), source })?;
        let csv = data.as_ref().unwrap_or(table).csv();
        for (ending, bytes) in
            [("svg", plot.svg().into_bytes()), ("png", png), ("csv", csv.into_bytes())]
        {
            let file = folder.join(format!("{name}.{ending}"));
            put(&file, &bytes)?;
            plots.push(file);
        }
    }
    Ok(Files { page, plots })
}

/// Writes the page alone.
///
/// # Errors
/// [`WriteError`]
pub fn write_page(result: &RunResult, file: &Path) -> Result<(), WriteError> {
    put(file, page(result).as_bytes())
}

fn put(file: &Path, bytes: &[u8]) -> Result<(), WriteError> {
    fs::write(file, bytes).map_err(|source| WriteError::Write { file: file.to_owned(), source })
}

/// Every picture of the page.
fn all(result: &RunResult) -> Vec<Picture> {
    let samples = Samples::of(result);
    let mut pictures = Vec::new();
    for group in &result.groups {
        for cell in group.cells.iter().filter(|cell| cell.members.iter().any(|it| it.valid > 0)) {
            let ratios = verdict::compared(group).into_iter();
            pictures.extend(ratios.filter_map(|at| pictures::ratios(group, cell, at)));
            pictures.extend(
                [Of::Response, Of::Service]
                    .map(|of| pictures::percentiles(&samples, group, cell, of)),
            );
            pictures.push(pictures::maxima(&samples, &result.plan, group, cell));
            pictures.push(pictures::gaps(&samples, group, cell));
        }
        pictures.extend(pictures::against_load(group));
    }
    pictures.extend(pictures::frame_loss(result));
    pictures
}
