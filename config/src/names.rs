//! What the names in edges and inputs mean.

use std::collections::HashMap;

use crate::{
    Edge, PortIx, StageIx,
    diagnostic::{Report, any_of, nearest, visible},
    schema::{File, Port, Stage},
    section::{Item, Section},
    value::{Field, Name},
};

/// The ports and stages of a file by name; indices are places in the file.
#[derive(Debug)]
pub(crate) struct Names<'f> {
    ports: HashMap<&'f str, usize>,
    stages: HashMap<&'f str, usize>,
}

/// Why a name means nothing, and what may have been meant.
#[derive(Debug)]
pub(crate) struct Unknown {
    pub(crate) why: String,
    pub(crate) help: Option<String>,
}

impl<'f> Names<'f> {
    /// Collect all names, and report those that are used twice or missing.
    pub(crate) fn collect(file: &'f File, report: &mut Report<'_>) -> Self {
        Self { ports: collect(&file.ports, report), stages: collect(&file.stages, report) }
    }

    /// What an edge leads to.
    pub(crate) fn edge(&self, text: &str, report: &Report<'_>) -> Result<Edge, Unknown> {
        if text == "drop" {
            return Ok(Edge::Drop);
        }
        if let Some(port) = text.strip_prefix("tx:") {
            let found = self.ports.get(port).map(|port| Edge::Tx(PortIx(*port)));
            return found.ok_or_else(|| Unknown {
                why: format!("there is no port \"{}\"", visible(port)),
                help: self.suggest(text, ["drop"], report),
            });
        }
        let found = self.stages.get(text).map(|stage| Edge::Stage(StageIx(*stage)));
        found.ok_or_else(|| Unknown {
            why: format!("there is no stage \"{}\"", visible(text)),
            help: if self.ports.contains_key(text) {
                Some(format!("to send frames out of the port, write \"tx:{text}\""))
            } else {
                self.suggest(text, ["drop"], report)
            },
        })
    }

    /// The first stage for what a port receives; none when it only transmits.
    pub(crate) fn input(
        &self,
        text: &str,
        report: &Report<'_>,
    ) -> Result<Option<StageIx>, Unknown> {
        if text == "none" {
            return Ok(None);
        }
        if let Some(stage) = self.stages.get(text) {
            return Ok(Some(StageIx(*stage)));
        }
        if text == "drop" {
            return Err(Unknown {
                why: "an input is a stage".to_owned(),
                help: Some(
                    "write \"none\" for a port that only transmits, or name a `count` stage with \
                     to = \"drop\" to receive and drop"
                        .to_owned(),
                ),
            });
        }
        if text.starts_with("tx:") {
            return Err(Unknown {
                why: "an input is a stage".to_owned(),
                help: Some(format!("name a `cross` stage with to = \"{}\" here", visible(text))),
            });
        }
        Err(Unknown {
            why: format!("there is no stage \"{}\"", visible(text)),
            help: self.suggest(text, ["none"], report),
        })
    }

    /// What was probably meant, or what there is.
    fn suggest<const N: usize>(
        &self,
        text: &str,
        words: [&'static str; N],
        report: &Report<'_>,
    ) -> Option<String> {
        // Looking through all names for each of a thousand bad edges would take seconds.
        if report.is_full() {
            return None;
        }
        let transmits = words.contains(&"drop");
        let ports = self.ports.keys().filter(|_| transmits).map(|port| format!("tx:{port}"));
        let mut known: Vec<String> = self.stages.keys().map(|stage| (*stage).to_owned()).collect();
        known.extend(ports);
        known.sort_unstable();
        known.extend(words.map(str::to_owned));
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        if let Some(near) = nearest(text, known.iter().copied()) {
            return Some(format!("did you mean \"{near}\"?"));
        }
        (known.len() <= 12).then(|| format!("known here are {}", any_of(&known)))
    }
}

/// A section with a name.
pub(crate) trait Named: Section {
    fn name(&self) -> &Field<Name>;
}

impl Named for Port {
    fn name(&self) -> &Field<Name> {
        &self.name
    }
}

impl Named for Stage {
    fn name(&self) -> &Field<Name> {
        &self.name
    }
}

/// The items by name; the first one of a name has it.
fn collect<'f, S: Named>(items: &'f [Item<S>], report: &mut Report<'_>) -> HashMap<&'f str, usize> {
    let mut found: HashMap<&str, usize> = HashMap::new();
    for (index, item) in items.iter().enumerate() {
        match item.section.name() {
            Field::Given(name) => {
                if let Some(first) = found.get(name.get_ref().0.as_str()) {
                    let line = report.line(items[*first].offset);
                    let why = format!("the {} of line {line} has that name", S::HEADER);
                    report.bad_value(&item.place, "name", name.span(), why, None);
                } else {
                    found.insert(&name.get_ref().0, index);
                }
            }
            Field::Absent => report.missing(item, "name", "statistics and edges need it"),
            Field::Bad => {}
        }
    }
    found
}
