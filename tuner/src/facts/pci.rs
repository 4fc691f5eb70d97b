//! PCI functions, IOMMU, vfio.

use config::PciAddress;
use linux::pci::Function;
use serde::Serialize;

use crate::{Fact, Source};

/// PCI functions, IOMMU, vfio.
#[derive(Debug, Clone, Serialize)]
pub struct Pci {
    /// Every PCI function of the machine.
    pub functions: Fact<Vec<Function>>,
}

impl Pci {
    /// Reads it.
    #[must_use]
    pub fn read(source: &Source) -> Self {
        Self { functions: linux::pci::functions(source.root()).into() }
    }

    /// The function at an address, if there is one.
    #[must_use]
    pub fn function(&self, address: PciAddress) -> Option<&Function> {
        self.functions.value()?.iter().find(|function| function.address == address)
    }
}
