//! PCIe links, IOMMU, vfio.

mod iommu;
mod link;
mod vfio;

use super::Check;

/// PCIe links, IOMMU, vfio.
pub(super) const CHECKS: &[Check] = &[
    link::WIDTH,
    link::READ_REQUEST,
    link::PAYLOAD,
    link::ERRORS,
    iommu::PRESENT,
    iommu::PASSTHROUGH,
    iommu::GROUP,
    iommu::RESERVED,
    vfio::BOUND,
    vfio::BIFURCATED,
    vfio::PERSISTENT,
    vfio::NO_IOMMU,
    vfio::PERMISSIONS,
    vfio::LOCKDOWN,
    vfio::SRIOV,
];

#[cfg(test)]
mod tests;
