//! Staged, first part: receive, and spread frames over the rings that lead to the graphs.
//!
//! A frame's two stamps travel with it in an mbuf dynamic field. A flow always takes the same ring: by the device's hash
//! where there is one, else by one of ours; so its order holds.

use dpdk::Stamps;
use linux::clock::ticks;
use pipeline::{Burst, Frame as _, Meta, Network, WorkerCounters};
use ring::Producer;

use super::{
    Meter, Packet, Program,
    hardware::Arrival,
    poll::{Received, Sink},
    rings::hand,
};

/// Puts frames into rings.
pub(super) struct Spread<'eal> {
    stamps: Stamps<'eal>,
    /// By port of receipt.
    out: Vec<Vec<Producer<Packet<'eal>>>>,
    by_ring: Vec<Burst<Packet<'eal>>>,
}

impl<'eal> Spread<'eal> {
    pub(super) fn new(stamps: Stamps<'eal>, out: Vec<Vec<Producer<Packet<'eal>>>>) -> Self {
        let most = out.iter().map(Vec::len).max().unwrap_or(0);
        Self { stamps, out, by_ring: (0..most).map(|_| Burst::new()).collect() }
    }
}

impl<'eal> Sink<'eal> for Spread<'eal> {
    #[inline]
    fn take(
        &mut self,
        _program: &mut Program<'eal>,
        from: Received<'eal>,
        burst: &mut Box<Burst<Packet<'eal>>>,
        meter: &mut Meter,
    ) -> u64 {
        let Self { stamps, out, by_ring } = self;
        meter.counters.received(from.port, burst.len() as u64, dpdk::total_len(burst));
        if from.each.is_none() {
            let bound = Arrival::by_poll(from.bound).to_stamp();
            for frame in burst.iter_mut() {
                stamps.set(frame, from.start, bound);
            }
        }
        let rings = &mut out[from.port];
        if let [only] = rings.as_mut_slice() {
            hand(only, burst, meter);
        } else {
            for frame in burst.drain(..) {
                let hash = frame.flow_hash().unwrap_or_else(|| flow_hash(&frame));
                // Multiply and shift: the high bits decide, as the device has used the low ones for its queues.
                let ring = ((u64::from(hash) * rings.len() as u64) >> 32) as usize;
                by_ring[ring].push(frame);
            }
            for (ring, frames) in rings.iter_mut().zip(by_ring) {
                hand(ring, frames, meter);
            }
        }
        ticks()
    }

    fn settle(_program: &mut Program<'eal>, _counters: &mut WorkerCounters) {
        // Everything is counted at once.
    }
}

/// A hash of the flow for devices that have none: addresses, protocol and ports. All parts of a fragmented packet hash
/// alike, without ports.
fn flow_hash(frame: &Packet<'_>) -> u32 {
    let meta = Meta::of(frame);
    let head = frame.head();
    let addresses = match meta.network() {
        Network::Ipv4 => head.get(meta.l3() + 12..meta.l3() + 20),
        Network::Ipv6 => head.get(meta.l3() + 8..meta.l3() + 40),
        Network::Arp | Network::Other => head.get(..12),
    };
    let has_ports =
        meta.has_transport() && !meta.is_fragment() && matches!(meta.protocol(), 6 | 17 | 132);
    let ports = if has_ports { head.get(meta.l4()..meta.l4() + 4) } else { None };
    let mut hash = u64::from(meta.protocol()) ^ 0x9e37_79b9_7f4a_7c15;
    for part in [addresses, ports].into_iter().flatten() {
        for word in part.chunks(4) {
            let word = word.iter().fold(0, |word, &byte| word << 8 | u64::from(byte));
            hash = (hash ^ word).wrapping_mul(0xff51_afd7_ed55_8ccd);
            hash ^= hash >> 32;
        }
    }
    #[expect(clippy::cast_possible_truncation, reason = "the 32 bits in the middle are mixed best")]
    let middle = (hash >> 16) as u32;
    middle
}
