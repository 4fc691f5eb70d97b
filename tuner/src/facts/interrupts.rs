//! Interrupts, and who serves them.

use serde::Serialize;

use crate::Source;

/// Interrupts, and who serves them.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Interrupts {}

impl Interrupts {
    /// Reads it.
    #[must_use]
    pub fn read(_source: &Source) -> Self {
        Self {}
    }
}
