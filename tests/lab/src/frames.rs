//! Frames that tests put on one cable and expect on the other, unchanged.

use std::time::{Duration, Instant};

use crate::{LabError, Nic};

/// What should come at once, on a busy machine.
const SOON: Duration = Duration::from_secs(20);
/// A forwarder starts in five to ten seconds.
const STARTED: Duration = Duration::from_secs(90);
/// The test's own address on every cable.
pub const HERE: [u8; 6] = [2, 0, 0, 0, 0, 1];
/// Where the frames go: to nobody that is there.
pub const THERE: [u8; 6] = [2, 0, 0, 0, 0, 2];
/// An EtherType for experiments, which no kernel answers (IEEE 802, local experimental 1).
pub const EXPERIMENT: [u8; 2] = [0x88, 0xb5];
/// Those of Ethernet without a VLAN tag and without the FCS, and what is next to them.
const LENGTHS: [usize; 6] = [60, 61, 64, 512, 1513, 1514];

/// A frame that nobody answers, with its number in its content.
///
/// # Panics
/// When it is to be shorter than 18 bytes.
#[must_use]
pub fn frame(length: usize, number: u32) -> Vec<u8> {
    let mut frame = [&THERE[..], &HERE, &EXPERIMENT, &number.to_be_bytes()].concat();
    assert!(length >= frame.len(), "a frame of {length} bytes has no room for its number");
    let [step, ..] = number.to_le_bytes();
    let filling = (0_u8..=255).cycle().map(|n| n.wrapping_mul(3).wrapping_add(step));
    frame.extend(filling.take(length - 18));
    frame
}

/// Sends a frame again and again until it arrives, for the forwarder between the two may still be starting. Whether it
/// does within a minute and a half.
///
/// # Errors
/// [`LabError::Io`]
pub fn is_carried(from: &Nic, to: &Nic, frame: &[u8]) -> Result<bool, LabError> {
    let deadline = Instant::now() + STARTED;
    while Instant::now() < deadline {
        from.send(frame)?;
        if to.recv_that(Duration::from_millis(500), |got| got == frame)?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Sends so many frames of all lengths, both ways, one after the other, and expects each unchanged on the other side.
/// Gives back how long it took.
///
/// # Errors
/// [`LabError::Io`]
///
/// # Panics
/// When a frame does not arrive, or arrives otherwise.
#[track_caller]
pub fn exchange(east: &Nic, west: &Nic, count: usize) -> Result<Duration, LabError> {
    for nic in [east, west] {
        nic.forget()?;
    }
    let begun = Instant::now();
    for (number, length) in (1_u32..).zip(LENGTHS.into_iter().cycle()).take(count) {
        let frame = frame(length, number);
        let (from, to) = if number % 2 == 0 { (east, west) } else { (west, east) };
        from.send(&frame)?;
        let got = to.recv_that(SOON, |got| got.get(12..14) == Some(&EXPERIMENT[..]))?;
        assert!(
            got.as_ref() == Some(&frame),
            "frame {number} of {length} bytes from {} to {}: {got:02x?}",
            from.name(),
            to.name()
        );
    }
    Ok(begun.elapsed())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_has_its_length_and_differs_from_the_next() {
        assert_eq!(frame(60, 1).len(), 60);
        assert_eq!(frame(1514, 7)[12..18], [0x88, 0xb5, 0, 0, 0, 7]);
        assert_ne!(frame(64, 1)[18..], frame(64, 2)[18..]);
    }
}
