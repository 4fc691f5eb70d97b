//! Mitigations, and what was switched off.

use serde::Serialize;

use crate::Source;

/// Mitigations, and what was switched off.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Security {}

impl Security {
    /// Reads it.
    #[must_use]
    pub fn read(_source: &Source) -> Self {
        Self {}
    }
}
