//! What is asked of a port, and what came of it.

use dpdk_sys as c;

use crate::port_info::PortInfo;

/// What to ask of a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PortConfig {
    /// Number of receive queues.
    pub rx_queues: u16,
    /// Number of transmit queues.
    pub tx_queues: u16,
    /// Descriptors in each receive queue, at most; `None` for what the driver prefers. The
    /// driver's limits apply, see [`Settings`] for what came of it.
    pub rx_descriptors: Option<u16>,
    /// Descriptors in each transmit queue; as above.
    pub tx_descriptors: Option<u16>,
    /// Largest payload of a frame, in bytes, without the Ethernet header.
    pub mtu: u16,
    /// Leave the MTU of a kernel's interface behind the port as it is, for drivers that would refuse the one it has.
    pub keep_interface_mtu: bool,
    /// Receive frames for any address. A device that can not tell the difference, as most virtual
    /// ones, counts as promiscuous.
    pub promiscuous: bool,
    /// Spread flows over the receive queues by a hash of addresses and ports (receive-side
    /// scaling), and deliver the hash with each frame, as far as the device does these.
    pub rss: bool,
    /// Let the device stamp received frames, if it can; see [`RxTimestamps`](crate::RxTimestamps).
    pub rx_timestamps: bool,
    /// Receive and send frames of several segments, if the device can. Receiving them is turned on
    /// only where the MTU does not fit into a buffer. Some drivers send faster without.
    pub multi_segment: bool,
}

impl Default for PortConfig {
    /// One queue each way, for frames of the usual size.
    fn default() -> Self {
        Self {
            rx_queues: 1,
            tx_queues: 1,
            rx_descriptors: None,
            tx_descriptors: None,
            mtu: 1500,
            keep_interface_mtu: false,
            promiscuous: true,
            rss: false,
            rx_timestamps: false,
            multi_segment: true,
        }
    }
}

/// What a port was configured to, after the device had its say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Number of receive queues.
    pub rx_queues: u16,
    /// Number of transmit queues.
    pub tx_queues: u16,
    /// Descriptors in each receive queue.
    pub rx_descriptors: u16,
    /// Descriptors in each transmit queue.
    pub tx_descriptors: u16,
    /// Largest payload of a frame in bytes.
    pub mtu: u16,
    /// Whether frames for any address are asked for.
    pub promiscuous: bool,
    /// Offloads on receive that are on (`RTE_ETH_RX_OFFLOAD_*`).
    pub rx_offloads: u64,
    /// Offloads on transmit that are on (`RTE_ETH_TX_OFFLOAD_*`).
    pub tx_offloads: u64,
    /// Flow types that the device hashes (`RTE_ETH_RSS_*`); 0 without receive-side scaling.
    pub rss_types: u64,
}

impl Settings {
    /// Whether frames come with a hash of their flow ([`Mbuf::rss_hash`](crate::Mbuf::rss_hash)).
    #[must_use]
    pub fn rss_hash(&self) -> bool {
        self.rx_offloads & c::SHIM_RX_OFFLOAD_RSS_HASH != 0
    }

    /// Whether the device stamps received frames.
    #[must_use]
    pub fn rx_timestamps(&self) -> bool {
        self.rx_offloads & c::SHIM_RX_OFFLOAD_TIMESTAMP != 0
    }
}

/// What to ask the device for: the configuration, without what it does not offer. `room` is the
/// bytes of a frame that fit into a buffer.
pub(super) fn settle(config: &PortConfig, info: &PortInfo, room: u16) -> Settings {
    let want =
        |wanted: bool, offload: u64, offered: u64| if wanted { offload & offered } else { 0 };
    let rss_wanted = c::SHIM_RSS_IP | c::SHIM_RSS_TCP | c::SHIM_RSS_UDP | c::SHIM_RSS_SCTP;
    let rss_types = want(config.rss, rss_wanted, info.rss_types);
    let is_long = u32::from(config.mtu) + info.overhead > u32::from(room);
    Settings {
        rx_queues: config.rx_queues,
        tx_queues: config.tx_queues,
        rx_descriptors: config.rx_descriptors.unwrap_or(info.rx_ring_size),
        tx_descriptors: config.tx_descriptors.unwrap_or(info.tx_ring_size),
        mtu: config.mtu,
        promiscuous: config.promiscuous,
        rx_offloads: want(rss_types != 0, c::SHIM_RX_OFFLOAD_RSS_HASH, info.rx_offloads)
            | want(config.rx_timestamps, c::SHIM_RX_OFFLOAD_TIMESTAMP, info.rx_offloads)
            | want(config.multi_segment && is_long, c::SHIM_RX_OFFLOAD_SCATTER, info.rx_offloads),
        tx_offloads: want(config.multi_segment, c::SHIM_TX_OFFLOAD_MULTI_SEGS, info.tx_offloads),
        rss_types,
    }
}

pub(super) fn device_conf(settings: &Settings) -> c::rte_eth_conf {
    let mut conf = c::rte_eth_conf::default();
    conf.rxmode.mtu = u32::from(settings.mtu);
    conf.rxmode.offloads = settings.rx_offloads;
    conf.txmode.offloads = settings.tx_offloads;
    if settings.rss_types != 0 {
        conf.rxmode.mq_mode = c::RTE_ETH_MQ_RX_RSS;
        conf.rx_adv_conf.rss_conf.rss_hf = settings.rss_types;
    }
    conf
}
