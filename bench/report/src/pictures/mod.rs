//! The pictures of a run, each with the table behind it.

mod gaps;
mod load;
mod maxima;
mod percentiles;
mod ratios;

use bench_result::{plan::Member, run::CellResult, words};
use plots::{Plot, Series, Width};

pub(crate) use gaps::gaps;
pub(crate) use load::{against_load, frame_loss};
pub(crate) use maxima::maxima;
pub(crate) use percentiles::{Of, percentiles};
pub(crate) use ratios::ratios;

use crate::table::{Table, Value};

/// A picture, and its numbers.
#[derive(Debug)]
pub(crate) struct Picture {
    /// The name of its files, and its anchor.
    pub(crate) name: String,
    /// What is to be seen: for those who do not see it, too.
    pub(crate) told: String,
    /// Wide and narrow.
    pub(crate) plots: [Plot; 2],
    /// Behind it on the page.
    pub(crate) table: Table,
    /// In its file, where that is more.
    pub(crate) data: Option<Table>,
}

/// For a wide and for a narrow page.
fn both(draw: impl Fn(Width) -> Plot) -> [Plot; 2] {
    [Width::Wide, Width::Narrow].map(draw)
}

/// Those that are drawn, each with its colour: the same all over the page. The twin is its like over again.
fn drawn(cell: &CellResult) -> Vec<(usize, Member)> {
    let members = cell.members.iter().map(|it| it.member);
    members.filter(|member| !member.is_twin).enumerate().collect()
}

fn ink(series: Series, place: usize) -> Series {
    series.styled(place, place / 7)
}

fn names(cell: &CellResult) -> String {
    let names: Vec<String> = drawn(cell).into_iter().map(|(_, it)| it.to_string()).collect();
    names.join(", ")
}

/// Times are whole nanoseconds again.
fn time(ns: f64) -> Value {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "they were whole numbers of 64 bits"
    )]
    let ns = ns as u64;
    Value::number(ns, words::time(ns))
}
