//! `cross`: a wire. Every frame, whatever is in it, goes to the one edge, unchanged and in order.
//!
//! With `macs = "keep"` no frame is touched: runts, giants and garbage pass. Swapping or rewriting needs an Ethernet
//! header; a frame without one is dropped as [`DropReason::Truncated`].

use config::Macs;

use super::{Shape, Stage};
use crate::{DropReason, Frame, Meta, Outcome, Verdict, wire::Ethernet};

pub(super) const SHAPE: Shape = Shape { kind: "cross", edges: &["to"], counted: &[] };

const TO: Verdict = Verdict::edge(0);

/// A wire.
#[derive(Debug)]
pub(super) struct Cross {
    macs: Macs,
}

impl Cross {
    pub(super) fn new(macs: Macs) -> Self {
        Self { macs }
    }
}

impl<F: Frame> Stage<F> for Cross {
    fn process(
        &mut self,
        _port: usize,
        frames: &mut [F],
        _metas: &mut [Meta],
        verdicts: &mut [Verdict],
    ) -> Outcome {
        match self.macs {
            Macs::Keep => Outcome::All(TO),
            Macs::Swap => each_header(frames, verdicts, |mut header| header.swap_addresses()),
            Macs::Rewrite { source, destination } => each_header(frames, verdicts, |mut header| {
                if let Some(source) = source {
                    header.set_source(source.0);
                }
                if let Some(destination) = destination {
                    header.set_destination(destination.0);
                }
            }),
        }
    }

    fn needs_meta(&self) -> bool {
        false
    }

    fn always(&self) -> Option<Verdict> {
        match self.macs {
            Macs::Keep => Some(TO),
            Macs::Swap | Macs::Rewrite { .. } => None,
        }
    }
}

#[inline]
fn each_header<F: Frame>(
    frames: &mut [F],
    verdicts: &mut [Verdict],
    change: impl Fn(Ethernet<&mut [u8; Ethernet::<()>::LEN]>),
) -> Outcome {
    for (frame, verdict) in frames.iter_mut().zip(&mut *verdicts) {
        *verdict = match Ethernet::new_checked_mut(frame.head_mut()) {
            Some(header) => {
                change(header);
                TO
            }
            None => Verdict::drop(DropReason::Truncated),
        };
    }
    Outcome::of(verdicts)
}

#[cfg(test)]
mod tests {
    use config::{Edge, MacAddress, PortIx, StageKind};
    use proptest::prelude::*;

    use super::*;
    use crate::testing::{VecFrame, through, two_ports};

    const TO_1: Edge = Edge::Tx(PortIx(1));

    fn crossed(macs: Macs, frames: &[Vec<u8>]) -> crate::Egress<VecFrame> {
        let frames = frames.iter().map(|bytes| VecFrame::new(bytes.clone()));
        through(StageKind::Cross { to: TO_1, macs }, &two_ports(), frames)
    }

    fn bytes_out(egress: &crate::Egress<VecFrame>) -> Vec<Vec<u8>> {
        egress.ports[1].iter().map(|frame| frame.bytes.clone()).collect()
    }

    fn any_frames() -> impl Strategy<Value = Vec<Vec<u8>>> {
        proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 1..=64)
    }

    proptest! {
        #[test]
        fn any_bytes_pass_unchanged_and_in_order(frames in any_frames()) {
            prop_assert_eq!(bytes_out(&crossed(Macs::Keep, &frames)), frames);
        }

        #[test]
        fn swapping_exchanges_the_addresses_and_drops_what_has_none(frames in any_frames()) {
            let egress = crossed(Macs::Swap, &frames);
            let (whole, short): (Vec<_>, Vec<_>) =
                frames.into_iter().partition(|bytes| bytes.len() >= 14);
            let swapped: Vec<_> = whole
                .iter()
                .map(|bytes| [&bytes[6..12], &bytes[..6], &bytes[12..]].concat())
                .collect();
            prop_assert_eq!(bytes_out(&egress), swapped);
            prop_assert_eq!(egress.drops.count(DropReason::Truncated), short.len() as u64);
            prop_assert_eq!(egress.dropped.len(), short.len());
        }
    }

    #[test]
    fn rewriting_sets_the_addresses_that_are_given() {
        let frame: Vec<u8> = (0..60).collect();
        let (source, destination) = ([2, 0, 0, 0, 0, 9], [2, 0, 0, 0, 0, 8]);
        let rewrite = |source: Option<[u8; 6]>, destination: Option<[u8; 6]>| {
            let macs = Macs::Rewrite {
                source: source.map(MacAddress),
                destination: destination.map(MacAddress),
            };
            bytes_out(&crossed(macs, std::slice::from_ref(&frame))).remove(0)
        };
        let rest = &frame[12..];
        let both = rewrite(Some(source), Some(destination));
        assert_eq!(both, [&destination[..], &source[..], rest].concat());
        assert_eq!(rewrite(Some(source), None), [&frame[..6], &source[..], rest].concat());
        assert_eq!(rewrite(None, Some(destination)), [&destination[..], &frame[6..]].concat());
        assert_eq!(rewrite(None, None), frame);
    }
}
