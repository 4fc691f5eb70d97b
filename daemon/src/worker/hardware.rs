//! The receive stamps that a device makes itself, as the start of a frame's bound.
//!
//! A worker converts them with the line that housekeeping keeps ([`pipeline::device_clock`]), and never asks the device. A
//! stamp that can not be right is not used: the frame's bound counts from the poll then, as everywhere else.

use dpdk::{RxTimestamps, Stamps};
use pipeline::{Burst, device_clock::DeviceClock};

use super::Packet;

/// The lowest bit of a bound's start says that a device made it; a tick is given up for that.
const BY_DEVICE: u64 = 1;

/// A frame may arrive while its burst is being received, so a little after the clock was read: 2²⁰ ticks are some
/// hundreds of microseconds.
const WHILE_RECEIVING: u64 = 1 << 20;

/// How a receive queue comes by a device's stamps; a copy for each queue.
#[derive(Clone)]
pub(crate) struct Hardware<'eal> {
    pub(crate) field: RxTimestamps<'eal>,
    pub(crate) stamps: Stamps<'eal>,
    pub(crate) clock: DeviceClock,
}

/// From when on a frame may have been here, and who says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Arrival(u64);

impl Arrival {
    /// The last poll at which it was not here, in ticks.
    #[inline]
    pub(super) fn by_poll(ticks: u64) -> Self {
        Self(ticks & !BY_DEVICE)
    }

    /// The device's stamp, if it gave one that can be converted and is not later than receiving can explain; else the
    /// poll. `start` is the clock before the receive burst.
    #[inline]
    fn of(stamp: Option<u64>, clock: &DeviceClock, start: u64, poll: u64) -> Self {
        let latest = start.saturating_add(WHILE_RECEIVING);
        match stamp.and_then(|stamp| clock.ticks(stamp)) {
            Some(ticks) if ticks <= latest => Self(ticks | BY_DEVICE),
            _ => Self::by_poll(poll),
        }
    }

    /// As it was put into a frame.
    #[inline]
    pub(super) fn from_stamp(stamp: u64) -> Self {
        Self(stamp)
    }

    /// As it is put into a frame.
    #[inline]
    pub(super) fn to_stamp(self) -> u64 {
        self.0
    }

    #[inline]
    pub(super) fn is_by_device(self) -> bool {
        self.0 & BY_DEVICE != 0
    }

    /// Ticks until `now`; a stamp may be off, and clocks of two cores may differ, by a little.
    #[inline]
    pub(super) fn until(self, now: u64) -> u64 {
        now.saturating_sub(self.0 & !BY_DEVICE)
    }
}

impl<'eal> Hardware<'eal> {
    /// Puts into each frame when it was received, and since when it may have been here. Returns the field with both.
    #[inline(never)] // few queues have this, and the loop is for those that have not
    pub(super) fn stamp(
        &mut self,
        burst: &mut Burst<Packet<'eal>>,
        start: u64,
        poll: u64,
    ) -> Stamps<'eal> {
        self.clock.refresh();
        for frame in burst.iter_mut() {
            let arrival = Arrival::of(self.field.of(frame), &self.clock, start, poll);
            self.stamps.set(frame, start, arrival.to_stamp());
        }
        self.stamps
    }
}

#[cfg(test)]
mod tests {
    use pipeline::device_clock::{self, Reading};
    use proptest::prelude::*;

    use super::*;

    /// A device that counts 1000 behind the CPU, known around 10⁹ to 2 · 10⁹ ticks.
    fn clock() -> DeviceClock {
        let (mut fit, mut clock) = device_clock::new();
        for ticks in [1_000_000_000, 2_000_000_000_u64] {
            fit.observe(Reading { before: ticks, device: ticks - 1_000, after: ticks });
        }
        clock.refresh();
        clock
    }

    #[test]
    fn a_stamp_counts_from_when_the_device_saw_the_frame() {
        let arrival = Arrival::of(Some(1_999_000_000), &clock(), 2_000_000_000, 7);
        assert!(arrival.is_by_device());
        assert!(arrival.until(2_000_000_000).abs_diff(999_000) <= 2, "{arrival:?}");
    }

    #[test]
    fn without_a_stamp_that_can_be_right_the_poll_counts() {
        let (clock, start, poll) = (clock(), 2_000_000_000, 1_999_999_000);
        let (unknown, _) = (device_clock::new().1, ());
        let wall_clock = 1_790_000_000_000_000;
        let cases = [
            (None, &clock),
            (Some(wall_clock), &clock),
            (Some(start + 2 * WHILE_RECEIVING), &clock),
            (Some(start), &unknown),
        ];
        for (stamp, clock) in cases {
            let arrival = Arrival::of(stamp, clock, start, poll);
            assert_eq!(arrival, Arrival::by_poll(poll), "{stamp:?}");
            assert!(!arrival.is_by_device() && arrival.until(start) == 1_000);
        }
    }

    proptest! {
        #[test]
        fn an_arrival_survives_the_way_through_a_frame(stamp: u64, start: u64, poll: u64, now: u64) {
            let arrival = Arrival::of(Some(stamp), &clock(), start, poll);
            prop_assert_eq!(Arrival::from_stamp(arrival.to_stamp()), arrival);
            let until = Arrival::by_poll(poll).until(now);
            prop_assert!(until.abs_diff(now.saturating_sub(poll)) <= 1);
        }
    }
}
