//! The driver of a PCI function: bound to it or not, and preferred or not.
//!
//! `Documentation/ABI/testing/sysfs-bus-pci` of Linux 6.18: a name in `driver_override` makes that driver the only one
//! that may bind; an empty line takes it back, and it reads as `(null)`.

use config::PciAddress;
use serde::{Deserialize, Serialize};

use super::KnobError;
use crate::{
    bind::VFIO,
    hands::{Hands, HandsError},
    holders::{self, Holder},
};

/// What drives a function.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Binding {
    /// The driver that is bound; none for none.
    pub driver: Option<String>,
    /// The only driver that may be bound.
    pub only: Option<String>,
}

impl Binding {
    /// This driver, and no other.
    #[must_use]
    pub fn only(driver: &str) -> Self {
        Self { driver: Some(driver.to_owned()), only: Some(driver.to_owned()) }
    }

    pub(super) fn summary(&self) -> String {
        let driver = self.driver.as_deref().unwrap_or("no driver");
        match &self.only {
            Some(only) if Some(only) != self.driver.as_ref() => format!("{driver}, then {only}"),
            Some(_) => format!("{driver} only"),
            None => driver.to_owned(),
        }
    }
}

pub(super) fn read(hands: &dyn Hands, device: PciAddress) -> Result<Binding, KnobError> {
    let dir = format!("sys/bus/pci/devices/{device}");
    let only = hands.text(&format!("{dir}/driver_override"))?;
    Ok(Binding {
        driver: hands.link_name(&format!("{dir}/driver"))?,
        only: only.filter(|name| !matches!(name.as_str(), "" | "(null)")),
    })
}

/// Prefers the driver, lets the present one go, has the kernel look for one again, and prefers what shall be preferred
/// in the end. Each part may be done already.
pub(super) fn write(hands: &dyn Hands, device: PciAddress, to: &Binding) -> Result<(), KnobError> {
    let dir = format!("sys/bus/pci/devices/{device}");
    let prefer = |name: Option<&str>| {
        hands.write(&format!("{dir}/driver_override"), &format!("{}\n", name.unwrap_or_default()))
    };
    let now = read(hands, device)?;
    if now.driver != to.driver {
        if now.driver.as_deref() == Some(VFIO) {
            nobody_uses(hands, device)?;
        }
        if let Some(driver) = &to.driver
            && !hands.exists(&format!("sys/bus/pci/drivers/{driver}"))?
        {
            hands.must_run(&["modprobe", "--", driver])?;
        }
        if to.driver.is_some() {
            prefer(to.driver.as_deref())?;
        }
        if now.driver.is_some() {
            hands.write(&format!("{dir}/driver/unbind"), &format!("{device}\n"))?;
        }
        if to.driver.is_some() {
            hands.write("sys/bus/pci/drivers_probe", &format!("{device}\n"))?;
        }
    }
    if read(hands, device)?.only != to.only {
        prefer(to.only.as_deref())?;
    }
    Ok(())
}

fn nobody_uses(hands: &dyn Hands, device: PciAddress) -> Result<(), KnobError> {
    match users(hands, device)?.into_iter().next() {
        None => Ok(()),
        Some(Holder { process, name }) => Err(KnobError::InUse { device, process, name }),
    }
}

/// The programs that have a function of vfio's, by its group or by itself.
pub(crate) fn users(hands: &dyn Hands, device: PciAddress) -> Result<Vec<Holder>, HandsError> {
    let dir = format!("sys/bus/pci/devices/{device}");
    let group = hands.link_name(&format!("{dir}/iommu_group"))?;
    let devices = hands.names(&format!("{dir}/vfio-dev"))?;
    match holders::vfio_files(group.as_deref(), &devices).as_slice() {
        [] => Ok(Vec::new()),
        files => hands.holders(files),
    }
}
