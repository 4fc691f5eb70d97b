//! What the operator wants of a plan, beyond what the checks want.

use std::collections::{BTreeMap, BTreeSet};

use config::{Tune, Wish};

use crate::{Profile, checks};

/// What the operator wants of a plan, beyond what the checks want: `[tune]` and the command line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wishes {
    /// What matters most.
    pub profile: Profile,
    /// What is to be done about single checks, by id.
    pub set: BTreeMap<String, Wish>,
    /// Checks whose change is made although it is harmful.
    pub i_want: BTreeSet<String>,
    /// Only these checks; all when it is empty.
    pub only: BTreeSet<String>,
    /// Contested checks that a measurement on this machine has decided.
    pub measured: BTreeSet<String>,
}

/// A wish about a check that does not exist.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no check called {id}{}", near.as_ref().map(|near| format!("; did you mean {near}?")).unwrap_or_default())]
pub struct WishesError {
    /// The id.
    pub id: String,
    /// The check that was probably meant.
    pub near: Option<&'static str>,
}

impl Wishes {
    /// What `[tune]` asks for.
    ///
    /// # Errors
    /// [`WishesError`] when it names a check that does not exist.
    pub fn from_config(tune: &Tune) -> Result<Self, WishesError> {
        let wishes = Self {
            profile: tune.profile.into(),
            set: tune.set.iter().map(|(id, wish)| (id.to_string(), wish.clone())).collect(),
            i_want: tune.i_want.iter().map(ToString::to_string).collect(),
            ..Self::default()
        };
        wishes.check()?;
        Ok(wishes)
    }

    /// Does every check that is named exist?
    ///
    /// # Errors
    /// [`WishesError`] for the first one that does not.
    pub fn check(&self) -> Result<(), WishesError> {
        let named = self.set.keys().chain(&self.i_want).chain(&self.only).chain(&self.measured);
        for id in named {
            if checks::catalogue().all(|check| check.id != id) {
                return Err(WishesError { id: id.clone(), near: nearest(id) });
            }
        }
        Ok(())
    }

    /// Is something wanted of this check at all?
    pub(super) fn includes(&self, id: &str) -> bool {
        self.only.is_empty() || self.only.contains(id)
    }
}

impl From<config::TuneProfile> for Profile {
    fn from(profile: config::TuneProfile) -> Self {
        match profile {
            config::TuneProfile::LowLatency => Self::LowLatency,
            config::TuneProfile::Throughput => Self::Throughput,
            config::TuneProfile::Balanced => Self::Balanced,
        }
    }
}

impl Profile {
    /// As it is written.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::LowLatency => "low-latency",
            Self::Throughput => "throughput",
            Self::Balanced => "balanced",
        }
    }
}

/// The id that is at most two letters away from `id`.
fn nearest(id: &str) -> Option<&'static str> {
    let id: String = id.to_ascii_uppercase().chars().take(16).collect();
    let with_distance = checks::catalogue().map(|c| (strsim::damerau_levenshtein(c.id, &id), c.id));
    with_distance.filter(|(distance, _)| *distance <= 2).min().map(|(_, id)| id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_that_is_not_there_is_refused_with_the_one_that_was_meant() {
        let mut wishes = Wishes::default();
        wishes.set.insert("WD-1".to_owned(), Wish::Apply);

        assert_eq!(
            wishes.check().unwrap_err().to_string(),
            "there is no check called WD-1; did you mean WD-01?"
        );
        wishes = Wishes::default();
        wishes.only.insert("NOTHING-77".to_owned());
        assert_eq!(wishes.check().unwrap_err().near, None);
    }
}
