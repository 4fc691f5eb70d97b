//! How findings word what they are made of.

use config::CpuSet;

/// The most lines of details that a finding has: enough for programs that read all of them; reports for people cut
/// them shorter.
const MOST_LINES: usize = 1000;

/// At most [`MOST_LINES`] lines, the last of which says how many are left out.
pub(super) fn lines(lines: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut lines: Vec<String> = lines.into_iter().collect();
    if lines.len() > MOST_LINES {
        let left_out = lines.len() - (MOST_LINES - 1);
        lines.truncate(MOST_LINES - 1);
        lines.push(format!("… and {left_out} more"));
    }
    lines
}

/// `cpu 3`, `cpu 2-3`, `no cpu`.
pub(super) fn cpus(cpus: &CpuSet) -> String {
    if cpus.is_empty() { "no cpu".to_owned() } else { format!("cpu {cpus}") }
}

/// `1 gap`, `2 gaps`, `0 gaps`: of what has a plain plural.
pub(super) fn count(number: impl std::fmt::Display, what: &str) -> String {
    match number.to_string().as_str() {
        "1" => format!("1 {what}"),
        number => format!("{number} {what}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_details_are_cut_and_say_so() {
        let many = |count: usize| lines((0..count).map(|n| n.to_string()));

        assert_eq!(many(1000).len(), 1000);
        let cut = many(1004);
        assert_eq!((cut.len(), cut[999].as_str()), (1000, "… and 5 more"));
    }

    #[test]
    fn one_is_not_many() {
        let counted = [0_u64, 1, 2, 11].map(|number| count(number, "gap"));
        assert_eq!(counted, ["0 gaps", "1 gap", "2 gaps", "11 gaps"]);
    }

    #[test]
    fn no_cpus_are_said_in_words() {
        assert_eq!(cpus(&"2-3".parse().unwrap()), "cpu 2-3");
        assert_eq!(cpus(&CpuSet::new()), "no cpu");
    }
}
