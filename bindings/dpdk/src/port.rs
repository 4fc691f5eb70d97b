//! Ethernet ports, and the order in which things can be done to them.
//!
//! # Safety
//! Reads who else may own a port, and lends its queues, for which it has to be started: a port in the wrong state has no
//! such method.

mod claim;
mod config;
mod error;

use std::fmt;

use dpdk_sys as c;

use self::claim::{Claim, Stage};
pub(crate) use self::claim::{Holder, Slot, check, find};
pub use self::{
    config::{PortConfig, Settings},
    error::{Failed, PortError},
};
use crate::eal::Eal;
use crate::mempool::Mempool;
use crate::port_info::PortInfo;
use crate::queue::Queues;
use crate::stats::PortObserver;

/// A port of an Ethernet device, owned. `S` is its state:
///
/// ```text
///  Eal::port ─► Found ── configure ──► Configured ── start ──► Started ── split ──► Queues
///                 ▲                     │      ▲                  │
///                 └───── release ───────┘      └────── stop ──────┘
/// ```
///
/// A step that fails gives the port back in the state it was in. Dropping a port stops it if it is
/// started, and closes the device if it was configured; a port only found goes back to where
/// [`Eal::port`] finds it.
pub struct Port<'eal, S> {
    claim: Claim<'eal>,
    state: S,
}

/// A probed device that nothing has been done to.
#[derive(Debug, Clone, Copy)]
pub struct Found(());

/// Its queues are set up; it does not receive or send.
#[derive(Debug, Clone, Copy)]
pub struct Configured(Settings);

/// It receives and sends.
#[derive(Debug, Clone, Copy)]
pub struct Started(Settings);

impl<'eal, S> Port<'eal, S> {
    /// Id of the port.
    #[must_use]
    pub fn id(&self) -> u16 {
        self.claim.id
    }

    /// What the device is and offers.
    ///
    /// # Errors
    /// What the driver says.
    pub fn info(&self) -> Result<PortInfo, PortError> {
        let _slot = self.claim.eal.slot(self.claim.id);
        PortInfo::read(self.claim.id)
    }

    /// A handle for looking at the port from any thread.
    #[must_use]
    pub fn observer(&self) -> PortObserver<'eal> {
        PortObserver::new(self.claim.eal, self.claim.id, self.claim.generation)
    }

    /// Closes the device; it can not be found again, unless it is virtual and plugged in again
    /// ([`Eal::unplug`], [`Eal::plug`]).
    ///
    /// # Errors
    /// What the driver says. The port is closed all the same.
    pub fn close(mut self) -> Result<(), PortError> {
        self.claim.close()
    }
}

impl<'eal> Port<'eal, Found> {
    pub(crate) fn claim(eal: &'eal Eal, name: &str) -> Result<Self, PortError> {
        let not_found =
            || PortError::NotFound { name: name.to_owned(), probed: eal.port_names().join(", ") };
        let id = {
            let _control = eal.control();
            // The EAL names PCI devices with their domain.
            find(name).or_else(|| find(&format!("0000:{name}")))
        };
        let id = id.ok_or_else(not_found)?;
        let mut slot = eal.slot(id);
        match slot.holder {
            Holder::Free => {}
            Holder::Claimed => return Err(PortError::Claimed { name: name.to_owned() }),
            Holder::Closed => {
                drop(slot);
                return Err(not_found());
            }
        }
        let mut owner = c::rte_eth_dev_owner::default();
        // SAFETY: the port exists, and the structure is the installed header's.
        let answer = unsafe { c::rte_eth_dev_owner_get(id, &raw mut owner) };
        check(id, "read the owner", answer)?;
        if owner.id != u64::from(c::RTE_ETH_DEV_NO_OWNER) {
            let owner = crate::error::text_of(&owner.name);
            return Err(PortError::Owned { name: name.to_owned(), owner });
        }
        slot.holder = Holder::Claimed;
        let generation = slot.generation;
        drop(slot);
        Ok(Self { claim: Claim { eal, id, generation, stage: Stage::Found }, state: Found(()) })
    }

    /// Sets the port up: offloads, queues in memory of the port's NUMA node, MTU. `pool_of` says
    /// which pool a receive queue takes its buffers from.
    ///
    /// # Errors
    /// What the device can not do, with the port as it was found.
    pub fn configure(
        mut self,
        config: &PortConfig,
        pool_of: impl FnMut(u16) -> Mempool<'eal>,
    ) -> Result<Port<'eal, Configured>, Failed<Self>> {
        match self.claim.set_up(config, pool_of) {
            Ok(settings) => {
                self.claim.stage = Stage::Configured;
                Ok(Port { claim: self.claim, state: Configured(settings) })
            }
            Err(error) => Err(Failed { port: self, error }),
        }
    }
}

impl<'eal> Port<'eal, Configured> {
    /// What came of the configuration.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.state.0
    }

    /// Starts the port: it receives and sends from here on.
    ///
    /// # Errors
    /// What the driver says, with the port still configured.
    pub fn start(mut self) -> Result<Port<'eal, Started>, Failed<Self>> {
        match self.claim.start(self.state.0.promiscuous) {
            Ok(()) => {
                self.claim.stage = Stage::Started;
                Ok(Port { claim: self.claim, state: Started(self.state.0) })
            }
            Err(error) => Err(Failed { port: self, error }),
        }
    }

    /// Back to before [`configure`](Port::configure), to configure it in another way.
    #[must_use]
    pub fn release(mut self) -> Port<'eal, Found> {
        self.claim.stage = Stage::Found;
        Port { claim: self.claim, state: Found(()) }
    }
}

impl<'eal> Port<'eal, Started> {
    /// What came of the configuration.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.state.0
    }

    /// Lends the queues, for as long as the port is borrowed. DPDK: "the transmit and receive
    /// functions should not be invoked when the device or the queue is stopped", and stopping
    /// needs the port itself.
    #[must_use]
    pub fn split(&mut self) -> Queues<'_, 'eal> {
        let Settings { rx_queues, tx_queues, .. } = self.state.0;
        // SAFETY: the port is started with these queues; it is borrowed mutably as long as the
        // queues are out, so it can be neither stopped nor split again.
        unsafe { Queues::lend(self.claim.id, rx_queues, tx_queues) }
    }

    /// Stops the port; frames in its queues go back to their pools.
    ///
    /// # Errors
    /// What the driver says, with the port still started.
    pub fn stop(mut self) -> Result<Port<'eal, Configured>, Failed<Self>> {
        match self.claim.stop() {
            Ok(()) => Ok(Port { claim: self.claim, state: Configured(self.state.0) }),
            Err(error) => Err(Failed { port: self, error }),
        }
    }
}

impl<S: fmt::Debug> fmt::Debug for Port<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Port").field("id", &self.claim.id).field("state", &self.state).finish()
    }
}

/// Checks at compile time that ports and what they lend may move between threads.
const _: () = {
    const fn send<T: Send>() {}
    send::<Port<'static, Found>>();
    send::<Port<'static, Configured>>();
    send::<Port<'static, Started>>();
    send::<Queues<'static, 'static>>();
    const fn sync<T: Sync>() {}
    sync::<PortObserver<'static>>();
    sync::<Eal>();
};
