//! What the names of the lines are, in rows above a picture.

use crate::{
    canvas::Canvas,
    ink::Ink,
    text::{cut, letters, width},
};

/// Height of a row, and the size of its letters.
const ROW: f64 = 18.0;
const SIZE: f64 = 11.0;
/// Longer names are cut; the whole one is in the line's tooltip.
const LETTERS: usize = 44;
/// Between the mark and its name, and between two entries.
const MARK: f64 = 26.0;
const GAP: f64 = 18.0;

/// Entries in their rows.
#[derive(Debug)]
pub(crate) struct Legend {
    entries: Vec<(f64, f64, Ink, String)>,
    rows: f64,
}

impl Legend {
    /// Flows the entries into rows of so many pixels.
    pub(crate) fn new<'a>(names: impl Iterator<Item = (&'a str, Ink)>, room: f64) -> Self {
        let (mut x, mut row) = (0.0, 0.0);
        let letters = letters(room - MARK, SIZE).min(LETTERS);
        let mut entries = Vec::new();
        for (name, ink) in names {
            let name = cut(name, letters);
            let wide = MARK + width(&name, SIZE) + GAP;
            if x > 0.0 && x + wide > room {
                (x, row) = (0.0, row + 1.0);
            }
            entries.push((x, row * ROW, ink, name));
            x += wide;
        }
        let rows = if entries.is_empty() { 0.0 } else { row + 1.0 };
        Self { entries, rows }
    }

    /// In pixels.
    pub(crate) fn height(&self) -> f64 {
        self.rows * ROW
    }

    pub(crate) fn draw(&self, canvas: &mut Canvas, left: f64, top: f64) {
        for (x, y, ink, name) in &self.entries {
            let (x, y) = (left + x, top + y + 8.0);
            canvas.line("plot-key", &[(x, y), (x + 20.0, y)], *ink, "");
            canvas.words("plot-name", (x + MARK, y + 4.0), SIZE, "start", name);
        }
    }
}
