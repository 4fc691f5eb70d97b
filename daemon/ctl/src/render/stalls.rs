//! `barewire stalls`

use api::{Stall, Stalls};

use super::{
    Page,
    paint::{Paint, Tone},
    table::{
        Align::{Left, Right},
        Cell, Table,
    },
    units::{count, nanos, utc},
};

/// Everything there is, under a heading.
pub(crate) fn draw(stalls: &Stalls, paint: Paint) -> String {
    let mut page = Page::new(paint);
    let threshold = nanos(stalls.threshold_ns);
    if stalls.total == 0 {
        page.line(Tone::Good, format_args!("no gap between two polls was longer than {threshold}"));
        return page.finish();
    }
    page.line(
        Tone::Plain,
        format_args!(
            "{} gaps between two polls were longer than {threshold}; the last {}:",
            count(stalls.total),
            stalls.stalls.len()
        ),
    );
    lost(&mut page, stalls);
    page.table("", &table(&stalls.stalls));
    page.finish()
}

/// What came since the last look: a line each, without a heading.
pub(crate) fn more(stalls: &Stalls, paint: Paint) -> String {
    let mut page = Page::new(paint);
    lost(&mut page, stalls);
    for stall in &stalls.stalls {
        page.line(
            Tone::Plain,
            format_args!(
                "{}  worker {} on CPU {}  {:>8}  {} pending{}",
                utc(stall.start_unix_ns),
                stall.worker,
                stall.cpu,
                nanos(stall.length_ns),
                stall.pending,
                if stall.saturated { " or more" } else { "" },
            ),
        );
    }
    page.finish()
}

fn lost(page: &mut Page, stalls: &Stalls) {
    if stalls.lost > 0 {
        let lost = count(stalls.lost);
        page.line(Tone::Warning, format_args!("{lost} more were overwritten before this look"));
    }
}

fn table(stalls: &[Stall]) -> Table {
    let mut table = Table::new([
        ("BEGAN (UTC)", Left),
        ("WORKER", Right),
        ("CPU", Right),
        ("LENGTH", Right),
        ("PENDING", Right),
        ("NUMBER", Right),
        ("TICKS AT BEGIN", Right),
    ]);
    for stall in stalls {
        // A poll that came back full leaves open how much more there was.
        let more = if stall.saturated { "+" } else { "" };
        table.row([
            utc(stall.start_unix_ns).into(),
            stall.worker.to_string().into(),
            stall.cpu.to_string().into(),
            nanos(stall.length_ns).into(),
            Cell::from(format!("{}{more}", stall.pending)),
            count(stall.sequence).into(),
            stall.start_ticks.to_string().into(),
        ]);
    }
    table
}
