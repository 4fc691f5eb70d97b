//! Boot Loader Specification entries: one file a kernel, with an `options` line.

use super::{Arguments, arguments::canonical_key};
use crate::{Fact, Source};

/// Where they are.
const ENTRIES: &str = "boot/loader/entries";

/// The kernels that are there for rescue are nobody's to tune.
fn is_rescue(name: &str) -> bool {
    name.contains("-0-rescue")
}

/// The arguments of every entry that is not there for rescue, by name.
#[must_use]
pub fn all(source: &Source) -> Fact<Vec<(String, String)>> {
    let names = match source.names(ENTRIES) {
        Fact::Is(names) => names,
        Fact::Absent => return Fact::Absent,
        Fact::Unknown { why } => return Fact::Unknown { why },
    };
    let mut entries = Vec::new();
    for name in names.into_iter().filter(|name| name.ends_with(".conf") && !is_rescue(name)) {
        match source.text(&format!("{ENTRIES}/{name}")) {
            Fact::Is(text) => entries.push((name, options(source, &text))),
            // It went while we looked.
            Fact::Absent => {}
            Fact::Unknown { why } => return Fact::Unknown { why },
        }
    }
    Fact::Is(entries)
}

/// What every entry says of these keys, in words.
pub(super) fn current(source: &Source, keys: &[String]) -> Fact<String> {
    let entries = match all(source) {
        Fact::Is(entries) => entries,
        Fact::Absent => return Fact::Absent,
        Fact::Unknown { why } => return Fact::Unknown { why },
    };
    let keys: Vec<String> = keys.iter().map(|key| canonical_key(key)).collect();
    let ours = |line: &str| -> String {
        let words = Arguments::from_line(line).words();
        let is_ours = |word: &&String| {
            let key = word.split_once('=').map_or(word.as_str(), |(key, _)| key);
            keys.contains(&canonical_key(key))
        };
        let mut words: Vec<String> = words.iter().filter(is_ours).cloned().collect();
        // Pairs keep their order; the others are in the order of our keys.
        words.sort_by_key(|word| {
            let key = canonical_key(word.split_once('=').map_or(word.as_str(), |(key, _)| key));
            let key = if key == "hugepagesz" { "hugepages".to_owned() } else { key };
            keys.iter().position(|known| *known == key)
        });
        words.join(" ")
    };
    let mut said: Vec<(String, String)> =
        entries.into_iter().map(|(name, line)| (name, ours(&line))).collect();
    let Some((_, first)) = said.pop() else { return Fact::Absent };
    match said.iter().find(|(_, words)| *words != first) {
        Some((name, words)) => Fact::Is(format!("{words} ({name} differs from others)")),
        None if first.is_empty() => Fact::Absent,
        None => Fact::Is(first),
    }
}

/// The `options` of an entry; `$kernelopts` is a variable of GRUB's environment block.
fn options(source: &Source, text: &str) -> String {
    let mut words = Vec::new();
    for line in text.lines() {
        let Some(line) = line.trim_start().strip_prefix("options") else { continue };
        if !line.starts_with(char::is_whitespace) {
            continue;
        }
        for word in line.split_whitespace() {
            match word {
                "$kernelopts" | "${kernelopts}" => words.extend(environment(source, "kernelopts")),
                // Other variables are the distribution's; they say nothing of ours.
                word if word.starts_with('$') => {}
                word => words.push(word.to_owned()),
            }
        }
    }
    words.join(" ")
}

/// A variable of GRUB's environment block.
fn environment(source: &Source, name: &str) -> Option<String> {
    let text = ["boot/grub2/grubenv", "boot/grub/grubenv"]
        .iter()
        .find_map(|path| source.text(path).into_value())?;
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    line.map(|value| value.trim().to_owned())
}
