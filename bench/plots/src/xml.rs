//! Elements of a picture as text.

use std::fmt::Write as _;

/// A picture being written.
#[derive(Debug, Default)]
pub(crate) struct Xml(String);

/// Names and values; names are ours, values are escaped.
pub(crate) type Attributes<'a> = &'a [(&'a str, &'a str)];

impl Xml {
    pub(crate) fn open(&mut self, element: &str, attributes: Attributes<'_>) {
        self.start(element, attributes);
        self.0.push('>');
    }

    pub(crate) fn close(&mut self, element: &str) {
        self.0 += &format!("</{element}>\n");
    }

    pub(crate) fn empty(&mut self, element: &str, attributes: Attributes<'_>) {
        self.start(element, attributes);
        self.0 += "/>\n";
    }

    pub(crate) fn text(&mut self, element: &str, attributes: Attributes<'_>, text: &str) {
        self.open(element, attributes);
        self.0 += &escape(text);
        self.close(element);
    }

    pub(crate) fn into_string(self) -> String {
        self.0
    }

    fn start(&mut self, element: &str, attributes: Attributes<'_>) {
        self.0 += &format!("<{element}");
        for (name, value) in attributes {
            self.0 += &format!(" {name}=\"{}\"", escape(value));
        }
    }
}

/// A length or a place with two digits behind the point.
pub(crate) fn number(value: f64) -> String {
    let mut text = format!("{value:.2}");
    text.truncate(text.trim_end_matches('0').trim_end_matches('.').len());
    if text == "-0" { "0".to_owned() } else { text }
}

/// Points of a polyline.
pub(crate) fn points(points: &[(f64, f64)]) -> String {
    let mut text = String::new();
    for (place, (x, y)) in points.iter().enumerate() {
        let gap = if place == 0 { "" } else { " " };
        _ = write!(text, "{gap}{},{}", number(*x), number(*y));
    }
    text
}

/// Text that can stand between tags and in an attribute; what XML can't hold at all is shown as a replacement character.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped += "&amp;",
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            '"' => escaped += "&quot;",
            '\'' => escaped += "&#39;",
            '\t' | '\n' | '\r' => escaped.push(' '),
            '\u{0}'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{fffe}' | '\u{ffff}' => {
                escaped.push('\u{fffd}');
            }
            other => escaped.push(other),
        }
    }
    escaped
}
