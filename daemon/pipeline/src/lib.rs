//! Packet processing without DPDK and without `unsafe`: what a worker does with a burst between receiving and sending it,
//! and how it counts.
//!
//! It refuses to do I/O, to read a clock and to allocate while it runs: frames, ticks and ports are the caller's. So all of
//! it is tested without a NIC, and the daemon's hot loop is generic over the [`Frame`] that DPDK gives it.
//!
//! ```text
//!   received burst ──► Graph::run ──────────────────► Egress ──► the worker sends, or frees
//!     of Frames         │  stages, each with its        │  a burst per port, those dropped,
//!                       │  StageCounters                │  and a DropTally
//!                       ▼                               ▼
//!                     Meta: headers, read once       counters (add up exactly), histogram, stalls:
//!                                                    one writer each, read at any time without waiting
//! ```
//!
//! ```
//! use pipeline::{Burst, Egress, Graph, PortIdentity, StageCounterSet};
//! # use pipeline::{Frame, NoRoom};
//! # struct Bytes(Vec<u8>);
//! # impl Frame for Bytes {
//! #     fn head(&self) -> &[u8] { &self.0 }
//! #     fn head_mut(&mut self) -> &mut [u8] { &mut self.0 }
//! #     fn wire_len(&self) -> usize { self.0.len() }
//! #     fn flow_hash(&self) -> Option<u32> { None }
//! #     fn resize(&mut self, len: usize) -> Result<(), NoRoom> { self.0.resize(len, 0); Ok(()) }
//! # }
//! use config::{Edge, Macs, PortIx, Stage, StageIx, StageKind};
//!
//! // A wire from port 0 to port 1. (The daemon has its stages from a file: `Graph::build`.)
//! let to = Edge::Tx(PortIx(1));
//! let stages = [Stage { name: "wire".into(), kind: StageKind::Cross { to, macs: Macs::Keep } }];
//! let nobody = PortIdentity { mac: [2, 0, 0, 0, 0, 1], addresses: vec![] };
//! let ports = [nobody.clone(), nobody];
//! let inputs = [Some(StageIx(0)), None];
//! let mut graph = Graph::assemble(&stages, &inputs, &ports, &StageCounterSet::default())?;
//!
//! let mut egress = Egress::new(2);
//! let mut burst: Box<Burst<Bytes>> = Box::default();
//! burst.push(Bytes(b"any bytes".to_vec()));
//! graph.run(0, &mut burst, &mut egress, || 0);
//! assert!(burst.is_empty());
//! assert_eq!(egress.ports[1][0].0, b"any bytes");
//! # Ok::<(), pipeline::BuildError>(())
//! ```
#![forbid(unsafe_code)]

#[cfg(test)]
mod built;
pub mod counters;
pub mod device_clock;
mod egress;
mod graph;
pub mod histogram;
mod meta;
mod reason;
mod shortcut;
mod single_writer;
mod stage_counters;
pub mod stages;
pub mod stalls;
#[cfg(feature = "testing")]
pub mod testing;
mod verdict;
pub mod wire;

pub use ::frame::{Burst, Frame, MAX_BURST, NoRoom};
pub use counters::{CountersReader, WorkerCounters, WorkerSnapshot};
pub use egress::{Egress, MAX_PORTS};
pub use graph::{BuildError, Graph};
pub use meta::{MAX_EXTENSIONS, Meta, Network};
pub use reason::{DropReason, DropTally};
pub use shortcut::Shortcut;
pub use stage_counters::{StageCounterSet, StageCounters, StageSnapshot};
pub use stages::PortIdentity;
pub use verdict::{Decision, Outcome, Verdict};
