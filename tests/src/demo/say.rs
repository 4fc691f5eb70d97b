//! What the demo says between what the programs say.

use std::{
    fmt::Display,
    io::{self, IsTerminal as _},
};

/// A new chapter.
pub(crate) fn chapter(what: impl Display) {
    if io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty()) {
        let bold = anstyle::Style::new().bold();
        println!("\n{bold}── {what}{bold:#}");
    } else {
        println!("\n── {what}");
    }
}

/// A remark.
pub(crate) fn remark(what: impl Display) {
    println!("   {what}");
}
