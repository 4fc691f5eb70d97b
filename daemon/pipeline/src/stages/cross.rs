//! `cross`: a wire. Every frame, whatever is in it, goes to the one edge, unchanged and in order.
//!
//! With `macs = "keep"` no frame is touched: runts, giants and garbage pass. Swapping or rewriting needs an Ethernet
//! header; a frame without one is dropped as [`DropReason::Truncated`].

use config::Macs;

use super::{Shape, Stage};
use crate::{DropReason, Frame, Meta, Outcome, Verdict, verdict::Verdicts, wire::Ethernet};

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
}

#[inline]
fn each_header<F: Frame>(
    frames: &mut [F],
    verdicts: &mut [Verdict],
    change: impl Fn(Ethernet<&mut [u8; Ethernet::<()>::LEN]>),
) -> Outcome {
    let mut verdicts = Verdicts::new(verdicts);
    for frame in frames {
        verdicts.push(match Ethernet::new_checked_mut(frame.head_mut()) {
            Some(header) => {
                change(header);
                TO
            }
            None => Verdict::drop(DropReason::Truncated),
        });
    }
    verdicts.outcome()
}
