//! The kernel's command line.
//!
//! Sources: `next_arg()` in Linux 6.18 `lib/cmdline.c` for quotes, `parameq()` in `kernel/params.c` for dashes.

use config::{CpuId, CpuSet};

use crate::{ReadError, Root};

/// The parameters the kernel was booted with.
///
/// ```
/// let line = linux::cmdline::Cmdline::parse(r#"ro isolcpus=managed_irq,2-3 dyndbg="file a.c +p" -- single"#);
/// assert_eq!(line.value("isolcpus"), Some("managed_irq,2-3"));
/// assert_eq!(line.value("dyndbg"), Some("file a.c +p"));
/// assert!(line.has("ro") && !line.has("single"));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Cmdline {
    parameters: Vec<Parameter>,
}

/// One parameter.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Parameter {
    /// What stands before the first `=`.
    pub name: String,
    /// What stands behind it, without quotes; `None` of a parameter without `=`.
    pub value: Option<String>,
}

impl Cmdline {
    /// Read `/proc/cmdline`.
    ///
    /// # Errors
    /// [`ReadError`]
    pub fn read(root: &Root) -> Result<Self, ReadError> {
        root.text("proc/cmdline").map(|text| Self::parse(&text))
    }

    /// Take a line apart as the kernel does: double quotes keep blanks together, and `--` ends the kernel's part.
    #[must_use]
    pub fn parse(line: &str) -> Self {
        let mut parameters = Vec::new();
        let mut rest = line.trim_start_matches(is_blank);
        while !rest.is_empty() {
            let mut in_quotes = false;
            let end = rest.find(|c| {
                in_quotes ^= c == '"';
                is_blank(c) && !in_quotes
            });
            let (word, behind) = rest.split_at(end.unwrap_or(rest.len()));
            let parameter = parameter(word);
            // In quotes, too: the kernel takes them off first (`next_arg()` and `parse_args()` in `kernel/params.c`).
            if parameter.value.is_none() && parameter.name == "--" {
                break;
            }
            parameters.push(parameter);
            rest = behind.trim_start_matches(is_blank);
        }
        Self { parameters }
    }

    /// The value of a parameter; the last one wins when it is given more than once, as most parameters do it.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&str> {
        self.all(name).last().and_then(|parameter| parameter.value.as_deref())
    }

    /// Is the parameter there, with or without a value?
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.all(name).next().is_some()
    }

    /// Every parameter of this name, in order. Dashes and underscores are the same.
    pub fn all<'a, 'n>(
        &'a self,
        name: &'n str,
    ) -> impl Iterator<Item = &'a Parameter> + use<'a, 'n> {
        let same = |a: char, b: char| a == b || matches!((a, b), ('-', '_') | ('_', '-'));
        self.parameters.iter().filter(move |parameter| {
            parameter.name.chars().count() == name.chars().count()
                && parameter.name.chars().zip(name.chars()).all(|(a, b)| same(a, b))
        })
    }

    /// Every parameter, in order.
    #[must_use]
    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }
}

/// A list of CPUs as the kernel takes it at boot: numbers, ranges and patterns, `N` for the last possible CPU, and `all`.
///
/// `None` when it is something else, is empty, or names a CPU beyond the last one.
#[must_use]
pub fn cpu_list(text: &str, last: CpuId) -> Option<CpuSet> {
    let numbered = |part: &str| match part {
        "all" => format!("0-{last}"),
        part => part.replace('N', &last.to_string()),
    };
    // "1N" would become another number.
    let bytes = text.as_bytes();
    let is_glued = bytes.windows(2).any(|pair| match pair {
        [a, b'N'] => a.is_ascii_alphanumeric(),
        [b'N', b] => b.is_ascii_alphanumeric(),
        _ => false,
    });
    let plain: Vec<String> = text.split(',').map(numbered).collect();
    let cpus: CpuSet = plain.join(",").parse().ok()?;
    let is_good = !is_glued && text.len() <= CpuSet::MAX_TEXT && cpus.last()? <= last;
    is_good.then_some(cpus)
}

