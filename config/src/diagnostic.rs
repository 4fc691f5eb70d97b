//! What is wrong with a file: every error at once, each with its line, its key and, where there is one, a remedy.

use std::{fmt, ops::Range};

use serde::Serialize;

use crate::section::Item;

/// More errors than this are counted, not listed: nobody reads them, and a hostile file could have a million.
const MAX_LISTED: usize = 100;
/// The longest piece of the file that a message repeats, in characters.
const MAX_EXCERPT: usize = 60;

/// One error in a configuration file.
///
/// Shown as `barewire.toml:12: port "north": mtu = 9, but …`, and a second line `help: …` when something can be done.
/// Control characters of the file are shown escaped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// The file, as it was named to [`crate::parse`] or [`crate::load`].
    pub file: String,
    /// The line, from 1; none when the file as a whole can not be read.
    pub line: Option<usize>,
    /// The column in characters, from 1.
    pub column: Option<usize>,
    /// The key: `pipeline.burst`, `port.north.mtu`, `stage[3].to` (from 0, when it has no usable name); empty when no key is meant.
    pub key: String,
    /// What is wrong, with the section and key it is wrong in.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", visible(&self.file))?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        write!(f, ": {}", self.message)?;
        match &self.help {
            Some(help) => write!(f, "\nhelp: {help}"),
            None => Ok(()),
        }
    }
}

/// Everything that is wrong with a configuration file, in the order of the file; never empty.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Errors {
    errors: Vec<Diagnostic>,
    omitted: usize,
}

impl Errors {
    /// The errors, at most 100.
    #[must_use]
    pub fn diagnostics(&self) -> &[Diagnostic] {
        &self.errors
    }

    /// How many more there are.
    #[must_use]
    pub fn omitted(&self) -> usize {
        self.omitted
    }

    /// The one error of a file that could not be read at all.
    pub(crate) fn whole_file(file: &str, line: Option<usize>, message: String, help: &str) -> Self {
        let diagnostic = Diagnostic {
            file: file.to_owned(),
            line,
            column: line.map(|_| 1),
            key: String::new(),
            message,
            help: Some(help.to_owned()),
        };
        Self { errors: vec![diagnostic], omitted: 0 }
    }
}

impl fmt::Display for Errors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, diagnostic) in self.errors.iter().enumerate() {
            let newline = if index == 0 { "" } else { "\n" };
            write!(f, "{newline}{diagnostic}")?;
        }
        match self.omitted {
            0 => Ok(()),
            more => write!(f, "\nand {more} more"),
        }
    }
}

impl std::error::Error for Errors {}

/// Where in the file a key stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// Outside of all sections.
    Top,
    /// In `[pipeline]`.
    Section(&'static str),
    /// In a `[[port]]` or `[[stage]]`, counted from 0, with its name when that can be read.
    Item { list: &'static str, index: usize, name: Option<String> },
}

impl Place {
    /// The full path of a key here.
    fn path(&self, key: &str) -> String {
        match self {
            Self::Top => key.to_owned(),
            Self::Section(section) => format!("{section}.{key}"),
            Self::Item { list, name: Some(name), .. } => format!("{list}.{name}.{key}"),
            Self::Item { list, index, name: None } => format!("{list}[{index}].{key}"),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Top => f.write_str("file"),
            Self::Section(section) => write!(f, "[{section}]"),
            Self::Item { list, name: Some(name), .. } => write!(f, "{list} \"{}\"", visible(name)),
            Self::Item { list, index, name: None } => write!(f, "{list} {}", index + 1),
        }
    }
}

/// An error on its way into a [`Report`].
#[derive(Debug)]
struct Found {
    offset: usize,
    key: String,
    message: String,
    help: Option<String>,
}

/// Collects what is wrong while the file is read.
#[derive(Debug)]
pub(crate) struct Report<'a> {
    file: &'a str,
    text: &'a str,
    found: Vec<Found>,
    omitted: usize,
}

