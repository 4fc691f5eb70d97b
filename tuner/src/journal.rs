//! The journal: what was done to the machine, written down before it is done.
//!
//! ```text
//!  /var/lib/barewire/tune/
//!    lock            held while one of us is at work
//!    0001.json       one run of `apply`: its plan, its effects, and how far each of them came
//!    0002.json
//!    pristine.json   what every knob was before any of us turned it
//!    immovable.json  interrupts that the kernel would not move
//! ```
//! A file is replaced as a whole (written aside, synced, renamed, directory synced), so that it is the old or the new
//! one after a kill or a power cut; and it is replaced before each effect, so that whatever may have been done is in it.
//! Files that were written are kept whole rather than as hashes: what somebody changed since can then be shown.

mod entry;
mod immovable;

use std::time::Duration;

use crate::hands::{Content, Hands, HandsError, Lock, There};

pub use entry::{
    Confirmation, Deed, Effect, Entry, Guard, Kind, Pristine, Progress, State, Trial, Way,
};
pub use immovable::WHY as IMMOVABLE;
pub(crate) use immovable::read as immovable;

/// Where it is, from the root.
pub const DEFAULT_DIR: &str = "var/lib/barewire/tune";

/// What every value was before.
const PRISTINE: &str = "pristine.json";

/// The version of the format.
pub const VERSION: u32 = 1;

/// With more entries no new one is made; at one apply a day, 27 years. They are read all the same, and lead back.
const MOST_ENTRIES: usize = 10_000;

/// The most effects of an entry, and knobs in the pristine store.
const MOST_EFFECTS: usize = 50_000;

/// The most effects of all entries that are held in memory at once: about a gigabyte.
const MOST_TOGETHER: usize = 1_000_000;

/// The journal of a machine. While it is open, nobody else changes it.
#[derive(Debug)]
pub struct Journal {
    dir: String,
    /// None for who only looks.
    _lock: Option<Lock>,
}

/// Why the journal can not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The machine did not let it.
    #[error(transparent)]
    Hands(#[from] HandsError),
    /// Somebody else may write here, and could have `rollback` write anything anywhere.
    #[error("/{dir} {problem}, so what is in it can not be trusted")]
    Unsafe {
        /// The journal.
        dir: String,
        /// What is wrong.
        problem: String,
    },
    /// A file is not what was written.
    #[error("/{path} is damaged: {problem}")]
    Damaged {
        /// The file.
        path: String,
        /// What is wrong.
        problem: String,
    },
    /// A newer program wrote it.
    #[error("/{path} is of version {version}, and this program knows up to {VERSION}")]
    Newer {
        /// The file.
        path: String,
        /// Its version.
        version: u64,
    },
    /// There is no such entry.
    #[error("there is no entry {number} in /{dir}")]
    NoEntry {
        /// The journal.
        dir: String,
        /// Its number.
        number: u32,
    },
    /// It is full, which takes somebody who fills it.
    #[error("/{path} holds more than {limit} {what}")]
    TooMany {
        /// What is full.
        path: String,
        /// Of what.
        what: &'static str,
        /// The most.
        limit: usize,
    },
}

impl Journal {
    /// Opens the journal for writing; makes it where there is none. Waits for at most so long for another one of us.
    ///
    /// # Errors
    /// [`JournalError`]; [`HandsError::Locked`] when somebody else is at work.
    pub fn open(hands: &dyn Hands, dir: &str, wait: Duration) -> Result<Self, JournalError> {
        let dir = dir.trim_matches('/').to_owned();
        if hands.look(&dir)? == There::Nothing {
            hands.make_directories(&dir, 0o700)?;
        }
        is_ours(hands, &dir)?;
        let lock = hands.lock(&format!("{dir}/lock"), wait)?;
        Ok(Self { dir, _lock: Some(lock) })
    }

