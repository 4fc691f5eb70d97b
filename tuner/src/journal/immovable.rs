//! Interrupts that the kernel would not move: known once it was tried, and not tried by every plan again.
//!
//! Linux shows only since 6.13 which interrupts nobody may move (their files are read-only then); before, a write that
//! answers `EIO` (or `EPERM`, since 6.15) is the only sign. It is final as long as kernel and driver are the same, so
//! that both are part of what is known.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{Entry, Journal, JournalError, Progress, VERSION, get};
use crate::{Fact, Source, hands::Hands, journal::Deed, knob::Knob};

/// What is known, in the journal's directory.
const FILE: &str = "immovable.json";

/// The most bytes that are read of it: some ten thousand interrupts.
const MOST: usize = 4 << 20;

/// Why an interrupt was left out, as the journal says it.
pub const WHY: &str = "the kernel places it itself";

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Immovable {
    /// The version of the format.
    version: u32,
    /// The release of the kernel that refused.
    kernel: String,
    /// The interrupts, with their handlers.
    interrupts: BTreeMap<u32, String>,
}

impl Journal {
    /// Remembers which interrupts the kernel would not move.
    ///
    /// # Errors
    /// [`JournalError`]
    pub fn learn(&self, hands: &dyn Hands, entry: &Entry) -> Result<(), JournalError> {
        let refused: Vec<u32> = entry
            .effects
            .iter()
            .filter(|effect| matches!(&effect.progress, Progress::Skipped { why } if why == WHY))
            .filter_map(|effect| match &effect.deed {
                Deed::Turn { knob: Knob::Kernel { path, .. }, .. } => number(path),
                _ => None,
            })
            .collect();
        let Some(kernel) = hands.text("proc/sys/kernel/osrelease")?.filter(|_| !refused.is_empty())
        else {
            return Ok(());
        };
        // What is damaged is only a note, and begun anew.
        let before: Option<Immovable> =
            get(hands, &format!("{}/{FILE}", self.dir())).ok().flatten();
        let mut all = before.filter(|all| all.kernel == kernel).unwrap_or(Immovable {
            version: VERSION,
            kernel,
            interrupts: BTreeMap::new(),
        });
        let known = all.clone();
        for irq in refused {
            let handlers =
                hands.text(&format!("sys/kernel/irq/{irq}/actions"))?.unwrap_or_default();
            all.interrupts.insert(irq, handlers);
        }
        if all == known { Ok(()) } else { self.put(hands, FILE, &all) }
    }
}

/// The interrupts that this kernel would not move, of those that are there with their handlers; absent when it was never
/// tried.
pub(crate) fn read(source: &Source, there: &[(u32, &str)]) -> Fact<BTreeSet<u32>> {
    let path = format!("{}/{FILE}", source.state());
    let text: Fact<String> = source.root().text_up_to(&path, MOST).into();
    text.and_then(|text| match serde_json::from_str::<Immovable>(&text) {
        Err(error) => Fact::unknown(format!("/{path} can not be read: {error}")),
        Ok(known) => {
            let is_same = source.text("proc/sys/kernel/osrelease").value() == Some(&known.kernel);
            let is_known = |(number, handlers): &&(u32, &str)| {
                is_same && known.interrupts.get(number).is_some_and(|known| known == handlers)
            };
            Fact::Is(there.iter().filter(is_known).map(|(number, _)| *number).collect())
        }
    })
}

/// `30` of `proc/irq/30/smp_affinity_list`.
fn number(path: &str) -> Option<u32> {
    path.strip_prefix("proc/irq/")?.split('/').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_is_read_where_the_journal_is() {
        let dir = tempfile::tempdir().unwrap();
        let put = |path: &str, text: &str| {
            let path = dir.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        put("proc/sys/kernel/osrelease", "6.1.0\n");
        put(
            "srv/tune/immovable.json",
            r#"{"version":1,"kernel":"6.1.0","interrupts":{"31":"pciehp"}}"#,
        );
        let source = Source::at(dir.path()).unwrap();

        assert_eq!(read(&source, &[(31, "pciehp")]), Fact::Absent);
        let known = read(&source.with_state("srv/tune"), &[(31, "pciehp"), (32, "eth0")]);
        assert_eq!(known, Fact::Is(BTreeSet::from([31])));
    }
}
