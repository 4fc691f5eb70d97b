//! Looking at a port from any thread, while others send and receive on it.
//!
//! # Safety
//! Calls control functions of ethdev on a port that may be stopped, reconfigured or closed
//! meanwhile: each call takes the port's lock, as everything in `port` does, and makes sure that
//! the port is still open.

use std::{ffi::c_char, sync::MutexGuard};

use dpdk_sys as c;

use crate::eal::{Eal, port_name};
use crate::error::{Errno, text_of};
use crate::port::{Holder, PortError, Slot};

/// A view of one port: a handle, to be copied freely.
///
/// DPDK: "all the functions of the Ethernet Device API exported by a PMD are lock-free functions
/// which assume to not be invoked in parallel on different logical cores to work on the same target
/// object". Statistics and link state are such functions, and so are start, stop and close; every
/// one of them takes the lock of its port here. Bursts do not: they work on queues, and
/// drivers count in those without being asked to.
///
/// A handle may outlive its port; then it answers [`PortError::Closed`].
#[derive(Debug, Clone, Copy)]
pub struct PortObserver<'eal> {
    eal: &'eal Eal,
    id: u16,
    /// Of the id: another device may have it by now.
    generation: u32,
}

/// What a port counted since it was probed, or since its statistics were reset (`struct
/// rte_eth_stats`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PortStats {
    /// Frames received.
    pub ipackets: u64,
    /// Frames sent.
    pub opackets: u64,
    /// Bytes received.
    pub ibytes: u64,
    /// Bytes sent.
    pub obytes: u64,
    /// Frames that the device dropped because a receive queue was full.
    pub imissed: u64,
    /// Frames received with an error.
    pub ierrors: u64,
    /// Frames that could not be sent.
    pub oerrors: u64,
    /// Frames not received because the mempool was empty.
    pub rx_nombuf: u64,
}

/// One of the driver's own counters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Xstat {
    /// The driver's name for it.
    pub name: String,
    /// Its value.
    pub value: u64,
}

/// State of a link.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Link {
    /// Whether it is up.
    pub up: bool,
    /// Speed in Mb/s, where it is known.
    pub speed_mbps: Option<u32>,
    /// Whether both directions work at a time.
    pub full_duplex: bool,
    /// Whether the speed was negotiated.
    pub autonegotiated: bool,
}

impl<'eal> PortObserver<'eal> {
    pub(crate) fn new(eal: &'eal Eal, id: u16, generation: u32) -> Self {
        Self { eal, id, generation }
    }

    /// Id of the port.
    #[must_use]
    pub fn id(&self) -> u16 {
        self.id
    }

    /// The port's counters.
    ///
    /// # Errors
    /// [`PortError::Closed`], or what the driver says.
    pub fn stats(&self) -> Result<PortStats, PortError> {
        let _open = self.open()?;
        let mut stats = c::rte_eth_stats::default();
        // SAFETY: the port is open, and the structure is the installed header's.
        let answer = unsafe { c::rte_eth_stats_get(self.id, &raw mut stats) };
        self.check("read the statistics", answer)?;
        let c::rte_eth_stats {
            ipackets,
            opackets,
            ibytes,
            obytes,
            imissed,
            ierrors,
            oerrors,
            rx_nombuf,
            ..
        } = stats;
        Ok(PortStats { ipackets, opackets, ibytes, obytes, imissed, ierrors, oerrors, rx_nombuf })
    }

    /// The driver's own counters.
    ///
    /// # Errors
    /// [`PortError::Closed`], or what the driver says.
    pub fn xstats(&self) -> Result<Vec<Xstat>, PortError> {
        let _open = self.open()?;
        // SAFETY: the port is open; with no place to write to, the function only counts.
        let count = unsafe { c::rte_eth_xstats_get_names(self.id, std::ptr::null_mut(), 0) };
        self.check("count the extended statistics", count)?;
        let size = count.cast_unsigned();
        let mut names = vec![c::rte_eth_xstat_name::default(); size as usize];
        let mut values = vec![c::rte_eth_xstat::default(); size as usize];
        // SAFETY: the port is open, and there are `size` places.
        let named = unsafe { c::rte_eth_xstats_get_names(self.id, names.as_mut_ptr(), size) };
        self.check("read the names of the extended statistics", named)?;
        // SAFETY: the port is open, and there are `size` places.
        let read = unsafe { c::rte_eth_xstats_get(self.id, values.as_mut_ptr(), size) };
        self.check("read the extended statistics", read)?;
        // An answer above `size` says that nothing was written, because there are more by now: that
        // can not be under the lock.
        let read = usize::try_from(read).unwrap_or(0);
        Ok(values
            .iter()
            .take(if read > values.len() { 0 } else { read })
            .filter_map(|stat| {
                let name = names.get(usize::try_from(stat.id).ok()?)?;
                Some(Xstat { name: text_of(&name.name), value: stat.value })
            })
            .collect())
    }

