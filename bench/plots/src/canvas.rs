//! Marks on a picture: lines, areas and words in their inks.

use crate::{
    axis::Axis,
    ink::Ink,
    plot::Plot,
    sheet::Sheet,
    text,
    xml::{Xml, number, points},
};

const SIZE: f64 = 11.0;
/// Of a line of the note.
const NOTE: f64 = 15.0;

/// Inside the axes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Area {
    pub(crate) left: f64,
    pub(crate) top: f64,
    pub(crate) width: f64,
    pub(crate) height: f64,
}

impl Area {
    /// Pixels of a place along and up, from 0 to 1.
    pub(crate) fn at(&self, along: f64, up: f64) -> (f64, f64) {
        (self.left + self.width * along, self.top + self.height * (1.0 - up))
    }

    pub(crate) fn bottom(&self) -> f64 {
        self.top + self.height
    }
}

/// A picture being drawn.
#[derive(Debug, Default)]
pub(crate) struct Canvas {
    xml: Xml,
}

impl Canvas {
    /// A polyline, or a dot where there is only one point.
    pub(crate) fn line(&mut self, class: &str, at: &[(f64, f64)], ink: Ink, name: &str) {
        if let [only] = at {
            return self.dot(*only, ink, name);
        }
        let attributes: [(&str, &str); 8] = [
            ("class", &ink.stroke(class)),
            ("points", &points(at)),
            ("fill", "none"),
            ("stroke", ink.colour()),
            ("stroke-width", "1.8"),
            ("stroke-linejoin", "round"),
            ("stroke-dasharray", ink.dash()),
            ("stroke-opacity", if class == "plot-few" { "0.45" } else { "1" }),
        ];
        if name.is_empty() {
            return self.xml.empty("polyline", &attributes);
        }
        self.xml.open("polyline", &attributes);
        self.xml.text("title", &[], name);
        self.xml.close("polyline");
    }

    /// A point that tells its value.
    pub(crate) fn dot(&mut self, (x, y): (f64, f64), ink: Ink, told: &str) {
        self.xml.open(
            "circle",
            &[
                ("class", &ink.fill("plot-dot")),
                ("cx", &number(x)),
                ("cy", &number(y)),
                ("r", "2.6"),
                ("fill", ink.colour()),
            ],
        );
        self.xml.text("title", &[], told);
        self.xml.close("circle");
    }

    /// A filled shape.
    pub(crate) fn shape(&mut self, class: &str, at: &[(f64, f64)], ink: Ink, opacity: &str) {
        self.xml.empty(
            "polygon",
            &[
                ("class", &ink.fill(class)),
                ("points", &points(at)),
                ("fill", ink.colour()),
                ("fill-opacity", opacity),
            ],
        );
    }

    /// A filled rectangle that tells its value.
    pub(crate) fn bar(
        &mut self,
        class: &str,
        from: (f64, f64),
        to: (f64, f64),
        ink: Ink,
        told: &str,
    ) {
        self.xml.open(
            "rect",
            &[
                ("class", &ink.fill(class)),
                ("x", &number(from.0.min(to.0))),
                ("y", &number(from.1.min(to.1))),
                ("width", &number((to.0 - from.0).abs())),
                ("height", &number((to.1 - from.1).abs())),
                ("fill", ink.colour()),
                ("fill-opacity", "0.3"),
            ],
        );
        self.xml.text("title", &[], told);
        self.xml.close("rect");
    }

    /// A part of the paper that stands out.
    pub(crate) fn band(&mut self, from: (f64, f64), to: (f64, f64)) {
        self.xml.empty(
            "rect",
            &[
                ("class", "plot-band"),
                ("x", &number(from.0.min(to.0))),
                ("y", &number(from.1.min(to.1))),
                ("width", &number((to.0 - from.0).abs())),
                ("height", &number((to.1 - from.1).abs())),
                ("fill", "currentColor"),
                ("fill-opacity", "0.12"),
            ],
        );
    }

