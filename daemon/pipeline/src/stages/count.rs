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

#[cfg(test)]
mod tests {
    use config::{Edge, PortIx, StageIx, StageKind};
    use etherparse::PacketBuilder;

    use crate::{
        Burst, Egress, Graph, StageCounterSet,
        testing::{VecFrame, two_ports},
    };

    #[test]
    fn each_frame_counts_once_for_its_network_and_once_for_its_transport() {
        let link = || PacketBuilder::ethernet2([2; 6], [4; 6]);
        let (v4, v6) = ([192, 0, 2, 1], [0x20; 16]);
        let mut tcp = Vec::new();
        link().ipv4(v4, v4, 1).tcp(1, 2, 3, 4).write(&mut tcp, &[0; 10]).unwrap();
        let mut udp = Vec::new();
        let tag = etherparse::VlanId::try_new(5).unwrap();
        link().single_vlan(tag).ipv6(v6, v6, 1).udp(1, 2).write(&mut udp, &[0; 10]).unwrap();
        let mut ping = Vec::new();
        link().ipv6(v6, v6, 1).icmpv6_echo_request(1, 1).write(&mut ping, &[]).unwrap();
        let runt = vec![1];

        let kind = StageKind::Count { to: Edge::Tx(PortIx(1)) };
        let stages = [config::Stage { name: "seen".into(), kind }];
        let inputs = [Some(StageIx(0)), None];
        let none = StageCounterSet::default();
        let mut graph = Graph::assemble(&stages, &inputs, &two_ports(), &none).unwrap();
        let mut burst: Box<Burst<_>> = Box::new(
            [&tcp, &udp, &ping, &runt]
                .map(|bytes| VecFrame::new(bytes.clone()))
                .into_iter()
                .collect(),
        );
        let mut egress = Egress::new(2);
        graph.run(0, &mut burst, &mut egress, || 0);

        assert_eq!(egress.ports[1].len(), 4);
        let seen = graph.counters().stage("seen").unwrap().snapshot();
        let counted = |name: &str| {
            let index = seen.shape.counted.iter().position(|counted| *counted == name).unwrap();
            seen.counted[index]
        };
        assert_eq!(
            ["arp", "ipv4", "ipv6", "other", "tcp", "udp", "icmp", "vlan"]
                .map(|class| counted(&format!("{class}_frames"))),
            [0, 1, 2, 1, 1, 1, 1, 1]
        );
        assert_eq!(counted("ipv4_bytes"), tcp.len() as u64);
        assert_eq!(counted("ipv6_bytes"), (udp.len() + ping.len()) as u64);
        assert_eq!(counted("vlan_bytes"), udp.len() as u64);
        assert_eq!(counted("other_bytes"), 1);
        assert_eq!((seen.frames, &seen.edges[..]), (4, &[4][..]));
    }
}
