//! What grubby does with the entries of the Boot Loader Specification.

use super::Fake;
use crate::hands::{Hands, HandsError};

const ENTRIES: &str = "boot/loader/entries";

impl Fake {
    /// `grubby --update-kernel=KERNEL --args=…` or `--remove-args=…`; every entry of that kernel, or of `ALL`.
    pub(super) fn grubby_does(&self, command: &[&str]) -> Result<(), HandsError> {
        let ["grubby", kernel, what] = command else { return Ok(()) };
        let kernel = kernel.trim_start_matches("--update-kernel=");
        let hands: &dyn Hands = &self.real;
        for name in hands.names(ENTRIES)? {
            let path = format!("{ENTRIES}/{name}");
            let Some(text) = hands.text(&path)? else { continue };
            let is_it = text.lines().any(|line| {
                line.strip_prefix("linux ")
                    .is_some_and(|of| format!("/boot{}", of.trim()) == kernel)
            });
            if !is_it && kernel != "ALL" {
                continue;
            }
            let line = |line: &str| match line.strip_prefix("options ") {
                Some(options) => format!("options {}\n", edited(options, what)),
                None => format!("{line}\n"),
            };
            self.real.write(&path, &text.lines().map(line).collect::<String>())?;
        }
        Ok(())
    }
}

fn edited(options: &str, what: &str) -> String {
    let key = |word: &str| word.split('=').next().unwrap_or_default().to_owned();
    let mut words: Vec<String> = options.split_whitespace().map(str::to_owned).collect();
    match what.split_once('=') {
        Some(("--remove-args", keys)) => {
            words.retain(|word| !keys.split_whitespace().any(|gone| gone == key(word)));
        }
        Some(("--args", more)) => {
            for word in more.split_whitespace() {
                words.retain(|known| key(known) != key(word));
                words.push(word.to_owned());
            }
        }
        _ => {}
    }
    words.join(" ")
}
