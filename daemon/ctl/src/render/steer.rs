//! `barewire reload`, `stop` and `log-level`

use api::{LogLevel, Reload, Restart, Stopping};

use super::{
    Page,
    paint::{Paint, Tone},
    units::nanos,
};

pub(crate) fn reload(reload: &Reload, paint: Paint) -> String {
    let mut page = Page::new(paint);
    let (generation, ms) = (reload.generation, reload.took_ms);
    match &reload.restart {
        Some(restart) => {
            page.line(
                Tone::Heading,
                format_args!("generation {generation} is in force after {ms:.1} ms"),
            );
            restarted(&mut page, restart);
        }
        None => {
            let gap = nanos(reload.longest_gap_ns);
            page.line(
                Tone::Heading,
                format_args!(
                    "generation {generation} is in force after {ms:.1} ms; the longest gap between \
                     two polls meanwhile was {gap}"
                ),
            );
        }
    }
    if reload.changes.is_empty() {
        page.line(Tone::Plain, "nothing changed");
    }
    for change in &reload.changes {
        page.line(Tone::Plain, format_args!("  {change}"));
    }
    page.finish()
}

fn restarted(page: &mut Page, restart: &Restart) {
    let Restart { started, kept, blackout_ms, in_flight, dropped, in_time } = restart;
    page.line(Tone::Warning, format_args!("no frame was received for {blackout_ms:.1} ms"));
    page.line(
        if *dropped > 0 { Tone::Warning } else { Tone::Plain },
        format_args!(
            "  inside when it began: {in_flight} frames; dropped until they were out: {dropped}"
        ),
    );
    if !in_time {
        page.line(
            Tone::Warning,
            "  the stop timeout passed, and what was still inside was dropped",
        );
    }
    for (ports, what) in [(started, "started"), (kept, "went on as they were")] {
        if !ports.is_empty() {
            page.line(Tone::Plain, format_args!("  {what}: {}", ports.join(", ")));
        }
    }
}

pub(crate) fn stopping(stopping: &Stopping, gone: bool, paint: Paint) -> String {
    let mut page = Page::new(paint);
    if gone {
        page.line(Tone::Plain, format_args!("process {} is gone", stopping.pid));
    } else {
        let (pid, deadline) = (stopping.pid, stopping.deadline_ms);
        page.line(
            Tone::Plain,
            format_args!("process {pid} has begun to stop and is gone within {deadline} ms"),
        );
    }
    page.finish()
}

pub(crate) fn log_level(level: &LogLevel, paint: Paint) -> String {
    let mut page = Page::new(paint);
    page.line(Tone::Plain, &level.level);
    page.finish()
}
