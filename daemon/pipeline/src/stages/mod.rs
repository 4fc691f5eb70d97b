//! What happens to frames: one file per kind of stage.
//!
//! A new kind (routing, filters, …) is a file here, a variant of [`config::StageKind`] and one arm each in `shape` and `make` below; the
//! graph, its counters and the worker need no change.

mod count;
mod cross;
mod reflect;
mod sample;

use std::{fmt, net::IpAddr, sync::Arc};

use config::{Edge, StageKind};

use crate::{Frame, Meta, Outcome, StageCounters, Verdict};

/// One kind of work on frames, with its state. Each worker has its own stages.
pub trait Stage<F>: fmt::Debug + Send {
    /// Decides about a burst received on `port`, and may change the frames.
    ///
    /// `frames` is not empty and `verdicts` is as long. `metas` is as long as `frames` if the stage
    /// [`needs_meta`](Stage::needs_meta), else it must not be used; a stage that moves headers mends the frame's meta.
    /// With [`Outcome::Each`] every verdict has been written.
    fn process(
        &mut self,
        port: usize,
        frames: &mut [F],
        metas: &mut [Meta],
        verdicts: &mut [Verdict],
    ) -> Outcome;

    /// The one verdict of a stage that touches no frame and decides the same about all of them, as long as it lives;
    /// `None` for every other. Such a stage need not be asked.
    fn always(&self) -> Option<Verdict> {
        None
    }

    /// Does the stage look at headers? They are read once, before the first stage that does.
    fn needs_meta(&self) -> bool;
}

/// Who a port is, to those who answer for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortIdentity {
    /// Its MAC address.
    pub mac: [u8; 6],
    /// Its IP addresses.
    pub addresses: Vec<IpAddr>,
}

/// The names of a kind and of its edges, and the kind's own counters: the same for all its stages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// The kind's name in configuration and statistics.
    pub kind: &'static str,
    /// The names of its edges, by index.
    pub edges: &'static [&'static str],
    /// The names of what it counts beside frames and drops.
    pub counted: &'static [&'static str],
}

/// The shape of a kind. Its edges stand in the order of [`StageKind::edges`].
#[must_use]
pub(crate) fn shape(kind: &StageKind) -> Shape {
    match kind {
        StageKind::Cross { .. } => cross::SHAPE,
        StageKind::Reflect { .. } => reflect::SHAPE,
        StageKind::Count { .. } => count::SHAPE,
        StageKind::Sample { .. } => sample::SHAPE,
    }
}

/// Makes the stage that the configuration describes.
#[must_use]
pub(crate) fn make<F: Frame>(
    kind: &StageKind,
    ports: &[PortIdentity],
    counters: &Arc<StageCounters>,
) -> Box<dyn Stage<F>> {
    match kind {
        StageKind::Cross { macs, .. } => Box::new(cross::Cross::new(*macs)),
        StageKind::Reflect { other, addresses, any_address, udp_echo, .. } => {
            let local = reflect::local(addresses, ports);
            let has_other = *other != Edge::Drop;
            Box::new(reflect::Reflect::new(local, *any_address, *udp_echo, has_other))
        }
        StageKind::Count { .. } => Box::new(count::Count::new(Arc::clone(counters))),
        StageKind::Sample { every, .. } => Box::new(sample::Sample::new(*every)),
    }
}

#[cfg(test)]
mod tests {
    use config::{Macs, PortIx};

    use super::*;

    #[test]
    fn every_shape_names_the_edges_as_the_configuration_does() {
        let to = Edge::Tx(PortIx(0));
        let other = Edge::Drop;
        let kinds = [
            StageKind::Cross { to, macs: Macs::Keep },
            StageKind::Reflect {
                to,
                other,
                addresses: vec![],
                any_address: false,
                udp_echo: false,
            },
            StageKind::Count { to },
            StageKind::Sample { to, sampled: other, every: 1 },
        ];
        for kind in kinds {
            let names: Vec<_> = kind.edges().into_iter().map(|(name, _)| name).collect();
            assert_eq!(shape(&kind).edges, names);
        }
    }
}
