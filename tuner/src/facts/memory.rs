//! Hugepages and the rest of memory management.

use serde::Serialize;

use crate::Source;

/// Hugepages and the rest of memory management.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Memory {}

impl Memory {
    /// Reads it.
    #[must_use]
    pub fn read(_source: &Source, _machine: Option<&config::machine::Machine>) -> Self {
        Self {}
    }
}
