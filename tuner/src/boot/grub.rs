//! GRUB's drop-in on Debian and Ubuntu: a piece of shell that `grub-mkconfig` sources.
//!
//! `/etc/default/grub.d/*.cfg` are sourced in the order of their names after `/etc/default/grub`, so that ours, which
//! sorts last, sees what all the others said. It puts its words in front of `GRUB_CMDLINE_LINUX_DEFAULT`, so that the
//! recovery entries, which are made of `GRUB_CMDLINE_LINUX` alone, get none of them; and where somebody else says
//! something of the same keys, it takes that out of both variables first: a key is given once.

use super::Arguments;
use crate::change::{BootValue, quote};

/// What the administrator writes.
pub const SETTINGS: &str = "etc/default/grub";
/// Where drop-ins are.
pub const DROP_IN_DIR: &str = "etc/default/grub.d";
/// Ours: `zz-`, for whoever comes later wins.
pub const DROP_IN: &str = "etc/default/grub.d/zz-90-barewire.cfg";

/// What marks the line that says what the file sets, for [`read`].
const MARK: &str = "# barewire sets: ";
/// The same for the keys that it takes out.
const MARK_OUT: &str = "# barewire takes out: ";

/// The whole file. `has_rivals`: may something else set one of these keys?
#[must_use]
pub fn drop_in(arguments: &Arguments, has_rivals: bool) -> String {
    format!(
        "# Written by barewire-tune, which owns this file: it is replaced as a whole, and `barewire-tune rollback`\n\
         # takes it away. After a change by hand: update-grub.\n{}",
        lines(arguments, has_rivals)
    )
}

/// The lines that do it, which may also stand behind others.
#[must_use]
pub fn lines(arguments: &Arguments, has_rivals: bool) -> String {
    let words = arguments.words().join(" ");
    let mut text = format!("{MARK}{}\n", crate::change::comment(&words));
    let is_out = |value: &BootValue| *value == BootValue::Absent;
    let out = arguments.iter().filter(|argument| is_out(&argument.value));
    let out: Vec<&str> = out.map(|argument| argument.key.as_str()).collect();
    if !out.is_empty() {
        text.push_str(&format!("{MARK_OUT}{}\n", crate::change::comment(&out.join(" "))));
    }
    if has_rivals && !arguments.is_empty() {
        // In the order in which they are read back, so that doing it again writes the same file.
        let mut keys = arguments.keys();
        keys.sort_by_key(|key| out.contains(&key.as_str()));
        let keys: Vec<String> = keys.iter().map(|key| pattern(key)).collect();
        let keys = keys.join("|");
        for variable in [EVERY_ENTRY, NORMAL_ENTRIES] {
            // The words of the variable are the arguments of a subshell, and none is taken for names of files (-f).
            text.push_str(&format!(
                "{variable}=\"$(set -f; set --; for word in ${variable}; do case $word in {keys}) ;; \
                 *) set -- \"$@\" \"$word\" ;; esac; done; printf %s \"$*\")\"\n"
            ));
        }
    }
    if !words.is_empty() {
        // In front: what stands behind a `--` is init's, and the kernel does not read it.
        let words = escape(&words);
        text.push_str(&format!("{NORMAL_ENTRIES}=\"{words} ${NORMAL_ENTRIES}\"\n"));
    }
    text
}

/// What every entry gets, recovery included.
pub const EVERY_ENTRY: &str = "GRUB_CMDLINE_LINUX";
/// What the normal entries get besides.
pub const NORMAL_ENTRIES: &str = "GRUB_CMDLINE_LINUX_DEFAULT";

/// A text as it stands between double quotes of a shell.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '"' | '\\' | '$' | '`') {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

/// What a drop-in that we wrote sets and takes out.
#[must_use]
pub fn read(text: &str) -> Arguments {
    let mut arguments = Arguments::default();
    for line in text.lines().filter_map(|line| line.strip_prefix(MARK.trim_end())) {
        arguments.merge(&Arguments::from_line(line));
    }
    for line in text.lines().filter_map(|line| line.strip_prefix(MARK_OUT.trim_end())) {
        for key in line.split_whitespace() {
            arguments.set(key, BootValue::Absent);
        }
    }
    arguments
}

