//! What can be changed in the checks so that they judge otherwise.

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
};

use super::read;
use crate::run::Failure;

/// One change of one place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mutant {
    /// The module of the checks, whose tests have to notice.
    pub(super) area: String,
    /// The file, from the checks' directory.
    pub(super) file: PathBuf,
    /// The number of the line, from 1.
    pub(super) number: usize,
    /// The line as it is, without its indentation.
    pub(super) line: String,
    /// Where in the file the change is, in bytes, and what becomes of what is there.
    pub(super) at: std::ops::Range<usize>,
    pub(super) with: String,
}

impl fmt::Display for Mutant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Mutant { file, number, line, with, .. } = self;
        write!(f, "{}:{number}: \"{}\" in: {line}", file.display(), with.trim())
    }
}

/// Modules that only help: of the tests, or of every check.
const NOT_CHECKS: [&str; 9] = [
    "hardware", "judge", "nonsense", "process", "sample", "several", "testing", "wording", "tests",
];

/// What becomes of what: a verdict its neighbour, a comparison the one beside it.
const WORDS: [(&str, &str); 14] = [
    ("Outcome::good(", "Outcome::info("),
    ("Outcome::warn(", "Outcome::bad("),
    ("Outcome::bad(", "Outcome::warn("),
    ("Outcome::info(", "Outcome::warn("),
    ("Verdict::Good", "Verdict::Info"),
    ("Verdict::Warn", "Verdict::Bad"),
    ("Verdict::Bad", "Verdict::Warn"),
    ("Verdict::Info", "Verdict::Warn"),
    (" <= ", " < "),
    (" < ", " <= "),
    (" >= ", " > "),
    (" > ", " >= "),
    (" == ", " != "),
    (" != ", " == "),
];

/// Every mutant below the checks' directory, by area.
pub(super) fn all(dir: &Path) -> Result<BTreeMap<String, Vec<Mutant>>, Failure> {
    let mut areas: BTreeMap<String, Vec<Mutant>> = BTreeMap::new();
    let mut files = Vec::new();
    list(dir, &mut files)?;
    files.sort();
    for path in files {
        let file = path.strip_prefix(dir).unwrap_or(&path).to_owned();
        let mut names = file.iter().map(|part| part.to_string_lossy().replace(".rs", ""));
        let is_help = names.any(|name| NOT_CHECKS.contains(&name.as_str()));
        let area = file.iter().next().map(|part| part.to_string_lossy().replace(".rs", ""));
        if let (false, Some(area)) = (is_help, area) {
            let found = of(&area, &file, &read(&path)?);
            areas.entry(area).or_default().extend(found);
        }
    }
    Ok(areas)
}