/// The flags and the list of an `isolcpus=` value: `managed_irq,domain,2-3`.
#[must_use]
pub fn isolcpus(value: &str) -> (Vec<&str>, &str) {
    let (mut flags, mut rest) = (Vec::new(), value);
    while let Some((flag, behind)) = rest.split_once(',') {
        if !matches!(flag, "nohz" | "domain" | "managed_irq") {
            break;
        }
        flags.push(flag);
        rest = behind;
    }
    (flags, rest)
}

fn is_blank(c: char) -> bool {
    c.is_ascii_whitespace()
}

/// Quotes go around the whole word or around the value; those in between belong to the value.
fn parameter(word: &str) -> Parameter {
    let unquote = |text: &str| {
        let text = text.strip_prefix('"').unwrap_or(text);
        text.strip_suffix('"').unwrap_or(text).to_owned()
    };
    let word = match word.strip_prefix('"') {
        Some(inside) => inside.strip_suffix('"').unwrap_or(inside),
        None => word,
    };
    match word.split_once('=') {
        Some((name, value)) if value.starts_with('"') => {
            Parameter { name: name.to_owned(), value: Some(unquote(value)) }
        }
        Some((name, value)) => Parameter { name: name.to_owned(), value: Some(value.to_owned()) },
        None => Parameter { name: word.to_owned(), value: None },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_the_boot_line_may_say_n_and_all() {
        let last = CpuId::new(7).unwrap();
        let read = |text: &str| cpu_list(text, last).map(|cpus| cpus.to_string());

        assert_eq!(read("2-3").as_deref(), Some("2-3"));
        assert_eq!(read("4-N").as_deref(), Some("4-7"));
        assert_eq!(read("all").as_deref(), Some("0-7"));
        assert_eq!(read("0-7:1/2").as_deref(), Some("0,2,4,6"));
        for wrong in ["", "2-3n", "8", "1N", "N1", "x", "3-2", "managed_irq,2"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn isolcpus_has_flags_before_its_list() {
        assert_eq!(isolcpus("managed_irq,domain,2-3,5"), (vec!["managed_irq", "domain"], "2-3,5"));
        assert_eq!(isolcpus("2-3"), (vec![], "2-3"));
        assert_eq!(isolcpus("domain"), (vec![], "domain"));
    }

    #[test]
    fn quotes_keep_blanks_and_go_away() {
        let line = Cmdline::parse(r#" a="1 2"  "b=3 4" c="x=y" d "e f" "#);

        let pairs: Vec<_> =
            line.parameters().iter().map(|p| (p.name.as_str(), p.value.as_deref())).collect();

        assert_eq!(
            pairs,
            [
                ("a", Some("1 2")),
                ("b", Some("3 4")),
                ("c", Some("x=y")),
                ("d", None),
                ("e f", None)
            ]
        );
    }

    #[test]
    fn dashes_and_underscores_are_the_same_and_the_last_value_wins() {
        let line = Cmdline::parse("hugepages=1 nohz-full=1 hugepages=2 empty=");

        assert_eq!(line.value("nohz_full"), Some("1"));
        assert_eq!(line.value("hugepages"), Some("2"));
        assert_eq!(line.all("hugepages").count(), 2);
        assert_eq!(line.value("empty"), Some(""));
        assert_eq!(line.value("huge"), None);
    }

    #[test]
    fn an_open_quote_goes_to_the_end() {
        let line = Cmdline::parse(r#"a="b c -- d"#);

        assert_eq!(line.value("a"), Some("b c -- d"));
        assert_eq!(line.parameters().len(), 1);
    }

    proptest::proptest! {
        #[test]
        fn any_line_is_taken_apart_without_a_panic(line in ".{0,200}") {
            let parsed = Cmdline::parse(&line);
            proptest::prop_assert!(parsed.parameters().len() <= line.len());
        }
    }
}
