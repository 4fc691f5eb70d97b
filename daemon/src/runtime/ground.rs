//! What stays under every set of workers: DPDK, the machine, the pools, and what is known of the devices.

use config::{Config, CpuSet};
use dpdk::{Eal, Stamps};
use linux::Root;

use super::{
    RunError,
    fleet::{Fitted, Fleet, Held, Known, dpdk_name},
    note::Note,
    pools::Pools,
};
use crate::{
    facts::{DeviceLimits, Facts},
    plan::Plan,
};

/// See above.
pub(super) struct Ground<'eal> {
    pub(super) eal: &'eal Eal,
    pub(super) root: Root,
    pub(super) facts: Facts,
    pub(super) pools: Pools<'eal>,
    pub(super) stamps: Stamps<'eal>,
    /// Where every thread runs that is not a worker, from the start to the end, and no worker did at the start.
    pub(super) housekeeping: CpuSet,
    /// The devices that are in use.
    pub(super) known: Vec<Known<'eal>>,
    /// For the daemon after this one.
    pub(super) note: Note,
}

impl<'eal> Ground<'eal> {
    /// Looks whether a configuration can be put in force, as far as that can be known while another one is: plans, makes
    /// pools, and makes those new virtual devices whose names are free, which are returned. After an error nothing is left
    /// of them.
    pub(super) fn rehearse(&mut self, config: &Config) -> Result<Vec<Held<'eal>>, RunError> {
        let mut scouts: Vec<Held<'eal>> = Vec::new();
        let rehearsed = self.scout(config, &mut scouts);
        match rehearsed {
            Ok(()) => Ok(scouts),
            Err(error) => {
                for scout in scouts {
                    scout.discard(self.eal);
                }
                Err(error)
            }
        }
    }

    fn scout(&mut self, config: &Config, scouts: &mut Vec<Held<'eal>>) -> Result<(), RunError> {
        for port in &config.ports {
            let name = dpdk_name(&port.device);
            if self.known.iter().all(|known| dpdk_name(&known.device) != name) {
                scouts.push(Held::find(self.eal, &port.name, &port.device)?);
            }
        }
        let limits = |port: &config::Port| {
            let known = self.known.iter().find(|known| known.device == port.device);
            let scout = scouts.iter().find(|held| held.device == port.device);
            known.map(|known| known.limits).or_else(|| scout.map(Held::limits))
        };
        let limits = config.ports.iter().map(limits).collect();
        let mut plan = self.plan(config, limits)?;
        // Threads of this process, DPDK's among them, stay where they are.
        let mut workers = plan.workers.iter().map(|worker| worker.cpu);
        if let Some(cpu) = workers.find(|&cpu| self.housekeeping.contains(cpu)) {
            return Err(RunError::Housekeeping { cpu: cpu.get() });
        }
        let pool_of = self.pools.fit(&mut plan)?;
        match self.known.iter().find(|known| !known.permits(&plan, &pool_of)) {
            Some(known) => {
                Err(RunError::Once { port: known.port.clone(), device: dpdk_name(&known.device) })
            }
            None => Ok(()),
        }
    }

    /// Puts the ports of a configuration in place, from whatever there is.
    pub(super) fn bring_up(
        &mut self,
        fleet: &mut Fleet<'eal>,
        config: &Config,
    ) -> Result<(Plan, Fitted), RunError> {
        fleet.release_others(config, &mut self.pools);
        fleet.claim(config)?;
        let mut plan = self.plan(config, fleet.limits(config))?;
        let pool_of = self.pools.fit(&mut plan)?;
        let fitted = fleet.fit(&plan, &mut self.pools, &pool_of)?;
        self.known = fleet.known();
        Ok((plan, fitted))
    }

    fn plan(&self, config: &Config, limits: Vec<Option<DeviceLimits>>) -> Result<Plan, RunError> {
        let mut facts = self.facts.about(&self.root, config);
        facts.limits = limits;
        Plan::new(config, &facts).map_err(RunError::Plan)
    }
}
