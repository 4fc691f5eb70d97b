//! Reading a file, and nothing else of the machine.

use std::{fs, io::Read as _, path::Path};

use toml::de::DeTable;

use crate::{
    Config, Errors,
    diagnostic::{Report, line_of},
    resolve::resolve,
    schema::File,
};

/// The largest file that is read, in bytes.
pub const MAX_FILE: usize = 1024 * 1024;
/// The largest file in which more than the first syntax error is looked for: a parser that goes on after an error can
/// find one at every byte.
const MAX_RECOVERY: usize = 64 * 1024;
/// Syntax errors looked at: after so many the file is no TOML at all.
const MAX_SYNTAX: usize = 500;

/// Read a configuration from text; `file_name` is what errors call it.
///
/// # Errors
/// Everything that is wrong with it, each with its line. What can not be said while something else is wrong is left
/// out: a file that is not TOML has no keys, and a stage may be unreachable because of a misspelt name.
///
/// ```
/// let errors = config::parse("[pipeline]\nburst = 99\n", "lab.toml").unwrap_err();
/// assert_eq!(
///     errors.to_string(),
///     "lab.toml:2: [pipeline]: burst = 99, but a whole number from 1 to 64 is wanted"
/// );
/// ```
pub fn parse(text: &str, file_name: &str) -> Result<Config, Errors> {
    if text.len() > MAX_FILE {
        return Err(too_large(file_name));
    }
    let mut report = Report::new(file_name, text);
    let config = match DeTable::parse(text) {
        Ok(table) => resolve(&File::read(table.get_ref(), &mut report), &mut report),
        Err(first) => {
            report_syntax(text, first, &mut report);
            None
        }
    };
    config.ok_or_else(|| report.into_errors())
}

/// Read a configuration file.
///
/// # Errors
/// As [`parse`]; and when the file can not be read, is not UTF-8, or is larger than 1 MiB.
pub fn load(path: &Path) -> Result<Config, Errors> {
    let file_name = path.display().to_string();
    let mut bytes = Vec::new();
    let limit = u64::try_from(MAX_FILE + 1).unwrap_or(u64::MAX);
    let read = fs::File::open(path).and_then(|file| file.take(limit).read_to_end(&mut bytes));
    if let Err(error) = read {
        return Err(unreadable(&file_name, &error));
    }
    parse_bytes(&bytes, &file_name)
}

/// Reads a configuration from what is in a file, of which more than the first [`MAX_FILE`] bytes need not be given.
///
/// # Errors
/// Everything that is wrong.
pub fn parse_bytes(bytes: &[u8], file_name: &str) -> Result<Config, Errors> {
    if bytes.len() > MAX_FILE {
        return Err(too_large(file_name));
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => parse(text, file_name),
        Err(error) => {
            let line = line_of(bytes, error.valid_up_to());
            let message = "the text is not UTF-8".to_owned();
            Err(Errors::whole_file(file_name, Some(line), message, "is this the right file?"))
        }
    }
}

/// What is said of a file that can not be read.
#[must_use]
pub fn unreadable(file_name: &str, why: &dyn std::fmt::Display) -> Errors {
    let help = "name another file with --config, or see what is wrong with this one";
    Errors::whole_file(file_name, None, format!("the file can not be read: {why}"), help)
}

fn too_large(file_name: &str) -> Errors {
    let message = format!("the file is larger than {MAX_FILE} bytes");
    Errors::whole_file(file_name, None, message, "is this the right file?")
}

/// Report what is not TOML, once for each line: what follows on the same line is a consequence, as a rule.
fn report_syntax(text: &str, first: toml::de::Error, report: &mut Report<'_>) {
    let errors =
        if text.len() <= MAX_RECOVERY { DeTable::parse_recoverable(text).1 } else { vec![first] };
    let mut lines = std::collections::BTreeSet::new();
    for error in errors.iter().take(MAX_SYNTAX) {
        let offset = error.span().map(|span| span.start);
        if lines.insert(offset.map(|offset| report.line(offset))) {
            report.syntax(error);
        }
    }
}
