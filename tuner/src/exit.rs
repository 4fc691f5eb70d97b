//! How `barewire-tune` ends.

use std::process::ExitCode;

/// The exit codes, in one place; `barewire-tune --help` prints this table.
///
/// Not knowing is never success, and a crash is never approval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// It did what was asked; `gate`, `verify`: everything that was asked about is good.
    Success = 0,
    /// `gate --strict`: at least one warning.
    Warnings = 10,
    /// `gate`, `verify`: at least one check is bad.
    Bad = 20,
    /// `gate`, `verify`, and what changes the machine: something that has to be known is not (not root, no such file).
    Unknown = 30,
    /// What was applied needs a reboot to take effect.
    PendingReboot = 40,
    /// Refused, because it could lock somebody out, or break the machine.
    Refused = 50,
    /// `apply` failed, and everything it did is undone.
    RolledBack = 60,
    /// `apply` or `rollback` failed, and the machine is in between; the journal says where. Of `apply --boot`: not
    /// everything could be set again, and the rest is.
    Incomplete = 61,
    /// The command line or a file that was given is wrong.
    Usage = 64,
    /// It failed for a reason that is none of these.
    Internal = 70,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit as u8)
    }
}

/// In JSON, an exit code is its number.
impl serde::Serialize for Exit {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u8(*self as u8)
    }
}

/// For `--help`.
pub(crate) const TABLE: &str = "Exit codes:
  0   did what was asked (gate, verify: all good)
  10  gate --strict: at least one warning
  20  gate, verify: at least one is bad (analyze answers 0, whatever it finds)
  30  gate, verify, and what changes the machine: something that has to be known could not be read
  40  a reboot is pending
  50  refused, because it could lock somebody out or break the machine
  60  apply failed, everything is undone
  61  apply or rollback failed in between, apply --boot set only some of it; the journal says where
  64  the command line or a given file is wrong
  70  failed for another reason";
