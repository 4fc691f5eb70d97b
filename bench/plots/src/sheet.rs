//! The paper of a picture: how wide it is, and what it has room for.

use crate::{
    canvas::Area,
    data::{Caption, Width},
    text,
};

/// The letters of a title, and the height of its lines.
const TITLE: f64 = 14.0;
const TITLE_LINE: f64 = 18.0;
/// The letters of a note.
const NOTE: f64 = 10.0;
/// From the paper's edge to title, note and names.
const MARGIN: f64 = 16.0;

/// Sizes are in CSS pixels.
#[derive(Debug)]
pub(crate) struct Sheet<'a> {
    pub(crate) caption: Caption<'a>,
    /// Of the paper.
    pub(crate) width: f64,
    /// From the left edge to the axis that is not a list of names.
    pub(crate) left: f64,
    /// From the end of the axis to the right edge.
    pub(crate) right: f64,
    /// Inside the axes.
    height: f64,
    /// Of its title, the lines.
    pub(crate) title: Vec<String>,
    /// Of the paper, from its edge to title and note.
    pub(crate) margin: f64,
    /// Lines of more points are thinned to the least and the greatest of each step along.
    pub(crate) most_points: usize,
    /// Up to so many points of a line have dots that tell their value.
    pub(crate) most_dots: usize,
}

impl<'a> Sheet<'a> {
    pub(crate) fn new(caption: Caption<'a>) -> Self {
        let [width, left, right, height, margin] = match caption.width {
            Width::Wide => [760.0, 74.0, 24.0, 320.0, MARGIN],
            Width::Narrow => [320.0, 62.0, 22.0, 250.0, 4.0],
        };
        // A finger does not point at a dot among many.
        let (most_points, most_dots) = match caption.width {
            Width::Wide => (1_600, 80),
            Width::Narrow => (300, 12),
        };
        let title = text::wrap(caption.title, text::letters(width - 2.0 * margin, TITLE), 3);
        Self { caption, width, left, right, height, title, margin, most_points, most_dots }
    }

    pub(crate) fn is_narrow(&self) -> bool {
        self.caption.width == Width::Narrow
    }

    /// Where the title ends.
    pub(crate) fn top(&self) -> f64 {
        self.title.iter().skip(1).fold(34.0, |top, _| top + TITLE_LINE)
    }

    /// Each line of the title with its place.
    pub(crate) fn titles(&self) -> impl Iterator<Item = ((f64, f64), f64, &str)> {
        let mut y = 22.0 - TITLE_LINE;
        self.title.iter().map(move |line| {
            y += TITLE_LINE;
            ((self.margin, y), TITLE, line.as_str())
        })
    }

    /// The note's lines, and those of the remarks.
    pub(crate) fn notes(&self, remarks: &[String]) -> Vec<String> {
        let letters = text::letters(self.width - 2.0 * self.margin, NOTE);
        // As many letters as three wide lines have.
        let lines = if self.is_narrow() { 7 } else { 3 };
        let mut all = text::wrap(self.caption.note, letters, lines);
        all.extend(remarks.iter().flat_map(|remark| text::wrap(remark, letters, 2)));
        all
    }

    /// Inside of axes that begin there.
    pub(crate) fn area(&self, top: f64) -> Area {
        let Self { left, width, right, height, .. } = *self;
        Area { left, top, width: width - left - right, height }
    }

    /// Where names of lines begin, and how much room they have: on a narrow paper all of it.
    pub(crate) fn names(&self) -> (f64, f64) {
        let (left, right) =
            if self.is_narrow() { (self.margin, self.margin) } else { (self.left, self.right) };
        (left, self.width - left - right)
    }
}
