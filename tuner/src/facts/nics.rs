//! Network interfaces.

use serde::Serialize;

use crate::Source;

/// Network interfaces.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Nics {}

impl Nics {
    /// Reads it.
    #[must_use]
    pub fn read(_source: &Source) -> Self {
        Self {}
    }
}
