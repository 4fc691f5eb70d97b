//! A variable in GRUB's environment block: 1 024 bytes, `name=value` lines, filled with `#`.
//!
//! GRUB 2.12's manual, "Environment block". GRUB writes the block in place when the machine starts, so it must stay
//! where it is on the disk and keep its size: it is written in place here too.

use super::{KnobError, Value};
use crate::hands::{Hands, HandsError};

/// The size of the block, in bytes.
const SIZE: usize = 1024;

/// How it begins.
const HEADER: &str = "# GRUB Environment Block\n";

pub(super) fn read(hands: &dyn Hands, path: &str, variable: &str) -> Result<Value, KnobError> {
    let lines = lines(&block(hands, path)?);
    let found = lines.iter().rev().find_map(|line| value(line, variable));
    Ok(found.map_or(Value::Absent, |value| Value::Text(value.to_owned())))
}

pub(super) fn write(
    hands: &dyn Hands,
    path: &str,
    variable: &str,
    to: &Value,
) -> Result<(), KnobError> {
    let mut lines = lines(&block(hands, path)?);
    let place = lines.iter().rposition(|line| value(line, variable).is_some());
    match (to, place) {
        (Value::Text(text), Some(at)) => lines[at] = format!("{variable}={text}"),
        (Value::Text(text), None) => lines.push(format!("{variable}={text}")),
        (_, Some(at)) => {
            lines.remove(at);
        }
        (_, None) => return Ok(()),
    }
    let mut text = HEADER.to_owned();
    for line in &lines {
        text.push_str(line);
        text.push('\n');
    }
    if text.len() > SIZE {
        return Err(odd(path, "has no room for another variable"));
    }
    text.extend(std::iter::repeat_n('#', SIZE - text.len()));
    Ok(hands.write(path, &text)?)
}

/// What GRUB sees: to it, a variable that is empty and one that is not there are the same. It empties `next_entry` when
/// it took it.
pub(super) fn text(value: &Value) -> &str {
    match value {
        Value::Text(text) => text,
        _ => "",
    }
}

fn block(hands: &dyn Hands, path: &str) -> Result<String, KnobError> {
    let Some(content) = hands.file(path)? else {
        let source = std::io::ErrorKind::NotFound.into();
        return Err(HandsError::File { deed: "read", path: path.to_owned(), source }.into());
    };
    match content.bytes.text() {
        Some(text) if text.len() == SIZE && text.starts_with(HEADER) => Ok(text.to_owned()),
        Some(_) | None => Err(odd(path, "is not an environment block of GRUB")),
    }
}

fn lines(block: &str) -> Vec<String> {
    let body = block.strip_prefix(HEADER).unwrap_or(block).trim_end_matches('#');
    body.lines().map(str::to_owned).collect()
}

fn value<'a>(line: &'a str, variable: &str) -> Option<&'a str> {
    line.strip_prefix(variable)?.strip_prefix('=')
}

fn odd(path: &str, problem: &str) -> KnobError {
    KnobError::Odd { what: format!("/{path}"), problem: problem.to_owned() }
}
