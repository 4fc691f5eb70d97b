//! The kernel's network stack.

use serde::Serialize;

use crate::Source;

/// The kernel's network stack.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Network {}

impl Network {
    /// Reads it.
    #[must_use]
    pub fn read(_source: &Source) -> Self {
        Self {}
    }
}
