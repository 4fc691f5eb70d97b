//! The vocabulary of Barewire (CPUs, NUMA nodes, PCI and Ethernet addresses) and its one configuration file.
#![forbid(unsafe_code)]

mod cpu;
mod mac;
pub mod machine;
mod model;
mod numa;
mod pci;
pub mod placement;

pub use cpu::{CpuId, CpuParseError, CpuSet, Iter as CpuSetIter};
pub use mac::{MacAddress, MacAddressError};
pub use model::*;
pub use numa::NumaNode;
pub use pci::{PciAddress, PciAddressError};
