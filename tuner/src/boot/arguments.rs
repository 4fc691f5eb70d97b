//! One consistent set of kernel arguments.

use std::{collections::BTreeMap, fmt};

use linux::cmdline::Cmdline;
use serde::{Deserialize, Serialize};

use crate::change::BootValue;

/// Kernel arguments that are to be set or taken out; no key is in it twice.
///
/// `hugepagesz=` and `hugepages=` are the exception that the kernel makes: they come in pairs, the size first, one pair
/// for each size (Linux `Documentation/admin-guide/mm/hugetlbpage.rst`). They are kept as pairs here.
///
/// ```
/// use tuner::{boot::Arguments, change::BootValue};
///
/// let mut arguments = Arguments::default();
/// arguments.set("nohz_full", BootValue::Is("2-3".to_owned()));
/// arguments.set("mce", BootValue::Absent);
/// arguments.set("nohz-full", BootValue::Is("4-5".to_owned()));
/// assert_eq!(arguments.words(), ["nohz_full=4-5"]);
/// assert_eq!(arguments.keys(), ["nohz_full", "mce"]);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arguments {
    list: Vec<Argument>,
    /// Hugepages by page size as it is written (`1G`); the empty size is the default one.
    huge: BTreeMap<String, String>,
    /// The size that the next `hugepages=` is about.
    #[serde(skip)]
    size: String,
}

/// One argument.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Argument {
    /// Its name.
    pub key: String,
    /// What it should be.
    pub value: BootValue,
}

/// In words: what is set, and what is taken out.
impl fmt::Display for Arguments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let gone: Vec<&str> = self
            .iter()
            .filter(|argument| argument.value == BootValue::Absent)
            .map(|argument| argument.key.as_str())
            .collect();
        match (self.words().join(" "), gone.is_empty()) {
            (words, true) => f.write_str(&words),
            (words, false) if words.is_empty() => write!(f, "without {}", gone.join(", ")),
            (words, false) => write!(f, "{words}, without {}", gone.join(", ")),
        }
    }
}

impl Arguments {
    /// One argument alone.
    #[must_use]
    pub fn of(key: &str, value: &BootValue) -> Self {
        let mut arguments = Self::default();
        arguments.set(key, value.clone());
        arguments
    }

    /// Every argument of a command line.
    #[must_use]
    pub fn from_line(line: &str) -> Self {
        let mut arguments = Self::default();
        for parameter in Cmdline::parse(line).parameters() {
            let value = match &parameter.value {
                Some(value) => BootValue::Is(value.clone()),
                None => BootValue::Flag,
            };
            arguments.set(&parameter.name, value);
        }
        arguments
    }

    /// Sets one; what was said of the same key before is forgotten.
    pub fn set(&mut self, key: &str, value: BootValue) {
        let key: String = key.chars().filter(|c| !is_unfit(*c) && !c.is_whitespace()).collect();
        // `--` would end the kernel's part of the line, and take whatever comes behind from it.
        if key.is_empty() || key == "--" {
            return;
        }
        match (canonical_key(&key).as_str(), value) {
            ("hugepagesz", BootValue::Is(size)) => self.size = page_size(&size),
            ("hugepages", BootValue::Is(count)) => {
                self.huge.insert(std::mem::take(&mut self.size), count);
            }
            ("hugepages" | "hugepagesz", BootValue::Absent) => self.huge.clear(),
            ("hugepages" | "hugepagesz", BootValue::Flag) => {}
            (canonical, value) => {
                let known =
                    self.list.iter_mut().find(|known| canonical_key(&known.key) == canonical);
                match known {
                    Some(known) => known.value = value,
                    None => self.list.push(Argument { key, value }),
                }
            }
        }
    }

    /// Takes everything of `other`, which wins.
    pub fn merge(&mut self, other: &Self) {
        for argument in &other.list {
            self.set(&argument.key, argument.value.clone());
        }
        self.huge.extend(other.huge.clone());
    }

    /// What is said of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&BootValue> {
        let key = canonical_key(key);
        self.list.iter().find(|known| canonical_key(&known.key) == key).map(|known| &known.value)
    }

    /// The hugepages that are asked for, by page size.
    #[must_use]
    pub fn hugepages(&self) -> &BTreeMap<String, String> {
        &self.huge
    }

    /// Is nothing set or taken out?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty() && self.huge.is_empty()
    }

    /// The arguments that are not pairs.
    pub fn iter(&self) -> impl Iterator<Item = &Argument> {
        self.list.iter()
    }

    /// Every key that is set or taken out: whatever else says something of one of them loses.
    #[must_use]
    pub fn keys(&self) -> Vec<String> {
        let mut keys: Vec<String> = self.list.iter().map(|argument| argument.key.clone()).collect();
        if !self.huge.is_empty() {
            keys.extend(["hugepagesz", "hugepages"].map(str::to_owned));
        }
        keys
    }

    /// The words that are set, as the kernel reads them. The hugepages come last, the default size first.
    #[must_use]
    pub fn words(&self) -> Vec<String> {
        let mut words: Vec<String> = self
            .list
            .iter()
            .filter_map(|Argument { key, value }| match value {
                BootValue::Flag => Some(word(key, None)),
                BootValue::Is(value) => Some(word(key, Some(value))),
                BootValue::Absent => None,
            })
            .collect();
        for (size, count) in &self.huge {
            if !size.is_empty() {
                words.push(word("hugepagesz", Some(size)));
            }
            words.push(word("hugepages", Some(count)));
        }
        words
    }
}