    /// The journal for who only looks: it waits for nobody, and makes nothing; none where there is none.
    ///
    /// # Errors
    /// [`JournalError`]
    pub fn look(hands: &dyn Hands, dir: &str) -> Result<Option<Self>, JournalError> {
        let dir = dir.trim_matches('/').to_owned();
        if hands.look(&dir)? == There::Nothing {
            return Ok(None);
        }
        is_ours(hands, &dir)?;
        Ok(Some(Self { dir, _lock: None }))
    }

    /// Where it is, from the root.
    #[must_use]
    pub fn dir(&self) -> &str {
        &self.dir
    }

    /// The numbers of its entries, in order.
    ///
    /// # Errors
    /// [`JournalError`]
    pub fn numbers(&self, hands: &dyn Hands) -> Result<Vec<u32>, JournalError> {
        numbers(hands, &self.dir)
    }

    /// One entry.
    ///
    /// # Errors
    /// [`JournalError`]
    pub fn entry(&self, hands: &dyn Hands, number: u32) -> Result<Entry, JournalError> {
        entry(hands, &self.dir, number)
    }

    /// Every entry, in order.
    ///
    /// # Errors
    /// [`JournalError`] for the first one that can not be read.
    pub fn entries(&self, hands: &dyn Hands) -> Result<Vec<Entry>, JournalError> {
        entries(hands, &self.dir)
    }

    /// Writes an entry, lasting.
    ///
    /// # Errors
    /// [`JournalError`]
    pub fn save(&self, hands: &dyn Hands, entry: &Entry) -> Result<(), JournalError> {
        self.put(hands, &file_name(entry.number), entry)
    }

    /// Says no to one more entry where there are so many already.
    ///
    /// # Errors
    /// [`JournalError::TooMany`]
    pub fn has_room(&self, entries: usize) -> Result<(), JournalError> {
        if entries > MOST_ENTRIES {
            let path = self.dir.clone();
            return Err(JournalError::TooMany { path, what: "entries", limit: MOST_ENTRIES });
        }
        Ok(())
    }

    /// Removes an entry that says nothing about the machine any more.
    ///
    /// # Errors
    /// [`JournalError`]
    pub fn forget(&self, hands: &dyn Hands, number: u32) -> Result<(), JournalError> {
        Ok(hands.remove(&format!("{}/{}", self.dir, file_name(number)))?)
    }

    /// What every knob was before any of us turned it.
    ///
    /// # Errors
    /// [`JournalError`]
    pub fn pristine(&self, hands: &dyn Hands) -> Result<Pristine, JournalError> {
        match get(hands, &format!("{}/{PRISTINE}", self.dir))? {
            Some(pristine) => Ok(pristine),
            None => Ok(Pristine::default()),
        }
    }

    /// Adds the knobs that `entry` is about to turn to the pristine store; those that are in it stay as they are.
    ///
    /// # Errors
    /// [`JournalError`]
    pub fn remember(&self, hands: &dyn Hands, entry: &Entry) -> Result<(), JournalError> {
        let mut pristine = self.pristine(hands)?;
        if !pristine.add(entry) {
            return Ok(());
        }
        if pristine.knobs.len() > MOST_EFFECTS {
            let path = format!("{}/{PRISTINE}", self.dir);
            return Err(JournalError::TooMany { path, what: "knobs", limit: MOST_EFFECTS });
        }
        self.put(hands, PRISTINE, &pristine)
    }

    /// Keeps only those that are not as they were.
    ///
    /// # Errors
    /// [`JournalError`]
    pub fn save_pristine(
        &self,
        hands: &dyn Hands,
        pristine: &Pristine,
    ) -> Result<(), JournalError> {
        self.put(hands, PRISTINE, pristine)
    }

    fn put(
        &self,
        hands: &dyn Hands,
        name: &str,
        what: &impl serde::Serialize,
    ) -> Result<(), JournalError> {
        let path = format!("{}/{name}", self.dir);
        let mut text = serde_json::to_string_pretty(what).map_err(|error| {
            JournalError::Damaged { path: path.clone(), problem: error.to_string() }
        })?;
        text.push('\n');
        let owner = match hands.look(&self.dir)? {
            There::Directory { user, .. } => user,
            There::Nothing | There::File(_) | There::Other => 0,
        };
        let file = Content { mode: 0o600, user: owner, ..Content::ours(text) };
        Ok(hands.replace(&path, &file)?)
    }
}

