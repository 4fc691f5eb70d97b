//! Interfaces that the plan takes away: once another driver has the device, there is nothing left to set on them.

use config::PciAddress;

use super::Draft;
use crate::change::Change;

impl Draft<'_> {
    /// Leaves out what would be set on an interface whose device goes to another driver: rings, offloads and interrupts
    /// are then set by the program that drives it, and the interface is not there to be asked.
    pub(super) fn leave_bound_interfaces(&mut self) {
        let bound: Vec<PciAddress> = self
            .chosen
            .iter()
            .filter_map(|chosen| match chosen.change {
                Change::Driver { device, .. } => Some(device),
                _ => None,
            })
            .collect();
        let facts = self.facts;
        self.refuse(|chosen| {
            let Change::Ethtool { interface, .. } = &chosen.change else { return None };
            let nic = facts.nics.nics.iter().find(|nic| nic.interface.name == *interface)?;
            nic.interface.pci.is_some_and(|device| bound.contains(&device)).then(|| {
                format!(
                    "{interface} goes away with its driver, and who drives it then sets its own"
                )
            })
        });
    }
}
