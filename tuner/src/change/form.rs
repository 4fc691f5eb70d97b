//! When two texts of a kernel file mean the same.
//!
//! The kernel does not hand back what it was given: `2,3` comes back as `2-3`, `c` as `00000000,0000000c`, `1` as `Y`,
//! `madvise` as `always [madvise] never`. Compared as bytes, a second `apply` would write all of it again, and every
//! read-back would look like somebody else's doing.

use config::CpuSet;

use super::Form;
use crate::Choice;

impl Form {
    /// The one way to write what `text` means; none when it is not of this form.
    ///
    /// ```
    /// use tuner::change::Form;
    ///
    /// assert_eq!(Form::CpuList.canonical("3,2,4-5"), Some("2-5".to_owned()));
    /// assert_eq!(Form::CpuMask.canonical("1,,f"), Some("00000001,00000000,0000000f".to_owned()));
    /// assert_eq!(Form::Number.canonical("n/a"), None);
    /// ```
    #[must_use]
    pub fn canonical(self, text: &str) -> Option<String> {
        let text = text.trim_matches(|c: char| c.is_whitespace() || c == '\0');
        match self {
            Self::Text => Some(text.to_owned()),
            Self::Number => number(text),
            Self::Words => Some(words(text)),
            Self::CpuList => text.parse::<CpuSet>().ok().map(|cpus| cpus.to_string()),
            Self::CpuMask => mask(text).map(|cpus| cpus.to_hex_mask()),
            Self::Choice => Choice::parse(text).map(|choice| choice.chosen),
            Self::Flag => flag(text),
        }
    }

    /// Do the two mean the same? Where one of them is not of this form (`n/a`, `(null)`, `isolated invalid (…)`), they
    /// have to be the same text.
    #[must_use]
    pub fn is_same(self, one: &str, other: &str) -> bool {
        match (self.canonical(one), self.canonical(other)) {
            (Some(one), Some(other)) => one == other,
            (None, None) => one.trim() == other.trim(),
            (Some(_), None) | (None, Some(_)) => false,
        }
    }

    /// How the sysctl of this name compares.
    #[must_use]
    pub fn of_sysctl(key: &str) -> Self {
        match key {
            "kernel.watchdog_cpumask" => Self::CpuList,
            "net.core.rps_default_mask" | "net.core.flow_limit_cpu_bitmap" => Self::CpuMask,
            _ => Self::Words,
        }
    }
}

/// A whole number, decimal or `0x…`, without what does not count. Larger ones than any file of the kernel has are not
/// numbers.
fn number(text: &str) -> Option<String> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let magnitude = match digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        Some(hex) if hex.bytes().all(|b| b.is_ascii_hexdigit()) => {
            i128::from(u64::from_str_radix(hex, 16).ok()?)
        }
        Some(_) => return None,
        None if digits.bytes().all(|b| b.is_ascii_digit()) => {
            i128::from(digits.parse::<u64>().ok()?)
        }
        None => return None,
    };
    Some((sign * magnitude).to_string())
}

/// Words with one blank between them, numbers without what does not count: `4096\t131072  6291456`.
fn words(text: &str) -> String {
    let word = |word: &str| number(word).unwrap_or_else(|| word.to_owned());
    text.split_whitespace().map(word).collect::<Vec<_>>().join(" ")
}

/// A mask as the kernel or a tool writes it: groups may be empty (`ff,,f`) or have `0x` each.
fn mask(text: &str) -> Option<CpuSet> {
    if text.is_empty() {
        return None;
    }
    let group = |group: &str| -> String {
        match group.strip_prefix("0x").unwrap_or(group) {
            "" => "0".to_owned(),
            digits => digits.to_owned(),
        }
    };
    let groups: Vec<String> = text.split(',').map(group).collect();
    CpuSet::from_hex_mask(&groups.join(",")).ok()
}