impl<'a> Report<'a> {
    pub(crate) fn new(file: &'a str, text: &'a str) -> Self {
        Self { file, text, found: Vec::new(), omitted: 0 }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// Is anything more only counted?
    pub(crate) fn is_full(&self) -> bool {
        self.found.len() >= MAX_LISTED
    }

    /// `stage "in": <what>`, at the key or value that `span` covers.
    pub(crate) fn add(
        &mut self,
        place: &Place,
        key: &str,
        span: Range<usize>,
        what: impl fmt::Display,
        help: Option<String>,
    ) {
        let message = match place {
            Place::Top => what.to_string(),
            Place::Section(_) | Place::Item { .. } => format!("{place}: {what}"),
        };
        self.push(span.start, visible(&place.path(key)), message, help);
    }

    /// `stage "in": to = "sotuh", but <why>`.
    pub(crate) fn bad_value(
        &mut self,
        place: &Place,
        key: &str,
        span: Range<usize>,
        why: impl fmt::Display,
        help: Option<String>,
    ) {
        let what = format!("{key} = {}, but {why}", self.excerpt(span.clone()));
        self.add(place, key, span, what, help);
    }

    /// `stage "in": to is missing`, at the header of the item.
    pub(crate) fn missing<S>(&mut self, item: &Item<S>, key: &str, help: &str) {
        let what = format!("{key} is missing");
        self.add(&item.place, key, item.offset..item.offset, what, Some(help.to_owned()));
    }

    /// What the TOML parser says.
    pub(crate) fn syntax(&mut self, error: &toml::de::Error) {
        // Keys nested too deeply are the one error that the parser gives no place.
        let span = error.span().unwrap_or_else(|| deepest_line(self.text));
        let near = self.excerpt(span.clone());
        let message = if near.is_empty() {
            format!("not TOML: {}", error.message())
        } else {
            format!("not TOML: {}: {near}", error.message())
        };
        self.push(span.start, String::new(), visible(&message), None);
    }

    /// The line of an offset, from 1.
    pub(crate) fn line(&self, offset: usize) -> usize {
        line_of(self.text.as_bytes(), offset)
    }

    /// All that was found, in the order of the file.
    pub(crate) fn into_errors(mut self) -> Errors {
        self.found.sort_by_key(|found| found.offset);
        let errors = self
            .found
            .iter()
            .map(|found| Diagnostic {
                file: self.file.to_owned(),
                line: Some(self.line(found.offset)),
                column: Some(column_of(self.text, found.offset)),
                key: found.key.clone(),
                message: found.message.clone(),
                help: found.help.clone(),
            })
            .collect();
        Errors { errors, omitted: self.omitted }
    }

    fn push(&mut self, offset: usize, key: String, message: String, help: Option<String>) {
        if self.is_full() {
            self.omitted += 1;
        } else {
            self.found.push(Found { offset, key, message, help });
        }
    }

    /// The file's own words: the first line of the span, cut when it is long.
    fn excerpt(&self, span: Range<usize>) -> String {
        let text = self.text.get(span).unwrap_or_default();
        let line = text.lines().next().unwrap_or_default();
        let mut excerpt: String = line.chars().take(MAX_EXCERPT).collect();
        if excerpt.len() < text.len() {
            excerpt.push('…');
        }
        visible(&excerpt)
    }
}

/// Where the line with the most dots begins.
fn deepest_line(text: &str) -> Range<usize> {
    let dots = |line: &&str| line.bytes().filter(|byte| *byte == b'.').count();
    let line = text.lines().rev().max_by_key(dots).unwrap_or_default();
    let start = text.find(line).unwrap_or_default();
    start..start
}

/// The line of an offset, from 1.
pub(crate) fn line_of(text: &[u8], offset: usize) -> usize {
    1 + text.iter().take(offset).filter(|byte| **byte == b'\n').count()
}

/// The column of an offset in characters, from 1.
fn column_of(text: &str, offset: usize) -> usize {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.rfind('\n').map_or(0, |newline| newline + 1);
    before[line..].chars().count() + 1
}

/// The text with everything escaped that could move the cursor, hide text or turn its direction.
pub(crate) fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        let unsafe_to_show = c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}');
        if unsafe_to_show {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    shown
}

/// The word that was probably meant.
pub(crate) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // The distance takes time and memory in proportion to the product of the lengths.
    if word.len() > MAX_EXCERPT {
        return None;
    }
    let lower = word.to_ascii_lowercase();
    let limit = |candidate: &str| (candidate.len().min(word.len()) / 3).max(1);
    known
        .into_iter()
        .filter(|candidate| candidate.len().abs_diff(word.len()) <= limit(candidate))
        .map(|candidate| {
            (strsim::damerau_levenshtein(&lower, &candidate.to_ascii_lowercase()), candidate)
        })
        .filter(|(distance, candidate)| *distance <= limit(candidate))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// `"a", "b" or "c"`.
pub(crate) fn any_of(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
    match quoted.split_last() {
        None => String::new(),
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
    }
}
