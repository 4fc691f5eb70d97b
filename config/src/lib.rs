//! The vocabulary of Barewire (CPUs, NUMA nodes, PCI and Ethernet addresses) and its one configuration file.
//!
//! The file is TOML. Reading it is a chain of values, each of which knows less about text and more about meaning:
//!
//! ```text
//! text ──► toml::DeTable ──► schema::File ──► Config
//!          spans kept        typed values      names looked up, defaults filled in,
//!                            with their spans  stages in topological order
//!            └────────────────────┴──────────────► Errors: all of them, with line, key and help
//! ```
//!
//! A [`Config`] is valid by construction: names are unique, edges lead somewhere, and nothing goes in a circle. It
//! knows nothing of the machine: whether a CPU, a port or a queue exists is the plan's question. This crate does no
//! input or output but reading one file, and takes any bytes without a panic and with bounded memory.
//!
//! ```
//! let text = r#"
//!     [[port]]
//!     name = "north"
//!     device = "0000:3b:00.0"
//!     input = "echo"
//!     addresses = ["192.0.2.1/24"]
//!
//!     [[stage]]
//!     name = "echo"
//!     kind = "reflect"
//!     to = "tx:north"
//! "#;
//! let config = config::parse(text, "example.toml")?;
//! assert_eq!(config.pipeline.burst, 32);
//! assert_eq!(config.edge_text(config.stages[0].kind.edges()[0].1), "tx:north");
//! # Ok::<(), config::Errors>(())
//! ```
#![forbid(unsafe_code)]

mod cpu;
mod device;
mod diagnostic;
mod drawing;
mod duration;
mod graph;
mod mac;
pub mod machine;
mod model;
mod names;
mod numa;
mod pci;
pub mod placement;
mod read;
mod resolve;
mod schema;
mod section;
mod stage;
mod tune;
mod value;
mod written;

pub use cpu::{CpuId, CpuParseError, CpuSet, Iter as CpuSetIter};
pub use device::DeviceError;
pub use diagnostic::{Diagnostic, Errors};
pub use drawing::{Graph, GraphEdge, GraphNode};
pub use duration::{DurationError, format_duration, parse_duration};
pub use mac::{MacAddress, MacAddressError};
pub use model::*;
pub use numa::NumaNode;
pub use pci::{PciAddress, PciAddressError};
pub use read::{MAX_FILE, load, parse, parse_bytes, unreadable};
pub use schema::reference;
pub use section::KeyHelp;
pub use tune::{CheckId, CheckIdError};
