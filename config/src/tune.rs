//! What `[tune]` takes besides words and lists: check ids, interface names, and a table of wishes.

use std::{collections::BTreeMap, fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use toml::{Spanned, de::DeValue};

use crate::{
    Wish,
    value::{Value, Wrong, text, unwanted},
};

/// The id of one of the tuner's checks, by its form: `ISO-01`. Whether there is such a check is the tuner's to say.
///
/// ```
/// let id: config::CheckId = "ISO-01".parse()?;
/// assert_eq!(id.as_str(), "ISO-01");
/// assert!("iso-1".parse::<config::CheckId>().is_err());
/// # Ok::<(), config::CheckIdError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CheckId(String);

/// A text is not the id of a check.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an id such as \"ISO-01\" has capital letters, a dash and two digits")]
pub struct CheckIdError;

impl CheckId {
    /// The id as it is printed.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for CheckId {
    type Err = CheckIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (letters, digits) = text.split_once('-').ok_or(CheckIdError)?;
        let is_id = (2..=8).contains(&letters.len())
            && letters.bytes().all(|b| b.is_ascii_uppercase())
            && digits.len() == 2
            && digits.bytes().all(|b| b.is_ascii_digit());
        if is_id { Ok(Self(text.to_owned())) } else { Err(CheckIdError) }
    }
}

impl fmt::Display for CheckId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl TryFrom<String> for CheckId {
    type Error = CheckIdError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<CheckId> for String {
    fn from(id: CheckId) -> Self {
        id.0
    }
}

impl Value for CheckId {
    fn wanted() -> String {
        "the id of a check such as \"ISO-01\"".to_owned()
    }

    fn read(value: &Spanned<DeValue<'_>>) -> Result<Self, Vec<Wrong>> {
        text::<Self>(value)?.parse().map_err(|error: CheckIdError| {
            let why = format!("{} is wanted", Self::wanted());
            vec![Wrong { span: value.span(), why, help: Some(error.to_string()) }]
        })
    }
}

/// The name of a network interface.
#[derive(Debug, Clone)]
pub(crate) struct Interface(pub(crate) String);

impl Value for Interface {
    fn wanted() -> String {
        "the name of an interface such as \"eno1\"".to_owned()
    }

    /// What `dev_valid_name()` takes (Linux `net/core/dev.c`): up to 15 bytes without blanks, slashes and colons.
    fn read(value: &Spanned<DeValue<'_>>) -> Result<Self, Vec<Wrong>> {
        let name = text::<Self>(value)?;
        let fits = (1..=15).contains(&name.len())
            && ![".", ".."].contains(&name)
            && !name.contains(|c: char| c.is_whitespace() || c.is_control() || "/:".contains(c));
        if fits { Ok(Self(name.to_owned())) } else { Err(unwanted::<Self>(value)) }
    }
}

/// What is to be done about single checks.
#[derive(Debug, Clone)]
pub(crate) struct Wishes(pub(crate) BTreeMap<CheckId, Wish>);

/// Twice as many as there are checks.
const MAX_WISHES: usize = 512;
/// No knob takes a longer value.
const MAX_VALUE: usize = 1024;

impl Value for Wishes {
    fn wanted() -> String {
        format!("a table of up to {MAX_WISHES} check ids, each with \"apply\", \"skip\" or a value")
    }

    fn read(value: &Spanned<DeValue<'_>>) -> Result<Self, Vec<Wrong>> {
        let table = value.get_ref().as_table().ok_or_else(|| unwanted::<Self>(value))?;
        if table.len() > MAX_WISHES {
            return Err(unwanted::<Self>(value));
        }
        let (mut wishes, mut wrongs) = (BTreeMap::new(), Vec::new());
        for (key, value) in table {
            let id = key.get_ref().parse::<CheckId>().map_err(|error| Wrong {
                span: key.span(),
                why: format!("{} is wanted", CheckId::wanted()),
                help: Some(error.to_string()),
            });
            match (id, wish(value)) {
                (Ok(id), Ok(wish)) => {
                    wishes.insert(id, wish);
                }
                (id, wish) => wrongs.extend(id.err().into_iter().chain(wish.err())),
            }
        }
        if wrongs.is_empty() { Ok(Self(wishes)) } else { Err(wrongs) }
    }
}

/// One wish: a word, or a value as a text, a whole number, or true or false.
fn wish(value: &Spanned<DeValue<'_>>) -> Result<Wish, Wrong> {
    let text = match value.get_ref() {
        DeValue::String(text)
            if (1..=MAX_VALUE).contains(&text.len()) && !text.contains(char::is_control) =>
        {
            text.to_string()
        }
        DeValue::Integer(number) if number.radix() == 10 => number.as_str().to_owned(),
        DeValue::Boolean(is_set) => u8::from(*is_set).to_string(),
        _ => {
            return Err(Wrong {
                span: value.span(),
                why: "\"apply\", \"skip\" or a value on one line is wanted".to_owned(),
                help: None,
            });
        }
    };
    Ok(match text.as_str() {
        "apply" => Wish::Apply,
        "skip" => Wish::Skip,
        _ => Wish::Value(text),
    })
}
