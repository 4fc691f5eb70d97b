//! A plan for people, for a shell, and as a difference.

use std::io::{self, Write};

use super::{Blast, Plan, Scope, Step};
use crate::{
    Fact,
    change::{Change, comment},
};

/// The most characters of a value in a table.
const WIDEST: usize = 44;

impl Blast {
    /// As it is printed.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Memory => "memory",
            Self::Programs => "programs",
            Self::Boot => "the next boot",
            Self::Management => "the way in",
        }
    }
}

impl Scope {
    /// As it is printed.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Runtime => "now",
            Self::Once => "until the next boot",
            Self::Boot => "at boot",
            Self::Both => "now and at boot",
        }
    }
}

impl Step {
    /// What was there, in words.
    #[must_use]
    pub fn before(&self) -> String {
        match &self.from {
            Fact::Is(value) if value.is_empty() => "(empty)".to_owned(),
            Fact::Is(value) => value.clone(),
            Fact::Absent => "(not there)".to_owned(),
            Fact::Unknown { .. } => "(asked when it is applied)".to_owned(),
        }
    }
}

/// A value on one line, not too long.
fn short(text: &str) -> String {
    let mut lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
    let first = comment(lines.next().unwrap_or_default().trim());
    let more = lines.count();
    let mut shown: String = first.chars().take(WIDEST).collect();
    if first.chars().count() > WIDEST {
        shown.push('…');
    }
    match more {
        0 => shown,
        1 => format!("{shown} (and 1 line)"),
        more => format!("{shown} (and {more} lines)"),
    }
}

/// What was left out, by check and reason: what, and why.
fn left_out(plan: &Plan) -> Vec<(&str, String, String)> {
    let mut groups: Vec<(&str, &str, Vec<&Change>)> = Vec::new();
    for left in &plan.left_out {
        let same = groups.iter_mut().find(|(c, why, _)| *c == left.check && *why == left.why);
        match same {
            Some((_, _, changes)) => changes.push(&left.change),
            None => groups.push((&left.check, &left.why, vec![&left.change])),
        }
    }
    groups
        .into_iter()
        .map(|(check, why, changes)| {
            let first = changes[0];
            let mut what = format!("{} -> {}", comment(&first.target()), short(&first.wanted()));
            if changes.len() > 1 {
                what.push_str(&format!(" (and {} more)", changes.len() - 1));
            }
            (check, what, comment(why))
        })
        .collect()
}

/// For people: what each step does, whom it hits, and why.
///
/// # Errors
/// What `out` answers.
pub fn table(plan: &Plan, out: &mut dyn Write) -> io::Result<()> {
    let reboot = if plan.needs_reboot() { ", a reboot" } else { "" };
    let steps = match plan.steps.len() {
        0 => "nothing to do".to_owned(),
        1 => "1 step".to_owned(),
        steps => format!("{steps} steps"),
    };
    writeln!(out, "Plan ({}): {steps}{reboot}", plan.profile.name())?;
    let mut blast: Option<Blast> = None;
    for (index, step) in plan.steps.iter().enumerate() {
        if blast != Some(step.blast) {
            blast = Some(step.blast);
            writeln!(out, "\nIf it goes wrong, it hits {}:", step.blast.name())?;
        }
        writeln!(out, "{:>3}. {}", index + 1, comment(&step.change.target()))?;
        writeln!(out, "       {} -> {}", short(&step.before()), short(&step.to))?;
        let risk = serde_json::to_string(&step.risk).unwrap_or_default();
        let risk = risk.trim_matches('"');
        writeln!(out, "       {}; risk {risk}; {}", step.scope.name(), step.checks.join(", "))?;
        writeln!(out, "       {}", comment(&step.why))?;
    }
    if !plan.by_hand.is_empty() {
        writeln!(out, "\nBy hand:")?;
        for by_hand in &plan.by_hand {
            writeln!(out, "  {} ({})", comment(&by_hand.what), by_hand.checks.join(", "))?;
            for command in &by_hand.commands {
                writeln!(out, "    {}", comment(command))?;
            }
        }
    }
    if !plan.left_out.is_empty() {
        writeln!(out, "\nLeft out:")?;
        for (check, what, why) in left_out(plan) {
            writeln!(out, "  {check} {what}\n    {why}")?;
        }
    }
    if !plan.notes.is_empty() {
        writeln!(out, "\nNotes:")?;
        for note in &plan.notes {
            writeln!(out, "  {}", comment(note))?;
        }
    }
    Ok(())
}

