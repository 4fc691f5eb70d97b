//! One device, from nothing to a started port and back.

use config::Device;
use dpdk::{Eal, Found, Mempool, Port, PortConfig, PortError, PortInfo, PortObserver, Started};

use super::{Pools, RunError, dpdk_name};
use crate::{
    facts::DeviceLimits,
    plan::{Plan, PortPlan},
    state::{DriverCounts, DriverLedger},
};

/// The MTU that every Ethernet device takes.
const USUAL_MTU: u16 = 1500;

/// Virtual devices that something else is connected to, which would notice if they were made anew. The others' drivers
/// mostly can not set up a queue a second time: net_af_packet has closed its sockets, net_pcap forgets the frames of an
/// endless capture.
const CONNECTED: [&str; 4] = ["net_tap", "net_virtio_user", "net_vhost", "net_memif"];

/// Drivers that can be set up once in the life of a process: closing a port of net_af_xdp (22.11) does not close the
/// socket that its buffers are registered with, so the kernel does not let go of the interface's queue.
const ONCE: [&str; 1] = ["net_af_xdp"];

/// A device of ours.
pub(in crate::runtime) struct Held<'eal> {
    /// The name of its port.
    pub(super) port: String,
    pub(in crate::runtime) device: Device,
    pub(super) info: PortInfo,
    stand: Stand<'eal>,
    /// Its queues were set up before.
    used: bool,
    /// What its driver counted up to a stop, until that is in the ledger.
    last: Option<DriverCounts>,
}

/// How far it has come.
enum Stand<'eal> {
    Found(Port<'eal, Found>),
    Started(Port<'eal, Started>, Wish<'eal>),
    /// A virtual device that was to be made anew, and was not.
    Gone,
}

/// What a port is asked to be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Wish<'eal> {
    config: PortConfig,
    pool: Mempool<'eal>,
}

/// What is to be known of a device that workers use.
pub(in crate::runtime) struct Known<'eal> {
    pub(in crate::runtime) port: String,
    pub(in crate::runtime) device: Device,
    pub(in crate::runtime) limits: DeviceLimits,
    /// It can not be stopped and started again in this process.
    is_fixed: bool,
    wish: Option<Wish<'eal>>,
}

impl<'eal> Known<'eal> {
    /// Whether this plan can be put in force, as far as this device goes.
    pub(in crate::runtime) fn permits(&self, plan: &Plan, pool_of: &[Mempool<'eal>]) -> bool {
        let stays = |planned: &PortPlan| {
            planned.name == self.port
                && planned.device == self.device
                && self.wish == Some(Wish::of(planned, pool_of[planned.pool]))
        };
        !self.is_fixed || plan.ports.iter().any(stays)
    }
}

impl<'eal> Wish<'eal> {
    pub(super) fn of(planned: &PortPlan, pool: Mempool<'eal>) -> Self {
        let config = PortConfig {
            rx_queues: planned.rx_queues,
            tx_queues: planned.tx_queues,
            rx_descriptors: planned.rx_ring,
            tx_descriptors: planned.tx_ring,
            mtu: planned.mtu,
            keep_interface_mtu: false,
            promiscuous: planned.promiscuous,
            rss: planned.rx_queues > 1,
            rx_timestamps: planned.rx_timestamps,
            multi_segment: true,
        };
        Self { config, pool }
    }
}

impl<'eal> Held<'eal> {
    /// Claims a device; a virtual one that is not there is made.
    pub(in crate::runtime) fn find(
        eal: &'eal Eal,
        port: &str,
        device: &Device,
    ) -> Result<Self, RunError> {
        let name = dpdk_name(device);
        let found = match (eal.port(&name), device) {
            (Err(PortError::NotFound { .. }), Device::Vdev { name, args }) => {
                eal.plug(name, args).map_err(|source| plugging(port, device, source))?;
                eal.port(name)
            }
            (found, _) => found,
        };
        let claim = |found: Port<'eal, Found>| {
            let info = found.info()?;
            let (port, device) = (port.to_owned(), device.clone());
            Ok(Self { port, device, info, stand: Stand::Found(found), used: false, last: None })
        };
        found.and_then(claim).map_err(|source| at(port, device, source))
    }

