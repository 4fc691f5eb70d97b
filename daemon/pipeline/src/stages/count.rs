//! `count`: frames and bytes by kind of traffic. Every frame goes on to the one edge; it drops nothing.
//!
//! `arp`, `ipv4`, `ipv6` and `other` divide the frames between them. `tcp`, `udp` and `icmp` (both versions) are the IP
//! packets with such a payload, fragments included; `vlan` are the frames with at least one tag, whatever is in them.
//! Bytes are those of the whole frame without FCS.

use std::sync::Arc;

use super::{Shape, Stage};
use crate::{Frame, Meta, Network, Outcome, StageCounters, Verdict, wire::protocol};

/// The kinds of traffic, by the index that [`Class`] gives them.
#[derive(Clone, Copy)]
enum Class {
    Arp,
    Ipv4,
    Ipv6,
    Other,
    Tcp,
    Udp,
    Icmp,
    Vlan,
}

const CLASSES: usize = 8;

pub(super) const SHAPE: Shape = Shape {
    kind: "count",
    edges: &["to"],
    // Frames of class `c` at `2 * c`, bytes behind them.
    counted: &[
        "arp_frames",
        "arp_bytes",
        "ipv4_frames",
        "ipv4_bytes",
        "ipv6_frames",
        "ipv6_bytes",
        "other_frames",
        "other_bytes",
        "tcp_frames",
        "tcp_bytes",
        "udp_frames",
        "udp_bytes",
        "icmp_frames",
        "icmp_bytes",
        "vlan_frames",
        "vlan_bytes",
    ],
};

/// Counts by kind of traffic.
#[derive(Debug)]
pub(super) struct Count {
    counters: Arc<StageCounters>,
}

impl Count {
    pub(super) fn new(counters: Arc<StageCounters>) -> Self {
        Self { counters }
    }
}

impl<F: Frame> Stage<F> for Count {
    fn process(
        &mut self,
        _port: usize,
        frames: &mut [F],
        metas: &mut [Meta],
        _verdicts: &mut [Verdict],
    ) -> Outcome {
        // Added up here, so that the shared counters are written once per burst.
        let mut sums = [[0_u64; 2]; CLASSES];
        for (frame, meta) in frames.iter().zip(metas) {
            let bytes = frame.wire_len() as u64;
            let mut add = |class: Class| {
                let [frames, total] = &mut sums[class as usize];
                *frames += 1;
                *total += bytes;
            };
            add(match meta.network() {
                Network::Arp => Class::Arp,
                Network::Ipv4 => Class::Ipv4,
                Network::Ipv6 => Class::Ipv6,
                Network::Other => Class::Other,
            });
            match (meta.network(), meta.protocol()) {
                (Network::Ipv4 | Network::Ipv6, protocol::TCP) => add(Class::Tcp),
                (Network::Ipv4 | Network::Ipv6, protocol::UDP) => add(Class::Udp),
                (Network::Ipv4, protocol::ICMP) | (Network::Ipv6, protocol::ICMPV6) => {
                    add(Class::Icmp);
                }
                _ => {}
            }
            if meta.tags() > 0 {
                add(Class::Vlan);
            }
        }
        for (index, sum) in sums.as_flattened().iter().enumerate() {
            self.counters.count(index, *sum);
        }
        Outcome::All(Verdict::edge(0))
    }

    fn needs_meta(&self) -> bool {
        true
    }
}
