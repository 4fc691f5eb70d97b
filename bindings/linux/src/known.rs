//! A value that may not be known.

use std::fmt::Display;

use serde::Serialize;

/// What was read, or why it could not be.
///
/// ```
/// use linux::Known;
///
/// let governor: Known<String> = Known::unknown("no cpufreq in a virtual machine");
/// assert_eq!(governor.why(), Some("no cpufreq in a virtual machine"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Known<T> {
    /// It is this.
    Known(T),
    /// It could not be found out.
    Unknown {
        /// Why not.
        why: String,
    },
}

impl<T> Known<T> {
    /// Not known, for this reason.
    pub fn unknown(why: impl Into<String>) -> Self {
        Self::Unknown { why: why.into() }
    }

    /// The value, if it is known.
    pub fn known(&self) -> Option<&T> {
        match self {
            Self::Known(value) => Some(value),
            Self::Unknown { .. } => None,
        }
    }

    /// The value itself, if it is known.
    pub fn into_known(self) -> Option<T> {
        match self {
            Self::Known(value) => Some(value),
            Self::Unknown { .. } => None,
        }
    }

    /// Why it is not known.
    pub fn why(&self) -> Option<&str> {
        match self {
            Self::Known(_) => None,
            Self::Unknown { why } => Some(why),
        }
    }

    /// Make something else of the value.
    pub fn map<U>(self, make: impl FnOnce(T) -> U) -> Known<U> {
        match self {
            Self::Known(value) => Known::Known(make(value)),
            Self::Unknown { why } => Known::Unknown { why },
        }
    }
}

impl<T, E: Display> From<Result<T, E>> for Known<T> {
    fn from(result: Result<T, E>) -> Self {
        match result {
            Ok(value) => Self::Known(value),
            Err(error) => Self::unknown(error.to_string()),
        }
    }
}
