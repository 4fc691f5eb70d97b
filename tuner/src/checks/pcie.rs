//! PCIe, IOMMU and vfio: the devices can be driven from user space.

use super::Check;

/// PCIe, IOMMU and vfio: the devices can be driven from user space.
pub(super) const CHECKS: &[Check] = &[];