/// A pattern of `case` that matches a key with and without a value, however it writes its dashes.
pub(super) fn pattern(key: &str) -> String {
    let mut pattern = String::new();
    for c in key.chars().filter(|c| !c.is_control()) {
        match c {
            '-' | '_' => pattern.push_str("[-_]"),
            c if c.is_ascii_alphanumeric() || c == '.' => pattern.push(c),
            c => pattern.push_str(&quote(&c.to_string())),
        }
    }
    format!("{pattern}|{pattern}=*")
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use proptest::prelude::*;

    use super::*;

    /// What `grub-mkconfig` makes of `/etc/default/grub` and the drop-in: both variables.
    fn sourced(base: &str, drop_in: &str) -> (String, String) {
        let script = format!(
            "set -e\n{base}\n{drop_in}\nprintf '%s\\n%s' \"$GRUB_CMDLINE_LINUX\" \"$GRUB_CMDLINE_LINUX_DEFAULT\""
        );
        let output = Command::new("sh").arg("-c").arg(&script).current_dir("/").output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{script}\n{output:?}");
        let text = String::from_utf8(output.stdout).unwrap();
        let (every, normal) = text.split_once('\n').unwrap();
        (every.to_owned(), normal.to_owned())
    }

    #[test]
    fn our_words_are_added_to_the_normal_entries_only() {
        let ours = Arguments::from_line("nohz_full=2-3 hugepagesz=1G hugepages=4");

        let (every, normal) = sourced(
            "GRUB_CMDLINE_LINUX='console=ttyS0'; GRUB_CMDLINE_LINUX_DEFAULT='quiet splash'",
            &drop_in(&ours, false),
        );

        assert_eq!(every, "console=ttyS0");
        assert_eq!(normal, "nohz_full=2-3 hugepagesz=1G hugepages=4 quiet splash");
    }

    #[test]
    fn what_others_say_of_our_keys_goes_and_nothing_else_does() {
        let mut ours = Arguments::from_line("nohz_full=2-3 hugepagesz=1G hugepages=4");
        ours.set("mce", BootValue::Absent);
        ours.set("nosmt", BootValue::Flag);

        let (every, normal) = sourced(
            "GRUB_CMDLINE_LINUX='mce=off mcelog * /e*c nohz-full=1'\n\
             GRUB_CMDLINE_LINUX_DEFAULT='quiet mce hugepagesz=2M hugepages=9 nosmt=force nohz_full_x=1'",
            &drop_in(&ours, true),
        );

        assert_eq!(every, "mcelog * /e*c");
        assert_eq!(normal, "nohz_full=2-3 nosmt hugepagesz=1G hugepages=4 quiet nohz_full_x=1");
        // What is taken out is known again, so that the next drop-in and the trial take it out as well.
        assert_eq!(read(&drop_in(&ours, true)).get("mce"), Some(&BootValue::Absent));
    }

    #[test]
    fn a_drop_in_that_is_read_and_written_again_is_the_same() {
        let mut ours = Arguments::default();
        ours.set("mce", BootValue::Absent);
        ours.set("nosmt", BootValue::Flag);
        ours.set("idle", BootValue::Absent);
        ours.set("nohz_full", BootValue::Is("2-3".to_owned()));
        let text = drop_in(&ours, true);

        assert_eq!(drop_in(&read(&text), true), text);
    }

    #[test]
    fn a_drop_in_that_sets_nothing_changes_nothing() {
        let base = "GRUB_CMDLINE_LINUX='a'; GRUB_CMDLINE_LINUX_DEFAULT='b  c'";

        let (every, normal) = sourced(base, &drop_in(&Arguments::default(), true));

        assert_eq!((every.as_str(), normal.as_str()), ("a", "b  c"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        /// A list that ends in a stray character isolates nothing, and a text that ends the quotes runs as root.
        #[test]
        fn a_shell_gets_exactly_the_words(
            value in "[ -~]{0,30}",
            base in "[a-z0-9=,. *?-]{0,30}",
            has_rivals: bool,
        ) {
            let mut ours = Arguments::of("isolcpus", &BootValue::Is(value));
            ours.set("nosmt", BootValue::Flag);
            let text = drop_in(&ours, has_rivals);

            let (every, normal) = sourced(&format!("GRUB_CMDLINE_LINUX_DEFAULT='{base}'"), &text);

            prop_assert_eq!(every, "");
            prop_assert!(normal.starts_with(&ours.words().join(" ")), "{}", normal);
            let read = read(&text);
            prop_assert_eq!(read.words(), ours.words());
            // Both are read by the kernel as they were meant.
            let line = linux::cmdline::Cmdline::parse(&normal);
            prop_assert!(line.has("nosmt") && line.has("isolcpus"));
        }
    }
}
