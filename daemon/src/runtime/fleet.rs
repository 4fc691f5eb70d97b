//! The devices that are there, and how far each has come: what the next plan changes about them, and back.
//!
//! ```text
//!  release_others ─► claim ─► limits ─► (plan) ─► fit ─► ports that workers can have
//! ```
//! Each step starts from whatever there is, so going back to an old plan is doing the steps with that plan.

mod held;

use std::collections::BTreeMap;

use config::{Config, Device};
use dpdk::{Eal, Mempool, Port, Started};

use self::held::Wish;
use super::{RunError, pools::Pools};
use crate::{
    facts::DeviceLimits,
    plan::Plan,
    rx_clock::RxStamps,
    state::{DriverLedger, PortView},
};

pub(super) use self::held::{Held, Known};

/// All devices.
pub(super) struct Fleet<'eal> {
    eal: &'eal Eal,
    held: Vec<Held<'eal>>,
    /// By port name, ports that are gone among them: what drivers counted.
    ledgers: BTreeMap<String, DriverLedger>,
}

/// What [`Fleet::fit`] did, by port name.
#[derive(Debug, Clone, Default)]
pub(super) struct Fitted {
    /// Started, or stopped and started.
    pub(super) started: Vec<String>,
    /// Left running.
    pub(super) kept: Vec<String>,
}

impl<'eal> Fleet<'eal> {
    /// Nothing yet.
    pub(super) fn new(eal: &'eal Eal) -> Self {
        Self { eal, held: Vec::new(), ledgers: BTreeMap::new() }
    }

    /// Takes devices that were claimed elsewhere.
    pub(super) fn adopt(&mut self, held: Vec<Held<'eal>>) {
        self.held.extend(held);
    }

    /// Closes the devices that the configuration does not name, or names with other arguments or as another port.
    pub(super) fn release_others(&mut self, config: &Config, pools: &mut Pools<'eal>) {
        let is_named = |held: &Held<'_>| {
            config.ports.iter().any(|port| port.device == held.device && port.name == held.port)
        };
        let (held, others) = std::mem::take(&mut self.held).into_iter().partition(is_named);
        self.held = held;
        for held in others {
            self.end(held, pools);
        }
    }

    /// Claims every device of the configuration that is not claimed; virtual ones that are not there are made. One whose
    /// name belongs to a device that is still to be released is left out.
    pub(super) fn claim(&mut self, config: &Config) -> Result<(), RunError> {
        for port in &config.ports {
            let name = dpdk_name(&port.device);
            if self.held.iter().all(|held| dpdk_name(&held.device) != name) {
                self.held.push(Held::find(self.eal, &port.name, &port.device)?);
            }
        }
        Ok(())
    }

    /// For a look at the next plan while workers have the ports.
    pub(super) fn known(&self) -> Vec<Known<'eal>> {
        self.held.iter().map(Held::known).collect()
    }

    /// What the devices of the configuration offer, as far as they are claimed.
    pub(super) fn limits(&self, config: &Config) -> Vec<Option<DeviceLimits>> {
        let of = |port: &config::Port| {
            self.held.iter().find(|held| held.device == port.device).map(Held::limits)
        };
        config.ports.iter().map(of).collect()
    }

    /// Starts the ports of the plan, whose devices are claimed. One that runs as the plan wants it goes on.
    pub(super) fn fit(
        &mut self,
        plan: &Plan,
        pools: &mut Pools<'eal>,
        pool_of: &[Mempool<'eal>],
    ) -> Result<Fitted, RunError> {
        let place = |held: &Held<'_>| plan.ports.iter().position(|p| p.device == held.device);
        // The order of the plan is the order of everything else.
        self.held.sort_by_key(place);
        let mut fitted = Fitted::default();
        for (held, planned) in self.held.iter_mut().zip(&plan.ports) {
            let wish = Wish::of(planned, pool_of[planned.pool]);
            if held.is_started_as(&wish) {
                fitted.kept.push(planned.name.clone());
            } else {
                fitted.started.push(planned.name.clone());
                let ledger = self.ledgers.entry(planned.name.clone()).or_default();
                held.start(self.eal, planned, wish, pools, ledger)?;
            }
        }
        Ok(fitted)
    }

    /// The ports that are started, in the order of the plan that was fitted last.
    pub(super) fn ports(&mut self) -> impl Iterator<Item = &mut Port<'eal, Started>> {
        self.held.iter_mut().filter_map(Held::port)
    }

    /// The same for readers.
    pub(super) fn views(&self, plan: &Plan) -> Vec<PortView<'eal>> {
        let views = self.held.iter().zip(&plan.ports).filter_map(|(held, planned)| {
            Some(PortView {
                name: planned.name.clone(),
                device: planned.device.to_string(),
                driver: held.info.driver.clone(),
                mac: held.info.mac,
                node: planned.node.map(|node| node.0),
                observer: held.observer()?,
                stamps: RxStamps::new(held.why_unstamped()),
                is_stamping: held.why_unstamped().is_none(),
                ledger: self.ledgers.get(&planned.name).cloned().unwrap_or_default(),
            })
        });
        views.collect()
    }

    /// Closes every device.
    pub(super) fn close(mut self, pools: &mut Pools<'eal>) {
        for held in std::mem::take(&mut self.held) {
            self.end(held, pools);
        }
    }

    fn end(&mut self, held: Held<'eal>, pools: &mut Pools<'eal>) {
        let ledger = self.ledgers.entry(held.port.clone()).or_default();
        if let Err(error) = held.end(self.eal, pools, ledger) {
            tracing::error!(%error, "a port did not close");
        }
    }
}

/// What DPDK calls a device.
pub(super) fn dpdk_name(device: &Device) -> String {
    match device {
        Device::Pci(address) => address.to_string(),
        Device::Vdev { name, .. } => name.clone(),
    }
}
