//! The NICs that the kernel drives: the management path, and devices that the kernel shares with a poll-mode driver.

mod guard;
mod lasting;
mod offloads;
mod queues;

use super::{Check, Context, Outcome, judge::known};
use crate::facts::nics::Nic;

/// The NICs that the kernel drives.
pub(super) const CHECKS: &[Check] = &[
    guard::GUARD,
    queues::RINGS,
    queues::COALESCING,
    offloads::PAUSE,
    offloads::LRO,
    offloads::EEE,
    queues::RSS,
    queues::RPS,
    queues::XPS,
    offloads::PRIVATE_FLAGS,
    lasting::DRIVER,
    lasting::ERRORS,
    lasting::SURVIVED,
    lasting::MTU,
    lasting::CLOCK,
];

const NONE: &str = "no NIC of the kernel's has this";

/// The interfaces that have a device behind them; or that they are not known.
fn nics<'a>(context: &Context<'a>) -> Result<&'a [Nic], Outcome> {
    known(&context.facts.nics.all, "this machine has no network interfaces")?;
    Ok(&context.facts.nics.nics)
}

#[cfg(test)]
mod tests;
