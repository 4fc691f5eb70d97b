//! One line of a file that is the administrator's: the rest of it is not touched, and the line that was there comes
//! back as it was.

use serde::{Deserialize, Serialize};

use super::KnobError;
use crate::hands::{Content, Hands};

/// What a file has of a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Line {
    /// There is no such file.
    NoFile,
    /// The file has no such line.
    NoLine {
        /// Does its last line end with a line feed? One that is added needs it.
        is_ended: bool,
    },
    /// The line, as it is written, without its line feed.
    Is {
        /// It.
        line: String,
        /// Does it end with a line feed?
        is_ended: bool,
    },
}

impl Line {
    /// This line.
    #[must_use]
    pub fn is(line: impl Into<String>) -> Self {
        Self::Is { line: line.into(), is_ended: true }
    }

    /// Without the line there is nothing of ours, whatever else is in the file.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Is { line: one, .. }, Self::Is { line: other, .. }) => one == other,
            (Self::NoFile | Self::NoLine { .. }, Self::NoFile | Self::NoLine { .. }) => true,
            _ => false,
        }
    }

    pub(super) fn summary(&self) -> String {
        match self {
            Self::NoFile => "no file".to_owned(),
            Self::NoLine { .. } => "no line".to_owned(),
            Self::Is { line, .. } => line.clone(),
        }
    }
}

pub(super) fn read(hands: &dyn Hands, path: &str, key: &str) -> Result<Line, KnobError> {
    Ok(match text(hands, path)? {
        None => Line::NoFile,
        Some((text, _)) => match find(&text, key) {
            Some(at) => {
                let line = &text[at.clone()];
                let bare = line.strip_suffix('\n').unwrap_or(line);
                Line::Is { line: bare.to_owned(), is_ended: bare.len() < line.len() }
            }
            None => Line::NoLine { is_ended: text.is_empty() || text.ends_with('\n') },
        },
    })
}

pub(super) fn write(hands: &dyn Hands, path: &str, key: &str, to: &Line) -> Result<(), KnobError> {
    let (mut text, file) = match text(hands, path)? {
        Some((text, file)) => (text, Some(file)),
        None => (String::new(), None),
    };
    let place = find(&text, key);
    match (to, place) {
        (Line::Is { line, is_ended }, Some(at)) => {
            let had_end = text[at.clone()].ends_with('\n');
            // The administrator may have written more behind a line that had no end.
            let end = if *is_ended || (had_end && at.end < text.len()) { "\n" } else { "" };
            text.replace_range(at, &format!("{line}{end}"));
        }
        (Line::Is { line, .. }, None) => {
            if !text.is_empty() && !text.ends_with('\n') {
                text.push('\n');
            }
            text.push_str(line);
            text.push('\n');
        }
        (Line::NoFile | Line::NoLine { .. }, place) => {
            if let Some(at) = place {
                let was_last = at.end == text.len();
                text.replace_range(at, "");
                if was_last && *to == (Line::NoLine { is_ended: false }) {
                    // The line feed that was put in front of ours.
                    text.truncate(text.strip_suffix('\n').unwrap_or(&text).len());
                }
            }
            if *to == Line::NoFile && text.is_empty() {
                return Ok(hands.remove(path)?);
            }
        }
    }
    let content = match file {
        Some(file) => file.with_text(text),
        None => Content::ours(text),
    };
    Ok(hands.replace(path, &content)?)
}

fn text(hands: &dyn Hands, path: &str) -> Result<Option<(String, Content)>, KnobError> {
    let Some(content) = hands.file(path)? else { return Ok(None) };
    match content.bytes.text().map(str::to_owned) {
        Some(text) => Ok(Some((text, content))),
        None => Err(KnobError::Odd { what: format!("/{path}"), problem: "is not text".to_owned() }),
    }
}

/// Where the last line that assigns the key is, with its line feed: the last one counts.
fn find(text: &str, key: &str) -> Option<std::ops::Range<usize>> {
    let mut found = None;
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let end = start + line.len();
        let is_it = line.trim_start().strip_prefix(key).is_some_and(|rest| rest.starts_with('='));
        if is_it {
            found = Some(start..end);
        }
        start = end;
    }
    found
}
