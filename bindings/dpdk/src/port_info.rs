//! What a device says about itself.
//!
//! # Safety
//! Calls read-only control functions of ethdev, under the port's lock.

use std::ffi::CStr;

use dpdk_sys as c;

use crate::eal::port_name;
use crate::port::{PortConfig, PortError, check};

/// What a device is and offers (`struct rte_eth_dev_info`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortInfo {
    /// Id of the port.
    pub id: u16,
    /// Its name: a PCI address, or that of a virtual device.
    pub name: String,
    /// The driver, such as `net_ice`.
    pub driver: String,
    /// The NUMA node it is attached to, if to one.
    pub socket: Option<u32>,
    /// Its MAC address.
    pub mac: [u8; 6],
    /// Most receive queues.
    pub max_rx_queues: u16,
    /// Most transmit queues.
    pub max_tx_queues: u16,
    /// Limits on the descriptors of a receive queue.
    pub rx_descriptors: DescriptorLimits,
    /// Limits on the descriptors of a transmit queue.
    pub tx_descriptors: DescriptorLimits,
    /// Descriptors in a receive queue that the driver prefers, or DPDK does where the driver does
    /// not care (512).
    pub rx_ring_size: u16,
    /// Descriptors in a transmit queue that the driver prefers, or DPDK does where the driver does
    /// not care (512).
    pub tx_ring_size: u16,
    /// Frames in a receive burst that the driver prefers, if it does.
    pub rx_burst_size: Option<u16>,
    /// Frames in a transmit burst that the driver prefers, if it does.
    pub tx_burst_size: Option<u16>,
    /// The smallest MTU in bytes.
    pub min_mtu: u16,
    /// The largest MTU in bytes.
    pub max_mtu: u16,
    /// Bytes that a frame is longer than its payload: Ethernet header, FCS, and VLAN tags where
    /// the device counts them.
    pub overhead: u32,
    /// Offloads on receive (`RTE_ETH_RX_OFFLOAD_*`).
    pub rx_offloads: u64,
    /// Offloads on transmit (`RTE_ETH_TX_OFFLOAD_*`).
    pub tx_offloads: u64,
    /// Entries of the table from hash to receive queue; 0 without receive-side scaling.
    pub reta_size: u16,
    /// Flow types that it can hash (`RTE_ETH_RSS_*`).
    pub rss_types: u64,
}

/// Limits on the number of descriptors in a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DescriptorLimits {
    /// The fewest.
    pub min: u16,
    /// The most.
    pub max: u16,
    /// The number must be a multiple of this.
    pub align: u16,
}

/// What ethdev takes where a driver has no preference (`RTE_ETH_DEV_FALLBACK_*_RINGSIZE`).
const FALLBACK_RING_SIZE: u16 = 512;

impl PortInfo {
    /// Whether the device can stamp received frames.
    #[must_use]
    pub fn offers_rx_timestamps(&self) -> bool {
        self.rx_offloads & c::SHIM_RX_OFFLOAD_TIMESTAMP != 0
    }

    /// Whether the device delivers a hash of the flow with each frame.
    #[must_use]
    pub fn offers_rss_hash(&self) -> bool {
        self.rx_offloads & c::SHIM_RX_OFFLOAD_RSS_HASH != 0 && self.rss_types != 0
    }

    /// Reads it. The caller holds the port's lock.
    pub(crate) fn read(id: u16) -> Result<Self, PortError> {
        let name = port_name(id).ok_or(PortError::Closed { id })?;
        let mut info = c::rte_eth_dev_info::default();
        // SAFETY: the port exists, and the structure is the installed header's.
        let answer = unsafe { c::rte_eth_dev_info_get(id, &raw mut info) };
        check(id, "read what the device offers", answer)?;
        let mut mac = c::rte_ether_addr::default();
        // SAFETY: the port exists, and the structure is the installed header's.
        let answer = unsafe { c::rte_eth_macaddr_get(id, &raw mut mac) };
        check(id, "read the MAC address", answer)?;
        // SAFETY: the port exists. The answer is -1 where the device has no node.
        let socket = unsafe { c::rte_eth_dev_socket_id(id) };
        let driver = if info.driver_name.is_null() {
            String::new()
        } else {
            // SAFETY: a driver's name is a terminated string that lives as long as the driver,
            // which is not unloaded.
            unsafe { CStr::from_ptr(info.driver_name) }.to_string_lossy().into_owned()
        };
        let some = |number: u16| (number != 0).then_some(number);
        let ring_size = |preferred, limits: &c::rte_eth_desc_lim| {
            some(preferred)
                .unwrap_or(FALLBACK_RING_SIZE)
                .clamp(limits.nb_min, limits.nb_max.max(limits.nb_min))
        };
        Ok(Self {
            id,
            name,
            driver,
            socket: u32::try_from(socket).ok(),
            mac: mac.addr_bytes,
            max_rx_queues: info.max_rx_queues,
            max_tx_queues: info.max_tx_queues,
            rx_descriptors: limits(&info.rx_desc_lim),
            tx_descriptors: limits(&info.tx_desc_lim),
            rx_ring_size: ring_size(info.default_rxportconf.ring_size, &info.rx_desc_lim),
            tx_ring_size: ring_size(info.default_txportconf.ring_size, &info.tx_desc_lim),
            rx_burst_size: some(info.default_rxportconf.burst_size),
            tx_burst_size: some(info.default_txportconf.burst_size),
            min_mtu: info.min_mtu,
            max_mtu: info.max_mtu,
            overhead: overhead(info.max_rx_pktlen, info.max_mtu),
            rx_offloads: info.rx_offload_capa,
            tx_offloads: info.tx_offload_capa,
            reta_size: info.reta_size,
            rss_types: info.flow_type_rss_offloads,
        })
    }

    /// Refuses what the device can not do, with numbers, where DPDK would only say EINVAL.
    pub(crate) fn check(&self, config: &PortConfig) -> Result<(), PortError> {
        for (direction, asked, most) in [
            ("receive", config.rx_queues, self.max_rx_queues),
            ("transmit", config.tx_queues, self.max_tx_queues),
        ] {
            if asked == 0 || asked > most {
                return Err(PortError::Queues { port: self.name.clone(), direction, asked, most });
            }
        }
        let (least, most) = (self.min_mtu, self.max_mtu);
        if config.mtu < least || config.mtu > most {
            return Err(PortError::Mtu { port: self.name.clone(), asked: config.mtu, least, most });
        }
        Ok(())
    }
}

fn limits(limits: &c::rte_eth_desc_lim) -> DescriptorLimits {
    DescriptorLimits { min: limits.nb_min, max: limits.nb_max, align: limits.nb_align.max(1) }
}

/// As ethdev computes it: from the longest frame and the largest MTU where a driver names both, or
/// 18.
fn overhead(max_rx_pktlen: u32, max_mtu: u16) -> u32 {
    const HEADER_AND_FCS: u32 = 14 + 4;
    match max_rx_pktlen.checked_sub(u32::from(max_mtu)) {
        Some(overhead) if max_mtu != u16::MAX => overhead,
        _ => HEADER_AND_FCS,
    }
}

#[cfg(test)]
mod tests {
    use super::overhead;

    #[test]
    fn overhead_is_the_devices_own_where_it_names_both_lengths() {
        assert_eq!(overhead(9728, 9702), 26);
        assert_eq!(overhead(u32::MAX, u16::MAX), 18);
        assert_eq!(overhead(1500, 9000), 18);
    }
}
