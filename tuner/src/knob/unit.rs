//! Units of systemd's: what they do at boot, and whether they run.
//!
//! systemctl(1) of systemd 252: `is-enabled` and `is-active` print one word, and fail for words that say no.

use serde::{Deserialize, Serialize};

use super::KnobError;
use crate::hands::{COMMAND_LIMIT, Hands};

/// One side of a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UnitSide {
    /// Whether it is started at boot.
    AtBoot,
    /// Whether it runs.
    Now,
}

impl UnitSide {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::AtBoot => "at boot",
            Self::Now => "now",
        }
    }
}

/// Its state, in systemd's word.
pub(super) fn read(hands: &dyn Hands, unit: &str, side: UnitSide) -> Result<String, KnobError> {
    let verb = match side {
        UnitSide::AtBoot => "is-enabled",
        UnitSide::Now => "is-active",
    };
    let output = hands.run(&["systemctl", verb, "--", unit], COMMAND_LIMIT)?;
    let word = output.stdout.lines().next().unwrap_or_default().trim();
    match word {
        // Older versions say it on standard error only.
        "" if side == UnitSide::AtBoot && output.stderr.contains("No such file") => {
            Ok("not-found".to_owned())
        }
        "" => Err(KnobError::Odd {
            what: unit.to_owned(),
            problem: format!("has no state: {}", output.stderr.trim()),
        }),
        word => Ok(word.to_owned()),
    }
}

/// Brings it into a state that it once had.
pub(super) fn write(
    hands: &dyn Hands,
    unit: &str,
    side: UnitSide,
    state: &str,
) -> Result<(), KnobError> {
    let command: &[&str] = match (side, state) {
        (UnitSide::AtBoot, "enabled") => &["systemctl", "enable", "--", unit],
        (UnitSide::AtBoot, "enabled-runtime") => &["systemctl", "enable", "--runtime", "--", unit],
        (UnitSide::AtBoot, "disabled") => &["systemctl", "disable", "--", unit],
        (UnitSide::Now, "active" | "activating" | "reloading") => {
            &["systemctl", "start", "--", unit]
        }
        (UnitSide::Now, "inactive" | "failed" | "deactivating") => {
            &["systemctl", "stop", "--", unit]
        }
        (_, state) => {
            let problem = format!("can not be made \"{state}\"");
            return Err(KnobError::Odd { what: unit.to_owned(), problem });
        }
    };
    hands.must_run(command)?;
    Ok(())
}

/// Do two words mean the same? A unit that failed does not run, and can not be made to have failed.
pub(super) fn is_same(one: &str, other: &str) -> bool {
    let plain = |word: &str| match word {
        "failed" | "deactivating" => "inactive".to_owned(),
        "activating" | "reloading" => "active".to_owned(),
        word => word.to_owned(),
    };
    plain(one) == plain(other)
}
