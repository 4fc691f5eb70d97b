//! Keeping only what helps: groups of steps are taken and undone in turns, measured each time, and stay only where the
//! interval says that they help.
//!
//! What the usual guides set makes some machines worse. Nothing here believes a setting: for each group there are blocks
//! of two runs, one with it and one without, in an order drawn by lot, so that what else changes on the machine hits
//! both. A group stays when the whole 95 % interval of the ratio is below 1; when nothing can be said, it goes.

use std::collections::BTreeMap;

use crate::{Section, checks, measured::Effect, plan::Step};

/// Steps that are tried together: those of one part of the report.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// The part's heading.
    pub name: String,
    /// Its steps.
    pub steps: Vec<Step>,
}

/// What can be tried: steps that count at once, by the part of the report that asked for them. The others, which need a
/// reboot or may cut somebody off, are left out and returned.
#[must_use]
pub fn groups(steps: Vec<Step>) -> (Vec<Group>, Vec<Step>) {
    let mut groups: BTreeMap<Section, Vec<Step>> = BTreeMap::new();
    let mut left_out = Vec::new();
    for step in steps {
        let can_be_tried =
            !step.change.needs_reboot() && step.blast != crate::plan::Blast::Management;
        let section = step
            .checks
            .iter()
            .find_map(|id| checks::all().find(|check| check.id == *id).map(|check| check.section));
        match section.filter(|_| can_be_tried) {
            Some(section) => groups.entry(section).or_default().push(step),
            None => left_out.push(step),
        }
    }
    let named =
        |(section, steps): (Section, Vec<Step>)| Group { name: section.title().to_owned(), steps };
    (groups.into_iter().map(named).collect(), left_out)
}

/// What is done to a machine to find out.
pub trait Trials {
    /// Why it can not go on.
    type Error;

    /// Takes the group's steps.
    ///
    /// # Errors
    /// When they can not be taken; nothing of them is in force then.
    fn take(&mut self, group: &Group) -> Result<(), Self::Error>;

    /// Undoes what was taken last.
    ///
    /// # Errors
    /// When it can not be undone.
    fn undo(&mut self) -> Result<(), Self::Error>;

    /// How bad it is now: the time that is taken from a thread that spins on a worker's CPU, in ns a second.
    ///
    /// # Errors
    /// When it can not be measured.
    fn measure(&mut self) -> Result<f64, Self::Error>;
}

/// Tries a group in so many blocks, and leaves it in force exactly when it helps.
///
/// # Errors
/// What a trial answers, with the group undone if that was possible.
pub fn try_out<T: Trials>(
    group: &Group,
    blocks: u32,
    random: &mut fastrand::Rng,
    trials: &mut T,
) -> Result<Effect, T::Error> {
    let mut ratios = Vec::new();
    for _ in 0..blocks {
        let with_first = random.bool();
        let mut with = 0.0;
        let mut without = 0.0;
        for is_with in [with_first, !with_first] {
            if is_with {
                trials.take(group)?;
                let measured = trials.measure();
                trials.undo()?;
                with = measured?;
            } else {
                without = trials.measure()?;
            }
        }
        ratios.push(ratio(with, without).ln());
    }
    let estimate = statistics::bootstrap(&ratios, random).map(statistics::Estimate::exp);
    let is_kept = estimate.is_some_and(|ratio| ratio.high < 1.0);
    if is_kept {
        trials.take(group)?;
    }
    let (value, low, high) = match estimate {
        Some(ratio) => (1.0 - ratio.value, 1.0 - ratio.high, 1.0 - ratio.low),
        None => (0.0, f64::NEG_INFINITY, 1.0),
    };
    Ok(Effect { what: group.name.clone(), runs: blocks, gain: value, low, high, is_kept })
}

/// The share of the noise that is left. Less than a nanosecond a second is none.
fn ratio(with: f64, without: f64) -> f64 {
    with.max(1.0) / without.max(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A machine whose noise is known.
    struct Machine {
        is_on: bool,
        taken: u32,
        undone: u32,
        /// Noise with and without, and by how much it varies.
        with: f64,
        without: f64,
        spread: f64,
        random: fastrand::Rng,
        fails_at: Option<u32>,
    }

    impl Machine {
        fn new(with: f64, without: f64, spread: f64) -> Self {
            let random = fastrand::Rng::with_seed(3);
            Self {
                is_on: false,
                taken: 0,
                undone: 0,
                with,
                without,
                spread,
                random,
                fails_at: None,
            }
        }
    }

    impl Trials for Machine {
        type Error = String;

        fn take(&mut self, _: &Group) -> Result<(), String> {
            assert!(!self.is_on, "taken twice");
            self.is_on = true;
            self.taken += 1;
            Ok(())
        }

        fn undo(&mut self) -> Result<(), String> {
            assert!(self.is_on, "undone without being taken");
            self.is_on = false;
            self.undone += 1;
            Ok(())
        }

        fn measure(&mut self) -> Result<f64, String> {
            if self.is_on && self.fails_at == Some(self.taken) {
                return Err("the clock stopped".to_owned());
            }
            let noise = if self.is_on { self.with } else { self.without };
            Ok(noise * (1.0 + self.spread * (self.random.f64() - 0.5)))
        }
    }

    fn tried(machine: &mut Machine) -> Result<Effect, String> {
        let group = Group { name: "Interrupts".to_owned(), steps: Vec::new() };
        try_out(&group, 8, &mut fastrand::Rng::with_seed(1), machine)
    }

    #[test]
    fn what_helps_is_in_force_afterwards() {
        let mut machine = Machine::new(2e5, 1e6, 0.2);

        let effect = tried(&mut machine).unwrap();

        assert!(effect.is_kept && machine.is_on);
        assert!((0.7..0.9).contains(&effect.gain) && effect.low > 0.0, "{effect:?}");
    }

    #[test]
    fn what_harms_or_does_nothing_is_not() {
        for (with, spread) in [(2e6, 0.2), (1e6, 0.5), (1e6, 0.0)] {
            let mut machine = Machine::new(with, 1e6, spread);

            let effect = tried(&mut machine).unwrap();

            assert!(!effect.is_kept && !machine.is_on, "{with}: {effect:?}");
            assert_eq!(machine.taken, machine.undone);
        }
    }

    #[test]
    fn a_measurement_that_fails_leaves_nothing_in_force() {
        let mut machine = Machine { fails_at: Some(3), ..Machine::new(2e5, 1e6, 0.1) };

        assert!(tried(&mut machine).is_err());

        assert!(!machine.is_on);
    }
}
