//! systemd's units, and other tuners.

use serde::Serialize;

use crate::Source;

/// systemd's units, and other tuners.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Units {}

impl Units {
    /// Reads it.
    #[must_use]
    pub fn read(_source: &Source) -> Self {
        Self {}
    }
}