/// A script that does it, and needs nothing else. What is lost at a reboot, the kernel's files for one, it does not
/// keep: `barewire-tune apply` does.
///
/// # Errors
/// What `out` answers.
pub fn sh(plan: &Plan, out: &mut dyn Write) -> io::Result<()> {
    sh_below(plan, "", out)
}

/// The same for a machine whose files are below `root`.
///
/// # Errors
/// What `out` answers.
pub fn sh_below(plan: &Plan, root: &str, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "#!/bin/sh")?;
    writeln!(
        out,
        "# A plan of barewire-tune for the profile {}. It stops at the first",
        plan.profile.name()
    )?;
    writeln!(
        out,
        "# failure, and may be run again. Files of the kernel are as before after a reboot;"
    )?;
    writeln!(out, "# `barewire-tune apply` sets them again then, and can undo all of it.")?;
    writeln!(out, "set -eu")?;
    for (index, step) in plan.steps.iter().enumerate() {
        writeln!(out, "\n# {}. {}: {}", index + 1, step.checks.join(", "), comment(&step.why))?;
        writeln!(out, "# If it goes wrong, it hits {}.", step.blast.name())?;
        match (&step.change, &step.from) {
            (Change::BootMenu { .. }, _) => {}
            (_, Fact::Is(old)) if old.contains('\n') => {
                writeln!(out, "# It was:")?;
                for line in old.lines() {
                    writeln!(out, "#   {}", comment(line))?;
                }
            }
            _ => writeln!(out, "# It was: {}", comment(&step.before()))?,
        }
        for line in step.change.shell_below(root) {
            writeln!(out, "{line}")?;
        }
    }
    for by_hand in &plan.by_hand {
        writeln!(out, "\n# By hand: {}", comment(&by_hand.what))?;
        for command in &by_hand.commands {
            writeln!(out, "#   {}", comment(command))?;
        }
    }
    for (check, what, why) in left_out(plan) {
        writeln!(out, "\n# Left out ({check}): {what}: {why}")?;
    }
    Ok(())
}

/// What changes, file by file, as `diff -u` would print it.
///
/// # Errors
/// What `out` answers.
pub fn diff(plan: &Plan, out: &mut dyn Write) -> io::Result<()> {
    for step in &plan.steps {
        if matches!(step.change, Change::BootMenu { .. }) {
            continue;
        }
        let (name, old) = (comment(&step.change.target()), step.from.value());
        let (old, new): (Vec<&str>, Vec<&str>) =
            (old.map_or("", String::as_str).lines().collect(), step.to.lines().collect());
        match &step.from {
            Fact::Absent => writeln!(out, "--- /dev/null")?,
            Fact::Is(_) => writeln!(out, "--- {name}")?,
            Fact::Unknown { .. } => writeln!(out, "--- {name} (asked when it is applied)")?,
        }
        writeln!(out, "+++ {name}")?;
        hunk(&old, &new, out)?;
    }
    Ok(())
}

/// One hunk: what both have at the ends is context, three lines of it.
fn hunk(old: &[&str], new: &[&str], out: &mut dyn Write) -> io::Result<()> {
    const CONTEXT: usize = 3;
    let head = old.iter().zip(new).take_while(|(a, b)| a == b).count();
    let (old_rest, new_rest) = (&old[head..], &new[head..]);
    let tail = old_rest.iter().rev().zip(new_rest.iter().rev()).take_while(|(a, b)| a == b).count();
    let (gone, come) = (&old_rest[..old_rest.len() - tail], &new_rest[..new_rest.len() - tail]);
    let (before, after) = (head.min(CONTEXT), tail.min(CONTEXT));
    let range = |start: usize, length: usize| match length {
        // An empty range stands behind the line that it names.
        0 => format!("{start},0"),
        1 => (start + 1).to_string(),
        length => format!("{},{length}", start + 1),
    };
    let start = head - before;
    writeln!(
        out,
        "@@ -{} +{} @@",
        range(start, before + gone.len() + after),
        range(start, before + come.len() + after)
    )?;
    for line in &old[start..head] {
        writeln!(out, " {}", comment(line))?;
    }
    for line in gone {
        writeln!(out, "-{}", comment(line))?;
    }
    for line in come {
        writeln!(out, "+{}", comment(line))?;
    }
    for line in &old_rest[gone.len()..gone.len() + after] {
        writeln!(out, " {}", comment(line))?;
    }
    Ok(())
}
