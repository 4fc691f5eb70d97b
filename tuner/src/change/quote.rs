//! How a text becomes one word of a POSIX shell, whatever is in it.

/// `text` as one word: as it is where that is safe, in single quotes where not.
///
/// Nothing is special between single quotes but the single quote itself (POSIX.1-2024, XCU 2.2.2), so a name that a
/// device or a stranger chose can not become a command. NUL, which no word can hold, is left out.
#[must_use]
pub fn quote(text: &str) -> String {
    let text = text.replace('\0', "");
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"_./:,@%+-".contains(&b);
    // In front of a command, `a=b` would be an assignment; an option can not be one.
    let is_safe = |b: u8| is_plain(b) || (b == b'=' && text.starts_with("--"));
    if !text.is_empty() && text.bytes().all(is_safe) {
        return text;
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// `text` as it can stand behind a `#`: on one line.
#[must_use]
pub fn comment(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// `text` as a basic regular expression that matches it and nothing else, between the slashes of `sed`.
pub(super) fn pattern(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '.' | '*' | '[' | ']' | '^' | '$' | '\\' | '/') {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn harmless_words_stay_readable() {
        for word in
            ["performance", "2-7", "sys/kernel/mm", "0000:3b:00.0", "+cpuset", "n/a", "--args=a=1"]
        {
            assert_eq!(quote(word), word);
        }
        assert_eq!(quote(""), "''");
        assert_eq!(quote("a=b"), "'a=b'");
        assert_eq!(quote("it's"), r"'it'\''s'");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn a_shell_reads_back_what_was_quoted(text in "[^\\x00]{0,40}") {
            let script = format!("printf %s {}", quote(&text));
            let output = Command::new("sh").arg("-c").arg(script).output().unwrap();
            prop_assert_eq!(String::from_utf8(output.stdout).unwrap(), text);
        }

        #[test]
        fn a_comment_stays_one(text in any::<String>()) {
            let script = format!("# {}\nprintf done", comment(&text));
            let output = Command::new("sh").arg("-c").arg(script).output();
            // An argument can not hold NUL; `comment` took it out with the other control characters.
            prop_assert_eq!(output.unwrap().stdout, b"done");
        }
    }
}
