//! What the planner does not need of the topology.

use serde::Serialize;

use crate::Source;

/// What the planner does not need of the topology.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Topology {}

impl Topology {
    /// Reads it.
    #[must_use]
    pub fn read(_source: &Source, _machine: Option<&config::machine::Machine>) -> Self {
        Self {}
    }
}