/// What `kstrtobool()` takes (Linux `lib/kstrtox.c`): the first letter counts, of `on` and `off` the second.
fn flag(text: &str) -> Option<String> {
    let is_set = match text.to_ascii_lowercase().as_str() {
        "y" | "yes" | "t" | "true" | "1" | "on" | "enabled" => true,
        "n" | "no" | "f" | "false" | "0" | "off" | "disabled" => false,
        _ => return None,
    };
    Some(if is_set { "1" } else { "0" }.to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::{collection::btree_set, prelude::*};

    use super::*;

    #[test]
    fn what_means_the_same_is_the_same() {
        for (form, one, other) in [
            (Form::Text, "isolated\n", "isolated"),
            (Form::Number, "950000\n", "0950000"),
            (Form::Number, "-1", "-01"),
            (Form::Number, "0x10", "16"),
            (Form::Words, "4096\t131072\t6291456", "4096 131072 6291456"),
            (Form::CpuList, "0,1,2,3", "0-3\n"),
            (Form::CpuList, "", "\n"),
            (Form::CpuMask, "f", "00000000,0000000f"),
            (Form::CpuMask, "ff,,f", "000000ff,00000000,0000000f"),
            (Form::CpuMask, "0xff000000,,0x0", "ff000000,00000000,00000000"),
            (Form::Choice, "always [madvise] never", "madvise"),
            (Form::Choice, "performance", "performance"),
            (Form::Flag, "Y", "1"),
            (Form::Flag, "off", "N"),
        ] {
            assert!(form.is_same(one, other), "{form:?}: {one:?} is {other:?}");
        }
    }

    #[test]
    fn what_does_not_mean_the_same_is_not() {
        for (form, one, other) in [
            // No wake-up latency is tolerated, and: any is.
            (Form::Number, "n/a", "0"),
            (Form::Text, "n/a", "0"),
            (Form::Text, "isolated", "isolated invalid (Cpu list in cpuset.cpus not exclusive)"),
            (Form::Number, "1", "-1"),
            (Form::Number, "18446744073709551615", "-1"),
            (Form::CpuList, "0-3", "0-2"),
            (Form::CpuList, "(null)", ""),
            // A hexadecimal 2 is CPU 1.
            (Form::CpuMask, "2", "4"),
            (Form::CpuMask, "1,", "1"),
            (Form::CpuMask, "", "0"),
            (Form::Choice, "always madvise [never]", "madvise"),
            (Form::Choice, "always [madvise] never", "always [madvise] [never]"),
            (Form::Flag, "Y", "0"),
            (Form::Flag, "2", "1"),
        ] {
            assert!(!form.is_same(one, other), "{form:?}: {one:?} is not {other:?}");
        }
    }

    #[test]
    fn a_sysctl_of_cpus_is_compared_as_cpus() {
        assert!(Form::of_sysctl("kernel.watchdog_cpumask").is_same("0,1", "0-1"));
        assert!(Form::of_sysctl("net.core.rps_default_mask").is_same("3", "0,00000003"));
        assert!(!Form::of_sysctl("vm.swappiness").is_same("0,1", "0-1"));
    }

    const FORMS: [Form; 7] = [
        Form::Text,
        Form::Number,
        Form::Words,
        Form::CpuList,
        Form::CpuMask,
        Form::Choice,
        Form::Flag,
    ];

    proptest! {
        #[test]
        fn canonical_is_canonical_and_never_panics(text in ".{0,60}") {
            for form in FORMS {
                if let Some(once) = form.canonical(&text) {
                    prop_assert_eq!(form.canonical(&once), Some(once.clone()));
                    prop_assert!(form.is_same(&text, &once));
                }
                prop_assert!(form.is_same(&text, &text));
            }
        }

        #[test]
        fn lists_and_masks_of_8192_cpus_lead_back(numbers in btree_set(0u32..8192, 0..200)) {
            let cpus: CpuSet = numbers.iter().filter_map(|n| config::CpuId::new(*n)).collect();
            let shuffled: Vec<String> = numbers.iter().rev().map(u32::to_string).collect();
            prop_assert_eq!(
                Form::CpuList.canonical(&shuffled.join(",")),
                Some(cpus.to_string())
            );
            // As tools write it: without leading zeros, and with nothing where a group is zero.
            let mask = cpus.to_hex_mask();
            let elided: Vec<&str> = mask.split(',').map(|g| g.trim_start_matches('0')).collect();
            prop_assert!(
                elided == [""] || Form::CpuMask.is_same(&mask, &elided.join(","))
            );
        }
    }
}
