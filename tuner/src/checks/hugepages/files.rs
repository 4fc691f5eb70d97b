//! Where hugepages are files.

use super::{
    super::{
        Context, Outcome,
        judge::{known, settled},
        wording::lines,
    },
    need::size_name,
};
use crate::Fact;

pub(super) fn mounts(context: &Context<'_>) -> Outcome {
    settled(|| {
        let mounts = known(&context.facts.memory.huge.mounts, "there is no /proc/mounts")?;
        let line = |mount: &crate::facts::memory::huge::Mount| {
            let size = mount.page_kib.map_or_else(|| "default size".to_owned(), size_name);
            let all = if mount.is_for_everybody { ", everybody may write" } else { "" };
            format!("{}: {size}{all}", mount.path)
        };
        let details = lines(mounts.iter().map(line));
        let open: Vec<&str> =
            mounts.iter().filter(|m| m.is_for_everybody).map(|m| m.path.as_str()).collect();
        let outcome = if !open.is_empty() {
            Outcome::warn(format!("everybody may write to {}", open.join(" and ")))
                .advice("mount it with mode=0750 and the group of those who need it")
        } else if mounts.is_empty() {
            Outcome::good("none, and the daemon needs none: its memory has no files")
        } else {
            Outcome::good(format!("{} mounted; the daemon's memory has no files", mounts.len()))
        };
        Ok(outcome.wanted("none that everybody may fill").details(details))
    })
}

pub(super) fn leftovers(context: &Context<'_>) -> Outcome {
    settled(|| {
        let huge = &context.facts.memory.huge;
        known(&huge.mounts, "there is no /proc/mounts")?;
        let left: Vec<String> = huge
            .files
            .iter()
            .filter(|file| file.is_mapped == Fact::Is(false))
            .map(|file| file.path.clone())
            .collect();
        let unsure = huge.files.iter().find_map(|file| file.is_mapped.why());
        let outcome = match (left.len(), unsure) {
            (0, Some(why)) => Outcome::unknown(why),
            (0, None) => Outcome::good(match huge.files.len() {
                0 => "none".to_owned(),
                used => format!("none; {used} are in use"),
            }),
            (count, _) => Outcome::bad(format!("{count} that no process has mapped"))
                .advice("remove these files if their program is not about to start again"),
        };
        Ok(outcome.wanted("none").details(lines(left)))
    })
}
