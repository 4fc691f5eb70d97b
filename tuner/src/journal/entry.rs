//! What the journal holds.

use serde::{Deserialize, Serialize};

use crate::{
    knob::{Knob, Value},
    plan::Step,
};

/// One run that changed the machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Entry {
    /// The version of the format.
    pub version: u32,
    /// Its number, from 1.
    pub number: u32,
    /// What kind of run it was.
    pub kind: Kind,
    /// How far it came.
    pub state: State,
    /// When it began, in seconds since 1970.
    pub began: u64,
    /// The kernel's id of the boot that it was in; none where the machine does not say.
    pub boot: Option<String>,
    /// What was decided.
    pub steps: Vec<Step>,
    /// What that came down to, in the order in which it was done.
    pub effects: Vec<Effect>,
    /// The dead man's switch, if there was one.
    pub confirmation: Option<Confirmation>,
    /// What waits for a boot that works, if there is something.
    pub trial: Option<Trial>,
}

/// What kind of run it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// `apply`.
    Apply,
    /// `apply --boot`: what does not outlive a reboot, once more.
    Boot,
    /// `verify --boot`: what was on trial, for good.
    Promotion {
        /// The entry that it was on trial in.
        of: u32,
    },
}

/// How far a run came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It is at work, or was killed.
    Applying,
    /// All of it is done.
    Applied,
    /// It is being undone, or that was killed.
    Undoing,
    /// All of it is undone.
    Undone,
    /// What could be undone is; the effects say what could not.
    Incomplete,
}

/// One deed and how far it came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Effect {
    /// The step it is part of: an index into the entry's steps.
    pub step: usize,
    /// What is done.
    pub deed: Deed,
    /// How far it came.
    pub progress: Progress,
}

/// What is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Deed {
    /// A knob is turned.
    Turn {
        /// The knob.
        knob: Knob,
        /// What it was.
        from: Value,
        /// What it shall be.
        to: Value,
    },
    /// A program is told that its files changed.
    Run {
        /// The command, word by word.
        command: Vec<String>,
        /// On which way.
        way: Way,
    },
}

/// On which way a command is run: its files change on both, and it has to come after them on both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// When it is applied.
    There,
    /// When it is rolled back.
    Back,
}

/// How far an effect came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Progress {
    /// It is not begun.
    Planned,
    /// It was about to be done: it may have been, or not, or in part.
    Writing,
    /// It is done, and this was read back.
    Done {
        /// What the knob became.
        became: Value,
    },
    /// It was not done, and nothing of it: the thread ended, the kernel places that interrupt itself, the command could
    /// not be started.
    Skipped {
        /// Why.
        why: String,
    },
    /// It was about to be undone.
    Undoing,
    /// It is undone.
    Undone,
    /// It is not undone, or nobody can see whether it is.
    Kept {
        /// Why.
        why: String,
    },
}

impl Progress {
    /// May the machine be other than before because of it?
    #[must_use]
    pub fn may_count(&self) -> bool {
        match self {
            Self::Writing | Self::Done { .. } | Self::Undoing | Self::Kept { .. } => true,
            Self::Planned | Self::Skipped { .. } | Self::Undone => false,
        }
    }
}

/// Somebody has to say that they can still get in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Confirmation {
    /// Within so many seconds.
    pub within_s: u64,
    /// What rolls back if nobody does.
    pub guard: Guard,
    /// Did somebody?
    pub is_given: bool,
}

/// What rolls back if nobody confirms.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Guard {
    /// Not armed yet.
    None,
    /// A transient timer of systemd's.
    Timer {
        /// The unit, without `.timer`.
        unit: String,
    },
    /// A process in a session of its own.
    Process {
        /// Its number.
        pid: u32,
    },
}

/// Kernel arguments that have to show that the machine comes up with them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Trial {
    /// The name of the boot entry.
    pub entry: String,
    /// The words on its command line that are ours.
    pub words: Vec<String>,
    /// The steps that make it last: indices into the entry's steps.
    pub held: Vec<usize>,
}

impl Entry {
    /// Is it in force: done, or neither done nor undone?
    #[must_use]
    pub fn is_active(&self) -> bool {
        match self.state {
            State::Applying | State::Applied | State::Undoing | State::Incomplete => true,
            State::Undone => false,
        }
    }

    /// Was it cut short?
    #[must_use]
    pub fn is_cut_short(&self) -> bool {
        match self.state {
            State::Applying | State::Undoing => true,
            State::Applied | State::Undone | State::Incomplete => false,
        }
    }

    /// Does somebody still have to confirm it?
    #[must_use]
    pub fn waits(&self) -> bool {
        self.is_active() && self.confirmation.as_ref().is_some_and(|asked| !asked.is_given)
    }

    /// Did the machine start anew before somebody confirmed it?
    #[must_use]
    pub fn is_unconfirmed(&self, boot: Option<&str>) -> bool {
        self.waits() && self.boot.as_deref() != boot
    }
}

/// What knobs were before any of us turned them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Pristine {
    /// The version of the format.
    pub version: u32,
    /// The knobs, in the order in which they were first turned.
    pub knobs: Vec<First>,
}

/// What a knob was before any of us turned it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct First {
    /// The knob.
    pub knob: Knob,
    /// What it was.
    pub value: Value,
    /// The entry that turned it first.
    pub entry: u32,
    /// The boot that this was in.
    pub boot: Option<String>,
}

impl Default for Pristine {
    fn default() -> Self {
        Self { version: super::VERSION, knobs: Vec::new() }
    }
}

impl Pristine {
    /// Adds what an entry is about to turn; says whether there is something new.
    pub(super) fn add(&mut self, entry: &Entry) -> bool {
        let before = self.knobs.len();
        // After a reboot these are the kernel's again, and other threads have their numbers.
        self.knobs.retain(|first| first.knob.is_lasting() || first.boot == entry.boot);
        let mut is_new = self.knobs.len() != before;
        let mut known: std::collections::BTreeSet<String> =
            self.knobs.iter().map(|first| first.knob.name()).collect();
        for effect in &entry.effects {
            let Deed::Turn { knob, from, .. } = &effect.deed else { continue };
            if known.insert(knob.name()) {
                is_new = true;
                self.knobs.push(First {
                    knob: knob.clone(),
                    value: from.clone(),
                    entry: entry.number,
                    boot: entry.boot.clone(),
                });
            }
        }
        is_new
    }
}
