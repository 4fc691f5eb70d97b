//! Frequencies, idle states, firmware knobs.

use serde::Serialize;

use crate::Source;

/// Frequencies, idle states, firmware knobs.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Power {}

impl Power {
    /// Reads it.
    #[must_use]
    pub fn read(_source: &Source, _machine: Option<&config::machine::Machine>) -> Self {
        Self {}
    }
}
