//! A command line with some arguments changed, and every other word as it is.

use super::{Arguments, arguments::canonical_key};

/// The words of a line: double quotes keep blanks together.
fn words(line: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let mut rest = line.trim_start();
    while !rest.is_empty() {
        let mut in_quotes = false;
        let end = rest.find(|c: char| {
            in_quotes ^= c == '"';
            c.is_whitespace() && !in_quotes
        });
        let (word, behind) = rest.split_at(end.unwrap_or(rest.len()));
        words.push(word);
        rest = behind.trim_start();
    }
    words
}

/// Is a word about one of these keys?
fn is_about(word: &str, keys: &[String]) -> bool {
    let word = word.strip_prefix('"').unwrap_or(word);
    let key = canonical_key(word.split_once('=').map_or(word, |(key, _)| key));
    keys.contains(&key)
}

fn keys(arguments: &Arguments) -> Vec<String> {
    arguments.keys().iter().map(|key| canonical_key(key)).collect()
}

/// Does a line say anything of these arguments?
#[must_use]
pub fn touches(line: &str, arguments: &Arguments) -> bool {
    let keys = keys(arguments);
    words(line).iter().any(|word| is_about(word, &keys))
}

/// A line without what it says of these arguments.
#[must_use]
pub fn without(line: &str, arguments: &Arguments) -> String {
    let keys = keys(arguments);
    let mut words = words(line);
    words.retain(|word| !is_about(word, &keys));
    words.join(" ")
}

/// A line with these arguments in place of what it says of them. What comes behind `--`, for init, stays there.
///
/// ```
/// use tuner::boot::{Arguments, rewrite};
///
/// let wanted = Arguments::from_line("nohz_full=2-3");
/// assert_eq!(rewrite("ro  nohz-full=1 quiet -- single", &wanted), "ro quiet nohz_full=2-3 -- single");
/// ```
#[must_use]
pub fn rewrite(line: &str, arguments: &Arguments) -> String {
    let all = words(line);
    let end = all.iter().position(|word| *word == "--").unwrap_or(all.len());
    let (kernel, init) = all.split_at(end);
    let keys = keys(arguments);
    let mut words: Vec<String> = kernel
        .iter()
        .filter(|word| !is_about(word, &keys))
        .map(|word| (*word).to_owned())
        .collect();
    words.extend(arguments.words());
    words.extend(init.iter().map(|word| (*word).to_owned()));
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use linux::cmdline::Cmdline;
    use proptest::prelude::*;

    use super::*;
    use crate::change::BootValue;

    #[test]
    fn quoted_words_stay_whole() {
        let mut wanted = Arguments::from_line("nosmt");
        wanted.set("mce", BootValue::Absent);

        let line = rewrite("a=\"b mce=off c\" mce=off \"mce=x y\" root=UUID=1", &wanted);

        assert_eq!(line, "a=\"b mce=off c\" root=UUID=1 nosmt");
        assert!(touches("x mce=off", &wanted) && !touches("mcelog", &wanted));
    }

    proptest! {
        #[test]
        fn a_rewritten_line_says_what_was_wanted_and_all_else_as_before(
            line in "[a-c=\" ]{0,40}",
            value in "[0-9,-]{1,8}",
        ) {
            let wanted = Arguments::of("isolcpus", &BootValue::Is(value.clone()));
            let once = rewrite(&line, &wanted);
            let (before, after) = (Cmdline::parse(&line), Cmdline::parse(&once));
            // A quote that is never closed swallows what comes behind it, as it does in the kernel.
            prop_assume!(line.matches('"').count() % 2 == 0);
            prop_assert_eq!(after.value("isolcpus"), Some(value.as_str()));
            prop_assert_eq!(before.parameters().len() + 1, after.parameters().len());
            prop_assert_eq!(rewrite(&once, &wanted), once);
        }
    }
}
