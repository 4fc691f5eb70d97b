//! Aligned columns.

use super::paint::{Paint, Tone, printable};

/// Where a column's text stands: words left, numbers right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Align {
    Left,
    Right,
}

/// One field of a table.
#[derive(Debug)]
pub(crate) struct Cell {
    text: String,
    tone: Tone,
}

impl Cell {
    pub(crate) fn new(tone: Tone, text: impl AsRef<str>) -> Self {
        Self { text: printable(text.as_ref()).into_owned(), tone }
    }

    /// Nothing to say: a dim dash.
    pub(crate) fn none() -> Self {
        Self::new(Tone::Dim, "–")
    }

    /// A count of something bad: dim at zero, loud otherwise.
    pub(crate) fn trouble(count: u64) -> Self {
        let tone = if count == 0 { Tone::Dim } else { Tone::Bad };
        Self::new(tone, super::units::count(count))
    }
}

impl<T: AsRef<str>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::new(Tone::Plain, text)
    }
}

/// Rows under a heading.
#[derive(Debug)]
pub(crate) struct Table {
    columns: Vec<(&'static str, Align)>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    pub(crate) fn new(columns: impl IntoIterator<Item = (&'static str, Align)>) -> Self {
        Self { columns: columns.into_iter().collect(), rows: Vec::new() }
    }

    /// Adds a row with a cell for each column.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        let cells: Vec<Cell> = cells.into_iter().collect();
        debug_assert_eq!(cells.len(), self.columns.len());
        self.rows.push(cells);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The lines as text, each with its end.
    pub(crate) fn draw(&self, paint: Paint) -> String {
        let line = |spans: Vec<Span<'_>>| {
            let mut text = String::new();
            for span in spans {
                text.extend(std::iter::repeat_n(' ', span.gap));
                text.push_str(&paint.apply(span.tone, span.text));
            }
            text + "\n"
        };
        self.lines().map(line).collect()
    }

    /// The heading and the rows; no spaces at their ends.
    pub(crate) fn lines(&self) -> impl Iterator<Item = Vec<Span<'_>>> {
        let widths: Vec<usize> = (0..self.columns.len())
            .map(|column| {
                let cells = self.rows.iter().map(|row| width(&row[column].text));
                cells.max().unwrap_or(0).max(width(self.columns[column].0))
            })
            .collect();
        let headings = self.columns.iter().map(|(title, _)| (*title, Tone::Heading)).collect();
        let rows = self
            .rows
            .iter()
            .map(|row| row.iter().map(|cell| (cell.text.as_str(), cell.tone)).collect::<Vec<_>>());
        std::iter::once(headings).chain(rows).map(move |row| self.line(&row, &widths))
    }

    fn line<'a>(&self, row: &[(&'a str, Tone)], widths: &[usize]) -> Vec<Span<'a>> {
        let mut spans = Vec::with_capacity(row.len());
        let mut gap = 0;
        for ((&(text, tone), &room), (_, align)) in row.iter().zip(widths).zip(&self.columns) {
            let spare = room - width(text);
            let (before, after) = match align {
                Align::Left => (0, spare),
                Align::Right => (spare, 0),
            };
            gap += before;
            if !text.is_empty() {
                spans.push(Span { gap, text, tone });
                gap = 0;
            }
            gap += after + 2;
        }
        spans
    }
}

/// A piece of a line: so many spaces, then text.
#[derive(Debug)]
pub(crate) struct Span<'a> {
    pub(crate) gap: usize,
    pub(crate) text: &'a str,
    pub(crate) tone: Tone,
}

/// Columns a text takes. Names from a configuration are ASCII; our own signs are one column each.
fn width(text: &str) -> usize {
    text.chars().count()
}
