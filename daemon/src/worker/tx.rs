//! Sending, with a bounded retry.

use dpdk::{TxQueue, free_burst, total_len};
use pipeline::{Burst, DropReason};

use super::{Meter, Packet};

/// The transmit queue of one port.
pub(crate) struct TxPort<'port, 'eal> {
    pub(crate) queue: TxQueue<'port, 'eal>,
    /// Index of its port.
    pub(crate) port: usize,
}

impl<'eal> TxPort<'_, 'eal> {
    /// Sends a burst; what the queue does not take through `retries` more offers is dropped and counted. Returns how many
    /// were sent; the burst is empty afterwards. `bytes` are its bytes, where they are known.
    #[inline]
    pub(crate) fn send(
        &mut self,
        frames: &mut Burst<Packet<'eal>>,
        bytes: Option<u64>,
        retries: u32,
        meter: &mut Meter,
    ) -> u64 {
        let bytes = bytes.unwrap_or_else(|| total_len(frames));
        let sent = self.queue.send(frames) as u64;
        if frames.is_empty() {
            meter.counters.sent(self.port, sent, bytes);
            return sent;
        }
        self.insist(frames, retries, meter, sent, bytes)
    }

    /// Offers what a queue did not take of a burst of `bytes`, of which it took `sent` frames, up to `retries` times
    /// more. Counts what was sent, before and now, and what was dropped; returns how many were sent.
    #[cold]
    pub(crate) fn insist(
        &mut self,
        frames: &mut Burst<Packet<'eal>>,
        retries: u32,
        meter: &mut Meter,
        mut sent: u64,
        bytes: u64,
    ) -> u64 {
        for _ in 0..retries {
            sent += self.queue.send(frames) as u64;
            if frames.is_empty() {
                break;
            }
            std::hint::spin_loop();
        }
        let left = total_len(frames);
        meter.counters.sent(self.port, sent, bytes - left);
        meter.counters.dropped(DropReason::TxFull, frames.len() as u64);
        free_burst(frames);
        sent
    }
}
