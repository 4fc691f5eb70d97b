//! GRUB's drop-in on Debian and Ubuntu: a piece of shell that `grub-mkconfig` sources.
//!
//! `/etc/default/grub.d/*.cfg` are sourced in the order of their names after `/etc/default/grub`, so that ours, which
//! sorts last, sees what all the others said. It takes its own keys out of both variables before it adds them to
//! `GRUB_CMDLINE_LINUX_DEFAULT`: a key is given once, and the recovery entries, which are made of
//! `GRUB_CMDLINE_LINUX` alone, get none of it.

use super::Arguments;
use crate::change::quote;

/// Where drop-ins are.
pub const DROP_IN_DIR: &str = "etc/default/grub.d";
/// Ours: `zz-`, for whoever comes later wins.
pub const DROP_IN: &str = "etc/default/grub.d/zz-90-barewire.cfg";

/// What marks the line that says what the file sets, for [`read`].
const MARK: &str = "# barewire sets: ";

/// The whole file.
#[must_use]
pub fn drop_in(arguments: &Arguments) -> String {
    format!(
        "# Written by barewire-tune, which owns this file: it is replaced as a whole, and `barewire-tune rollback`\n\
         # takes it away. After a change by hand: update-grub.\n{}",
        lines(arguments)
    )
}

/// The lines that do it, which may also stand behind others.
#[must_use]
pub fn lines(arguments: &Arguments) -> String {
    let words = arguments.words().join(" ");
    let keys: Vec<String> = arguments.keys().iter().map(|key| pattern(key)).collect();
    let keys = keys.join("|");
    let mut text = format!("{MARK}{}\n", crate::change::comment(&words));
    for variable in ["GRUB_CMDLINE_LINUX", "GRUB_CMDLINE_LINUX_DEFAULT"] {
        let ours = match variable {
            "GRUB_CMDLINE_LINUX_DEFAULT" if !words.is_empty() => format!(" {}", quote(&words)),
            _ => String::new(),
        };
        // The words of the variable are the arguments of a subshell; a word is not expanded to names of files (-f).
        text.push_str(&format!(
            "{variable}=\"$(set -f; set --; for word in ${{{variable}-}}; do case $word in {keys}) ;; \
             *) set -- \"$@\" \"$word\" ;; esac; done; set -- \"$@\"{ours}; printf %s \"$*\")\"\n"
        ));
    }
    text
}

/// What a drop-in that we wrote sets; what it takes out is not of interest any more.
#[must_use]
pub fn read(text: &str) -> Arguments {
    let mut arguments = Arguments::default();
    for line in text.lines().filter_map(|line| line.strip_prefix(MARK.trim_end())) {
        arguments.merge(&Arguments::from_line(line));
    }
    arguments
}

/// A pattern of `case` that matches a key with and without a value, however it writes its dashes.
fn pattern(key: &str) -> String {
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
