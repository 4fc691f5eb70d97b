//! Tables: on the page, and as CSV.

use std::fmt::Write as _;

use maud::{Markup, html};

/// One value: as it is read, and as a program wants it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Value {
    pub(crate) shown: String,
    pub(crate) raw: String,
}

impl Value {
    /// Nothing is known.
    pub(crate) fn none() -> Self {
        Self { shown: "–".to_owned(), raw: String::new() }
    }

    /// The same for both.
    pub(crate) fn text(text: impl Into<String>) -> Self {
        let shown = text.into();
        Self { raw: shown.clone(), shown }
    }

    /// A number and its picture.
    pub(crate) fn number(raw: impl ToString, shown: impl Into<String>) -> Self {
        Self { shown: shown.into(), raw: raw.to_string() }
    }
}

/// A table; the first column names the rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Table {
    /// What it shows.
    pub(crate) caption: String,
    /// What stands above each column, and what it is called in a file.
    pub(crate) columns: Vec<(String, String)>,
    pub(crate) rows: Vec<Vec<Value>>,
}

impl Table {
    pub(crate) fn new(caption: impl Into<String>, columns: &[(&str, &str)]) -> Self {
        let columns = columns.iter().map(|(shown, raw)| ((*shown).into(), (*raw).into()));
        Self { caption: caption.into(), columns: columns.collect(), rows: Vec::new() }
    }

    pub(crate) fn column(&mut self, shown: impl Into<String>, raw: impl Into<String>) {
        self.columns.push((shown.into(), raw.into()));
    }

    /// For the page: what is too wide for it scrolls by itself.
    pub(crate) fn markup(&self) -> Markup {
        html! {
            div.wide tabindex="0" role="region" aria-label=(self.caption) {
                table {
                    caption { (self.caption) }
                    thead { tr {
                        @for (shown, _) in &self.columns { th scope="col" { (shown) } }
                    } }
                    tbody {
                        @for row in &self.rows {
                            tr {
                                @for (place, value) in row.iter().enumerate() {
                                    @if place == 0 { th scope="row" { (datum(value)) } }
                                    @else { td { (datum(value)) } }
                                }
                            }
                        }
                    }
                }
            }
        }
    }

    /// For the page: on a phone each row becomes a card, with the columns' names beside the values.
    pub(crate) fn cards(&self) -> Markup {
        html! {
            table.cards.named role="table" {
                caption { (self.caption) }
                thead role="rowgroup" { tr role="row" {
                    @for (shown, _) in &self.columns { th scope="col" role="columnheader" { (shown) } }
                } }
                tbody role="rowgroup" {
                    @for row in &self.rows {
                        tr role="row" {
                            @for (value, (name, _)) in row.iter().zip(&self.columns).take(1) {
                                th scope="row" role="rowheader" data-label=(name) { (datum(value)) }
                            }
                            @for (value, (name, _)) in row.iter().zip(&self.columns).skip(1) {
                                td role="cell" data-label=(name) { span { (datum(value)) } }
                            }
                        }
                    }
                }
            }
        }
    }

    /// RFC 4180, with a line of names.
    pub(crate) fn csv(&self) -> String {
        let mut text = String::new();
        let mut line = |cells: &mut dyn Iterator<Item = &str>| {
            let cells: Vec<String> = cells.map(quoted).collect();
            let _infallible = write!(text, "{}\r\n", cells.join(","));
        };
        line(&mut self.columns.iter().map(|(_, raw)| raw.as_str()));
        for row in &self.rows {
            line(&mut row.iter().map(|value| value.raw.as_str()));
        }
        text
    }
}

/// A value that a program can read, too.
pub(crate) fn datum(value: &Value) -> Markup {
    html! {
        @if value.raw.is_empty() || value.raw == value.shown { (value.shown) }
        @else { data value=(value.raw) { (value.shown) } }
    }
}

fn quoted(cell: &str) -> String {
    if cell.contains(['"', ',', '\r', '\n']) {
        format!("\"{}\"", cell.replace('"', "\"\""))
    } else {
        cell.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new("A <caption>", &[("path", "path"), ("p50", "p50_ns")]);
        table.rows.push(vec![Value::text("<b>\"x\", y"), Value::number(1500, "1.50 µs")]);
        table
    }

    #[test]
    fn a_file_has_the_numbers_and_the_page_their_picture() {
        assert_eq!(table().csv(), "path,p50_ns\r\n\"<b>\"\"x\"\", y\",1500\r\n");
        let page = table().markup().into_string();
        assert!(page.contains("<data value=\"1500\">1.50 µs</data>"), "{page}");
    }

    #[test]
    fn a_card_names_each_value() {
        let page = table().cards().into_string();
        assert!(page.contains("data-label=\"p50\"><span><data value=\"1500\">"), "{page}");
        assert!(page.contains("role=\"rowheader\" data-label=\"path\""), "{page}");
    }

    #[test]
    fn what_looks_like_markup_is_text() {
        let page = table().markup().into_string();
        assert!(page.contains("&lt;b&gt;") && page.contains("A &lt;caption&gt;"), "{page}");
        assert!(!page.contains("<b>"), "{page}");
    }
}