    /// For a look at the next plan while this device is in use.
    pub(super) fn known(&self) -> Known<'eal> {
        let wish = match &self.stand {
            Stand::Started(_, wish) => Some(*wish),
            Stand::Found(_) | Stand::Gone => None,
        };
        Known {
            port: self.port.clone(),
            device: self.device.clone(),
            limits: self.limits(),
            is_fixed: ONCE.contains(&self.info.driver.as_str()),
            wish,
        }
    }

    /// What the device offers.
    pub(in crate::runtime) fn limits(&self) -> DeviceLimits {
        DeviceLimits {
            max_rx_queues: self.info.max_rx_queues,
            max_tx_queues: self.info.max_tx_queues,
            rx_ring: self.info.rx_ring_size,
            tx_ring: self.info.tx_ring_size,
        }
    }

    /// Gives up a device that was never started.
    pub(in crate::runtime) fn discard(mut self, eal: &'eal Eal) {
        if let Err(error) = self.unmake(eal) {
            tracing::warn!(%error, "a device that is not wanted after all is still there");
        }
    }

    pub(super) fn is_started_as(&self, wish: &Wish<'eal>) -> bool {
        matches!(&self.stand, Stand::Started(_, now) if now == wish)
    }

    pub(super) fn port(&mut self) -> Option<&mut Port<'eal, Started>> {
        match &mut self.stand {
            Stand::Started(port, _) => Some(port),
            Stand::Found(_) | Stand::Gone => None,
        }
    }

    pub(super) fn observer(&self) -> Option<PortObserver<'eal>> {
        match &self.stand {
            Stand::Started(port, _) => Some(port.observer()),
            Stand::Found(_) | Stand::Gone => None,
        }
    }

    /// Why its frames come without stamps of the device's; `None` when they come with them.
    pub(super) fn why_unstamped(&self) -> Option<String> {
        match &self.stand {
            Stand::Started(port, _) if port.settings().rx_timestamps() => None,
            Stand::Started(_, wish) if !wish.config.rx_timestamps => {
                Some("latency.hardware_timestamps is off".to_owned())
            }
            Stand::Started(..) | Stand::Found(_) | Stand::Gone => {
                Some(format!("{} offers no receive time stamps", self.info.driver))
            }
        }
    }

    /// Starts it as the plan wants it, from wherever it is. After an error it is somewhere, and may be tried again.
    pub(super) fn start(
        &mut self,
        eal: &'eal Eal,
        planned: &PortPlan,
        wish: Wish<'eal>,
        pools: &mut Pools<'eal>,
        ledger: &mut DriverLedger,
    ) -> Result<(), RunError> {
        self.stop(pools)?;
        let is_connected = CONNECTED.contains(&self.info.driver.as_str());
        let is_virtual = matches!(self.device, Device::Vdev { .. });
        if matches!(self.stand, Stand::Gone) || self.used && is_virtual && !is_connected {
            if let Some(last) = self.last.take() {
                *ledger = ledger.ended(&last);
            }
            self.unmake(eal)?;
            *self = Self::find(eal, &self.port, &self.device)?;
        }
        self.used = true;
        let observer = self.set_up(planned, wish)?;
        if let Some(last) = self.last.take() {
            *ledger = ledger.restarted(&last, &DriverCounts::read(&observer).0);
        }
        Ok(())
    }

    /// Stops it if it is started.
    fn stop(&mut self, pools: &mut Pools<'eal>) -> Result<(), RunError> {
        let (port, wish) = match std::mem::replace(&mut self.stand, Stand::Gone) {
            Stand::Started(port, wish) => (port, wish),
            other => {
                self.stand = other;
                return Ok(());
            }
        };
        let made = *port.settings();
        let in_rings = u32::from(made.rx_queues) * u32::from(made.rx_descriptors)
            + u32::from(made.tx_queues) * u32::from(made.tx_descriptors);
        match port.stop() {
            Ok(port) => {
                self.last = Some(DriverCounts::read(&port.observer()).0);
                pools.may_keep(wish.pool, in_rings);
                self.stand = Stand::Found(port.release());
                Ok(())
            }
            Err(failed) => {
                self.stand = Stand::Started(failed.port, wish);
                Err(at(&self.port, &self.device, failed.error))
            }
        }
    }

    /// Closes the port, and unmakes the device if it is virtual.
    fn unmake(&mut self, eal: &'eal Eal) -> Result<(), RunError> {
        if let Stand::Found(port) = std::mem::replace(&mut self.stand, Stand::Gone) {
            port.close().map_err(|source| at(&self.port, &self.device, source))?;
            if let Device::Vdev { name, .. } = &self.device {
                eal.unplug(name).map_err(|source| plugging(&self.port, &self.device, source))?;
            }
        }
        Ok(())
    }

    /// Configures and starts it.
    fn set_up(
        &mut self,
        planned: &PortPlan,
        wish: Wish<'eal>,
    ) -> Result<PortObserver<'eal>, RunError> {
        let failed = |source| at(&planned.name, &planned.device, source);
        let Stand::Found(port) = std::mem::replace(&mut self.stand, Stand::Gone) else {
            unreachable!("it was stopped, or made anew")
        };
        let Wish { config, pool } = wish;
        let configured = port.configure(&config, |_| pool);
        let is_virtual = matches!(planned.device, Device::Vdev { .. });
        let configured = match configured {
            // net_af_packet and its like claim 1518 bytes at most, whatever their interface and buffers hold.
            Err(refused) if is_virtual && planned.mtu > USUAL_MTU => {
                tracing::warn!(
                    port = %planned.name,
                    mtu = planned.mtu,
                    error = %refused.error,
                    "the driver does not take this MTU; trying {USUAL_MTU}, with buffers for the larger frames"
                );
                let usual = PortConfig { mtu: USUAL_MTU, keep_interface_mtu: true, ..config };
                refused.port.configure(&usual, |_| pool)
            }
            other => other,
        };
        let configured = configured.map_err(|refused| {
            self.stand = Stand::Found(refused.port);
            failed(refused.error)
        })?;
        let started = configured.start().map_err(|refused| {
            self.stand = Stand::Found(refused.port.release());
            failed(refused.error)
        })?;
        let made = started.settings();
        tracing::info!(
            port = %planned.name,
            device = %planned.device,
            driver = %self.info.driver,
            rx_queues = made.rx_queues,
            tx_queues = made.tx_queues,
            rx_ring = made.rx_descriptors,
            tx_ring = made.tx_descriptors,
            mtu = made.mtu,
            "port started"
        );
        let observer = started.observer();
        self.stand = Stand::Started(started, wish);
        Ok(observer)
    }

    /// Stops and closes it, which gives the buffers of its rings back.
    pub(super) fn end(
        mut self,
        eal: &'eal Eal,
        pools: &mut Pools<'eal>,
        ledger: &mut DriverLedger,
    ) -> Result<(), RunError> {
        self.stop(pools)?;
        if let Some(last) = self.last.take() {
            *ledger = ledger.ended(&last);
        }
        self.unmake(eal)
    }
}

fn at(port: &str, device: &Device, source: PortError) -> RunError {
    RunError::Port { port: port.to_owned(), device: dpdk_name(device), source }
}

fn plugging(port: &str, device: &Device, source: dpdk::PlugError) -> RunError {
    RunError::Plug { port: port.to_owned(), device: dpdk_name(device), source }
}
