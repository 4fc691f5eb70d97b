//! Reading a result that somebody else may have written.

use std::{
    fs::File,
    io::{self, BufReader, Read as _},
    path::{Path, PathBuf},
};

use bench_result::run::{RunResult, SCHEMA};
use serde::Deserialize;

/// The longest file that is read, in bytes.
const LONGEST: u64 = 1 << 30;

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file can not be read.
    #[error("cannot read {}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is longer than any result.
    #[error("{} is longer than 1 GiB", file.display())]
    Long {
        /// The file.
        file: PathBuf,
    },
    /// It is no result of a run.
    #[error("{} is no result of a run", file.display())]
    Parse {
        /// The file.
        file: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
    /// It is a result of another format.
    #[error("{} is of the format \"{found}\", and this program reads \"{SCHEMA}\"", file.display())]
    Schema {
        /// The file.
        file: PathBuf,
        /// What it is.
        found: String,
    },
}

/// What every format has.
#[derive(Deserialize)]
struct Format {
    schema: String,
}

/// Reads `result.json`, or the one in a directory.
///
/// # Errors
/// [`ReadError`]
pub fn read(path: &Path) -> Result<RunResult, ReadError> {
    let file = if path.is_dir() { path.join("result.json") } else { path.to_owned() };
    let failed = |source| ReadError::Read { file: file.clone(), source };
    let mut bytes = Vec::new();
    File::open(&file)
        .and_then(|open| BufReader::new(open).take(LONGEST + 1).read_to_end(&mut bytes))
        .map_err(failed)?;
    if bytes.len() as u64 > LONGEST {
        return Err(ReadError::Long { file });
    }
    let wrong = |source| ReadError::Parse { file: file.clone(), source };
    // Another format has other fields, and its name says more than the first of them that is missing.
    let Format { schema } = serde_json::from_slice(&bytes).map_err(wrong)?;
    if schema != SCHEMA {
        let found = schema.chars().take(80).collect();
        return Err(ReadError::Schema { file, found });
    }
    serde_json::from_slice(&bytes).map_err(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(text: &str) -> ReadError {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("result.json"), text).unwrap();
        read(dir.path()).unwrap_err()
    }

    #[test]
    fn what_is_no_result_is_refused_and_says_why() {
        assert!(matches!(reading(""), ReadError::Parse { .. }));
        assert!(matches!(reading("[1, 2"), ReadError::Parse { .. }));
        assert!(matches!(
            reading(&format!("{{\"schema\": \"{SCHEMA}\"}}")),
            ReadError::Parse { .. }
        ));
        let other = reading("{\"schema\": \"somebody/else/1\", \"trials\": 7}");
        assert!(
            matches!(&other, ReadError::Schema { found, .. } if found == "somebody/else/1"),
            "{other}"
        );
        let nothing = read(Path::new("/nowhere/result.json")).unwrap_err();
        assert!(matches!(nothing, ReadError::Read { .. }), "{nothing}");
    }
}