/// The journal's entries, for those who only read; none where there is no journal.
///
/// # Errors
/// [`JournalError`] for the first one that can not be read.
pub fn entries(hands: &dyn Hands, dir: &str) -> Result<Vec<Entry>, JournalError> {
    if hands.look(dir)? == There::Nothing {
        return Ok(Vec::new());
    }
    is_ours(hands, dir)?;
    let mut entries = Vec::new();
    let mut effects = 0;
    for number in numbers(hands, dir)? {
        let entry = entry(hands, dir, number)?;
        effects += entry.effects.len();
        if effects > MOST_TOGETHER {
            let path = dir.to_owned();
            return Err(JournalError::TooMany { path, what: "effects", limit: MOST_TOGETHER });
        }
        entries.push(entry);
    }
    Ok(entries)
}

fn numbers(hands: &dyn Hands, dir: &str) -> Result<Vec<u32>, JournalError> {
    let names = hands.names(dir)?;
    let mut numbers: Vec<u32> = names
        .iter()
        .filter_map(|name| name.strip_suffix(".json"))
        .filter(|stem| stem.len() >= 4 && stem.bytes().all(|byte| byte.is_ascii_digit()))
        .filter_map(|stem| stem.parse().ok())
        .filter(|number| *number > 0)
        .collect();
    numbers.sort_unstable();
    numbers.dedup();
    Ok(numbers)
}

fn entry(hands: &dyn Hands, dir: &str, number: u32) -> Result<Entry, JournalError> {
    let path = format!("{dir}/{}", file_name(number));
    let Some(entry) = get::<Entry>(hands, &path)? else {
        return Err(JournalError::NoEntry { dir: dir.to_owned(), number });
    };
    if entry.number != number {
        let problem = format!("it says that it is entry {}", entry.number);
        return Err(JournalError::Damaged { path, problem });
    }
    if entry.effects.len() > MOST_EFFECTS {
        return Err(JournalError::TooMany { path, what: "effects", limit: MOST_EFFECTS });
    }
    Ok(entry)
}

/// What is in a file, if there is one.
fn get<T: serde::de::DeserializeOwned>(
    hands: &dyn Hands,
    path: &str,
) -> Result<Option<T>, JournalError> {
    #[derive(serde::Deserialize)]
    struct Versioned {
        version: u64,
    }

    let Some(content) = hands.file(path)? else { return Ok(None) };
    let damaged = |problem: String| JournalError::Damaged { path: path.to_owned(), problem };
    let text = content.bytes.text().ok_or_else(|| damaged("it is not text".to_owned()))?;
    let versioned: Versioned =
        serde_json::from_str(text).map_err(|error| damaged(error.to_string()))?;
    if versioned.version > u64::from(VERSION) {
        return Err(JournalError::Newer { path: path.to_owned(), version: versioned.version });
    }
    serde_json::from_str(text).map(Some).map_err(|error| damaged(error.to_string()))
}

fn file_name(number: u32) -> String {
    format!("{number:04}.json")
}

/// Refuses a journal that somebody else could have written: `rollback` does what is in it.
fn is_ours(hands: &dyn Hands, dir: &str) -> Result<(), JournalError> {
    let problem = match hands.look(dir)? {
        There::Directory { mode, user } => {
            let us = rustix::process::geteuid().as_raw();
            if mode & 0o022 != 0 {
                "may be written by others"
            } else if user != us && user != 0 {
                "belongs to another user"
            } else {
                return Ok(());
            }
        }
        There::Nothing => "went away",
        There::File(_) | There::Other => "is not a directory",
    };
    Err(JournalError::Unsafe { dir: dir.to_owned(), problem: problem.to_owned() })
}