fn list(dir: &Path, files: &mut Vec<PathBuf>) -> Result<(), Failure> {
    let failed = || Failure::io(format!("cannot list {}", dir.display()));
    for entry in std::fs::read_dir(dir).map_err(failed())? {
        let path = entry.map_err(failed())?.path();
        if path.is_dir() {
            list(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    Ok(())
}

/// The mutants of a file, tests at its end left out.
fn of(area: &str, file: &Path, text: &str) -> Vec<Mutant> {
    let code = code_of(text);
    // The same length in bytes, so that places are the same.
    let end = code.find("#[cfg(test)]\nmod tests {").unwrap_or(code.len());
    let mut found = Vec::new();
    let mut begin = 0;
    for (index, line) in code[..end].split_inclusive('\n').enumerate() {
        let mut add = |at: std::ops::Range<usize>, with: String| {
            found.push(Mutant {
                area: area.to_owned(),
                file: file.to_owned(),
                number: index + 1,
                line: text[begin..begin + line.len()].trim().to_owned(),
                at: begin + at.start..begin + at.end,
                with,
            });
        };
        for (word, with) in WORDS {
            for (at, _) in line.match_indices(word) {
                add(at..at + word.len(), with.to_owned());
            }
        }
        if line.contains("const ") || line.contains("..") {
            for at in numbers(line) {
                if let Ok(number) = line[at.clone()].replace('_', "").parse::<u64>() {
                    add(at, (number + 1).to_string());
                }
            }
        }
        begin += line.len();
    }
    found
}

/// Where a line has whole numbers: bounds of ranges and values of constants. Not those of types (`u64`), of arrays'
/// lengths, or in hexadecimal (masks).
fn numbers(line: &str) -> Vec<std::ops::Range<usize>> {
    let bytes = line.as_bytes();
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let mut found = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        if !is_word(bytes[at]) {
            at += 1;
            continue;
        }
        let end = (at..bytes.len()).find(|i| !is_word(bytes[*i])).unwrap_or(bytes.len());
        let is_number = bytes[at..end].iter().all(|byte| byte.is_ascii_digit() || *byte == b'_')
            && bytes[at].is_ascii_digit();
        let before = line[..at].trim_end();
        let is_length = before.ends_with(';');
        // A part of a number with a point is not a whole one.
        let is_part = before.ends_with('.') && !before.ends_with("..")
            || line[end..].starts_with('.') && !line[end..].starts_with("..");
        let is_bound =
            before.ends_with("..") || before.ends_with("..=") || line[end..].starts_with("..");
        let is_value = line.contains("const ") && (before.ends_with('=') || before.ends_with('*'));
        if is_number && !is_length && !is_part && (is_bound || is_value) {
            found.push(at..end);
        }
        at = end;
    }
    found
}

/// The text with everything blank that is in a string, a character or a comment: as long in bytes as it was.
fn code_of(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = literal(rest, code.as_bytes().last().copied());
        let taken = if length == 0 { first.len_utf8() } else { length };
        if length == 0 {
            code.push(first);
        } else {
            let blank = |byte: u8| if byte == b'\n' { '\n' } else { ' ' };
            code.extend(rest.as_bytes()[..taken].iter().map(|byte| blank(*byte)));
        }
        rest = &rest[taken..];
    }
    code
}

/// How many bytes of a string, a character or a comment begin here; 0 for none.
fn literal(rest: &str, before: Option<u8>) -> usize {
    let until = |start: usize, end: &str| {
        rest[start..].find(end).map_or(rest.len(), |at| start + at + end.len())
    };
    let is_name = before.is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if rest.starts_with("//") {
        return rest.find('\n').unwrap_or(rest.len());
    }
    if rest.starts_with("r\"") && !is_name {
        return until(2, "\"");
    }
    if rest.starts_with("r#\"") && !is_name {
        return until(3, "\"#");
    }
    if rest.starts_with('"') {
        let mut is_escaped = false;
        let closed = rest.char_indices().skip(1).find(|(_, c)| {
            let closes = *c == '"' && !is_escaped;
            is_escaped = *c == '\\' && !is_escaped;
            closes
        });
        return closed.map_or(rest.len(), |(at, _)| at + 1);
    }
    // 'x' and '\n' are characters, 'a is a lifetime.
    if rest.starts_with("'\\") {
        return until(3, "'");
    }
    let mut chars = rest.chars();
    match (chars.next(), chars.next(), chars.next()) {
        (Some('\''), Some(c), Some('\'')) => 2 + c.len_utf8(),
        _ => 0,
    }
}

/// Puts them into another order, the same for the same seed (Fisher and Yates; xorshift64*).
pub(super) fn shuffle(mutants: &mut [Mutant], seed: u64) {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    for last in (1..mutants.len()).rev() {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        let drawn = state.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33;
        let among = u64::try_from(last).unwrap_or(u64::MAX) + 1;
        mutants.swap(last, usize::try_from(drawn % among).unwrap_or(0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<(String, String)> {
        let mutants = of("clock", Path::new("clock.rs"), text);
        mutants.into_iter().map(|one| (text[one.at].to_owned(), one.with)).collect()
    }

    #[test]
    fn comparisons_verdicts_and_bounds_are_found_and_words_about_them_are_not() {
        let text = r#"
const ENOUGH: u64 = 8_192; // const LESS: u64 = 3;
fn f<'a>(x: &'a u64) -> Outcome {
    match x {
        1..120 if *x >= ENOUGH => Outcome::warn("a > b == 3.. \" Outcome::bad("),
        ..=7 => Outcome::good('"'),
        _ => Outcome::bad("x"),
    }
}
#[cfg(test)]
mod tests {
    const X: u64 = 5;
}
"#;
        let expected = [
            ("8_192", "8193"),
            (" >= ", " > "),
            ("1", "2"),
            ("120", "121"),
            ("Outcome::good(", "Outcome::info("),
            ("7", "8"),
            ("Outcome::bad(", "Outcome::warn("),
            ("Outcome::warn(", "Outcome::bad("),
        ];
        let mut found = found(text);
        let mut expected = expected.map(|(a, b)| (a.to_owned(), b.to_owned())).to_vec();
        found.sort();
        expected.sort();
        assert_eq!(found, expected);
    }

    #[test]
    fn numbers_that_are_no_thresholds_stay() {
        for line in ["const A: [u64; 7] = X;", "let x = [1, 2];", "const M: u32 = 0x10;", "x.1..y"]
        {
            assert_eq!(numbers(line), [], "{line}");
        }
        assert_eq!(numbers("const KIB: u64 = 512 * 1024;"), [17..20, 23..27]);
        assert_eq!(numbers("5.0..=7.5").len(), 0);
        assert_eq!(numbers("x(5.0)..=7").len(), 1);
    }

    #[test]
    fn a_seed_is_an_order() {
        let one = |number| Mutant {
            area: String::new(),
            file: PathBuf::new(),
            number,
            line: String::new(),
            at: 0..0,
            with: String::new(),
        };
        let order = |seed| {
            let mut all: Vec<Mutant> = (0..20).map(one).collect();
            shuffle(&mut all, seed);
            all.iter().map(|mutant| mutant.number).collect::<Vec<_>>()
        };
        assert_eq!(order(1), order(1));
        assert_ne!(order(1), order(2));
        let mut all = order(3);
        all.sort_unstable();
        assert_eq!(all, (0..20).collect::<Vec<_>>());
    }
}
