//! `barewire reload`, `stop` and `log-level`

use api::{LogLevel, Reload, Stopping};

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
    if reload.ports_restarted {
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
