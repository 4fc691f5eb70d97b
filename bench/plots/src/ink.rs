//! Colours and dashes: Okabe and Ito's palette, which readers who see fewer colours can tell apart, and dashes for more
//! lines than it has colours.

/// Style for a page with [`inline`](crate::Plot::inline) pictures in it: their colours as custom properties, light and
/// dark. A page may set `--plot-0` … `--plot-6`, `--plot-ink` and `--plot-paper` (none unless it does) for `.plot` itself.
pub const STYLE: &str = "\
.plot{--plot-ink:#24292f;--plot-0:#0072b2;--plot-1:#d55e00;--plot-2:#009e73;--plot-3:#aa4499;--plot-4:#b77f00;\
--plot-5:#2f9fd6;--plot-6:#6b6b6b;color:var(--plot-ink)}\
@media (prefers-color-scheme:dark){.plot{--plot-ink:#d8dee4;--plot-0:#4aa8e8;--plot-1:#ff8a3d;--plot-2:#2fc79b;\
--plot-3:#e08fc4;--plot-4:#e6b800;--plot-5:#8fd3ff;--plot-6:#a8a8a8}}\
.plot .plot-paper{fill:var(--plot-paper,none)}\
.plot .plot-s0{stroke:var(--plot-0)}.plot .plot-f0{fill:var(--plot-0)}\
.plot .plot-s1{stroke:var(--plot-1)}.plot .plot-f1{fill:var(--plot-1)}\
.plot .plot-s2{stroke:var(--plot-2)}.plot .plot-f2{fill:var(--plot-2)}\
.plot .plot-s3{stroke:var(--plot-3)}.plot .plot-f3{fill:var(--plot-3)}\
.plot .plot-s4{stroke:var(--plot-4)}.plot .plot-f4{fill:var(--plot-4)}\
.plot .plot-s5{stroke:var(--plot-5)}.plot .plot-f5{fill:var(--plot-5)}\
.plot .plot-s6{stroke:var(--plot-6)}.plot .plot-f6{fill:var(--plot-6)}";

/// The paper of a picture in a file of its own.
pub(crate) const PAPER: &str = "\
.plot{--plot-paper:#fff}@media (prefers-color-scheme:dark){.plot{--plot-paper:#0d1117}}";

/// As in [`STYLE`], light: for readers that know no custom properties, and for PNG.
const COLOURS: [&str; 7] =
    ["#0072b2", "#d55e00", "#009e73", "#aa4499", "#b77f00", "#2f9fd6", "#6b6b6b"];

const DASHES: [&str; 4] = ["none", "7 4", "2 3", "8 3 2 3"];

/// Text and lines in light.
pub(crate) const INK: &str = "#24292f";

/// How one line is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ink {
    colour: usize,
    dash: usize,
}

impl Ink {
    /// By the place among the others, where the caller chose nothing.
    pub(crate) fn new(place: usize, colour: Option<usize>, dash: Option<usize>) -> Self {
        Self {
            colour: colour.unwrap_or(place) % COLOURS.len(),
            dash: dash.unwrap_or(place / COLOURS.len()) % DASHES.len(),
        }
    }

    pub(crate) fn colour(self) -> &'static str {
        COLOURS[self.colour]
    }

    pub(crate) fn dash(self) -> &'static str {
        DASHES[self.dash]
    }

    /// The class of a line in this ink, after another of its own.
    pub(crate) fn stroke(self, class: &str) -> String {
        format!("{class} plot-s{}", self.colour)
    }

    /// The class of an area.
    pub(crate) fn fill(self, class: &str) -> String {
        format!("{class} plot-f{}", self.colour)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_style_has_the_colours_that_readers_without_it_see() {
        for (number, colour) in COLOURS.iter().enumerate() {
            assert!(STYLE.contains(&format!("--plot-{number}:{colour}")), "{number}: {colour}");
            assert!(STYLE.contains(&format!(".plot-s{number}{{stroke:var(--plot-{number})}}")));
            assert!(STYLE.contains(&format!(".plot-f{number}{{fill:var(--plot-{number})}}")));
        }
        assert!(STYLE.contains(&format!("--plot-ink:{INK}")));
    }

    #[test]
    fn more_lines_than_colours_are_told_apart_by_dashes() {
        let all: Vec<Ink> = (0..28).map(|place| Ink::new(place, None, None)).collect();
        for (place, ink) in all.iter().enumerate() {
            assert!(!all[..place].contains(ink), "{place}");
        }
        assert_eq!(Ink::new(3, Some(usize::MAX), Some(usize::MAX)).dash(), DASHES[3]);
    }
}
