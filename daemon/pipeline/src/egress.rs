//! Where frames leave the graph.

use std::mem;

use crate::{Burst, DropReason, DropTally};

/// The most ports a graph can name: [`Egress::touched`] has one bit for each. DPDK's own limit is the same
/// (`RTE_MAX_ETHPORTS`, 32 in 22.11 to 25.11).
pub const MAX_PORTS: usize = 32;

/// What [`Graph::run`](crate::Graph::run) leaves for the worker: one burst to send per port, and one to free.
///
/// The worker empties it after each run: it sends or drops what is in [`ports`](Egress::ports), clears
/// [`touched`](Egress::touched), frees [`dropped`](Egress::dropped) in bulk and takes the
/// [`drops`](Egress::drops). Emptied so, nothing here can overflow: a run hands over at most the
/// [`MAX_BURST`](crate::MAX_BURST) frames it was given, as frames are never cloned. If a worker leaves frames here all
/// the same, those that do not fit are dropped and counted as `tx_full`.
#[derive(Debug)]
pub struct Egress<F> {
    /// To send, by port.
    pub ports: Box<[Box<Burst<F>>]>,
    /// Bit *p* is set when the last run added frames for port *p*.
    pub touched: u32,
    /// To free.
    pub dropped: Box<Burst<F>>,
    /// Why they were dropped; frames that did not fit into `dropped` are in it too.
    pub drops: DropTally,
}

impl<F> Egress<F> {
    /// For `ports` ports, all bursts empty.
    ///
    /// # Panics
    /// If there are more than [`MAX_PORTS`] ports.
    #[must_use]
    pub fn new(ports: usize) -> Self {
        assert!(ports <= MAX_PORTS, "a graph has at most {MAX_PORTS} ports");
        Self {
            ports: (0..ports).map(|_| Box::default()).collect(),
            touched: 0,
            dropped: Box::default(),
            drops: DropTally::default(),
        }
    }

    /// Frames in all bursts together.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ports.iter().map(|burst| burst.len()).sum::<usize>() + self.dropped.len()
    }

    /// Has the worker taken everything?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Calls `send(port, burst)` for each port touched since the last call, in order, and clears the marks.
    ///
    /// What `send` leaves in a burst stays there, and the port stays marked.
    #[inline]
    pub fn for_each_touched(&mut self, mut send: impl FnMut(usize, &mut Box<Burst<F>>)) {
        let mut left = mem::take(&mut self.touched);
        while left != 0 {
            let port = left.trailing_zeros() as usize;
            left &= left - 1;
            if let Some(burst) = self.ports.get_mut(port) {
                send(port, burst);
                if !burst.is_empty() {
                    self.touched |= 1 << port;
                }
            }
        }
    }

    /// Drops one frame, which joins those to free.
    pub fn drop_frame(&mut self, reason: DropReason, frame: F) {
        self.drops.add(reason, 1);
        // With no room the frame is freed here and now.
        let _ = self.dropped.try_push(frame);
    }

    /// Drops a whole burst; it is empty afterwards.
    pub fn drop_burst(&mut self, reason: DropReason, frames: &mut Box<Burst<F>>) {
        self.drops.add(reason, frames.len() as u64);
        move_burst(frames, &mut self.dropped);
        frames.clear();
    }

    /// Sends a whole burst out of `port`; it is empty afterwards. No such port: dropped as `port_down`.
    #[inline]
    pub(crate) fn send_burst(&mut self, port: usize, frames: &mut Box<Burst<F>>) {
        match self.ports.get_mut(port) {
            Some(to) => {
                self.touched |= 1 << port;
                move_burst(frames, to);
                if !frames.is_empty() {
                    self.drop_burst(DropReason::TxFull, frames);
                }
            }
            None => self.drop_burst(DropReason::PortDown, frames),
        }
    }

    /// Sends one frame out of `port`.
    #[inline]
    pub(crate) fn send_frame(&mut self, port: usize, frame: F) {
        match self.ports.get_mut(port) {
            Some(to) => {
                self.touched |= 1 << port;
                if let Err(full) = to.try_push(frame) {
                    self.drop_frame(DropReason::TxFull, full.element());
                }
            }
            None => self.drop_frame(DropReason::PortDown, frame),
        }
    }
}

/// Moves the frames of `from` behind those of `to`; what does not fit stays.
///
/// Into an empty burst, which is the rule, the boxes change places and no frame is touched.
#[inline]
pub(crate) fn move_burst<F>(from: &mut Box<Burst<F>>, to: &mut Box<Burst<F>>) {
    if to.is_empty() {
        mem::swap(from, to);
    } else {
        let fitting = from.len().min(to.remaining_capacity());
        to.extend(from.drain(..fitting));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn burst(frames: std::ops::Range<u32>) -> Box<Burst<u32>> {
        Box::new(frames.collect())
    }

    #[test]
    fn a_burst_moves_into_an_empty_one_by_its_box() {
        let mut egress = Egress::new(2);
        let mut frames = burst(0..64);
        let address = frames.as_ptr();
        egress.send_burst(1, &mut frames);
        assert_eq!(egress.ports[1].as_ptr(), address);
        assert!(frames.is_empty());
        assert_eq!(egress.touched, 0b10);
    }

    #[test]
    fn frames_of_two_bursts_for_one_port_keep_their_order() {
        let mut egress = Egress::new(1);
        egress.send_burst(0, &mut burst(0..3));
        egress.send_frame(0, 3);
        egress.send_burst(0, &mut burst(4..9));
        assert!(egress.ports[0].iter().copied().eq(0..9));
    }

    #[test]
    fn what_an_unemptied_egress_can_not_hold_is_counted_and_freed() {
        let mut egress = Egress::new(1);
        egress.send_burst(0, &mut burst(0..60));
        egress.send_burst(0, &mut burst(60..70));
        egress.send_frame(0, 70);
        assert_eq!(egress.ports[0].len(), 64);
        assert_eq!(egress.dropped.len(), 7);
        assert_eq!(egress.drops.count(DropReason::TxFull), 7);
        egress.drop_burst(DropReason::Shutdown, &mut burst(0..64));
        egress.drop_frame(DropReason::Shutdown, 0);
        assert_eq!(egress.dropped.len(), 64);
        assert_eq!(egress.drops.count(DropReason::Shutdown), 65);
    }

    #[test]
    fn a_port_that_does_not_exist_is_down() {
        let mut egress = Egress::new(1);
        egress.send_burst(1, &mut burst(0..2));
        egress.send_frame(40, 2);
        assert_eq!(egress.drops.count(DropReason::PortDown), 3);
        assert_eq!(egress.touched, 0);
    }

    #[test]
    fn a_port_stays_marked_until_its_burst_is_empty() {
        let mut egress = Egress::new(3);
        egress.send_burst(2, &mut burst(0..2));
        egress.send_frame(0, 9);
        let mut seen = Vec::new();
        egress.for_each_touched(|port, burst| {
            seen.push((port, burst.len()));
            if port == 2 {
                burst.clear();
            }
        });
        assert_eq!(seen, [(0, 1), (2, 2)]);
        assert_eq!(egress.touched, 0b001);
    }
}
