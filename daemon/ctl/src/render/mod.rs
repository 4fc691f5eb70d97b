//! Answers as text. Everything here is a function from values to a `String`: no clock, no terminal,
//! no socket.

pub(crate) mod counters;
pub(crate) mod latency;
pub(crate) mod paint;
pub(crate) mod plan;
pub(crate) mod rates;
pub(crate) mod stages;
pub(crate) mod stalls;
pub(crate) mod status;
pub(crate) mod steer;
pub(crate) mod table;
pub(crate) mod units;

use std::fmt::Display;

use paint::{Paint, Tone, printable};

/// Text under construction, a line at a time.
#[derive(Debug)]
pub(crate) struct Page {
    text: String,
    paint: Paint,
}

impl Page {
    pub(crate) fn new(paint: Paint) -> Self {
        Self { text: String::new(), paint }
    }

    pub(crate) fn line(&mut self, tone: Tone, line: impl Display) {
        let line = line.to_string();
        self.text.push_str(&self.paint.apply(tone, &printable(&line)));
        self.text.push('\n');
    }

    /// `name        what`, the names one under the other.
    pub(crate) fn fact(&mut self, name: &str, what: impl Display) {
        let what = what.to_string();
        self.text.push_str(&format!(
            "{} {}\n",
            self.paint.apply(Tone::Dim, &format!("{name:<10}")),
            printable(&what)
        ));
    }

    /// A table under a title, after an empty line; nothing when it has no rows.
    pub(crate) fn table(&mut self, title: &str, table: &table::Table) {
        if table.is_empty() {
            return;
        }
        self.gap();
        if !title.is_empty() {
            self.line(Tone::Heading, title);
        }
        self.text.push_str(&table.draw(self.paint));
    }

    /// An empty line, unless this is the beginning.
    pub(crate) fn gap(&mut self) {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
    }

    /// Lines that are ready.
    pub(crate) fn raw(&mut self, lines: &[String]) {
        for line in lines {
            self.text.push_str(line);
            self.text.push('\n');
        }
    }

    pub(crate) fn finish(self) -> String {
        self.text
    }
}

/// A number that may be unknown.
pub(crate) fn known(number: Option<u32>) -> table::Cell {
    number.map_or_else(table::Cell::none, |number| number.to_string().into())
}