/// Dashes and underscores are the same to the kernel (`parameq()` in Linux `kernel/params.c`).
pub(super) fn canonical_key(key: &str) -> String {
    key.replace('-', "_")
}

/// `1g`, `1024M` and `1048576K` are one size.
fn page_size(text: &str) -> String {
    let upper = text.trim().to_ascii_uppercase();
    let (digits, unit) = upper.split_at(upper.trim_end_matches(['K', 'M', 'G']).len());
    let shift = match unit {
        "K" => 10,
        "M" => 20,
        "G" => 30,
        _ => 0,
    };
    let bytes =
        digits.parse::<u64>().ok().and_then(|n| n.checked_shl(shift).filter(|b| b >> shift == n));
    match bytes {
        Some(bytes) if bytes > 0 && bytes % (1 << 30) == 0 => format!("{}G", bytes >> 30),
        Some(bytes) if bytes > 0 && bytes % (1 << 20) == 0 => format!("{}M", bytes >> 20),
        Some(bytes) if bytes > 0 && bytes % (1 << 10) == 0 => format!("{}K", bytes >> 10),
        _ => upper,
    }
}

/// What a command line can not hold inside a word.
fn is_unfit(c: char) -> bool {
    c == '"' || c.is_control()
}

/// One word of a command line: quotes around a value with blanks; what it can not hold is left out.
fn word(key: &str, value: Option<&str>) -> String {
    let value = value.map(|value| value.chars().filter(|c| !is_unfit(*c)).collect::<String>());
    match value {
        None => key.to_owned(),
        Some(value) if value.contains(char::is_whitespace) => format!("{key}=\"{value}\""),
        Some(value) => format!("{key}={value}"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_page_size_keeps_its_count() {
        let arguments = Arguments::from_line(
            "hugepages=8 hugepagesz=2M hugepages=512 hugepagesz=1048576K hugepages=0:2,1:2 \
             hugepagesz=2048k hugepages=1024 default_hugepagesz=2M",
        );

        assert_eq!(
            arguments.words(),
            [
                "default_hugepagesz=2M",
                "hugepages=8",
                "hugepagesz=1G",
                "hugepages=0:2,1:2",
                "hugepagesz=2M",
                "hugepages=1024"
            ]
        );
    }

    #[test]
    fn what_is_taken_out_is_no_word_but_a_key() {
        let mut arguments = Arguments::from_line("quiet mce=off");
        arguments.merge(&Arguments::of("mce", &BootValue::Absent));

        assert_eq!(arguments.words(), ["quiet"]);
        assert_eq!(arguments.keys(), ["quiet", "mce"]);
        assert_eq!(arguments.get("mce"), Some(&BootValue::Absent));
    }

    #[test]
    fn what_would_end_the_line_is_not_set() {
        for line in ["quiet \"--\" mce=off", "quiet \"-- mce=off", "quiet -- mce=off"] {
            assert_eq!(Arguments::from_line(line).words()[0], "quiet", "{line}");
            assert!(!Arguments::from_line(line).keys().contains(&"--".to_owned()), "{line}");
        }
        let mut arguments = Arguments::from_line("quiet");
        arguments.set("-\"-", BootValue::Flag);
        arguments.set("mce", BootValue::Is("off".to_owned()));
        assert_eq!(arguments.words(), ["quiet", "mce=off"]);
    }

    proptest! {
        #[test]
        fn a_line_that_is_read_back_says_the_same(line in "[a-z0-9_=\", -]{0,80}") {
            let once = Arguments::from_line(&line);
            let again = Arguments::from_line(&once.words().join(" "));
            prop_assert_eq!(again.words(), once.words());
        }

        #[test]
        fn the_last_one_wins_as_in_the_kernel(
            pairs in proptest::collection::vec(("[a-c][-_][a-c]", "[0-9]{1,3}"), 1..12),
        ) {
            let line: Vec<String> = pairs.iter().map(|(k, v)| format!("{k}={v}")).collect();
            let line = line.join(" ");
            let arguments = Arguments::from_line(&line);
            let kernel = Cmdline::parse(&line);
            for (key, _) in &pairs {
                let ours = match arguments.get(key) {
                    Some(BootValue::Is(value)) => Some(value.as_str()),
                    _ => None,
                };
                prop_assert_eq!(ours, kernel.value(key));
            }
            let merged = Cmdline::parse(&arguments.words().join(" "));
            for (key, _) in &pairs {
                prop_assert_eq!(merged.all(key).count(), 1);
            }
        }
    }
}
