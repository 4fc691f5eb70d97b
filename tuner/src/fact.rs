//! A value that the machine has, has not, or does not tell.

use linux::{Known, ReadError};
use serde::{Deserialize, Serialize};

/// What was read of the machine.
///
/// Three answers, because they mean three things: a governor that is `powersave`, a machine without frequency scaling
/// (no finding at all), and a file that we may not read (nothing may be concluded).
///
/// ```
/// use tuner::Fact;
///
/// let governor: Fact<String> = Fact::Absent;
/// assert_eq!(governor.value(), None);
/// assert!(!governor.is_unknown());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fact<T> {
    /// It is this.
    Is(T),
    /// This machine has no such thing.
    Absent,
    /// It could not be found out.
    Unknown {
        /// Why not.
        why: String,
    },
}

impl<T> Fact<T> {
    /// Not known, for this reason.
    pub fn unknown(why: impl Into<String>) -> Self {
        Self::Unknown { why: why.into() }
    }

    /// The value, if there is one and it is known.
    pub fn value(&self) -> Option<&T> {
        match self {
            Self::Is(value) => Some(value),
            Self::Absent | Self::Unknown { .. } => None,
        }
    }

    /// The value itself, if there is one and it is known.
    pub fn into_value(self) -> Option<T> {
        match self {
            Self::Is(value) => Some(value),
            Self::Absent | Self::Unknown { .. } => None,
        }
    }

    /// Why it is not known.
    pub fn why(&self) -> Option<&str> {
        match self {
            Self::Is(_) | Self::Absent => None,
            Self::Unknown { why } => Some(why),
        }
    }

    /// Could it not be found out?
    pub fn is_unknown(&self) -> bool {
        matches!(self, Self::Unknown { .. })
    }

    /// Has the machine no such thing?
    pub fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }

    /// The same fact, borrowed.
    pub fn as_ref(&self) -> Fact<&T> {
        match self {
            Self::Is(value) => Fact::Is(value),
            Self::Absent => Fact::Absent,
            Self::Unknown { why } => Fact::Unknown { why: why.clone() },
        }
    }

    /// Make something else of the value.
    pub fn map<U>(self, make: impl FnOnce(T) -> U) -> Fact<U> {
        match self {
            Self::Is(value) => Fact::Is(make(value)),
            Self::Absent => Fact::Absent,
            Self::Unknown { why } => Fact::Unknown { why },
        }
    }

    /// Make another fact of the value.
    pub fn and_then<U>(self, make: impl FnOnce(T) -> Fact<U>) -> Fact<U> {
        match self {
            Self::Is(value) => make(value),
            Self::Absent => Fact::Absent,
            Self::Unknown { why } => Fact::Unknown { why },
        }
    }
}

/// A file that is not there is something the machine does not have.
impl<T> From<Result<T, ReadError>> for Fact<T> {
    fn from(result: Result<T, ReadError>) -> Self {
        match result {
            Ok(value) => Self::Is(value),
            Err(error) if error.is_missing() => Self::Absent,
            Err(error) => Self::unknown(error.to_string()),
        }
    }
}

impl<T> From<Known<T>> for Fact<T> {
    fn from(known: Known<T>) -> Self {
        match known {
            Known::Known(value) => Self::Is(value),
            Known::Unknown { why } => Self::Unknown { why },
        }
    }
}