    /// Sets the port's counters to zero.
    ///
    /// # Errors
    /// [`PortError::Closed`], or what the driver says.
    pub fn reset_stats(&self) -> Result<(), PortError> {
        let _open = self.open()?;
        // SAFETY: the port is open.
        let answer = unsafe { c::rte_eth_stats_reset(self.id) };
        self.check("reset the statistics", answer)
    }

    /// The state of the link, without waiting for it to settle.
    ///
    /// # Errors
    /// [`PortError::Closed`], or what the driver says.
    pub fn link(&self) -> Result<Link, PortError> {
        let _open = self.open()?;
        let mut link = c::shim_link::default();
        // SAFETY: the port is open, and the structure is the shim's.
        let answer = unsafe { c::shim_link(self.id, &raw mut link) };
        self.check("read the link state", answer)?;
        Ok(Link {
            up: link.up != 0,
            // 0 is "not defined", all ones is "unknown" (RTE_ETH_SPEED_NUM_*).
            speed_mbps: (link.speed_mbps != 0 && link.speed_mbps != u32::MAX)
                .then_some(link.speed_mbps),
            full_duplex: link.full_duplex != 0,
            autonegotiated: link.autonegotiated != 0,
        })
    }

    /// The clock that the device's receive stamps are taken from, in ticks of its own. DPDK: "the
    /// tick is not in any standard unit", so relate two readings to another clock first.
    ///
    /// # Errors
    /// [`PortError::Closed`], or what the driver says: [`Errno::NOT_SUPPORTED`] from most.
    pub fn read_clock(&self) -> Result<u64, PortError> {
        let _open = self.open()?;
        let mut clock = 0;
        // SAFETY: the port is open, and the pointer is to a live variable.
        let answer = unsafe { c::rte_eth_read_clock(self.id, &raw mut clock) };
        self.check("read the clock", answer)?;
        Ok(clock)
    }

    /// The version of the device's firmware, as its driver tells it; none where the driver tells nothing.
    ///
    /// # Errors
    /// [`PortError::Closed`], or what the driver says: [`Errno::NOT_SUPPORTED`] from virtual devices.
    pub fn firmware(&self) -> Result<Option<String>, PortError> {
        const ROOM: usize = 256;
        let _open = self.open()?;
        let mut text: [c_char; ROOM] = [0; ROOM];
        // SAFETY: the port is open, and there is room for so many bytes, the terminating one included.
        let answer =
            unsafe { c::rte_eth_dev_fw_version_get(self.id, text.as_mut_ptr(), text.len()) };
        // A positive answer is the room that it would have taken (rte_ethdev.h), and then nothing is said.
        self.check("read the version of the firmware", answer)?;
        Ok((answer == 0).then(|| text_of(&text)).filter(|text| !text.is_empty()))
    }

    /// The port's lock, if the port is still there.
    fn open(&self) -> Result<MutexGuard<'eal, Slot>, PortError> {
        let slot = self.eal.slot(self.id);
        let is_gone = slot.holder == Holder::Closed || slot.generation != self.generation;
        if is_gone { Err(PortError::Closed { id: self.id }) } else { Ok(slot) }
    }

    fn check(&self, action: &'static str, answer: i32) -> Result<(), PortError> {
        Errno::check(answer).map_err(|source| PortError::Driver {
            port: port_name(self.id).unwrap_or_else(|| self.id.to_string()),
            action,
            source,
        })
    }
}
