//! `barewire reload`, `stop` and `log-level`

use api::{LogLevel, Reload, Restart, Stopping};

use super::{
    Page,
    paint::{Paint, Tone},
    units::nanos,
};

pub(crate) fn reload(reload: &Reload, paint: Paint) -> String {
    let mut page = Page::new(paint);
    page.line(
        Tone::Heading,
        format_args!(
            "generation {} is in force after {:.1} ms; the longest gap between two polls meanwhile \
             was {}",
            reload.generation,
            reload.took_ms,
            nanos(reload.longest_gap_ns)
        ),
    );
    if let Some(restart) = &reload.restart {
        restarted(&mut page, restart);
    } else if reload.ports_restarted {
        page.line(Tone::Warning, "ports were stopped and started");
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
    let finished = if *in_time { "" } else { ", which the stop timeout cut short" };
    page.line(
        if *dropped > 0 { Tone::Warning } else { Tone::Plain },
        format_args!(
            "  {in_flight} frames were inside, {dropped} of all dropped meanwhile{finished}"
        ),
    );
    for (ports, what) in [(started, "started anew"), (kept, "went on as they were")] {
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
