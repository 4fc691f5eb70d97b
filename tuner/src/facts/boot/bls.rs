//! Boot Loader Specification entries: one file for each kernel.
//!
//! Source: the Boot Loader Specification of the UAPI group, version 1.0.

use serde::Serialize;

use super::Entry;
use crate::{Fact, Source};

/// Where entries are.
const DIRS: [&str; 3] = ["boot/loader/entries", "efi/loader/entries", "boot/efi/loader/entries"];

/// The most entries that are read.
const MOST: usize = 256;

/// The entries of the first directory that has some.
#[derive(Debug, Clone, Serialize)]
pub struct Bls {
    /// What can be started.
    pub entries: Fact<Vec<Entry>>,
    /// `default` of `loader.conf`: a pattern.
    default: Option<String>,
}

impl Bls {
    /// Reads it.
    #[must_use]
    pub fn read(source: &Source) -> Self {
        let mut entries = Fact::Absent;
        let mut default = None;
        for dir in DIRS {
            let names = match source.names(dir) {
                Fact::Is(names) => names,
                Fact::Absent => continue,
                Fact::Unknown { why } => {
                    entries = Fact::Unknown { why };
                    break;
                }
            };
            let names: Vec<String> =
                names.into_iter().filter(|name| name.ends_with(".conf")).take(MOST).collect();
            if names.is_empty() {
                continue;
            }
            entries = all(source, dir, &names);
            let config = source.text(&dir.replace("entries", "loader.conf")).into_value();
            default = config.and_then(|text| {
                let mut lines = text.lines().filter_map(|line| line.trim().split_once([' ', '\t']));
                lines.rfind(|(key, _)| *key == "default").map(|(_, value)| value.trim().to_owned())
            });
            break;
        }
        Self { entries, default }
    }

    /// The entry that is started next: the chosen one, the default of `loader.conf`, or the newest.
    #[must_use]
    pub fn next(&self, chosen: Option<&str>) -> Fact<Entry> {
        self.entries.as_ref().and_then(|entries| {
            let wanted = chosen.filter(|id| !id.is_empty()).or(self.default.as_deref());
            let by_name = wanted.and_then(|wanted| {
                let wanted = wanted.strip_suffix(".conf").unwrap_or(wanted);
                match wanted.strip_suffix('*') {
                    Some(prefix) => entries.iter().find(|entry| entry.id.starts_with(prefix)),
                    None => entries.iter().find(|entry| entry.id == wanted),
                }
            });
            let ordinal = wanted.and_then(|wanted| entries.get(wanted.parse::<usize>().ok()?));
            match by_name.or(ordinal).or_else(|| entries.iter().find(|entry| !entry.is_rescue)) {
                Some(entry) => Fact::Is(entry.clone()),
                None => Fact::unknown("there is no entry but for repairs"),
            }
        })
    }
}

fn all(source: &Source, dir: &str, names: &[String]) -> Fact<Vec<Entry>> {
    let environment = super::grub::environment(source);
    let mut entries: Vec<(String, Entry)> = Vec::new();
    for name in names {
        let file = format!("{dir}/{name}");
        match source.text(&file) {
            Fact::Is(text) => {
                let id = name.strip_suffix(".conf").unwrap_or(name);
                entries.extend(parse(&text, id, &file, &|key| {
                    environment.as_ref().and_then(|all| all.get(key).cloned())
                }));
            }
            Fact::Absent => {}
            Fact::Unknown { why } => return Fact::Unknown { why },
        }
    }
    // Newest first: by version, then by name, as the specification sorts them.
    entries.sort_by(|(a, one), (b, other)| {
        compare_versions(b, a).then_with(|| compare_versions(&other.id, &one.id))
    });
    let mut entries: Vec<Entry> = entries.into_iter().map(|(_, entry)| entry).collect();
    for (index, entry) in entries.iter_mut().enumerate() {
        entry.place = vec![index];
    }
    Fact::Is(entries)
}

/// Reads one entry; `None` of one that starts no kernel. `variable` gives what `$kernelopts` and the like stand for in
/// GRUB's environment. The first half of the answer is the version to sort by.
#[must_use]
pub fn parse(
    text: &str,
    id: &str,
    file: &str,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Option<(String, Entry)> {
    let mut entry = Entry {
        id: id.to_owned(),
        title: id.to_owned(),
        place: Vec::new(),
        kernel: String::new(),
        line: String::new(),
        file: file.to_owned(),
        is_rescue: id.contains("rescue"),
    };
    let mut version = String::new();
    for line in text.lines() {
        let Some((key, value)) = line.trim().split_once([' ', '\t']) else { continue };
        let value = value.trim();
        match key {
            "title" => value.clone_into(&mut entry.title),
            "version" => value.clone_into(&mut version),
            "linux" | "efi" | "uki" => value.clone_into(&mut entry.kernel),
            // The specification allows it more than once; the values are joined.
            "options" => {
                for word in value.split_ascii_whitespace() {
                    let meant = match word.strip_prefix('$') {
                        Some(name) => variable(name.trim_matches(['{', '}'])).unwrap_or_default(),
                        None => word.to_owned(),
                    };
                    if !entry.line.is_empty() && !meant.is_empty() {
                        entry.line.push(' ');
                    }
                    entry.line.push_str(&meant);
                }
            }
            _ => {}
        }
    }
    (!entry.kernel.is_empty()).then_some((version, entry))
}

/// Digits compare as numbers, the rest as text: `6.12.0` is newer than `6.9.0`.
fn compare_versions(a: &str, b: &str) -> std::cmp::Ordering {
    let parts = |text: &str| -> Vec<(String, u64)> {
        let mut parts = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            let digits = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
            let (word, after) = rest.split_at(digits);
            let end = after.find(|c: char| !c.is_ascii_digit()).unwrap_or(after.len());
            let (number, after) = after.split_at(end);
            parts.push((word.to_owned(), number.parse().unwrap_or(u64::MAX)));
            rest = after;
        }
        parts
    };
    parts(a).cmp(&parts(b))
}
