//! Does what a plan says, so that it can be undone from any point.
//!
//! ```text
//!  Step ─► compile ─► Effect{knob, from, to} ─► perform   journal ─► compare ─► write ─► read back
//!                                            └► undo      in reverse: journal ─► compare ─► write ─► read back
//! ```
//! [`compile`] decides everything before anything is written. Each effect is in the journal before it is done. A value
//! that is neither the one that was there nor the one that we left is somebody else's, and stops us on both ways.

mod boot;
mod compile;
mod dead_man;
mod diff;
mod fold;
mod imagined;
pub mod others;
mod perform;
pub mod trial;
mod undo;
mod verify;

use crate::{hands::Hands, journal::JournalError, knob::KnobError};

pub use boot::{boot_steps, compile_each, without_expectation};
pub use compile::{CompileError, compile};
pub(crate) use dead_man::READY;
pub use dead_man::{DeadMan, DeadManError, detach, disarm};
pub use fold::fold;
pub use imagined::Imagined;
pub(crate) use perform::comes_and_goes;
pub use perform::{Applied, ApplyError, apply, apply_each};
pub(crate) use undo::chain;
pub use undo::{Overwrite, UndoneEntry, imagine, undo};
pub use verify::{Standing, Verified, is_booted_with, verify};

/// What is told while it goes on.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case", tag = "event")]
pub enum Event {
    /// Something was done.
    Done {
        /// The knob or the command.
        what: String,
        /// What it was.
        from: String,
        /// What it is.
        to: String,
    },
    /// Something was not done, and need not be.
    Skipped {
        /// The knob.
        what: String,
        /// Why.
        why: String,
    },
    /// It is not quite what was asked for.
    Differs {
        /// The knob.
        what: String,
        /// What was asked for.
        asked: String,
        /// What it is.
        is: String,
    },
    /// Something was put back.
    Restored {
        /// The knob or the command.
        what: String,
        /// What it is again.
        to: String,
    },
    /// Something was not put back.
    Kept {
        /// The knob or the command.
        what: String,
        /// Why.
        why: String,
    },
    /// Nobody can see whether something is as it was.
    Unseen {
        /// The knob.
        what: String,
        /// Why, and what was done about it.
        why: String,
    },
    /// Something could not be done, and what belongs to it is undone; the rest goes on.
    Failed {
        /// The knob.
        what: String,
        /// Why.
        why: String,
    },
}

/// Why an effect could not be done.
#[derive(Debug, thiserror::Error)]
pub enum EffectError {
    /// Somebody else is tuning.
    #[error("{what} is \"{found}\" and was \"{expected}\": somebody else is tuning")]
    Moved {
        /// The knob.
        what: String,
        /// What it was.
        expected: String,
        /// What it is.
        found: String,
    },
    /// The kernel took the value, and made something else of it.
    #[error("{what} was set to \"{asked}\", and became \"{became}\"")]
    NotApplied {
        /// The knob.
        what: String,
        /// What was asked for.
        asked: String,
        /// What it is.
        became: String,
    },
    /// It could not be read or written.
    #[error("cannot set {what}")]
    Knob {
        /// The knob.
        what: String,
        /// Why not.
        source: KnobError,
    },
    /// The journal could not be written, so nothing more is done.
    #[error("cannot write the journal")]
    Journal(#[from] JournalError),
}

impl EffectError {
    /// What it is about: the knob or the command.
    #[must_use]
    pub fn what(&self) -> &str {
        match self {
            Self::Moved { what, .. } | Self::NotApplied { what, .. } | Self::Knob { what, .. } => {
                what
            }
            Self::Journal(_) => "the journal",
        }
    }
}

/// The kernel's id of this boot; none where the machine does not say.
pub fn boot_id(hands: &dyn Hands) -> Option<String> {
    // A machine that does not say is one boot for ever.
    hands.text("proc/sys/kernel/random/boot_id").ok().flatten().filter(|id| !id.is_empty())
}

#[cfg(test)]
mod tests;
