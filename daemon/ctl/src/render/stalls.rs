//! `barewire stalls`

use api::{EventKind, KernelEvent, Meanwhile, Stall, Stalls, Verdict};

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
                "{}  worker {} on CPU {}  {:>8}  {} pending{}  {}",
                utc(stall.start_unix_ns),
                stall.worker,
                stall.cpu,
                nanos(stall.length_ns),
                stall.pending,
                if stall.saturated { " or more" } else { "" },
                cause(stall.meanwhile.as_ref()),
            ),
        );
    }
    page.finish()
}

fn lost(page: &mut Page, stalls: &Stalls) {
    if stalls.lost > 0 {
        let lost = count(stalls.lost);
        page.line(
            Tone::Warning,
            format_args!("{lost} older ones are left out: overwritten, or too many for one look"),
        );
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
        ("CAUSE", Left),
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
            Cell::from(cause(stall.meanwhile.as_ref())),
        ]);
    }
    table
}

/// So many suspects have room in a line.
const SUSPECTS: usize = 3;

/// The cause, as far as it is known: `interrupt 34 nvme0q3 (1×)`; of several, that it may be any.
pub(crate) fn cause(meanwhile: Option<&Meanwhile>) -> String {
    let Some(Meanwhile { stalls, stalled_ns, verdict, events, unlisted, .. }) = meanwhile else {
        return "not known".to_owned();
    };
    // What is said is said of all of them.
    let of = match stalls {
        1 => String::new(),
        stalls => format!("; {} stalls, {} in all", count(*stalls), nanos(*stalled_ns)),
    };
    let some = |events: &[KernelEvent]| {
        let events: Vec<_> = events.iter().map(event).collect();
        events.join(", ")
    };
    match verdict {
        Verdict::Cause => some(&events[..events.len().min(1)]) + &of,
        Verdict::Suspects => {
            let shown = events.len().min(SUSPECTS);
            let more = match events.len() - shown + unlisted {
                0 => String::new(),
                more => format!(", {more} more"),
            };
            format!("perhaps {}{more}{of}", some(&events[..shown]))
        }
        Verdict::Nothing => "nothing the kernel counts: firmware, hypervisor, own work".to_owned(),
    }
}

fn event(event: &KernelEvent) -> String {
    let what = match event.kind {
        EventKind::Preempted => "preempted",
        EventKind::Stolen => "stolen by the hypervisor",
        EventKind::Waited => "waited or was stopped",
        EventKind::MajorFault => "page fault from a device",
        EventKind::MinorFault => "page fault",
        EventKind::Interrupt => "interrupt",
        EventKind::Softirq => "softirq",
    };
    let name = if event.name.is_empty() { String::new() } else { format!(" {}", event.name) };
    let time = event.time_ns.map(|time| format!(", {}", nanos(time))).unwrap_or_default();
    format!("{what}{name} ({}×{time})", count(event.count))
}
