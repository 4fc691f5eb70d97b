//! The kernel's network stack.

use serde::Serialize;

use crate::{Fact, Source};

/// The kernel's network stack.
#[derive(Debug, Clone, Serialize)]
pub struct Network {
    /// `net.core.busy_poll`, in µs.
    pub busy_poll: Fact<i64>,
    /// `net.core.busy_read`, in µs.
    pub busy_read: Fact<i64>,
    /// `net.ipv4.tcp_timestamps`
    pub tcp_timestamps: Fact<i64>,
    /// `net.ipv4.tcp_sack`
    pub tcp_sack: Fact<i64>,
    /// `net.ipv4.tcp_low_latency`, which does nothing any more.
    pub tcp_low_latency: Fact<i64>,
    /// `net.core.rmem_max`, in bytes.
    pub rmem_max: Fact<i64>,
    /// The last number of `net.ipv4.tcp_rmem`, in bytes.
    pub tcp_rmem_max: Fact<i64>,
    /// `net.core.netdev_max_backlog`, in packets.
    pub backlog: Fact<i64>,
    /// `net.core.netdev_budget`, in packets.
    pub budget: Fact<i64>,
    /// `net.core.rps_default_mask`
    pub rps_default: Fact<config::CpuSet>,
    /// Does it forward packets, of either version?
    pub forwards: Fact<bool>,
}

impl Network {
    /// Reads it.
    #[must_use]
    pub fn read(source: &Source) -> Self {
        let number = |name: &str| source.number(&format!("proc/sys/net/{name}"));
        let forwards = match (number("ipv4/ip_forward"), number("ipv6/conf/all/forwarding")) {
            (Fact::Is(4..) | Fact::Unknown { .. }, _) | (_, Fact::Unknown { .. }) => {
                Fact::unknown("whether packets are forwarded can not be read")
            }
            (Fact::Absent, Fact::Absent) => Fact::Absent,
            (v4, v6) => Fact::Is([v4, v6].iter().any(|one| one.value().is_some_and(|&n| n != 0))),
        };
        Self {
            busy_poll: number("core/busy_poll"),
            busy_read: number("core/busy_read"),
            tcp_timestamps: number("ipv4/tcp_timestamps"),
            tcp_sack: number("ipv4/tcp_sack"),
            tcp_low_latency: number("ipv4/tcp_low_latency"),
            rmem_max: number("core/rmem_max"),
            tcp_rmem_max: source.text("proc/sys/net/ipv4/tcp_rmem").and_then(|text| {
                let numbers: Vec<&str> = text.split_ascii_whitespace().collect();
                match numbers.as_slice() {
                    [_, _, most] => most.parse().map_or_else(
                        |_| Fact::unknown(format!("tcp_rmem says \"{text}\"")),
                        Fact::Is,
                    ),
                    _ => Fact::unknown(format!("tcp_rmem says \"{text}\"")),
                }
            }),
            backlog: number("core/netdev_max_backlog"),
            budget: number("core/netdev_budget"),
            rps_default: source.cpu_mask("proc/sys/net/core/rps_default_mask"),
            forwards,
        }
    }
}