    /// A thin line in the colour of the text.
    pub(crate) fn rule(&mut self, class: &str, from: (f64, f64), to: (f64, f64), opacity: &str) {
        self.xml.empty(
            "line",
            &[
                ("class", class),
                ("x1", &number(from.0)),
                ("y1", &number(from.1)),
                ("x2", &number(to.0)),
                ("y2", &number(to.1)),
                ("stroke", "currentColor"),
                ("stroke-opacity", opacity),
            ],
        );
    }

    /// Words that begin (`start`), stand around (`middle`) or end (`end`) at a point.
    pub(crate) fn words(
        &mut self,
        class: &str,
        (x, y): (f64, f64),
        size: f64,
        anchor: &str,
        words: &str,
    ) {
        self.xml.text(
            "text",
            &[
                ("class", class),
                ("x", &number(x)),
                ("y", &number(y)),
                ("font-size", &number(size)),
                ("text-anchor", anchor),
                ("fill", "currentColor"),
            ],
            words,
        );
    }

    /// Lines at the ticks, with what is written there.
    pub(crate) fn along(&mut self, area: Area, axis: &Axis) {
        let mut free = f64::NEG_INFINITY;
        for (place, written) in axis.ticks() {
            let (x, bottom) = area.at(place, 0.0);
            self.rule("plot-grid", (x, area.top), (x, bottom), "0.15");
            let half = text::width(&written, SIZE) / 2.0;
            if x - half > free {
                self.words("plot-tick", (x, bottom + 16.0), SIZE, "middle", &written);
                free = x + half + 4.0;
            }
        }
        let middle = (area.left + area.width / 2.0, area.bottom() + 36.0);
        self.words("plot-axis", middle, SIZE, "middle", axis.label);
    }

    /// The same at the left.
    pub(crate) fn up(&mut self, area: Area, axis: &Axis) {
        for (place, written) in axis.ticks() {
            let (left, y) = area.at(0.0, place);
            self.rule("plot-grid", (left, y), (left + area.width, y), "0.15");
            self.words("plot-tick", (left - 7.0, y + 4.0), SIZE, "end", &written);
        }
        let (x, y) = ((area.left - 60.0).max(9.0), area.top + area.height / 2.0);
        self.xml.text(
            "text",
            &[
                ("class", "plot-axis"),
                ("x", &number(x)),
                ("y", &number(y)),
                ("font-size", &number(SIZE)),
                ("text-anchor", "middle"),
                ("fill", "currentColor"),
                ("transform", &format!("rotate(-90 {} {})", number(x), number(y))),
            ],
            axis.label,
        );
    }

    /// The axes themselves, over what was drawn.
    pub(crate) fn edges(&mut self, area: Area) {
        let corner = (area.left, area.bottom());
        self.rule("plot-edge", (area.left, area.top), corner, "0.7");
        self.rule("plot-edge", corner, (area.left + area.width, area.bottom()), "0.7");
    }

    /// Title, note and paper around what ends at `bottom`.
    pub(crate) fn finish(mut self, sheet: &Sheet<'_>, remarks: &[String], bottom: f64) -> Plot {
        for (at, size, line) in sheet.titles() {
            self.words("plot-title", at, size, "start", line);
        }
        let mut y = bottom + 6.0;
        for line in sheet.notes(remarks) {
            y += NOTE;
            self.words("plot-note", (sheet.margin, y), 10.0, "start", &line);
        }
        let mut paper = Xml::default();
        paper.text("title", &[], sheet.caption.title);
        paper.empty(
            "rect",
            &[("class", "plot-paper"), ("width", "100%"), ("height", "100%"), ("fill", "none")],
        );
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a few thousand pixels at most, as the rows are bounded"
        )]
        let (width, height) = (sheet.width as u32, (y + 12.0).ceil() as u32);
        let inside = paper.into_string() + &self.xml.into_string();
        Plot::new(inside, sheet.caption.title, width, height)
    }
}
