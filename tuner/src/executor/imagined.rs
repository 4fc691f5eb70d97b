//! What a machine would be, were done what is only said.

use std::{collections::BTreeMap, io};

use rustix::io::Errno;

use crate::{
    hands::{Hands, HandsError},
    knob::{Knob, KnobError, Value},
};

/// What knobs would be, by name, after all that was imagined so far. That two knobs are of one file is not seen, as it
/// is not when a plan is made.
#[derive(Debug, Default)]
pub struct Imagined(BTreeMap<String, Value>);

impl Imagined {
    /// What a knob would be.
    ///
    /// # Errors
    /// [`KnobError`] when what it is can not be found out.
    pub fn read(&self, hands: &dyn Hands, knob: &Knob) -> Result<Value, KnobError> {
        self.0.get(&knob.name()).map_or_else(|| knob.read(hands), |value| Ok(value.clone()))
    }

    /// It would be that.
    ///
    /// # Errors
    /// [`KnobError`] when it could not: a directory in which something would stay.
    pub fn write(
        &mut self,
        hands: &dyn Hands,
        knob: &Knob,
        value: &Value,
    ) -> Result<(), KnobError> {
        // Those that are not on a disk go with the kernel's files in them.
        if let (Knob::Directory { path }, Value::Absent, true) = (knob, value, knob.is_lasting())
            && !self.is_empty(hands, path)?
        {
            let source = io::Error::from(Errno::NOTEMPTY);
            return Err(HandsError::File { deed: "remove", path: path.clone(), source }.into());
        }
        self.0.insert(knob.name(), value.clone());
        Ok(())
    }

    fn is_empty(&self, hands: &dyn Hands, dir: &str) -> Result<bool, KnobError> {
        let is_gone = |name: &String| {
            let path = format!("{dir}/{name}");
            let knobs = [Knob::File { path: path.clone() }, Knob::Directory { path }];
            knobs.iter().any(|knob| self.0.get(&knob.name()) == Some(&Value::Absent))
        };
        Ok(hands.names(dir)?.iter().all(is_gone))
    }
}
