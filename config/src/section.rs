//! How a section is read: every key in it, whatever is wrong with the others.
//!
//! serde's derive stops at the first key it does not like; an operator wants to hear of all of them at once. So a
//! section is declared with `section!`, which reads key by key and refuses the keys it does not know.

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use crate::{
    diagnostic::{Place, Report, any_of, nearest, visible},
    value::Name,
    value::Value as _,
};

/// One key of the file, for manuals: see [`crate::reference`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyHelp {
    /// The section as it is written: `[cores]`, `[[port]]`.
    pub section: &'static str,
    /// The key.
    pub key: &'static str,
    /// What it takes: `a whole number from 1 to 64`.
    pub takes: String,
    /// What it is, its default, what changing it costs, and an example, in Markdown.
    pub text: &'static str,
}

/// A table of the file with known keys.
pub(crate) trait Section: Default {
    /// How the section is written.
    const HEADER: &'static str;
    /// The keys it knows.
    const KEYS: &'static [&'static str];

    /// Read one key; `false` when it is not known.
    fn read_key(
        &mut self,
        place: &Place,
        key: &str,
        value: &Spanned<DeValue<'_>>,
        report: &mut Report<'_>,
    ) -> bool;

    /// All keys, for manuals.
    fn help() -> Vec<KeyHelp>;
}

/// Declare a section: a struct with one documented `Field` per key.
macro_rules! section {
    (
        $(#[$meta:meta])*
        $header:literal $name:ident {
            $( $(#[doc = $doc:expr])* $key:ident: $type:ty, )*
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Default)]
        pub(crate) struct $name {
            $( $(#[doc = $doc])* pub(crate) $key: Field<$type>, )*
        }

        impl Section for $name {
            const HEADER: &'static str = $header;
            const KEYS: &'static [&'static str] = &[$( stringify!($key) ),*];

            fn read_key(
                &mut self,
                place: &Place,
                key: &str,
                value: &Spanned<DeValue<'_>>,
                report: &mut Report<'_>,
            ) -> bool {
                match key {
                    $( stringify!($key) => self.$key = Field::read(place, key, value, report), )*
                    _ => return false,
                }
                true
            }

            fn help() -> Vec<KeyHelp> {
                vec![$( KeyHelp {
                    section: $header,
                    key: stringify!($key),
                    takes: <$type>::wanted(),
                    text: concat!($( $doc, "\n", )*),
                } ),*]
            }
        }
    };
}
pub(crate) use section;

/// Read a table key by key.
pub(crate) fn read_table<S: Section>(
    place: &Place,
    table: &DeTable<'_>,
    report: &mut Report<'_>,
) -> S {
    let mut section = S::default();
    for (key, value) in table {
        let name: &str = key.get_ref();
        if !section.read_key(place, name, value, report) {
            unknown_key(place, key, S::KEYS, report);
        }
    }
    section
}

/// Read `[name]`; one that is left out has nothing but defaults.
pub(crate) fn read_section<S: Section>(
    name: &'static str,
    value: Option<&Spanned<DeValue<'_>>>,
    report: &mut Report<'_>,
) -> S {
    let Some(value) = value else { return S::default() };
    match value.get_ref().as_table() {
        Some(table) => read_table(&Place::Section(name), table, report),
        None => {
            let help = format!("write it as {} and its keys below", S::HEADER);
            let what = format!("{name} is one section");
            report.add(&Place::Top, name, value.span(), what, Some(help));
            S::default()
        }
    }
}

/// One `[[port]]` or `[[stage]]`.
#[derive(Debug)]
pub(crate) struct Item<S> {
    pub(crate) place: Place,
    /// Where its header begins: what is missing in it is reported there.
    pub(crate) offset: usize,
    pub(crate) section: S,
}

/// Read every `[[name]]`, up to `limit` of them.
pub(crate) fn read_list<S: Section>(
    name: &'static str,
    value: Option<&Spanned<DeValue<'_>>>,
    limit: usize,
    report: &mut Report<'_>,
) -> Vec<Item<S>> {
    let Some(value) = value else { return Vec::new() };
    let items = match value.get_ref() {
        DeValue::Array(items) => items.iter().collect(),
        _ => {
            let help = format!("write it as {} and its keys below", S::HEADER);
            let what = format!("{name} is a list of sections");
            report.add(&Place::Top, name, value.span(), what, Some(help));
            // The one that is there is read all the same, so that edges to it lead somewhere.
            vec![value]
        }
    };
    if let Some(beyond) = items.get(limit) {
        let what = format!("more than {limit} of {}", S::HEADER);
        report.add(&Place::Top, name, beyond.span(), what, None);
    }
    let mut read = Vec::new();
    for (index, item) in items.into_iter().take(limit).enumerate() {
        let Some(table) = item.get_ref().as_table() else {
            if value.get_ref().is_array() {
                let why = format!("a section is wanted, written {}", S::HEADER);
                report.bad_value(&Place::Top, name, item.span(), why, None);
            }
            continue;
        };
        // Only a name that can be read is used to speak of the item.
        let known = table.get("name").and_then(|value| Name::read(value).ok());
        let place = Place::Item { list: name, index, name: known.map(|name| name.0) };
        let section = read_table(&place, table, report);
        read.push(Item { place, offset: item.span().start, section });
    }
    read
}

/// Report a key that is not known here, with the one that was probably meant.
pub(crate) fn unknown_key(
    place: &Place,
    key: &Spanned<std::borrow::Cow<'_, str>>,
    known: &[&'static str],
    report: &mut Report<'_>,
) {
    let name: &str = key.get_ref();
    let shown = visible(&name.chars().take(60).collect::<String>());
    let help = match nearest(name, known.iter().copied()) {
        Some(near) => format!("did you mean {near}?"),
        None => {
            format!("known here are {}", any_of(known).replace('"', "").replace(" or ", " and "))
        }
    };
    let sort = if *place == Place::Top { "section" } else { "key" };
    report.add(place, &shown, key.span(), format!("{shown} is not a known {sort}"), Some(help));
}
