//! Who has a port, and the calls that take it from one state to another.
//!
//! # Safety
//! Calls the control functions of ethdev. Those of one port must not run in parallel: each call holds the port's lock. In
//! which state a call is made is for [`Port`](super::Port) to keep.

use dpdk_sys as c;

use super::{
    config::{PortConfig, Settings, device_conf, settle},
    error::PortError,
};
use crate::eal::{Eal, port_name};
use crate::error::{Errno, c_string};
use crate::mempool::{HEADROOM, Mempool};
use crate::port_info::PortInfo;

/// A port id. In the [`Eal`], under the port's lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Slot {
    pub(crate) holder: Holder,
    /// Devices that had this id before: DPDK gives it to another one when one is gone.
    pub(crate) generation: u32,
}

/// Who has a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Holder {
    /// Nobody.
    #[default]
    Free,
    /// A [`Port`].
    Claimed,
    /// It was closed, and its device is gone.
    Closed,
}

/// How far a claimed port has come: what dropping it has to undo.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    Found,
    Configured,
    Started,
}

/// The claim on a port, and what it takes to give it up.
pub(super) struct Claim<'eal> {
    pub(super) eal: &'eal Eal,
    pub(super) id: u16,
    pub(super) generation: u32,
    pub(super) stage: Stage,
}

impl<'eal> Claim<'eal> {
    pub(super) fn set_up(
        &self,
        config: &PortConfig,
        mut pool_of: impl FnMut(u16) -> Mempool<'eal>,
    ) -> Result<Settings, PortError> {
        let id = self.id;
        let pools: Vec<Mempool<'eal>> = (0..config.rx_queues).map(&mut pool_of).collect();
        let _slot = self.eal.slot(id);
        let info = PortInfo::read(id)?;
        info.check(config)?;
        let room = pools.iter().map(|pool| pool.data_room() - HEADROOM).min().unwrap_or(u16::MAX);
        let mut settings = settle(config, &info, room);
        let device = device_conf(&settings);
        // SAFETY: the port is claimed and not started, and the structure is the installed header's,
        // complete and copied.
        let answer = unsafe {
            c::rte_eth_dev_configure(id, settings.rx_queues, settings.tx_queues, &raw const device)
        };
        check(id, "configure", answer)?;
        let (rx, tx) = (&raw mut settings.rx_descriptors, &raw mut settings.tx_descriptors);
        // SAFETY: the port is claimed, and both pointers are to live variables.
        let answer = unsafe { c::rte_eth_dev_adjust_nb_rx_tx_desc(id, rx, tx) };
        check(id, "adjust the number of descriptors", answer)?;

        // SOCKET_ID_ANY, all ones, where the device has no node.
        let socket = info.socket.unwrap_or(u32::MAX);
        for queue in 0..settings.tx_queues {
            let descriptors = settings.tx_descriptors;
            // SAFETY: the port is configured with this queue and not started; null asks for the
            // driver's defaults, to which the port's offloads are added.
            let answer = unsafe {
                c::rte_eth_tx_queue_setup(id, queue, descriptors, socket, std::ptr::null())
            };
            check(id, "set up a transmit queue", answer)?;
        }
        for (queue, pool) in (0..settings.rx_queues).zip(pools) {
            let descriptors = settings.rx_descriptors;
            // SAFETY: as above; the pool lives until the EAL is cleaned up, so longer than the
            // queue.
            let answer = unsafe {
                c::rte_eth_rx_queue_setup(
                    id,
                    queue,
                    descriptors,
                    socket,
                    std::ptr::null(),
                    pool.as_ptr(),
                )
            };
            check(id, "set up a receive queue", answer)?;
        }
        // Drivers that sit on a network interface of the kernel's set its MTU only here; others
        // have no such function.
        if !config.keep_interface_mtu {
            // SAFETY: the port is configured and not started.
            let answer = unsafe { c::rte_eth_dev_set_mtu(id, settings.mtu) };
            tolerate_unsupported(id, "set the MTU", answer)?;
        }
        Ok(settings)
    }

    pub(super) fn start(&self, promiscuous: bool) -> Result<(), PortError> {
        let id = self.id;
        let _slot = self.eal.slot(id);
        // SAFETY: the port is configured, and its queues are set up.
        let answer = unsafe { c::rte_eth_dev_start(id) };
        check(id, "start", answer)?;
        // Some drivers talk to their device for this, which they can not do before it is started.
        let answer = if promiscuous {
            // SAFETY: the port is claimed.
            unsafe { c::rte_eth_promiscuous_enable(id) }
        } else {
            // SAFETY: the port is claimed.
            unsafe { c::rte_eth_promiscuous_disable(id) }
        };
        tolerate_unsupported(id, "set promiscuous mode", answer).inspect_err(|_| {
            // SAFETY: the port was started just now, and no queue of it is lent.
            let _failed = unsafe { c::rte_eth_dev_stop(id) };
        })
    }

    pub(super) fn stop(&mut self) -> Result<(), PortError> {
        let _slot = self.eal.slot(self.id);
        // SAFETY: the port is claimed, and none of its queues is lent: they borrow the port.
        let answer = unsafe { c::rte_eth_dev_stop(self.id) };
        check(self.id, "stop", answer)?;
        self.stage = Stage::Configured;
        Ok(())
    }

    pub(super) fn close(&mut self) -> Result<(), PortError> {
        // "Close a stopped Ethernet device." A failed stop is not a reason to keep the device.
        let stopped = if self.stage == Stage::Started { self.stop() } else { Ok(()) };
        let mut slot = self.eal.slot(self.id);
        if slot.holder == Holder::Closed {
            return stopped;
        }
        // Closing clears the name, which others may be looking for.
        let _control = self.eal.control();
        let name = port_name(self.id);
        slot.holder = Holder::Closed;
        self.stage = Stage::Found;
        // SAFETY: the port is claimed and stopped; nobody reaches it any more, since its slot says
        // that it is closed.
        let answer = unsafe { c::rte_eth_dev_close(self.id) };
        stopped.and(Errno::check(answer).map_err(|source| PortError::Driver {
            port: name.unwrap_or_else(|| self.id.to_string()),
            action: "close",
            source,
        }))
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        if self.stage != Stage::Found {
            let _failed = self.close();
        }
        let mut slot = self.eal.slot(self.id);
        if slot.holder == Holder::Claimed {
            slot.holder = Holder::Free;
        }
    }
}

/// The port of that name.
pub(crate) fn find(name: &str) -> Option<u16> {
    let name = c_string(name)?;
    let mut id = 0;
    // SAFETY: the name is terminated, and the pointer is to a live variable.
    let answer = unsafe { c::rte_eth_dev_get_port_by_name(name.as_ptr(), &raw mut id) };
    (answer == 0).then_some(id)
}

pub(crate) fn check(id: u16, action: &'static str, answer: i32) -> Result<(), PortError> {
    Errno::check(answer).map_err(|source| PortError::Driver {
        port: port_name(id).unwrap_or_else(|| id.to_string()),
        action,
        source,
    })
}

fn tolerate_unsupported(id: u16, action: &'static str, answer: i32) -> Result<(), PortError> {
    match check(id, action, answer) {
        Err(PortError::Driver { source: Errno::NOT_SUPPORTED, .. }) => Ok(()),
        other => other,
    }
}
