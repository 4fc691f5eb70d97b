//! One `[[stage]]`: its kind, the parameters that kind takes, and where its edges lead.

use toml::Spanned;

use crate::{
    Edge, Macs, StageIx, StageKind,
    diagnostic::{Report, any_of},
    names::Names,
    schema::Stage,
    section::Item,
    value::{Choice as _, EdgeText, Field, Kind, MacsWord, Whole},
};

/// A stage while its file is still being checked; edges are numbered as in the file.
#[derive(Debug)]
pub(crate) struct Draft {
    /// None when something about it was reported.
    pub(crate) kind: Option<StageKind>,
    /// The stages it leads to, and the keys that say so.
    pub(crate) next: Vec<(&'static str, StageIx)>,
    /// Is every edge that the kind needs there, and known?
    pub(crate) edges_known: bool,
}

/// What each kind takes besides `name` and `kind`.
fn parameters(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Cross => &["to", "macs", "source", "destination"],
        Kind::Reflect => &["to", "other", "addresses", "any_address", "udp_echo"],
        Kind::Count => &["to"],
        Kind::Sample => &["to", "sampled", "every"],
    }
}

/// Check one stage; `index` is its place in the file.
pub(crate) fn draft(
    index: usize,
    item: &Item<Stage>,
    names: &Names<'_>,
    report: &mut Report<'_>,
) -> Draft {
    let stage = &item.section;
    let mut edges = Edges { item, index, names, report, next: Vec::new(), known: true };
    let to = edges.read("to", &stage.to);
    let other = edges.read("other", &stage.other);
    let sampled = edges.read("sampled", &stage.sampled);
    let Edges { next, mut known, .. } = edges;

    let kind = match &stage.kind {
        Field::Given(kind) => Some(*kind.get_ref()),
        Field::Absent => {
            let words: Vec<&str> = Kind::ALL.iter().map(|(word, _)| *word).collect();
            report.missing(item, "kind", &format!("it is {}", any_of(&words)));
            None
        }
        Field::Bad => None,
    };
    if let Some(kind) = kind {
        check_parameters(item, kind, report);
    }
    if stage.to.is_absent() {
        report.missing(item, "to", "say where frames go: a stage, \"tx:<port>\" or \"drop\"");
        known = false;
    }
    if kind == Some(Kind::Sample) && stage.sampled.is_absent() {
        report.missing(item, "sampled", "say where the frames go that are picked");
        known = false;
    }
    let kind = match kind {
        None => None,
        Some(Kind::Cross) => {
            macs(item, report).and_then(|macs| Some(StageKind::Cross { to: to?, macs }))
        }
        Some(Kind::Reflect) => to.map(|to| StageKind::Reflect {
            to,
            other: other.unwrap_or(Edge::Drop),
            addresses: stage.addresses.given().map_or_else(Vec::new, |list| {
                list.get_ref().0.iter().map(|address| *address.get_ref()).collect()
            }),
            any_address: stage.any_address.copied_or(false),
            udp_echo: stage.udp_echo.copied_or(true),
        }),
        Some(Kind::Count) => to.map(|to| StageKind::Count { to }),
        Some(Kind::Sample) => every(item, report)
            .and_then(|every| Some(StageKind::Sample { to: to?, sampled: sampled?, every })),
    };
    Draft { kind, next, edges_known: known }
}

/// Reads the edges of one stage.
struct Edges<'a, 'r, 'f> {
    item: &'a Item<Stage>,
    index: usize,
    names: &'a Names<'f>,
    report: &'a mut Report<'r>,
    next: Vec<(&'static str, StageIx)>,
    known: bool,
}

impl Edges<'_, '_, '_> {
    fn read(&mut self, key: &'static str, field: &Field<EdgeText>) -> Option<Edge> {
        self.known &= !matches!(field, Field::Bad);
        let text = field.given()?;
        let (why, help) = match self.names.edge(&text.get_ref().0, self.report) {
            Ok(Edge::Stage(StageIx(next))) if next == self.index => {
                ("a stage can not send frames to itself".to_owned(), None)
            }
            Ok(edge) => {
                if let Edge::Stage(next) = edge {
                    self.next.push((key, next));
                }
                return Some(edge);
            }
            Err(unknown) => {
                self.known = false;
                (unknown.why, unknown.help)
            }
        };
        self.report.bad_value(&self.item.place, key, text.span(), why, help);
        None
    }
}

/// Report the keys that are there but mean nothing to this kind.
fn check_parameters(item: &Item<Stage>, kind: Kind, report: &mut Report<'_>) {
    let Stage { name: _, kind: _, to, macs, source, destination, other, addresses, .. } =
        &item.section;
    let Stage { any_address, udp_echo, sampled, every, .. } = &item.section;
    let taken = parameters(kind);
    for (key, span) in [
        ("to", to.span()),
        ("macs", macs.span()),
        ("source", source.span()),
        ("destination", destination.span()),
        ("other", other.span()),
        ("addresses", addresses.span()),
        ("any_address", any_address.span()),
        ("udp_echo", udp_echo.span()),
        ("sampled", sampled.span()),
        ("every", every.span()),
    ] {
        if let Some(span) = span.filter(|_| !taken.contains(&key)) {
            let what = format!("a {} stage takes no {key}", kind.word());
            let help = format!("it takes {}", taken.join(", "));
            report.add(&item.place, key, span, what, Some(help));
        }
    }
}

/// What `cross` does to MAC addresses.
fn macs(item: &Item<Stage>, report: &mut Report<'_>) -> Option<Macs> {
    let Stage { macs, source, destination, .. } = &item.section;
    let word = match macs {
        Field::Absent => MacsWord::Keep,
        Field::Bad => return None,
        Field::Given(word) => *word.get_ref(),
    };
    let given = [("source", source), ("destination", destination)];
    if word != MacsWord::Rewrite {
        for (key, field) in given {
            if let Some(span) = field.span() {
                let help = "add macs = \"rewrite\", or take this out".to_owned();
                let why = format!("macs is \"{}\"", word.word());
                report.bad_value(&item.place, key, span, why, Some(help));
            }
        }
        return Some(if word == MacsWord::Swap { Macs::Swap } else { Macs::Keep });
    }
    if let Some(mac) = source.given().filter(|mac| mac.get_ref().is_multicast()) {
        let why = "a group of stations can not be a source";
        report.bad_value(&item.place, "source", mac.span(), why, None);
    }
    if source.is_absent() && destination.is_absent() {
        let span = macs.span().unwrap_or(item.offset..item.offset);
        let help = "add source, destination, or both".to_owned();
        report.bad_value(&item.place, "macs", span, "no new address is given", Some(help));
    }
    Some(Macs::Rewrite {
        source: source.given().map(|mac| *mac.get_ref()),
        destination: destination.given().map(|mac| *mac.get_ref()),
    })
}

/// How many frames `sample` counts to one.
fn every(item: &Item<Stage>, report: &mut Report<'_>) -> Option<u32> {
    if item.section.every.is_absent() {
        report.missing(item, "every", "one frame of so many is picked: every = 1000");
    }
    item.section.every.given().map(Spanned::get_ref).copied().map(Whole::to)
}
